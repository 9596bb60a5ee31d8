use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use jsonschema::{Draft, Validator};
use pushcast::audience::tag::MAX_TAG_LEN;
use pushcast::audience::{MAX_DEPTH, MAX_LEN, MAX_NAMED};
use pushcast::campaign::request::MAX_RATE;
use pushcast::campaign::{MAX_ID_LEN, Status, Tally};
use pushcast::http::middleware::MAX_BODY;
use pushcast::schedule::MAX_NAME_LEN;
use pushcast::subscribers::MOST_DAYS;
use pushcast::subscribers::MOST_ROWS;
use pushcast::subscribers::MOST_TAGS;
use pushcast::subscribers::registration::{MAX_TAGS, MAX_USER_LEN};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use webpush::DEFAULT_TTL;
use webpush::MAX_ENDPOINT_LEN;
use webpush::{MAX_PLAINTEXT, PushService as Vendor};

use crate::support::metrics_log::OUTCOMES;
use crate::support::program::{Answer, Server};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::Canned;
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

/// Documented statuses that these tests do not produce: from outside, nothing makes a running server's database fail.
const EXCEPTED: [&str; 2] = ["500", "503"];

/// The value of `{name}` in a path.
const NAME: &str = "weekdays";

/// Operation and status, such as `POST /push/send` and `400`.
type Exercised = BTreeSet<(String, String)>;

/// `openapi.yaml`, parsed.
struct Document(Value);

impl Document {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml");
        let text = std::fs::read_to_string(path).expect("it is there");
        Self(yaml_serde::from_str(&text).expect("it is YAML"))
    }

    fn at(&self, pointer: &str) -> &Value {
        let found = self.0.pointer(pointer);
        found.unwrap_or_else(|| panic!("{pointer} is not in the document"))
    }

    fn schema(&self, name: &str) -> &Value {
        self.at(&format!("/components/schemas/{name}"))
    }

    /// Follows a `$ref`, if there is one.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(to) => self.at(to.strip_prefix('#').expect("all is in one file")),
            None => value,
        }
    }

    /// Each operation by name, such as `POST /push/send`, with its description.
    fn operations<'a>(&'a self) -> Vec<(String, &'a Value)> {
        let paths = self.0["paths"].as_object().expect("paths");
        let of_path = |(path, item): (&String, &'a Value)| {
            let methods = item.as_object().expect("methods").iter();
            let named = methods.map(|(method, operation)| {
                let name = format!("{} {path}", method.to_uppercase());
                (name, operation)
            });
            named.collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn operation(&self, name: &str) -> &Value {
        let all = self.operations();
        let found = all.iter().find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("{name} is not documented"))
            .1
    }

    fn response(&self, operation: &str, status: &str) -> &Value {
        let responses = &self.operation(operation)["responses"];
        let found = responses.get(status);
        self.resolve(found.unwrap_or_else(|| panic!("{operation} does not document {status}")))
    }

    /// A validator of one schema, which may refer to others in the document.
    fn validator(&self, schema: &Value) -> Validator {
        self.build(schema, self.0["components"].clone())
    }

    /// The same, but it refuses every member that the schema does not list.
    fn strict_validator(&self, schema: &Value) -> Validator {
        let (mut schema, mut components) = (schema.clone(), self.0["components"].clone());
        close(&mut schema);
        close(&mut components["schemas"]);
        self.build(&schema, components)
    }

    fn build(&self, schema: &Value, components: Value) -> Validator {
        let alone = json!({"allOf": [schema], "components": components});
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true);
        options.build(&alone).expect("it is a schema")
    }
}

/// Forbids additional members in every object schema with a list of members.
fn close(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        if members.get("properties").is_some_and(Value::is_object) {
            members.insert("additionalProperties".to_owned(), json!(false));
        }
        members.values_mut().for_each(close);
    }
    if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(close);
    }
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {value}: {}", errors.join("; "));
}

/// A running server, checked against the document.
struct Bench {
    document: Document,
    service: PushService,
    server: Server,
    exercised: Exercised,
    /// The value of `{id}` in a path.
    id: String,
}

