//! The checks of a push service, with the error codes of Mozilla's autopush. They follow the RFCs and use crates that
//! pushcast does not use: a mistake goes unnoticed only if both sides make the same one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, Method};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;

use crate::support::push_service::autopush::Relay;
use crate::support::subscribers::browser::Browser;

/// The most octets of body that a push service must take (RFC 8030, section 7.2).
pub(crate) const MAX_BODY: usize = 4096;
const DAY: i64 = 24 * 60 * 60;
/// Salt, record size, length of the key id, and a public key as key id (RFC 8188, section 2.1).
const AES128GCM_HEADER: usize = 16 + 4 + 1 + 65;
const TAG: usize = 16;
/// Firefox refuses an `rs` of 2^31 or more. No sender needs much more than one message can hold.
const MAX_RECORD_SIZE: u32 = 1 << 16;

/// The reason of a refusal, in autopush's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The answer's HTTP status.
    pub(crate) status: u16,
    /// autopush's error number.
    pub(crate) errno: u16,
    /// An explanation for people.
    pub(crate) message: String,
}

impl Refusal {
    fn new(status: u16, errno: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            errno,
            message: message.into(),
        }
    }
}

fn bad_header(message: impl Into<String>) -> Refusal {
    Refusal::new(400, 110, message)
}

fn bad_token(message: impl Into<String>) -> Refusal {
    Refusal::new(401, 109, message)
}

/// A subscription as the push service stores it.
#[derive(Clone)]
pub(crate) struct Registered {
    /// The reader of its messages.
    pub(crate) reader: Reader,
    /// Only this key may sign messages to the subscription. `None` allows any key.
    pub(crate) application_server_key: Option<Vec<u8>>,
    /// True once the browser has unsubscribed: the service answers 410.
    pub(crate) unsubscribed: bool,
}

/// The reader of a subscription's messages.
#[derive(Clone)]
pub(crate) enum Reader {
    /// The service decrypts for the browser. A real push service has no private key.
    Ours(Browser),
    /// A real browser decrypts, and acknowledges whether it could.
    Real(Relay),
}

impl Registered {
    /// The way to a real browser.
    pub(crate) fn relay(&self) -> Option<&Relay> {
        match &self.reader {
            Reader::Ours(_) => None,
            Reader::Real(relay) => Some(relay),
        }
    }
}

/// The content of a request that passed every check.
pub(crate) struct Accepted {
    pub(crate) text: Vec<u8>,
    pub(crate) ttl: u64,
    pub(crate) urgency: Option<String>,
    pub(crate) topic: Option<String>,
}

/// The current time in Unix seconds.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a push service is another machine: it goes by its own clock"
)]
pub(crate) fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        i64::try_from(since.expect("it is after 1970").as_secs()).expect("and before the sun ends")
    })
}

/// Checks the requests to one push service.
pub(crate) struct Judge {
    origin: String,
    /// True if the service takes the headers of the Windows Notification Service.
    wns: bool,
    clock: Clock,
    /// Signatures that were verified once. They stay valid, and verifying is the slow part.
    proven: Mutex<HashSet<String>>,
}

impl Judge {
    /// For the service at `origin`.
    pub(crate) fn new(origin: String, wns: bool, clock: Clock) -> Self {
        Self {
            origin,
            wns,
            clock,
            proven: Mutex::default(),
        }
    }

    /// Scheme, host and port of the service.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Checks a whole request. The first fault is the refusal.
    pub(crate) fn judge(
        &self,
        request: &Parts,
        body: &[u8],
        subscription: Option<&Registered>,
    ) -> Result<Accepted, Refusal> {
        if request.method != Method::POST {
            return Err(Refusal::new(405, 0, "Method not allowed"));
        }
        let subscription = match subscription {
            None => return Err(Refusal::new(404, 102, "Request did not validate")),
            Some(gone) if gone.unsubscribed => {
                return Err(Refusal::new(410, 106, "Subscription has been unsubscribed"));
            }
            Some(subscription) => subscription,
        };
        let headers = &request.headers;
        let mut names = headers.keys();
        if let Some(name) = names.find(|name| name.as_str().starts_with("x-wns-"))
            && !self.wns
        {
            return Err(bad_header(format!("{name} is for WNS")));
        }
        let ttl = ttl(headers)?;
        let topic = topic(headers)?;
        let urgency = urgency(headers)?;
        self.check_authorization(headers, subscription.application_server_key.as_deref())?;
        Ok(Accepted {
            text: read_message(headers, body, &subscription.reader)?,
            ttl,
            urgency,
            topic,
        })
    }

