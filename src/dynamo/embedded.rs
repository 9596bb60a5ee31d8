//! The embedded DynamoDB: `dynoxide`, on SQLite, in memory or in a file.
//!
//! The process answers the SDK's requests itself. It opens no port, because any program on the machine, and any page in
//! a browser, could use the port to read every subscriber's keys without a password.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, Tables, schema};
use crate::aws::behavior_version;

/// How long SQLite waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused the file.
    #[error("the database {path} cannot be opened")]
    File {
        /// The file's path.
        path: String,
        /// The cause.
        source: DynoxideError,
    },
    /// The operating system did not start a thread.
    #[error("the database's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The database refused to create the tables.
    #[error("the tables cannot be created")]
    Tables(#[source] StoreError),
    /// SQLite refused to create the index.
    #[error("the index of subscriptions cannot be created")]
    Index(#[source] rusqlite::Error),
}

/// The names of the embedded tables.
pub fn tables() -> Tables {
    Tables {
        subscriptions: "Subscriptions".to_owned(),
        ledger: "Ledger".to_owned(),
    }
}

/// Opens the database in `file`, or a new one in memory, and creates missing tables. Dropping the last clone of the
/// client closes the database.
///
/// # Errors
/// [`OpenError`] says which step failed.
pub async fn open(file: Option<&Path>) -> Result<Client, OpenError> {
    let client = client(file)?;
    schema::create_missing(&client, &tables())
        .await
        .map_err(OpenError::Tables)?;
    if let Some(file) = file {
        create_hash_index(file).map_err(OpenError::Index)?;
    }
    Ok(client)
}

/// Creates an index on the hash of the keys. Scans read segments in the order of this hash, so that the subscribers of
/// all push services are mixed. dynoxide keeps the hash in a column without an index, and SQLite would sort the whole
/// table for every page. SQLite uses this index although dynoxide does not know it.
fn create_hash_index(file: &Path) -> Result<(), rusqlite::Error> {
    let database = rusqlite::Connection::open(file)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    let Tables { subscriptions, .. } = tables();
    database.execute_batch(&format!(
        "CREATE INDEX IF NOT EXISTS \"{subscriptions} by hash\" ON \"{subscriptions}\" (hash_prefix)"
    ))
}

/// A client of the database in `file`, or of a new one in memory.
///
/// # Errors
/// As [`open`].
pub fn client(file: Option<&Path>) -> Result<Client, OpenError> {
    let path = file.map(|file| file.display().to_string());
    let database = match &path {
        Some(path) => Database::new(path),
        None => Database::memory(),
    }
    .map_err(|source| OpenError::File {
        path: path.unwrap_or_default(),
        source,
    })?;
    let connector = SharedHttpConnector::new(Embedded::start(database).map_err(OpenError::Thread)?);
    let config = Config::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static("local"))
        // The SDK must sign every request, but the embedded database does not check the signature.
        .credentials_provider(Credentials::new(
            "embedded", "embedded", None, None, "embedded",
        ))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        // No request to a database in the same process is lost. `crate::backoff` handles collisions.
        .retry_config(RetryConfig::disabled())
        // The SDK would treat a database that takes five seconds as a dead connection, and would report a write as
        // failed although the database did it.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Ok(Client::from_conf(config))
}

struct Call {
    operation: String,
    body: Vec<u8>,
    answer: oneshot::Sender<Result<String, DynoxideError>>,
}

/// The connection to the thread that holds the database. Every operation holds one lock, so one thread is enough.
struct Embedded {
    calls: mpsc::UnboundedSender<Call>,
}

impl Embedded {
    fn start(database: Database) -> std::io::Result<Self> {
        let (calls, mut incoming) = mpsc::unbounded_channel::<Call>();
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || {
                while let Some(call) = incoming.blocking_recv() {
                    // A panic in one operation must not end the thread, and with it all later operations.
                    let work = AssertUnwindSafe(|| answer(&database, &call.operation, &call.body));
                    let result = catch_unwind(work).unwrap_or_else(|_| {
                        let why = "the database panicked".to_owned();
                        Err(DynoxideError::InternalServerError(why))
                    });
                    // The caller may have given up. The write is done anyway.
                    drop(call.answer.send(result));
                }
            })?;
        Ok(Self { calls })
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedded")
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let (answer, answered) = oneshot::channel();
        let sent = self.calls.send(Call {
            operation,
            body,
            answer,
        });
        HttpConnectorFuture::new(async move {
            let closed = |error| ConnectorError::io(std::io::Error::other(error).into());
            sent.map_err(|_| closed("the database is closed"))?;
            let result = answered.await.map_err(|_| closed("the database stopped"))?;
            let (status, body) = match result.map_err(disk_full_is_permanent) {
                Ok(body) => (200, body),
                Err(error) => (error.status_code(), error.to_json()),
            };
            let status = StatusCode::try_from(status)
                .map_err(|error| ConnectorError::other(error.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

/// dynoxide reports a full disk as an internal error, which callers retry. A retry does not help, so this changes the
/// error.
fn disk_full_is_permanent(error: DynoxideError) -> DynoxideError {
    let said = error.to_string();
    if said.contains("disk is full") {
        return DynoxideError::LimitExceededException(said);
    }
    error
}

/// Answers one request. It knows the operations that the store uses.
fn answer(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        other => Err(DynoxideError::ValidationException(format!(
            "{other} is not embedded"
        ))),
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
