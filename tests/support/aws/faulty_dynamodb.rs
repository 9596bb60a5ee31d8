//! A DynamoDB with faults: it stands between the SDK and the embedded database, records every request, and does to some
//! requests what the network or the real service can do.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// The fate of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is not done. The answer has this status and error code.
    Refused(u16, &'static str),
    /// The request is not done. The answer is no JSON, as from a proxy.
    Proxy(u16),
    /// The request is not done: the transaction is cancelled, and this is the reason for its last item.
    Cancelled(&'static str),
    /// The request is not done, and no answer comes in time.
    TimedOut,
    /// The request is not done, because there is no connection.
    Unconnected,
    /// The request is done, but the connection breaks before the answer.
    LostAnswer,
    /// The request is done after this time.
    Late(Duration),
    /// The request is not done and never answered: the caller dies here.
    Dies,
    /// The request is done and never answered: the caller dies here.
    DiesAfter,
}

/// The faults that DynamoDB's documentation and networks allow for one operation.
pub(crate) fn possible(operation: &str) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Refused(400, "ThrottlingException"),
        Fault::Refused(400, "ProvisionedThroughputExceededException"),
        Fault::Refused(400, "RequestLimitExceeded"),
        Fault::Refused(500, "InternalServerError"),
        Fault::Refused(503, "ServiceUnavailable"),
        Fault::Proxy(502),
        Fault::TimedOut,
        Fault::Unconnected,
        Fault::LostAnswer,
    ];
    match operation {
        "TransactWriteItems" => faults.extend([
            Fault::Cancelled("TransactionConflict"),
            Fault::Cancelled("ThrottlingError"),
            Fault::Cancelled("ProvisionedThroughputExceeded"),
            Fault::Refused(400, "TransactionInProgressException"),
        ]),
        "UpdateItem" => faults.push(Fault::Refused(400, "TransactionConflictException")),
        _ => {}
    }
    faults
}

/// Recorded requests.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(String, Value)>>>);

impl Seen {
    /// Operation and body of each request, in order.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        self.0.lock().expect("no panic while it is held").clone()
    }
}

/// The database of `client`. `plan` decides what happens to each request, by its operation, and the SDK makes
/// `attempts` attempts at each.
pub(crate) fn with_faults(
    client: &Client,
    attempts: u32,
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Client, Seen) {
    let seen = Seen::default();
    let real = client.config().http_client().expect("it has one");
    let (plan, noted): (Arc<Plan>, _) = (Arc::new(plan), seen.clone());
    let http = http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Faulty {
            real: real.http_connector(settings, components),
            plan: Arc::clone(&plan),
            seen: noted.clone(),
        })
    });
    let retries = RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(Duration::from_micros(100));
    // Clients of one partition share a budget of retries, so each client gets its own partition.
    static PARTITION: AtomicUsize = AtomicUsize::new(0);
    let partition = format!("faults-{}", PARTITION.fetch_add(1, Ordering::Relaxed));
    let partition = RetryPartition::custom(partition).token_bucket(TokenBucket::unlimited());
    let config = client.config().to_builder().http_client(http);
    let config = config
        .retry_config(retries)
        .retry_partition(partition.build());
    (Client::from_conf(config.build()), seen)
}

type Plan = dyn Fn(&str) -> Option<Fault> + Send + Sync;

struct Faulty {
    real: SharedHttpConnector,
    plan: Arc<Plan>,
    seen: Seen,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).expect("the SDK sends JSON");
        let items = body["TransactItems"].as_array().map_or(0, Vec::len);
        let fault = (self.plan)(&operation);
        let mut seen = self.seen.0.lock().expect("no panic while it is held");
        seen.push((operation, body));
        drop(seen);

        let io = |what: &str| ConnectorError::io(std::io::Error::other(what).into());
        match fault {
            None => self.real.call(request),
            Some(Fault::LostAnswer) => {
                let answer = self.real.call(request);
                HttpConnectorFuture::new(async move {
                    answer.await?;
                    Err(io("the answer was lost"))
                })
            }
            Some(Fault::Late(time)) => {
                let real = self.real.clone();
                HttpConnectorFuture::new(async move {
                    tokio::time::sleep(time).await;
                    real.call(request).await
                })
            }
            Some(Fault::Dies) => HttpConnectorFuture::new(std::future::pending()),
            Some(Fault::DiesAfter) => {
                let answer = self.real.call(request);
                HttpConnectorFuture::new(async move {
                    answer.await?;
                    std::future::pending().await
                })
            }
            Some(Fault::TimedOut) => HttpConnectorFuture::ready(Err(ConnectorError::timeout(
                "no answer in time".to_owned().into(),
            ))),
            Some(Fault::Unconnected) => {
                HttpConnectorFuture::ready(Err(io("nobody listens").never_connected()))
            }
            Some(Fault::Refused(status, code)) => answer(
                status,
                json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "not now"})
                    .to_string(),
            ),
            Some(Fault::Proxy(status)) => answer(status, "<html>not now</html>".to_owned()),
            Some(Fault::Cancelled(code)) => answer(400, cancelled(items, code)),
        }
    }
}

fn cancelled(items: usize, code: &str) -> String {
    let mut reasons = vec![json!({"Code": "None"}); items];
    if let Some(last) = reasons.last_mut() {
        *last = json!({"Code": code, "Message": "not now"});
    }
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{code}]"),
        "CancellationReasons": reasons,
    })
    .to_string()
}

fn answer(status: u16, body: String) -> HttpConnectorFuture {
    let status = StatusCode::try_from(status).expect("a status of HTTP");
    HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
}
