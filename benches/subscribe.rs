//! `cargo bench --bench subscribe`: sends `POST /push/subscribe` over HTTP, 32 requests at a time. Each stores a new
//! subscription in the embedded database, in a file. One element is one subscription.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pushcast::auth::UserSecret;
use pushcast::clock::{Chance, Clock};
use pushcast::cors::CorsOrigins;
use pushcast::http::middleware;
use pushcast::http::subscribe::{Subscribe, router};
use pushcast::store::Store;
use serde_json::json;
use tokio::net::TcpListener;
use webpush::{AllowList, Keyring, Receiver, VapidKey, base64url};

const CONCURRENCY: usize = 32;

async fn serve(database: &std::path::Path) -> SocketAddr {
    let state = Subscribe {
        store: Store::open(Some(database), Chance::system())
            .await
            .expect("a database"),
        keyring: Arc::new(Keyring::new(
            VapidKey::generate().expect("a key"),
            vec![],
            None,
        )),
        allowed: AllowList::default(),
        user_secret: UserSecret::from("a secret of the benchmark".to_owned()),
        clock: Clock::system(),
    };
    let app = middleware::finish(router(state), &CorsOrigins::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn subscribe(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let address = runtime.block_on(serve(&folder.path().join("bench.db")));
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let receiver = Receiver::generate().expect("keys");
    let keys = json!({
        "p256dh": base64url::encode(receiver.keys().p256dh()),
        "auth": base64url::encode(receiver.keys().auth()),
    });
    let number = AtomicU64::new(0);
    let one = async || {
        let i = number.fetch_add(1, Ordering::Relaxed);
        let endpoint = format!("https://updates.push.services.mozilla.com/wpush/v2/{i}");
        let body =
            json!({"endpoint": endpoint, "expirationTime": null, "keys": keys, "tags": ["news"]});
        let request = Request::post(format!("http://{address}/push/subscribe"))
            .body(Full::new(body.to_string().into()))
            .expect("a request");
        let answer = client.request(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.expect("a whole answer");
    };

    let mut group = criterion.benchmark_group("subscribe over HTTP, file database");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(10));
    group.bench_function("new subscriptions", |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                let start = Instant::now();
                stream::iter(0..iterations)
                    .for_each_concurrent(CONCURRENCY, |_| one())
                    .await;
                start.elapsed()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, subscribe);
criterion_main!(benches);
