//! The HTTP API (`openapi.yaml`): one file for each resource.
//!
//! | file | owns |
//! |---|---|
//! | [`subscribe`] | a browser subscribes and unsubscribes |
//! | [`send`] | a message to one user now, or to an audience as a campaign |
//! | [`campaigns`] | campaigns: list, show, cancel, resume |
//! | [`schedules`] | messages that are sent later, once or repeatedly |
//! | [`stats`] | numbers of subscribers, in total and of an audience |
//! | [`assets`] | the files of the demo page and of the console |
//! | [`middleware`] | the outermost layer: body limit, CORS, token, log |

pub mod assets;
pub mod campaigns;
pub mod middleware;
pub mod schedules;
pub mod send;
pub mod stats;
pub mod subscribe;
