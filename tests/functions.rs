//! The Lambda functions: the built binaries, fed by a Runtime API of ours with the payloads in `events`, over a DynamoDB,
//! an SQS and a KMS of this machine. Their environment is the template's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use pushcast::announce::Announcer;
use pushcast::broadcast::Broadcast;
use pushcast::campaign::Job;
use pushcast::clock::{Chance, Clock};
use pushcast::deliver::Deliver;
use pushcast::push::{Client, Limits, Pusher};
use pushcast::queue::{Queue, QueueError};
use pushcast::registration::Registration;
use pushcast::store::parts::Worker;
use pushcast::store::{Store, Tables, embedded, schema};
use pushcast::telemetry::metrics::Metrics;
use pushcast::webpush::{KeyId, Keyring, VapidKey};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::support::behaviour::{Behaviour, Canned};
use crate::support::browser::Browser;
use crate::support::cloud::Cloud;
use crate::support::ministack::Ministack;
use crate::support::push_service::PushService;
use crate::support::runtime::{Function, REQUEST_ID};
use crate::support::template::{FUNCTIONS, Right, Template};

const PATIENCE: Duration = Duration::from_secs(120);

/// What the template calls its tables.
fn tables() -> Tables {
    Tables {
        subscriptions: "Subscriptions".to_owned(),
        ledger: "Ledger".to_owned(),
    }
}

