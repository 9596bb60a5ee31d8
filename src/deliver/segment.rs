//! A segment, page by page, from its checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::page::{Bounds, Flights, Pushed};
use super::pages::{Page, Pages};
use super::tally::{Before, Sum, parts};
use super::{Deliver, DeliverError, LEASE, Work};
use crate::campaign::verdict::Again;
use crate::campaign::{Campaign, Faults, PartKey, Tally};
use crate::queue::Queue;
use crate::store::parts::{Lease, NewPart, Segment, Settled, Settlement, Step, Taken};
use crate::store::row::Row;
use crate::webpush::{Endpoint, Origin};

/// A service that held a page up is given no place in the next ones for this long: its subscribers wait in parts of
/// their own.
const HOLD: Duration = Duration::from_secs(20);

/// Work that is done while the lease lasts, a page that keeps to a rate included.
const PACED_PAGE: Duration = Duration::from_secs(5);

/// What is the same for every page of one run.
struct Run<'a, 'b, Q> {
    work: &'a Work<'b, Q>,
    lease: Lease,
    faults: Faults,
    held: HashMap<Origin, Instant>,
    stragglers: JoinSet<Result<usize, DeliverError>>,
    /// Pushes that stragglers have under way.
    left_under_way: usize,
    next_start: Instant,
}

/// What a page has come to.
enum Passed {
    /// The next one.
    On,
    /// Everyone has been read.
    End,
    /// Our own fault stops the campaign.
    Halt(String),
    /// No time for another page.
    HandOver,
    /// The lease has passed to somebody else.
    Fenced,
}

impl<Q: Queue> Work<'_, Q> {
    pub(super) async fn segment(&self, number: u32) -> Result<(), DeliverError> {
        let part = PartKey::Segment(number);
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let taken = store
            .take_segment(&self.campaign.id, &part, &self.deliver.worker, LEASE, now)
            .await?;
        let (lease, segment) = match taken {
            Taken::Ours(lease, segment) => (lease, segment),
            Taken::Held(free_at) => return self.held(&part, free_at).await,
            Taken::Missing => {
                tracing::warn!(campaign = %self.campaign.id, %part, "a job of an unknown part");
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
        let number = lease.part.segment();
        let fresh = segment.resumed == self.campaign.resumed;
        let mut run = Run {
            work: self,
            lease,
            faults: if fresh {
                segment.faults
            } else {
                Faults::default()
            },
            held: HashMap::new(),
            stragglers: JoinSet::new(),
            left_under_way: 0,
            next_start: Instant::now(),
        };
        let of = (number, self.campaign.segments);
        let audience = &self.campaign.audience;
        let mut pages = Pages::new(self.deliver.store(), audience, of, segment.cursor);
        let most = self.page_size();
        let passed = loop {
            if self.is_over() {
                break Passed::HandOver;
            }
            let page = pages.next(most).await?;
            let passed = run.page(page).await?;
            if !matches!(passed, Passed::On) {
                break passed;
            }
            run.reap()?;
            let campaign = self.deliver.store().campaign(&self.campaign.id).await?;
            if !campaign.is_some_and(|campaign| campaign.status.is_under_way()) {
                self.give_back(&run.lease).await;
                return run.finish_stragglers().await;
            }
        };
        let part = run.lease.part.clone();
        match passed {
            Passed::On | Passed::End => {
                run.finish_stragglers().await?;
                self.close(number).await
            }
            Passed::Halt(reason) => {
                self.deliver
                    .broadcast
                    .halt(&self.campaign.id, &reason)
                    .await?;
                run.finish_stragglers().await
            }
            Passed::HandOver => {
                self.give_back(&run.lease).await;
                self.queue_again(&part, Duration::ZERO).await
            }
            Passed::Fenced => run.finish_stragglers().await,
        }
    }

    fn page_size(&self) -> usize {
        let (most, _) = self.deliver.shares();
        let Some(rate) = self.rate() else {
            return most;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number that is cut off at a page"
        )]
        let paced = (rate * PACED_PAGE.as_secs_f64()) as usize;
        paced.clamp(1, most)
    }
}

