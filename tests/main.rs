//! What pushcast promises, one file per part.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps fails, and says where"
)]

mod support;

/// The push service of the other tests refuses the requests that real push services refuse.
mod push_service;

/// Connections to push services: the client shares a few, and survives the end of any of them.
mod push_client;

/// The client sends each push service as much as it takes. A busy push service delays no other.
mod congestion;

/// A message to one person: the sender gets a result for each device, and only subscriptions that are gone are removed.
mod send;

/// The subscribers and their count are exact under races, faults and lost answers.
mod store;

/// Statistics of the subscribers: their number, push services, days and tags, and the size of an audience.
mod stats;

/// Audience expressions over tags select the same subscribers in memory and in the database.
mod audience;

/// Schedules fire when EventBridge Scheduler would fire them, also on days when clocks change.
mod expressions;

/// Schedules are stored, and fire at least once, after failures and downtime too.
mod schedules;

/// In AWS, EventBridge Scheduler keeps the schedules: requests to it, and its answers.
mod scheduler;

/// Broadcasts through the built program: every subscriber is reached once, whatever the push services answer.
mod campaigns;

/// A trigger starts one campaign, however often it is delivered.
mod broadcast;

/// Workers do jobs: no subscriber is missed and few are pushed to twice, whenever a worker dies.
mod deliver;

/// The two queues deliver every job, none before its time. Jobs that SQS did not take are sent again.
mod queue;

/// The built program is killed repeatedly in the middle of a campaign.
mod killed;

/// The end of a campaign is announced: to EventBridge until it takes the event, and in the log of `serve`.
mod announcing;

/// `pushcast send` and `pushcast campaigns`: they send, show, watch and stop.
mod campaign_commands;

/// `pushcast campaigns watch` on a real terminal draws a progress bar and removes it at the end.
mod terminal;

/// The built program starts, takes subscriptions, sends, is killed and starts again.
mod program;

/// pywebpush's foundations and node's web-push read what we write, and we read what they write.
mod peers;

/// The library used in one call, for many pushes, or in single steps.
mod one_call;

/// `pushcast push`: every flag, every answer, and the curl command that it prints.
mod push_command;

/// Conversions to and from the crate web-push, one call at a time.
#[cfg(feature = "web-push")]
mod crate_types;

/// pywebpush, node's web-push and the program send the same messages, or the documentation explains the difference.
mod side_by_side;

/// The README's examples work as printed.
mod readme;

/// Metrics are log lines in CloudWatch's format, and cost no API call.
mod metrics;

/// The same handlers as Lambda functions.
mod functions;

/// Functions, binaries, modules, payloads and the template use the same words.
mod words;

/// Modules import each other without cycles, and no function is too long.
mod house;

/// The pages about deploying agree with the template and its tools.
mod deploying;

/// Keys in KMS and Secrets Manager are fetched once, reused, and can be rotated.
mod keys_in_aws;

/// Subscribing through HTTP: members are stored, kept, moved or cleared, and only by the right client.
mod subscribe;

/// A wrong request is refused, its wrong member is named, and nothing changes.
mod bad_input;

/// openapi.yaml and the server agree in both directions.
mod openapi;

/// The program's other commands: keys, import and export of subscriptions, the doctor.
mod command_line;

/// The functions lack the code that the build removes.
mod build_settings;

/// The files of the demo page and the console: media types, caching, and a strict content policy.
mod pages;

/// Firefox, from the click to the notification, with its own decryption.
mod firefox;

/// Chromium: every form of push in the service worker, and the demo page and the console as people use them, checked by
/// axe.
mod chromium;

/// WebKit, Safari's engine: the client, the demo page, the console, and the service worker with pushes handed to it.
mod webkit;