/// A payload, as it is in `events`.
pub(crate) fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    let text = std::fs::read_to_string(&path).expect("it is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The same with members of its body replaced.
fn event_with(name: &str, members: &Value) -> Value {
    let mut event = event(name);
    let body = event["body"].as_str().expect("a body");
    let mut body: Value = serde_json::from_str(body).expect("it is JSON");
    for (name, value) in members.as_object().expect("members") {
        body[name] = value.clone();
    }
    event["body"] = body.to_string().into();
    event
}

/// A request that needs no body, in the form of another.
fn request(like: &str, method: &str, path: &str) -> Value {
    let mut event = event(like);
    event["rawPath"] = path.into();
    event["routeKey"] = format!("{method} {path}").into();
    event["requestContext"]["http"]["method"] = method.into();
    event["requestContext"]["http"]["path"] = path.into();
    event["requestContext"]["routeKey"] = event["routeKey"].clone();
    event["body"] = Value::Null;
    event
}

/// Where AWS and the push service are.
fn surroundings(cloud: &Cloud, service: &PushService, caller: &str) -> Vec<(String, String)> {
    let mut environment = cloud.environment(caller);
    let ca_file = service.ca_file().display().to_string();
    environment.push(("PUSHCAST_CA_FILE".to_owned(), ca_file));
    environment.push(("PUSHCAST_PUSH_ORIGINS".to_owned(), service.origin()));
    environment
}

/// The stack, deployed to this machine.
struct Stack {
    cloud: Cloud,
    template: Template,
    service: PushService,
    older: VapidKey,
    public: Vec<u8>,
    subscribe: Function,
    send: Function,
    broadcast: Function,
    deliver: Function,
}

impl Stack {
    async fn deploy() -> Self {
        let template = Template::read(&[
            ("Contact", "mailto:tests@pushcast.dev"),
            ("OlderVapidKey", "/push/old-key"),
        ]);
        let cloud = Cloud::start(&tables(), &["VapidKey"]).await;
        let older = VapidKey::generate().unwrap();
        cloud.keep_parameter("/push/old-key", &older.to_pkcs8_pem());
        let token = r#"{"value":"an-api-token-for-local-work"}"#;
        cloud.keep_secret("ApiToken", token);
        cloud.keep_secret("UserSecret", r#"{"value":"a-user-secret-for-tests"}"#);
        let made = cloud.sqs().create_queue().queue_name("Jobs").send().await;
        let queue = made.expect("a queue").queue_url.expect("a URL");
        let service = PushService::start().await;
        let start = async |name: &str, binary: &str| {
            let mut environment = template.environment(name);
            for (variable, value) in &mut environment {
                if variable == "PUSHCAST_QUEUE_URL" {
                    assert_eq!(value, "Jobs");
                    value.clone_from(&queue);
                }
            }
            environment.extend(surroundings(&cloud, &service, name));
            Function::start(binary, &environment).await
        };
        let mut subscribe = start("subscribe", env!("CARGO_BIN_EXE_subscribe")).await;
        let key = subscribe.invoke(request("subscribe", "GET", "/push/key"));
        let key = body(&key.await.unwrap())["publicKey"].clone();
        let key = pushcast::webpush::base64url::decode(key.as_str().unwrap()).unwrap();
        Self {
            subscribe,
            send: start("send", env!("CARGO_BIN_EXE_send")).await,
            broadcast: start("broadcast", env!("CARGO_BIN_EXE_broadcast")).await,
            deliver: start("deliver", env!("CARGO_BIN_EXE_deliver")).await,
            public: key,
            cloud,
            template,
            service,
            older,
        }
    }

    fn store(&self) -> Store {
        self.cloud.store(&tables())
    }

    /// A page in a new browser subscribes with a key, and says so or not.
    async fn subscribed(&mut self, key: &[u8], more: Value) -> Browser {
        let browser = self.service.subscribe(Some(key));
        let answer = self.subscribe(&browser, more).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        browser
    }

    async fn subscribe(&mut self, browser: &Browser, more: Value) -> Value {
        let event = event_with("subscribe", &browser.to_json_with(more));
        self.subscribe.invoke(event).await.unwrap()
    }

    async fn send(&mut self, to: &Value) -> Value {
        let answer = self.send.invoke(event_with("send", &json!({"to": to})));
        let answer = answer.await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        body(&answer)["results"].clone()
    }

    async fn api(&mut self, method: &str, path: &str) -> Value {
        let answer = self.send.invoke(request("send", method, path)).await;
        body(&answer.unwrap())
    }

    /// As the event source mapping does: takes jobs, invokes `deliver`, and deletes what it does not report. Until the
    /// campaign has ended.
    async fn deliver_until(&mut self, campaign: &str, ended: &str) -> Value {
        let began = Instant::now();
        loop {
            for (event, receipt) in self.jobs().await {
                let answer = self.deliver.invoke(event).await.unwrap();
                assert_eq!(answer, json!({"batchItemFailures": []}));
                self.delete(&receipt).await;
            }
            let found = self
                .api("GET", &format!("/push/campaigns/{campaign}"))
                .await;
            if found["status"] == ended {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{found}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What is in the queue, each as an event of `deliver`'s.
    async fn jobs(&self) -> Vec<(Value, String)> {
        let sqs = self.cloud.sqs();
        let received = sqs
            .receive_message()
            .queue_url(self.queue().await)
            .max_number_of_messages(10)
            .visibility_timeout(370)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .expect("a queue");
        let messages = received.messages.unwrap_or_default();
        let as_event = |message: aws_sdk_sqs::types::Message| {
            let mut event = event("deliver");
            let record = &mut event["Records"][0];
            record["body"] = message.body.expect("a body").into();
            record["messageId"] = message.message_id.expect("an id").into();
            (event, message.receipt_handle.expect("a receipt"))
        };
        messages.into_iter().map(as_event).collect()
    }

    async fn delete(&self, receipt: &str) {
        let sqs = self.cloud.sqs();
        let delete = sqs.delete_message().queue_url(self.queue().await);
        let deleted = delete.receipt_handle(receipt).send().await;
        deleted.expect("it was received");
    }

    async fn queue(&self) -> String {
        let sqs = self.cloud.sqs();
        let url = sqs.get_queue_url().queue_name("Jobs").send().await;
        url.expect("a queue").queue_url.expect("a URL")
    }
}

fn body(answer: &Value) -> Value {
    let text = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

/// Everything, from the first subscription to the end of a campaign; and what was called for it is what the roles grant,
/// no more and no less.
#[tokio::test(flavor = "multi_thread")]
async fn the_template_s_functions_do_it_all_with_exactly_the_rights_that_their_roles_grant() {
    let mut stack = Stack::deploy().await;
    let (current, older) = (stack.public.clone(), stack.older.public().to_vec());

    // Subscribed under the key in KMS, under the older one, and under the older one without saying so.
    let ada = stack.subscribed(&current, json!({})).await;
    let key = stack.older.public_base64url();
    let bob = stack
        .subscribed(&older, json!({"applicationServerKey": key}))
        .await;
    let eve = stack.subscribed(&older, json!({})).await;
    let stored = stack.store().get(ada.endpoint()).await.unwrap();
    let stored = stored.expect("it is stored");
    assert!(
        stored.tags.contains("news"),
        "as events/subscribe.json says"
    );
    assert_eq!(stack.store().count().await.unwrap(), 3);

    // The browser of one gets another endpoint, and one goes.
    let ada_again = stack.service.subscribe(Some(&current));
    let replaces = json!({"replaces": ada.endpoint()});
    let answer = stack.subscribe(&ada_again, replaces).await;
    assert_eq!(body(&answer), json!({"ok": true, "count": 3}));
    let gone = stack.subscribed(&current, json!({})).await;
    let left = stack.subscribed(&current, json!({})).await;
    let event = event_with("unsubscribe", &json!({"endpoint": left.endpoint()}));
    let answer = stack.subscribe.invoke(event).await.unwrap();
    assert_eq!(body(&answer), json!({"ok": true, "count": 4}));

    // To one person; the key each was subscribed with is used, and remembered.
    for browser in [&ada_again, &bob, &eve] {
        let results = stack.send(&json!({"endpoint": browser.endpoint()})).await;
        assert_eq!(results[0]["outcome"], "accepted", "{results}");
        let [delivery] = &stack.service.deliveries_to(browser)[..] else {
            panic!("one message");
        };
        assert_eq!(delivery.json()["notification"]["title"], "Train 9:42");
    }
    let eve_s = stack.store().get(eve.endpoint()).await.unwrap();
    assert_eq!(eve_s.unwrap().vapid, Some(stack.older.id()));
    assert_eq!(stack.send(&json!({"user": "nobody"})).await, json!([]));
    stack.service.forget(&gone);
    let results = stack.send(&json!({"endpoint": gone.endpoint()})).await;
    assert_eq!(results[0]["outcome"], "gone");
    assert_eq!(stack.store().count().await.unwrap(), 3);

    // To everyone, from an event that comes twice.
    let busy = stack.subscribed(&current, json!({})).await;
    let unsaid = stack.subscribed(&older, json!({})).await;
    let too_many = Canned::status(429).header("retry-after", "1");
    let gone = stack.subscribed(&current, json!({})).await;
    stack.service.forget(&gone);
    stack
        .service
        .behave(&busy, Behaviour::Answer(too_many))
        .times(1);
    let started = stack.broadcast.invoke(self::event("broadcast")).await;
    let id = self::event("broadcast")["id"].as_str().unwrap().to_owned();
    assert_eq!(started.unwrap(), json!({"campaign": id}));
    let again = stack.broadcast.invoke(self::event("broadcast")).await;
    assert_eq!(again.unwrap(), json!({"campaign": id}));
    let answer = stack.deliver.invoke(self::event("deliver")).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 5, "{campaign}");
    assert_eq!(campaign["counts"]["gone"], 1, "{campaign}");
    for browser in [&ada_again, &bob, &eve, &busy, &unsaid] {
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

    // From a schedule, looked at, cancelled, resumed in vain.
    let started = stack.broadcast.invoke(self::event("broadcast-schedule"));
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
    // Schedules: made, changed, listed, deleted.
    let schedule = json!({"name": "daily", "expression": "rate(1 day)", "message": {"to": {"audience": "all"}, "data": "x"}});
    for status in [201, 200] {
        let mut event = request("send", "POST", "/push/schedules");
        event["body"] = schedule.to_string().into();
        let answer = stack.send.invoke(event).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{answer}");
    }
    let listed = stack.api("GET", "/push/schedules").await;
    assert_eq!(listed["schedules"][0]["name"], "daily", "{listed}");
    let deleted = request("send", "DELETE", "/push/schedules/daily");
    let deleted = stack.send.invoke(deleted).await.unwrap();
    assert_eq!(deleted["statusCode"], 204, "{deleted}");

    let to_all = event_with("send", &json!({"to": {"audience": "all"}}));
    let answer = stack.send.invoke(to_all).await.unwrap();
    assert_eq!(answer["statusCode"], 202, "{answer}");

    let mut wrong = Vec::new();
    for function in FUNCTIONS {
        let granted = stack.template.rights(function);
        let platform = by_the_platform(function);
        let used = stack.cloud.rights_used(function);
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
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stack.logs_say_which_request_and_which_campaign(&id);
}

/// Rights that Lambda itself uses, in the function's name: to write its log, to trace it, to take jobs from the queue, to
/// keep an event that failed.
fn by_the_platform(function: &str) -> BTreeSet<Right> {
    let log = ["logs:PutLogEvents", "logs:CreateLogStream"];
    let log = log.map(|action| {
        (
            action,
            format!("{}Log", crate::support::template::logical(function)),
        )
    });
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

impl Stack {
    fn logs_say_which_request_and_which_campaign(&self, campaign: &str) {
        for function in [&self.subscribe, &self.send, &self.broadcast, &self.deliver] {
            let lines = function.lines();
            let ours = lines.iter().filter(|line| line["target"].is_string());
            for line in ours {
                assert_eq!(line["requestId"], REQUEST_ID, "{line}");
            }
            let log = function.log();
            assert!(!log.contains("/wpush/"), "an endpoint is in the log: {log}");
        }
        let started = self.broadcast.lines();
        let started = started
            .iter()
            .find(|line| line["message"] == "campaign started");
        assert!(started.expect("it is logged")["campaign"].is_string());
        let metrics = self.deliver.lines();
        let sum = |name: &str| -> u64 {
            let values = metrics.iter().filter(|line| line["_aws"].is_object());
            values.filter_map(|line| line[name].as_u64()).sum()
        };
        assert_eq!(sum("accepted"), 10, "both campaigns");
        assert_eq!(sum("campaigns"), 2);
        assert_eq!(sum("prunes"), 1);
        assert!(sum("pages") >= 3);
        assert!(
            self.deliver.log().contains("pushcast/pushcast"),
            "{campaign}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_is_asked_of_kms_for_all_pushes_and_a_key_that_does_not_sign_loses_nobody() {
    let mut stack = Stack::deploy().await;
    let current = stack.public.clone();
    let mut browsers = Vec::new();
    for _ in 0..30 {
        browsers.push(stack.subscribed(&current, json!({})).await);
    }
    stack.cloud.let_kms_fail(1);
    let results = stack
        .send(&json!({"endpoint": browsers[0].endpoint()}))
        .await;
    assert_eq!(results[0]["outcome"], "our_fault", "{results}");
    assert!(results[0]["detail"].as_str().unwrap().contains("VapidKey"));
    assert_eq!(stack.store().count().await.unwrap(), 30);

    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 30);
    let signed = ("kms:Sign".to_owned(), "VapidKey".to_owned());
    let calls = stack.cloud.calls();
    let by_deliver = calls
        .iter()
        .filter(|call| call.by == "deliver" && call.right == signed);
    assert_eq!(by_deliver.count(), 1, "one token for one origin");
    assert_eq!(stack.service.refused().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_deadline_a_worker_hands_over_and_the_next_one_reaches_the_others() {
    const ALL: usize = 600;
    let mut stack = Stack::deploy().await;
    let current = stack.public.clone();
    let now = Clock::system().now();
    let browsers: Vec<_> = (0..ALL)
        .map(|_| stack.service.subscribe(Some(&current)))
        .collect();
    for some in browsers.chunks(90) {
        let read = |browser: &Browser| {
            let lines = browser.to_json().to_string();
            let json: Value = serde_json::from_str(&lines).unwrap();
            let members = pushcast::wire::Members::of(&json).unwrap();
            let allowed = allowed(&stack.service);
            Registration::from_operator(members, &allowed).unwrap()
        };
        let some: Vec<_> = some.iter().map(read).collect();
        stack.store().subscribe_all(&some, now).await.unwrap();
    }
    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let (_, job) = stack.jobs().await.pop().expect("a job");
    stack.service.behave(
        crate::support::behaviour::Whom::Everyone,
        Behaviour::Slow(Duration::from_secs(1)),
    );
    let deadline = Clock::system().now().as_millisecond() + 3_000;
    let answer = stack.deliver.invoke_until(event("deliver"), deadline).await;
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

fn allowed(service: &PushService) -> pushcast::webpush::AllowList {
    let origin = pushcast::webpush::Origin::parse(&service.origin()).unwrap();
    pushcast::webpush::AllowList::new([origin])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_job_comes_again_and_the_others_do_not() {
    let mut stack = Stack::deploy().await;
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
}

#[tokio::test]
async fn each_function_answers_its_own_routes_and_asks_for_the_token() {
    let mut stack = Stack::deploy().await;
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
    // Each function has its own routes, and the demo is local.
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

#[tokio::test]
async fn a_function_whose_environment_is_wrong_names_the_variable_and_does_not_start() {
    let cloud = Cloud::start(&tables(), &["VapidKey"]).await;
    cloud.keep_secret("Short", r#"{"value":"short"}"#);
    cloud.keep_parameter("/no-key", "no key");
    let kms = ("PUSHCAST_VAPID_KEYS", "kms:VapidKey");
    let cases = [
        (
            "subscribe",
            env!("CARGO_BIN_EXE_subscribe"),
            vec![],
            "PUSHCAST_SUBSCRIPTIONS_TABLE",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![],
            "PUSHCAST_VAPID_SUBJECT",
        ),
        (
            "broadcast",
            env!("CARGO_BIN_EXE_broadcast"),
            vec![],
            "PUSHCAST_SUBSCRIPTIONS_TABLE",
        ),
        (
            "deliver",
            env!("CARGO_BIN_EXE_deliver"),
            vec![],
            "PUSHCAST_VAPID_SUBJECT",
        ),
        (
            "deliver",
            env!("CARGO_BIN_EXE_deliver"),
            vec![kms, ("PUSHCAST_VAPID_SUBJECT", "you")],
            "PUSHCAST_VAPID_SUBJECT",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_VAPID_KEYS", "kms:Other")],
            "PUSHCAST_VAPID_KEYS KMS refuses the key Other",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_VAPID_KEYS", "ssm:/none")],
            "PUSHCAST_VAPID_KEYS SSM parameter /none cannot be read",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_VAPID_KEYS", "ssm:/no-key")],
            "PUSHCAST_VAPID_KEYS names SSM parameter /no-key",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_TOKEN", "secretsmanager:None#value")],
            "PUSHCAST_TOKEN secret None cannot be read",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_TOKEN", "secretsmanager:Short#other")],
            "PUSHCAST_TOKEN secret Short holds no text in the member other",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_TOKEN", "secretsmanager:Short#value")],
            "PUSHCAST_TOKEN is too short",
        ),
        (
            "send",
            env!("CARGO_BIN_EXE_send"),
            vec![("PUSHCAST_TOKEN", "secretsmanager:#value")],
            "PUSHCAST_TOKEN must be secretsmanager:",
        ),
    ];
    for (caller, binary, environment, said) in cases {
        let output = Command::new(binary)
            .env_clear()
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(cloud.environment(caller))
            .envs(environment)
            .output()
            .await
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(said), "{said:?} is not said: {log}");
    }
}

/// A queue in which a bug sleeps: it panics for one campaign's jobs.
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
async fn a_panic_inside_one_record_fails_that_record_alone() {
    let service = PushService::start().await;
    let store = embedded::open(None, Chance::system()).await.unwrap();
    let key = VapidKey::generate().unwrap();
    let ada = service.subscribe(Some(key.public()));
    let json = ada.to_json();
    let members = pushcast::wire::Members::of(&json).unwrap();
    let ada_s = Registration::from_operator(members, &allowed(&service)).unwrap();
    store
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
            Keyring::new(key, vec![], None).into(),
            Clock::system(),
        ),
        allowed: allowed(&service),
        at_once: 3,
    };
    // Each campaign has something to queue: a push that is to be made again.
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

/// The functions once more, over services that neither we nor AWS have made: what is fetched, signed and stored here is
/// not only what our own gate expects.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python peers: tests/run"]
async fn keys_and_secrets_of_another_aws_are_fetched_and_sign() {
    let aws = Ministack::start().await;
    let shared = aws_config::SdkConfig::builder()
        .behavior_version(pushcast::aws::behavior_version())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(crate::support::cloud::credentials_provider())
        .endpoint_url(&aws.url)
        .build();
    let made = schema::create_missing(&aws_sdk_dynamodb::Client::new(&shared), &tables()).await;
    made.expect("tables");
    let queue = aws_sdk_sqs::Client::new(&shared).create_queue();
    let queue = queue
        .queue_name("Jobs")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let kms = aws_sdk_kms::Client::new(&shared).create_key();
    let kms = kms
        .key_spec(aws_sdk_kms::types::KeySpec::EccNistP256)
        .key_usage(aws_sdk_kms::types::KeyUsageType::SignVerify);
    let kms = kms.send().await.unwrap().key_metadata.unwrap().key_id;
    let older = VapidKey::generate().unwrap();
    aws_sdk_ssm::Client::new(&shared)
        .put_parameter()
        .name("/push/old-key")
        .value(older.to_pkcs8_pem())
        .r#type(aws_sdk_ssm::types::ParameterType::SecureString)
        .send()
        .await
        .unwrap();
    let secret = aws_sdk_secretsmanager::Client::new(&shared).create_secret();
    let secret = secret
        .name("token")
        .secret_string(r#"{"value":"an-api-token-for-local-work"}"#);
    let secret = secret.send().await.unwrap().arn.unwrap();

    let service = PushService::start().await;
    let environment: Vec<_> = [
        ("AWS_ENDPOINT_URL", aws.url.clone()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("PUSHCAST_SUBSCRIPTIONS_TABLE", tables().subscriptions),
        ("PUSHCAST_LEDGER_TABLE", tables().ledger),
        ("PUSHCAST_QUEUE_URL", queue),
        (
            "PUSHCAST_VAPID_KEYS",
            format!("kms:{kms},ssm:/push/old-key"),
        ),
        (
            "PUSHCAST_VAPID_SUBJECT",
            "mailto:tests@pushcast.dev".to_owned(),
        ),
        ("PUSHCAST_TOKEN", format!("secretsmanager:{secret}#value")),
        ("PUSHCAST_USER_SECRET", "a-user-secret-for-tests".to_owned()),
        ("PUSHCAST_SCHEDULE_GROUP", "g".to_owned()),
        ("PUSHCAST_SCHEDULE_ROLE", "r".to_owned()),
        ("PUSHCAST_BROADCAST_ARN", "b".to_owned()),
        ("PUSHCAST_CA_FILE", service.ca_file().display().to_string()),
        ("PUSHCAST_PUSH_ORIGINS", service.origin()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut subscribe = Function::start(env!("CARGO_BIN_EXE_subscribe"), &environment).await;
    let mut send = Function::start(env!("CARGO_BIN_EXE_send"), &environment).await;
    let answer = subscribe.invoke(request("subscribe", "GET", "/push/key"));
    let public = body(&answer.await.unwrap())["publicKey"].clone();
    let current = pushcast::webpush::base64url::decode(public.as_str().unwrap()).unwrap();
    for (key, name) in [
        (current, public),
        (older.public().to_vec(), older.public_base64url().into()),
    ] {
        let browser = service.subscribe(Some(&key));
        let json = browser.to_json_with(json!({"applicationServerKey": name}));
        let answer = subscribe
            .invoke(event_with("subscribe", &json))
            .await
            .unwrap();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let to = json!({"to": {"endpoint": browser.endpoint()}});
        let answer = send.invoke(event_with("send", &to)).await.unwrap();
        assert_eq!(
            body(&answer)["results"][0]["outcome"],
            "accepted",
            "{answer}"
        );
        assert_eq!(service.deliveries_to(&browser).len(), 1);
    }
    assert_eq!(service.requests(), 2, "the right key at once");
}

/// The stack's key is replaced: pages that subscribe from then on get the new one, and everyone is still reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_with_subscribers_on_both_and_none_is_lost() {
    let mut stack = Stack::deploy().await;
    let (current, old) = (stack.public.clone(), stack.older.public().to_vec());

    // Before: the older key is the only one.
    let mut environment = stack.template.environment("subscribe");
    for (variable, value) in &mut environment {
        if variable == "PUSHCAST_VAPID_KEYS" {
            assert_eq!(value, "kms:VapidKey,ssm:/push/old-key");
            *value = "ssm:/push/old-key".to_owned();
        }
    }
    environment.extend(surroundings(&stack.cloud, &stack.service, "subscribe"));
    let after = Function::start(env!("CARGO_BIN_EXE_subscribe"), &environment).await;
    let after = std::mem::replace(&mut stack.subscribe, after);
    let bob = stack.subscribed(&old, json!({})).await;
    let eve = stack.subscribed(&old, json!({})).await;

    // After: pages get the new one. Eve's browser refreshes, and does not say which key it has.
    stack.subscribe = after;
    let ada = stack.subscribed(&current, json!({})).await;
    let answer = stack.subscribe(&eve, json!({})).await;
    assert_eq!(body(&answer)["count"], 3);

    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 3, "{campaign}");
    for browser in [&ada, &bob, &eve] {
        assert_eq!(stack.service.deliveries_to(browser).len(), 1);
    }
    let keys: BTreeSet<_> = stack
        .service
        .deliveries()
        .into_iter()
        .map(|it| it.authorization)
        .collect();
    assert_eq!(keys.len(), 2, "one token for each key");
    for (browser, key) in [(&ada, current), (&bob, old.clone()), (&eve, old)] {
        let row = stack
            .store()
            .get(browser.endpoint())
            .await
            .unwrap()
            .expect("kept");
        assert_eq!(row.vapid, Some(KeyId::of(&key)));
    }
}
