//! Campaigns on one machine: the queue, its workers, and the recovery after a restart.

use std::sync::Arc;
use std::time::Duration;

use pushcast::announce::Announcer;
use pushcast::broadcast::{Broadcast, BroadcastError, firing};
use pushcast::campaign::Job;
use pushcast::campaign::request::CampaignRequest;
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::{CircuitBreaker, Deliver};
use pushcast::json::{Invalid, Members};
use pushcast::ledger::Worker;
use pushcast::queue::LocalQueue;
use pushcast::queue::{Stop, Stopper};
use pushcast::schedule::local::Fired;
use pushcast::store::Store;
use pushcast::telemetry::metrics::Metrics;
use tokio::task::JoinHandle;
use webpush::AllowList;
use webpush::{Limits, Pusher};

/// Jobs that run at the same time: one reads and writes while the other encrypts.
const WORKERS: usize = 2;
/// Segments of a campaign, at most one per worker, because all segments share the campaign's rate.
const MAX_SEGMENTS: u32 = 2;
/// Delays before recovery is tried again. The delay doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Starts campaigns on this machine.
pub(crate) fn broadcast(store: Store) -> Broadcast<LocalQueue> {
    Broadcast {
        store,
        queue: LocalQueue::default(),
        announcer: Arc::new(Announcer::Log),
        metrics: Metrics::off(),
        clock: Clock::system(),
        chance: Chance::system(),
        most_segments: MAX_SEGMENTS,
    }
}

/// Starts the campaign of a firing. Repeating the same firing does not start a second campaign.
pub(crate) async fn fire(
    broadcast: &Broadcast<LocalQueue>,
    fired: &Fired,
) -> Result<(), BroadcastError> {
    let id = firing(&fired.schedule, &fired.scheduled_time.to_string())
        .map_err(|reason| Invalid::new("scheduled_time", reason))?;
    let request = CampaignRequest::read(Members::of(&fired.message)?)?;
    broadcast.start(request, id).await.map(drop)
}

/// The running workers.
pub(crate) struct Workers {
    stopper: Stopper,
    running: JoinHandle<()>,
}

impl Workers {
    /// Queues the unfinished jobs in the ledger, then handles them and all new jobs.
    pub(crate) fn start(
        broadcast: Broadcast<LocalQueue>,
        pusher: Pusher,
        allowed: AllowList,
    ) -> Self {
        // The workers wait for pushes in flight, so that no subscriber is pushed to again after a restart.
        let (stopper, stop) = Stopper::new(Limits::default().total);
        let worker = Worker {
            name: format!("{:016x}", broadcast.chance.draw()),
            // This process has locked the data folder, so every other worker that holds a lease is dead.
            alone: true,
        };
        let deliver = Deliver {
            broadcast,
            pusher,
            allowed,
            worker,
            at_once: WORKERS,
            circuits: CircuitBreaker::default(),
        };
        let running = tokio::spawn(work(deliver, stop));
        Self { stopper, running }
    }

    /// Tells the workers to write their checkpoints and stop, and waits for them.
    pub(crate) async fn stop(self) {
        self.stopper.stop();
        // An error here is a panic. It was logged where it happened, and the process is about to end.
        drop(self.running.await);
    }
}

async fn work(deliver: Deliver<LocalQueue>, stop: Stop) {
    let queue = deliver.broadcast.queue.clone();
    let handle = |job: Job, redelivered: bool| {
        // A task of its own limits a panic to one delivery of one job.
        let work = tokio::spawn(handle_job(deliver.clone(), job, redelivered, stop.clone()));
        async { work.await.unwrap_or(false) }
    };
    let recovered = async {
        tokio::select! {
            () = stop.reached() => {}
            () = recover(&deliver.broadcast) => {}
        }
    };
    tokio::join!(recovered, queue.run(WORKERS, &stop, handle));
}

/// Continues every unfinished campaign. Retries until each could be read.
async fn recover(broadcast: &Broadcast<LocalQueue>) {
    let mut delay = FIRST_DELAY;
    while let Err(error) = broadcast.recover().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an unfinished campaign cannot be continued yet, it will be retried"
        );
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Handles a job. Returns whether the queue may delete it.
async fn handle_job(deliver: Deliver<LocalQueue>, job: Job, redelivered: bool, stop: Stop) -> bool {
    deliver.handle(&job, redelivered, stop).await.is_ok()
}
