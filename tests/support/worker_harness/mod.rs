//! Everything that a campaign needs, in this process and under the test's control: subscribers and ledger in memory, a
//! queue that follows the test's clock, an event bus, and workers that die or fail at any step.

mod event_bus;
mod fault_plan;
mod queue;
mod time;

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::{Credentials, Region};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use pushcast::announce::Announcer;
use pushcast::aws::behavior_version;
use pushcast::broadcast::Broadcast;
use pushcast::campaign::{Campaign, CampaignId};
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::{CircuitBreaker, Deliver};
use pushcast::dynamo::{embedded, schema};
use pushcast::json::Change;
use pushcast::ledger::Worker;
use pushcast::queue::Stop;
use pushcast::store::Store;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::registration::{MadeWith, Registration};
use serde_json::Value;
use tempfile::NamedTempFile;
use webpush::{AllowList, Keyring, Origin, Subscription, VapidKey};
use webpush::{Client as PushClient, Limits, Pusher};

use self::event_bus::Bus;
pub(crate) use self::fault_plan::{FaultPlan, StepFault};
pub(crate) use self::queue::{Jobs, Payload, QueuedDelivery};
use self::time::Time;
use super::aws::faulty_dynamodb::{Fault, Seen, with_faults};
use super::push_service::PushService;
use super::random::impatient;
use super::subscribers::browser::Browser;

/// A failed delivery is repeated after this time. It is shorter than a lease, so the next worker meets the dead one's
/// lease.
const REDELIVERED_AFTER: Duration = Duration::from_secs(60);
/// More deliveries than any campaign here needs.
const MAX_DELIVERIES: usize = 5_000;
/// Long enough for another worker to come first.
const ANSWER_DELAY: Duration = Duration::from_millis(200);

/// The end of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Succeeded,
    Failed,
    /// The worker died.
    Died,
}

/// The machinery without workers.
pub(crate) struct WorkerHarness {
    pub(crate) services: Vec<PushService>,
    pub(crate) store: Store,
    pub(crate) time: Time,
    client: Client,
    chance: Chance,
    keyring: Arc<Keyring>,
    roots: NamedTempFile,
    waiting: Arc<Mutex<Vec<QueuedDelivery>>>,
    announced: Arc<Mutex<Vec<Value>>>,
}

impl WorkerHarness {
    /// Starts this number of push services.
    pub(crate) async fn new(services: usize) -> Self {
        let mut roots = NamedTempFile::new().expect("a file");
        let mut started = Vec::new();
        for _ in 0..services {
            let service = PushService::start().await;
            let root = std::fs::read(service.ca_file()).expect("a certificate");
            roots.write_all(&root).expect("room on the disk");
            started.push(service);
        }
        let client = embedded::client(None).expect("it opens");
        let tables = embedded::tables();
        schema::create_missing(&client, &tables)
            .await
            .expect("tables");
        let chance = impatient();
        Self {
            services: started,
            store: Store::new(client.clone(), tables, chance.clone()),
            time: Time::new(),
            client,
            chance,
            keyring: Keyring::new(VapidKey::generate().expect("a key"), vec![], None).into(),
            roots,
            waiting: Arc::default(),
            announced: Arc::default(),
        }
    }

    fn allowed(&self) -> AllowList {
        let origins = self.services.iter().map(PushService::origin);
        AllowList::new(origins.map(|origin| Origin::parse(&origin).expect("an origin")))
    }

    /// Adds `n` subscribers of one of the services.
    pub(crate) async fn add_subscribers(&self, service: usize, n: usize) -> Vec<Browser> {
        let allowed = self.allowed();
        let browsers: Vec<_> = (0..n)
            .map(|_| self.services[service].subscribe(None))
            .collect();
        let registration = |browser: &Browser| Registration {
            subscription: Subscription::from_json(&browser.to_json().to_string(), &allowed)
                .expect("it is good"),
            expires_at: None,
            tags: Change::Keep,
            user: Change::Keep,
            timezone: Change::Keep,
            vapid: MadeWith::Unknown,
            created_at: None,
        };
        let registrations: Vec<_> = browsers.iter().map(registration).collect();
        for some in registrations.chunks(MAX_AT_ONCE) {
            let stored = self
                .store
                .subscribers
                .subscribe_all(some, self.time.now())
                .await;
            assert_eq!(stored.expect("it stores"), some.len());
        }
        browsers
    }

