//! One push: encrypt, sign, build the request, post it, read the answer.
//!
//! | file | owns |
//! |---|---|
//! | this one | the order of the steps, and which key to sign with |
//! | [`begun`] | whether a push can still be given up without a trace |
//! | [`once`] | the same in one call, for one message |
//! | `many` | one message to many |
//! | [`client`] | one HTTP exchange: time-outs, capped answers, no redirects |
//! | [`pace`] | how many requests a service gets at once |
//! | [`places`] | who may send now, and who waits |
//! | `pool` | connections: how many, to whom, and who waits for one |
//! | [`signer`] | tokens of keys that are here, or in KMS |
//! | [`tls`] | whom to trust |
//! | `connection` | opening one, HTTP/2 or HTTP/1.1 |

pub mod begun;
pub mod client;
mod connection;
mod many;
pub mod once;
pub mod pace;
pub mod places;
mod pool;
mod row;
pub mod signer;
pub mod tls;

use std::error::Error as _;
use std::time::{Duration, Instant};

pub use begun::Begun;
pub use client::{Client, Limits};
pub use once::{PushError, webpush};
pub use pace::Verdict;
pub use places::{Congestion, Places};
pub use signer::Signer;

use self::client::RawAnswer;
use crate::clock::Clock;
use crate::webpush::{Answer, KeyId, Message, Outcome, Subscription, Vapid, build_authorized};

/// What became of one push.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it means.
    pub outcome: Outcome,
    /// The service's answer, if there was one.
    pub answer: Option<Answer>,
    /// Why there was none.
    pub failure: Option<String>,
    /// The key under which it was accepted.
    pub accepted_with: Option<KeyId>,
    /// From the push to its answer, where there was one: waiting for a place at the service is part of it.
    pub latency: Option<Duration>,
}

impl Report {
    /// A push that was not made.
    pub fn not_sent(outcome: Outcome, why: impl ToString) -> Self {
        Self {
            outcome,
            answer: None,
            failure: Some(why.to_string()),
            accepted_with: None,
            latency: None,
        }
    }

    /// HTTP status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }

    /// The service's words, or why there are none.
    pub fn detail(&self) -> Option<String> {
        self.failure
            .clone()
            .or_else(|| self.answer.as_ref().and_then(Answer::detail))
    }
}

/// Pushes messages to subscriptions. Keeps connections and tokens: make one, and keep it.
#[derive(Debug, Clone)]
pub struct Pusher {
    client: Client,
    signer: Signer,
    clock: Clock,
}

impl Pusher {
    /// Signs with the keys of `signer`, which a [`Keyring`](crate::webpush::Keyring) is too, and posts through
    /// `client`.
    pub fn new(client: Client, signer: Signer, clock: Clock) -> Self {
        Self {
            client,
            signer,
            clock,
        }
    }

    /// The same pusher, whose [signer](Signer::without_past_failures) asks KMS again for what it has failed with until now.
    pub fn without_past_failures(&self) -> Self {
        Self {
            signer: self.signer.without_past_failures(),
            ..self.clone()
        }
    }

    /// Whether every push is signed with the same key.
    pub fn has_one_key(&self) -> bool {
        self.signer.keyring().all().nth(1).is_none()
    }

    /// Pushes one message to one subscription, signed with the current key.
    pub async fn push(&self, subscription: &Subscription, message: &Message) -> Report {
        self.push_made_with(None, subscription, message).await
    }

    /// Pushes to a subscription that was made with a known key; when the service says that it was made with another
    /// one, tries the others.
    pub async fn push_made_with(
        &self,
        made_with: Option<&KeyId>,
        subscription: &Subscription,
        message: &Message,
    ) -> Report {
        self.push_watched(made_with, subscription, message, &Begun::default())
            .await
    }

    /// [`push_made_with`](Self::push_made_with), which tells when it can no longer be given up as if it had never
    /// been. Begun under one key, it stays begun while others are tried.
    pub async fn push_watched(
        &self,
        made_with: Option<&KeyId>,
        subscription: &Subscription,
        message: &Message,
        begun: &Begun,
    ) -> Report {
        let mut last = None;
        for vapid in self.signer.keyring().in_order(made_with) {
            let report = self.push_signed(vapid, subscription, message, begun).await;
            if report.outcome != Outcome::Mismatched {
                return report;
            }
            last = Some(report);
        }
        last.expect("a keyring has a key")
    }

    async fn push_signed(
        &self,
        vapid: &Vapid,
        subscription: &Subscription,
        message: &Message,
        begun: &Begun,
    ) -> Report {
        let endpoint = &subscription.endpoint;
        let (origin, now) = (endpoint.origin(), self.clock.now());
        let authorization = match self.signer.authorization(vapid, origin, now).await {
            Ok(authorization) => authorization,
            Err(error) => return Report::not_sent(error.outcome(), error),
        };
        let request = match build_authorized(subscription, message, authorization) {
            Ok(request) => request,
            Err(error) => return Report::not_sent(error.outcome(), error),
        };
        let judge = |raw: RawAnswer| {
            let (status, now) = (raw.status.as_u16(), self.clock.now());
            let answer = Answer::read(endpoint.service(), status, &raw.headers, &raw.body, now);
            let verdict = Verdict::of(&answer, now);
            (answer, verdict)
        };
        let began = Instant::now();
        let exchange = self.client.exchange_judged(origin, request, begun, judge);
        match exchange.await {
            Ok(answer) => {
                let accepted = answer.outcome == Outcome::Accepted;
                Report {
                    outcome: answer.outcome.clone(),
                    answer: Some(answer),
                    failure: None,
                    accepted_with: accepted.then(|| vapid.id().clone()),
                    latency: Some(began.elapsed()),
                }
            }
            Err(error) => {
                let why = match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                tracing::debug!(%endpoint, why, "no answer");
                Report::not_sent(Outcome::Unreachable, why)
            }
        }
    }
}
