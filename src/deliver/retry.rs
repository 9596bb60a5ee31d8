//! A list of endpoints that are pushed to again.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::page::Bounds;
use super::slow::{answered, origins};
use super::tally::{Before, Sum};
use super::{Deliver, DeliverError, LEASE, Work};
use crate::campaign::{Campaign, Faults, PartKey};
use crate::ledger::{Lease, Retry, Taken};
use crate::ledger::{Settled, Settlement, Step};
use crate::queue::Queue;
use crate::subscribers::Row;
use crate::time::until;
use webpush::{KeyId, Outcome};

/// Keys that are written at a time.
const REMEMBERED: usize = 32;

impl<Q: Queue> Work<'_, Q> {
    pub(super) async fn retry(&self, part: &PartKey) -> Result<(), DeliverError> {
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let id = &self.campaign.id;
        match store.ledger.due(id, part).await? {
            // Waiting costs nothing in the queue, and a worker's time here.
            Some(due) if due > now => return self.queue_again(part, until(due, now)).await,
            Some(_) => {}
            None => return self.close(part.segment()).await,
        }
        let turn = self.next_turn(part.segment()).await?;
        if !turn.is_zero() {
            return self.queue_again(part, turn).await;
        }
        if self.is_over() {
            return self.queue_again(part, Duration::ZERO).await;
        }
        let taken = store
            .ledger
            .take_retry(id, part, &self.deliver.worker, LEASE, now)
            .await?;
        let (lease, retry) = match taken {
            Taken::Ours(lease, retry) => (lease, retry),
            Taken::Held(free_at) => return self.held(part, free_at).await,
            Taken::Missing => return self.close(part.segment()).await,
        };
        let done = self.push_again(&lease, &retry, now).await;
        if done.is_err() {
            self.give_back(&lease).await;
        }
        done?;
        self.close(part.segment()).await
    }

    async fn push_again(
        &self,
        lease: &Lease,
        retry: &Retry,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        let again = retry.again;
        let ttl = self.push.message.ttl;
        let before = |now| Before {
            again: Some(again),
            ttl,
            now,
        };
        if again.expires.is_some_and(|expires| now >= expires) {
            let mut sum = Sum::new(before(now));
            for endpoint in &retry.endpoints {
                sum.expired(endpoint);
            }
            let none = Faults::default();
            return self
                .deliver
                .settle_retry(self.campaign, lease, sum, &none)
                .await;
        }
        let rows = self
            .deliver
            .store()
            .subscribers
            .rows(&retry.endpoints)
            .await?;
        let there: HashSet<String> = rows.iter().map(|row| row.endpoint.clone()).collect();
        let allowed = &self.deliver.allowed;
        let (mut rows, held) = self.deliver.slow.sort_out(rows, allowed, &HashSet::new());
        let most = self.turn().unwrap_or(usize::MAX).min(rows.len());
        let others = rows.split_off(most);
        let mut push = self.push.clone();
        // The service is to keep it no longer than it would have.
        let left = until(before(now).expires(), now).as_secs().max(1);
        let mut message = (*push.message).clone();
        message.ttl = message.ttl.min(u32::try_from(left).unwrap_or(u32::MAX));
        push.message = message.into();

        let pace = self.take_turn(lease.part.segment(), rows.len()).await?;
        let mut flights = push.begin(rows, pace.starts());
        let bounds = Bounds {
            few: 0,
            most: 0,
            stop: &self.stop,
            spread: pace.takes,
        };
        flights.land(bounds).await;
        let (mut pushed, _) = flights.take_landed();
        // Who answers nobody is asked by one job, not by all of them.
        let unreachable = pushed.done.iter();
        let unreachable = unreachable.filter(|(_, it)| *it.outcome() == Outcome::Unreachable);
        let unreachable = unreachable.map(|(row, _)| &row.endpoint[..]);
        let aside = pushed.aside.iter().map(|row| &row.endpoint[..]);
        let mut silent = origins(unreachable.chain(aside).chain(flights.endpoints()), allowed);
        let answered = answered(&pushed, allowed);
        silent.retain(|origin| !answered.contains(origin));
        self.deliver.slow.hold(silent);
        pushed.aside.extend(held);
        let faults = push.faults_of(&pushed);
        let halt = self.deliver.verdict(self.campaign, &faults).await?;
        let now = self.deliver.now();
        let mut sum = Sum::new(before(now));
        for endpoint in retry.endpoints.iter().filter(|it| !there.contains(*it)) {
            sum.vanished(endpoint);
        }
        sum.add(pushed, halt.is_some());
        for endpoint in flights.endpoints() {
            sum.unanswered(endpoint);
        }
        for row in &others {
            sum.in_turn(&row.endpoint, now);
        }
        self.deliver
            .settle_retry(self.campaign, lease, sum, &faults)
            .await?;
        if let Some(reason) = halt {
            self.deliver.broadcast.halt(self.campaign, &reason).await?;
        }
        Ok(())
    }
}

impl<Q: Queue> Deliver<Q> {
    /// Writes down what became of a retry part, whose item goes.
    pub(super) async fn settle_retry(
        &self,
        campaign: &Campaign,
        lease: &Lease,
        mut sum: Sum,
        faults: &Faults,
    ) -> Result<(), DeliverError> {
        let later = sum.later(|| self.store().ledger.new_retry(lease.part.segment()));
        let settlement = Settlement {
            campaign,
            lease,
            step: Step::Retry,
            figures: std::mem::take(&mut sum.figures),
            faults,
            gone: sum.gone.iter().collect(),
            later: later.clone(),
        };
        let now = self.now();
        if self.store().ledger.settle(settlement, now).await? == Settled::Done {
            self.broadcast.metrics.page(&sum.metrics, now);
            self.queue_parts(&campaign.id, &later).await?;
            self.remember_keys(&sum.other_key).await;
        }
        Ok(())
    }

    /// The next push to these rows begins with the right key. Where that cannot be written, it tries again; where there
    /// is only one key, there is nothing to remember.
    pub(super) async fn remember_keys(&self, rows: &[(Row, KeyId)]) {
        if self.pusher.has_one_key() {
            return;
        }
        let remember = async |(row, key): &(Row, KeyId)| {
            if let Err(error) = self.store().subscribers.remember_key(row, key).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the key of a subscription could not be remembered"
                );
            }
        };
        for some in rows.chunks(REMEMBERED) {
            join_all(some.iter().map(remember)).await;
        }
    }
}