    /// A worker without faults. With a hundred jobs at once, its page is a hundredth of
    /// [`MAX_UNRECORDED_PUSHES`](pushcast::campaign::MAX_UNRECORDED_PUSHES).
    pub(crate) fn worker(&self, name: &str, at_once: usize) -> Deliver<Jobs> {
        self.worker_with(name, at_once, &FaultPlan::new(None))
    }

    /// A worker whose every second update conflicts with another transaction.
    pub(crate) fn conflicting(&self, name: &str) -> Deliver<Jobs> {
        let updates = AtomicUsize::new(0);
        let (client, _) = with_faults(&self.client, 1, move |operation| {
            let collides = operation == "UpdateItem"
                && updates.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            collides.then_some(Fault::Refused(400, "TransactionConflictException"))
        });
        self.worker_with_client(client, name, 1, &FaultPlan::new(None))
    }

    /// A worker whose `at`th database request, counted from 0, is answered late. Also returns its requests.
    pub(crate) fn late(&self, name: &str, at: usize) -> (Deliver<Jobs>, Seen) {
        let requests = AtomicUsize::new(0);
        let (client, seen) = with_faults(&self.client, 1, move |_| {
            let is_late = requests.fetch_add(1, Ordering::Relaxed) == at;
            is_late.then_some(Fault::Late(ANSWER_DELAY))
        });
        (
            self.worker_with_client(client, name, 1, &FaultPlan::new(None)),
            seen,
        )
    }

    /// A worker with faults.
    pub(crate) fn worker_with(
        &self,
        name: &str,
        at_once: usize,
        faults: &Arc<FaultPlan>,
    ) -> Deliver<Jobs> {
        let watched = Arc::clone(faults);
        let (client, _) = with_faults(&self.client, 1, move |_| {
            watched.step().map(|fault| match fault {
                StepFault::Dies => Fault::Dies,
                StepFault::DiesAfter => Fault::DiesAfter,
                StepFault::Fails => Fault::Refused(400, "AccessDeniedException"),
                StepFault::FailsAfter => Fault::LostAnswer,
            })
        });
        self.worker_with_client(client, name, at_once, faults)
    }

    fn worker_with_client(
        &self,
        client: Client,
        name: &str,
        at_once: usize,
        faults: &Arc<FaultPlan>,
    ) -> Deliver<Jobs> {
        let bus = SharedHttpConnector::new(Bus {
            announced: Arc::clone(&self.announced),
            faults: Arc::clone(faults),
        });
        let bus = aws_sdk_eventbridge::Config::builder()
            .behavior_version(behavior_version())
            .region(Region::from_static("local"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| bus.clone()));
        let time = self.time.clone();
        let push = PushClient::new(Limits::default(), Some(self.roots.path())).expect("a client");
        Deliver {
            broadcast: Broadcast {
                store: Store::new(client, embedded::tables(), self.chance.clone()),
                queue: Jobs {
                    waiting: Arc::clone(&self.waiting),
                    time: self.time.clone(),
                    faults: Arc::clone(faults),
                },
                announcer: Arc::new(Announcer::EventBridge {
                    client: aws_sdk_eventbridge::Client::from_conf(bus.build()),
                    bus: None,
                }),
                clock: Clock::from_fn(move || time.now()),
                chance: self.chance.clone(),
                metrics: pushcast::telemetry::metrics::Metrics::off(),
                most_segments: 1_000,
            },
            // Tokens are checked against the system's clock.
            pusher: Pusher::new(push, Arc::clone(&self.keyring), Clock::system()),
            allowed: self.allowed(),
            worker: Worker {
                name: name.to_owned(),
                alone: false,
            },
            at_once,
            circuits: CircuitBreaker::default(),
        }
    }

