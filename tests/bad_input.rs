use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::program::{Answer, Server};
use crate::support::push_service::PushService;
use crate::support::subscribers::browser::Browser;

const SUBSCRIBE: &str = "/push/subscribe";
const UNSUBSCRIBE: &str = "/push/unsubscribe";
const SEND: &str = "/push/send";
const MAX_BODY: usize = pushcast::http::middleware::MAX_BODY;

/// One bad body: its name, the path it is posted to, the expected status, and the member that the answer must name.
struct Row {
    name: String,
    path: &'static str,
    body: Bytes,
    status: u16,
    field: Option<String>,
}

/// Collects the rows.
struct Table {
    browser: Browser,
    rows: Vec<Row>,
}

impl Table {
    fn raw(
        &mut self,
        name: impl Into<String>,
        path: &'static str,
        body: impl Into<Bytes>,
        status: u16,
        field: Option<&str>,
    ) {
        self.rows.push(Row {
            name: name.into(),
            path,
            body: body.into(),
            status,
            field: field.map(str::to_owned),
        });
    }

    /// A bad body for every endpoint that reads one.
    fn everywhere(&mut self, name: &str, body: &[u8], status: u16, field: Option<&str>) {
        for path in [SUBSCRIBE, UNSUBSCRIBE, SEND] {
            self.raw(
                format!("{name} to {path}"),
                path,
                body.to_vec(),
                status,
                field,
            );
        }
    }

    /// A good subscription with one member replaced.
    fn subscribe(&mut self, member: &str, wrong: Value, status: u16, field: &str) {
        let body = self.browser.to_json_with(json!({member: wrong}));
        self.subscription(
            &format!("{member} is {}", short(&wrong)),
            &body,
            status,
            field,
        );
    }

    fn subscription(&mut self, name: &str, body: &Value, status: u16, field: &str) {
        self.raw(name, SUBSCRIBE, body.to_string(), status, Some(field));
    }

    /// A good subscription whose `p256dh` holds these bytes.
    fn p256dh(&mut self, name: &str, bytes: &[u8]) {
        let keys = json!({"p256dh": URL_SAFE_NO_PAD.encode(bytes), "auth": self.browser.auth()});
        let body = self.browser.to_json_with(json!({"keys": keys}));
        self.subscription(&format!("p256dh {name}"), &body, 400, "keys.p256dh");
    }

    /// A good subscription with one of its keys replaced.
    fn key(&mut self, member: &str, wrong: Value) {
        let mut body = self.browser.to_json();
        body["keys"][member] = wrong.clone();
        let field = format!("keys.{member}");
        self.subscription(&format!("{field} is {}", short(&wrong)), &body, 400, &field);
    }

    /// A good message with these members replaced.
    fn send(&mut self, wrong: Value, status: u16, field: &str) {
        let mut body = json!({"to": {"user": "nobody"}, "data": "x"});
        let (Value::Object(all), Value::Object(more)) = (&mut body, wrong.clone()) else {
            unreachable!("both are objects");
        };
        all.extend(more);
        let name = format!("send {}", short(&wrong));
        self.raw(name, SEND, body.to_string(), status, Some(field));
    }

