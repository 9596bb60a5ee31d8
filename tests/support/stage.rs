//! Everything that a campaign needs, in this process and in the test's hand: table and ledger in memory, a queue whose
//! jobs come when the test's clock says so, an event bus, and workers that die or fail at any step of theirs.

use std::fmt;
use std::future::pending;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::{Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use pushcast::announce::Announcer;
use pushcast::aws::behavior_version;
use pushcast::broadcast::Broadcast;
use pushcast::campaign::{Campaign, CampaignId, Job};
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::{CircuitBreaker, Deliver};
use pushcast::dynamo::{embedded, schema};
use pushcast::json::Change;
use pushcast::ledger::Worker;
use pushcast::queue::Stop;
use pushcast::queue::{Queue, QueueError};
use pushcast::store::Store;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::registration::{MadeWith, Registration};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::Notify;
use webpush::{AllowList, Keyring, Origin, Subscription, VapidKey};
use webpush::{Client as PushClient, Limits, Pusher};

use super::browser::Browser;
use super::faults::{Fault, Seen, impatient, with_faults};
use super::push_service::PushService;

/// 2027-01-15T08:00:00Z.
const BEGIN: i64 = 1_800_000_000_000;
/// After this long, what failed is delivered again: less than a lease, so that one of the dead is met.
const AGAIN: Duration = Duration::from_secs(60);
/// More deliveries than any campaign here takes.
const ENDLESS: usize = 5_000;
/// Time enough for somebody else to come first.
const LATE: Duration = Duration::from_millis(200);

/// The time, which passes when the test says so.
#[derive(Debug, Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(crate) fn now(&self) -> Timestamp {
        let millis = self.0.load(Ordering::Relaxed);
        Timestamp::from_millisecond(millis).expect("a time")
    }

    /// How much has passed since the beginning.
    pub(crate) fn passed(&self) -> Duration {
        let millis = self.0.load(Ordering::Relaxed) - BEGIN;
        Duration::from_millis(millis.try_into().expect("it passes"))
    }

    fn later(&self, by: Duration) -> Timestamp {
        let by = SignedDuration::try_from(by).expect("hours at most");
        self.now().checked_add(by).expect("hours at most")
    }

    /// Some time passes.
    pub(crate) fn pass(&self, by: Duration) {
        self.until(self.later(by));
    }

    /// Waits without waiting.
    fn until(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }
}

/// What becomes of a worker at one of its steps: requests to the database, the queue or the event bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is killed before the step.
    Dies,
    /// It is killed when the step is done, and knows nothing of it.
    DiesAfter,
    /// The step fails.
    Fails,
    /// The step is done, and seems to fail.
    FailsAfter,
}

/// Counts a worker's steps, and troubles it at one of them.
#[derive(Debug)]
pub(crate) struct Fate {
    steps: AtomicUsize,
    trouble: Option<(usize, Trouble)>,
    dead: AtomicBool,
    died: Notify,
}

impl Fate {
    /// In trouble at step `at`, counted from 0.
    pub(crate) fn new(trouble: Option<(usize, Trouble)>) -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicUsize::new(0),
            trouble,
            dead: AtomicBool::new(false),
            died: Notify::new(),
        })
    }

    /// Whether the step of its trouble has come.
    pub(crate) fn came(&self) -> bool {
        let steps = self.steps.load(Ordering::Relaxed);
        self.trouble.is_some_and(|(at, _)| steps > at)
    }

    fn step(&self) -> Option<Trouble> {
        if self.dead.load(Ordering::Relaxed) {
            return Some(Trouble::Dies);
        }
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let (_, trouble) = self.trouble.filter(|(at, _)| *at == step)?;
        match trouble {
            Trouble::Dies | Trouble::DiesAfter => {
                self.dead.store(true, Ordering::Relaxed);
                self.died.notify_one();
            }
            Trouble::Fails | Trouble::FailsAfter => {}
        }
        Some(trouble)
    }
}

/// What is delivered to a worker.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Event(Value),
    Job(Job),
}

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) due: Timestamp,
    pub(crate) what: What,
    pub(crate) again: bool,
}

/// One worker's way to the queue.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    time: Time,
    fate: Arc<Fate>,
}

