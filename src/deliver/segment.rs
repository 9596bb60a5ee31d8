//! A segment, page by page, from its checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::page::{Bounds, Flights, Push, Pushed};
use super::pages::{Page, Pages};
use super::slow::{answered, origins};
use super::tally::{Before, Sum, parts};
use super::{Deliver, DeliverError, LEASE, Work};
use crate::campaign::verdict::{Again, after};
use crate::campaign::{Campaign, PartKey, Tally};
use crate::ledger::{Lease, NewPart, Segment, Taken};
use crate::ledger::{Settled, Settlement, Step};
use crate::queue::Queue;
use crate::queue::Stop;
use crate::subscribers::Row;
use webpush::Origin;

/// So long a campaign that keeps to a rate is worked on before others have their turn.
const PACED: Duration = Duration::from_secs(30);

/// What is the same for every page of one run.
struct Run<'a, 'b, Q> {
    work: &'a Work<'b, Q>,
    lease: Lease,
    stragglers: JoinSet<Result<(), DeliverError>>,
    left: HashMap<Id, Left>,
}

/// Stragglers of one page.
struct Left {
    number: usize,
    /// Services that have answered nobody of the page. Until these have landed, they get no more.
    silent: HashSet<Origin>,
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
    /// The campaign has ended.
    Over,
    /// The lease has passed to somebody else.
    Fenced,
}

impl<Q: Queue> Work<'_, Q> {
    pub(super) async fn segment(&self, number: u32) -> Result<(), DeliverError> {
        let part = PartKey::Segment(number);
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let taken = store
            .ledger
            .take_segment(&self.campaign.id, &part, &self.deliver.worker, LEASE, now)
            .await?;
        let (lease, segment) = match taken {
            Taken::Ours(lease, segment) => (lease, segment),
            Taken::Held(free_at) => return self.held(&part, free_at).await,
            Taken::Missing => {
                tracing::warn!("a job of an unknown part");
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
            stragglers: JoinSet::new(),
            left: HashMap::new(),
        };
        let passed = run.pages(segment.cursor).await;
        // Whatever has ended it: what they have begun is waited for, and written down.
        let stragglers = run.finish_stragglers().await;
        let passed = passed?;
        stragglers?;
        let part = &run.lease.part;
        match passed {
            Passed::End => self.close(part.segment()).await,
            Passed::HandOver => {
                self.give_back(&run.lease).await;
                self.queue_again(part, Duration::ZERO).await
            }
            Passed::Over => {
                self.give_back(&run.lease).await;
                Ok(())
            }
            Passed::On | Passed::Halt(_) | Passed::Fenced => Ok(()),
        }
    }

    /// Rows of one page.
    fn page_size(&self) -> usize {
        let most = self.deliver.share().page;
        self.turn().map_or(most, |turn| turn.min(most))
    }
}

impl<Q: Queue> Run<'_, '_, Q> {
    /// Page after page, until something ends it.
    async fn pages(&mut self, cursor: Option<String>) -> Result<Passed, DeliverError> {
        let Work {
            deliver, campaign, ..
        } = self.work;
        let of = (self.lease.part.segment(), campaign.segments);
        let mut pages = Pages::new(deliver.store(), &campaign.audience, of, cursor);
        let most = self.work.page_size();
        let began = Instant::now();
        loop {
            let is_paced = campaign.rate.is_some();
            if self.work.is_over() || (is_paced && began.elapsed() > PACED) {
                return Ok(Passed::HandOver);
            }
            let page = pages.next(most).await?;
            let passed = self.page(page).await?;
            if let Passed::Halt(reason) = &passed {
                deliver.broadcast.halt(campaign, reason).await?;
            }
            if !matches!(passed, Passed::On) {
                return Ok(passed);
            }
            self.reap()?;
            let campaign = deliver.store().ledger.campaign(&campaign.id).await?;
            if !campaign.is_some_and(|campaign| campaign.status().is_under_way()) {
                return Ok(Passed::Over);
            }
        }
    }