impl Bench {
    async fn start() -> Self {
        let service = PushService::start().await;
        Self {
            document: Document::read(),
            server: Server::start(&service).await,
            service,
            exercised: Exercised::new(),
            id: "unknown".to_owned(),
        }
    }

    /// Calls `operation` (such as `POST /push/send`). The server must answer `status` in the documented form.
    async fn ask(&mut self, operation: &str, body: &Value, status: u16) -> Answer {
        let (method, _) = operation.split_once(' ').expect("two words");
        let method = method.parse().expect("a method");
        let token = self.server.token();
        let answer = self
            .ask_as(operation, method, &token, body.to_string(), status)
            .await;
        if answer.status.is_success() && !body.is_null() {
            let request = &self.document.operation(operation)["requestBody"];
            let schema = &request["content"]["application/json"]["schema"];
            let validator = self.document.validator(schema);
            assert_valid(&validator, body, "what the server accepts");
        }
        answer
    }

    /// The same with any method, token and body.
    async fn ask_as(
        &mut self,
        operation: &str,
        method: Method,
        token: &str,
        body: String,
        status: u16,
    ) -> Answer {
        let (_, path) = operation.split_once(' ').expect("two words");
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let path = path.replace("{name}", NAME).replace("{id}", &self.id);
        let asked = self.server.request(method, &path, &headers, body);
        let answer = asked.await;
        assert_eq!(answer.status.as_u16(), status, "{operation}: {answer:?}");
        self.is_documented(operation, &answer);
        self.exercised
            .insert((operation.to_owned(), status.to_string()));
        answer
    }

    fn is_documented(&self, operation: &str, answer: &Answer) {
        let status = answer.status.as_u16().to_string();
        let response = self.document.response(operation, &status);
        let header = |name: &str| answer.headers.get(name).and_then(|it| it.to_str().ok());
        if response["content"].is_null() {
            assert_eq!(answer.body.len(), 0, "{operation} {status}");
            return;
        }
        let content_type = header("content-type").expect("a content type");
        let media = response["content"].get(content_type);
        let media = media
            .unwrap_or_else(|| panic!("{operation} {status}: {content_type} is not documented"));
        let validator = self.document.strict_validator(&media["schema"]);
        assert_valid(&validator, &answer.json, operation);

        for (name, documented) in response["headers"].as_object().into_iter().flatten() {
            let value = header(name).unwrap_or_else(|| panic!("{operation} {status}: no {name}"));
            let validator = self.document.validator(&documented["schema"]);
            assert_valid(&validator, &json!(value), name);
        }
    }

    /// A subscribed browser.
    async fn subscribed(&mut self) -> Browser {
        let browser = self.service.subscribe(None);
        self.ask("POST /push/subscribe", &browser.to_json(), 200)
            .await;
        browser
    }
}

#[tokio::test]
async fn the_server_gives_every_documented_answer_and_no_other() {
    let mut bench = Bench::start().await;
    bench.ask("GET /push/key", &Value::Null, 200).await;
    let browser = bench.subscribed().await;
    exercise_subscribe(&mut bench, &browser).await;
    exercise_send(&mut bench, &browser).await;
    exercise_unsubscribe(&mut bench, &browser).await;
    exercise_schedules(&mut bench).await;
    exercise_campaigns(&mut bench).await;
    exercise_figures(&mut bench).await;
    exercise_limits(&mut bench).await;

    let mut documented = Exercised::new();
    for (name, operation) in bench.document.operations() {
        let responses = operation["responses"].as_object().expect("responses");
        let statuses = responses
            .keys()
            .filter(|it| !EXCEPTED.contains(&it.as_str()));
        documented.extend(statuses.map(|status| (name.clone(), status.clone())));
    }
    assert_eq!(bench.exercised, documented);
}

