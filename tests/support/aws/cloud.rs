//! AWS on a port of this machine. Every call passes one gate, which records caller, action and resource as an IAM
//! policy names them. Behind the gate are dynoxide for DynamoDB, rustack for SQS, and real P-256 keys for KMS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use pushcast::clock::Chance;
use pushcast::dynamo::{Tables, schema};
use pushcast::store::Store;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::rights::{Call, rights, scheduler_operation, signer};
use super::scheduler::Scheduler;
use super::template::Right;
use super::{dynamodb, sqs};

/// Runs until the test ends.
#[derive(Clone)]
pub(crate) struct Cloud {
    gate: String,
    inner: Arc<Inner>,
}

struct Inner {
    dynamodb: String,
    sqs: String,
    scheduler: Scheduler,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    keys: BTreeMap<String, SigningKey>,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    events: Vec<Value>,
    secrets: BTreeMap<String, String>,
    /// Number of calls that KMS still refuses before it signs again.
    kms_failures: usize,
    /// True if every call to DynamoDB is denied.
    dynamodb_denied: bool,
    /// Connections that functions opened before their first call.
    opened: usize,
}

impl Cloud {
    /// Starts with both tables and these KMS keys, and without queues.
    pub(crate) async fn start(tables: &Tables, kms_keys: &[&str]) -> Self {
        let key = |id: &&str| ((*id).to_owned(), SigningKey::random(&mut rand_core()));
        let inner = Arc::new(Inner {
            dynamodb: dynamodb::start().await,
            sqs: sqs::start().await,
            scheduler: Scheduler::start("Schedules").await,
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            keys: kms_keys.iter().map(key).collect(),
            state: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gate = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new()
            .fallback(gate_keeper)
            .with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let cloud = Self { gate, inner };
        let made = schema::create_missing(&cloud.dynamodb(), tables).await;
        made.expect("tables can be made");
        cloud
    }

    /// Endpoints of every service, and credentials that identify the caller.
    pub(crate) fn environment(&self, caller: &str) -> Vec<(String, String)> {
        let gate = &self.gate;
        let mut environment = vec![
            ("AWS_ACCESS_KEY_ID".to_owned(), caller.to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "secret".to_owned()),
        ];
        for service in [
            "DYNAMODB",
            "SQS",
            "KMS",
            "SECRETS_MANAGER",
            "EVENTBRIDGE",
            "SCHEDULER",
        ] {
            environment.push((format!("AWS_ENDPOINT_URL_{service}"), gate.clone()));
        }
        environment
    }

    /// The test's own store over the tables.
    pub(crate) fn store(&self, tables: &Tables) -> Store {
        Store::new(self.dynamodb(), tables.clone(), Chance::system())
    }

    /// The test's own client of DynamoDB.
    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(credentials())
            .endpoint_url(&self.gate)
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    /// The test's own client of SQS.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(credentials())
            .endpoint_url(&self.gate)
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// Stores a secret in Secrets Manager.
    pub(crate) fn keep_secret(&self, id: &str, text: &str) {
        let mut state = self.inner.state.lock().unwrap();
        state.secrets.insert(id.to_owned(), text.to_owned());
    }

    /// Makes KMS refuse the next `times` signatures.
    pub(crate) fn let_kms_fail(&self, times: usize) {
        self.inner.state.lock().unwrap().kms_failures = times;
    }

    /// Denies every caller every action in DynamoDB from now on.
    pub(crate) fn deny_dynamodb(&self) {
        self.inner.state.lock().unwrap().dynamodb_denied = true;
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner.state.lock().unwrap().calls.clone()
    }

    /// Rights that one caller has used so far.
    pub(crate) fn rights_used(&self, by: &str) -> BTreeSet<Right> {
        let calls = self.calls().into_iter().filter(|call| call.by == by);
        calls.map(|call| call.right).collect()
    }

    /// Number of connections that functions opened before their first call.
    pub(crate) fn opened(&self) -> usize {
        self.inner.state.lock().unwrap().opened
    }

    /// Entries put on EventBridge's bus.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.inner.state.lock().unwrap().events.clone()
    }
}

fn credentials() -> Credentials {
    Credentials::new("test", "secret", None, None, "test")
}

/// Credentials that no service checks.
pub(crate) fn credentials_provider() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(credentials())
}

