//! VAPID tokens, each with one fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use webpush::Message;

use super::{DAY, NOW, Scene, set};
use crate::support::push_service::PushService;
use crate::support::push_service::raw_client::{BOTH, Client};

/// Signs claims that pushcast itself would refuse to sign.
fn token(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn public(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_encoded_point(false);
    point.as_bytes().to_vec()
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a scalar")
}

fn wrong_claims(origin: &str, endpoint: &str) -> Vec<(Value, &'static str)> {
    let host = origin.rsplit_once(':').expect("a port").0;
    vec![
        (json!({"exp": NOW + DAY + 1}), "24 hours"),
        (json!({"exp": NOW}), "past"),
        (json!({"exp": NOW - DAY}), "past"),
        (json!({"exp": (NOW + 600) as f64}), "integer"),
        (json!({"exp": (NOW + 600).to_string()}), "integer"),
        (json!({"exp": null}), "integer"),
        (json!({"exp": (NOW + 600) * 1000}), "24 hours"),
        (json!({"aud": format!("{origin}/")}), "aud"),
        (json!({"aud": endpoint}), "aud"),
        (json!({"aud": host}), "aud"),
        (json!({"aud": origin.replace("https", "http")}), "aud"),
        (json!({"aud": [origin]}), "aud"),
        (json!({"aud": null}), "aud"),
        (json!({"sub": "me@here.net"}), "sub"),
        (json!({"sub": 7}), "sub"),
    ]
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused() {
    let scene = Scene::new().await;
    let key = signing_key(1);
    let browser = scene.service.subscribe(Some(&public(&key)));
    let k = URL_SAFE_NO_PAD.encode(public(&key));
    let origin = scene.service.origin();
    let es256 = json!({"typ": "JWT", "alg": "ES256"});
    let request = |header: &Value, change: Value| {
        let mut claims = json!({"aud": origin, "exp": NOW + DAY / 2, "sub": "mailto:me@here.net"});
        claims
            .as_object_mut()
            .expect("an object")
            .extend(change.as_object().expect("an object").clone());
        let mut request = scene.request_to(&browser, &Message::text("hello"));
        let t = token(&key, header, &claims);
        set(
            &mut request,
            "authorization",
            &format!("vapid t={t}, k={k}"),
        );
        request
    };
    for change in [
        json!({}),
        json!({"exp": NOW + DAY}),
        json!({"exp": NOW + 1}),
        json!({"sub": "https://here.net"}),
        json!({"sub": null}),
    ] {
        let what = change.to_string();
        scene.assert_accepted(&what, request(&es256, change)).await;
    }
    for (change, message) in wrong_claims(&origin, browser.endpoint()) {
        let what = change.to_string();
        let request = request(&es256, change);
        scene
            .assert_refused(&what, request, (401, 109, message))
            .await;
    }
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "ES384"}),
        json!({"typ": "JWT"}),
    ] {
        let what = header.to_string();
        let request = request(&header, json!({}));
        scene
            .assert_refused(&what, request, (401, 109, "ES256"))
            .await;
    }
}

/// Good values of `Authorization` for a message to `origin`.
fn good_authorizations(origin: &str, key: &SigningKey) -> Vec<String> {
    let claims = json!({"aud": origin, "exp": NOW + 600});
    let good = token(key, &json!({"alg": "ES256"}), &claims);
    let k = URL_SAFE_NO_PAD.encode(public(key));
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let (_, body) = input.split_once('.').expect("two parts");
    let retold = token(
        key,
        &json!({"alg": "ES256"}),
        &json!({"aud": "https://x.net"}),
    );
    let swapped = format!(
        "{}.{body}.{signature}",
        retold.split('.').next().expect("one")
    );
    vec![
        format!("vapid t={good}, k={k}"),
        format!("vapid t={good},k={k}"),
        format!("VAPID k={k}, t={good}"),
        format!("vapid t={swapped}, k={k}"),
    ]
}