async fn exercise_subscribe(bench: &mut Bench, browser: &Browser) {
    let subscribe = "POST /push/subscribe";
    let signature = bench.server.sign("ada");
    let key = bench.server.get("/push/key").await.json["publicKey"].clone();
    let full = browser.to_json_with(json!({
        "expirationTime": 4_102_444_800_000_u64, "tags": ["a"], "timezone": "UTC", "replaces": "x",
        "user": "ada", "userSignature": signature, "applicationServerKey": key, "unknown": [1],
    }));
    bench.ask(subscribe, &full, 200).await;
    let cleared = json!({
        "tags": null, "timezone": null, "user": null, "userSignature": null, "replaces": null,
        "applicationServerKey": null,
    });
    bench
        .ask(subscribe, &browser.to_json_with(cleared), 200)
        .await;
    bench.ask(subscribe, &full, 200).await;
    bench.ask(subscribe, &json!({}), 400).await;
    bench.ask(subscribe, &Value::Null, 400).await;
    let unproven = browser.to_json_with(json!({"user": "ada"}));
    bench.ask(subscribe, &unproven, 403).await;
}

async fn exercise_send(bench: &mut Bench, browser: &Browser) {
    let send = "POST /push/send";
    let to = json!({"endpoint": browser.endpoint()});
    for message in [
        json!({"to": to, "data": "text"}),
        json!({"to": to, "data": 0}),
        json!({"to": to, "data": [null]}),
        json!({"to": to, "data": false, "ttl": null, "urgency": null, "topic": null}),
        json!({"to": {"user": "ada"}, "data": {}, "ttl": 0, "urgency": "very-low", "topic": "t"}),
        json!({"to": {"user": "nobody"}, "data": "x", "ttl": 2_147_483_647}),
        json!({"to": to, "app_badge": 3, "mutable": true, "notification": {
            "title": "t", "navigate": "https://a.example/", "body": "b", "tag": "t", "lang": "en", "dir": "rtl",
            "icon": "/i.png", "image": "/i.png", "badge": "/b.png", "silent": false, "requireInteraction": true,
            "renotify": false, "timestamp": 1, "vibrate": [1, 2], "data": null, "of_tomorrow": 1,
            "actions": [{"action": "a", "title": "t", "navigate": "http://a.example/", "icon": "/i.png"}],
        }}),
    ] {
        bench.ask(send, &message, 200).await;
    }
    let message = json!({"to": to, "data": "x"});
    bench.ask(send, &json!({"to": to}), 400).await;
    bench
        .ask(send, &json!({"to": {"endpoint": "x"}, "data": "x"}), 404)
        .await;
    bench
        .ask_as(send, Method::POST, "wrong", message.to_string(), 401)
        .await;
}

async fn exercise_unsubscribe(bench: &mut Bench, browser: &Browser) {
    let unsubscribe = "POST /push/unsubscribe";
    let gone = json!({"endpoint": browser.endpoint()});
    bench.ask(unsubscribe, &gone, 200).await;
    bench.ask(unsubscribe, &gone, 200).await;
    bench.ask(unsubscribe, &json!({}), 400).await;
}

/// Bodies that are too large, and methods that no route has.
async fn exercise_limits(bench: &mut Bench) {
    let token = bench.server.token();
    for operation in [
        "POST /push/subscribe",
        "POST /push/unsubscribe",
        "POST /push/send",
        "POST /push/schedules",
        "POST /push/audience",
    ] {
        let large = " ".repeat(MAX_BODY + 1);
        bench
            .ask_as(operation, Method::POST, &token, large, 413)
            .await;
    }
    for (operation, _) in Document::read().operations() {
        bench
            .ask_as(&operation, Method::PATCH, &token, String::new(), 405)
            .await;
    }
}

