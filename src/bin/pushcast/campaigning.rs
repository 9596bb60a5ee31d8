//! Campaigns on one machine: the queue, its workers, and what a restart goes on with.

use std::sync::Arc;

use pushcast::announce::Announcer;
use pushcast::broadcast::Broadcast;
use pushcast::campaign::Job;
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::{Deliver, Stop, Stopper};
use pushcast::push::Pusher;
use pushcast::queue::LocalQueue;
use pushcast::store::Store;
use pushcast::store::parts::Worker;
use pushcast::webpush::AllowList;
use tokio::task::JoinHandle;

/// Jobs at a time: one reads and writes while the other encrypts.
const WORKERS: usize = 2;
/// Every segment of the embedded database is read by going through the whole table.
const MOST_SEGMENTS: u32 = 4;

/// What starts campaigns on this machine.
pub(crate) fn broadcast(store: Store) -> Broadcast<LocalQueue> {
    Broadcast {
        store,
        queue: LocalQueue::default(),
        announcer: Arc::new(Announcer::Log),
        clock: Clock::system(),
        chance: Chance::system(),
        most_segments: MOST_SEGMENTS,
    }
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
        let (stopper, stop) = Stopper::new();
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
    if let Err(error) = deliver.broadcast.recover().await {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "campaigns that were under way wait for a restart");
    }
    let queue = deliver.broadcast.queue.clone();
    let handle = |job: Job, again: bool| {
        // A panic costs one delivery of one job.
        let work = tokio::spawn(one(deliver.clone(), job, again, stop.clone()));
        async { work.await.unwrap_or(false) }
    };
    queue.run(WORKERS, &stop, handle).await;
}

/// Whether the job is done with.
async fn one(deliver: Deliver<LocalQueue>, job: Job, again: bool, stop: Stop) -> bool {
    let handled = deliver.handle(&job, again, stop).await;
    if let Err(error) = &handled {
        tracing::error!(
            campaign = %job.campaign,
            part = %job.part,
            error = error as &dyn std::error::Error,
            "a job comes again"
        );
    }
    handled.is_ok()
}
