//! Firefox without a window, with our push service, controlled over WebDriver BiDi.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::browsers::page::Page;
use crate::support::browsers::remote_control::{RemoteControl, launch};
use crate::support::push_service::autopush::Autopush;
use crate::support::waiting::eventually;

/// The document in a notification's window.
const ALERT: &str = "chrome://global/content/alerts/alert.xhtml";

/// Runs until dropped.
pub(crate) struct Firefox {
    remote: RemoteControl,
    _profile: TempDir,
    _child: Child,
}

/// A tab.
#[derive(Clone)]
pub(crate) struct Tab<'a> {
    firefox: &'a Firefox,
    context: String,
}

fn preferences(autopush: &Autopush) -> String {
    let preferences = json!({
        "dom.push.serverURL": autopush.url(),
        "dom.push.testing.allowInsecureServerURL": true,
        // Remote control turns this preference off.
        "dom.push.connection.enabled": true,
        "dom.push.retryBaseInterval": 200,
        "dom.push.maxQuotaPerSubscription": 1000,
        // Without a desktop's notification service, Firefox draws notifications itself.
        "alerts.useSystemBackend": false,
        // Remote control turns this preference on, and then no tab comes to the front by itself.
        "focusmanager.testmode": false,
        "permissions.default.desktop-notification": 1,
        "app.update.enabled": false,
        "browser.shell.checkDefaultBrowser": false,
        "datareporting.policy.dataSubmissionEnabled": false,
        "toolkit.telemetry.reportingpolicy.firstRun": false,
    });
    let lines = preferences.as_object().expect("an object").iter();
    lines
        .map(|(name, value)| format!("user_pref({}, {value});\n", json!(name)))
        .collect()
}

impl Firefox {
    /// Starts Firefox with a new profile.
    pub(crate) async fn start(autopush: &Autopush) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        std::fs::write(profile.path().join("user.js"), preferences(autopush)).expect("a file");
        let mut command = Command::new("firefox-esr");
        command
            .args(["--headless", "--no-remote", "--remote-allow-system-access"])
            .args(["--remote-debugging-port", "0", "--profile"])
            .arg(profile.path())
            .env("HOME", profile.path());
        let (child, address) = launch(command, "WebDriver BiDi listening on ").await;
        let remote = RemoteControl::connect(&format!("{address}/session")).await;
        let wanted = json!({"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": {"default": "ignore"}}}});
        remote.command(None, "session.new", wanted).await;
        Self {
            remote,
            _profile: profile,
            _child: child,
        }
    }

    async fn command(&self, method: &str, params: Value) -> Value {
        self.remote.command(None, method, params).await
    }

    /// Opens a page in a new tab.
    pub(crate) async fn open(&self, url: &str) -> Tab<'_> {
        let created = self
            .command("browsingContext.create", json!({"type": "tab"}))
            .await;
        let context = created["context"].as_str().expect("a context").to_owned();
        let tab = Tab {
            firefox: self,
            context,
        };
        tab.go(url).await;
        tab
    }

    /// Answers the permission question in advance: `granted`, `denied` or `prompt`.
    pub(crate) async fn permit(&self, origin: &str, state: &str) {
        let descriptor = json!({"name": "notifications"});
        let params = json!({"descriptor": descriptor, "state": state, "origin": origin});
        self.command("permissions.setPermission", params).await;
    }

    /// Runs this script in every later page, before the page's own scripts.
    pub(crate) async fn preload(&self, script: &str) {
        let function = format!("() => {{ {script} }}");
        self.command(
            "script.addPreloadScript",
            json!({"functionDeclaration": function}),
        )
        .await;
    }

    /// The addresses of all tabs.
    pub(crate) async fn tabs(&self) -> Vec<String> {
        let tree = self.command("browsingContext.getTree", json!({})).await;
        let contexts = tree["contexts"].as_array().expect("contexts").iter();
        contexts
            .map(|context| context["url"].as_str().expect("a URL").to_owned())
            .collect()
    }

    /// The addresses of the tabs in front.
    pub(crate) async fn visible(&self) -> Vec<String> {
        let tree = self.command("browsingContext.getTree", json!({})).await;
        let mut seen = Vec::new();
        for context in tree["contexts"].as_array().expect("contexts") {
            let tab = Tab {
                firefox: self,
                context: context["context"].as_str().expect("a context").to_owned(),
            };
            // A tab that is leaving its page gives no answer.
            if tab.try_run("document.visibilityState").await.ok() == Some("visible".into()) {
                seen.push(context["url"].as_str().expect("a URL").to_owned());
            }
        }
        seen
    }

    /// Waits for the window of the notification with this title.
    pub(crate) async fn alert(&self, title: &str) -> Tab<'_> {
        eventually(&format!("a notification {title:?}"), async || {
            let tree = self
                .command("browsingContext.getTree", json!({"moz:scope": "chrome"}))
                .await;
            for context in tree["contexts"].as_array().expect("contexts") {
                if context["url"] != ALERT {
                    continue;
                }
                let alert = Tab {
                    firefox: self,
                    context: context["context"].as_str().expect("a context").to_owned(),
                };
                let text = "document.getElementById('alertTitleLabel')?.textContent || document.getElementById('alertTitleLabel')?.getAttribute('value')";
                if alert.try_run(text).await.ok()? == title {
                    return Some(alert);
                }
            }
            None
        })
        .await
    }
}

impl Tab<'_> {
    /// Opens another page and waits until it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        let params = json!({"context": self.context, "url": url, "wait": "complete"});
        self.firefox
            .command("browsingContext.navigate", params)
            .await;
    }

    /// Brings the tab to the front.
    pub(crate) async fn activate(&self) {
        let params = json!({"context": self.context});
        self.firefox
            .command("browsingContext.activate", params)
            .await;
    }

    /// Clicks on a notification, whose window the remote mouse cannot reach, until the window closes. Firefox shows the
    /// title before the window listens for clicks, so the first click may be lost.
    pub(crate) async fn click_alert(&self) {
        for _ in 0..20 {
            let click = "void document.getElementById('alertNotification').click()";
            if self.try_run(click).await.is_err() {
                return;
            }
            for _ in 0..50 {
                if !self.is_open().await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        panic!("the notification stays after 20 clicks");
    }

    /// Whether this window of the browser's own is still there.
    async fn is_open(&self) -> bool {
        let tree = self
            .firefox
            .command("browsingContext.getTree", json!({"moz:scope": "chrome"}))
            .await;
        let contexts = tree["contexts"].as_array().expect("contexts");
        contexts.iter().any(|it| it["context"] == self.context[..])
    }
}

impl Page for Tab<'_> {
    async fn try_run(&self, expression: &str) -> Result<Value, Value> {
        let wrapped = format!("(async () => JSON.stringify({{value: await ({expression})}}))()");
        let params = json!({
            "expression": wrapped,
            "target": {"context": self.context},
            "awaitPromise": true,
            "userActivation": true,
        });
        let answer = self
            .firefox
            .remote
            .ask(None, "script.evaluate", params)
            .await?;
        if answer["type"] != "success" {
            return Err(answer["exceptionDetails"]["text"].clone());
        }
        let text = answer["result"]["value"].as_str().expect("a string");
        let mut value: Value = serde_json::from_str(text).expect("JSON");
        Ok(value["value"].take())
    }

    async fn mouse(&self, x: &Value, y: &Value) {
        let actions = json!([
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let mouse = json!({"type": "pointer", "id": "mouse", "actions": actions});
        let params = json!({"context": self.context, "actions": [mouse]});
        self.firefox.command("input.performActions", params).await;
    }
}