async fn exercise_schedules(bench: &mut Bench) {
    let (list, create, delete) = (
        "GET /push/schedules",
        "POST /push/schedules",
        "DELETE /push/schedules/{name}",
    );
    let schedule = json!({
        "name": NAME, "expression": " cron(0 9 ? * 2#1 *)", "timezone": "America/New_York", "unknown": 1,
        "message": {"to": {"audience": " news&&!beta "}, "data": "x", "ttl": 0, "urgency": "low", "topic": "t"},
    });
    bench.ask(create, &schedule, 201).await;
    bench.ask(create, &schedule, 200).await;
    let plain = json!({
        "name": "p", "expression": "rate(1 day)", "timezone": null,
        "message": {"to": {"audience": "all"}, "app_badge": 1, "mutable": false,
            "notification": {"title": "t", "navigate": "https://a.example/"}},
    });
    bench.ask(create, &plain, 201).await;
    bench.ask(create, &json!({}), 400).await;
    let listed = bench.ask(list, &Value::Null, 200).await;
    assert_eq!(listed.json["schedules"].as_array().map(Vec::len), Some(2));
    bench.ask(delete, &Value::Null, 204).await;
    bench.ask(delete, &Value::Null, 404).await;
    for (operation, method) in [
        (list, Method::GET),
        (create, Method::POST),
        (delete, Method::DELETE),
    ] {
        bench
            .ask_as(operation, method, "wrong", String::new(), 401)
            .await;
    }
}