    /// A bad notification. With `title` and `navigate` alone it would be good.
    fn notify(&mut self, wrong: Value, field: &str) {
        let mut notification = json!({"title": "t", "navigate": "https://a.example/"});
        let (Value::Object(all), Value::Object(more)) = (&mut notification, wrong.clone()) else {
            unreachable!("both are objects");
        };
        all.extend(more);
        all.retain(|_, value| *value != json!("-"));
        self.send(
            json!({"data": null, "notification": notification}),
            400,
            &format!("notification.{field}"),
        );
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

fn without(mut body: Value, member: &str) -> Value {
    body.as_object_mut().expect("an object").remove(member);
    body
}

/// Bodies that are no JSON, or not the JSON object that the API expects.
fn bodies(table: &mut Table) {
    table.everywhere("nothing", b"", 400, None);
    table.everywhere("half an object", br#"{"endpoint":"#, 400, None);
    table.everywhere("two objects", b"{} {}", 400, None);
    table.everywhere("a form", b"endpoint=x&to=y", 400, None);
    table.everywhere(
        "bytes that are no text",
        b"{\"endpoint\":\"\xff\xfe\"}",
        400,
        None,
    );
    table.everywhere(
        "a thousand lists deep",
        "[".repeat(1000).as_bytes(),
        400,
        None,
    );
    let deep = [
        ["[".repeat(8000), "]".repeat(8000)].concat(),
        r#"{"a":"#.repeat(3000),
    ];
    for (i, body) in deep.iter().enumerate() {
        table.everywhere(&format!("deeper still, {i}"), body.as_bytes(), 400, None);
    }
    for kind in ["[]", "5", "null", "\"text\"", "true", "[{}]"] {
        table.everywhere(kind, kind.as_bytes(), 400, Some("body"));
    }
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_BODY - 8));
    assert_eq!(large.len(), MAX_BODY + 1);
    table.everywhere("one byte too many", large.as_bytes(), 413, None);
    table.everywhere("ten times too many", &vec![b' '; 10 * MAX_BODY], 413, None);
}

const WRONG_ENDPOINTS: [&str; 43] = [
    "x",
    "/wpush/v2/x",
    "//fcm.googleapis.com/fcm/send/x",
    "fcm.googleapis.com/fcm/send/x",
    "http://fcm.googleapis.com/fcm/send/x",
    "ftp://fcm.googleapis.com/fcm/send/x",
    "javascript:alert(1)",
    "https://",
    "https:///fcm/send/x",
    "https://user@fcm.googleapis.com/fcm/send/x",
    "https://user:secret@fcm.googleapis.com/fcm/send/x",
    "https://fcm.googleapis.com@evil.example/fcm/send/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://169.254.169.254/x.google.com/",
    "https://0x7f000001/x",
    "https://2130706433/x",
    "https://localhost/x",
    "https://evil.example/x",
    "https://evilfcm.googleapis.com/fcm/send/x",
    "https://fcm.googleapis.com.evil.example/fcm/send/x",
    "https://evil.example/fcm.googleapis.com/fcm/send/x",
    "https://evil.example?fcm.googleapis.com/x",
    "https://push.apple.com/x",
    "https://evilpush.apple.com/x",
    "https://fcm.googleapis.com:8443/fcm/send/x",
    "https://fcm.googleapis.com:443/fcm/send/x",
    "https://fcm.googleapis.com./fcm/send/x",
    "https://fcm.googleapis.com",
    "https://fcm.googleapis.com/",
    "https://fcm.googleapis.com/fcm/send/x#y",
    "https://fcm.googleapis.com/fcm/send/x#",
    "https://fcm.googleapis.com/fcm/../send/x",
    "https://fcm.googleapis.com\\@evil.example/x",
    "https://fcm.googleapis.com/fcm/send/\u{e9}",
    "https://fcm.googleapis.com/fcm/send/ x",
    "https://fcm.googleapis.com/fcm/send/\tx",
    "https://fcm.googleapis.com/fcm/send/x\r\nx-evil: 1",
    " https://fcm.googleapis.com/fcm/send/x",
    "https://fcm.googleapis.com/fcm/send/x\n",
    "HTTPS://fcm.googleapis.com/fcm/send/x",
    "https://FCM.googleapis.com/fcm/send/x",
    "https://permanently-removed.invalid/fcm/send/x",
];

fn endpoints(table: &mut Table) {
    let good = table.browser.to_json();
    for (path, field) in [
        (SUBSCRIBE, "endpoint"),
        (UNSUBSCRIBE, "endpoint"),
        (SEND, "to"),
    ] {
        table.raw(
            format!("an empty object to {path}"),
            path,
            "{}",
            400,
            Some(field),
        );
    }
    table.subscription("no endpoint", &without(good, "endpoint"), 400, "endpoint");
    for wrong in [
        json!(null),
        json!(5),
        json!(["x"]),
        json!({"url": "x"}),
        json!(true),
    ] {
        table.subscribe("endpoint", wrong.clone(), 400, "endpoint");
        let body = json!({"endpoint": wrong}).to_string();
        let name = format!("unsubscribe {body}");
        table.raw(name, UNSUBSCRIBE, body, 400, Some("endpoint"));
    }
    let long = format!("https://fcm.googleapis.com/{}", "x".repeat(2022));
    assert_eq!(long.len(), 2049);
    for wrong in ["", &long] {
        table.subscribe("endpoint", json!(wrong), 400, "endpoint");
        table.subscribe("replaces", json!(wrong), 400, "replaces");
        table.send(json!({"to": {"endpoint": wrong}}), 400, "to.endpoint");
        let body = json!({"endpoint": wrong}).to_string();
        let name = format!("unsubscribe of {} bytes", wrong.len());
        table.raw(name, UNSUBSCRIBE, body, 400, Some("endpoint"));
    }
    for wrong in WRONG_ENDPOINTS {
        table.subscribe("endpoint", json!(wrong), 400, "endpoint");
    }
    for wrong in [json!(5), json!(["x"]), json!({}), json!(false)] {
        table.subscribe("replaces", wrong, 400, "replaces");
    }
}

fn keys(table: &mut Table) {
    let good = table.browser.to_json();
    table.subscription("no keys", &without(good, "keys"), 400, "keys");
    for wrong in [json!(null), json!("x"), json!([]), json!(1)] {
        table.subscribe("keys", wrong, 400, "keys");
    }
    table.subscribe("keys", json!({}), 400, "keys.p256dh");
    for member in ["p256dh", "auth"] {
        for wrong in [
            json!(null),
            json!(4),
            json!([4]),
            json!({}),
            json!(""),
            json!("*no*"),
        ] {
            table.key(member, wrong);
        }
    }
    let point = URL_SAFE_NO_PAD.decode(table.browser.p256dh());
    let point = point.expect("base64url");
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let begins_with = |first: u8| [&[first], &point[1..]].concat();
    table.p256dh("is off the curve", &off_curve);
    table.p256dh("is the point at infinity", &[0]);
    table.p256dh("is all zero", &[0; 65]);
    table.p256dh("is zero after the 4", &[&[4][..], &[0; 64]].concat());
    table.p256dh("is past the field", &[&[4][..], &[255; 64]].concat());
    table.p256dh(
        "is compressed",
        &[&[2 + point[64] % 2], &point[1..33]].concat(),
    );
    table.p256dh("claims to be compressed", &begins_with(2));
    table.p256dh("is hybrid", &begins_with(6));
    table.p256dh("lacks its first byte", &point[1..]);
    table.p256dh("lacks its last byte", &point[..64]);
    table.p256dh("has one byte more", &[&point[..], &[0]].concat());
    for length in [0, 15, 17, 32] {
        table.key("auth", json!(URL_SAFE_NO_PAD.encode(vec![1; length])));
    }
    table.key("auth", json!("-+-+-+-+-+-+-+-+-+-+-+"));
    table.key("auth", json!("BTBZMqHH6r4Tts7J_aSIgg==="));
    table.key("auth", json!(" BTBZMqHH6r4Tts7J_aSIgg"));
    table.key("p256dh", json!(format!("{}\n", table.browser.p256dh())));
}

fn belongings(table: &mut Table) {
    for wrong in [
        json!("x"),
        json!(-1),
        json!(1),
        json!(1e300),
        json!(true),
        json!([1]),
    ] {
        table.subscribe("expirationTime", wrong, 400, "expirationTime");
    }
    for wrong in [
        json!("news"),
        json!(1),
        json!({"news": true}),
        json!(vec!["x"; 51]),
    ] {
        table.subscribe("tags", wrong, 400, "tags");
    }
    for (tags, field) in [
        (json!([""]), "tags[0]"),
        (json!(["a", 1]), "tags[1]"),
        (json!(["a", null]), "tags[1]"),
        (json!(["a", "b", "with space"]), "tags[2]"),
        (json!(["a", ["b"]]), "tags[1]"),
        (json!(["x".repeat(65)]), "tags[0]"),
        (json!(["a", "caf\u{e9}"]), "tags[1]"),
        (json!(["a&&b"]), "tags[0]"),
        (json!(["a\n"]), "tags[0]"),
        (json!(["a", "b", "c", "!d"]), "tags[3]"),
    ] {
        table.subscribe("tags", tags, 400, field);
    }
    for wrong in [
        json!(5),
        json!(""),
        json!("x".repeat(257)),
        json!("\u{e9}".repeat(129)),
        json!(["ada"]),
    ] {
        table.subscribe("user", wrong, 400, "user");
    }
}

fn users_and_keys(table: &mut Table) {
    table.subscribe("user", json!("ada"), 403, "userSignature");
    for (signature, status) in [
        (json!(null), 403),
        (json!(""), 403),
        (json!("00"), 403),
        (json!("zz".repeat(32)), 403),
        (json!("+0".repeat(32)), 403),
        (json!("00".repeat(32)), 403),
        (json!("\u{e9}".repeat(32)), 403),
        (json!(5), 400),
        (json!({}), 400),
    ] {
        let name = format!("userSignature is {}", short(&signature));
        let signed = json!({"user": "ada", "userSignature": signature});
        let body = table.browser.to_json_with(signed);
        table.subscription(&name, &body, status, "userSignature");
    }
    for wrong in [
        json!(1),
        json!(""),
        json!("Mars/Olympus_Mons"),
        json!("+02:00"),
        json!("CET-1CEST,M3.5.0,M10.5.0/3"),
        json!("../../etc/passwd"),
        json!("/etc/localtime"),
        json!("x".repeat(5000)),
        json!(["UTC"]),
    ] {
        table.subscribe("timezone", wrong, 400, "timezone");
    }
    let stranger = table.browser.p256dh();
    let padded = STANDARD.encode([4; 65]);
    for wrong in [
        json!(4),
        json!(""),
        json!("*"),
        json!(stranger),
        json!(padded),
        json!({}),
    ] {
        table.subscribe("applicationServerKey", wrong, 400, "applicationServerKey");
    }
}

fn recipients(table: &mut Table) {
    table.raw("no to", SEND, r#"{"data":"x"}"#, 400, Some("to"));
    let (a, b) = ("https://a.example/1", "ada");
    for (to, field) in [
        (json!(null), "to"),
        (json!("ada"), "to"),
        (json!([{"user": "ada"}]), "to"),
        (json!({}), "to"),
        (json!({"users": ["ada"]}), "to"),
        (json!({"endpoint": null, "user": null}), "to"),
        (json!({"endpoint": a, "user": b}), "to"),
        (json!({"endpoint": 5}), "to.endpoint"),
        (json!({"endpoint": [a]}), "to.endpoint"),
        (json!({"user": 5}), "to.user"),
        (json!({"user": ""}), "to.user"),
        (json!({"user": "x".repeat(257)}), "to.user"),
        (json!({"user": ["ada"]}), "to.user"),
        (json!({"audience": 5, "user": b}), "to.audience"),
        (json!({"audience": "all", "user": b}), "to"),
        (json!({"audience": "all", "endpoint": a}), "to"),
    ] {
        table.send(json!({"to": to}), 400, field);
    }
    table.send(json!({"to": {"endpoint": a}}), 404, "to.endpoint");
    let known = table.browser.endpoint().to_owned();
    table.send(json!({"to": {"endpoint": known}}), 404, "to.endpoint");
}

fn messages(table: &mut Table) {
    let notification = json!({"title": "t", "navigate": "https://a.example/"});
    table.send(json!({"data": null}), 400, "notification");
    table.send(
        json!({"data": null, "notification": null}),
        400,
        "notification",
    );
    table.send(json!({"notification": notification}), 400, "data");
    table.send(json!({"data": ""}), 400, "data");
    table.send(json!({"data": "x".repeat(3994)}), 400, "data");
    table.send(json!({"data": "\u{e9}".repeat(1997)}), 400, "data");
    table.send(json!({"data": {"a": "x".repeat(3993)}}), 400, "data");
    for wrong in [
        json!(-1),
        json!(1.5),
        json!(3.0),
        json!(1e3),
        json!(1_u64 << 31),
        json!(u64::MAX),
    ] {
        table.send(json!({"ttl": wrong}), 400, "ttl");
    }
    for wrong in [json!("60"), json!(true), json!([60])] {
        table.send(json!({"ttl": wrong}), 400, "ttl");
    }
    for wrong in [
        json!("urgent"),
        json!(""),
        json!("HIGH"),
        json!(" high"),
        json!(1),
        json!([]),
    ] {
        table.send(json!({"urgency": wrong}), 400, "urgency");
    }
    for wrong in [
        json!(""),
        json!("x".repeat(33)),
        json!("with space"),
        json!("a=b"),
        json!("a+b"),
        json!("caf\u{e9}"),
        json!("a\r\nx-evil: 1"),
        json!(7),
        json!({}),
    ] {
        table.send(json!({"topic": wrong}), 400, "topic");
    }
}

/// Members that only a message to an audience has.
fn campaigns(table: &mut Table) {
    for wrong in [
        json!(5),
        json!(["news"]),
        json!(""),
        json!(" "),
        json!("news &&"),
        json!("a".repeat(65)),
        json!("(".repeat(17) + "a" + &")".repeat(17)),
        json!(vec!["a"; 101].join("||")),
        json!("a".repeat(2049)),
    ] {
        table.send(json!({"to": {"audience": wrong}}), 400, "to.audience");
    }
    let to = json!({"audience": "all"});
    for wrong in [
        json!(5),
        json!(["a"]),
        json!(""),
        json!("."),
        json!(".."),
        json!("a b"),
        json!("a/b"),
        json!("a#b"),
        json!("a%2fb"),
        json!("caf\u{e9}"),
        json!("a\n"),
        json!("a".repeat(129)),
    ] {
        table.send(json!({"to": to, "id": wrong}), 400, "id");
    }
    for wrong in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e3),
        json!("100"),
        json!([100]),
        json!(true),
        json!(1_000_001),
    ] {
        table.send(json!({"to": to, "rate": wrong}), 400, "rate");
    }
    // The server checks the message before it writes anything.
    for (member, wrong) in [
        ("ttl", json!(-1)),
        ("urgency", json!("urgent")),
        ("topic", json!("a b")),
        ("data", json!("x".repeat(3994))),
        ("data", json!("")),
    ] {
        table.send(json!({"to": to, member: wrong}), 400, member);
    }
}

