//! The Lambda Runtime API from the function's side: the function asks for the next event and posts its answer.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::support::waiting::PATIENCE;

/// The id of every request.
pub(crate) const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// An event, and the function's deadline in milliseconds since 1970.
type Invocation = (Value, i64);

/// A built function that runs against its own Runtime API.
pub(crate) struct Function {
    events: mpsc::UnboundedSender<Invocation>,
    answers: mpsc::UnboundedReceiver<Result<Value, Value>>,
    pub(crate) process: Child,
    folder: TempDir,
}

impl Function {
    /// Starts the binary with only these environment variables.
    pub(crate) async fn start(binary: &str, environment: &[(String, String)]) -> Self {
        let (events, incoming) = mpsc::unbounded_channel();
        let (outgoing, answers) = mpsc::unbounded_channel();
        let address = runtime_api(incoming, outgoing).await;
        let folder = TempDir::new().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let process = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", &address[..]),
                ("AWS_LAMBDA_FUNCTION_NAME", "function"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .envs(environment.iter().cloned())
            .stdout(log.try_clone().expect("the same"))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        Self {
            events,
            answers,
            process,
            folder,
        }
    }

    /// The function's answer to an event, or its error.
    pub(crate) async fn invoke(&mut self, event: Value) -> Result<Value, Value> {
        self.invoke_until(event, 4_102_444_800_000).await
    }

    /// The same with a deadline.
    pub(crate) async fn invoke_until(
        &mut self,
        event: Value,
        deadline: i64,
    ) -> Result<Value, Value> {
        self.events
            .send((event, deadline))
            .expect("the runtime runs");
        let answer = timeout(PATIENCE, self.answers.recv()).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer; its log: {}", self.log()));
        answer.expect("an answer")
    }

    /// The function's log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).expect("a log")
    }

    /// The lines of the log that are JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let log = self.log();
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Kills the function, as Lambda does after a timeout.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it runs");
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

async fn runtime_api(
    incoming: mpsc::UnboundedReceiver<Invocation>,
    outgoing: mpsc::UnboundedSender<Result<Value, Value>>,
) -> String {
    let incoming = Arc::new(Mutex::new(incoming));
    let next = async |State(events): State<Arc<Mutex<mpsc::UnboundedReceiver<Invocation>>>>| {
        let Some((event, deadline)) = events.lock().await.recv().await else {
            return std::future::pending().await;
        };
        let headers = [
            ("lambda-runtime-aws-request-id", REQUEST_ID.to_owned()),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-west-1:1:function:f".to_owned(),
            ),
            (
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned(),
            ),
        ];
        (headers, Json(event)).into_response()
    };
    let answered = async move |Path((_, what)): Path<(String, String)>, answer: String| {
        let answer = serde_json::from_str(&answer).expect("JSON");
        let answer = if what == "response" {
            Ok(answer)
        } else {
            Err(answer)
        };
        // After the end of the test nobody waits for the answer.
        outgoing.send(answer).ok();
        "{}"
    };
    let api = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{what}", post(answered))
        .with_state(incoming);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, api).await });
    address
}
