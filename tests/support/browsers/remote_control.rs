//! A browser under remote control. WebDriver BiDi (Firefox), the DevTools protocol (Chromium) and our protocol (WebKit)
//! all use numbered commands and answers, and events without a number.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::waiting::PATIENCE;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, Value>>>>>;

/// A connection to a browser.
pub(crate) struct RemoteControl {
    outgoing: mpsc::UnboundedSender<Message>,
    waiting: Waiting,
    events: Arc<Mutex<Vec<Value>>>,
    next: AtomicU64,
}

impl RemoteControl {
    pub(crate) async fn connect(url: &str) -> Self {
        let connected = timeout(PATIENCE, connect_async(url)).await;
        let (socket, _) = connected.expect("in time").expect("the browser listens");
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut queue) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = queue.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        let (waiting, events) = (Waiting::default(), Arc::<Mutex<Vec<Value>>>::default());
        let (answered, happened) = (Arc::clone(&waiting), Arc::clone(&events));
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else {
                    continue;
                };
                let message: Value = serde_json::from_str(&text).expect("JSON");
                let Some(id) = message["id"].as_u64() else {
                    happened.lock().expect("no panic").push(message);
                    continue;
                };
                let waiter = answered.lock().expect("no panic").remove(&id);
                if let Some(waiter) = waiter {
                    let answer = if message.get("error").is_some_and(|error| !error.is_null()) {
                        Err(message)
                    } else {
                        Ok(message["result"].clone())
                    };
                    waiter.send(answer).ok();
                }
            }
            // Waiting callers learn that no answer will come.
            answered.lock().expect("no panic").clear();
        });
        Self {
            outgoing,
            waiting,
            events,
            next: AtomicU64::new(1),
        }
    }

    /// Sends a command and waits for its answer. Only the DevTools protocol uses `session`.
    pub(crate) async fn ask(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().expect("no panic").insert(id, sender);
        let text = Message::text(command.to_string());
        self.outgoing.send(text).expect("the browser listens");
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {method}"));
        answer.unwrap_or_else(|_| panic!("the browser ended while asked for {method}"))
    }

    /// The same for a command that must succeed.
    pub(crate) async fn command(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Value {
        let answer = self.ask(session, method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The events so far, in order.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.lock().expect("no panic").clone()
    }
}

/// Starts a browser and waits for the line of its standard error that begins with `announcement`. Returns the rest of
/// that line, which is the address to connect to.
pub(crate) async fn launch(mut command: Command, announcement: &str) -> (Child, String) {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: tests/run installs it"));
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    let address = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(address) = line.strip_prefix(announcement) {
                return address.trim().to_owned();
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("the browser ended before it listened: {said}");
    };
    let address = timeout(PATIENCE, address).await.expect("it starts in time");
    // The browser keeps logging, and a full pipe would block it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}
