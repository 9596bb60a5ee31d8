use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_sqs::{Client, Config};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pushcast::aws::behavior_version;
use pushcast::campaign::{Job, PartKey};
use pushcast::queue::Stopper;
use pushcast::queue::{LocalQueue, Queue, QueueError, SqsQueue};
use rustack_sqs_core::config::SqsConfig;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_core::provider::RustackSqs;
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);
const NOW: Duration = Duration::ZERO;

fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn job(segment: u32) -> Job {
    Job {
        campaign: "campaign".parse().expect("an id"),
        part: PartKey::Segment(segment),
    }
}

fn jobs(numbers: impl IntoIterator<Item = u32>) -> Vec<(Job, Duration)> {
    numbers.into_iter().map(|n| (job(n), NOW)).collect()
}

/// SQS on a port of this machine, with one queue.
struct Sqs {
    client: Client,
    url: String,
    queue: SqsQueue,
}

impl Sqs {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sqs = RustackSqs::new(SqsConfig {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            ..SqsConfig::default()
        });
        let handler = RustackSqsHandler::new(Arc::new(sqs));
        let service = SqsHttpService::new(Arc::new(handler), SqsHttpConfig::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = auto::Builder::new(TokioExecutor::new());
                    // A client that hangs up in the middle is no fault of the queue.
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        let client = client(&format!("http://127.0.0.1:{port}"));
        let made = client.create_queue().queue_name("jobs").send().await;
        let url = made.expect("a queue").queue_url.expect("its URL");
        Self {
            queue: SqsQueue::new(client.clone(), url.clone()),
            client,
            url,
        }
    }

    /// Receives and deletes the jobs that arrive within a moment.
    async fn receive(&self) -> Vec<Job> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .send()
            .await
            .expect("it answers");
        let mut jobs = Vec::new();
        for message in received.messages() {
            let delete = self.client.delete_message().queue_url(&self.url);
            let handle = message.receipt_handle().expect("a handle");
            delete.receipt_handle(handle).send().await.expect("deleted");
            jobs.push(serde_json::from_str(message.body().expect("a body")).expect("a job"));
        }
        jobs
    }

    async fn receive_all(&self, n: usize) -> Vec<Job> {
        let all = async {
            let mut all = Vec::new();
            while all.len() < n {
                all.extend(self.receive().await);
            }
            all
        };
        timeout(PATIENCE, all).await.expect("they come in time")
    }

    async fn number(&self, of: QueueAttributeName) -> String {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let got = request.attribute_names(of.clone()).send().await;
        let attributes = got.expect("it answers").attributes.unwrap_or_default();
        attributes.get(&of).cloned().expect("the number")
    }
}

#[tokio::test]
async fn sqs_gets_every_job_of_a_large_batch() {
    let sqs = Sqs::start().await;
    for n in [0, 1, 10, 11, 37] {
        sqs.queue.send(&jobs(0..n)).await.expect("they are queued");
        let received = sqs.receive_all(n as usize).await;
        let all: HashSet<Job> = received.iter().cloned().collect();
        assert_eq!(received.len(), n as usize);
        assert_eq!(all, (0..n).map(job).collect());
        assert_eq!(sqs.receive().await, []);
    }
    let retry = Job {
        campaign: "a.b_c:d~e-f".parse().unwrap(),
        part: PartKey::Retry {
            segment: 7,
            serial: u64::MAX,
        },
    };
    sqs.queue.send(&[(retry.clone(), NOW)]).await.unwrap();
    assert_eq!(sqs.receive_all(1).await, [retry]);
}

#[tokio::test]
async fn sqs_delivers_no_job_before_its_delay() {
    let sqs = Sqs::start().await;
    let delay = Duration::from_millis(1_200);
    let began = Instant::now();
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let sent = [(job(1), delay), (job(2), NOW), (job(3), week)];
    sqs.queue.send(&sent).await.expect("they are queued");
    assert_eq!(sqs.receive_all(1).await, [job(2)]);
    assert_eq!(sqs.receive_all(1).await, [job(1)]);
    assert!(began.elapsed() >= delay);
    let delayed = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    assert_eq!(sqs.number(delayed).await, "1");
}

/// SQS at the level of HTTP. It refuses some entries of a batch.
#[derive(Default)]
struct FakeSqs {
    /// How often each message body is still to be refused.
    refusals: HashMap<String, u32>,
    /// The entries of each `SendMessageBatch` call.
    calls: Vec<Vec<Value>>,
}

impl FakeSqs {
    async fn start(refusals: HashMap<String, u32>) -> (Arc<Mutex<Self>>, SqsQueue) {
        let sqs = Arc::new(Mutex::new(Self {
            refusals,
            calls: Vec::new(),
        }));
        let app = Router::new()
            .route("/", post(Self::answer))
            .with_state(Arc::clone(&sqs));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        let queue = SqsQueue::new(client(&url), format!("{url}/1/jobs"));
        (sqs, queue)
    }