fn notifications(table: &mut Table) {
    for wrong in [json!("text"), json!([]), json!(5), json!(false)] {
        table.send(
            json!({"data": null, "notification": wrong}),
            400,
            "notification",
        );
    }
    let good = json!({"title": "t", "navigate": "https://a.example/"});
    for (member, wrong) in [
        ("app_badge", json!(-1)),
        ("app_badge", json!("3")),
        ("app_badge", json!(1.5)),
        ("mutable", json!("yes")),
        ("mutable", json!(1)),
    ] {
        table.send(
            json!({"data": null, "notification": good, member: wrong}),
            400,
            member,
        );
    }
    // "-" removes the member.
    for wrong in [json!("-"), json!(""), json!(5), json!(null), json!({})] {
        table.notify(json!({"title": wrong}), "title");
    }
    for wrong in [
        json!("-"),
        json!(""),
        json!("/page"),
        json!("page.html"),
        json!("//a.example/page"),
        json!("javascript:alert(1)"),
        json!("data:text/html,x"),
        json!("file:///etc/passwd"),
        json!("https://"),
        json!(null),
        json!(5),
    ] {
        table.notify(json!({"navigate": wrong}), "navigate");
    }
}

fn notification_members(table: &mut Table) {
    for (member, wrong) in [
        ("body", json!(5)),
        ("body", json!(null)),
        ("tag", json!([])),
        ("lang", json!(false)),
        ("icon", json!({})),
        ("image", json!(1)),
        ("badge", json!(3)),
        ("silent", json!("yes")),
        ("requireInteraction", json!(1)),
        ("renotify", json!("true")),
        ("dir", json!("up")),
        ("dir", json!(1)),
        ("timestamp", json!(-1)),
        ("timestamp", json!(1.5)),
        ("timestamp", json!("2030-01-01")),
        ("vibrate", json!("long")),
        ("vibrate", json!([100, "x"])),
        ("vibrate", json!([-1])),
        ("actions", json!({})),
        ("actions", json!("x")),
        ("url", json!("https://a.example/")),
        ("options", json!({"body": "x"})),
        ("default_action_url", json!("https://a.example/")),
    ] {
        table.notify(json!({member: wrong}), member);
    }
}

