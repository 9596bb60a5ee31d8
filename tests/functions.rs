//! The Lambda functions: the built binaries, fed by a Runtime API of ours.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use pushcast::webpush::VapidKey;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

/// The Runtime API, as a function sees it: it asks for the next event, and posts the answer.
struct Runtime {
    events: mpsc::UnboundedSender<Value>,
    answers: mpsc::UnboundedReceiver<Value>,
    _function: Child,
}

impl Runtime {
    async fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let (events, incoming) = mpsc::unbounded_channel::<Value>();
        let (outgoing, answers) = mpsc::unbounded_channel();
        let incoming = Arc::new(Mutex::new(incoming));
        let next = async |State(events): State<Arc<Mutex<mpsc::UnboundedReceiver<Value>>>>| {
            let event = events.lock().await.recv().await;
            let headers = [
                (
                    "lambda-runtime-aws-request-id",
                    "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                ),
                ("lambda-runtime-deadline-ms", "4102444800000"),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-west-1:1:function:f",
                ),
                (
                    "lambda-runtime-trace-id",
                    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
                ),
            ];
            (headers, Json(event)).into_response()
        };
        let answered = async move |answer: String| {
            let answer = serde_json::from_str(&answer).expect("JSON");
            outgoing.send(answer).expect("the test waits for it");
            "{}"
        };
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(answered),
            )
            .with_state(incoming);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, api).await });
        let function = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", &address[..]),
                ("AWS_LAMBDA_FUNCTION_NAME", "function"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        Self {
            events,
            answers,
            _function: function,
        }
    }

    async fn invoke(&mut self, event: Value) -> Value {
        self.events.send(event).expect("the runtime runs");
        let answer = timeout(Duration::from_secs(30), self.answers.recv()).await;
        answer.expect("in time").expect("an answer")
    }
}

/// An event of an HTTP API, payload version 2.0.
fn api_gateway(method: &str, path: &str, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "id.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "id", "domainName": "id.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "id", "requestId": "JKJaXmPLvHcESHA=", "routeKey": format!("{method} {path}"),
            "stage": "$default", "time": "10/Mar/2026:05:16:23 +0000", "timeEpoch": 1_773_119_783_220_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent"},
        },
        "body": body, "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn the_same_routers_answer_in_lambda() {
    let key = VapidKey::generate().expect("a key");
    let raw = key.to_raw_base64url();
    let environment = [
        ("PUSHCAST_SUBSCRIPTIONS_TABLE", "subscriptions"),
        ("PUSHCAST_LEDGER_TABLE", "ledger"),
        ("PUSHCAST_QUEUE_URL", "http://127.0.0.1:1/queue"),
        ("PUSHCAST_VAPID_KEYS", &raw[..]),
        ("PUSHCAST_VAPID_SUBJECT", "mailto:tests@pushcast.dev"),
        ("PUSHCAST_TOKEN", "a-token-for-this-test"),
        ("PUSHCAST_USER_SECRET", "a-secret-for-this-test"),
    ];
    let mut subscribe = Runtime::start(env!("CARGO_BIN_EXE_subscribe"), &environment).await;
    let answer = subscribe.invoke(api_gateway("GET", "/push/key", "")).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body, json!({"publicKey": key.public_base64url()}));

    let answer = subscribe
        .invoke(api_gateway("POST", "/push/subscribe", "{\"endpoint\": 1}"))
        .await;
    assert_eq!(answer["statusCode"], 400, "{answer}");
    assert_eq!(
        answer["headers"]["content-type"],
        "application/problem+json"
    );

    let mut send = Runtime::start(env!("CARGO_BIN_EXE_send"), &environment).await;
    let answer = send.invoke(api_gateway("POST", "/push/send", "{}")).await;
    assert_eq!(answer["statusCode"], 401, "{answer}");
    let answer = send.invoke(api_gateway("GET", "/push/key", "")).await;
    assert_eq!(
        answer["statusCode"], 404,
        "each function has its own routes: {answer}"
    );
}

#[tokio::test]
async fn a_function_whose_environment_is_wrong_names_the_variable_and_does_not_start() {
    for (binary, missing) in [
        (
            env!("CARGO_BIN_EXE_subscribe"),
            "PUSHCAST_SUBSCRIPTIONS_TABLE",
        ),
        (env!("CARGO_BIN_EXE_send"), "PUSHCAST_VAPID_SUBJECT"),
    ] {
        let output = Command::new(binary)
            .env_clear()
            .output()
            .await
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(missing), "{said}");
    }
}