    async fn answer(State(sqs): State<Arc<Mutex<Self>>>, body: String) -> Json<Value> {
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let entries = body["Entries"].as_array().expect("entries").clone();
        let mut sqs = sqs.lock().unwrap();
        let (mut taken, mut failed) = (Vec::new(), Vec::new());
        for entry in &entries {
            let text = entry["MessageBody"].as_str().expect("a body").to_owned();
            let left = sqs.refusals.entry(text).or_default();
            if *left == 0 {
                taken.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d"}));
            } else {
                *left -= 1;
                failed.push(json!({
                    "Id": entry["Id"], "Code": "InternalError", "SenderFault": false,
                    "Message": "come back later",
                }));
            }
        }
        sqs.calls.push(entries);
        Json(json!({"Successful": taken, "Failed": failed}))
    }
}

/// The segments of the jobs in each call.
fn calls(sqs: &Mutex<FakeSqs>) -> Vec<Vec<u32>> {
    let segment = |entry: &Value| {
        let job: Job = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        job.part.segment()
    };
    let calls = &sqs.lock().unwrap().calls;
    let calls = calls.iter().map(|call| call.iter().map(segment).collect());
    calls.collect()
}

fn refusals(times: impl IntoIterator<Item = (u32, u32)>) -> HashMap<String, u32> {
    let body = |segment| serde_json::to_string(&job(segment)).unwrap();
    let times = times.into_iter();
    times.map(|(segment, n)| (body(segment), n)).collect()
}