    /// Checks the `Authorization` header (RFC 8292).
    fn check_authorization(
        &self,
        headers: &HeaderMap,
        registered: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        let value = single(headers, "authorization")
            .map_err(bad_token)?
            .ok_or_else(|| bad_token("Missing VAPID authorization"))?;
        let parameters = value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("vapid"))
            .map(|(_, parameters)| parameters)
            .ok_or_else(|| bad_token("Authorization is not of the scheme vapid"))?;
        let find = |name| {
            parameter(parameters, ",", name)
                .ok_or_else(|| bad_token(format!("Authorization lacks {name}=")))
        };
        let (token, key) = (find("t")?, find("k")?);
        let key = URL_SAFE_NO_PAD
            .decode(key)
            .map_err(|_| bad_token("k is not unpadded base64url"))?;

        self.check_signature(token, &key)?;
        self.check_claims(token)?;
        match registered {
            Some(registered) if registered != key => Err(bad_token("VAPID public key mismatch")),
            _ => Ok(()),
        }
    }

    fn check_signature(&self, token: &str, key: &[u8]) -> Result<(), Refusal> {
        let proof = format!("{token} {}", URL_SAFE_NO_PAD.encode(key));
        if self.proven.lock().expect("no panic").contains(&proof) {
            return Ok(());
        }
        if key.len() != 65 {
            return Err(bad_token("k is not an uncompressed P-256 point"));
        }
        let verifier = VerifyingKey::from_sec1_bytes(key)
            .map_err(|_| bad_token("k is not a point of P-256"))?;
        let (input, signature) = token
            .rsplit_once('.')
            .ok_or_else(|| bad_token("t is not a JWT"))?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .ok()
            .and_then(|raw| Signature::from_slice(&raw).ok())
            .ok_or_else(|| bad_token("the signature is not r and s, 32 octets each"))?;
        verifier
            .verify(input.as_bytes(), &signature)
            .map_err(|_| bad_token("the signature is not by k"))?;
        self.proven.lock().expect("no panic").insert(proof);
        Ok(())
    }

    fn check_claims(&self, token: &str) -> Result<(), Refusal> {
        let mut parts = token.split('.').map(|part| {
            let json = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Value>(&json).ok()
        });
        let (Some(Some(header)), Some(Some(claims))) = (parts.next(), parts.next()) else {
            return Err(bad_token("t is not a JWT"));
        };
        if header["alg"] != "ES256" {
            return Err(bad_token("alg is not ES256"));
        }
        if claims["aud"] != self.origin.as_str() {
            return Err(bad_token(format!(
                "aud is {}, and this is {}",
                claims["aud"], self.origin
            )));
        }
        let expires = claims["exp"]
            .as_i64()
            .ok_or_else(|| bad_token("exp is not an integer"))?;
        let left = expires.saturating_sub((self.clock)());
        if left <= 0 {
            return Err(bad_token("exp is past"));
        }
        if left > DAY {
            return Err(bad_token("exp is more than 24 hours ahead"));
        }
        let is_contact = |sub: &str| sub.starts_with("mailto:") || sub.starts_with("https://");
        let sub = &claims["sub"];
        if sub.is_null() || sub.as_str().is_some_and(is_contact) {
            return Ok(());
        }
        Err(bad_token("sub is neither mailto: nor https:"))
    }
}

/// The value of a header that may occur once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(format!("{name} stands more than once"));
    }
    value
        .map(|value| value.to_str().map_err(|_| format!("{name} is not ASCII")))
        .transpose()
}

/// The value of `name=value` in a list of parameters.
fn parameter<'a>(list: &'a str, separators: &str, name: &str) -> Option<&'a str> {
    list.split(|c| separators.contains(c))
        .filter_map(|part| part.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn ttl(headers: &HeaderMap) -> Result<u64, Refusal> {
    let bad = |message: String| Refusal::new(400, 111, message);
    let value = single(headers, "ttl")
        .map_err(bad)?
        .ok_or_else(|| bad("Missing TTL header".to_owned()))?;
    // `parse` alone would accept a plus sign (RFC 8030, section 5.2: 1*DIGIT).
    Some(value)
        .filter(|value| value.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| bad("TTL is not a number of seconds".to_owned()))
}

fn topic(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let bad = |message: String| Refusal::new(400, 113, message);
    let Some(topic) = single(headers, "topic").map_err(bad)? else {
        return Ok(None);
    };
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=32).contains(&topic.len()) || !topic.bytes().all(alphabet) {
        return Err(bad(
            "Topic is not 1 to 32 characters of base64url".to_owned()
        ));
    }
    Ok(Some(topic.to_owned()))
}

