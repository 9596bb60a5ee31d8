//! The Lambda functions: the built binaries with the template's environment. A local Runtime API hands them the
//! payloads in `events`. DynamoDB, SQS and KMS run on this machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::AttributeValue;
use pushcast::announce::Announcer;
use pushcast::broadcast::Broadcast;
use pushcast::campaign::Job;
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::{CircuitBreaker, Deliver};
use pushcast::ledger::Worker;
use pushcast::queue::{Queue, QueueError};
use pushcast::store::Store;
use pushcast::subscribers::registration::Registration;
use pushcast::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use tokio::process::Command;
use webpush::{Client, Limits, Pusher};
use webpush::{Keyring, VapidKey};

use crate::support::aws::cloud::Cloud;
use crate::support::aws::lambda_runtime::{Function, REQUEST_ID};
use crate::support::aws::lambda_stack::{
    LambdaStack, allowed, body, event, event_with, request, tables,
};
use crate::support::aws::template::{FUNCTIONS, Right, logical};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::subscribers::browser::Browser;

/// From the first subscription to the end of a campaign. The functions' calls need exactly the rights that their roles
/// grant, no more and no less.
#[tokio::test(flavor = "multi_thread")]
async fn the_functions_do_everything_with_exactly_the_rights_that_their_roles_grant() {
    let mut stack = LambdaStack::deploy().await;
    let alive = subscribe_under_both_keys(&mut stack).await;
    send_to_one(&mut stack, &alive).await;
    broadcast_to_everyone(&mut stack, &alive).await;
    let id = broadcast_from_a_schedule(&mut stack).await;
    keep_a_schedule(&mut stack).await;
    read_figures(&mut stack).await;
    let to_all = event_with("send", &json!({"to": {"audience": "all"}}));
    let answer = stack.routed(to_all).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");

    let wrong: Vec<String> = FUNCTIONS
        .into_iter()
        .flat_map(|function| stack.wrong_rights(function))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let opened = stack.cloud.opened();
    assert_eq!(opened, FUNCTIONS.len(), "each connects at its start, once");
    stack.logs_say_which_request_and_which_campaign(&id);
}

/// Leaves three browsers subscribed. Others have subscribed and gone.
async fn subscribe_under_both_keys(stack: &mut LambdaStack) -> [Browser; 3] {
    let (current, older) = (stack.public.clone(), stack.older.public().to_vec());

    // Ada uses the key in KMS. The other two use the older key; one of them does not name it.
    let ada = stack.subscribed(&current, json!({})).await;
    let key = stack.older.public_base64url();
    let bob = stack
        .subscribed(&older, json!({"applicationServerKey": key}))
        .await;
    let eve = stack.subscribed(&older, json!({})).await;
    let stored = stack.store().subscribers.get(ada.endpoint()).await.unwrap();
    let stored = stored.expect("it is stored");
    assert!(
        stored.tags.contains("news"),
        "as events/subscribe.json says"
    );
    assert_eq!(stack.store().subscribers.count().await.unwrap(), 3);

    // Ada's browser gets another endpoint, and one browser unsubscribes.
    let ada_again = stack.service.subscribe(Some(&current));
    let replaces = json!({"replaces": ada.endpoint()});
    let answer = stack.subscribe(&ada_again, replaces).await;
    assert_eq!(body(&answer), json!({"ok": true, "count": 3}));
    let left = stack.subscribed(&current, json!({})).await;
    let left = event_with("unsubscribe", &json!({"endpoint": left.endpoint()}));
    let answer = stack.routed(left).await;
    assert_eq!(body(&answer), json!({"ok": true, "count": 3}));
    [ada_again, bob, eve]
}

