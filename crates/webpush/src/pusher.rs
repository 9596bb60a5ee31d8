//! Pushes many messages over kept connections, with kept tokens.

mod many;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Outcome};
use crate::client::{Client, Dispatched, RawAnswer, Signal};
use crate::clock::Clock;
use crate::message::Message;
use crate::request::build_authorized;
use crate::signer::{Authorizer, Signer};
use crate::subscription::Subscription;
use crate::vapid::{KeyId, Keyring, Vapid};

/// The result of one push: an answer of the push service, or the reason why there is none.
#[derive(Debug, Clone)]
pub enum Report {
    /// The push service answered.
    Answered {
        /// Its answer.
        answer: Answer,
        /// The key that signed the push.
        key: KeyId,
        /// Time from the push to its answer, with the wait for a permit to send.
        latency: Duration,
    },
    /// There is no answer: the request could not be built, or the exchange failed.
    Unanswered {
        /// What that means for the message.
        outcome: Outcome,
        /// The error and its causes, as one line.
        reason: String,
    },
}

impl Report {
    /// The report of a push that has no answer.
    pub fn unanswered(outcome: Outcome, reason: impl ToString) -> Self {
        Self::Unanswered {
            outcome,
            reason: reason.to_string(),
        }
    }

    /// What became of the message.
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

    /// The key with which the service accepted the message, if it did.
    pub fn accepted_with(&self) -> Option<&KeyId> {
        match self {
            Self::Answered { answer, key, .. } if answer.outcome == Outcome::Accepted => Some(key),
            Self::Answered { .. } | Self::Unanswered { .. } => None,
        }
    }

    /// Time from the push to its answer, if there is one.
    pub fn latency(&self) -> Option<Duration> {
        match self {
            Self::Answered { latency, .. } => Some(*latency),
            Self::Unanswered { .. } => None,
        }
    }

    /// HTTP status of the answer, if there is one.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// The service's own words, or why there is no answer.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Answered { answer, .. } => answer.detail(),
            Self::Unanswered { reason, .. } => Some(reason.clone()),
        }
    }
}

/// Pushes messages to subscriptions. It keeps connections and tokens, so make one and keep it. A clone shares both.
#[derive(Debug, Clone)]
pub struct Pusher {
    client: Client,
    authorizer: Arc<Authorizer>,
    clock: Clock,
}

impl Pusher {
    /// A pusher that signs with the keys of `keyring` and posts through `client`.
    pub fn new(client: Client, keyring: impl Into<Arc<Keyring>>, clock: Clock) -> Self {
        Self {
            client,
            authorizer: Arc::new(Authorizer::new(keyring.into(), None)),
            clock,
        }
    }

    /// The same pusher with `signer` for the keys whose private half is not in this process ([`Vapid::elsewhere`]).
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

    /// Whether the keyring has a single key.
    pub fn has_one_key(&self) -> bool {
        self.authorizer.keyring().all().nth(1).is_none()
    }

    /// Pushes one message to one subscription. The current key signs; if the service says that the subscription was made
    /// with another key, the older keys are tried.
    pub async fn push(&self, subscription: &Subscription, message: &Message) -> Report {
        self.push_made_with(None, subscription, message).await
    }

    /// Pushes to a subscription that was made with the key `made_with`. That key signs first.
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
    /// Once set, `dispatched` stays set while other keys are tried.
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
        let read = |raw: RawAnswer| {
            let (status, now) = (raw.status.as_u16(), self.clock.now());
            let answer = Answer::read(endpoint.service(), status, &raw.headers, &raw.body, now);
            let signal = Signal::of(&answer, now);
            (answer, signal)
        };
        let began = Instant::now();
        let exchange = self
            .client
            .exchange_and_read(origin, request, dispatched, read);
        match exchange.await {
            Ok(answer) => Report::Answered {
                answer,
                key: vapid.id().clone(),
                latency: began.elapsed(),
            },
            Err(error) => {
                let reason = with_causes(&error);
                tracing::debug!(%endpoint, reason, "no answer");
                Report::unanswered(Outcome::Unreachable, reason)
            }
        }
    }
}

/// An error and all its causes, as one line. A cause that repeats the text before it is left out.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}