fn urgency(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match single(headers, "urgency").map_err(bad_header)? {
        None => Ok(None),
        Some(known @ ("very-low" | "low" | "normal" | "high")) => Ok(Some(known.to_owned())),
        Some(other) => Err(bad_header(format!("Urgency {other} is unknown"))),
    }
}

fn read_message(headers: &HeaderMap, body: &[u8], reader: &Reader) -> Result<Vec<u8>, Refusal> {
    if headers.contains_key("transfer-encoding") {
        return Err(bad_header("WNS wants a Content-Length"));
    }
    if body.len() > MAX_BODY {
        return Err(Refusal::new(413, 104, "Data payload is too large"));
    }
    let encoding = single(headers, "content-encoding").map_err(bad_header)?;
    let text = match (encoding, body) {
        (None, []) => return Ok(Vec::new()),
        (Some(_), []) => Err("Content-Encoding of nothing".to_owned()),
        (Some("aes128gcm"), body) => read_aes128gcm(headers, body, reader),
        (Some("aesgcm"), body) => read_aesgcm(headers, body, reader),
        (None | Some(_), _) => Err("Unknown Content-Encoding".to_owned()),
    }
    .map_err(bad_header)?;
    if text.is_empty() && matches!(reader, Reader::Ours(_)) {
        return Err(bad_header("an empty message was encrypted"));
    }
    Ok(text)
}

/// Decrypts `aes128gcm` (RFC 8291 and RFC 8188).
fn read_aes128gcm(headers: &HeaderMap, body: &[u8], reader: &Reader) -> Result<Vec<u8>, String> {
    for name in ["encryption", "crypto-key"] {
        if headers.contains_key(name) {
            return Err(format!("aes128gcm has no {name} header"));
        }
    }
    // Firefox and Chromium both require at least the delimiter and the tag.
    if body.len() <= AES128GCM_HEADER + TAG {
        return Err("the body is too short for aes128gcm".to_owned());
    }
    if body[20] != 65 {
        return Err("the key id is not a public key".to_owned());
    }
    let rs = u32::from_be_bytes([body[16], body[17], body[18], body[19]]);
    if !(18..=MAX_RECORD_SIZE).contains(&rs) {
        return Err(format!("rs {rs} is out of reason"));
    }
    if body.len() - AES128GCM_HEADER > rs as usize {
        return Err("there is more than one record".to_owned());
    }
    let Reader::Ours(browser) = reader else {
        return Ok(Vec::new());
    };
    browser
        .decrypt_aes128gcm(body)
        .map_err(|error| format!("the message cannot be decrypted: {error}"))
}

/// Decrypts `aesgcm` (draft-ietf-webpush-encryption-04, draft-ietf-httpbis-encryption-encoding-03).
fn read_aesgcm(headers: &HeaderMap, body: &[u8], reader: &Reader) -> Result<Vec<u8>, String> {
    let find = |header, name| {
        let value = single(headers, header)?.ok_or_else(|| format!("aesgcm lacks {header}"))?;
        let value =
            parameter(value, ";,", name).ok_or_else(|| format!("{header} lacks {name}="))?;
        URL_SAFE_NO_PAD
            .decode(value)
            .map_err(|_| format!("{name} is not base64url"))
    };
    let (salt, dh) = (find("encryption", "salt")?, find("crypto-key", "dh")?);
    if (salt.len(), dh.len()) != (16, 65) {
        return Err("salt is not 16 octets, or dh not 65".to_owned());
    }
    let rs = single(headers, "encryption")?.and_then(|value| parameter(value, ";,", "rs"));
    let rs: u32 = rs
        .map_or(Ok(4096), str::parse)
        .ok()
        .filter(|rs| (3..=MAX_RECORD_SIZE).contains(rs))
        .ok_or("rs is out of reason")?;
    // In this coding the last record is shorter than the others.
    if body.len() < 2 + TAG || body.len() >= rs as usize + TAG {
        return Err("there is not exactly one record".to_owned());
    }
    let Reader::Ours(browser) = reader else {
        return Ok(Vec::new());
    };
    browser
        .decrypt_aesgcm(&dh, &salt, rs, body)
        .map_err(|error| format!("the message cannot be decrypted: {error}"))
}