impl<Q: Queue> Run<'_, '_, Q> {
    async fn page(&mut self, page: Page) -> Result<Passed, DeliverError> {
        let deliver = self.work.deliver;
        let (rows, held) = self.sort_out(page.rows);
        let spread = self.work.spread(rows.len());
        let starts = starts(&mut self.next_start, self.work.rate());
        let mut flights = self.work.push.begin(rows, starts);
        let (_, room) = deliver.shares();
        let bounds = Bounds {
            stragglers: room.saturating_sub(self.left_under_way),
            stop: &self.work.stop,
            spread,
        };
        flights.land(bounds).await;
        let (mut pushed, under_way) = flights.take_landed();
        self.note(&pushed);
        pushed.aside.extend(held);

        let now = deliver.now();
        let expires = expires(self.work.campaign, self.work.push.message.ttl, now);
        let halt = self.faults.verdict();
        let mut sum = Sum::new(Before {
            attempts: 0,
            expires,
            retrying: false,
            now,
        });
        sum.add(pushed, halt.is_some());
        let over = self.work.is_over();
        let mut later = sum.later(|| deliver.store().new_retry(self.lease.part.segment()));
        let stragglers = self.stragglers_of(&flights, &mut sum, now, expires, over);
        later.extend(stragglers.iter().cloned());

        let until = (!page.last && !over && halt.is_none()).then(|| lease_end(now));
        let settlement = Settlement {
            campaign: &self.work.campaign.id,
            lease: &self.lease,
            step: Step::Segment {
                cursor: page.cursor.as_deref(),
                read: page.last,
                scanned: page.scanned,
                faults: &self.faults,
                resumed: self.work.campaign.resumed,
                until,
            },
            figures: std::mem::take(&mut sum.figures),
            gone: sum.gone.iter().collect(),
            later: later.clone(),
        };
        self.work.remember_keys(&sum.other_key).await;
        if deliver.store().settle(settlement, now).await? == Settled::Fenced {
            return Ok(Passed::Fenced);
        }
        deliver.broadcast.metrics.page(&sum.metrics, now);
        deliver.queue_parts(&self.work.campaign.id, &later).await?;
        if !over && under_way > 0 {
            self.leave(flights, stragglers, expires);
        }
        Ok(match halt {
            Some(reason) => Passed::Halt(reason),
            None if page.last => Passed::End,
            None if over => Passed::HandOver,
            None => Passed::On,
        })
    }

    /// Those whose service has held pages up wait in a part of their own.
    fn sort_out(&mut self, rows: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
        let now = Instant::now();
        self.held.retain(|_, until| *until > now);
        if self.held.is_empty() {
            return (rows, Vec::new());
        }
        let allowed = &self.work.deliver.allowed;
        rows.into_iter().partition(|row| {
            let endpoint = Endpoint::parse(&row.endpoint, allowed);
            !endpoint.is_ok_and(|endpoint| self.held.contains_key(endpoint.origin()))
        })
    }

    /// Learns from a page: what was answered, and which service had no place for everyone while others were done.
    fn note(&mut self, pushed: &Pushed) {
        let allowed = &self.work.deliver.allowed;
        for (row, report) in &pushed.done {
            if let Ok(endpoint) = Endpoint::parse(&row.endpoint, allowed) {
                self.faults.note(endpoint.origin(), report);
            }
        }
        let until = Instant::now() + HOLD;
        for row in &pushed.aside {
            if let Ok(endpoint) = Endpoint::parse(&row.endpoint, allowed) {
                self.held.insert(endpoint.origin().clone(), until);
            }
        }
    }