/// Bad values of `Authorization` for a message to `origin`, with the reason. `other` is not the subscription's key.
fn wrong_authorizations(
    origin: &str,
    key: &SigningKey,
    other: &SigningKey,
) -> Vec<(String, &'static str)> {
    let claims = json!({"aud": origin, "exp": NOW + 600});
    let good = token(key, &json!({"alg": "ES256"}), &claims);
    let k = URL_SAFE_NO_PAD.encode(public(key));
    let other_k = URL_SAFE_NO_PAD.encode(public(other));

    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let der = Signature::from_slice(&raw).expect("a signature").to_der();
    let with = |signature: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    let mut broken = raw.clone();
    broken[40] ^= 1;
    let compressed = key.verifying_key().to_encoded_point(true);
    let mut off_curve = public(key);
    off_curve[64] ^= 1;
    let mismatch = token(other, &json!({"alg": "ES256"}), &claims);
    vec![
        (
            format!("vapid t={mismatch}, k={other_k}"),
            "VAPID public key mismatch",
        ),
        (format!("vapid t={good}, k={other_k}"), "not by k"),
        (format!("vapid t={mismatch}, k={k}"), "not by k"),
        (format!("vapid t={}, k={k}", with(&broken)), "not by k"),
        (
            format!("vapid t={}, k={k}", with(der.as_bytes())),
            "r and s",
        ),
        (format!("vapid t={}, k={k}", with(&raw[..63])), "r and s"),
        (format!("vapid t={}, k={k}", with(&[])), "r and s"),
        (format!("vapid t={input}, k={k}"), "r and s"),
        (format!("vapid t=nonsense, k={k}"), "not a JWT"),
        (
            format!("vapid t={good}, k={}", URL_SAFE.encode(public(key))),
            "unpadded",
        ),
        (
            format!("vapid t={good}, k={}", STANDARD.encode(public(key))),
            "unpadded",
        ),
        (
            format!("vapid t={good}, k={}", URL_SAFE_NO_PAD.encode(compressed)),
            "uncompressed",
        ),
        (
            format!("vapid t={good}, k={}", URL_SAFE_NO_PAD.encode(off_curve)),
            "point of P-256",
        ),
        (format!("vapid t={good}, k="), "uncompressed"),
        (format!("vapid t={good}"), "lacks k="),
        (format!("vapid k={k}"), "lacks t="),
        (format!("WebPush {good}"), "scheme"),
        (format!("Bearer t={good}, k={k}"), "scheme"),
        ("vapid".to_owned(), "scheme"),
    ]
}

#[tokio::test]
async fn a_token_with_a_wrong_signature_is_refused() {
    let scene = Scene::new().await;
    let (key, other) = (signing_key(1), signing_key(2));
    let browser = scene.service.subscribe(Some(&public(&key)));
    let origin = scene.service.origin();
    let authorize = |value: &str| {
        let mut request = scene.request_to(&browser, &Message::text("hello"));
        set(&mut request, "authorization", value);
        request
    };
    for value in good_authorizations(&origin, &key) {
        scene.assert_accepted(&value, authorize(&value)).await;
    }
    for (value, message) in wrong_authorizations(&origin, &key, &other) {
        let request = authorize(&value);
        scene
            .assert_refused(&value, request, (401, 109, message))
            .await;
    }
}

#[tokio::test]
async fn a_good_token_expires_and_is_good_for_one_subscription_only() {
    let clock = Arc::new(AtomicI64::new(NOW));
    let hands = Arc::clone(&clock);
    let service = PushService::builder()
        .clock(move || hands.load(Ordering::SeqCst))
        .start()
        .await;
    let scene = Scene {
        client: Client::connect(&service, BOTH).await.expect("it listens"),
        service,
        ..Scene::new().await
    };
    let ours = scene.service.subscribe(Some(scene.vapid.public()));
    let others = scene.service.subscribe(Some(&public(&signing_key(2))));
    let message = Message::text("hello");
    let first = scene.request_to(&ours, &message);
    scene.assert_accepted("ours", first).await;
    let second = scene.request_to(&others, &message);
    let mismatch = (401, 109, "VAPID public key mismatch");
    scene.assert_refused("another's", second, mismatch).await;

    clock.store(NOW + DAY, Ordering::SeqCst);
    let third = scene.request_to(&ours, &message);
    scene
        .assert_refused("the next day", third, (401, 109, "past"))
        .await;
}
