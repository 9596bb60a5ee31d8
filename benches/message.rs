//! `cargo bench --bench message`: one message of 300 bytes, encrypted and signed, beside what no sender can do without
//! (a fresh P-256 key and one ECDH) and beside the crate `web-push`. The ratios come from one interleaved run.

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

    /// The floor: a key pair, and the shared secret with the subscriber's key, which was parsed before.
    fn floor(&self) {
        let private = PrivateKey::generate(&ECDH_P256).expect("a key");
        black_box(private.compute_public_key().expect("a public key"));
        let peer = self.peer_key.clone();
        black_box(agree(&private, peer, (), |secret| Ok(secret.to_vec())).expect("a secret"));
    }

    /// Ours: keys as they come from the store, the whole request, its token from the cache.
    fn ours(&self) {
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

    /// The crate `web-push` as its documentation says: a token for each message.
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
        b.iter(|| bench.ours());
    });
    group.bench_function("crate web-push: encrypted and signed", |b| {
        b.iter(|| bench.web_push());
    });
    group.finish();
}

#[expect(
    clippy::print_stdout,
    reason = "the ratios are what this program is run for"
)]
/// Best of many short rounds of each in turn: what else the machine does falls on all of them alike.
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
        best[1] = best[1].min(round(&|| bench.ours()));
        best[2] = best[2].min(round(&|| bench.web_push()));
    }
    let [floor, ours, peer] = best.map(|time| time.as_secs_f64() * 1e6);
    println!("floor {floor:.1} us, pushcast {ours:.1} us, crate web-push {peer:.1} us");
    println!(
        "pushcast / floor     {:.2}   (aim: at most 1.25)",
        ours / floor
    );
    println!("web-push / pushcast  {:.2}", peer / ours);
}

criterion_group!(benches, message);

fn main() {
    benches();
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}
