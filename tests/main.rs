//! What pushcast promises, one file per part.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps fails, and says where"
)]

mod support;

/// The push service that the other tests trust refuses what real ones refuse.
mod push_service;

/// Connections to push services: few, shared, and none of them trusted to last.
mod push_client;

/// A push service gets as much as it takes, and one that is busy holds up no other.
mod congestion;

/// A message to one person: what its sender hears, and who is still subscribed, whatever the push service does.
mod send;

/// Who is subscribed, and how many they are: exact under races, faults and lost answers.
mod store;

/// How many are subscribed, where, since when and with which tags; and how many an audience has.
mod stats;

/// For whom an expression over tags is, in words and to the database.
mod audience;

/// When a schedule fires: as EventBridge Scheduler would, also on the days when clocks change.
mod expressions;

/// Schedules are kept, and fired at least once, whatever fails or is missed.
mod schedules;

/// In AWS, EventBridge Scheduler keeps the schedules: what it is told, and what becomes of its answers.
mod scheduler;

/// Broadcasts, through the built program: everyone is reached once, whatever the services answer.
mod campaigns;

/// What starts a campaign starts one, however often it comes.
mod broadcast;

/// What workers do with jobs: nobody is missed, and few are pushed to twice, whoever dies when.
mod deliver;

/// The two queues: jobs arrive, not before their time, and what was not taken is sent again.
mod queue;

/// The built program is killed in the middle of a campaign, again and again.
mod killed;

/// The end of a campaign is told: to EventBridge until it is taken, and to the log of `serve`.
mod announcing;

/// `pushcast send` and `pushcast campaigns`: what they send, show, watch and stop.
mod campaign_commands;

/// `pushcast campaigns watch` on a real terminal: a bar that moves, and goes.
mod terminal;

/// The built program: started, subscribed to, sent with, killed, started again.
mod program;

/// pywebpush's foundations and node's web-push read what we write, and we read what they write.
mod peers;

/// The library in one call, many calls, or parts.
mod one_call;

/// `pushcast push`: every flag, every answer, and the curl command that it prints.
mod push_command;

/// The crate web-push, one call at a time.
#[cfg(feature = "web-push")]
mod crate_types;

/// pywebpush, node's web-push and the program send the same messages, or the page says why not.
mod side_by_side;

/// The README's examples work as they stand.
mod readme;

/// Figures are what CloudWatch takes for metrics, and cost no call.
mod metrics;

/// The same handlers, as Lambda functions.
mod functions;

/// Functions, binaries, modules, payloads and the template say the same words.
mod words;

/// Arrows point down only, and no function does several jobs.
mod house;

/// The page on deploying says what the template and its tools say.
mod deploying;

/// Keys in KMS and Secrets Manager are fetched once, sign once, and can be rotated.
mod keys_in_aws;

/// Subscribing through HTTP: what is stored, kept, moved and cleared, and by whom.
mod subscribe;

/// What is wrong is refused, by name, and changes nothing.
mod bad_input;

/// What openapi.yaml says is what the server does, and the other way round.
mod openapi;

/// The program's other commands: keys, subscriptions in and out, the doctor.
mod command_line;

/// What the build takes out of the functions is out of them.
mod build_settings;

/// The demo page and the console, as files.
mod pages;

/// Firefox, from the click to the notification, with its own decryption.
mod firefox;

/// Chromium: every form of push in the service worker, the demo page and the console as people use them, judged by axe.
mod chromium;

/// WebKit, Safari's engine: the client, the demo page, the console and the service worker, with pushes handed to it.
mod webkit;
