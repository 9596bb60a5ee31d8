use http::Method;
use serde_json::json;

use crate::support::program::Server;
use crate::support::push_service::PushService;

/// Every file of `client/` by its path on the server, without the type declarations, which only editors read.
fn paths() -> Vec<String> {
    let client = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("client");
    let mut paths = Vec::new();
    for (folder, prefix) in [(client.clone(), "/"), (client.join("console"), "/console/")] {
        for file in std::fs::read_dir(folder).expect("a folder") {
            let name = file.expect("an entry").file_name();
            let name = name.to_str().expect("a name").to_owned();
            match name.as_str() {
                "console" | "pushcast.d.ts" => {}
                "index.html" => paths.push("/".to_owned()),
                "console.html" => paths.push("/console".to_owned()),
                _ => paths.push(format!("{prefix}{name}")),
            }
        }
    }
    paths
}

#[tokio::test]
async fn every_client_file_is_served_with_a_media_type_and_an_etag() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let paths = paths();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-cache", "{path}");
        let kind = answer.headers["content-type"].to_str().expect("text");
        let expected = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some((_, "png")) => "image/png",
            Some((_, "webmanifest")) => "application/manifest+json",
            None => "text/html; charset=utf-8",
            Some((_, other)) => panic!("{path}: of what type is {other}?"),
        };
        assert_eq!(kind, expected, "{path}");
        let etag = answer.headers["etag"].to_str().expect("text");
        let again = [("if-none-match", etag)];
        let again = server.request(Method::GET, &path, &again, "").await;
        assert_eq!(again.status, 304, "{path}");
        assert!(again.body.is_empty());
    }
}

#[tokio::test]
async fn a_cached_file_is_not_sent_again_whatever_form_its_etag_has() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let etag = server.get("/style.css").await.headers["etag"].clone();
    let etag = etag.to_str().expect("text");
    let bare = etag.trim_matches('"');
    for (asked, status) in [
        (etag.to_owned(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"another\", W/{etag}"), 304),
        (format!("{etag},\"another\""), 304),
        (format!("W/\"another\" , {etag} , W/\"a third\""), 304),
        ("*".to_owned(), 304),
        ("\"another\"".to_owned(), 200),
        ("W/\"another\", \"a third\"".to_owned(), 200),
        (bare.to_owned(), 200),
        (format!("w/{etag}"), 200),
        (format!("\"{bare}-gzip\""), 200),
        (String::new(), 200),
    ] {
        let headers = [("if-none-match", asked.as_str())];
        let answer = server
            .request(Method::GET, "/style.css", &headers, "")
            .await;
        assert_eq!(answer.status, status, "{asked}");
        assert_eq!(answer.body.is_empty(), status == 304, "{asked}");
        assert_eq!(answer.headers["etag"], etag, "{asked}");
    }
    let both = [("if-none-match", "\"another\""), ("if-none-match", etag)];
    let answer = server.request(Method::GET, "/style.css", &both, "").await;
    assert_eq!(answer.status, 304, "in a second field");
}

#[tokio::test]
async fn pages_load_nothing_from_other_origins_and_run_no_inline_script() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    for path in ["/", "/console"] {
        let answer = server.get(path).await;
        let policy = answer.headers["content-security-policy"]
            .to_str()
            .expect("text");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let html = String::from_utf8(answer.body.to_vec()).expect("text");
        for forbidden in [
            "<style",
            " style=",
            " onclick=",
            "javascript:",
            "src=\"http",
            "src=\"//",
        ] {
            assert!(!html.contains(forbidden), "{path} has {forbidden}");
        }
        let scripts = html.matches("<script").count();
        assert_eq!(
            scripts,
            html.matches("<script type=\"module\" src=").count()
        );
    }
}

#[tokio::test]
async fn the_demo_page_sends_only_to_its_own_visitors() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let key = server.public_key().await;
    let visitor = server.get("/demo-visitor").await.json;
    let (ours, others) = (service.subscribe(Some(&key)), service.subscribe(Some(&key)));
    server
        .post("/push/subscribe", &ours.to_json_with(visitor))
        .await;
    let ada = json!({"user": "ada", "userSignature": server.sign("ada")});
    server
        .post("/push/subscribe", &others.to_json_with(ada))
        .await;

    let notification = json!({"title": "Test", "navigate": "https://www.example.org/"});
    let test = |endpoint: &str| json!({"endpoint": endpoint, "notification": notification});
    let sent = server.post("/demo/send", &test(ours.endpoint())).await;
    assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
    assert_eq!(
        service.deliveries_to(&ours)[0].json()["notification"],
        notification
    );

    for endpoint in [others.endpoint(), "https://nobody.example.org/"] {
        let refused = server.post("/demo/send", &test(endpoint)).await;
        assert_eq!(refused.status, 404, "{refused:?}");
    }
    assert!(service.deliveries_to(&others).is_empty());
    let nothing = json!({"endpoint": ours.endpoint()});
    assert_eq!(server.post("/demo/send", &nothing).await.status, 400);
    assert_eq!(server.post("/demo/send", &json!({})).await.status, 400);
}
