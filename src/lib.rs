//! Web Push for one's own AWS account, and for one machine.
//!
//! Two flows, and where to read on:
//!
//! ```text
//! browser --POST /push/subscribe--> subscribe --> registration --> store (DynamoDB, partition key: endpoint)
//!
//! backend --POST /push/send--> send --one person--> push ------------> push service --> browser
//!                                \                   encrypt, vapid,      |
//!                                 \-an audience->     request             |
//! EventBridge (rule or Scheduler) ---> broadcast    policy <-- outcome <--+
//!                                         |          keep | remove | retry | halt
//!                       ledger and queue <+                      ^
//!                              \--> deliver: batch -> push -----+-> checkpoint -> next batch
//! ```
//!
//! | stop | owns |
//! |---|---|
//! | [`subscribe`] | HTTP: a browser's subscription, and the way back |
//! | [`registration`] | what a browser says of itself, checked |
//! | [`send`] | HTTP: a message to one person's devices, now; or an audience, as a campaign |
//! | [`campaign::request`], [`audience`] | what a sender asks for, checked; for whom it is |
//! | [`broadcast`] | a request or an event -> a campaign: its plan, and a job for each segment |
//! | [`campaign`] | campaigns, parts, checkpoints, figures, the policy: values and arithmetic, no I/O |
//! | [`campaigns`] | HTTP: campaigns, looked at, cancelled, resumed |
//! | [`stats`] | HTTP: how many are subscribed, and how many an audience has |
//! | [`schedule`] | messages that are sent again and again, or at a time to come |
//! | [`queue`] | jobs: SQS, or in the process |
//! | [`deliver`] | a job -> push a batch -> settle it -> checkpoint |
//! | [`announce`] | the end of a campaign, told to the world |
//! | [`push`] | one push, and the connections to push services |
//! | [`webpush`] | the RFCs as a library: no I/O, no clock |
//! | [`store`] | the two DynamoDB tables, in AWS or embedded |
//! | [`pages`] | the demo page and the console, as files |
//! | [`edge`], [`problem`], [`wire`] | HTTP's outside: limits, errors, JSON members |
//! | [`auth`] | the API token and the proof of a user id |
//! | [`config`], [`aws`] | the environment, and what of it is kept in AWS |
//! | [`clock`], [`telemetry`] | time and chance, logs and figures |
//!
//! To push from code of one's own, once, [`push::webpush`] is one call; many times, a [`push::Pusher`] keeps connections and
//! tokens. The parts stand alone as well: [`webpush::encrypt()`], [`webpush::build_request`], [`webpush::Answer`],
//! [`webpush::decrypt()`]. `docs/from-pywebpush.md` says where each thing of pywebpush, node's `web-push` and the crate
//! `web-push` is here; with the feature `web-push`, types convert to and from those of that crate.
//!
//! ```no_run
//! use pushcast::clock::Clock;
//! use pushcast::push::{Client, Limits, Pusher};
//! use pushcast::webpush::{AllowList, Keyring, Message, Subscription, VapidKey};
//!
//! # async fn example(json: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let key = VapidKey::parse(&std::fs::read("vapid.pem")?)?;
//! let keyring = Keyring::new(key, vec![], Some(&"mailto:push@pushcast.dev".parse()?));
//! let client = Client::new(Limits::default(), None)?;
//! let pusher = Pusher::new(client, keyring.into(), Clock::system());
//!
//! let subscription = Subscription::from_json(json, &AllowList::default())?;
//! let report = pusher.push(&subscription, &Message::text("hello")).await;
//! println!("{}: {:?}", report.outcome.label(), report.detail());
//! # Ok(())
//! # }
//! ```

pub mod announce;
pub mod audience;
pub mod auth;
pub mod aws;
pub mod backoff;
pub mod broadcast;
pub mod campaign;
pub mod clock;
pub mod config;
pub mod cors;
pub mod deliver;
pub mod dynamo;
#[cfg(feature = "aws")]
pub mod functions;
pub mod http;
pub mod json;
pub mod ledger;
pub mod problem;
pub mod queue;
pub mod schedule;
pub mod store;
pub mod subscribers;
pub mod telemetry;
mod time;

/// The examples of `docs/from-pywebpush.md`, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-pywebpush.md")]
struct FromPywebpush;
