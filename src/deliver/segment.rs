//! Pushes to the rows of a segment for the first time, batch by batch, from its checkpoint.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Batch;
use super::in_flight::Bounds;
use super::outcome::BatchOutcome;
use super::reader::{Page, Reader};
use super::settle::Pushed;
use super::stragglers::Stragglers;
use super::work::{DeliverError, LEASE, Work};
use crate::campaign::PartKey;
use crate::campaign::checkpoint::{Checkpoint, Step};
use crate::ledger::{Lease, Segment, Taken};
use crate::queue::Queue;
use crate::time::after;
use webpush::Origin;

/// After this time, a worker hands over a segment of a campaign with a rate, so that other jobs get their turn.
const MAX_RATED_RUN: Duration = Duration::from_secs(30);

/// One worker's run through a segment.
struct Run<'a, Q> {
    work: &'a Work<Q>,
    lease: Lease,
    checkpoint: Checkpoint,
    stragglers: Stragglers,
}

/// Why a run ends.
enum End {
    /// The worker has read the segment to its end.
    Read,
    /// A fault of our own halts the campaign.
    Halted,
    /// The worker has no time for another batch.
    HandOver,
    /// The campaign was cancelled, halted or finished.
    CampaignOver,
    /// Another worker holds the segment.
    Fenced,
}

impl<Q: Queue> Work<Q> {
    pub(super) async fn segment(&self, number: u32) -> Result<(), DeliverError> {
        let part = PartKey::Segment(number);
        let (ledger, now) = (&self.deliver.store().ledger, self.deliver.now());
        let taken = ledger.take_segment(&self.campaign.id, &part, &self.deliver.worker, LEASE, now);
        let (lease, segment) = match taken.await? {
            Taken::Ours(lease, segment) => (lease, segment),
            Taken::Held(free_at) => return self.requeue_when_free(&part, free_at).await,
            Taken::Missing => {
                tracing::warn!("job of an unknown part");
                return Ok(());
            }
        };
        if segment.read {
            self.give_back(&lease).await;
            return self.close(number).await;
        }
        let run = self.run(lease.clone(), segment).await;
        if run.is_err() {
            self.give_back(&lease).await;
        }
        run
    }

    async fn run(&self, lease: Lease, segment: Segment) -> Result<(), DeliverError> {
        let mut run = Run {
            work: self,
            lease,
            checkpoint: Checkpoint::Reading {
                after: segment.cursor.clone(),
            },
            stragglers: Stragglers::default(),
        };
        let end = run.batches(segment.cursor).await;
        // Even after an error, the worker waits for the stragglers and writes their checkpoints.
        let stragglers = run.stragglers.finish().await;
        let end = end?;
        stragglers?;
        let part = &run.lease.part;
        match end {
            End::Read => self.close(part.segment()).await,
            End::HandOver => {
                self.give_back(&run.lease).await;
                self.requeue(part, Duration::ZERO).await
            }
            End::CampaignOver => {
                self.give_back(&run.lease).await;
                Ok(())
            }
            End::Halted | End::Fenced => Ok(()),
        }
    }

    /// Maximum rows of one batch.
    fn batch_size(&self) -> usize {
        let max = self.deliver.share().batch;
        self.slot_size().map_or(max, |slot| slot.min(max))
    }
}

impl<Q: Queue> Run<'_, Q> {
    /// Pushes batch after batch until the run ends.
    async fn batches(&mut self, cursor: Option<String>) -> Result<End, DeliverError> {
        let Work {
            deliver, campaign, ..
        } = self.work;
        let (store, of) = (
            deliver.store(),
            (self.lease.part.segment(), campaign.segments),
        );
        let mut reader = Reader::new(store, &campaign.audience, &deliver.allowed, of, cursor);
        let (max, began) = (self.work.batch_size(), Instant::now());
        loop {
            let has_rate = campaign.rate.is_some();
            if self.work.must_stop() || (has_rate && began.elapsed() > MAX_RATED_RUN) {
                return Ok(End::HandOver);
            }
            let page = reader.next(max).await?;
            if let ControlFlow::Break(end) = self.batch(page).await? {
                return Ok(end);
            }
            self.stragglers.reap()?;
            let campaign = store.ledger.campaign(&campaign.id).await?;
            if !campaign.is_some_and(|campaign| campaign.status().is_under_way()) {
                return Ok(End::CampaignOver);
            }
        }
    }

    /// Pushes a batch, settles it, and leaves its stragglers in flight.
    async fn batch(&mut self, page: Page) -> Result<ControlFlow<End>, DeliverError> {
        let work = self.work;
        let (share, circuits) = (work.deliver.share(), &work.deliver.circuits);
        let free = share.stragglers.saturating_sub(self.stragglers.count());
        let rows = page.recipients.len();
        let silent = self.silent(free < share.batch_stragglers);
        let (recipients, held_back) = circuits.sort_out(page.recipients, &silent);
        let segment = self.lease.part.segment();
        let slot = work.reserve_slot(segment, recipients.len()).await?;
        let mut batch = work.dispatcher.dispatch(recipients, slot.starts());
        let bounds = Bounds {
            stragglers: share.batch_stragglers.min(free),
            max_stragglers: free,
            spread: slot.spread,
        };
        batch.wait(bounds, &work.stop).await;
        let mut landed = batch.take_landed();
        circuits.open(landed.without_slot());
        let mut silent = batch.origins();
        let answered = landed.answered();
        silent.retain(|origin| !answered.contains(origin));
        landed.defer(held_back);

        let must_stop = work.must_stop();
        let settled = work
            .settle(Pushed {
                lease: &self.lease,
                checkpoint: &self.checkpoint,
                step: Step::Advance {
                    cursor: page.cursor,
                    is_last: page.is_last,
                    rows,
                    scanned: page.scanned,
                },
                renew: !page.is_last && !must_stop,
                landed,
                outcome: self.outcome_with_stragglers(&batch),
            })
            .await?;
        let Some(mut settled) = settled else {
            return Ok(ControlFlow::Break(End::Fenced));
        };
        self.checkpoint = settled.checkpoint.clone();
        let held = std::mem::take(&mut settled.held);
        self.stragglers.leave(work, batch, held, silent);
        let is_halted = settled.halt.is_some();
        work.follow_up(settled).await?;
        Ok(if is_halted {
            ControlFlow::Break(End::Halted)
        } else if self.checkpoint == Checkpoint::Read {
            ControlFlow::Break(End::Read)
        } else if must_stop {
            ControlFlow::Break(End::HandOver)
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Push services that get no pushes until their stragglers have landed. Empty unless few more stragglers may be
    /// left in flight.
    fn silent(&self, few_are_free: bool) -> HashSet<Origin> {
        if few_are_free {
            self.stragglers.silent()
        } else {
            HashSet::new()
        }
    }

    /// An outcome in which the pushes in flight become stragglers: retry parts that this worker holds.
    fn outcome_with_stragglers(&self, batch: &Batch) -> BatchOutcome {
        let (work, now) = (self.work, self.work.deliver.now());
        let mut outcome = BatchOutcome::of_first_pushes(work.ttl(), now);
        let owner = work.deliver.store().ledger.owner(&work.deliver.worker);
        let segment = self.lease.part.segment();
        let new_key = || work.new_retry(segment);
        outcome.hold(batch.endpoints(), &owner, after(now, LEASE), new_key);
        outcome
    }
}
