//! WebKit, Safari's engine, in WebKitGTK without a screen. It has Safari's code for pages and service workers, but no
//! push service: the test hands each push over in clear text.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::browsers::page::{Looks, Page, middle_of};
use crate::support::browsers::remote_control::{RemoteControl, launch};
use crate::support::waiting::eventually;

/// Debian's own Python, which has the bindings to WebKit.
const PYTHON: &str = "/usr/bin/python3";

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/browsers/webkit.py"
);

/// One window with one page. Runs until dropped.
pub(crate) struct Webkit {
    remote: RemoteControl,
    _child: Child,
    _profile: TempDir,
}

/// A notification on the desktop.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) closed: bool,
}

impl Webkit {
    /// Starts WebKit with a new profile, and the Push API as in Safari.
    pub(crate) async fn start() -> Self {
        Self::start_with("with-push").await
    }

    /// Starts WebKit with a new profile, and without the Push API.
    pub(crate) async fn start_without_push() -> Self {
        Self::start_with("without-push").await
    }

    async fn start_with(push: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(PYTHON);
        // The tester's desktop must have no influence, for example by its theme or proxy.
        command
            .arg(PROGRAM)
            .arg(profile.path())
            .arg(push)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", profile.path())
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8");
        let (child, address) = launch(command, "WebKit listens on ").await;
        Self {
            remote: RemoteControl::connect(&address).await,
            _child: child,
            _profile: profile,
        }
    }

    async fn command(&self, method: &str, params: Value) -> Value {
        self.remote.command(None, method, params).await
    }

    /// Runs this script in every later page, before the page's own scripts.
    pub(crate) async fn preload(&self, script: &str) {
        self.command("preload", json!({"script": script})).await;
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.command("open", json!({"url": url})).await;
    }

    /// The reader's answer when a page asks for permission to notify.
    pub(crate) async fn permit(&self, allowed: bool) {
        self.command("permit", json!({"allowed": allowed})).await;
    }

    /// Number of times that the reader was asked.
    pub(crate) async fn asked(&self) -> u64 {
        let report = self.command("report", json!({})).await;
        report["asked"].as_u64().expect("a number")
    }

    /// Every notification so far, in order.
    pub(crate) async fn shown(&self) -> Vec<Shown> {
        let report = self.command("report", json!({})).await;
        let shown = report["shown"].as_array().expect("a list").iter();
        let text = |it: &Value| it.as_str().expect("text").to_owned();
        shown
            .map(|it| Shown {
                title: text(&it["title"]),
                body: text(&it["body"]),
                closed: it["closed"] == true,
            })
            .collect()
    }

    /// Waits for the notification with this index, from 0.
    pub(crate) async fn notification(&self, index: usize) -> Shown {
        eventually(&format!("notification {index}"), async || {
            let mut shown = self.shown().await;
            (index < shown.len()).then(|| shown.swap_remove(index))
        })
        .await
    }

    /// Waits until the notification with this index is closed.
    pub(crate) async fn closed(&self, index: usize) {
        eventually(&format!("notification {index} is closed"), async || {
            self.shown().await[index].closed.then_some(())
        })
        .await;
    }

    /// The reader clicks on the notification with this index.
    pub(crate) async fn choose(&self, index: usize) {
        self.command("choose", json!({"index": index})).await;
    }

    /// A click that is the page's only user gesture. WebKit counts every script of the test as a gesture for some
    /// seconds: this waits until they are over.
    pub(crate) async fn click_alone(&self, selector: &str) {
        self.offers(selector).await;
        let middle = format!(
            "(async () => {{ while (navigator.userActivation.isActive) await new Promise((done) => setTimeout(done, 100)); \
             return {}; }})()",
            middle_of(selector)
        );
        let middle = self.run(&middle).await;
        self.mouse(&middle[0], &middle[1]).await;
    }

    /// Replaces the text of a field.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.offers(selector).await;
        let (selector, text) = (json!(selector), json!(text));
        let typed = format!(
            "(() => {{ const it = document.querySelector({selector}); it.focus(); it.select(); \
             return document.execCommand('insertText', false, {text}); }})()"
        );
        assert_eq!(self.run(&typed).await, true, "{selector} takes no text");
    }

    /// Violations of the Content-Security-Policy, and uncaught errors, in pages.
    pub(crate) async fn complaints(&self) -> Value {
        self.command("report", json!({})).await["complaints"].take()
    }
}

impl Looks for Webkit {
    async fn look(&self, width: u32, dark: bool) {
        let height = if width < 600 { 844 } else { 900 };
        let look = json!({"width": width, "height": height, "dark": dark});
        self.command("look", look).await;
        self.wait_for(&format!(
            "innerWidth === {width} && matchMedia('(prefers-color-scheme: dark)').matches === {dark}"
        ))
        .await;
    }

    async fn picture(&self, file: &Path) {
        self.command("screenshot", json!({"file": file})).await;
    }
}

impl Page for Webkit {
    async fn try_run(&self, expression: &str) -> Result<Value, Value> {
        let body = json!({"body": format!("return await ({expression});")});
        self.remote.ask(None, "run", body).await
    }

    async fn mouse(&self, x: &Value, y: &Value) {
        self.command("click", json!({"x": x, "y": y})).await;
    }
}
