//! Keys in KMS and Secrets Manager: fetched once, rotated, and also tested with an AWS that we did not write.

use std::collections::BTreeSet;

use pushcast::dynamo::schema;
use serde_json::json;
use webpush::{KeyId, VapidKey};

use crate::support::aws::lambda_runtime::Function;
use crate::support::aws::lambda_stack::{
    LambdaStack, OLDER_KEY, body, event, event_with, request, surroundings, tables,
};
use crate::support::aws::ministack::Ministack;
use crate::support::push_service::PushService;

#[tokio::test(flavor = "multi_thread")]
async fn kms_signs_one_token_for_all_pushes_and_a_failing_key_misses_no_subscriber() {
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    let mut browsers = Vec::new();
    for _ in 0..30 {
        browsers.push(stack.subscribed(&current, json!({})).await);
    }
    stack.cloud.let_kms_fail(1);
    let results = stack
        .send(&json!({"endpoint": browsers[0].endpoint()}))
        .await;
    assert_eq!(results[0]["outcome"], "our_fault", "{results}");
    assert!(results[0]["detail"].as_str().unwrap().contains("VapidKey"));
    assert_eq!(stack.store().subscribers.count().await.unwrap(), 30);

    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 30);
    assert_eq!(signatures_requested(&stack), 1, "one token for one origin");
    assert_eq!(stack.service.refused().len(), 0);
}

/// Number of signatures that `deliver` asked KMS for.
fn signatures_requested(stack: &LambdaStack) -> usize {
    let signed = ("kms:Sign".to_owned(), "VapidKey".to_owned());
    let calls = stack.cloud.calls().into_iter();
    calls
        .filter(|call| call.by == "deliver" && call.right == signed)
        .count()
}

/// KMS refuses every signature, so no push is sent and no push service can report the fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_halts_with_kms_s_words_when_kms_keeps_refusing_and_can_be_resumed() {
    let mut stack = LambdaStack::deploy().await;
    let current = stack.public.clone();
    for _ in 0..60 {
        stack.subscribed(&current, json!({})).await;
    }
    stack.cloud.let_kms_fail(usize::MAX);
    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let campaign = stack.deliver_until(&id, "halted").await;
    let reason = campaign["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("KMS refuses the key VapidKey"),
        "{campaign}"
    );
    assert_eq!(stack.service.requests(), 0);
    assert_eq!(stack.store().subscribers.count().await.unwrap(), 60);

    assert_eq!(
        signatures_requested(&stack),
        1,
        "60 pushes share one refusal"
    );

    // Resume at once: the worker whose signature was refused continues.
    stack.cloud.let_kms_fail(0);
    let resume = format!("/push/campaigns/{id}/resume");
    assert_eq!(stack.api("POST", &resume).await["status"], "running");
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(signatures_requested(&stack), 2, "and one token");
    assert_eq!(campaign["counts"]["accepted"], 60, "{campaign}");
    assert_eq!(stack.service.deliveries().len(), 60);
}

/// The functions against an AWS that others wrote (ministack): fetching, signing and storing do not work only with our
/// own stand-in.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python peers: tests/run"]
async fn the_functions_use_keys_and_secrets_of_another_aws() {
    let aws = Ministack::start().await;
    let older = VapidKey::generate().unwrap();
    let mut environment = set_up(&aws, &older).await;
    let service = PushService::start().await;
    environment.push((
        "PUSHCAST_CA_FILE".to_owned(),
        service.ca_file().display().to_string(),
    ));
    environment.push(("PUSHCAST_PUSH_ORIGINS".to_owned(), service.origin()));
    let mut subscribe = Function::start(env!("CARGO_BIN_EXE_subscribe"), &environment).await;
    let mut send = Function::start(env!("CARGO_BIN_EXE_send"), &environment).await;
    let answer = subscribe.invoke(request("subscribe", "GET", "/push/key"));
    let public = body(&answer.await.unwrap())["publicKey"].clone();
    let current = webpush::base64url::decode(public.as_str().unwrap()).unwrap();
    for (key, name) in [
        (current, public),
        (older.public().to_vec(), older.public_base64url().into()),
    ] {
        let browser = service.subscribe(Some(&key));
        let json = browser.to_json_with(json!({"applicationServerKey": name}));
        let answer = subscribe
            .invoke(event_with("subscribe", &json))
            .await
            .unwrap();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let to = json!({"to": {"endpoint": browser.endpoint()}});
        let answer = send.invoke(event_with("send", &to)).await.unwrap();
        assert_eq!(
            body(&answer)["results"][0]["outcome"],
            "accepted",
            "{answer}"
        );
        assert_eq!(service.deliveries_to(&browser).len(), 1);
    }
    assert_eq!(service.requests(), 2, "the right key at once");
}