fn actions(table: &mut Table) {
    let action = json!({"action": "a", "title": "t", "navigate": "https://a.example/"});
    for (wrong, field) in [
        (json!([5]), "actions[0]"),
        (json!([action, null]), "actions[1]"),
        (
            json!([without(action.clone(), "title")]),
            "actions[0].title",
        ),
        (
            json!([without(action.clone(), "action")]),
            "actions[0].action",
        ),
        (
            json!([action, without(action.clone(), "navigate")]),
            "actions[1].navigate",
        ),
        (
            json!([{"action": 1, "title": "t", "navigate": "https://a.example/"}]),
            "actions[0].action",
        ),
        (
            json!([{"action": "a", "title": "t", "navigate": "/later"}]),
            "actions[0].navigate",
        ),
        (
            json!([{"action": "a", "title": "t", "navigate": "https://a.example/", "icon": 1}]),
            "actions[0].icon",
        ),
    ] {
        table.notify(json!({"actions": wrong}), field);
    }
    let over = json!({"title": "t", "navigate": "https://a.example/", "body": "x".repeat(3993)});
    table.send(
        json!({"data": null, "notification": over}),
        400,
        "notification",
    );
}

/// The answer is a problem of RFC 9457, without additional members.
fn is_a_problem(answer: &Answer, what: &str) {
    let said = String::from_utf8_lossy(&answer.body);
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{what}: {said}"
    );
    let kind = answer.json["type"].as_str().expect("a type");
    assert!(kind.starts_with("urn:pushcast:"), "{what}: {said}");
    for member in ["title", "detail"] {
        let text = answer.json[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{what}: {member} in {said}");
    }
    assert_eq!(
        answer.json["status"],
        answer.status.as_u16(),
        "{what}: {said}"
    );
}

