//! Reads the push service's answer, in one table. An answer is a value, not an error.
//!
//! Each service has its own format: Mozilla answers JSON `{code, errno, error, message}`, Apple JSON `{reason}`, FCM plain
//! text, WNS headers. This table decides which subscriptions are deleted, so it is exhaustive and tested row by row.

use http::HeaderMap;
use http::header::{LOCATION, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;
use std::time::Duration;

use crate::push_service::PushService;

/// Wait for WNS when it throttles without `X-WNS-CONTINUE-AFTER`: it does so for an hour to a day.
const WNS_THROTTLE: Duration = Duration::from_secs(60 * 60);
/// Longest wait that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Characters of the service's own words that an answer keeps.
const MAX_WORDS: usize = 200;

/// What became of one message, and so what the sender should do next.
///
/// | outcome | what to do |
/// |---|---|
/// | `Accepted` | nothing |
/// | `Gone` | delete the subscription |
/// | `Mismatched` | sign with the key that the subscription was made with |
/// | `TooLarge`, `Refused` | change this message; the subscription may be good |
/// | `Throttled`, `Unavailable` | send again after the wait, if one is given |
/// | `Unreachable` | send again |
/// | `OurFault` | stop, and correct key, claims or headers: every message would be refused |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The service accepted the message.
    Accepted,
    /// The subscription no longer exists.
    Gone,
    /// The subscription was made with another VAPID key than the one that signed.
    Mismatched,
    /// The message is larger than the service accepts.
    TooLarge,
    /// There were too many messages. The service may ask for a wait.
    Throttled(Option<Duration>),
    /// The service has a problem of its own. It may ask for a wait.
    Unavailable(Option<Duration>),
    /// There is no answer: DNS, connection, TLS, time-out, reset. This says nothing about the subscription.
    Unreachable,
    /// The sender's token, key or headers are wrong: every message would be refused.
    OurFault,
    /// The service refuses this message for another reason.
    Refused,
}

impl Outcome {
    /// One lower-case word, for APIs, logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Mismatched => "mismatched",
            Self::TooLarge => "too_large",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::Unreachable => "unreachable",
            Self::OurFault => "our_fault",
            Self::Refused => "refused",
        }
    }

    /// Time that the service asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(after) | Self::Unavailable(after) => *after,
            Self::Accepted
            | Self::Gone
            | Self::Mismatched
            | Self::TooLarge
            | Self::Unreachable
            | Self::OurFault
            | Self::Refused => None,
        }
    }
}

/// A push service's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What became of the message.
    pub outcome: Outcome,
    /// Mozilla's `code`: the status that the service intended.
    pub code: Option<u32>,
    /// Mozilla's error number.
    pub errno: Option<u32>,
    /// The service's own code: Apple's `reason`, Mozilla's `error`, WNS's `X-WNS-Error-Description`.
    pub reason: Option<String>,
    /// The service's own words, at most 200 characters, without control characters.
    pub message: Option<String>,
    /// Time to wait before the next try, for any status: `Retry-After`, or WNS's own header. At most a week.
    pub retry_after: Option<Duration>,
    /// The message's own URL at the service (RFC 8030, section 5).
    pub location: Option<String>,
}

impl Answer {
    /// Reads an answer of `service`. `body` may have been cut off. `now` is the time that a date in `Retry-After` is compared
    /// with.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use webpush::{Answer, Outcome, PushService};
    ///
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("retry-after", 120.into());
    /// let now = jiff::Timestamp::from_second(1_800_000_000)?;
    /// let answer = Answer::read(PushService::Fcm, 429, &headers, b"quota", now);
    /// assert_eq!(answer.outcome, Outcome::Throttled(Some(Duration::from_secs(120))));
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn read(
        service: PushService,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let text = String::from_utf8_lossy(body);
        // Member by member, so that one of an unexpected type does not hide the others.
        let json: Option<Value> = serde_json::from_str(&text).ok().filter(Value::is_object);
        let member = |name: &str| json.as_ref().and_then(|json| json.get(name));
        let string = |name: &str| member(name).and_then(Value::as_str);
        let number = |name: &str| member(name).and_then(Value::as_u64);
        let number = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
        let errno = number("errno");
        let reason = string("reason");
        let words = Words {
            service,
            errno,
            reason: reason.unwrap_or_default(),
            text: &text,
            headers,
            now,
        };
        let outcome = words.outcome(status);
        let description = header(headers, "x-wns-error-description");
        let message = string("message").or(json.is_none().then_some(&*text));
        Self {
            status,
            outcome,
            code: number("code"),
            errno,
            reason: reason.or(string("error")).or(description).and_then(tidy),
            message: message.and_then(tidy),
            retry_after: words.retry_after(),
            location: header(headers, LOCATION.as_str()).map(str::to_owned),
        }
    }