async fn exercise_campaigns(bench: &mut Bench) {
    let (list, show, cancel, resume) = (
        "GET /push/campaigns",
        "GET /push/campaigns/{id}",
        "POST /push/campaigns/{id}/cancel",
        "POST /push/campaigns/{id}/resume",
    );
    for operation in [show, cancel, resume] {
        bench.ask(operation, &Value::Null, 404).await;
    }
    // The campaign stays under way: its one push is retried only after half a minute.
    let browser = bench.subscribed().await;
    bench.service.answer(&browser, Canned::status(503));
    let held = json!({
        "to": {"audience": " all "}, "data": {}, "ttl": null, "topic": "t", "id": "held~1", "rate": 1000, "unknown": 1,
    });
    bench.start_campaign(&held).await;
    assert_eq!(bench.id, "held~1");
    bench.start_campaign(&held).await;
    bench.shows("/counts/retrying", json!(1)).await;
    for _ in 0..2 {
        let cancelled = bench.ask(cancel, &Value::Null, 200).await;
        assert_eq!(cancelled.json["status"], "cancelled");
    }
    let resumed = bench.ask(resume, &Value::Null, 200).await;
    assert_eq!(resumed.json["status"], "running");
    let end = json!({
        "to": {"audience": "!nobody"}, "id": null, "rate": null,
        "notification": {"title": "t", "navigate": "https://a.example/"},
    });
    bench.service.behave_normally();
    bench.start_campaign(&end).await;
    bench.shows("/status", json!("done")).await;
    for operation in [cancel, resume] {
        bench.ask(operation, &Value::Null, 409).await;
    }
    let listed = bench.ask(list, &Value::Null, 200).await;
    assert_eq!(listed.json["campaigns"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed.json["next"], Value::Null);
    let listed = bench.list_from("1798102800113000%23a", 200).await;
    assert_eq!(listed.json["campaigns"].as_array().map(Vec::len), Some(2));
    bench.list_from("x", 400).await;
    for (operation, method) in [
        (list, Method::GET),
        (show, Method::GET),
        (cancel, Method::POST),
        (resume, Method::POST),
    ] {
        bench
            .ask_as(operation, method, "wrong", String::new(), 401)
            .await;
    }
}

async fn exercise_figures(bench: &mut Bench) {
    let (stats, audience) = ("GET /push/stats", "POST /push/audience");
    let browser = bench.service.subscribe(None);
    let tagged = browser.to_json_with(json!({"tags": ["news", "team:blue"]}));
    bench.ask("POST /push/subscribe", &tagged, 200).await;
    let shown = bench.ask(stats, &Value::Null, 200).await.json;
    assert_eq!(shown["tags"]["team:blue"], 1, "{shown}");
    assert!(!shown["days"][0].is_null(), "{shown}");
    for asked in ["all", " news&&!beta "] {
        let asked = json!({"audience": asked, "unknown": 1});
        bench.ask(audience, &asked, 200).await;
    }
    bench.ask(audience, &json!({}), 400).await;
    for (operation, method) in [(stats, Method::GET), (audience, Method::POST)] {
        bench
            .ask_as(operation, method, "wrong", String::new(), 401)
            .await;
    }
}

impl Bench {
    async fn start_campaign(&mut self, message: &Value) {
        let started = self.ask("POST /push/send", message, 202).await;
        self.id = started.json["campaign"].as_str().expect("an id").to_owned();
    }

    async fn shows(&mut self, pointer: &str, wanted: Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = self.ask("GET /push/campaigns/{id}", &Value::Null, 200);
            let shown = shown.await.json;
            if shown.pointer(pointer) == Some(&wanted) {
                return;
            }
            assert!(Instant::now() < end, "no {pointer} of {wanted}: {shown}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn list_from(&mut self, from: &str, status: u16) -> Answer {
        let operation = "GET /push/campaigns";
        let path = format!("/push/campaigns?from={from}");
        let answer = self.server.get_with_token(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        self.is_documented(operation, &answer);
        self.exercised
            .insert((operation.to_owned(), status.to_string()));
        answer
    }
}

#[test]
fn every_campaign_status_count_and_push_service_is_documented_and_no_other() {
    let document = Document::read();
    let labels = |at: &str| -> BTreeSet<String> {
        let list = document.at(at).as_array().expect("a list").iter();
        list.map(|it| it.as_str().expect("text").to_owned())
            .collect()
    };
    let of = |all: &[&str]| -> BTreeSet<String> { all.iter().map(|&it| it.to_owned()).collect() };
    let statuses = labels("/components/schemas/CampaignStatus/enum");
    assert_eq!(statuses, of(&Status::ALL.map(Status::label)));
    let tallies = labels("/components/schemas/Counts/required");
    assert_eq!(tallies, of(&Tally::ALL.map(Tally::label)));
    for services in [
        "Campaign/properties/services/propertyNames/enum",
        "Stats/properties/services/required",
    ] {
        let services = format!("/components/schemas/{services}");
        assert_eq!(labels(&services), of(&Vendor::ALL.map(Vendor::label)));
    }
}

#[tokio::test]
async fn every_outcome_of_a_push_is_documented_with_its_result() {
    let mut bench = Bench::start().await;
    let mismatch = Canned::autopush(401, 109, "VAPID public key mismatch");
    let canned = [
        ("accepted", 201, Canned::status(201)),
        ("mismatched", 401, mismatch),
        ("too_large", 413, Canned::status(413)),
        (
            "throttled",
            429,
            Canned::status(429).header("retry-after", "7"),
        ),
        ("throttled", 429, Canned::status(429)),
        (
            "unavailable",
            503,
            Canned::status(503).header("retry-after", "0"),
        ),
        (
            "our_fault",
            401,
            Canned::autopush(401, 109, "Invalid signature"),
        ),
        (
            "refused",
            307,
            Canned::status(307).header("location", "https://a.example/"),
        ),
        ("gone", 404, Canned::status(404)),
    ];
    let mut seen = BTreeSet::new();
    for (outcome, status, canned) in canned {
        let browser = bench.subscribed().await;
        bench.service.answer(&browser, canned);
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "x"});
        let answer = bench.ask("POST /push/send", &message, 200).await;
        let result = &answer.json["results"][0];
        assert_eq!(result["outcome"], outcome, "{answer:?}");
        assert_eq!(result["status"], status);
        seen.insert(outcome);
    }
    let browser = bench.subscribed().await;
    bench.service.reset(&browser);
    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "x"});
    let answer = bench.ask("POST /push/send", &message, 200).await;
    assert_eq!(answer.json["results"][0]["outcome"], "unreachable");
    assert_eq!(answer.json["results"][0]["status"], Value::Null);
    seen.insert("unreachable");

    let documented = bench.document.schema("Outcome")["enum"].as_array();
    let documented: BTreeSet<&str> = documented
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(seen, documented);
    assert_eq!(documented, OUTCOMES.map(|it| it.label()).into());
}