/// Each message is signed with the key that its subscription was made with, and the store remembers that key.
async fn send_to_one(stack: &mut LambdaStack, alive: &[Browser; 3]) {
    let current = stack.public.clone();
    let gone = stack.subscribed(&current, json!({})).await;
    for browser in alive {
        let results = stack.send(&json!({"endpoint": browser.endpoint()})).await;
        assert_eq!(results[0]["outcome"], "accepted", "{results}");
        let [delivery] = &stack.service.deliveries_to(browser)[..] else {
            panic!("one message");
        };
        assert_eq!(delivery.json()["notification"]["title"], "Train 9:42");
    }
    let eve_s = stack
        .store()
        .subscribers
        .get(alive[2].endpoint())
        .await
        .unwrap();
    assert_eq!(eve_s.unwrap().vapid, Some(stack.older.id()));
    assert_eq!(stack.send(&json!({"user": "nobody"})).await, json!([]));
    stack.service.forget(&gone);
    let results = stack.send(&json!({"endpoint": gone.endpoint()})).await;
    assert_eq!(results[0]["outcome"], "gone");
    assert_eq!(stack.store().subscribers.count().await.unwrap(), 3);
}

/// The event is delivered twice and starts one campaign.
async fn broadcast_to_everyone(stack: &mut LambdaStack, alive: &[Browser; 3]) {
    let (current, older) = (stack.public.clone(), stack.older.public().to_vec());
    let busy = stack.subscribed(&current, json!({})).await;
    let unsaid = stack.subscribed(&older, json!({})).await;
    let too_many = Canned::status(429).header("retry-after", "1");
    let gone = stack.subscribed(&current, json!({})).await;
    stack.service.forget(&gone);
    stack
        .service
        .behave(&busy, Behaviour::Answer(too_many))
        .times(1);
    let started = stack.broadcast.invoke(event("broadcast")).await;
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    assert_eq!(started.unwrap(), json!({"campaign": id}));
    let again = stack.broadcast.invoke(event("broadcast")).await;
    assert_eq!(again.unwrap(), json!({"campaign": id}));
    let answer = stack.deliver.invoke(event("deliver")).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 5, "{campaign}");
    assert_eq!(campaign["counts"]["gone"], 1, "{campaign}");
    for browser in alive.iter().chain([&busy, &unsaid]) {
        let deliveries = stack.service.deliveries_to(browser);
        let topics: BTreeSet<_> = deliveries
            .iter()
            .filter_map(|it| it.topic.clone())
            .collect();
        assert_eq!(topics.len(), 1, "the campaign's message, once");
    }
    let [end] = &stack.cloud.events()[..] else {
        panic!("the end is told once");
    };
    assert_eq!(end["DetailType"], "pushcast.campaign");
}

/// Reads the campaign, cancels it, and tries in vain to resume it.
async fn broadcast_from_a_schedule(stack: &mut LambdaStack) -> String {
    let started = stack.broadcast.invoke(event("broadcast-schedule"));
    let id = started.await.unwrap()["campaign"]
        .as_str()
        .unwrap()
        .to_owned();
    let campaigns = stack.api("GET", "/push/campaigns").await;
    assert_eq!(campaigns["campaigns"].as_array().unwrap().len(), 2);
    let cancelled = stack
        .api("POST", &format!("/push/campaigns/{id}/cancel"))
        .await;
    assert_eq!(cancelled["status"], "cancelled");
    let resumed = stack
        .api("POST", &format!("/push/campaigns/{id}/resume"))
        .await;
    assert_eq!(resumed["status"], "running");
    stack.deliver_until(&id, "done").await;
    id
}

/// Creates, changes, lists and deletes a schedule.
async fn keep_a_schedule(stack: &mut LambdaStack) {
    let schedule = json!({"name": "daily", "expression": "rate(1 day)", "message": {"to": {"audience": "all"}, "data": "x"}});
    for status in [201, 200] {
        let mut event = request("send", "POST", "/push/schedules");
        event["body"] = schedule.to_string().into();
        let answer = stack.routed(event).await;
        assert_eq!(answer["statusCode"], status, "{answer}");
    }
    let listed = stack.api("GET", "/push/schedules").await;
    assert_eq!(listed["schedules"][0]["name"], "daily", "{listed}");
    let deleted = request("send", "DELETE", "/push/schedules/daily");
    let deleted = stack.routed(deleted).await;
    assert_eq!(deleted["statusCode"], 204, "{deleted}");
}