    async fn page(&mut self, page: Page) -> Result<Passed, DeliverError> {
        let deliver = self.work.deliver;
        let share = deliver.share();
        let under_way: usize = self.left.values().map(|left| left.number).sum();
        let room = share.left.saturating_sub(under_way);
        let allowed = &deliver.allowed;
        let silent = self.silent_now(room);
        let (rows, held) = deliver.slow.sort_out(page.rows, allowed, &silent);
        let segment = self.lease.part.segment();
        let pace = self.work.take_turn(segment, rows.len()).await?;
        let mut flights = self.work.push.begin(rows, pace.starts());
        let bounds = Bounds {
            few: share.few.min(room),
            most: room,
            stop: &self.work.stop,
            spread: pace.takes,
        };
        flights.land(bounds).await;
        let (mut pushed, under_way) = flights.take_landed();
        let faults = self.work.push.faults_of(&pushed);
        // It had no place for some while others were done.
        let aside = pushed.aside.iter().map(|row| &row.endpoint[..]);
        deliver.slow.hold(origins(aside, allowed));
        let silent = self.silent(&pushed, &flights);
        pushed.aside.extend(held);

        let now = deliver.now();
        let halt = deliver.verdict(self.work.campaign, &faults).await?;
        let mut sum = Sum::new(Before {
            again: None,
            ttl: self.work.push.message.ttl,
            now,
        });
        sum.add(pushed, halt.is_some());
        let over = self.work.is_over();
        let mut later = sum.later(|| deliver.store().ledger.new_retry(segment));
        let stragglers = self.stragglers_of(&flights, &mut sum);
        later.extend(stragglers.iter().cloned());

        let until = (!page.last && !over && halt.is_none()).then(|| after(now, LEASE));
        let settlement = Settlement {
            campaign: self.work.campaign,
            lease: &self.lease,
            step: Step::Segment {
                cursor: page.cursor.as_deref(),
                read: page.last,
                scanned: page.scanned,
                until,
            },
            figures: std::mem::take(&mut sum.figures),
            faults: &faults,
            gone: sum.gone.iter().collect(),
            later: later.clone(),
        };
        if deliver.store().ledger.settle(settlement, now).await? == Settled::Fenced {
            return Ok(Passed::Fenced);
        }
        if under_way > 0 {
            self.leave(flights, stragglers, silent);
        }
        deliver.broadcast.metrics.page(&sum.metrics, now);
        deliver.queue_parts(&self.work.campaign.id, &later).await?;
        if !over {
            deliver.remember_keys(&sum.other_key).await;
        }
        Ok(match halt {
            Some(reason) => Passed::Halt(reason),
            None if page.last => Passed::End,
            None if over => Passed::HandOver,
            None => Passed::On,
        })
    }

    /// Services that are silent, when there is hardly room to leave more under way.
    fn silent_now(&self, room: usize) -> HashSet<Origin> {
        if room >= self.work.deliver.share().few {
            return HashSet::new();
        }
        let silent = self.left.values().flat_map(|left| &left.silent);
        silent.cloned().collect()
    }

    /// Services at which some of a page are left under way, and which have answered nobody of it.
    fn silent(&self, pushed: &Pushed, left: &Flights) -> HashSet<Origin> {
        let allowed = &self.work.deliver.allowed;
        let answered = answered(pushed, allowed);
        let mut silent = origins(left.endpoints(), allowed);
        silent.retain(|origin| !answered.contains(origin));
        silent
    }