    /// The service's words in one line: `errno 109: Unauthorized: Invalid signature`.
    pub fn detail(&self) -> Option<String> {
        let errno = self.errno.map(|errno| format!("errno {errno}"));
        let parts: Vec<String> = [errno, self.reason.clone(), self.message.clone()]
            .into_iter()
            .flatten()
            .collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    }
}

/// The parts of an answer beside its status.
struct Words<'a> {
    service: PushService,
    errno: Option<u32>,
    reason: &'a str,
    text: &'a str,
    headers: &'a HeaderMap,
    now: Timestamp,
}

impl Words<'_> {
    /// The table of outcomes.
    fn outcome(&self, status: u16) -> Outcome {
        match status {
            200..=299 if self.wns_dropped() => Outcome::Throttled(self.retry_after()),
            200..=299 => Outcome::Accepted,
            404 | 410 => Outcome::Gone,
            413 => Outcome::TooLarge,
            400 | 401 | 403 => self.refusal(status),
            406 if self.service == PushService::Wns => {
                Outcome::Throttled(Some(self.continue_after().unwrap_or(WNS_THROTTLE)))
            }
            429 => Outcome::Throttled(self.retry_after()),
            408 | 500..=599 => Outcome::Unavailable(self.retry_after()),
            // Redirects are never followed: only the endpoint was checked.
            0..=199 | 300..=399 => Outcome::Refused,
            402 | 405..=407 | 409 | 411 | 412 | 414..=428 | 430..=499 => Outcome::Refused,
            600.. => Outcome::Refused,
        }
    }

    /// 400, 401 and 403: the subscription's key, the sender's fault, or this message.
    fn refusal(&self, status: u16) -> Outcome {
        if self.key_mismatch() {
            return Outcome::Mismatched;
        }
        let ours = match (self.service, status) {
            // A bad token or key, at any service.
            (_, 401 | 403) => true,
            (PushService::Fcm, _) => self.text.contains("UnauthorizedRegistration"),
            (PushService::Mozilla | PushService::Apple | PushService::Other, _) => {
                matches!(self.errno, Some(110..=114))
                    || matches!(
                        self.reason,
                        "BadTtl"
                            | "BadUrgency"
                            | "BadWebPushTopic"
                            | "BadWebPushRequest"
                            | "BadAuthorizationHeader"
                            | "BadJwtToken"
                            | "BadVapidPublicKey"
                    )
            }
            (PushService::Wns, _) => false,
        };
        if ours {
            Outcome::OurFault
        } else {
            Outcome::Refused
        }
    }

    /// Whether the service says that the subscription was made with another key.
    fn key_mismatch(&self) -> bool {
        let says = |words: &str| self.text.contains(words);
        match self.service {
            PushService::Fcm => {
                says("do not correspond to the credentials used to create the subscription")
                    || says("sender ID")
            }
            PushService::Mozilla => says("VAPID public key mismatch"),
            PushService::Apple => self.reason == "VapidPkHashMismatch",
            PushService::Wns => false,
            // A service that was added may run autopush.
            PushService::Other => {
                says("VAPID public key mismatch") || self.reason == "VapidPkHashMismatch"
            }
        }
    }

    /// Whether WNS answered 200 for a message that it dropped.
    fn wns_dropped(&self) -> bool {
        self.service == PushService::Wns
            && matches!(
                header(self.headers, "x-wns-status"),
                Some("dropped" | "channelthrottled")
            )
    }

    /// WNS's header, in seconds.
    fn continue_after(&self) -> Option<Duration> {
        seconds(header(self.headers, "x-wns-continue-after")?)
    }

    /// `Retry-After`, seconds or an HTTP date (RFC 9110, section 10.2.3), or else WNS's header.
    fn retry_after(&self) -> Option<Duration> {
        let Some(value) = header(self.headers, RETRY_AFTER.as_str()) else {
            return self.continue_after();
        };
        if let Some(seconds) = seconds(value) {
            return Some(seconds);
        }
        let date = DateTimeParser::new().parse_timestamp(value).ok()?;
        let wait = Duration::try_from(date.duration_since(self.now)).unwrap_or(Duration::ZERO);
        Some(wait.min(MAX_RETRY_AFTER))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
}

/// Whole seconds, of any number of digits.
fn seconds(value: &str) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| {
        value
            .parse()
            .map_or(MAX_RETRY_AFTER, Duration::from_secs)
            .min(MAX_RETRY_AFTER)
    })
}

/// One line of limited length, without control characters.
fn tidy(text: &str) -> Option<String> {
    let line = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|w| !w.is_empty());
    let line: String = line
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_WORDS)
        .collect();
    (!line.is_empty()).then_some(line)
}
