//! One push in one call, for a script or an occasional message. A program that pushes often keeps a
//! [`Pusher`](crate::Pusher).

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::answer::{Answer, Outcome};
use crate::client::{Client, ExchangeError, Limits, TlsError};
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::message::Message;
use crate::request::{BuildError, build_request, build_unsigned};
use crate::subscription::Subscription;
use crate::vapid::Vapid;

/// The message was not accepted. (pywebpush raises `WebPushException`.)
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The request could not be built: the payload, a header or a claim is wrong.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The client could not be made.
    #[error(transparent)]
    Client(#[from] TlsError),
    /// The request was built for another endpoint, and its token may not be valid at this one.
    #[error("the request was built for another endpoint than {0}")]
    OtherEndpoint(Endpoint),
    /// There is no answer. This says nothing about the subscription.
    #[error(transparent)]
    NoAnswer(#[from] ExchangeError),
    /// The service answered, and did not accept the message.
    #[error("the push service refused the message: {status}{detail}", status = .0.status,
        detail = .0.detail().map_or_else(String::new, |detail| format!(", {detail}")))]
    Refused(Box<Answer>),
}

impl PushError {
    /// What the error means for the message, as for a [`Report`](crate::Report).
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Build(error) => error.outcome(),
            Self::Client(_) | Self::OtherEndpoint(_) => Outcome::OurFault,
            Self::NoAnswer(_) => Outcome::Unreachable,
            Self::Refused(answer) => answer.outcome.clone(),
        }
    }

    /// The service's answer, if there is one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Refused(answer) => Some(answer),
            Self::Build(_) | Self::Client(_) | Self::OtherEndpoint(_) | Self::NoAnswer(_) => None,
        }
    }

    /// HTTP status of the answer, if there is one.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// Time that the service asks to wait, whether it gave seconds or a date.
    pub fn retry_after(&self) -> Option<Duration> {
        self.answer().and_then(|answer| answer.retry_after)
    }
}

/// Encrypts `message`, signs it if there is a key, posts it, and reads the answer. (pywebpush calls this `webpush()`.)
///
/// The call ends within `limits`. A future that is dropped earlier breaks the exchange off; the service may have taken the
/// message by then. Each call opens a connection, while a [`Pusher`](crate::Pusher) keeps its connections.
///
/// ```
/// use std::time::Duration;
///
/// use webpush::{AllowList, Limits, Message, SenderClaims, Subscription, Vapid, VapidKey, push};
///
/// # async fn example(json: &str, allowed: AllowList) -> Result<(), Box<dyn std::error::Error>> {
/// let subscription = Subscription::from_json(json, &allowed)?;
/// let claims = SenderClaims::from_json(r#"{"sub": "mailto:push@pushcast.dev"}"#)?;
/// let vapid = Vapid::with_claims(VapidKey::generate()?, claims);
/// let limits = Limits { total: Duration::from_secs(10), ..Limits::default() };
///
/// let answer = push(&subscription, &Message::text("hello"), Some(&vapid), limits).await?;
/// assert_eq!(answer.status, 201);
///
/// // The service has had enough, and refuses the second message.
/// let error = push(&subscription, &Message::empty(), Some(&vapid), limits).await.unwrap_err();
/// assert_eq!(error.status(), Some(429));
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
/// # Ok(())
/// # }
/// #
/// # // A push service with two answers.
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #     use std::io::{Read as _, Write as _};
/// #     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// #     let origin = format!("http://{}", listener.local_addr()?);
/// #     std::thread::spawn(move || {
/// #         for answer in ["201 Created", "429 Too Many Requests\r\nRetry-After: 120"] {
/// #             let (mut stream, _) = listener.accept().unwrap();
/// #             let mut request = vec![];
/// #             while !String::from_utf8_lossy(&request).contains("\r\n\r\n") {
/// #                 let mut piece = [0; 4096];
/// #                 let read = stream.read(&mut piece).unwrap();
/// #                 request.extend_from_slice(&piece[..read]);
/// #             }
/// #             let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
/// #             stream.write_all(answer.as_bytes()).unwrap();
/// #         }
/// #     });
/// #     let json = format!(r#"{{"endpoint": "{origin}/p/1", "keys": {{
/// #         "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
/// #         "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}}}"#);
/// #     let allowed = AllowList::new([webpush::Origin::parse(&origin)?]);
/// #     tokio::runtime::Runtime::new()?.block_on(example(&json, allowed))
/// # }
/// ```
///
/// # Errors
/// [`PushError`] for anything but an accepted message.
pub async fn push(
    subscription: &Subscription,
    message: &Message,
    vapid: Option<&Vapid>,
    limits: Limits,
) -> Result<Answer, PushError> {
    let clock = Clock::system();
    let request = match vapid {
        Some(vapid) => build_request(subscription, message, vapid, clock.now())?,
        None => build_unsigned(subscription, message)?,
    };
    let client = Client::new(limits, None)?;
    client.post(&subscription.endpoint, request, &clock).await
}

impl Client {
    /// Posts a request that was built for `endpoint`, and reads the answer.
    ///
    /// # Errors
    /// [`PushError`] for anything but an accepted message.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        request: Request<Bytes>,
        clock: &Clock,
    ) -> Result<Answer, PushError> {
        if request.uri() != endpoint.uri() {
            return Err(PushError::OtherEndpoint(endpoint.clone()));
        }
        let raw = self.exchange(endpoint.origin(), request).await?;
        let (status, now) = (raw.status.as_u16(), clock.now());
        let answer = Answer::read(endpoint.service(), status, &raw.headers, &raw.body, now);
        if answer.outcome == Outcome::Accepted {
            Ok(answer)
        } else {
            Err(PushError::Refused(Box::new(answer)))
        }
    }
}
