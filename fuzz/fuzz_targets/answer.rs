//! Only the statuses 404 and 410 mean that a subscription is gone, whatever else a push service answers.
//!
//! The input is text: the name of the push service, the status, header lines, an empty line, the body.
#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use webpush::{Answer, Outcome, PushService};

const SERVICES: [PushService; 5] = [
    PushService::Fcm,
    PushService::Mozilla,
    PushService::Apple,
    PushService::Wns,
    PushService::Other,
];

fuzz_target!(|input: &[u8]| {
    let Some((&[who, high, low], rest)) = input.split_first_chunk() else {
        return;
    };
    let service = SERVICES[usize::from(who) % SERVICES.len()];
    // Digits, as a seed written by hand has them, or any number.
    let status = match (high, low) {
        (b'0'..=b'9', b'0'..=b'9') => 400 + u16::from(high - b'0') * 10 + u16::from(low - b'0'),
        _ => u16::from_be_bytes([high, low]),
    };
    let mut headers = HeaderMap::new();
    let mut body = &b""[..];
    let mut lines = rest;
    while let Some(end) = lines.iter().position(|&octet| octet == b'\n') {
        let line = &lines[..end];
        lines = &lines[end + 1..];
        let Some(colon) = line.iter().position(|&octet| octet == b':') else {
            body = lines;
            break;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }

    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let answer = Answer::read(service, status, &headers, body, now);
    assert_eq!(answer.status, status);
    assert_eq!(answer.outcome == Outcome::Gone, matches!(status, 404 | 410));
    assert_eq!(answer.outcome == Outcome::TooLarge, status == 413);
    if answer.outcome == Outcome::Accepted {
        assert!((200..300).contains(&status));
    }
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert!(answer.outcome.retry_after().is_none_or(|wait| wait <= week));
    for words in [&answer.reason, &answer.message].into_iter().flatten() {
        assert!(!words.is_empty() && words.chars().count() <= 200);
        assert!(!words.chars().any(char::is_control));
    }
    if let Some(detail) = answer.detail() {
        assert!(!detail.contains('\n'));
    }
});
