//! Builds the request for one message and prints it as a curl command, without any I/O of this crate:
//! `cargo run -p webpush --no-default-features --example without_client`.
//!
//! A program with its own HTTP client sends the request, and hands the answer to `Answer::read`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use jiff::Timestamp;
use webpush::{
    AllowList, Answer, CurlOptions, Message, Subscription, Urgency, Vapid, VapidKey, base64url,
    build_request, curl_command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let browser = webpush::Receiver::generate()?;
    let json = format!(
        r#"{{"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
            "keys": {{"p256dh": "{}", "auth": "{}"}}}}"#,
        base64url::encode(browser.keys().p256dh()),
        base64url::encode(browser.keys().auth()),
    );
    let subscription = Subscription::from_json(&json, &AllowList::default())?;

    let vapid = Vapid::new(
        VapidKey::generate()?,
        Some("mailto:you@pushcast.dev".parse()?),
    );
    let message = Message {
        ttl: 600,
        urgency: Some(Urgency::High),
        ..Message::text("hello")
    };
    // The crate reads no clock: in a program, this is the current time.
    let now = Timestamp::from_second(1_800_000_000)?;
    let request = build_request(&subscription, &message, &vapid, now)?;
    println!("{}\n", curl_command(&request, CurlOptions::default()));

    // The answer that your HTTP client returned.
    let (status, headers, body) = (410, http::HeaderMap::new(), b"");
    let answer = Answer::read(subscription.endpoint.service(), status, &headers, body, now);
    println!("{status} means: {}", answer.outcome.label());
    Ok(())
}
