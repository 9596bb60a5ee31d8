//! The HTTP API (`openapi.yaml`): one file for each resource.
//!
//! | file | owns |
//! |---|---|
//! | [`subscribe`] | a browser's subscription, and the way back |
//! | [`send`] | a message to one person now, or to an audience as a campaign |
//! | [`campaigns`] | campaigns: list, look, cancel, resume |
//! | [`schedules`] | messages that are sent later, once or repeatedly |
//! | [`stats`] | how many are subscribed, and how many an audience has |
//! | [`assets`] | the demo page and the console, as files |
//! | [`middleware`] | the outermost layer: body limit, CORS, token, log |

pub mod assets;
pub mod campaigns;
pub mod middleware;
pub mod schedules;
pub mod send;
pub mod stats;
pub mod subscribe;
