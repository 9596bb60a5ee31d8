//! Pushing many messages: keeps connections and tokens.

mod many;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Client, Dispatched, RawAnswer, Signal};
use crate::clock::Clock;
use crate::signer::{Authorizer, Signer};
use crate::vapid::{KeyId, Keyring, Vapid};
use crate::{Answer, Message, Outcome, Subscription, build_authorized};

/// What became of one push.
#[derive(Debug, Clone)]
pub enum Report {
    /// The push service answered.
    Answered {
        /// Its answer.
        answer: Answer,
        /// The key that the push was signed with.
        key: KeyId,
        /// From the push to its answer. Waiting for a permit to send is part of it.
        latency: Duration,
    },
    /// There is no answer: the push was not made, or the exchange failed.
    Unanswered {
        /// What that means.
        outcome: Outcome,
        /// Why, in words.
        reason: String,
    },
}

impl Report {
    /// A push that has no answer.
    pub fn unanswered(outcome: Outcome, reason: impl ToString) -> Self {
        Self::Unanswered {
            outcome,
            reason: reason.to_string(),
        }
    }

    /// What it means.
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Answered { answer, .. } => &answer.outcome,
            Self::Unanswered { outcome, .. } => outcome,
        }
    }

    /// The service's answer, if there is one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered { answer, .. } => Some(answer),
            Self::Unanswered { .. } => None,
        }
    }

    /// The key under which the service accepted the message.
    pub fn accepted_with(&self) -> Option<&KeyId> {
        match self {
            Self::Answered { answer, key, .. } if answer.outcome == Outcome::Accepted => Some(key),
            Self::Answered { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// From the push to its answer, if there is one.
    pub fn latency(&self) -> Option<Duration> {
        match self {
            Self::Answered { latency, .. } => Some(*latency),
            Self::Unanswered { .. } => None,
        }
    }

    /// HTTP status of the answer.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// The service's words, or why there is no answer.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Answered { answer, .. } => answer.detail(),
            Self::Unanswered { reason, .. } => Some(reason.clone()),
        }
    }
}

/// Pushes messages to subscriptions. Keeps connections and tokens: make one, and keep it. A clone shares them.
#[derive(Debug, Clone)]
pub struct Pusher {
    client: Client,
    authorizer: Arc<Authorizer>,
    clock: Clock,
}

impl Pusher {
    /// Signs with the keys of `keyring`, and posts through `client`.
    pub fn new(client: Client, keyring: impl Into<Arc<Keyring>>, clock: Clock) -> Self {
        Self {
            client,
            authorizer: Arc::new(Authorizer::new(keyring.into(), None)),
            clock,
        }
    }

    /// The same with `signer` for those keys whose private half is not in this process ([`Vapid::elsewhere`]).
    pub fn with_signer(mut self, signer: Arc<dyn Signer>) -> Self {
        let keyring = Arc::clone(self.authorizer.keyring());
        self.authorizer = Arc::new(Authorizer::new(keyring, Some(signer)));
        self
    }

    /// Asks the signer again for tokens that it has refused until now, also within the second after the refusal. Call it
    /// when new work begins, so that a refusal from before does not stop it.
    pub fn forget_failures(&self) {
        self.authorizer.forget_failures();
    }

    /// Whether every push is signed with the same key.
    pub fn has_one_key(&self) -> bool {
        self.authorizer.keyring().all().nth(1).is_none()
    }

    /// Pushes one message to one subscription, signed with the current key.
    pub async fn push(&self, subscription: &Subscription, message: &Message) -> Report {
        self.push_made_with(None, subscription, message).await
    }

    /// Pushes to a subscription that was made with a known key. When the service says that it was made with another
    /// key, tries the others.
    pub async fn push_made_with(
        &self,
        made_with: Option<&KeyId>,
        subscription: &Subscription,
        message: &Message,
    ) -> Report {
        self.push_tracked(made_with, subscription, message, &Dispatched::default())
            .await
    }

    /// [`push_made_with`](Self::push_made_with), which sets `dispatched` once the service may have seen the message.
    /// Set under one key, it stays set while others are tried.
    pub async fn push_tracked(
        &self,
        made_with: Option<&KeyId>,
        subscription: &Subscription,
        message: &Message,
        dispatched: &Dispatched,
    ) -> Report {
        let mut last = None;
        for vapid in self.authorizer.keyring().in_order(made_with) {
            let report = self
                .push_signed(vapid, subscription, message, dispatched)
                .await;
            if *report.outcome() != Outcome::Mismatched {
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
        dispatched: &Dispatched,
    ) -> Report {
        let endpoint = &subscription.endpoint;
        let (origin, now) = (endpoint.origin(), self.clock.now());
        let authorization = match self.authorizer.authorization(vapid, origin, now).await {
            Ok(authorization) => authorization,
            Err(error) => return Report::unanswered(error.outcome(), error),
        };
        let request = match build_authorized(subscription, message, authorization) {
            Ok(request) => request,
            Err(error) => return Report::unanswered(error.outcome(), error),
        };
        let judge = |raw: RawAnswer| {
            let (status, now) = (raw.status.as_u16(), self.clock.now());
            let answer = Answer::read(endpoint.service(), status, &raw.headers, &raw.body, now);
            let signal = Signal::of(&answer, now);
            (answer, signal)
        };
        let began = Instant::now();
        let exchange = self
            .client
            .exchange_judged(origin, request, dispatched, judge);
        match exchange.await {
            Ok(answer) => Report::Answered {
                answer,
                key: vapid.id().clone(),
                latency: began.elapsed(),
            },
            Err(error) => {
                let reason = match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                tracing::debug!(%endpoint, reason, "no answer");
                Report::unanswered(Outcome::Unreachable, reason)
            }
        }
    }
}
