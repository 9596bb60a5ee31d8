//! Messages, each way, and a client in the place of the crate's own.

use std::pin::Pin;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use web_push::{WebPushError, WebPushMessage, WebPushPayload, request_builder};

use crate::BuildError;
use crate::Client;
use crate::Clock;
use crate::EndpointError;
use crate::{AllowList, Endpoint, Message, Subscription, Vapid, build_request, build_unsigned};

/// A message as the crate's clients send it, encrypted and signed here.
///
/// What the crate has no place for is not in it: the signature of a message without a payload, and headers of the
/// sender's own but `Authorization`.
///
/// # Errors
/// As [`build_request`], and [`build_unsigned`] without a key.
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

/// A message that the crate built, as a request to post with [`Client::post`].
///
/// # Errors
/// When the endpoint is not one that may be posted to.
pub fn from_message(
    message: WebPushMessage,
    allowed: &AllowList,
) -> Result<(Endpoint, Request<Bytes>), EndpointError> {
    let endpoint = Endpoint::parse(&message.endpoint.to_string(), allowed)?;
    // The crate stands on an older `http`, whose types are others.
    let (head, body) = request_builder::build_request::<Vec<u8>>(message).into_parts();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = endpoint
        .as_str()
        .parse()
        .expect("an Endpoint was parsed as a URI");
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

/// Sends the crate's messages: in the place of its own clients, over HTTP/2, on connections that are kept.
///
/// ```no_run
/// use webpush::{Client, Limits};
/// use webpush::compat::CrateClient;
/// use webpush::AllowList;
/// use web_push::{WebPushClient as _, WebPushError, WebPushMessageBuilder};
///
/// # async fn example(builder: WebPushMessageBuilder<'_>) -> Result<(), Box<dyn std::error::Error>> {
/// // Before: IsahcWebPushClient::new()?. What builds the message stays.
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
    /// Posts through `client` to what is on the list.
    pub fn new(client: Client, allowed: AllowList) -> Self {
        Self { client, allowed }
    }
}

impl web_push::WebPushClient for CrateClient {
    // As the crate's `#[async_trait]` writes it.
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
