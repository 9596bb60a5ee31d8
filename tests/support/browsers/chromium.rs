//! Chromium without a window, controlled over the DevTools protocol. Its only push service is Google's, so the test
//! hands each push to the service worker in clear text.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::browsers::page::{Looks, Page};
use crate::support::browsers::remote_control::{RemoteControl, launch};
use crate::support::waiting::eventually;

/// Runs until dropped.
pub(crate) struct Chromium {
    remote: RemoteControl,
    _child: Child,
    _profile: TempDir,
}

/// A tab, or a service worker.
pub(crate) struct Target<'a> {
    chromium: &'a Chromium,
    session: String,
}

impl Chromium {
    /// Starts Chromium with a new profile.
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args([
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args([
                "--lang=en-GB",
                "--force-color-profile=srgb",
                "--remote-debugging-port=0",
            ])
            // A host name that Chromium does not treat as local: its http pages are no secure context.
            .arg("--host-resolver-rules=MAP pushcast.test 127.0.0.1")
            .args(["--no-proxy-server", "--disable-features=HttpsUpgrades"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .env("LANGUAGE", "en_GB")
            .env("TZ", "UTC");
        let (child, address) = launch(command, "DevTools listening on ").await;
        Self {
            remote: RemoteControl::connect(&address).await,
            _child: child,
            _profile: profile,
        }
    }

    /// Opens a page in a new tab; `before` runs in it before the page's own scripts.
    pub(crate) async fn open(&self, url: &str, before: &str) -> Target<'_> {
        self.open_in(json!({"url": "about:blank"}), url, before)
            .await
    }

    /// Opens a page in a private window.
    pub(crate) async fn open_private(&self, url: &str) -> Target<'_> {
        let context = self
            .remote
            .command(None, "Target.createBrowserContext", json!({}))
            .await;
        let window = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        self.open_in(window, url, "").await
    }

    async fn open_in(&self, window: Value, url: &str, before: &str) -> Target<'_> {
        let created = self
            .remote
            .command(None, "Target.createTarget", window)
            .await;
        let tab = self.attach(&created["targetId"]).await;
        for domain in [
            "Page.enable",
            "Runtime.enable",
            "Log.enable",
            "ServiceWorker.enable",
        ] {
            tab.command(domain, json!({})).await;
        }
        let script = json!({"source": before});
        tab.command("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
        tab.go(url).await;
        tab
    }

    async fn attach(&self, target: &Value) -> Target<'_> {
        let params = json!({"targetId": target, "flatten": true});
        let attached = self
            .remote
            .command(None, "Target.attachToTarget", params)
            .await;
        Target {
            chromium: self,
            session: attached["sessionId"]
                .as_str()
                .expect("a session")
                .to_owned(),
        }
    }

    /// The service worker of this origin, once it runs.
    pub(crate) async fn worker(&self, origin: &str) -> Target<'_> {
        let target = eventually("a service worker", async || {
            let all = self
                .remote
                .command(None, "Target.getTargets", json!({}))
                .await;
            let all = all["targetInfos"].as_array().expect("targets").clone();
            let worker = all.into_iter().find(|it| {
                it["type"] == "service_worker"
                    && it["url"]
                        .as_str()
                        .is_some_and(|url| url.starts_with(origin))
            });
            Some(worker?["targetId"].clone())
        })
        .await;
        let worker = self.attach(&target).await;
        worker.command("Runtime.enable", json!({})).await;
        worker
    }

    /// Grants the permission, as if the reader had allowed notifications.
    pub(crate) async fn permit_notifications(&self, origin: &str) {
        let params = json!({"origin": origin, "permissions": ["notifications"]});
        self.remote
            .command(None, "Browser.grantPermissions", params)
            .await;
    }

    /// Hands a push to the service worker of this origin.
    pub(crate) async fn push(&self, tab: &Target<'_>, origin: &str, data: &str) {
        let registration = eventually("a registration", async || {
            let events = self.remote.events();
            let updates = events.iter().rev();
            let mut registrations = updates
                .filter(|it| it["method"] == "ServiceWorker.workerRegistrationUpdated")
                .flat_map(|it| it["params"]["registrations"].as_array().expect("a list"));
            let ours = registrations.find(|it| {
                it["scopeURL"]
                    .as_str()
                    .is_some_and(|url| url.starts_with(origin))
            });
            Some(ours?["registrationId"].clone())
        })
        .await;
        let params = json!({"origin": origin, "registrationId": registration, "data": data});
        tab.command("ServiceWorker.deliverPushMessage", params)
            .await;
    }

    /// Problems that pages reported: violations of the Content-Security-Policy, failed loads, exceptions.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        let events = self.remote.events().into_iter();
        events
            .filter(|event| match event["method"].as_str() {
                Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
                Some("Runtime.exceptionThrown") => true,
                _ => false,
            })
            .collect()
    }
}

impl Target<'_> {
    async fn command(&self, method: &str, params: Value) -> Value {
        let remote = &self.chromium.remote;
        remote.command(Some(&self.session), method, params).await
    }

    /// Opens another page and waits until it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        let went = self.command("Page.navigate", json!({"url": url})).await;
        assert_eq!(went.get("errorText"), None, "{url}: {went}");
        let there = format!(
            "document.readyState === 'complete' && location.href.startsWith({})",
            json!(url)
        );
        self.wait_for(&there).await;
    }

    /// Runs a script without wrapping it in a function.
    pub(crate) async fn inject(&self, script: &str) {
        self.command("Runtime.evaluate", json!({"expression": script}))
            .await;
    }

    /// Replaces the text of a field.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.offers(selector).await;
        let find = format!("document.querySelector({})", json!(selector));
        self.run(&format!("({find}.focus(), {find}.select(), null)"))
            .await;
        self.command("Input.insertText", json!({"text": text}))
            .await;
    }

    /// Types into the focused element.
    pub(crate) async fn write(&self, text: &str) {
        self.command("Input.insertText", json!({"text": text}))
            .await;
    }

    /// Presses a key such as `Tab` or `Enter`.
    pub(crate) async fn press(&self, key: &str, code: u64) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.command("Input.dispatchKeyEvent", params).await;
        }
    }

    /// A PNG of the whole page, or of its visible part.
    pub(crate) async fn screenshot(&self, file: &Path, whole: bool) {
        let params = json!({"format": "png", "captureBeyondViewport": whole});
        let taken = self.command("Page.captureScreenshot", params).await;
        let png = STANDARD.decode(taken["data"].as_str().expect("base64"));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, png.expect("base64")).expect("a file");
    }
}

impl Looks for Target<'_> {
    async fn look(&self, width: u32, dark: bool) {
        let height = if width < 600 { 844 } else { width * 5 / 8 };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        // A tab in the background is not painted.
        self.command("Page.bringToFront", json!({})).await;
        self.command("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.command("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
        // After the second animation frame, the first one has been painted.
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
            .await;
    }

    async fn picture(&self, file: &Path) {
        self.screenshot(file, true).await;
    }
}

impl Page for Target<'_> {
    async fn try_run(&self, expression: &str) -> Result<Value, Value> {
        let params = json!({
            "expression": format!("(async () => ({expression}))()"),
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let remote = &self.chromium.remote;
        let answer = remote
            .ask(Some(&self.session), "Runtime.evaluate", params)
            .await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown["exception"]["description"].clone()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    async fn mouse(&self, x: &Value, y: &Value) {
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.command("Input.dispatchMouseEvent", params).await;
        }
    }
}