fn rand_core() -> p256::elliptic_curve::rand_core::OsRng {
    p256::elliptic_curve::rand_core::OsRng
}

/// Records a call and forwards it.
async fn gate_keeper(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    // A client that only opens a connection gets a success, as from DynamoDB.
    if !request.headers().contains_key("authorization") {
        assert_eq!(
            (request.method(), request.uri().path()),
            (&Method::GET, "/")
        );
        inner.state.lock().unwrap().opened += 1;
        return "healthy: dynamodb.eu-west-1.amazonaws.com".into_response();
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole request");
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (by, service) = signer(&head.headers);
    let target = head.headers.get("x-amz-target");
    let target = target
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let operation = match &service[..] {
        "scheduler" => scheduler_operation(&head.method, head.uri.path()),
        _ => target.rsplit('.').next().unwrap_or_default(),
    };
    {
        let mut state = inner.state.lock().unwrap();
        for (action, resource) in rights(&service, operation, &json) {
            let right = (format!("{service}:{action}"), resource);
            state.calls.push(Call {
                by: by.clone(),
                right,
            });
        }
        if let Some(role) = json["Target"]["RoleArn"].as_str() {
            let right = ("iam:PassRole".to_owned(), role.to_owned());
            state.calls.push(Call { by, right });
        }
    }
    let denied = inner.state.lock().unwrap().dynamodb_denied;
    match &service[..] {
        "dynamodb" if denied => {
            let why = format!("not authorized to perform: dynamodb:{operation}");
            refused("AccessDeniedException", &why)
        }
        "dynamodb" => inner.forward(&inner.dynamodb, head, body).await,
        "sqs" => inner.forward(&inner.sqs, head, body).await,
        "scheduler" => inner.forward(&inner.scheduler.url, head, body).await,
        _ => inner.answer(operation, &json),
    }
}

impl Inner {
    async fn forward(&self, to: &str, head: Parts, body: Bytes) -> Response {
        let path = head.uri.path_and_query().expect("a path");
        let mut request = http::Request::builder()
            .method(head.method)
            .uri(format!("{to}{path}"));
        for (name, value) in &head.headers {
            if name != "host" {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body)).expect("a request");
        let answer = self.http.request(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole answer").to_bytes();
        Response::from_parts(head, Body::from(body))
    }

    /// KMS, Secrets Manager and EventBridge, as far as the functions use them.
    fn answer(&self, operation: &str, body: &Value) -> Response {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let answer = match operation {
            "GetPublicKey" => self.keys.get(text("KeyId")).map(|key| {
                let der = key.verifying_key().to_public_key_der().expect("a point");
                json!({"KeyId": text("KeyId"), "PublicKey": STANDARD.encode(der.as_bytes())})
            }),
            "Sign" if state.kms_failures > 0 => {
                state.kms_failures -= 1;
                return refused("DisabledException", "the key is disabled");
            }
            "Sign" => self.keys.get(text("KeyId")).map(|key| {
                assert_eq!(text("MessageType"), "RAW");
                assert_eq!(text("SigningAlgorithm"), "ECDSA_SHA_256");
                let message = STANDARD.decode(text("Message")).expect("base64");
                let signature: DerSignature = key.sign(&message);
                json!({"KeyId": text("KeyId"), "Signature": STANDARD.encode(signature.as_bytes())})
            }),
            "GetSecretValue" => {
                let secret = state.secrets.get(text("SecretId"));
                secret.map(|secret| json!({"SecretString": secret}))
            }
            "PutEvents" => {
                let entries = body["Entries"].as_array().expect("entries").clone();
                let ids: Vec<Value> = entries.iter().map(|_| json!({"EventId": "1"})).collect();
                state.events.extend(entries);
                Some(json!({"FailedEntryCount": 0, "Entries": ids}))
            }
            other => panic!("{other} is not answered"),
        };
        let missing = || refused("ResourceNotFoundException", "there is none");
        answer.map_or_else(missing, |json| axum::Json(json).into_response())
    }
}

fn refused(code: &str, message: &str) -> Response {
    let body = json!({"__type": code, "message": message});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}
