//! Serves the files of `client/`: the demo page and the operator's console.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use webpush::base64url;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
const MANIFEST: &str = "application/manifest+json";

/// The browser loads scripts, styles and images from this server only, and runs no inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

macro_rules! file {
    ($path:literal, $kind:expr, $file:literal) => {
        File {
            path: $path,
            kind: $kind,
            content: include_bytes!(concat!("../../client/", $file)),
        }
    };
}

const DEMO: &[File] = &[
    file!("/", HTML, "index.html"),
    file!("/demo.js", JAVASCRIPT, "demo.js"),
    file!("/style.css", CSS, "style.css"),
    file!("/pushcast.js", JAVASCRIPT, "pushcast.js"),
    file!("/service-worker.js", JAVASCRIPT, "service-worker.js"),
    file!("/icon.svg", SVG, "icon.svg"),
    file!("/icon.png", PNG, "icon.png"),
    file!("/manifest.webmanifest", MANIFEST, "manifest.webmanifest"),
];

/// All files but the page are below `/console/`, so that an API gateway needs one more route only.
const CONSOLE: &[File] = &[
    file!("/console", HTML, "console.html"),
    file!("/console/style.css", CSS, "style.css"),
    file!("/console/console.css", CSS, "console/console.css"),
    file!("/console/icon.svg", SVG, "icon.svg"),
    file!("/console/api.js", JAVASCRIPT, "console/api.js"),
    file!("/console/audience.js", JAVASCRIPT, "console/audience.js"),
    file!("/console/campaign.js", JAVASCRIPT, "console/campaign.js"),
    file!(
        "/console/campaign-panel.js",
        JAVASCRIPT,
        "console/campaign-panel.js"
    ),
    file!("/console/campaigns.js", JAVASCRIPT, "console/campaigns.js"),
    file!("/console/charts.js", JAVASCRIPT, "console/charts.js"),
    file!("/console/compose.js", JAVASCRIPT, "console/compose.js"),
    file!(
        "/console/compose-fields.js",
        JAVASCRIPT,
        "console/compose-fields.js"
    ),
    file!("/console/dom.js", JAVASCRIPT, "console/dom.js"),
    file!("/console/draft.js", JAVASCRIPT, "console/draft.js"),
    file!("/console/growth.js", JAVASCRIPT, "console/growth.js"),
    file!(
        "/console/idempotency.js",
        JAVASCRIPT,
        "console/idempotency.js"
    ),
    file!("/console/main.js", JAVASCRIPT, "console/main.js"),
    file!("/console/message.js", JAVASCRIPT, "console/message.js"),
    file!("/console/outcomes.js", JAVASCRIPT, "console/outcomes.js"),
    file!("/console/progress.js", JAVASCRIPT, "console/progress.js"),
    file!("/console/schedules.js", JAVASCRIPT, "console/schedules.js"),
    file!("/console/status.js", JAVASCRIPT, "console/status.js"),
    file!(
        "/console/subscribers.js",
        JAVASCRIPT,
        "console/subscribers.js"
    ),
];

/// Routes of the demo: `/` and the files that it loads.
pub fn demo() -> Router {
    router(DEMO)
}

/// Routes of the console: `/console` and the files that it loads.
pub fn console() -> Router {
    router(CONSOLE)
}

fn router(files: &'static [File]) -> Router {
    let add = |router: Router, file: &'static File| {
        let etag = file.etag();
        let serve = async move |headers: HeaderMap| file.serve(&etag, &headers);
        router.route(file.path, get(serve))
    };
    files.iter().fold(Router::new(), add)
}

struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

impl File {
    fn etag(&self) -> HeaderValue {
        let hash = digest(&SHA256, self.content);
        let etag = format!("\"{}\"", base64url::encode(&hash.as_ref()[..12]));
        HeaderValue::try_from(etag).expect("base64url is ASCII")
    }

    /// Answers with the file, or with 304 if the browser has it. The browser must ask each time (`no-cache`): its
    /// service worker must not be stale.
    fn serve(&self, etag: &HeaderValue, request: &HeaderMap) -> Response {
        let known = is_known(etag, request);
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.content.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, etag.clone());
        let mut set = |name: HeaderName, value| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        set(CONTENT_TYPE, self.kind);
        set(CACHE_CONTROL, "no-cache");
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        if self.kind == HTML {
            set(CONTENT_SECURITY_POLICY, POLICY);
            set(REFERRER_POLICY, "no-referrer");
            set(
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            );
        }
        response
    }
}

/// Whether the browser has this content: it sends the file's ETag, or `*` for any. The comparison is weak,
/// so that a proxy may weaken an ETag when it compresses the file (RFC 9110, sections 8.8.3.2 and 13.1.2).
fn is_known(etag: &HeaderValue, request: &HeaderMap) -> bool {
    let etag = etag.as_bytes();
    let fields = request.get_all(IF_NONE_MATCH).iter();
    // Our ETags hold no comma: splitting a foreign ETag at its commas cannot yield one of ours.
    let tags = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    tags.map(<[u8]>::trim_ascii)
        .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}
