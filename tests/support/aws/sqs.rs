//! SQS: rustack over HTTP.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustack_sqs_core::config::SqsConfig;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_core::provider::RustackSqs;
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use tokio::net::TcpListener;

/// Starts rustack on a free port. Returns its URL.
pub(super) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let provider = Arc::new(RustackSqs::new(SqsConfig {
        default_region: "eu-west-1".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        ..SqsConfig::default()
    }));
    let handler = Arc::new(RustackSqsHandler::new(provider));
    let service = SqsHttpService::new(handler, SqsHttpConfig::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let http = auto::Builder::new(TokioExecutor::new());
                // A client that goes away is no failure of the queue.
                http.serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    format!("http://{address}")
}