/// Creates tables, a queue, keys and a secret. Returns the environment that names them.
async fn set_up(aws: &Ministack, older: &VapidKey) -> Vec<(String, String)> {
    let shared = aws_config::SdkConfig::builder()
        .behavior_version(pushcast::aws::behavior_version())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(crate::support::aws::cloud::credentials_provider())
        .endpoint_url(&aws.url)
        .build();
    let made = schema::create_missing(&aws_sdk_dynamodb::Client::new(&shared), &tables()).await;
    made.expect("tables");
    let queue = aws_sdk_sqs::Client::new(&shared).create_queue();
    let queue = queue.queue_name("Jobs").send().await.unwrap();
    let kms = aws_sdk_kms::Client::new(&shared).create_key();
    let kms = kms
        .key_spec(aws_sdk_kms::types::KeySpec::EccNistP256)
        .key_usage(aws_sdk_kms::types::KeyUsageType::SignVerify);
    let kms = kms.send().await.unwrap().key_metadata.unwrap().key_id;
    let secrets = aws_sdk_secretsmanager::Client::new(&shared);
    let old_key = secrets.create_secret().name("push/old-key");
    let old_key = old_key.secret_string(older.to_pkcs8_pem()).send().await;
    let old_key = old_key.unwrap().arn.unwrap();
    let secret = secrets
        .create_secret()
        .name("token")
        .secret_string(r#"{"value":"an-api-token-for-local-work"}"#);
    let secret = secret.send().await.unwrap().arn.unwrap();

    [
        ("AWS_ENDPOINT_URL", aws.url.clone()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("PUSHCAST_SUBSCRIPTIONS_TABLE", tables().subscriptions),
        ("PUSHCAST_LEDGER_TABLE", tables().ledger),
        ("PUSHCAST_QUEUE_URL", queue.queue_url.unwrap()),
        (
            "PUSHCAST_VAPID_KEYS",
            format!("kms:{kms},secretsmanager:{old_key}"),
        ),
        (
            "PUSHCAST_VAPID_SUBJECT",
            "mailto:tests@pushcast.dev".to_owned(),
        ),
        ("PUSHCAST_TOKEN", format!("secretsmanager:{secret}#value")),
        ("PUSHCAST_USER_SECRET", "a-user-secret-for-tests".to_owned()),
        ("PUSHCAST_SCHEDULE_GROUP", "g".to_owned()),
        ("PUSHCAST_SCHEDULE_ROLE", "r".to_owned()),
        ("PUSHCAST_BROADCAST_ARN", "b".to_owned()),
        ("PUSHCAST_FAILED_EVENTS_ARN", "f".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The operator replaces the stack's key: pages get the new key from then on, and every subscriber is still reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_rotation_with_subscribers_on_both_keys_misses_none() {
    let mut stack = LambdaStack::deploy().await;
    let (current, old) = (stack.public.clone(), stack.older.public().to_vec());

    // Before the rotation the older key is the only one.
    let mut environment = stack.template.environment("subscribe");
    for (variable, value) in &mut environment {
        if variable == "PUSHCAST_VAPID_KEYS" {
            let older = format!("secretsmanager:{OLDER_KEY}");
            assert_eq!(*value, format!("kms:VapidKey,{older}"));
            *value = older;
        }
    }
    environment.extend(surroundings(&stack.cloud, &stack.service, "subscribe"));
    let after = Function::start(env!("CARGO_BIN_EXE_subscribe"), &environment).await;
    let after = std::mem::replace(&mut stack.subscribe, after);
    let bob = stack.subscribed(&old, json!({})).await;
    let eve = stack.subscribed(&old, json!({})).await;

    // After the rotation pages get the new key. Eve's browser refreshes without naming its key.
    stack.subscribe = after;
    let ada = stack.subscribed(&current, json!({})).await;
    let answer = stack.subscribe(&eve, json!({})).await;
    assert_eq!(body(&answer)["count"], 3);

    stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let id = event("broadcast")["id"].as_str().unwrap().to_owned();
    let campaign = stack.deliver_until(&id, "done").await;
    assert_eq!(campaign["counts"]["accepted"], 3, "{campaign}");
    for browser in [&ada, &bob, &eve] {
        assert_eq!(stack.service.deliveries_to(browser).len(), 1);
    }
    let keys: BTreeSet<_> = stack
        .service
        .deliveries()
        .into_iter()
        .map(|it| it.authorization)
        .collect();
    assert_eq!(keys.len(), 2, "one token for each key");
    for (browser, key) in [(&ada, current), (&bob, old.clone()), (&eve, old)] {
        let row = stack
            .store()
            .subscribers
            .get(browser.endpoint())
            .await
            .unwrap()
            .expect("kept");
        assert_eq!(row.vapid, Some(KeyId::of(&key)));
    }
}
