//! Our push service, over real TLS and real HTTP, on a port of this machine. It makes the checks of real push services
//! ([`checks`]), decrypts every message as the browser does, and misbehaves on request.

/// The WebSocket on which Firefox subscribes and receives messages.
pub(crate) mod autopush;
/// A push service's behaviour towards a good request that it does not serve normally.
pub(crate) mod behaviour;
/// The checks of a push service.
pub(crate) mod checks;
mod connection;
/// Port, certificate and protocols.
pub(crate) mod listener;
/// A client that sends any request, right or wrong.
pub(crate) mod raw_client;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use self::autopush::Relay;
use self::behaviour::{Behaviour, Body, Canned, Whom};
use self::checks::{Accepted, Judge, MAX_BODY, Reader, Refusal, Registered};
use self::connection::Line;
use self::listener::{Builder, Listener};
use super::subscribers::browser::Browser;

const PATH: &str = "/wpush/v2/";

/// A message that was delivered and decrypted.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The subscription: [`Browser::id`].
    pub(crate) id: String,
    /// The decrypted payload. Empty for a push without payload, and for a real browser, which alone can decrypt.
    pub(crate) text: Vec<u8>,
    pub(crate) ttl: u64,
    pub(crate) urgency: Option<String>,
    pub(crate) topic: Option<String>,
    /// All of the request's headers.
    pub(crate) headers: HeaderMap,
    pub(crate) http_version: Version,
    /// `vapid t=.., k=..`.
    pub(crate) authorization: String,
    /// Number of the TCP connection, from 0.
    pub(crate) connection: usize,
    /// The time when the service had read the request.
    pub(crate) at: Instant,
}

impl Delivery {
    /// The payload as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.text).expect("the payload is JSON")
    }
}

/// A request as it arrived, good or bad.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request that failed a check.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// The request's path.
    pub(crate) path: String,
    /// The answer.
    pub(crate) why: Refusal,
}

/// Runs until dropped.
pub(crate) struct PushService {
    inner: Arc<Inner>,
    ca_file: NamedTempFile,
    accepting: JoinHandle<()>,
}

struct Inner {
    judge: Judge,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    subscriptions: HashMap<String, Registered>,
    behaviours: Vec<Standing>,
    plan: Option<Plan>,
    visits: HashMap<String, usize>,
    resets: Vec<(usize, Instant)>,
    asked: usize,
    deliveries: Vec<Delivery>,
    refused: Vec<Refused>,
    recording: Option<Vec<Received>>,
    lines: HashMap<usize, Arc<Line>>,
    connections: usize,
    requests: usize,
    in_flight: usize,
    peak_in_flight: usize,
    date: Option<HeaderValue>,
}

/// Decides the fate of the `n`th good request to a subscription, counted from 0.
type Plan = Box<dyn Fn(&str, usize) -> Option<Behaviour> + Send>;

/// A behaviour that is in effect.
struct Standing {
    serial: usize,
    whom: Whom,
    behaviour: Behaviour,
    left: usize,
}

