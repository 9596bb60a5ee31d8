//! Conversions to and from the types of the crate `web-push` (feature `web-push`), so that a program can replace that
//! crate one call at a time.
//!
//! | in `web_push` | in this crate |
//! |---|---|
//! | `IsahcWebPushClient`, `HyperWebPushClient` | [`CrateClient`], which is also a `WebPushClient` |
//! | `SubscriptionInfo` | [`Subscription::from_web_push`], `TryFrom`, and `From` back |
//! | `WebPushMessage` | [`to_message`], and [`from_message`] back |
//! | `VapidSignature` | [`Vapid::web_push_signature`], and [`Message::with_web_push_signature`] back |
//! | `WebPushError` | `From<&Answer>`, `From<PushError>`, and [`outcome`] back |
//! | `ContentEncoding`, `Urgency` | `From`, both ways |
//!
//! ```
//! use webpush::compat::to_message;
//! use webpush::{Message, Subscription, Vapid, VapidKey};
//! use web_push::SubscriptionInfo;
//!
//! let info = SubscriptionInfo::new(
//!     "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
//!     "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
//!     "BTBZMqHH6r4Tts7J_aSIgg",
//! );
//! let subscription = Subscription::try_from(&info)?;
//! let vapid = Vapid::new(VapidKey::generate()?, Some("mailto:push@pushcast.dev".parse()?));
//! let now = jiff::Timestamp::from_second(1_800_000_000)?;
//! let message = to_message(&subscription, &Message::text("hello"), Some(&vapid), now)?;
//! assert_eq!(message.ttl, 2_419_200);
//! assert_eq!(SubscriptionInfo::from(&subscription), info);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod message;

use http::header::AUTHORIZATION;
use jiff::Timestamp;
use web_push::{SubscriptionInfo, VapidSignature};

pub use error::outcome;
pub use message::{CrateClient, from_message, to_message};

use crate::base64url;
use crate::encrypt::ContentEncoding;
use crate::endpoint::{AllowList, Endpoint};
use crate::headers::HeaderError;
use crate::message::Message;
use crate::origin::Origin;
use crate::subscription::{Keys, Subscription, SubscriptionError};
use crate::urgency::Urgency;
use crate::vapid::{TokenError, Vapid};

impl From<ContentEncoding> for web_push::ContentEncoding {
    fn from(encoding: ContentEncoding) -> Self {
        match encoding {
            ContentEncoding::Aes128gcm => Self::Aes128Gcm,
            ContentEncoding::Aesgcm => Self::AesGcm,
        }
    }
}

impl From<web_push::ContentEncoding> for ContentEncoding {
    fn from(encoding: web_push::ContentEncoding) -> Self {
        match encoding {
            web_push::ContentEncoding::Aes128Gcm => Self::Aes128gcm,
            web_push::ContentEncoding::AesGcm => Self::Aesgcm,
        }
    }
}

impl From<Urgency> for web_push::Urgency {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::VeryLow => Self::VeryLow,
            Urgency::Low => Self::Low,
            Urgency::Normal => Self::Normal,
            Urgency::High => Self::High,
        }
    }
}

impl From<web_push::Urgency> for Urgency {
    fn from(urgency: web_push::Urgency) -> Self {
        match urgency {
            web_push::Urgency::VeryLow => Self::VeryLow,
            web_push::Urgency::Low => Self::Low,
            web_push::Urgency::Normal => Self::Normal,
            web_push::Urgency::High => Self::High,
        }
    }
}

impl Subscription {
    /// Checks a `SubscriptionInfo`, which may hold any text.
    ///
    /// # Errors
    /// [`SubscriptionError`] names the member that is wrong.
    pub fn from_web_push(
        info: &SubscriptionInfo,
        allowed: &AllowList,
    ) -> Result<Self, SubscriptionError> {
        Ok(Self {
            endpoint: Endpoint::parse(&info.endpoint, allowed)?,
            keys: Keys::from_base64(&info.keys.p256dh, &info.keys.auth)?,
        })
    }
}

impl TryFrom<&SubscriptionInfo> for Subscription {
    type Error = SubscriptionError;

    /// Checks a subscription at one of the browsers' push services.
    fn try_from(info: &SubscriptionInfo) -> Result<Self, SubscriptionError> {
        Self::from_web_push(info, &AllowList::default())
    }
}

impl From<&Subscription> for SubscriptionInfo {
    fn from(subscription: &Subscription) -> Self {
        Self::new(
            subscription.endpoint.as_str(),
            &base64url::encode(subscription.keys.p256dh()),
            &base64url::encode(subscription.keys.auth()),
        )
    }
}

impl Vapid {
    /// The signature for messages to `origin`, as `web-push` holds it. It is made once for each origin, and reused.
    ///
    /// # Errors
    /// [`TokenError`], as for [`Vapid::authorization`].
    pub fn web_push_signature(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<VapidSignature, TokenError> {
        let authorization = self.authorization(origin, now)?;
        let text = authorization.to_str().expect("a token is visible ASCII");
        let token = text.split(['=', ',']).nth(1);
        Ok(VapidSignature {
            auth_t: token.expect("it is t=.., k=..").to_owned(),
            auth_k: self.public().to_vec(),
        })
    }
}

impl Message {
    /// Adds a signature that a `VapidSignatureBuilder` made. Build the request with
    /// [`build_unsigned`](crate::build_unsigned). `web-push` drops the port from `aud`, so a signature for an endpoint
    /// with a port is refused there, as the push service would refuse it.
    ///
    /// # Errors
    /// [`HeaderError`] when the signature holds a character that no header can hold.
    pub fn with_web_push_signature(self, signature: &VapidSignature) -> Result<Self, HeaderError> {
        let key = base64url::encode(&signature.auth_k);
        let value = format!("vapid t={}, k={key}", signature.auth_t);
        self.with_header(AUTHORIZATION.as_str(), &value)
    }
}