    /// The parts of those that are left under way, held by us.
    fn stragglers_of(&self, left: &Flights, sum: &mut Sum) -> Vec<NewPart> {
        let endpoints: BTreeSet<String> = left.endpoints().map(str::to_owned).collect();
        for endpoint in &endpoints {
            sum.count(endpoint, Tally::Retrying);
        }
        if endpoints.is_empty() {
            return Vec::new();
        }
        let store = self.work.deliver.store();
        let now = self.work.deliver.now();
        let again = Again {
            not_before: now,
            ..sum.unanswered_again()
        };
        let new = || store.ledger.new_retry(self.lease.part.segment());
        let mut parts = parts(BTreeMap::from([(again, endpoints)]), new);
        let owner = store.ledger.owner(&self.work.deliver.worker);
        for part in &mut parts {
            part.held = Some((owner.clone(), after(now, LEASE)));
        }
        parts
    }

    /// Waits for stragglers beside the next pages, and settles them.
    fn leave(&mut self, flights: Flights, parts: Vec<NewPart>, silent: HashSet<Origin>) {
        let number = parts.iter().map(|part| part.retry.endpoints.len()).sum();
        let straggling = Straggling {
            deliver: self.work.deliver.clone(),
            campaign: self.work.campaign.clone(),
            push: self.work.push.clone(),
            stop: self.work.stop.clone(),
            parts,
        };
        let waiting = straggling.settle(flights).in_current_span();
        let waiting = self.stragglers.spawn(waiting);
        self.left.insert(waiting.id(), Left { number, silent });
    }

    /// Takes note of stragglers that are settled.
    fn reap(&mut self) -> Result<(), DeliverError> {
        while let Some(settled) = self.stragglers.try_join_next_with_id() {
            let (id, settled) = settled.map_err(DeliverError::Panicked)?;
            self.left.remove(&id);
            settled?;
        }
        Ok(())
    }

    /// Waits for all of them. One that fails does not end the others, which are about to write down what they know.
    async fn finish_stragglers(&mut self) -> Result<(), DeliverError> {
        let mut finished = Ok(());
        while let Some(settled) = self.stragglers.join_next().await {
            let settled = settled.map_err(DeliverError::Panicked);
            finished = finished.and(settled.and_then(|settled| settled).map(drop));
        }
        finished
    }
}

/// Pushes that a page has left under way.
struct Straggling<Q> {
    deliver: Deliver<Q>,
    campaign: Campaign,
    push: Push,
    stop: Stop,
    parts: Vec<NewPart>,
}

impl<Q: Queue> Straggling<Q> {
    async fn settle(self, mut flights: Flights) -> Result<(), DeliverError> {
        let bounds = Bounds {
            few: 0,
            most: 0,
            stop: &self.stop,
            spread: Duration::ZERO,
        };
        flights.land(bounds).await;
        let (pushed, _) = flights.take_landed();
        let now = self.deliver.now();
        let by_endpoint = |row: &Row| row.endpoint.clone();
        let done = pushed.done.into_iter();
        let mut done: HashMap<String, _> = done
            .map(|pushed| (by_endpoint(&pushed.0), pushed))
            .collect();
        let aside = pushed.aside.into_iter();
        let mut aside: HashMap<String, _> = aside.map(|row| (by_endpoint(&row), row)).collect();
        for part in self.parts {
            let Some((owner, _)) = part.held else {
                continue;
            };
            let lease = Lease {
                part: part.key,
                owner,
            };
            // What they had behind them is nothing: this is their first push.
            let first = Again {
                attempts: 0,
                expires: None,
                ..part.retry.again
            };
            let mut sum = Sum::new(Before {
                again: Some(first),
                ttl: self.push.message.ttl,
                now,
            });
            let mut pushed = Pushed::default();
            for endpoint in &part.retry.endpoints {
                match (done.remove(endpoint), aside.remove(endpoint)) {
                    (Some(answered), _) => pushed.done.push(answered),
                    (None, Some(row)) => pushed.aside.push(row),
                    (None, None) => sum.unanswered(endpoint),
                }
            }
            let faults = self.push.faults_of(&pushed);
            sum.add(pushed, false);
            self.deliver
                .settle_retry(&self.campaign, &lease, sum, &faults)
                .await?;
        }
        Ok(())
    }
}
