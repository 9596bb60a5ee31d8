//! Campaigns on one machine: the queue, its workers, and what a restart goes on with.

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

/// Jobs at a time: one reads and writes while the other encrypts.
const WORKERS: usize = 2;
/// As many as are worked on at a time: a rate is shared out among them.
const MOST_SEGMENTS: u32 = 2;
/// Waits before what a restart could not go on with is tried again; they double.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What starts campaigns on this machine.
pub(crate) fn broadcast(store: Store) -> Broadcast<LocalQueue> {
    Broadcast {
        store,
        queue: LocalQueue::default(),
        announcer: Arc::new(Announcer::Log),
        metrics: Metrics::off(),
        clock: Clock::system(),
        chance: Chance::system(),
        most_segments: MOST_SEGMENTS,
    }
}

/// Starts the campaign of a firing. The same firing again is the same campaign.
pub(crate) async fn fire(
    broadcast: &Broadcast<LocalQueue>,
    fired: &Fired,
) -> Result<(), BroadcastError> {
    let id = firing(&fired.schedule, &fired.scheduled_time.to_string())
        .map_err(|reason| Invalid::new("scheduled_time", reason))?;
    let request = CampaignRequest::read(Members::of(&fired.message)?)?;
    broadcast.start(request, id).await.map(drop)
}

/// Workers that are running.
pub(crate) struct Workers {
    stopper: Stopper,
    running: JoinHandle<()>,
}

impl Workers {
    /// Queues what the ledger says is not done, and works on it and on what comes.
    pub(crate) fn start(
        broadcast: Broadcast<LocalQueue>,
        pusher: Pusher,
        allowed: AllowList,
    ) -> Self {
        // Who is pushed to is waited for, so that nobody is pushed to again after a restart.
        let (stopper, stop) = Stopper::new(Limits::default().total);
        let worker = Worker {
            name: format!("{:016x}", broadcast.chance.draw()),
            // The data folder is locked: whoever else has a lease is dead.
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

    /// Lets the workers write down what they have done, and waits for them.
    pub(crate) async fn stop(self) {
        self.stopper.stop();
        // A panic was logged where it happened, and whatever it was, the process is about to end.
        drop(self.running.await);
    }
}

async fn work(deliver: Deliver<LocalQueue>, stop: Stop) {
    let queue = deliver.broadcast.queue.clone();
    let handle = |job: Job, again: bool| {
        // A panic costs one delivery of one job.
        let work = tokio::spawn(one(deliver.clone(), job, again, stop.clone()));
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

/// Goes on with every campaign that was under way; with one that cannot be read now, later.
async fn recover(broadcast: &Broadcast<LocalQueue>) {
    let mut wait = FIRST_WAIT;
    while let Err(error) = broadcast.recover().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a campaign that was under way cannot go on yet, it is tried again"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Whether the job is done with.
async fn one(deliver: Deliver<LocalQueue>, job: Job, again: bool, stop: Stop) -> bool {
    deliver.handle(&job, again, stop).await.is_ok()
}
