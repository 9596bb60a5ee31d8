//! Pushes to the endpoints of a retry part again, as one batch.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::batch::{Dispatcher, Landed};
use super::in_flight::Bounds;
use super::outcome::BatchOutcome;
use super::recipient::Recipient;
use super::settle::Pushed;
use super::work::{DeliverError, LEASE, Work};
use crate::campaign::PartKey;
use crate::campaign::checkpoint::{Checkpoint, Step};
use crate::campaign::part::Retry;
use crate::campaign::retry_state::RetryState;
use crate::ledger::{Lease, Taken};
use crate::queue::Queue;
use crate::time::until;

impl<Q: Queue> Work<Q> {
    pub(super) async fn retry(&self, part: &PartKey) -> Result<(), DeliverError> {
        let (ledger, now) = (&self.deliver.store().ledger, self.deliver.now());
        let id = &self.campaign.id;
        match ledger.due(id, part).await? {
            // A job that waits in the queue costs nothing. Here it would occupy a worker.
            Some(due) if due > now => return self.requeue(part, until(due, now)).await,
            Some(_) => {}
            None => return self.close(part.segment()).await,
        }
        let wait = self.time_to_slot(part.segment()).await?;
        if !wait.is_zero() {
            return self.requeue(part, wait).await;
        }
        if self.must_stop() {
            return self.requeue(part, Duration::ZERO).await;
        }
        let taken = ledger.take_retry(id, part, &self.deliver.worker, LEASE, now);
        let (lease, retry) = match taken.await? {
            Taken::Ours(lease, retry) => (lease, retry),
            Taken::Held(free_at) => return self.requeue_when_free(part, free_at).await,
            Taken::Missing => return self.close(part.segment()).await,
        };
        let done = self.push_again(&lease, retry, now).await;
        if done.is_err() {
            self.give_back(&lease).await;
        }
        done?;
        self.close(part.segment()).await
    }

    async fn push_again(
        &self,
        lease: &Lease,
        retry: Retry,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        let Retry { endpoints, state } = &retry;
        let (landed, outcome) = if state.expires.is_some_and(|expires| now >= expires) {
            let mut outcome = BatchOutcome::of_retries(*state, self.ttl(), now);
            for endpoint in endpoints {
                outcome.expired(endpoint);
            }
            (Landed::default(), outcome)
        } else {
            self.push_retries(lease, &retry, now).await?
        };
        let pushed = Pushed {
            lease,
            checkpoint: &Checkpoint::Retrying {
                endpoints: retry.endpoints,
            },
            step: Step::Finish,
            renew: false,
            landed,
            outcome,
        };
        match self.settle(pushed).await? {
            Some(settled) => self.follow_up(settled).await,
            None => Ok(()),
        }
    }

    /// Pushes to the part's endpoints, up to the size of a sending slot.
    async fn push_retries(
        &self,
        lease: &Lease,
        retry: &Retry,
        now: Timestamp,
    ) -> Result<(Landed, BatchOutcome), DeliverError> {
        let subscribers = &self.deliver.store().subscribers;
        let rows = subscribers.rows(&retry.endpoints).await?;
        let existing: HashSet<String> = rows.iter().map(|row| row.endpoint.clone()).collect();
        let rows = rows.into_iter();
        let recipients = rows
            .map(|row| Recipient::new(row, &self.deliver.allowed))
            .collect();
        let circuits = &self.deliver.circuits;
        let (mut recipients, held_back) = circuits.sort_out(recipients, &HashSet::new());
        let slot_size = self.slot_size().unwrap_or(usize::MAX).min(recipients.len());
        let postponed = recipients.split_off(slot_size);

        let slot = self
            .reserve_slot(lease.part.segment(), recipients.len())
            .await?;
        let dispatcher = self.dispatcher_for(&retry.state, now);
        let mut batch = dispatcher.dispatch(recipients, slot.starts());
        let bounds = Bounds {
            spread: slot.spread,
            ..Bounds::default()
        };
        batch.wait(bounds, &self.stop).await;
        let mut landed = batch.take_landed();
        // Only one job at a time tries a service that does not answer.
        let mut silent = landed.unreachable();
        silent.extend(landed.without_slot());
        silent.extend(batch.origins());
        let answered = landed.answered();
        silent.retain(|origin| !answered.contains(origin));
        circuits.open(silent);
        landed.defer(held_back);

        let now = self.deliver.now();
        let mut outcome = BatchOutcome::of_retries(retry.state, self.ttl(), now);
        for endpoint in retry.endpoints.iter().filter(|it| !existing.contains(*it)) {
            outcome.vanished(endpoint);
        }
        for endpoint in batch.endpoints() {
            outcome.unanswered(&endpoint);
        }
        for recipient in &postponed {
            outcome.postponed(recipient);
        }
        Ok((landed, outcome))
    }

    /// A dispatcher of the message with the rest of its TTL, so that a push service drops the message when it would
    /// have dropped that of the first push.
    fn dispatcher_for(&self, state: &RetryState, now: Timestamp) -> Dispatcher {
        let mut message = (*self.dispatcher.message).clone();
        let left = until(state.expiry(message.ttl, now), now).as_secs().max(1);
        message.ttl = message.ttl.min(u32::try_from(left).unwrap_or(u32::MAX));
        Dispatcher {
            message: message.into(),
            ..self.dispatcher.clone()
        }
    }
}
