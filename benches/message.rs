//! `cargo bench --bench message`: encrypts and signs one message of 300 bytes. Compares this with the work that no
//! sender can avoid (a fresh P-256 key and one ECDH), and with the crate `web-push`. The ratios come from one
//! interleaved run.

use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use criterion::{Criterion, criterion_group};
use jiff::Timestamp;
use web_push::{ContentEncoding, SubscriptionInfo, VapidSignatureBuilder, WebPushMessageBuilder};
use webpush::{
    AllowList, Endpoint, Keys, Message, Receiver, Subscription, Vapid, VapidKey, base64url,
    build_request,
};

const ENDPOINT: &str = "https://updates.push.services.mozilla.com/wpush/v2/bench";

struct Bench {
    receiver: Receiver,
    peer_key: ParsedPublicKey,
    endpoint: Endpoint,
    message: Message,
    vapid: Vapid,
    peer: SubscriptionInfo,
    pem: String,
}

impl Bench {
    fn new() -> Self {
        let receiver = Receiver::generate().expect("keys");
        let p256dh = base64url::encode(receiver.keys().p256dh());
        let auth = base64url::encode(receiver.keys().auth());
        let key = VapidKey::generate().expect("a key");
        let pem = key.to_pkcs8_pem();
        let peer_key = UnparsedPublicKey::new(&ECDH_P256, receiver.keys().p256dh());
        Self {
            peer_key: peer_key.try_into().expect("a point of the curve"),
            receiver,
            endpoint: Endpoint::parse(ENDPOINT, &AllowList::default()).expect("an endpoint"),
            message: Message::text("x".repeat(300)),
            vapid: Vapid::new(
                key,
                Some("mailto:bench@pushcast.dev".parse().expect("a subject")),
            ),
            peer: SubscriptionInfo::new(ENDPOINT, &p256dh, &auth),
            pem,
        }
    }

    /// The floor: generate a key pair, and compute the shared secret with the subscriber's key, which is parsed
    /// already.
    fn floor(&self) {
        let private = PrivateKey::generate(&ECDH_P256).expect("a key");
        black_box(private.compute_public_key().expect("a public key"));
        let peer = self.peer_key.clone();
        black_box(agree(&private, peer, (), |secret| Ok(secret.to_vec())).expect("a secret"));
    }

    /// This project: read stored keys and build the whole request. The VAPID token comes from the cache.
    fn pushcast(&self) {
        let now = Timestamp::UNIX_EPOCH;
        let stored = self.receiver.keys();
        let keys = Keys::new(stored.p256dh(), stored.auth()).expect("keys");
        let endpoint = self.endpoint.clone();
        let request = build_request(
            &Subscription { endpoint, keys },
            &self.message,
            &self.vapid,
            now,
        );
        black_box(request.expect("a request"));
    }

    /// The crate `web-push`, used as its documentation shows: it signs a token for each message.
    fn web_push(&self) {
        let builder = VapidSignatureBuilder::from_pem(Cursor::new(&self.pem), &self.peer);
        let signature = builder
            .and_then(VapidSignatureBuilder::build)
            .expect("a signature");
        let mut message = WebPushMessageBuilder::new(&self.peer);
        message.set_payload(ContentEncoding::Aes128Gcm, &self.message.payload);
        message.set_vapid_signature(signature);
        black_box(message.build().expect("a message"));
    }
}

fn message(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("message of 300 bytes");
    group.bench_function("floor: P-256 key and ECDH", |b| b.iter(|| bench.floor()));
    group.bench_function("pushcast: encrypted and signed", |b| {
        b.iter(|| bench.pushcast());
    });
    group.bench_function("crate web-push: encrypted and signed", |b| {
        b.iter(|| bench.web_push());
    });
    group.finish();
}

#[expect(clippy::print_stdout, reason = "the benchmark prints its results")]
/// Takes the best of many short, interleaved rounds, so that other load on the machine affects all three alike.
fn ratios() {
    let bench = Bench::new();
    let round = |work: &dyn Fn()| {
        let start = Instant::now();
        (0..100).for_each(|_| work());
        start.elapsed() / 100
    };
    let mut best = [Duration::MAX; 3];
    for _ in 0..200 {
        best[0] = best[0].min(round(&|| bench.floor()));
        best[1] = best[1].min(round(&|| bench.pushcast()));
        best[2] = best[2].min(round(&|| bench.web_push()));
    }
    let [floor, pushcast, web_push] = best.map(|time| time.as_secs_f64() * 1e6);
    println!("floor {floor:.1} us, pushcast {pushcast:.1} us, crate web-push {web_push:.1} us");
    println!(
        "pushcast / floor     {:.2}   (aim: at most 1.25)",
        pushcast / floor
    );
    println!("web-push / pushcast  {:.2}", web_push / pushcast);
}

criterion_group!(benches, message);

fn main() {
    benches();
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}