async fn read_figures(stack: &mut LambdaStack) {
    let stats = stack.api("GET", "/push/stats").await;
    assert_eq!(stats["count"], 5, "{stats}");
    assert_eq!(stats["services"]["other"], 5, "{stats}");
    assert_eq!(stats["tags"]["news"], 5, "{stats}");
    assert_eq!(
        stats["days"].as_array().unwrap().last().unwrap()["count"],
        5
    );
    let mut asked = request("send", "POST", "/push/audience");
    asked["body"] = json!({"audience": "news && !beta"}).to_string().into();
    let answer = stack.routed(asked).await;
    assert_eq!(body(&answer), json!({"subscribers": 5, "exact": true}));
}

/// Rights that Lambda itself uses with the function's role: it writes the log, traces, takes jobs from the queue and
/// keeps an event that failed.
fn rights_of_the_platform(function: &str) -> BTreeSet<Right> {
    let log = ["logs:PutLogEvents", "logs:CreateLogStream"];
    let log = log.map(|action| (action, format!("{}Log", logical(function))));
    let trace = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
    let trace = trace.map(|action| (action, "*".to_owned()));
    let mut rights: Vec<_> = log.into_iter().chain(trace).collect();
    match function {
        "deliver" => {
            let mapping = [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
            ];
            rights.extend(mapping.map(|action| (action, "Jobs".to_owned())));
        }
        "broadcast" => rights.push(("sqs:SendMessage", "FailedEvents".to_owned())),
        _ => {}
    }
    let owned = |(action, resource): (&str, String)| (action.to_owned(), resource);
    rights.into_iter().map(owned).collect()
}

impl LambdaStack {
    /// Calls that the role does not grant, granted rights that nothing uses, and rights that Lambda itself lacks.
    fn wrong_rights(&self, function: &str) -> Vec<String> {
        let granted = self.template.rights(function);
        let platform = rights_of_the_platform(function);
        let used = self.cloud.rights_used(function);
        let mut wrong = Vec::new();
        for (action, on) in used.difference(&granted) {
            wrong.push(format!(
                "{function} calls {action} on {on}, which its role does not grant"
            ));
        }
        let unused = granted
            .difference(&used)
            .filter(|it| !platform.contains(it));
        for (action, on) in unused {
            wrong.push(format!(
                "{function} does not call {action} on {on}, which its role grants"
            ));
        }
        for (action, on) in platform.difference(&granted) {
            wrong.push(format!("{function} lacks {action} on {on}"));
        }
        wrong
    }