/// Replaces an example's subscription by one of the tests' push service.
fn localise(example: &mut Value, browser: &Browser) {
    for at in ["/endpoint", "/to/endpoint"] {
        if let Some(endpoint) = example.pointer_mut(at) {
            *endpoint = json!(browser.endpoint());
        }
    }
}

#[tokio::test]
async fn every_example_is_valid_and_the_server_accepts_those_of_requests() {
    let mut bench = Bench::start().await;
    let browser = bench.subscribed().await;
    let document = Document::read();
    let mut requests = 0;
    for (name, operation) in document.operations() {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            for (media, content) in contents(document.resolve(response)) {
                let validator = document.strict_validator(&content["schema"]);
                for (example, value) in examples(content) {
                    let what = format!("{name} {status} {media} {example}");
                    assert_valid(&validator, value, &what);
                    if media == "application/problem+json" {
                        assert_eq!(value["status"].to_string(), *status, "{what}");
                    }
                }
            }
        }
        for (_, content) in contents(&operation["requestBody"]) {
            let validator = document.strict_validator(&content["schema"]);
            for (example, value) in examples(content) {
                assert_valid(&validator, value, &format!("{name} {example}"));
                let mut value = value.clone();
                localise(&mut value, &browser);
                if name == "POST /push/schedules" {
                    bench.ask(&name, &value, 201).await;
                }
                let campaign = value.pointer("/to/audience").is_some();
                bench
                    .ask(&name, &value, if campaign { 202 } else { 200 })
                    .await;
                requests += 1;
                // An example may remove what the next one needs.
                bench
                    .ask("POST /push/subscribe", &browser.to_json(), 200)
                    .await;
            }
        }
    }
    assert!(requests >= 8, "{requests} examples of requests");
    assert_eq!(bench.service.deliveries().len(), 1, "one is to an endpoint");
}

/// The media types of a request or response. None if it has no `content`.
fn contents(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of["content"].as_object().into_iter().flatten()
}

/// The examples of a media type. Fails if there is none.
fn examples(content: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let examples = content["examples"].as_object().expect("examples").iter();
    assert_ne!(examples.len(), 0);
    examples.map(|(name, example)| (name, &example["value"]))
}

/// The paths below /push that any router in the source has.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let dense: String = source.split_whitespace().collect();
        for route in dense.split(".route(\"/push").skip(1) {
            let (rest, _) = route.split_once('"').expect("a closing quote");
            routes.insert(format!("/push{rest}"));
        }
    }
    routes
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut sources = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources.push(std::fs::read_to_string(&path).expect("text"));
        }
    }
    sources
}

