//! A list of endpoints that are pushed to again.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::page::Bounds;
use super::segment::starts;
use super::tally::{Before, Sum};
use super::{Deliver, DeliverError, LEASE, Work, until};
use crate::campaign::{Campaign, Faults, PartKey};
use crate::queue::Queue;
use crate::store::parts::{Lease, Retry, Settled, Settlement, Step, Taken};
use crate::store::row::Row;
use crate::webpush::{Endpoint, KeyId};

/// Time for answers that may still come when the worker had to stop.
const LOST: SignedDuration = SignedDuration::from_secs(20);

impl<Q: Queue> Work<'_, Q> {
    pub(super) async fn retry(&self, part: &PartKey) -> Result<(), DeliverError> {
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let id = &self.campaign.id;
        match store.due(id, part).await? {
            // Waiting costs nothing in the queue, and a worker's time here.
            Some(due) if due > now => return self.queue_again(part, until(due, now)).await,
            Some(_) => {}
            None => return self.close(part.segment()).await,
        }
        if self.is_over() {
            return self.queue_again(part, Duration::ZERO).await;
        }
        let taken = store
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
        let before = |now| Before {
            attempts: retry.again.attempts,
            expires: retry.again.expires,
            retrying: true,
            now,
        };
        if now >= retry.again.expires {
            let mut sum = Sum::new(before(now));
            for endpoint in &retry.endpoints {
                sum.expired(endpoint);
            }
            return self.deliver.settle_retry(self.campaign, lease, sum).await;
        }
        let rows = self.deliver.store().rows(&retry.endpoints).await?;
        let there: HashSet<String> = rows.iter().map(|row| row.endpoint.clone()).collect();
        let mut push = self.push.clone();
        // The service is to keep it no longer than it would have.
        let left = until(retry.again.expires, now).as_secs().max(1);
        let mut message = (*push.message).clone();
        message.ttl = message.ttl.min(u32::try_from(left).unwrap_or(u32::MAX));
        push.message = message.into();

        let (spread, mut next) = (self.spread(rows.len()), Instant::now());
        let mut flights = push.begin(rows, starts(&mut next, self.rate()));
        let bounds = Bounds {
            stragglers: 0,
            stop: &self.stop,
            spread,
        };
        flights.land(bounds).await;
        let (pushed, _) = flights.take_landed();
        let mut faults = Faults::default();
        for (row, report) in &pushed.done {
            if let Ok(endpoint) = Endpoint::parse(&row.endpoint, &self.deliver.allowed) {
                faults.note(endpoint.origin(), report);
            }
        }
        let halt = faults.verdict();
        let mut sum = Sum::new(before(self.deliver.now()));
        for endpoint in retry.endpoints.iter().filter(|it| !there.contains(*it)) {
            sum.vanished(endpoint);
        }
        sum.add(pushed, halt.is_some());
        for endpoint in flights.endpoints() {
            sum.again(endpoint, retry.again.attempts + 1, LOST);
        }
        self.deliver.settle_retry(self.campaign, lease, sum).await?;
        if let Some(reason) = halt {
            self.deliver
                .broadcast
                .halt(&self.campaign.id, &reason)
                .await?;
        }
        Ok(())
    }

    /// Rows that were accepted under another key than they say.
    pub(super) async fn remember_keys(&self, rows: &[(Row, KeyId)]) {
        self.deliver.remember_keys(rows).await;
    }
}

impl<Q: Queue> Deliver<Q> {
    /// Writes down what became of a retry part, whose item goes.
    pub(super) async fn settle_retry(
        &self,
        campaign: &Campaign,
        lease: &Lease,
        mut sum: Sum,
    ) -> Result<(), DeliverError> {
        self.remember_keys(&sum.other_key).await;
        let later = sum.later(|| self.store().new_retry(lease.part.segment()));
        let settlement = Settlement {
            campaign: &campaign.id,
            lease,
            step: Step::Retry,
            figures: std::mem::take(&mut sum.figures),
            gone: sum.gone.iter().collect(),
            later: later.clone(),
        };
        let now = self.now();
        if self.store().settle(settlement, now).await? == Settled::Done {
            self.broadcast.metrics.page(&sum.metrics, now);
            self.queue_parts(&campaign.id, &later).await?;
        }
        Ok(())
    }

    /// The next push to these rows begins with the right key. Where that cannot be written, it tries again.
    async fn remember_keys(&self, rows: &[(Row, KeyId)]) {
        for (row, key) in rows {
            if let Err(error) = self.store().remember_key(row, key).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the key of a subscription could not be remembered"
                );
            }
        }
    }
}