    fn logs_say_which_request_and_which_campaign(&self, campaign: &str) {
        for function in [&self.subscribe, &self.send, &self.broadcast, &self.deliver] {
            let log = function.log();
            assert_eq!(
                log.lines().count(),
                function.lines().len(),
                "each is JSON: {log}"
            );
            let lines = function.lines();
            let ours = lines.iter().filter(|line| line["target"].is_string());
            for line in ours {
                assert_eq!(line["requestId"], REQUEST_ID, "{line}");
            }
            assert!(!log.contains("/wpush/"), "an endpoint is in the log: {log}");
        }
        let started = self.broadcast.lines();
        let started = started
            .iter()
            .find(|line| line["message"] == "campaign started");
        assert!(started.expect("it is logged")["campaign"].is_string());
        let sum = |function: &Function, name: &str| -> u64 {
            let metrics = function.lines();
            let values = metrics.iter().filter(|line| line["_aws"].is_object());
            values.filter_map(|line| line[name].as_u64()).sum()
        };
        let sent = |name| sum(&self.send, name);
        assert_eq!(
            (sent("accepted"), sent("gone"), sent("prunes")),
            (3, 1, 1),
            "to one person each"
        );
        let delivered = |name| sum(&self.deliver, name);
        assert_eq!(delivered("accepted"), 10, "both campaigns");
        assert_eq!(delivered("campaigns"), 2);
        assert_eq!(delivered("prunes"), 1);
        assert!(delivered("pages") >= 3);
        assert!(
            self.deliver.log().contains("pushcast/pushcast"),
            "{campaign}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_hands_over_before_its_deadline_and_the_next_one_reaches_the_other_subscribers() {
    const ALL: usize = 600;
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    let now = Clock::system().now();
    let browsers: Vec<_> = (0..ALL)
        .map(|_| stack.service.subscribe(Some(&current)))
        .collect();
    for some in browsers.chunks(90) {
        let read = |browser: &Browser| {
            let lines = browser.to_json().to_string();
            let json: Value = serde_json::from_str(&lines).unwrap();
            let members = pushcast::json::Members::of(&json).unwrap();
            let allowed = allowed(&stack.service);
            Registration::from_operator(members, &allowed).unwrap()
        };
        let some: Vec<_> = some.iter().map(read).collect();
        stack
            .store()
            .subscribers
            .subscribe_all(&some, now)
            .await
            .unwrap();
    }
    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let (_, job) = stack.jobs().await.pop().expect("a job");
    stack.service.behave(
        crate::support::push_service::behaviour::Whom::Everyone,
        Behaviour::Slow(Duration::from_secs(1)),
    );
    let deadline = Clock::system().now().as_millisecond() + 3_000;
    let answer = stack.deliver.invoke_until(event("deliver"), deadline).await;
    assert!(Clock::system().now().as_millisecond() < deadline);
    assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}));
    stack.delete(&job).await;
    let under_way = stack.api("GET", &format!("/push/campaigns/{id}")).await;
    assert_eq!(under_way["status"], "running", "{under_way}");
    assert!(stack.service.deliveries().len() < ALL);

    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], ALL, "{campaign}");
    let reached: BTreeSet<_> = stack
        .service
        .deliveries()
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(reached.len(), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_reports_only_the_record_that_is_no_job_as_failed() {
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    let ada = stack.subscribed(&current, json!({})).await;
    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let mut event = event("deliver");
    let mut wrong = event["Records"][0].clone();
    wrong["messageId"] = "wrong".into();
    wrong["body"] = "{".into();
    event["Records"].as_array_mut().unwrap().insert(0, wrong);
    let answer = stack.deliver.invoke(event).await.unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "wrong"}]})
    );
    assert_eq!(stack.service.deliveries_to(&ada).len(), 1);
    let lines = stack.deliver.lines();
    let said = lines
        .iter()
        .find(|line| line["message"] == "record is not a job, it will be redelivered");
    let said = said.expect("it is logged");
    assert_eq!(said["message_id"], "wrong", "{said}");
    assert_eq!(said["requestId"], REQUEST_ID, "{said}");
}

/// A log line from deep inside a job names the job: here KMS refuses to sign.
#[tokio::test(flavor = "multi_thread")]
async fn every_log_line_about_a_job_names_its_request_campaign_and_part() {
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    stack.subscribed(&current, json!({})).await;
    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    stack.cloud.let_kms_fail(usize::MAX);
    stack.deliver.invoke(event("deliver")).await.unwrap();
    let lines = stack.deliver.lines();
    let said = lines
        .iter()
        .find(|line| line["message"] == "a VAPID token cannot be signed");
    assert!(said.is_some(), "it is logged: {lines:?}");
    for line in lines.iter().filter(|line| line["target"].is_string()) {
        assert_eq!(line["requestId"], REQUEST_ID, "{line}");
        assert_eq!(line["campaign"], event("broadcast")["id"], "{line}");
        assert_eq!(line["part"], "segment#00000", "{line}");
    }
}