#[tokio::test]
async fn every_route_and_method_of_the_server_is_documented_and_no_other() {
    let bench = Bench::start().await;
    let token = format!("Bearer {}", bench.server.token());
    let headers = [("authorization", token.as_str())];
    let documented = bench.document.operations().into_iter();
    let documented: BTreeSet<String> = documented.map(|(name, _)| name).collect();
    let paths = documented.iter().filter_map(|name| name.split_once(' '));
    let paths: BTreeSet<String> = paths.map(|(_, path)| path.to_owned()).collect();
    assert_eq!(routes(), paths);

    let mut served = BTreeSet::new();
    for path in &paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let asked = method.parse().expect("a method");
            let answer = bench.server.request(asked, path, &headers, "").await;
            let kind = answer.json["type"].as_str().unwrap_or_default();
            assert_ne!(kind, "urn:pushcast:no-such-path", "{path}");
            if kind != "urn:pushcast:method-not-allowed" {
                served.insert(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(served, documented);
}

#[tokio::test]
async fn exactly_the_operations_with_documented_security_ask_for_a_token() {
    let bench = Bench::start().await;
    for (name, operation) in bench.document.operations() {
        let (method, path) = name.split_once(' ').expect("two words");
        let method = method.parse().expect("a method");
        let answer = bench.server.request(method, path, &[], "{}").await;
        let asks = answer.status == StatusCode::UNAUTHORIZED;
        let says = operation["security"].as_array().expect("it says so or not");
        assert_eq!(asks, !says.is_empty(), "{name}: {answer:?}");
    }
}

#[test]
fn every_type_of_problem_is_documented_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut kinds = BTreeSet::new();
    for source in sources(&folder) {
        for kind in source.split("\"urn:pushcast:").skip(1) {
            let (rest, _) = kind.split_once('"').expect("a closing quote");
            kinds.insert(format!("urn:pushcast:{rest}"));
        }
    }
    let document = Document::read();
    let documented = &document.schema("Problem")["properties"]["type"]["enum"];
    let documented = documented.as_array().expect("a list").iter();
    let documented: BTreeSet<String> = documented
        .map(|kind| kind.as_str().expect("text").to_owned())
        .collect();
    assert_eq!(documented, kinds);
}

#[test]
fn the_documented_limits_equal_the_code_s() {
    let document = Document::read();
    for (at, number) in [
        ("Registration/properties/tags/maxItems", MAX_TAGS),
        ("Registration/properties/tags/items/maxLength", MAX_TAG_LEN),
        (
            "Registration/properties/replaces/maxLength",
            MAX_ENDPOINT_LEN,
        ),
        ("Endpoint/maxLength", MAX_ENDPOINT_LEN),
        ("KnownEndpoint/maxLength", MAX_ENDPOINT_LEN),
        ("User/maxLength", MAX_USER_LEN),
        ("Message/properties/data/maxLength", MAX_PLAINTEXT),
        ("Message/properties/ttl/default", DEFAULT_TTL as usize),
        ("ScheduleName/maxLength", MAX_NAME_LEN),
        ("CampaignId/maxLength", MAX_ID_LEN),
        ("Message/properties/rate/maximum", MAX_RATE as usize),
        ("Stats/properties/tags/maxProperties", MOST_TAGS),
        ("Stats/properties/days/maxItems", MOST_DAYS as usize),
    ] {
        let found = document.at(&format!("/components/schemas/{at}"));
        assert_eq!(found, &json!(number), "{at}");
    }
    let tag = document.at("/components/schemas/Registration/properties/tags/items/pattern");
    let tag = tag.as_str().expect("a pattern");
    assert!(tag.ends_with(&format!("{{1,{MAX_TAG_LEN}}}$")), "{tag}");
    for (at, number) in [
        ("/info/description", MAX_BODY),
        ("/components/responses/BodyTooLarge/description", MAX_BODY),
        ("/components/schemas/Message/description", MAX_PLAINTEXT),
        ("/components/schemas/Endpoint/description", MAX_ENDPOINT_LEN),
        (
            "/components/schemas/KnownEndpoint/description",
            MAX_ENDPOINT_LEN,
        ),
        ("/components/schemas/User/description", MAX_USER_LEN),
    ] {
        let text = document.at(at).as_str().expect("text");
        let said = text.contains(&format!("{number} bytes"));
        assert!(said, "{at} does not say {number} bytes: {text}");
    }
    let audience = document.at("/components/schemas/Audience/description");
    let audience = audience.as_str().expect("text");
    for said in [
        format!("{MAX_NAMED} tags"),
        format!("{MAX_LEN} characters"),
        format!("{MAX_DEPTH} parentheses"),
    ] {
        assert!(audience.contains(&said), "{said}");
    }
    for (path, method) in [("stats", "get"), ("audience", "post")] {
        let text = document.at(&format!("/paths/~1push~1{path}/{method}/description"));
        let said = text
            .as_str()
            .is_some_and(|it| it.contains(&format!("{MOST_ROWS} subscriptions")));
        assert!(said, "{text}");
    }
    assert_eq!(document.at("/info/version"), env!("CARGO_PKG_VERSION"));
}

fn wrong_registrations() -> Vec<(&'static str, Value)> {
    vec![
        ("/endpoint", json!("ftp://a.example/x")),
        ("/endpoint", json!("https://a.example/x#y")),
        ("/endpoint", json!("https://a@b.example/x")),
        ("/endpoint", json!("https://a.example/")),
        ("/keys/auth", json!("BTBZMqHH6r4Tts7J_aSIg")),
        ("/keys/p256dh", json!("CCVx")),
        ("/tags", json!(vec!["a"; 51])),
        ("/tags", json!(["a b"])),
        ("/user", json!("")),
    ]
}

fn wrong_messages() -> Vec<(&'static str, Value)> {
    vec![
        ("/to", json!({})),
        ("/to", json!({"user": "a", "endpoint": "b"})),
        ("/data", json!("")),
        ("/ttl", json!(-1)),
        ("/ttl", json!(1_u64 << 31)),
        ("/urgency", json!("urgent")),
        ("/topic", json!("a b")),
        (
            "/notification",
            json!({"title": "t", "navigate": "https://a.example/"}),
        ),
    ]
}

fn wrong_campaigns() -> Vec<(&'static str, Value)> {
    vec![
        ("/to/audience", json!("")),
        ("/to/user", json!("ada")),
        ("/id", json!("")),
        ("/id", json!("..")),
        ("/id", json!("a/b")),
        ("/rate", json!(0)),
        ("/rate", json!(MAX_RATE + 1)),
    ]
}

fn wrong_notifications() -> Vec<(&'static str, Value)> {
    vec![
        ("/notification/title", json!("")),
        ("/notification/navigate", json!("/x")),
        ("/notification/url", json!("https://a.example/")),
        ("/notification/dir", json!("up")),
        ("/notification/actions", json!([{"title": "t"}])),
        ("/app_badge", json!(-1)),
    ]
}

fn wrong_schedules() -> Vec<(&'static str, Value)> {
    vec![
        ("/name", json!("a b")),
        ("/name", json!("")),
        ("/expression", json!("0 9 * * *")),
        ("/timezone", json!(1)),
        ("/message", json!({"data": "x"})),
        ("/message/to", json!({"user": "a"})),
        ("/message/to/audience", json!("")),
        ("/message/urgency", json!("urgent")),
    ]
}

fn wrong_unsubscriptions() -> Vec<(&'static str, Value)> {
    vec![("/endpoint", json!(""))]
}

#[tokio::test]
async fn the_server_refuses_every_request_that_the_schemas_refuse() {
    let Bench {
        document, server, ..
    } = Bench::start().await;
    let browser = json!({
        "endpoint": "https://fcm.googleapis.com/fcm/send/x",
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    });
    let message = json!({"to": {"user": "ada"}, "data": "x"});
    let campaign = json!({"to": {"audience": "all"}, "data": "x"});
    let declarative = json!({"to": {"user": "ada"}, "notification": {"title": "t", "navigate": "https://a.example/"}});
    let schedule = json!({
        "name": "a", "expression": "rate(1 hour)", "message": {"to": {"audience": "all"}, "data": "x"},
    });
    let tables = [
        ("Registration", browser, wrong_registrations()),
        ("Message", message, wrong_messages()),
        ("Message", campaign, wrong_campaigns()),
        ("Message", declarative, wrong_notifications()),
        ("Schedule", schedule, wrong_schedules()),
        (
            "Unsubscription",
            json!({"endpoint": "x"}),
            wrong_unsubscriptions(),
        ),
    ];
    for (schema, good, wrong) in tables {
        let validator = document.validator(document.schema(schema));
        assert_valid(&validator, &good, schema);
        let path = match schema {
            "Registration" => "/push/subscribe",
            "Unsubscription" => "/push/unsubscribe",
            "Schedule" => "/push/schedules",
            _ => "/push/send",
        };
        for (at, wrong) in wrong {
            let mut bad = good.clone();
            let (parent, member) = at.rsplit_once('/').expect("a pointer");
            bad.pointer_mut(parent).expect("its parent")[member] = wrong;
            assert!(!validator.is_valid(&bad), "{schema} takes {bad}");
            let answer = server.post_with_token(path, &bad).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
