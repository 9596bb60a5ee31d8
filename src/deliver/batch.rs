//! A batch of pushes: the worker dispatches them together, and waits for their answers together.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::in_flight::{Action, Bounds, Event, InFlight};
use super::recipient::Recipient;
use crate::campaign::Faults;
use crate::clock::Clock;
use crate::queue::Stop;
use webpush::{Dispatched, Message, Origin, Outcome, Pusher, Report};

/// Dispatches the pushes of one campaign.
#[derive(Debug, Clone)]
pub(super) struct Dispatcher {
    pub(super) pusher: Pusher,
    pub(super) clock: Clock,
    pub(super) message: Arc<Message>,
}

/// The pushes of a batch, until they are taken out as [`Landed`].
pub(super) struct Batch {
    pushes: BTreeMap<usize, Push>,
    running: FuturesUnordered<BoxFuture<'static, (usize, Option<Report>)>>,
}

struct Push {
    recipient: Arc<Recipient>,
    /// Number of its push service in the batch.
    service: usize,
    dispatched: Arc<Dispatched>,
    abort: AbortHandle,
    state: State,
}

enum State {
    InFlight,
    Ended(Box<Report>),
    /// The worker has taken it back before a byte was sent.
    Deferred,
}

/// The pushes of a batch that are no longer in flight.
#[derive(Default)]
pub(super) struct Landed {
    /// Pushes that were made, with their reports.
    pub(super) done: Vec<(Arc<Recipient>, Report)>,
    /// Recipients that were not pushed to, and will be later.
    pub(super) deferred: Vec<Arc<Recipient>>,
}

impl Dispatcher {
    /// Starts a push to each recipient, at the time from `start`, or at once if that is None.
    pub(super) fn dispatch(
        &self,
        recipients: Vec<Recipient>,
        mut start: impl FnMut() -> Option<Instant>,
    ) -> Batch {
        let mut services: Vec<Option<Origin>> = Vec::new();
        let (mut pushes, running) = (BTreeMap::new(), FuturesUnordered::new());
        for (i, recipient) in recipients.into_iter().enumerate() {
            let service = number_of(&recipient, &mut services);
            let recipient = Arc::new(recipient);
            let dispatched = Arc::new(Dispatched::default());
            let (abort, registration) = AbortHandle::new_pair();
            let push = self
                .clone()
                .push(Arc::clone(&recipient), Arc::clone(&dispatched), start());
            let push = Abortable::new(push, registration);
            let push: BoxFuture<'static, _> = Box::pin(async move { (i, push.await.ok()) });
            running.push(push);
            let push = Push {
                recipient,
                service,
                dispatched,
                abort,
                state: State::InFlight,
            };
            pushes.insert(i, push);
        }
        Batch { pushes, running }
    }

    async fn push(
        self,
        recipient: Arc<Recipient>,
        dispatched: Arc<Dispatched>,
        start: Option<Instant>,
    ) -> Report {
        if let Some(start) = start {
            sleep_until(start).await;
        }
        let now = self.clock.now();
        recipient
            .push(&self.pusher, &self.message, now, &dispatched)
            .await
    }
}

impl Batch {
    /// Waits until all pushes have ended, or until the rest may stay in flight as stragglers.
    pub(super) async fn wait(&mut self, bounds: Bounds, stop: &Stop) {
        let began = Instant::now();
        let services = self.pushes.values().map(|push| push.service);
        let mut state = InFlight::new(bounds, services);
        let mut action = state.begin();
        loop {
            let deadline = match action {
                Action::Leave => return,
                Action::Defer => {
                    let services = self.defer_undispatched();
                    action = state.step(Event::Deferred(&services), began.elapsed());
                    continue;
                }
                Action::WaitUntil(deadline) => deadline,
            };
            let event = tokio::select! {
                biased;
                Some((i, report)) = self.running.next() => match self.ended(i, report) {
                    Some(event) => event,
                    None => continue,
                },
                () = stop.reached(), if !state.is_stopping() => Event::StopRequested {
                    last_answer: stop.last_answer().saturating_duration_since(began),
                },
                () = sleep_until(began + deadline) => Event::Timer,
            };
            action = state.step(event, began.elapsed());
        }
    }