/// The operator needs AWS's answer, which is the last of several causes.
#[tokio::test]
async fn a_log_line_about_a_failure_names_its_causes() {
    let mut stack = LambdaStack::deploy().await;
    stack.cloud.deny_dynamodb();
    let to_ada = event_with("send", &json!({"to": {"user": "ada"}}));
    assert_eq!(stack.routed(to_ada).await["statusCode"], 500);
    let lines = stack.send.lines();
    let said = lines
        .iter()
        .find(|line| line["message"] == "the store failed");
    let said = said.expect("it is logged")["error"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(said.starts_with("DynamoDB "), "{said}");
    assert!(
        said.contains("not authorized to perform: dynamodb:"),
        "{said}"
    );
    let request = lines.iter().find(|line| line["message"] == "request");
    assert!(
        request.expect("it is logged")["ms"].is_u64(),
        "a figure to be summed up"
    );
}

/// Deployed functions must survive a panic too, but the deployment tool sets `panic = "abort"` unless the profile says
/// otherwise.
#[test]
fn a_release_build_unwinds_on_a_panic() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let manifest = manifest.expect("it is there");
    let (_, release) = manifest
        .split_once("\n[profile.release]\n")
        .expect("the profile");
    let (release, _) = release.split_once("\n[").expect("another section");
    assert!(
        release.lines().any(|line| line == "panic = \"unwind\""),
        "{release}"
    );
}

#[tokio::test]
async fn each_function_answers_only_its_own_routes_and_checks_the_token() {
    let mut stack = LambdaStack::deploy().await;
    let mut without = event("send");
    without["headers"]
        .as_object_mut()
        .unwrap()
        .remove("authorization");
    let answer = stack.send.invoke(without).await.unwrap();
    assert_eq!(answer["statusCode"], 401, "{answer}");
    for path in ["/console", "/console/main.js"] {
        let answer = stack.send.invoke(request("send", "GET", path)).await;
        assert_eq!(answer.unwrap()["statusCode"], 200, "{path}");
    }
    // Each function answers only its own routes, and the demo page exists only in `serve`.
    for path in ["/push/key", "/"] {
        let answer = stack.send.invoke(request("send", "GET", path)).await;
        assert_eq!(answer.unwrap()["statusCode"], 404, "{path}");
    }
    let answer = stack
        .broadcast
        .invoke(json!({"to": {"audience": "("}}))
        .await;
    let error = answer.expect_err("it is no audience");
    assert!(
        error["errorMessage"].as_str().unwrap().contains("audience"),
        "{error}"
    );
    stack.broadcast.kill().await;
}

/// A function, its environment, and the error that it prints before it exits.
type WrongEnvironment = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const WRONG_ENVIRONMENTS: [WrongEnvironment; 13] = [
    ("subscribe", &[], "PUSHCAST_SUBSCRIPTIONS_TABLE"),
    ("send", &[], "PUSHCAST_VAPID_SUBJECT"),
    ("broadcast", &[], "PUSHCAST_SUBSCRIPTIONS_TABLE"),
    ("deliver", &[], "PUSHCAST_VAPID_SUBJECT"),
    (
        "deliver",
        &[
            ("PUSHCAST_VAPID_KEYS", "kms:VapidKey"),
            ("PUSHCAST_VAPID_SUBJECT", "you"),
        ],
        "PUSHCAST_VAPID_SUBJECT",
    ),
    (
        "send",
        &[("PUSHCAST_VAPID_KEYS", "kms:Other")],
        "PUSHCAST_VAPID_KEYS KMS refuses the key Other",
    ),
    (
        "send",
        &[("PUSHCAST_VAPID_KEYS", "secretsmanager:none")],
        "PUSHCAST_VAPID_KEYS secret none cannot be read",
    ),
    (
        "send",
        &[("PUSHCAST_VAPID_KEYS", "secretsmanager:no-key")],
        "PUSHCAST_VAPID_KEYS names secret no-key",
    ),
    (
        "send",
        &[("PUSHCAST_VAPID_KEYS", "ssm:/push/old-key")],
        "PUSHCAST_VAPID_KEYS names a parameter of Systems Manager (ssm:), which this version does not read: put the key \
         into a secret of Secrets Manager, and name that with secretsmanager:<ARN or name>",
    ),
    (
        "send",
        &[("PUSHCAST_TOKEN", "secretsmanager:None#value")],
        "PUSHCAST_TOKEN secret None cannot be read",
    ),
    (
        "send",
        &[("PUSHCAST_TOKEN", "secretsmanager:Short#other")],
        "PUSHCAST_TOKEN secret Short holds no text in the member other",
    ),
    (
        "send",
        &[("PUSHCAST_TOKEN", "secretsmanager:Short#value")],
        "PUSHCAST_TOKEN is too short",
    ),
    (
        "send",
        &[("PUSHCAST_TOKEN", "secretsmanager:#value")],
        "PUSHCAST_TOKEN must be secretsmanager:",
    ),
];

