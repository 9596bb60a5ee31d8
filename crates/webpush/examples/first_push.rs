//! Pushes one message and prints the answer: `cargo run -p webpush --example first_push`.
//!
//! Without arguments it pushes to a push service of its own on this machine. With the JSON of a browser's subscription
//! and a private key it pushes to that browser:
//! `cargo run -p webpush --example first_push -- subscription.json vapid.pem mailto:you@your.domain`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod local_service;

use std::error::Error;

use webpush::{AllowList, Limits, Message, Subscription, Vapid, VapidKey, push};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (json, key, subject, allowed) = match &arguments[..] {
        [] => {
            let (json, origin) = local_service::start(1)?;
            let subject = "mailto:you@pushcast.dev".to_owned();
            (
                json,
                VapidKey::generate()?,
                subject,
                AllowList::new([origin]),
            )
        }
        [subscription, key, subject] => {
            let key = VapidKey::parse(&std::fs::read(key)?)?;
            let json = std::fs::read_to_string(subscription)?;
            (json, key, subject.clone(), AllowList::default())
        }
        _ => return Err("arguments: none, or subscription.json vapid.pem mailto:..".into()),
    };

    let subscription = Subscription::from_json(&json, &allowed)?;
    let vapid = Vapid::new(key, Some(subject.parse()?));
    let message = Message::text("hello");
    let answer = push(&subscription, &message, Some(&vapid), Limits::default()).await?;
    println!("{}: {}", subscription.endpoint, answer.status);
    Ok(())
}