impl Queue for Jobs {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let put = || {
            let waiting = jobs.iter().map(|(job, delay)| Waiting {
                due: self.time.later(*delay.min(&pushcast::queue::MAX_DELAY)),
                what: What::Job(job.clone()),
                again: false,
            });
            self.waiting.lock().unwrap().extend(waiting);
        };
        let failed = || Err(QueueError::Send("the queue is away".into()));
        match self.fate.step() {
            None => put(),
            Some(Trouble::Dies) => pending::<()>().await,
            Some(Trouble::DiesAfter) => {
                put();
                pending::<()>().await;
            }
            Some(Trouble::Fails) => return failed(),
            Some(Trouble::FailsAfter) => {
                put();
                return failed();
            }
        }
        Ok(())
    }
}

/// EventBridge: keeps what it is told.
#[derive(Debug, Clone)]
struct Bus {
    told: Arc<Mutex<Vec<Value>>>,
    fate: Arc<Fate>,
}

impl HttpConnector for Bus {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())
            .expect("the SDK sends JSON");
        let entry = &body["Entries"][0];
        assert_eq!(entry["DetailType"], "pushcast.campaign", "{body}");
        let detail = serde_json::from_str(entry["Detail"].as_str().expect("a detail"));
        let put = || self.told.lock().unwrap().push(detail.expect("JSON"));
        let failed = || {
            let error = std::io::Error::other("the bus is away");
            HttpConnectorFuture::ready(Err(ConnectorError::io(error.into())))
        };
        match self.fate.step() {
            None => put(),
            Some(Trouble::Dies) => return HttpConnectorFuture::new(pending()),
            Some(Trouble::DiesAfter) => {
                put();
                return HttpConnectorFuture::new(pending());
            }
            Some(Trouble::Fails) => return failed(),
            Some(Trouble::FailsAfter) => {
                put();
                return failed();
            }
        }
        let answer = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]});
        let status = StatusCode::try_from(200).expect("a status of HTTP");
        let answer = HttpResponse::new(status, SdkBody::from(answer.to_string()));
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// How a delivery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    Well,
    Badly,
    /// The worker is dead.
    Died,
}