#[tokio::test]
async fn a_function_with_a_wrong_environment_names_the_variable_and_does_not_start() {
    let cloud = Cloud::start(&tables(), &["VapidKey"]).await;
    cloud.keep_secret("Short", r#"{"value":"short"}"#);
    cloud.keep_secret("no-key", "no key");
    for (caller, environment, said) in WRONG_ENVIRONMENTS {
        let binary = match caller {
            "subscribe" => env!("CARGO_BIN_EXE_subscribe"),
            "send" => env!("CARGO_BIN_EXE_send"),
            "broadcast" => env!("CARGO_BIN_EXE_broadcast"),
            _ => env!("CARGO_BIN_EXE_deliver"),
        };
        let output = Command::new(binary)
            .env_clear()
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(cloud.environment(caller))
            .envs(environment.iter().copied())
            .output()
            .await
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(said), "{said:?} is not said: {log}");
    }
}

/// A queue with a bug: it panics for the jobs of one campaign.
#[derive(Clone)]
struct Faulty(String);

impl Queue for Faulty {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        let meets = jobs.iter().any(|(job, _)| job.campaign.as_str() == self.0);
        assert!(!meets, "a bug");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_record_fails_only_that_record() {
    let service = PushService::start().await;
    let store = Store::open(None, Chance::system()).await.unwrap();
    let key = VapidKey::generate().unwrap();
    let ada = service.subscribe(Some(key.public()));
    let json = ada.to_json();
    let members = pushcast::json::Members::of(&json).unwrap();
    let ada_s = Registration::from_operator(members, &allowed(&service)).unwrap();
    store
        .subscribers
        .subscribe(&ada_s, Clock::system().now())
        .await
        .unwrap();

    let broadcast = |faulty: &str| Broadcast {
        store: store.clone(),
        queue: Faulty(faulty.to_owned()),
        announcer: Arc::new(Announcer::Log),
        metrics: Metrics::off(),
        clock: Clock::system(),
        chance: Chance::system(),
        most_segments: 1,
    };
    let mut records = Vec::new();
    for id in ["one", "two", "three"] {
        let order = json!({"to": {"audience": "all"}, "data": id, "id": id});
        broadcast("").handle(&order, "").await.unwrap();
        let mut record = event("deliver")["Records"][0].clone();
        record["messageId"] = id.into();
        record["body"] = json!({"campaign": id, "part": "segment#00000"})
            .to_string()
            .into();
        records.push(record);
    }
    let deliver = Deliver {
        worker: Worker::one_of_many(&Chance::system()),
        broadcast: broadcast("two"),
        pusher: Pusher::new(
            Client::new(Limits::default(), Some(service.ca_file())).unwrap(),
            Keyring::new(key, vec![], None),
            Clock::system(),
        ),
        allowed: allowed(&service),
        at_once: 3,
        circuits: CircuitBreaker::default(),
    };
    // Each campaign must queue a job: the push service's answer makes it retry.
    let busy = Canned::status(503);
    service.behave(&ada, Behaviour::Answer(busy)).times(3);
    let event: SqsEvent = serde_json::from_value(json!({"Records": records})).unwrap();
    let deadline = Clock::system().now() + jiff::SignedDuration::from_mins(1);
    let answer = deliver.batch(event, deadline).await;
    let failed: Vec<_> = answer
        .batch_item_failures
        .iter()
        .map(|it| &it.item_identifier[..])
        .collect();
    assert_eq!(failed, ["two"]);
}

/// The same in the deployed function: an item in the ledger breaks an invariant, because the test wrote it.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_record_of_the_function_fails_only_that_record() {
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    let ada = stack.subscribed(&current, json!({})).await;
    let mut records = Vec::new();
    for id in ["one", "two", "three"] {
        let order = json!({"to": {"audience": "all"}, "data": id, "id": id});
        stack.broadcast.invoke(order).await.unwrap();
        let mut record = event("deliver")["Records"][0].clone();
        record["messageId"] = id.into();
        let job = json!({"campaign": id, "part": "segment#00000"});
        record["body"] = job.to_string().into();
        records.push(record);
    }
    let absurd = AttributeValue::N(u32::MAX.to_string());
    let update = stack.cloud.dynamodb().update_item();
    let update = update
        .table_name(tables().ledger)
        .key("id", AttributeValue::S("campaign#two".to_owned()))
        .key("part", AttributeValue::S("campaign".to_owned()))
        .update_expression("SET #segments = :absurd")
        .expression_attribute_names("#segments", "segments")
        .expression_attribute_values(":absurd", absurd);
    update.send().await.expect("it is written");

