//! Web Push for your own AWS account, and for one machine.
//!
//! The library `webpush` makes and sends one push. This crate is the service around it: it stores subscriptions, and sends
//! a message to a person or to an audience.
//!
//! # A subscription, from the page to the table
//!
//! ```text
//! browser --POST /push/subscribe--> http::subscribe --> subscribers::registration --> subscribers (DynamoDB)
//!                                                       checked                       one row for each endpoint
//! ```
//!
//! | stop | what it does |
//! |---|---|
//! | [`http::middleware`] | limits the body, answers CORS, logs the request |
//! | [`http::subscribe`] | `POST /push/subscribe` and `/push/unsubscribe` |
//! | [`subscribers::registration`] | checks what the browser sent: endpoint, keys, tags, the proof of a user id ([`auth`]) |
//! | [`subscribers`] | writes the row and the count, in one transaction if the subscription is new |
//!
//! # A message, from the backend to the browser
//!
//! ```text
//! backend --POST /push/send--> http::send --to one person--> webpush::Pusher --> push service --> browser
//!                                  |                              ^
//!                             to an audience                      |
//!                                  v                              |
//! EventBridge, a schedule --> broadcast --> queue --> deliver: push a batch, settle it, write the checkpoint
//!                                  \                    |
//!                                   +---> ledger <------+
//! ```
//!
//! | stop | what it does |
//! |---|---|
//! | [`http::send`] | `POST /push/send`: to one person now, or to an audience as a campaign |
//! | [`campaign::request`], [`audience`] | check the message, and for whom it is |
//! | [`schedule`] | sends a message later, once or repeatedly |
//! | [`broadcast`] | makes a campaign of it: its plan, and a job for each segment of the table |
//! | [`queue`] | carries jobs: SQS in AWS, in the process on one machine |
//! | [`deliver`] | does a job: reads subscribers, pushes to them, writes a checkpoint, goes on |
//! | [`campaign`] | the values and the arithmetic of that, without I/O; [`campaign::retry_policy`] reads each outcome |
//! | [`ledger`] | keeps campaigns, checkpoints and schedules |
//! | [`announce`] | tells that a campaign has ended |
//!
//! # Around both
//!
//! | module | what it owns |
//! |---|---|
//! | [`http`] | one file for each resource of the API; [`problem`]: errors as HTTP answers; [`cors`]; [`json`] |
//! | [`store`], [`dynamo`] | the two tables, in DynamoDB or in the embedded database |
//! | [`config`], [`aws`] | the environment, and the secrets that it refers to |
//! | [`functions`] | the parts that the Lambda functions are made of (feature `aws`) |
//! | [`clock`], [`telemetry`] | time and chance; logs and metrics |
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `local` (default) | the program `pushcast` and its embedded database |
//! | `aws` | the Lambda functions; keys and secrets in AWS; the program on tables in DynamoDB |
//! | `web-push` | conversions to the types of the crate `web-push` |

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
