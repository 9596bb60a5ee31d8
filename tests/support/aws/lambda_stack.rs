//! The stack of `template.yaml` on this machine: the built functions with the environment that the template gives them,
//! invoked with the payloads in `events`.

use std::path::Path;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pushcast::dynamo::Tables;
use pushcast::store::Store;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use webpush::{AllowList, Origin, VapidKey};

use crate::support::aws::cloud::Cloud;
use crate::support::aws::lambda_runtime::Function;
use crate::support::aws::template::{FUNCTIONS, Template};
use crate::support::push_service::PushService;
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

/// The secret with the key that was used before this stack.
pub(crate) const OLDER_KEY: &str =
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:push/old-key-AbCdEf";

/// The template's table names.
pub(crate) fn tables() -> Tables {
    Tables {
        subscriptions: "Subscriptions".to_owned(),
        ledger: "Ledger".to_owned(),
    }
}

/// A payload from `events`.
pub(crate) fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    let text = std::fs::read_to_string(&path).expect("it is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// A request's body. The gateway encodes every body but text and JSON in base64, also the form type that curl sends.
pub(crate) fn text(request: &Value) -> String {
    let body = request["body"].as_str().expect("a body");
    if request["isBase64Encoded"] == false {
        return body.to_owned();
    }
    let octets = STANDARD.decode(body).expect("it is base64");
    String::from_utf8(octets).expect("it is text")
}

/// The same payload with some members of its body replaced.
pub(crate) fn event_with(name: &str, members: &Value) -> Value {
    let mut event = event(name);
    let mut body: Value = serde_json::from_str(&text(&event)).expect("it is JSON");
    for (name, value) in members.as_object().expect("members") {
        body[name] = value.clone();
    }
    let body = body.to_string();
    event["body"] = match event["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.encode(body).into(),
        _ => body.into(),
    };
    event
}

/// A request without a body, with the other properties of the payload `like`.
pub(crate) fn request(like: &str, method: &str, path: &str) -> Value {
    let mut event = event(like);
    event["rawPath"] = path.into();
    event["routeKey"] = format!("{method} {path}").into();
    event["requestContext"]["http"]["method"] = method.into();
    event["requestContext"]["http"]["path"] = path.into();
    event["requestContext"]["routeKey"] = event["routeKey"].clone();
    event["body"] = Value::Null;
    event["isBase64Encoded"] = false.into();
    event
}

/// Endpoints of AWS, and the setting that makes the functions trust the push service's certificate.
pub(crate) fn surroundings(
    cloud: &Cloud,
    service: &PushService,
    caller: &str,
) -> Vec<(String, String)> {
    let mut environment = cloud.environment(caller);
    let ca_file = service.ca_file().display().to_string();
    environment.push(("PUSHCAST_CA_FILE".to_owned(), ca_file));
    environment
}

/// The stack on this machine.
pub(crate) struct LambdaStack {
    pub(crate) cloud: Cloud,
    pub(crate) template: Template,
    pub(crate) service: PushService,
    pub(crate) older: VapidKey,
    pub(crate) public: Vec<u8>,
    pub(crate) subscribe: Function,
    pub(crate) send: Function,
    pub(crate) broadcast: Function,
    pub(crate) deliver: Function,
}

impl LambdaStack {
    pub(crate) async fn deploy() -> Self {
        let service = PushService::start().await;
        let template = Template::read(&[
            ("Contact", "mailto:tests@pushcast.dev"),
            ("OlderVapidKey", OLDER_KEY),
            ("PushOrigins", &service.origin()),
        ]);
        let cloud = Cloud::start(&tables(), &["VapidKey"]).await;
        let older = VapidKey::generate().unwrap();
        cloud.keep_secret(OLDER_KEY, &older.to_pkcs8_pem());
        let token = r#"{"value":"an-api-token-for-local-work"}"#;
        cloud.keep_secret("ApiToken", token);
        cloud.keep_secret("UserSecret", r#"{"value":"a-user-secret-for-tests"}"#);
        let made = cloud.sqs().create_queue().queue_name("Jobs").send().await;
        let queue = made.expect("a queue").queue_url.expect("a URL");
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
        let key = webpush::base64url::decode(key.as_str().unwrap()).unwrap();
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

    pub(crate) fn store(&self) -> Store {
        self.cloud.store(&tables())
    }

    /// A page in a new browser subscribes with `key`. `more` may name the key.
    pub(crate) async fn subscribed(&mut self, key: &[u8], more: Value) -> Browser {
        let browser = self.service.subscribe(Some(key));
        let answer = self.subscribe(&browser, more).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        browser
    }

    pub(crate) async fn subscribe(&mut self, browser: &Browser, more: Value) -> Value {
        let event = event_with("subscribe", &browser.to_json_with(more));
        self.routed(event).await
    }

    pub(crate) async fn send(&mut self, to: &Value) -> Value {
        let answer = self.routed(event_with("send", &json!({"to": to}))).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        body(&answer)["results"].clone()
    }

    /// The body of the answer to a request with the API token.
    pub(crate) async fn api(&mut self, method: &str, path: &str) -> Value {
        body(&self.routed(request("send", method, path)).await)
    }

    /// Hands the event to the function that has its route, as the gateway does.
    pub(crate) async fn routed(&mut self, event: Value) -> Value {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let method = text(&event["requestContext"]["http"]["method"]);
        let request = format!("{method} {}", text(&event["rawPath"]));
        let knows = |function: &&str| {
            let routes = self.template.routes(function);
            routes.iter().any(|route| matches(route, &request))
        };
        let mut functions = FUNCTIONS.into_iter().filter(knows);
        let function = match (functions.next(), functions.next()) {
            (Some("subscribe"), None) => &mut self.subscribe,
            (Some("send"), None) => &mut self.send,
            other => panic!("{request} is answered by {other:?}"),
        };
        function.invoke(event).await.unwrap()
    }

    /// Does the work of the event source mapping until the campaign has ended: takes jobs, invokes `deliver`, and
    /// deletes the jobs that `deliver` does not report as failed.
    pub(crate) async fn deliver_until(&mut self, campaign: &str, ended: &str) -> Value {
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

    /// The jobs in the queue, each as an event for `deliver`, with its receipt handle.
    pub(crate) async fn jobs(&self) -> Vec<(Value, String)> {
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

    pub(crate) async fn delete(&self, receipt: &str) {
        let sqs = self.cloud.sqs();
        let delete = sqs.delete_message().queue_url(self.queue().await);
        let deleted = delete.receipt_handle(receipt).send().await;
        deleted.expect("it was received");
    }

    pub(crate) async fn queue(&self) -> String {
        let sqs = self.cloud.sqs();
        let url = sqs.get_queue_url().queue_name("Jobs").send().await;
        url.expect("a queue").queue_url.expect("a URL")
    }
}

/// Whether a route such as `GET /push/campaigns/{id}` matches this request.
fn matches(route: &str, request: &str) -> bool {
    let (route, request) = (route.split('/'), request.split('/'));
    route.clone().count() == request.clone().count()
        && route
            .zip(request)
            .all(|(route, part)| route == part || route.starts_with('{'))
}

pub(crate) fn body(answer: &Value) -> Value {
    let text = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

/// An allow-list with this push service.
pub(crate) fn allowed(service: &PushService) -> AllowList {
    let origin = Origin::parse(&service.origin()).unwrap();
    AllowList::new([origin])
}