#[tokio::test]
async fn only_the_jobs_that_sqs_refused_are_sent_again() {
    let (sqs, queue) = FakeSqs::start(refusals([(2, 1), (7, 2), (11, 1)])).await;
    queue.send(&jobs(0..12)).await.expect("all are queued");
    let first: Vec<u32> = (0..10).collect();
    let expected = [first, vec![2, 7], vec![7], vec![10, 11], vec![11]];
    assert_eq!(calls(&sqs), expected);
    for call in &sqs.lock().unwrap().calls {
        let ids: HashSet<&str> = call.iter().map(|it| it["Id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), call.len(), "ids of one call differ");
    }
}

#[tokio::test]
async fn a_job_that_sqs_keeps_refusing_is_an_error_with_the_reason() {
    let (sqs, queue) = FakeSqs::start(refusals([(1, 1_000), (2, 1_000)])).await;
    let error = queue.send(&jobs(0..4)).await.expect_err("two are refused");
    let QueueError::Partly { failed, reason } = error else {
        panic!("{error:?}");
    };
    assert_eq!((failed, &reason[..]), (2, "come back later"));
    let calls = calls(&sqs);
    assert_eq!(calls[0], [0, 1, 2, 3]);
    assert!(calls.len() > 2, "it does not give up soon: {calls:?}");
    assert!(calls[1..].iter().all(|call| *call == [1, 2]), "{calls:?}");

    let everything = (0..3).map(|segment| (segment, 1_000));
    let (_, queue) = FakeSqs::start(refusals(everything)).await;
    let error = queue.send(&jobs(0..3)).await.expect_err("all are refused");
    assert!(matches!(error, QueueError::Partly { failed: 3, .. }));
}

#[tokio::test]
async fn an_unreachable_queue_is_an_error() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let queue = SqsQueue::new(client(&url), format!("{url}/1/jobs"));
    let error = queue.send(&jobs(0..3)).await.expect_err("nobody listens");
    assert!(matches!(error, QueueError::Send(_)), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn delays_are_whole_seconds_no_shorter_and_fifteen_minutes_at_most() {
    let (sqs, queue) = FakeSqs::start(HashMap::new()).await;
    let millis = [
        0, 1, 999, 1_000, 1_001, 59_500, 900_000, 900_001, 86_400_000,
    ];
    let jobs: Vec<_> = (0..)
        .zip(millis)
        .map(|(n, delay)| (job(n), Duration::from_millis(delay)))
        .collect();
    queue.send(&jobs).await.expect("they are queued");
    let calls = &sqs.lock().unwrap().calls;
    let delays: Vec<u64> = calls[0]
        .iter()
        .map(|entry| entry["DelaySeconds"].as_u64().expect("a number"))
        .collect();
    assert_eq!(delays, [0, 1, 1, 1, 2, 60, 900, 900, 900]);
}

#[tokio::test(start_paused = true)]
async fn the_local_queue_delivers_jobs_when_they_are_due_in_order() {
    let queue = LocalQueue::default();
    let seconds = |n| Duration::from_secs(n);
    let sent = [(3, 30), (1, 10), (0, 0), (2, 20), (4, 7 * 24 * 60 * 60)];
    let sent = sent.map(|(n, delay)| (job(n), seconds(delay)));
    let began = Instant::now();
    queue.send(&sent).await.expect("they are queued");
    let (stopper, stop) = Stopper::new(Duration::ZERO);
    let seen = Mutex::new(Vec::new());
    let deliver = |job: Job, again| {
        let segment = job.part.segment();
        let mut seen = seen.lock().unwrap();
        seen.push((segment, began.elapsed().as_secs(), again));
        if segment == 4 {
            stopper.stop();
        }
        async { true }
    };
    let run = queue.run(2, &stop, deliver);
    timeout(seconds(10_000), run).await.expect("it stops");
    let at = [(0, 0), (1, 10), (2, 20), (3, 30), (4, 900)];
    let at = at.map(|(segment, at)| (segment, at, false));
    assert_eq!(*seen.lock().unwrap(), at);
}

#[tokio::test(start_paused = true)]
async fn the_local_queue_keeps_one_copy_of_a_repeated_job_at_its_earliest_time() {
    let queue = LocalQueue::default();
    for delay in [20, 10, 30, 600] {
        let sent = (job(1), Duration::from_secs(delay));
        queue.send(&[sent]).await.expect("it is queued");
    }
    let last = (job(2), Duration::from_secs(800));
    queue.send(&[last]).await.expect("it is queued");
    let (stopper, stop) = Stopper::new(Duration::ZERO);
    let began = Instant::now();
    let seen = Mutex::new(Vec::new());
    let deliver = |job: Job, _| {
        let segment = job.part.segment();
        seen.lock()
            .unwrap()
            .push((segment, began.elapsed().as_secs()));
        if segment == 2 {
            stopper.stop();
        }
        async { true }
    };
    let run = queue.run(2, &stop, deliver);
    timeout(PATIENCE * 100, run).await.expect("it stops");
    assert_eq!(*seen.lock().unwrap(), [(1, 10), (2, 800)]);
}

#[tokio::test(start_paused = true)]
async fn the_local_queue_delivers_first_pushes_before_retries() {
    let queue = LocalQueue::default();
    let again = |serial| Job {
        campaign: job(0).campaign,
        part: PartKey::Retry { segment: 0, serial },
    };
    let seconds = Duration::from_secs;
    let sent = [
        (again(1), seconds(0)),
        (again(2), seconds(1)),
        (job(7), seconds(2)),
        (job(8), seconds(60)),
    ];
    queue.send(&sent).await.expect("they are queued");
    sleep(seconds(5)).await;
    let (stopper, stop) = Stopper::new(Duration::ZERO);
    let seen = Mutex::new(Vec::new());
    let deliver = |job: Job, _| {
        seen.lock().unwrap().push(job.part.to_string());
        if job.part == PartKey::Segment(8) {
            stopper.stop();
        }
        async { true }
    };
    let run = timeout(PATIENCE * 100, queue.run(1, &stop, deliver));
    run.await.expect("it stops");
    let all = [job(7), again(1), again(2), job(8)];
    let all = all.map(|job| job.part.to_string());
    assert_eq!(*seen.lock().unwrap(), all);
}

#[tokio::test(start_paused = true)]
async fn the_local_queue_redelivers_a_failed_job_alone_and_with_growing_delay() {
    let queue = LocalQueue::default();
    queue.send(&jobs([0, 1])).await.expect("they are queued");
    let (stopper, stop) = Stopper::new(Duration::ZERO);
    let began = Instant::now();
    let seen = Mutex::new(Vec::new());
    let deliver = |job: Job, again| {
        let segment = job.part.segment();
        let mut seen = seen.lock().unwrap();
        seen.push((segment, again, began.elapsed()));
        let well = segment == 0 || seen.len() == 12;
        if seen.len() == 12 {
            stopper.stop();
        }
        async move { well }
    };
    let run = queue.run(2, &stop, deliver);
    timeout(Duration::from_secs(10_000), run)
        .await
        .expect("it stops");
    let seen = seen.into_inner().unwrap();
    let good: Vec<_> = seen.iter().filter(|(segment, ..)| *segment == 0).collect();
    assert_eq!(good.len(), 1, "what went well does not come again");
    let bad: Vec<_> = seen.iter().filter(|(segment, ..)| *segment == 1).collect();
    let again: Vec<bool> = bad.iter().map(|(_, again, _)| *again).collect();
    assert!(!again[0] && again[1..].iter().all(|again| *again));
    let waits: Vec<_> = bad.windows(2).map(|two| two[1].2 - two[0].2).collect();
    assert!(waits.is_sorted(), "{waits:?}");
    assert!(waits[0] >= Duration::from_secs(1));
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(61)));
}

#[tokio::test(start_paused = true)]
async fn the_local_queue_waits_for_running_jobs_at_a_stop_and_starts_none() {
    let queue = LocalQueue::default();
    queue.send(&jobs(0..5)).await.expect("they are queued");
    let (stopper, stop) = Stopper::new(Duration::ZERO);
    let (begun, ended) = (Mutex::new(0), Mutex::new(0));
    let deliver = |_, _| {
        *begun.lock().unwrap() += 1;
        let ended = &ended;
        async move {
            sleep(Duration::from_secs(60)).await;
            *ended.lock().unwrap() += 1;
            true
        }
    };
    let stopping = async {
        sleep(Duration::from_secs(30)).await;
        stopper.stop();
    };
    let run = timeout(PATIENCE * 10, queue.run(2, &stop, deliver));
    let (ran, ()) = tokio::join!(run, stopping);
    ran.expect("it stops");
    assert_eq!(*begun.lock().unwrap(), 2);
    assert_eq!(*ended.lock().unwrap(), 2);
}