    /// Takes out the pushes that are no longer in flight.
    pub(super) fn take_landed(&mut self) -> Landed {
        let mut landed = Landed::default();
        for (i, push) in std::mem::take(&mut self.pushes) {
            match push.state {
                State::Ended(report) => landed.done.push((push.recipient, *report)),
                State::Deferred => landed.deferred.push(push.recipient),
                State::InFlight => {
                    self.pushes.insert(i, push);
                }
            }
        }
        landed
    }

    /// The endpoints of the pushes in flight.
    pub(super) fn endpoints(&self) -> BTreeSet<String> {
        let recipients = self.pushes.values().map(|push| &push.recipient);
        recipients.map(|it| it.endpoint().to_owned()).collect()
    }

    /// The push services of the pushes in flight.
    pub(super) fn origins(&self) -> HashSet<Origin> {
        origins(self.pushes.values().map(|push| &push.recipient))
    }

    fn ended(&mut self, i: usize, report: Option<Report>) -> Option<Event<'static>> {
        // A deferred push was counted when it was taken back.
        let push = self.pushes.get_mut(&i)?;
        let report = report?;
        let event = Event::Ended {
            service: push.service,
            is_answer: report.answer().is_some(),
        };
        push.state = State::Ended(report.into());
        Some(event)
    }

    /// Takes back the pushes that were not dispatched. Returns the numbers of their services.
    fn defer_undispatched(&mut self) -> Vec<usize> {
        let mut services = Vec::new();
        for push in self.pushes.values_mut() {
            if matches!(push.state, State::InFlight) && !push.dispatched.is_set() {
                push.abort.abort();
                push.state = State::Deferred;
                services.push(push.service);
            }
        }
        services
    }
}

impl Landed {
    /// Adds recipients that were not pushed to.
    pub(super) fn defer(&mut self, recipients: Vec<Recipient>) {
        self.deferred.extend(recipients.into_iter().map(Arc::new));
    }

    /// Faults of our own that the answers name: in our token, key or headers.
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        for (recipient, report) in &self.done {
            if let Some(origin) = recipient.origin() {
                faults.note(origin, report);
            }
        }
        faults
    }

    /// Push services that have answered at least one push.
    pub(super) fn answered(&self) -> HashSet<Origin> {
        let answered = self.done.iter().filter(|(_, it)| it.answer().is_some());
        origins(answered.map(|(recipient, _)| recipient))
    }

    /// Push services that could not be reached for at least one push.
    pub(super) fn unreachable(&self) -> HashSet<Origin> {
        let is_unreachable = |report: &Report| *report.outcome() == Outcome::Unreachable;
        let unreachable = self.done.iter().filter(|(_, it)| is_unreachable(it));
        origins(unreachable.map(|(recipient, _)| recipient))
    }

    /// Push services that had no free slot for at least one push.
    pub(super) fn without_slot(&self) -> HashSet<Origin> {
        origins(self.deferred.iter())
    }

    /// Takes out the pushes to these endpoints.
    pub(super) fn take(&mut self, endpoints: &BTreeSet<String>) -> Self {
        let is_one = |recipient: &Recipient| endpoints.contains(recipient.endpoint());
        Self {
            done: self.done.extract_if(.., |(it, _)| is_one(it)).collect(),
            deferred: self.deferred.extract_if(.., |it| is_one(it)).collect(),
        }
    }
}

fn origins<'a>(recipients: impl Iterator<Item = &'a Arc<Recipient>>) -> HashSet<Origin> {
    let distinct: HashSet<&Origin> = recipients.filter_map(|it| it.origin()).collect();
    distinct.into_iter().cloned().collect()
}

/// Number of the recipient's push service in the batch. A batch has few services, so a list is enough.
fn number_of(recipient: &Recipient, services: &mut Vec<Option<Origin>>) -> usize {
    let origin = recipient.origin();
    let known = services.iter().position(|it| it.as_ref() == origin);
    known.unwrap_or_else(|| {
        services.push(origin.cloned());
        services.len() - 1
    })
}
