//! How a Lambda function reaches AWS: HTTP/1.1, which is what the services speak, over the TLS that pushes go out with.
//!
//! The SDK's own client would be one more beside that of the Runtime API, and it reads and parses the system's roots at
//! every start. Mozilla's, which are compiled in, hold Amazon's. It knows of no proxy, as little as the client of pushes.

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

/// One for all services of a function. A clone shares its connections, and its TLS sessions.
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

    /// As the SDK's clients take it.
    pub(super) fn for_the_sdk(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    /// Opens a connection that the first request will find: an unsigned GET, to which services answer a word about their
    /// health. Whether it succeeds is nobody's business; the first request opens its own otherwise.
    pub(super) async fn open(self, service: Uri) {
        let mut request = Request::new(SdkBody::empty());
        *request.uri_mut() = service;
        let opening = async {
            let answer = self.0.request(request).await.ok()?;
            // Read to its end, or the connection is closed.
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
            // Whatever it was, there is no answer: the SDK tries again.
            let answer = answer.await;
            let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// With it the SDK takes a connection out of use over which a service has failed: the next try meets another machine.
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
