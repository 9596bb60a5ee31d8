//! Pushes one message to many subscriptions over kept connections, and counts the outcomes:
//! `cargo run -p webpush --release --example many -- 10000`.
//!
//! The subscriptions are at a push service of the example's own on this machine.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod local_service;

use std::collections::HashMap;
use std::error::Error;
use std::pin::pin;
use std::time::Instant;

use futures_util::StreamExt as _;
use webpush::{AllowList, Client, Clock, Keyring, Limits, Message, Pusher, Subscription, VapidKey};

/// Pushes in flight at the same time.
const AT_ONCE: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(1_000), |text| text.parse())?;
    let (json, origin) = local_service::start(usize::MAX)?;
    let subscription = Subscription::from_json(&json, &AllowList::new([origin]))?;
    let subscriptions = vec![subscription; count];

    let subject = "mailto:you@pushcast.dev".parse()?;
    let keyring = Keyring::new(VapidKey::generate()?, vec![], Some(&subject));
    let client = Client::new(Limits::default(), None)?;
    let pusher = Pusher::new(client, keyring, Clock::system());

    let message = Message::text("hello, all of you");
    let began = Instant::now();
    let mut outcomes: HashMap<&str, usize> = HashMap::new();
    let mut reports = pin!(pusher.push_to_many(&subscriptions, &message, AT_ONCE));
    while let Some((_subscription, report)) = reports.next().await {
        // A program of your own would delete the subscription when the outcome is `Outcome::Gone`.
        *outcomes.entry(report.outcome().label()).or_default() += 1;
    }
    println!("{outcomes:?} in {:?}", began.elapsed());
    Ok(())
}