    let answer = stack.deliver.invoke(json!({"Records": records})).await;
    assert_eq!(
        answer.unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": "two"}]})
    );
    let mut reached: Vec<_> = stack
        .service
        .deliveries_to(&ada)
        .into_iter()
        .map(|it| it.text)
        .collect();
    reached.sort();
    assert_eq!(reached, [b"one".to_vec(), b"three".to_vec()]);
    let lines = stack.deliver.lines();
    let bug = lines.iter().find(|line| line["message"] == "panic");
    let bug = bug.expect("it is logged");
    assert_eq!(
        (&bug["campaign"], &bug["requestId"]),
        (&json!("two"), &json!(REQUEST_ID))
    );
    // The process is still alive.
    let again = stack.deliver.invoke(event("deliver")).await;
    assert_eq!(again.unwrap(), json!({"batchItemFailures": []}));
}

/// In its own process, because a process has a single panic hook.
#[test]
fn a_panic_is_logged_as_json_with_the_job() {
    const PANICS: &str = "PUSHCAST_TEST_PANICS";
    if std::env::var_os(PANICS).is_some() {
        pushcast::telemetry::init_json().expect("a filter");
        let job = tracing::info_span!(target: "pushcast", "job", campaign = "news-17");
        job.in_scope(|| panic!("two\nlines"));
    }
    let name = "functions::a_panic_is_logged_as_json_with_the_job";
    let program = std::env::current_exe().expect("a path");
    let output = std::process::Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(PANICS, "1")
        .env_remove("RUST_LOG")
        .output()
        .expect("it runs");
    assert_eq!(output.stderr, b"", "the hook of the standard library");
    let said = String::from_utf8(output.stdout).expect("text");
    let line = said.lines().find_map(|line| line.get(line.find('{')?..));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("ERROR"), &json!("panic"))
    );
    assert_eq!(line["campaign"], "news-17");
    let panic = line["panic"].as_str().expect("what happened");
    assert!(
        panic.contains("tests/functions.rs") && panic.ends_with("two\nlines"),
        "{panic}"
    );
}
