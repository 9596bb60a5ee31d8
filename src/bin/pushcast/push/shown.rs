//! Prints what `pushcast push` sends, the push service's answer, and a remedy.

use std::fmt;

use anyhow::Result;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use serde_json::{Map, Value, json};
use webpush::PushError;
use webpush::{Answer, Message, Outcome, Subscription, base64url};

use crate::output::{complain, say};

/// Prints the outcome of a push.
pub(super) fn show(
    outcome: &Outcome,
    answer: Option<&Answer>,
    failure: Option<String>,
    as_json: bool,
) -> Result<()> {
    let retry_after = answer.and_then(|answer| answer.retry_after);
    let retry_after = retry_after.map(|wait| wait.as_secs());
    let members: [(&str, Value); 9] = [
        ("outcome", json!(outcome.label())),
        ("status", json!(answer.map(|answer| answer.status))),
        ("code", json!(answer.and_then(|answer| answer.code))),
        ("errno", json!(answer.and_then(|answer| answer.errno))),
        (
            "reason",
            json!(answer.and_then(|answer| answer.reason.as_deref())),
        ),
        (
            "message",
            json!(answer.and_then(|answer| answer.message.as_deref())),
        ),
        ("retry_after", json!(retry_after)),
        (
            "location",
            json!(answer.and_then(|answer| answer.location.as_deref())),
        ),
        ("failure", json!(failure)),
    ];
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    if as_json {
        let object: Map<String, Value> = members
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        say(Value::Object(object))?;
    } else {
        for (name, value) in members {
            say(format_args!("{name:<12} {}", spelled(&value)))?;
        }
        if let Some(advice) = advice(outcome) {
            complain(advice);
        }
    }
    Ok(())
}

/// A string without its quotes, and any other value as JSON.
pub(super) fn spelled(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The remedy for an outcome.
fn advice(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Accepted => None,
        Outcome::Gone => Some("the subscription no longer exists: delete it"),
        Outcome::Mismatched => {
            Some("the subscription was made with another VAPID key: sign with that one")
        }
        Outcome::TooLarge => Some("the message is larger than this push service takes"),
        Outcome::Throttled(_) => Some("the push service asks for a pause: try again later"),
        Outcome::Unavailable(_) => {
            Some("the push service has a problem of its own: try again later")
        }
        Outcome::Unreachable => {
            Some("there was no answer, which says nothing about the subscription")
        }
        Outcome::OurFault => Some(
            "the token, the key or a header is wrong: every subscription there would be refused",
        ),
        Outcome::Refused => Some("the push service refuses this message"),
    }
}

/// An error and its causes in one line.
pub(super) fn why(error: &PushError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Prints what is sent. Endpoint and token are shortened, because anyone who reads them could send.
pub(super) fn tell(subscription: &Subscription, message: &Message, request: &Request<Bytes>) {
    complain(format_args!("to       {}", subscription.endpoint));
    for (name, value) in request.headers() {
        let value: &dyn fmt::Display = if *name == AUTHORIZATION {
            &claims_of(request.headers())
        } else {
            &String::from_utf8_lossy(value.as_bytes())
        };
        complain(format_args!("header   {name}: {value}"));
    }
    complain(format_args!(
        "message  {} bytes, {} encrypted",
        message.payload.len(),
        request.body().len()
    ));
}

/// The claims of the token, without its signature.
fn claims_of(headers: &HeaderMap) -> String {
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let claims = value.and_then(|value| value.split('.').nth(1));
    let claims = claims.and_then(|claims| base64url::decode(claims).ok());
    let claims = claims.map(|claims| String::from_utf8_lossy(&claims).into_owned());
    format!("a token with the claims {}", claims.unwrap_or_default())
}