async fn nothing_happened(server: &Server, service: &PushService) {
    assert_eq!(server.exported().await, [].into());
    let unknown = json!({"endpoint": "https://a.example/unknown"});
    let count = server.post(UNSUBSCRIBE, &unknown).await;
    assert_eq!(count.json, json!({"ok": true, "count": 0}));
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn a_bad_body_is_refused_with_the_wrong_member_s_name_and_changes_nothing() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let mut table = Table {
        browser: service.subscribe(None),
        rows: Vec::new(),
    };
    for write in [
        bodies,
        endpoints,
        keys,
        belongings,
        users_and_keys,
        recipients,
        messages,
        campaigns,
        notifications,
        notification_members,
        actions,
    ] {
        write(&mut table);
    }
    assert!(table.rows.len() >= 70, "{}", table.rows.len());
    let token = server.token();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut wrong = Vec::new();
    for row in &table.rows {
        let posted = server.request(Method::POST, row.path, &headers, row.body.clone());
        let answer = posted.await;
        let field = answer.json["field"].as_str();
        if answer.status.as_u16() != row.status || field != row.field.as_deref() {
            wrong.push(format!(
                "{}: {} {} instead of {} {:?}",
                row.name, answer.status, answer.json, row.status, row.field
            ));
            continue;
        }
        is_a_problem(&answer, &row.name);
        let said = format!("{:?} {}", answer.headers, answer.json);
        assert!(!said.contains(&token), "{}: {said}", row.name);
        if let Some(field) = field.filter(|_| row.status == 400) {
            let detail = answer.json["detail"].as_str().expect("a detail");
            assert!(detail.starts_with(field), "{}: {detail}", row.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed = server.get_with_token("/push/campaigns").await;
    assert_eq!(listed.json, json!({"campaigns": []}));
    nothing_happened(&server, &service).await;
}

#[tokio::test]
async fn a_payload_of_3993_bytes_is_accepted_and_a_longer_one_is_refused_with_its_excess() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    server.post(SUBSCRIBE, &browser.to_json()).await;
    let to = json!({"endpoint": browser.endpoint()});
    let around = json!({"web_push": 8030, "notification": {"body": "", "navigate": "https://a.example/", "title": "t"}});
    let room = 3993 - around.to_string().len();
    let notification = |bytes: usize| json!({"body": "x".repeat(bytes), "navigate": "https://a.example/", "title": "t"});
    let fitting = [
        json!({"to": to, "data": "x".repeat(3993)}),
        json!({"to": to, "data": "\u{e9}".repeat(1996)}),
        json!({"to": to, "data": {"a": "x".repeat(3993 - 8)}}),
        json!({"to": to, "notification": notification(room)}),
    ];
    for message in &fitting {
        let sent = server.post_with_token(SEND, message).await;
        assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
    }
    let sizes: Vec<usize> = service
        .deliveries()
        .iter()
        .map(|it| it.text.len())
        .collect();
    assert_eq!(sizes, [3993, 3992, 3993, 3993]);
    for (message, over) in [
        (json!({"to": to, "data": "x".repeat(3994)}), "1 more"),
        (json!({"to": to, "data": {"a": "x".repeat(3993)}}), "8 more"),
        (
            json!({"to": to, "notification": notification(room + 100)}),
            "100 more",
        ),
    ] {
        let refused = server.post_with_token(SEND, &message).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let detail = refused.json["detail"].as_str().expect("a detail");
        assert!(detail.contains(over) && detail.contains("3993"), "{detail}");
    }
    assert_eq!(service.requests(), fitting.len());
}

#[tokio::test]
async fn an_error_in_an_audience_is_reported_with_its_position() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    for (audience, position) in [
        ("news &&", 8),
        ("news sports", 6),
        ("(news", 6),
        ("news && \u{e9}", 9),
        ("!", 2),
        ("a & b", 3),
        ("", 1),
    ] {
        let message = json!({"to": {"audience": audience}, "data": "x"});
        let refused = server.post_with_token(SEND, &message).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        assert_eq!(refused.json["field"], "to.audience");
        let detail = refused.json["detail"].as_str().expect("a detail");
        let said = format!("character {position}");
        assert!(
            detail.split(':').any(|part| part.ends_with(&said)),
            "{audience}: {detail}"
        );
    }
}

#[tokio::test]
async fn an_impossible_campaign_id_is_answered_as_an_unknown_campaign() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let bearer = format!("Bearer {}", server.token());
    let headers = [("authorization", bearer.as_str())];
    let long = "a".repeat(129);
    for id in ["unknown", "a%20b", "a%23b", "%ff", "%2e", &long] {
        for (method, action) in [
            (Method::GET, ""),
            (Method::POST, "/cancel"),
            (Method::POST, "/resume"),
        ] {
            let path = format!("/push/campaigns/{id}{action}");
            let answer = server.request(method, &path, &headers, "").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
            is_a_problem(&answer, &path);
            assert_eq!(answer.json["type"], "urn:pushcast:no-such-campaign");
        }
    }
    let long = format!("1798102800113000%23{long}");
    for from in ["", "x", "%23", "1%23a", "%ff", "1798102800113000%23", &long] {
        let path = format!("/push/campaigns?from={from}");
        let answer = server.get_with_token(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        is_a_problem(&answer, &path);
        assert_eq!(answer.json["field"], "from");
    }
}

#[tokio::test]
async fn the_server_accepts_a_body_and_each_member_of_exactly_the_maximum_length() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(None);
    let path = browser.endpoint().len();
    let endpoint = format!("{}{}", browser.endpoint(), "x".repeat(2048 - path));
    let user = "\u{e9}".repeat(128);
    let tags: Vec<String> = (0..50).map(|i| format!("{i:02}{:->62}", "")).collect();
    let mut body = browser.to_json_with(json!({
        "endpoint": endpoint, "replaces": "x".repeat(2048), "tags": tags,
        "user": user, "userSignature": server.sign(&user), "padding": "",
    }));
    let missing = MAX_BODY - body.to_string().len();
    body["padding"] = json!("x".repeat(missing));
    assert_eq!(body.to_string().len(), MAX_BODY);
    let subscribed = server.post(SUBSCRIBE, &body).await;
    assert_eq!(
        subscribed.json,
        json!({"ok": true, "count": 1}),
        "{subscribed:?}"
    );
    let row = &server.exported().await[&endpoint];
    assert_eq!(row["tags"], json!(tags));
    assert_eq!(row["user"], json!(user));
}