    /// Queues an event that starts a campaign.
    pub(crate) fn event(&self, event: &Value) {
        self.waiting.lock().unwrap().push(QueuedDelivery {
            due: self.time.now(),
            payload: Payload::Event(event.clone()),
            redelivered: false,
        });
    }

    /// Queues the delivery again, some time later.
    pub(crate) fn redeliver(&self, mut waiting: QueuedDelivery) {
        waiting.due = self.time.later(REDELIVERED_AFTER);
        waiting.redelivered = true;
        self.waiting.lock().unwrap().push(waiting);
    }

    /// The next delivery that is due, if there is one.
    pub(crate) fn due(&self) -> Option<QueuedDelivery> {
        let mut waiting = self.waiting.lock().unwrap();
        let now = self.time.now();
        let at = waiting.iter().position(|it| it.due <= now)?;
        Some(waiting.remove(at))
    }

    /// The next delivery. The clock moves on until it is due.
    pub(crate) fn next(&self) -> Option<QueuedDelivery> {
        let first = self.waiting.lock().unwrap().iter().map(|it| it.due).min()?;
        self.time.advance_to(first);
        self.due()
    }

    /// The queue's process has died, and its jobs with it.
    pub(crate) fn lose_jobs(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.retain(|it| matches!(it.payload, Payload::Event(_)));
    }

    /// The waiting deliveries.
    pub(crate) fn waiting(&self) -> Vec<QueuedDelivery> {
        self.waiting.lock().unwrap().clone()
    }

    /// Makes deliveries until none is left.
    pub(crate) async fn run_to_the_end(&self, worker: &Deliver<Jobs>) {
        for _ in 0..MAX_DELIVERIES {
            let Some(waiting) = self.next() else {
                return;
            };
            if self.deliver(worker, &waiting).await != Attempt::Succeeded {
                self.redeliver(waiting);
            }
        }
        panic!("it does not end: {:?}", self.waiting());
    }

    /// Makes one delivery.
    pub(crate) async fn deliver(
        &self,
        worker: &Deliver<Jobs>,
        waiting: &QueuedDelivery,
    ) -> Attempt {
        let work = async {
            match &waiting.payload {
                Payload::Event(event) => worker.broadcast.handle(event, "request-1").await.is_ok(),
                Payload::Job(job) => {
                    let handled = worker.handle(job, waiting.redelivered, Stop::never());
                    handled.await.is_ok()
                }
            }
        };
        tokio::select! {
            biased;
            () = worker.broadcast.queue.faults.died.notified() => Attempt::Died,
            well = work => if well { Attempt::Succeeded } else { Attempt::Failed },
        }
    }

    /// The campaign with this id, and its form in the API.
    pub(crate) async fn campaign(&self, id: &str) -> (Campaign, Value) {
        let id: CampaignId = id.parse().expect("an id");
        let campaign = self.store.ledger.campaign(&id).await.expect("it reads");
        let campaign = campaign.expect("it is there");
        let shown = self.worker("onlooker", 1).broadcast.view(&campaign).await;
        (campaign, shown.expect("it reads"))
    }

    /// The announced ends of campaigns.
    pub(crate) fn announced(&self) -> Vec<Value> {
        self.announced.lock().unwrap().clone()
    }

    /// The count of subscribers, which must equal the number of rows.
    pub(crate) async fn subscribed(&self) -> u64 {
        let count = self.store.subscribers.count().await.expect("it counts");
        let (mut rows, mut from) = (0, None);
        loop {
            let page = self
                .store
                .subscribers
                .all(from, 500)
                .await
                .expect("it reads");
            rows += page.rows.len() as u64;
            from = page.next;
            if from.is_none() {
                assert_eq!(count, rows, "the count is the number of rows");
                return count;
            }
        }
    }
}

impl fmt::Debug for WorkerHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHarness")
            .field("services", &self.services)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
