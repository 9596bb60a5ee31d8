//! Messages, both ways, and a client that replaces those of `web-push`.

use std::pin::Pin;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use web_push::{WebPushError, WebPushMessage, WebPushPayload, request_builder};

use crate::client::Client;
use crate::clock::Clock;
use crate::endpoint::{AllowList, Endpoint, EndpointError};
use crate::message::Message;
use crate::request::{BuildError, build_request, build_unsigned};
use crate::subscription::Subscription;
use crate::vapid::Vapid;

/// Encrypts and signs a message, as the clients of `web-push` send it.
///
/// A `WebPushMessage` cannot hold everything: the signature of a message without a payload is lost, and so are the
/// sender's own headers except `Authorization`.
///
/// # Errors
/// [`BuildError`], as for [`build_request`], or without a key for [`build_unsigned`].
pub fn to_message(
    subscription: &Subscription,
    message: &Message,
    vapid: Option<&Vapid>,
    now: Timestamp,
) -> Result<WebPushMessage, BuildError> {
    let request = match vapid {
        Some(vapid) => build_request(subscription, message, vapid, now)?,
        None => build_unsigned(subscription, message)?,
    };
    let (head, body) = request.into_parts();
    let crypto_headers = ["Encryption", "Crypto-Key", "Authorization"]
        .into_iter()
        .filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name, value.to_owned()))
        });
    let payload = (!body.is_empty()).then(|| WebPushPayload {
        content: body.to_vec(),
        crypto_headers: crypto_headers.collect(),
        content_encoding: message.encoding.into(),
    });
    Ok(WebPushMessage {
        endpoint: subscription
            .endpoint
            .as_str()
            .parse()
            .expect("an Endpoint was parsed as a URI"),
        ttl: message.ttl,
        urgency: message.urgency.map(Into::into),
        topic: message.topic.as_ref().map(ToString::to_string),
        payload,
    })
}

/// Converts a message that `web-push` built to a request for [`Client::post`].
///
/// # Errors
/// [`EndpointError`] when the endpoint is not on the allow-list.
pub fn from_message(
    message: WebPushMessage,
    allowed: &AllowList,
) -> Result<(Endpoint, Request<Bytes>), EndpointError> {
    let endpoint = Endpoint::parse(&message.endpoint.to_string(), allowed)?;
    // `web-push` uses an older version of `http`, with types of its own.
    let (head, body) = request_builder::build_request::<Vec<u8>>(message).into_parts();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = endpoint.uri().clone();
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(name == AUTHORIZATION);
            request.headers_mut().append(name, value);
        }
    }
    Ok((endpoint, request))
}

/// Sends the messages of `web-push` over HTTP/2 and kept connections. It replaces that crate's own clients.
///
/// ```no_run
/// use webpush::compat::CrateClient;
/// use webpush::{AllowList, Client, Limits};
/// use web_push::{WebPushClient as _, WebPushError, WebPushMessageBuilder};
///
/// # async fn example(builder: WebPushMessageBuilder<'_>) -> Result<(), Box<dyn std::error::Error>> {
/// // Before: IsahcWebPushClient::new()?. The code that builds the message stays.
/// let client = CrateClient::new(Client::new(Limits::default(), None)?, AllowList::default());
/// match client.send(builder.build()?).await {
///     Err(WebPushError::ServerError { retry_after, .. }) => println!("wait {retry_after:?}"),
///     other => other?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CrateClient {
    client: Client,
    allowed: AllowList,
}

impl CrateClient {
    /// A client that posts through `client` to endpoints on the allow-list.
    pub fn new(client: Client, allowed: AllowList) -> Self {
        Self { client, allowed }
    }
}

impl web_push::WebPushClient for CrateClient {
    // The form into which `#[async_trait]` expands the trait's method.
    fn send<'life0, 'async_trait>(
        &'life0 self,
        message: WebPushMessage,
    ) -> Pin<Box<dyn Future<Output = Result<(), WebPushError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let (endpoint, request) =
                from_message(message, &self.allowed).map_err(|_| WebPushError::InvalidUri)?;
            let clock = Clock::system();
            let sent = self.client.post(&endpoint, request, &clock).await;
            sent.map(|_| ()).map_err(Into::into)
        })
    }
}