#[tokio::test]
async fn without_the_token_the_server_sends_nothing_and_reads_no_body() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let token = server.token();
    let message = json!({"to": {"user": "ada"}, "data": "x"}).to_string();
    let too_much = "x".repeat(2 * MAX_BODY);
    for authorization in [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(token.clone()),
        Some(format!("Basic {token}")),
        Some(format!("Token {token}")),
        Some(format!("Bearer{token}")),
        Some(format!("Bearer {token}x")),
        Some(format!("Bearer {token} x")),
        Some(format!("Bearer {token},Bearer {token}")),
        Some(format!("Bearer \"{token}\"")),
        Some(format!("Bearer {}", &token[1..])),
        Some(format!("Bearer {}", &token[..token.len() - 1])),
        Some(format!("Bearer {}", token.to_lowercase())),
        Some(format!("Bearer {}", server.user_secret())),
        Some("Bearer wrong".to_owned()),
    ] {
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        for body in [message.as_str(), "not json", "", &too_much] {
            let answer = server.request(Method::POST, SEND, &headers, body.to_owned());
            let answer = answer.await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
            is_a_problem(&answer, "401");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert!(!answer.json.to_string().contains(&token));
        }
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {token}");
        let headers = [("authorization", authorization.as_str())];
        let answer = server.request(Method::POST, SEND, &headers, message.clone());
        let answer = answer.await;
        assert_eq!(answer.json, json!({"results": []}), "{scheme}: {answer:?}");
    }
    nothing_happened(&server, &service).await;
}