    /// The parts of those that are left under way. They are held by us; where we must stop, by nobody, and are pushed
    /// to again.
    fn stragglers_of(
        &self,
        left: &Flights,
        sum: &mut Sum,
        now: Timestamp,
        expires: Timestamp,
        over: bool,
    ) -> Vec<NewPart> {
        let endpoints: BTreeSet<String> = left.endpoints().map(str::to_owned).collect();
        for endpoint in &endpoints {
            sum.count(endpoint, Tally::Retrying);
        }
        if endpoints.is_empty() {
            return Vec::new();
        }
        let store = self.work.deliver.store();
        let end = lease_end(now);
        let again = Again {
            attempts: 1,
            not_before: if over { soon(now) } else { now },
            expires,
        };
        let new = || store.new_retry(self.lease.part.segment());
        let mut parts = parts(BTreeMap::from([(again, endpoints)]), new);
        if !over {
            let owner = store.owner(&self.work.deliver.worker);
            for part in &mut parts {
                part.held = Some((owner.clone(), end));
            }
        }
        parts
    }

    /// Waits for stragglers beside the next pages, and settles them.
    fn leave(&mut self, flights: Flights, parts: Vec<NewPart>, expires: Timestamp) {
        let number = parts.iter().map(|part| part.retry.endpoints.len()).sum();
        let straggling = Straggling {
            deliver: self.work.deliver.clone(),
            campaign: self.work.campaign.clone(),
            parts,
            expires,
        };
        self.left_under_way += number;
        self.stragglers.spawn(async move {
            straggling.settle(flights).await?;
            Ok(number)
        });
    }

    /// Takes note of stragglers that are settled.
    fn reap(&mut self) -> Result<(), DeliverError> {
        while let Some(settled) = self.stragglers.try_join_next() {
            self.left_under_way -= settled.map_err(DeliverError::Panicked)??;
        }
        Ok(())
    }

    async fn finish_stragglers(mut self) -> Result<(), DeliverError> {
        while let Some(settled) = self.stragglers.join_next().await {
            settled.map_err(DeliverError::Panicked)??;
        }
        Ok(())
    }
}

/// When each push may start, from `next` on.
pub(super) fn starts(next: &mut Instant, rate: Option<f64>) -> impl FnMut() -> Option<Instant> {
    let step = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
    *next = (*next).max(Instant::now());
    move || {
        let start = *next;
        *next += step?;
        Some(start)
    }
}

/// Pushes that a page has left under way.
struct Straggling<Q> {
    deliver: Deliver<Q>,
    campaign: Campaign,
    parts: Vec<NewPart>,
    expires: Timestamp,
}

impl<Q: Queue> Straggling<Q> {
    async fn settle(self, mut flights: Flights) -> Result<(), DeliverError> {
        flights.land_all().await;
        let (pushed, _) = flights.take_landed();
        let now = self.deliver.now();
        let mut done: HashMap<String, _> = pushed
            .done
            .into_iter()
            .map(|(row, report)| (row.endpoint.clone(), (row, report)))
            .collect();
        for part in self.parts {
            let Some((owner, _)) = part.held else {
                continue;
            };
            let lease = Lease {
                part: part.key,
                owner,
            };
            let pushed = part.retry.endpoints.iter();
            let pushed = Pushed {
                done: pushed.filter_map(|it| done.remove(it)).collect(),
                aside: Vec::new(),
            };
            let mut sum = Sum::new(Before {
                attempts: 0,
                expires: self.expires,
                retrying: true,
                now,
            });
            sum.add(pushed, false);
            self.deliver
                .settle_retry(&self.campaign, &lease, sum)
                .await?;
        }
        Ok(())
    }
}

/// When a message that is pushed now is of no use any more.
fn expires(campaign: &Campaign, ttl: u32, now: Timestamp) -> Timestamp {
    let from = now.max(campaign.created_at);
    let ttl = SignedDuration::from_secs(i64::from(ttl));
    from.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

fn lease_end(now: Timestamp) -> Timestamp {
    let lease = SignedDuration::try_from(LEASE).unwrap_or(SignedDuration::ZERO);
    now.checked_add(lease).unwrap_or(Timestamp::MAX)
}

/// Time for answers that may still come, and are not waited for.
fn soon(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(20))
        .unwrap_or(Timestamp::MAX)
}
