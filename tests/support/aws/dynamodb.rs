//! DynamoDB: dynoxide over HTTP, with its tables in memory.

use tokio::net::TcpListener;

/// Starts dynoxide on a free port. Returns its URL.
pub(super) async fn start() -> String {
    let database = dynoxide::Database::memory().expect("memory");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    url
}