/// The machinery, without workers.
pub(crate) struct Stage {
    pub(crate) services: Vec<PushService>,
    pub(crate) store: Store,
    pub(crate) time: Time,
    client: Client,
    chance: Chance,
    keyring: Arc<Keyring>,
    roots: NamedTempFile,
    waiting: Arc<Mutex<Vec<Waiting>>>,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Stage {
    /// With so many push services.
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
            time: Time(Arc::new(AtomicI64::new(BEGIN))),
            client,
            chance,
            keyring: Keyring::new(VapidKey::generate().expect("a key"), vec![], None).into(),
            roots,
            waiting: Arc::default(),
            told: Arc::default(),
        }
    }

    fn allowed(&self) -> AllowList {
        let origins = self.services.iter().map(PushService::origin);
        AllowList::new(origins.map(|origin| Origin::parse(&origin).expect("an origin")))
    }

    /// `n` more subscribers of one of the services.
    pub(crate) async fn crowd(&self, service: usize, n: usize) -> Vec<Browser> {
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

    /// A worker that nothing happens to. Its page is a hundredth of [`PAGE`](pushcast::campaign::PAGE) when it does a
    /// hundred jobs at once.
    pub(crate) fn worker(&self, name: &str, at_once: usize) -> Deliver<Jobs> {
        self.fated(name, at_once, &Fate::new(None))
    }

    /// A worker of whose updates every other one meets a transaction of somebody else's.
    pub(crate) fn colliding(&self, name: &str) -> Deliver<Jobs> {
        let updates = AtomicUsize::new(0);
        let (client, _) = with_faults(&self.client, 1, move |operation| {
            let collides = operation == "UpdateItem"
                && updates.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            collides.then_some(Fault::Refused(400, "TransactionConflictException"))
        });
        self.over(client, name, 1, &Fate::new(None))
    }

    /// A worker whose request `at` to the database, counted from 0, is answered late; and its requests.
    pub(crate) fn late(&self, name: &str, at: usize) -> (Deliver<Jobs>, Seen) {
        let requests = AtomicUsize::new(0);
        let (client, seen) = with_faults(&self.client, 1, move |_| {
            let is_late = requests.fetch_add(1, Ordering::Relaxed) == at;
            is_late.then_some(Fault::Late(LATE))
        });
        (self.over(client, name, 1, &Fate::new(None)), seen)
    }

    /// A worker with a fate.
    pub(crate) fn fated(&self, name: &str, at_once: usize, fate: &Arc<Fate>) -> Deliver<Jobs> {
        let watched = Arc::clone(fate);
        let (client, _) = with_faults(&self.client, 1, move |_| {
            watched.step().map(|trouble| match trouble {
                Trouble::Dies => Fault::Dies,
                Trouble::DiesAfter => Fault::DiesAfter,
                Trouble::Fails => Fault::Refused(400, "AccessDeniedException"),
                Trouble::FailsAfter => Fault::LostAnswer,
            })
        });
        self.over(client, name, at_once, fate)
    }

    fn over(&self, client: Client, name: &str, at_once: usize, fate: &Arc<Fate>) -> Deliver<Jobs> {
        let bus = SharedHttpConnector::new(Bus {
            told: Arc::clone(&self.told),
            fate: Arc::clone(fate),
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
                    fate: Arc::clone(fate),
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
            // Tokens are held against the clock on the wall.
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

    /// Something happens for which there is to be a campaign.
    pub(crate) fn event(&self, event: &Value) {
        self.waiting.lock().unwrap().push(Waiting {
            due: self.time.now(),
            what: What::Event(event.clone()),
            again: false,
        });
    }

    /// It is delivered again, some time later.
    pub(crate) fn again(&self, mut waiting: Waiting) {
        waiting.due = self.time.later(AGAIN);
        waiting.again = true;
        self.waiting.lock().unwrap().push(waiting);
    }

    /// The next delivery that is due; without one, nothing.
    pub(crate) fn due(&self) -> Option<Waiting> {
        let mut waiting = self.waiting.lock().unwrap();
        let now = self.time.now();
        let at = waiting.iter().position(|it| it.due <= now)?;
        Some(waiting.remove(at))
    }

    /// The next delivery, when its time has come.
    pub(crate) fn next(&self) -> Option<Waiting> {
        let first = self.waiting.lock().unwrap().iter().map(|it| it.due).min()?;
        self.time.until(first);
        self.due()
    }

    /// The queue was in the process, and is gone with it.
    pub(crate) fn forget_jobs(&self) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.retain(|it| matches!(it.what, What::Event(_)));
    }

    /// What waits to be delivered.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        self.waiting.lock().unwrap().clone()
    }

    /// Everything that is delivered, until nothing is left to be.
    pub(crate) async fn to_the_end(&self, worker: &Deliver<Jobs>) {
        for _ in 0..ENDLESS {
            let Some(waiting) = self.next() else {
                return;
            };
            if self.deliver(worker, &waiting).await != Went::Well {
                self.again(waiting);
            }
        }
        panic!("it does not end: {:?}", self.waiting());
    }

    /// One delivery.
    pub(crate) async fn deliver(&self, worker: &Deliver<Jobs>, waiting: &Waiting) -> Went {
        let work = async {
            match &waiting.what {
                What::Event(event) => worker.broadcast.handle(event, "request-1").await.is_ok(),
                What::Job(job) => {
                    let handled = worker.handle(job, waiting.again, Stop::never());
                    handled.await.is_ok()
                }
            }
        };
        tokio::select! {
            biased;
            () = worker.broadcast.queue.fate.died.notified() => Went::Died,
            well = work => if well { Went::Well } else { Went::Badly },
        }
    }

    /// The campaign with this id, and how the API shows it.
    pub(crate) async fn campaign(&self, id: &str) -> (Campaign, Value) {
        let id: CampaignId = id.parse().expect("an id");
        let campaign = self.store.ledger.campaign(&id).await.expect("it reads");
        let campaign = campaign.expect("it is there");
        let shown = self.worker("onlooker", 1).broadcast.view(&campaign).await;
        (campaign, shown.expect("it reads"))
    }

    /// The ends that were told.
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().clone()
    }

    /// How many are subscribed: the count, which is the number of rows.
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

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("services", &self.services)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