#[tokio::test]
async fn wrong_methods_and_unknown_paths_are_answered_with_problems() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let bearer = format!("Bearer {}", server.token());
    let headers = [("authorization", bearer.as_str())];
    for (path, allowed) in [
        ("/push/key", "GET,HEAD"),
        (SUBSCRIBE, "POST"),
        (UNSUBSCRIBE, "POST"),
        (SEND, "POST"),
        ("/push/campaigns", "GET,HEAD"),
        ("/push/campaigns/a", "GET,HEAD"),
        ("/push/campaigns/a/cancel", "POST"),
        ("/push/campaigns/a/resume", "POST"),
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            if allowed.contains(method.as_str()) {
                continue;
            }
            let answer = server.request(method.clone(), path, &headers, "{}").await;
            assert_eq!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            is_a_problem(&answer, path);
            assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
        }
    }
    for path in [
        "/push",
        "/push/",
        "/push/subscribe/",
        "/push/Subscribe",
        "/push/subscribe/x",
        "/push//subscribe",
        "/push/%73ubscribe%2f",
        "/subscribe",
        "/push/nothing",
        "/token",
        "/pushcast.db",
        "/../token",
        "/%2e%2e/token",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = server.request(method.clone(), path, &headers, "{}").await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            is_a_problem(&answer, path);
        }
    }
    nothing_happened(&server, &service).await;
}
