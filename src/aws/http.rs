//! The HTTP client with which a Lambda function calls AWS: HTTP/1.1, which the services speak, and the TLS settings of
//! the push client.
//!
//! The SDK's own client would add a second one beside that of the Runtime API, and it reads and parses the system's
//! root certificates at every start. This client uses Mozilla's roots, which are compiled in and include Amazon's. Like
//! the push client, it does not support proxies.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::{Request, Uri};
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{self, CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::settings::CONNECT_TIMEOUT;
use webpush::client::tls_config;

/// One client for all AWS services that a function calls. Clones share its connections and TLS sessions.
#[derive(Debug, Clone)]
pub(super) struct Http(Arc<Client<HttpsConnector<connect::HttpConnector>, SdkBody>>);

impl Http {
    pub(super) fn new() -> Self {
        let tls = tls_config(None).expect("no file is read, and the library's defaults fit");
        let mut tcp = connect::HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(https);
        Self(Arc::new(client))
    }

    /// Converts the client into the type that the SDK's clients take.
    pub(super) fn into_shared(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    /// Opens a connection that the first request will reuse. It sends an unsigned GET, which services answer with their
    /// health. A failure is ignored: the first request then opens its own connection.
    pub(super) async fn open(self, service: Uri) {
        let mut request = Request::new(SdkBody::empty());
        *request.uri_mut() = service;
        let opening = async {
            let answer = self.0.request(request).await.ok()?;
            // The pool keeps a connection only when the body was read to its end.
            answer.into_body().collect().await.ok()
        };
        drop(timeout(Duration::from_secs(2), opening).await);
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // Every error here means that there is no answer. The SDK retries an I/O error.
            let answer = answer.await;
            let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Lets the SDK discard the connection on which a service failed, so that the retry reaches another machine.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(
        ConnectionMetadata::builder()
            .proxied(false)
            .poison_fn(poison)
            .build(),
    )
}
