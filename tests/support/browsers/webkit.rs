//! WebKit itself, Safari's engine, in WebKitGTK and without a screen. It has Safari's code for pages and service workers,
//! and no push service: where a push would come in, the test hands it over in clear text.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::browsers::page::{Looks, Page, middle_of};
use crate::support::browsers::remote_control::{RemoteControl, launch};
use crate::support::waiting::eventually;

/// Debian's own, which has the bindings to WebKit.
const PYTHON: &str = "/usr/bin/python3";

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/browsers/webkit.py"
);

/// One window with one page. Running until dropped.
pub(crate) struct Webkit {
    remote: RemoteControl,
    _child: Child,
    _profile: TempDir,
}

/// What the desktop shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) closed: bool,
}

impl Webkit {
    /// Starts it on a new profile, with the Push API as Safari has it.
    pub(crate) async fn start() -> Self {
        Self::start_with("with-push").await
    }

    /// Starts it on a new profile, without the Push API.
    pub(crate) async fn start_without_push() -> Self {
        Self::start_with("without-push").await
    }

    async fn start_with(push: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(PYTHON);
        // Nothing of the tester's desktop: neither its theme nor its proxy.
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

    /// Runs this script in every page from now on, before the page's own.
    pub(crate) async fn preload(&self, script: &str) {
        self.command("preload", json!({"script": script})).await;
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.command("open", json!({"url": url})).await;
    }

    /// What the reader answers when asked whether a page may notify them.
    pub(crate) async fn permit(&self, allowed: bool) {
        self.command("permit", json!({"allowed": allowed})).await;
    }

    /// How often the reader was asked.
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

    /// The notification of this number, from 0, once it is shown.
    pub(crate) async fn notification(&self, index: usize) -> Shown {
        eventually(&format!("notification {index}"), async || {
            let mut shown = self.shown().await;
            (index < shown.len()).then(|| shown.swap_remove(index))
        })
        .await
    }

    /// Waits until the notification of this number is closed.
    pub(crate) async fn closed(&self, index: usize) {
        eventually(&format!("notification {index} is closed"), async || {
            self.shown().await[index].closed.then_some(())
        })
        .await;
    }

    /// The reader clicks on the notification of this number.
    pub(crate) async fn choose(&self, index: usize) {
        self.command("choose", json!({"index": index})).await;
    }

    /// A click that alone gives the page the right to ask. What a test runs counts as a click too, for some seconds: this
    /// waits until that is over.
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

    /// Types into a field, in the place of what it holds.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.offers(selector).await;
        let (selector, text) = (json!(selector), json!(text));
        let typed = format!(
            "(() => {{ const it = document.querySelector({selector}); it.focus(); it.select(); \
             return document.execCommand('insertText', false, {text}); }})()"
        );
        assert_eq!(self.run(&typed).await, true, "{selector} takes no text");
    }

    /// What pages were forbidden, and what they forgot to catch.
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