/// Dropping this task ends its connections.
async fn accept(inner: Arc<Inner>, listener: Listener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.socket.accept().await else {
            continue;
        };
        // On failure the connection is only slower.
        stream.set_nodelay(true).ok();
        let line = inner.change(|state| {
            let line = Arc::new(Line::new(state.connections));
            state.connections += 1;
            state.lines.insert(line.number, Arc::clone(&line));
            line
        });
        let (inner, tls, http) = (
            Arc::clone(&inner),
            listener.tls.clone(),
            listener.http.clone(),
        );
        connections.spawn(async move {
            let answer = |request| dated(Arc::clone(&inner), Arc::clone(&line), request);
            connection::serve(stream, Arc::clone(&line), tls, http, answer).await;
            inner.change(|state| state.lines.remove(&line.number));
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Adds the configured `Date`. Without one, HTTP adds the current time.
async fn dated(inner: Arc<Inner>, line: Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    let mut response = answer(Arc::clone(&inner), line, request).await;
    let date = inner.state().date.clone();
    response.headers_mut().extend(date.map(|date| (DATE, date)));
    response
}

/// Checks one request, then serves it or does what the test asked for.
async fn answer(inner: Arc<Inner>, line: Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    let _in_flight = InFlight::enter(&inner);
    let (request, body) = request.into_parts();
    let id = request.uri.path().strip_prefix(PATH).unwrap_or_default();
    // One octet over the limit is enough to know that the body is too long.
    let body = match Limited::new(body, MAX_BODY + 1).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => vec![0; MAX_BODY + 1].into(),
        // The client went away in the middle: the request itself has no fault.
        Err(_) => return Canned::status(400).response(),
    };
    if let Some(recording) = &mut inner.state().recording {
        recording.push(Received {
            method: request.method.clone(),
            path: request.uri.path().to_owned(),
            headers: request.headers.clone(),
            body: body.clone(),
        });
    }
    let subscription = inner.state().subscriptions.get(id).cloned();
    let accepted = match inner.judge.judge(&request, &body, subscription.as_ref()) {
        Ok(accepted) => accepted,
        Err(why) => return inner.refuse(request.uri.path(), why),
    };
    let relay = subscription.as_ref().and_then(Registered::relay);
    let serve = |accepted: Accepted| {
        if let Some(relay) = relay {
            relay.deliver(&request.headers, accepted.ttl, &body);
        }
        let authorization = request.headers["authorization"].to_str();
        inner.deliver(Delivery {
            id: id.to_owned(),
            text: accepted.text,
            ttl: accepted.ttl,
            urgency: accepted.urgency,
            topic: accepted.topic,
            authorization: authorization.expect("it was judged").to_owned(),
            headers: request.headers.clone(),
            http_version: request.version,
            connection: line.number,
            at: Instant::now(),
        })
    };
    let behaviour = inner.change(|state| state.behaviour_towards(id));
    behave(&inner, &line, behaviour, || serve(accepted)).await
}

/// Serves a good request, or does what the test asked for.
async fn behave(
    inner: &Inner,
    line: &Line,
    behaviour: Option<Behaviour>,
    serve: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    match behaviour {
        None => serve(),
        Some(Behaviour::Answer(canned)) => canned.response(),
        Some(Behaviour::Hang) => std::future::pending().await,
        Some(Behaviour::Reset) => {
            inner.change(|state| state.resets.push((line.number, Instant::now())));
            line.reset();
            std::future::pending().await
        }
        Some(Behaviour::LoseAnswer) => {
            serve();
            line.reset();
            std::future::pending().await
        }
        Some(Behaviour::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            serve()
        }
        Some(Behaviour::Late(delay, canned)) => {
            tokio::time::sleep(delay).await;
            canned.response()
        }
        Some(Behaviour::Drip(status)) => {
            if status.is_success() {
                serve();
            }
            behaviour::drip(status)
        }
        Some(Behaviour::Huge(status)) => {
            if status.is_success() {
                serve();
            }
            behaviour::huge(status)
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it is held")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_waiters();
        result
    }

    fn deliver(&self, delivery: Delivery) -> Response<Body> {
        let ttl = delivery.ttl.to_string();
        let number = self.change(|state| {
            state.deliveries.push(delivery);
            state.deliveries.len()
        });
        Canned::status(201)
            .header("location", &format!("{}/m/{number}", self.judge.origin()))
            .header("ttl", &ttl)
            .response()
    }

    fn refuse(&self, path: &str, why: Refusal) -> Response<Body> {
        let answer = Canned::autopush(why.status, why.errno, &why.message).response();
        let path = path.to_owned();
        self.change(|state| state.refused.push(Refused { path, why }));
        answer
    }

    /// Waits until the state is `ready`.
    async fn until(&self, ready: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if ready(&self.state()) {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    /// The first behaviour for this subscription, else for everyone. Counts one use.
    fn behaviour_towards(&mut self, id: &str) -> Option<Behaviour> {
        if let Some(plan) = &self.plan {
            let visits = self.visits.entry(id.to_owned()).or_default();
            *visits += 1;
            return plan(id, *visits - 1);
        }
        let of = |whom: &Whom| self.behaviours.iter().position(|it| it.whom == *whom);
        let own = of(&Whom::Subscription(id.to_owned()));
        let at = own.or_else(|| of(&Whom::Everyone))?;
        self.behaviours[at].left -= 1;
        let behaviour = self.behaviours[at].behaviour.clone();
        self.behaviours.retain(|it| it.left > 0);
        Some(behaviour)
    }
}

/// Counts a request as in flight until its answer begins or its client or connection is gone.
struct InFlight(Arc<Inner>);

impl InFlight {
    fn enter(inner: &Arc<Inner>) -> Self {
        inner.change(|state| {
            state.requests += 1;
            state.in_flight += 1;
            state.peak_in_flight = state.peak_in_flight.max(state.in_flight);
        });
        Self(Arc::clone(inner))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.change(|state| state.in_flight -= 1);
    }
}

/// The push service's entry for real browsers.
pub(crate) struct Registry(Arc<Inner>);

impl Registry {
    /// Makes a subscription for a real browser. Returns its endpoint.
    pub(crate) fn register(&self, application_server_key: Option<Vec<u8>>, relay: Relay) -> String {
        self.0.change(|state| {
            let id = format!("gAAAAAB-subscription-{}", state.subscriptions.len());
            let endpoint = format!("{}{PATH}{id}", self.0.judge.origin());
            let registered = Registered {
                reader: Reader::Real(relay),
                application_server_key,
                unsubscribed: false,
            };
            state.subscriptions.insert(id, registered);
            endpoint
        })
    }

    /// The browser unsubscribes: the service answers 410 from now on.
    pub(crate) fn unregister(&self, channel: &str) {
        self.end(|relay| relay.is_of(channel));
    }

    /// Every real browser unsubscribes.
    pub(crate) fn unregister_all(&self) {
        self.end(|_| true);
    }

    fn end(&self, whom: impl Fn(&Relay) -> bool) {
        self.0.change(|state| {
            for registered in state.subscriptions.values_mut() {
                registered.unsubscribed |= registered.relay().is_some_and(&whom);
            }
        });
    }
}

/// A behaviour that a test just asked for. It lasts until [`times`](Self::times) limits it or the service behaves
/// normally.
pub(crate) struct Asked<'a> {
    inner: &'a Inner,
    serial: usize,
}

impl Asked<'_> {
    /// Applies only to the next `n` matching requests. Then comes the next behaviour, or normal service.
    pub(crate) fn times(self, n: usize) {
        self.inner.change(|state| {
            let mut standing = state.behaviours.iter_mut();
            if let Some(mine) = standing.find(|it| it.serial == self.serial) {
                mine.left = n;
            }
            state.behaviours.retain(|it| it.left > 0);
        });
    }
}

impl PushService {
    /// HTTP/2 and HTTP/1.1 over TLS.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// Settings, which start as those of [`start`](Self::start).
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// Serves the connections of `listener`.
    pub(super) fn open(judge: Judge, listener: Listener, ca_file: NamedTempFile) -> Self {
        let inner = Arc::new(Inner {
            judge,
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let accepting = tokio::spawn(accept(Arc::clone(&inner), listener));
        Self {
            inner,
            ca_file,
            accepting,
        }
    }

    /// `https://localhost:<port>`.
    pub(crate) fn origin(&self) -> String {
        self.inner.judge.origin().to_owned()
    }

    /// PEM file with the certificate authority, for `PUSHCAST_CA_FILE`.
    pub(crate) fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// The entry for real browsers.
    pub(super) fn registry(&self) -> Registry {
        Registry(Arc::clone(&self.inner))
    }

    /// A new subscriber. With a key, the service takes only messages signed by that key.
    pub(crate) fn subscribe(&self, application_server_key: Option<&[u8]>) -> Browser {
        self.inner.change(|state| {
            let id = format!("gAAAAAB-subscription-{}", state.subscriptions.len());
            let endpoint = format!("{}{PATH}{id}", self.inner.judge.origin());
            let browser = Browser::new(id.clone(), endpoint);
            let registered = Registered {
                reader: Reader::Ours(browser.clone()),
                application_server_key: application_server_key.map(<[u8]>::to_vec),
                unsubscribed: false,
            };
            state.subscriptions.insert(id, registered);
            browser
        })
    }

    /// The browser subscribes again: it keeps the endpoint and replaces the keys.
    pub(crate) fn rekey(&self, browser: &Browser) -> Browser {
        let again = Browser::new(browser.id().to_owned(), browser.endpoint().to_owned());
        self.inner.change(|state| {
            let known = state.subscriptions.get_mut(browser.id());
            known.expect("it subscribed here").reader = Reader::Ours(again.clone());
        });
        again
    }

    /// Sends this `Date` in every answer from now on.
    pub(crate) fn set_date(&self, date: &str) {
        let date = HeaderValue::from_str(date).expect("a header's value");
        self.inner.change(|state| state.date = Some(date));
    }

    /// The subscriber unsubscribes: the service answers 410 from now on.
    pub(crate) fn forget(&self, browser: &Browser) {
        self.inner.change(|state| {
            let known = state.subscriptions.get_mut(browser.id());
            known.expect("it subscribed here").unsubscribed = true;
        });
    }

    /// All deliveries, in order.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.inner.state().deliveries.clone()
    }

    /// Deliveries to one subscriber, in order.
    pub(crate) fn deliveries_to(&self, browser: &Browser) -> Vec<Delivery> {
        let mut deliveries = self.deliveries();
        deliveries.retain(|delivery| delivery.id == browser.id());
        deliveries
    }

    /// Waits for the `n`th delivery. Returns all deliveries so far.
    ///
    /// # Panics
    /// If `limit` passes first.
    pub(crate) async fn wait_for(&self, n: usize, limit: Duration) -> Vec<Delivery> {
        let wanted = format!("{n} deliveries");
        self.wait_until(&wanted, limit, |state| state.deliveries.len() >= n)
            .await;
        self.deliveries()
    }

    /// Waits until `n` requests have come in, good or bad.
    ///
    /// # Panics
    /// If `limit` passes first.
    pub(crate) async fn wait_for_requests(&self, n: usize, limit: Duration) {
        let wanted = format!("{n} requests");
        self.wait_until(&wanted, limit, |state| state.requests >= n)
            .await;
    }

    /// Waits until no request is in flight.
    ///
    /// # Panics
    /// If `limit` passes first.
    pub(crate) async fn wait_until_idle(&self, limit: Duration) {
        self.wait_until("no request in flight", limit, |state| state.in_flight == 0)
            .await;
    }

    async fn wait_until(&self, wanted: &str, limit: Duration, ready: impl Fn(&State) -> bool) {
        let in_time = tokio::time::timeout(limit, self.inner.until(ready)).await;
        assert!(in_time.is_ok(), "waited {limit:?} for {wanted}: {self:?}");
    }

    /// TCP connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.inner.state().connections
    }

    /// TCP connections open now.
    pub(crate) fn open_connections(&self) -> usize {
        self.inner.state().lines.len()
    }

    /// Requests received so far, good or bad.
    pub(crate) fn requests(&self) -> usize {
        self.inner.state().requests
    }

    /// The largest number of requests that were in flight at once.
    pub(crate) fn peak_in_flight(&self) -> usize {
        self.inner.state().peak_in_flight
    }

    /// Records every request from now on.
    pub(crate) fn record(&self) {
        self.inner
            .change(|state| state.recording = Some(Vec::new()));
    }

    /// The requests recorded since the last call.
    pub(crate) fn take_recorded(&self) -> Vec<Received> {
        let recording = &mut self.inner.state().recording;
        std::mem::take(recording.as_mut().expect("it records"))
    }

    /// The requests that failed a check, and the reasons.
    pub(crate) fn refused(&self) -> Vec<Refused> {
        self.inner.state().refused.clone()
    }

    /// Applies `behaviour` to the good requests to `whom`, after the behaviours that were asked for earlier.
    pub(crate) fn behave(&self, whom: impl Into<Whom>, behaviour: Behaviour) -> Asked<'_> {
        let serial = self.inner.change(|state| {
            state.asked += 1;
            state.behaviours.push(Standing {
                serial: state.asked,
                whom: whom.into(),
                behaviour,
                left: usize::MAX,
            });
            state.asked
        });
        Asked {
            inner: &self.inner,
            serial,
        }
    }

    /// Lets `plan` decide the fate of the `n`th good request to each subscription, counted from 0. It comes before all
    /// other behaviours.
    pub(crate) fn plan(&self, plan: impl Fn(&str, usize) -> Option<Behaviour> + Send + 'static) {
        self.inner.change(|state| state.plan = Some(Box::new(plan)));
    }

    /// Numbers and times of the connections that [`Behaviour::Reset`] has reset.
    pub(crate) fn resets(&self) -> Vec<(usize, Instant)> {
        self.inner.state().resets.clone()
    }

    /// Ends every behaviour.
    pub(crate) fn behave_normally(&self) {
        self.inner.change(|state| state.behaviours.clear());
    }

    /// Answers `canned` and delivers nothing.
    pub(crate) fn answer(&self, whom: impl Into<Whom>, canned: Canned) -> Asked<'_> {
        self.behave(whom, Behaviour::Answer(canned))
    }

    /// Never answers.
    pub(crate) fn hang(&self, whom: impl Into<Whom>) -> Asked<'_> {
        self.behave(whom, Behaviour::Hang)
    }

    /// Resets the TCP connection and delivers nothing. In HTTP/2 this ends every request on the connection.
    pub(crate) fn reset(&self, whom: impl Into<Whom>) -> Asked<'_> {
        self.behave(whom, Behaviour::Reset)
    }

    /// Delivers, then resets the TCP connection: the sender cannot know that the message was delivered.
    pub(crate) fn lose_answer(&self, whom: impl Into<Whom>) -> Asked<'_> {
        self.behave(whom, Behaviour::LoseAnswer)
    }

    /// Serves after `delay`.
    pub(crate) fn slow(&self, whom: impl Into<Whom>, delay: Duration) -> Asked<'_> {
        self.behave(whom, Behaviour::Slow(delay))
    }

    /// Answers `canned` after `delay`, and delivers nothing.
    pub(crate) fn answer_late(
        &self,
        whom: impl Into<Whom>,
        delay: Duration,
        canned: Canned,
    ) -> Asked<'_> {
        self.behave(whom, Behaviour::Late(delay, canned))
    }

    /// Answers the headers, then one octet of body per second without end. Delivers if `status` is a success.
    pub(crate) fn drip(&self, whom: impl Into<Whom>, status: StatusCode) -> Asked<'_> {
        self.behave(whom, Behaviour::Drip(status))
    }

    /// Answers with a body of 10 MB. Delivers if `status` is a success.
    pub(crate) fn huge(&self, whom: impl Into<Whom>, status: StatusCode) -> Asked<'_> {
        self.behave(whom, Behaviour::Huge(status))
    }

    /// Answers 307 with this `location`, which a sender must not follow.
    pub(crate) fn redirect(&self, whom: impl Into<Whom>, location: &str) -> Asked<'_> {
        self.answer(whom, Canned::status(307).header("location", location))
    }

    /// Asks the clients of all open connections to leave (GOAWAY in HTTP/2). Returns when the connections have ended,
    /// after their requests in flight were answered.
    pub(crate) async fn go_away(&self) {
        let lines: Vec<_> = self.inner.state().lines.values().cloned().collect();
        for line in &lines {
            line.go_away();
        }
        let gone = |state: &State| lines.iter().all(|it| !state.lines.contains_key(&it.number));
        self.inner.until(gone).await;
    }

    /// Resets all open connections, with the requests in flight on them.
    pub(crate) fn reset_connections(&self) {
        for line in self.inner.state().lines.values() {
            line.reset();
        }
    }
}

impl Drop for PushService {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for PushService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        f.debug_struct("PushService")
            .field("connections", &state.connections)
            .field("requests", &state.requests)
            .field("in_flight", &state.in_flight)
            .field("deliveries", &state.deliveries.len())
            .field("refused", &state.refused)
            .finish()
    }
}
