//! The WebSocket side of a push service: Firefox subscribes and receives its messages there, in the protocol that
//! Mozilla's autopush documents. The push service judges each request at its endpoint, and this side relays the message
//! as it is. The browser decrypts it, and acknowledges whether it could.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::{PushService, Registry};
use crate::support::waiting::eventually;

/// The browser's acknowledgement of a message. 100: the browser decrypted it, and the service worker handled it. 101:
/// the browser cannot decrypt it. 102: it was not delivered. 301 and 302: the worker threw, or its promise was
/// rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) code: u64,
}

/// Listens until dropped.
pub(crate) struct Autopush {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    registry: Registry,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Browsers by the id that the push service gave them (`uaid`).
    browsers: HashMap<String, Known>,
    named: usize,
    versions: usize,
    acknowledged: Vec<Acknowledged>,
    unregistered: usize,
}

#[derive(Default)]
struct Known {
    line: Option<UnboundedSender<Value>>,
    /// Messages that came while the browser was away.
    kept: Vec<Value>,
}

/// The destination of one subscription's messages.
#[derive(Clone)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    uaid: String,
    channel: String,
}

impl Relay {
    /// Whether the destination is this channel.
    pub(crate) fn is_of(&self, channel: &str) -> bool {
        self.channel == channel
    }

    /// Relays an encrypted message.
    pub(crate) fn deliver(&self, headers: &HeaderMap, ttl: u64, body: &Bytes) {
        let mut state = self.shared.state();
        state.versions += 1;
        let mut message = json!({
            "messageType": "notification",
            "channelID": self.channel,
            "version": format!("v{}", state.versions),
            "ttl": ttl,
        });
        if !body.is_empty() {
            message["data"] = URL_SAFE_NO_PAD.encode(body).into();
            let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let mut kept = json!({"encoding": of("content-encoding")});
            for (name, header) in [("encryption", "encryption"), ("crypto_key", "crypto-key")] {
                if let Some(value) = of(header) {
                    kept[name] = value.into();
                }
            }
            message["headers"] = kept;
        }
        let browser = state.browsers.entry(self.uaid.clone()).or_default();
        match &browser.line {
            Some(line) if line.send(message.clone()).is_ok() => {}
            Some(_) | None => browser.kept.push(message),
        }
    }
}

impl State {
    /// A browser connects, for the first time or again. Returns its id and the messages for it.
    fn greet(&mut self, uaid: Option<&str>, line: &UnboundedSender<Value>) -> (String, Vec<Value>) {
        let known = uaid.filter(|it| self.browsers.contains_key(*it));
        let name = known.map_or_else(|| format!("{:032x}", self.named + 1), str::to_owned);
        self.named += 1;
        let browser = self.browsers.entry(name.clone()).or_default();
        browser.line = Some(line.clone());
        let hello = json!({"messageType": "hello", "uaid": name, "status": 200, "use_webpush": true, "broadcasts": {}});
        let mut answer = vec![hello];
        answer.append(&mut browser.kept);
        (name, answer)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    /// Answers a browser's messages until it disconnects.
    async fn attend(self: Arc<Self>, stream: TcpStream) {
        #[expect(clippy::result_large_err, reason = "tungstenite's own callback")]
        fn subprotocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
            let name = HeaderValue::from_static("push-notification");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", name);
            Ok(response)
        }
        let Ok(mut socket) = accept_hdr_async(stream, subprotocol).await else {
            return;
        };
        let (line, mut outgoing): (_, UnboundedReceiver<Value>) = unbounded_channel();
        let mut uaid = None;
        loop {
            let answer = tokio::select! {
                said = socket.next() => match said {
                    Some(Ok(Message::Text(text))) => {
                        let said = serde_json::from_str(&text).expect("the browser sends JSON");
                        self.answer(&said, &mut uaid, &line)
                    }
                    Some(Ok(_)) => continue,
                    None | Some(Err(_)) => return,
                },
                // `Null` asks this task to hang up.
                message = outgoing.recv() => message.filter(|it| !it.is_null()).map(|it| vec![it]),
            };
            let Some(answer) = answer else {
                socket.close(None).await.ok();
                return;
            };
            for message in answer {
                if socket
                    .send(Message::text(message.to_string()))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }

    fn answer(
        self: &Arc<Self>,
        said: &Value,
        uaid: &mut Option<String>,
        line: &UnboundedSender<Value>,
    ) -> Option<Vec<Value>> {
        let mut state = self.state();
        let channel = || said["channelID"].as_str().expect("a channel").to_owned();
        let answer = match said["messageType"].as_str() {
            Some("hello") => {
                let (name, answer) = state.greet(said["uaid"].as_str(), line);
                *uaid = Some(name);
                answer
            }
            Some("register") => {
                let relay = Relay {
                    shared: Arc::clone(self),
                    uaid: uaid.clone().expect("a browser says hello first"),
                    channel: channel(),
                };
                let key = said["key"].as_str().map(|key| {
                    let key = URL_SAFE
                        .decode(key)
                        .or_else(|_| URL_SAFE_NO_PAD.decode(key));
                    key.expect("the key is base64url")
                });
                let endpoint = self.registry.register(key, relay);
                vec![
                    json!({"messageType": "register", "channelID": channel(), "status": 200, "pushEndpoint": endpoint}),
                ]
            }
            Some("unregister") => {
                state.unregistered += 1;
                self.registry.unregister(&channel());
                vec![json!({"messageType": "unregister", "channelID": channel(), "status": 200})]
            }
            Some("ack" | "nack") => {
                let one = [said.clone()];
                let updates = said["updates"]
                    .as_array()
                    .map_or(&one[..], |list| &list[..]);
                let codes = updates.iter().map(|update| Acknowledged {
                    code: update["code"].as_u64().expect("a code"),
                });
                state.acknowledged.extend(codes);
                Vec::new()
            }
            // A ping is an empty object. Other messages need no answer.
            None => vec![json!({})],
            Some(_) => Vec::new(),
        };
        Some(answer)
    }
}

impl Autopush {
    /// Starts on a port of its own, for browsers of `service`.
    pub(crate) async fn start(service: &PushService) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            registry: service.registry(),
            state: Mutex::default(),
        });
        let attending = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            let mut browsers = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                browsers.spawn(Arc::clone(&attending).attend(stream));
            }
        });
        Self {
            url: format!("ws://{address}/"),
            shared,
            accepting,
        }
    }

    /// The value of `dom.push.serverURL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for `n` acknowledgements, and returns all of them.
    pub(crate) async fn acknowledged(&self, n: usize) -> Vec<Acknowledged> {
        eventually(&format!("{n} acknowledgements"), async || {
            let all = self.shared.state().acknowledged.clone();
            (all.len() >= n).then_some(all)
        })
        .await
    }

    /// Number of subscriptions that browsers have ended.
    pub(crate) fn unregistered(&self) -> usize {
        self.shared.state().unregistered
    }

    /// Forgets every browser, as after a loss of data, and hangs up: browsers reconnect as strangers.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.state();
        for (_, browser) in state.browsers.drain() {
            if let Some(line) = browser.line {
                line.send(Value::Null).ok();
            }
        }
        self.shared.registry.unregister_all();
    }
}

impl Drop for Autopush {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
