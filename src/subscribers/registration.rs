//! Checks a browser's subscription: JSON in, [`Registration`] out. No other file sees an endpoint that is not on the
//! allow list, a key that is not on the curve, or a user id without proof.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::audience::tag::{MAX_TAG_LEN, is_tag};
use crate::auth::UserSecret;
use crate::json::{Change, Invalid, Members};
use webpush::{
    AllowList, Endpoint, KeyId, Keyring, Keys, MAX_ENDPOINT_LEN, Subscription, base64url,
};

/// Maximum number of tags of one subscription.
pub const MAX_TAGS: usize = 50;
/// Maximum number of bytes in a user id.
pub const MAX_USER_LEN: usize = 256;

/// A subscription to store, with what the subscriber or operator says about its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The endpoint to push to, and the keys to encrypt with.
    pub subscription: Subscription,
    /// When the subscription ends, according to the browser.
    pub expires_at: Option<Timestamp>,
    /// Topics that the subscriber asked for.
    pub tags: Change<BTreeSet<String>>,
    /// The subscriber's user id.
    pub user: Change<String>,
    /// An IANA time zone.
    pub timezone: Change<String>,
    /// The VAPID key that it was made with.
    pub vapid: MadeWith,
    /// When it was first stored, if it is imported; otherwise now.
    pub created_at: Option<Timestamp>,
}

/// The VAPID key that a subscription was made with, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeWith {
    /// The page or the import named the key.
    Known(KeyId),
    /// The page did not name a key. This is the current one; it applies unless the row has one, since the row may be
    /// older than a key rotation.
    Presumed(KeyId),
    /// An import that does not name the key.
    Unknown,
}

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The user id has no valid signature.
    #[error("user is not proven by userSignature")]
    UserNotProven,
}

impl Registration {
    /// Reads the body of `POST /push/subscribe`. Ignores unknown members.
    ///
    /// # Errors
    /// [`Refusal`] names the first member that is wrong.
    pub fn from_browser(
        members: Members<'_>,
        allowed: &AllowList,
        keyring: &Keyring,
        secret: &UserSecret,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut registration = Self::read(members, allowed)?;
        if registration.expires_at.is_some_and(|end| end <= now) {
            return Err(members.invalid("expirationTime", "is in the past").into());
        }
        registration.vapid = application_server_key(members, keyring)?;
        if let Change::Set(user) = &registration.user {
            let signature = members.optional_string("userSignature")?;
            if !signature.is_some_and(|signature| secret.proves(user, signature)) {
                return Err(Refusal::UserNotProven);
            }
        }
        Ok(registration)
    }

    /// Reads a line of `pushcast subscriptions export`, or any `PushSubscription.toJSON()`. The operator is trusted: a
    /// user id needs no proof.
    ///
    /// # Errors
    /// [`Invalid`] names the first member that is wrong.
    pub fn from_operator(members: Members<'_>, allowed: &AllowList) -> Result<Self, Invalid> {
        let mut registration = Self::read(members, allowed)?;
        if let Some(id) = members.optional_string("vapid")? {
            registration.vapid = MadeWith::Known(KeyId::from(id.to_owned()));
        }
        registration.created_at = timestamp(members, "createdAt")?;
        Ok(registration)
    }

    fn read(members: Members<'_>, allowed: &AllowList) -> Result<Self, Invalid> {
        let endpoint = Endpoint::parse(members.string("endpoint")?, allowed)
            .map_err(|error| members.invalid("endpoint", error))?;
        let keys = members.object("keys", "keys.")?;
        let keys =
            Keys::from_base64(keys.string("p256dh")?, keys.string("auth")?).map_err(|error| {
                let field = error.field();
                let reason = error.to_string();
                let reason = reason.strip_prefix(field).unwrap_or(&reason);
                Invalid::new(field, reason.trim_start())
            })?;
        Ok(Self {
            subscription: Subscription { endpoint, keys },
            expires_at: timestamp(members, "expirationTime")?,
            tags: tags(members)?,
            user: members
                .string_change("user")?
                .check(|user| check_user(members, user))?,
            timezone: members
                .string_change("timezone")?
                .check(|zone| check_zone(members, zone))?,
            vapid: MadeWith::Unknown,
            created_at: None,
        })
    }
}

/// Milliseconds since 1970. JavaScript may write them with a fraction.
fn timestamp(members: Members<'_>, name: &str) -> Result<Option<Timestamp>, Invalid> {
    let wrong = || members.invalid(name, "must be a number of milliseconds since 1970, or null");
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let ms = value.as_f64().filter(|ms| *ms >= 0.0).ok_or_else(wrong)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "out of range saturates, and is then refused"
    )]
    Timestamp::from_millisecond(ms as i64)
        .map(Some)
        .map_err(|_| wrong())
}

fn tags(members: Members<'_>) -> Result<Change<BTreeSet<String>>, Invalid> {
    let list = members.change("tags", Value::as_array, "must be a list of strings or null")?;
    list.check(|list| {
        if list.len() > MAX_TAGS {
            let reason = format!("holds {} tags, at most {MAX_TAGS} are allowed", list.len());
            return Err(members.invalid("tags", reason));
        }
        let tag = |(i, tag): (usize, &Value)| match tag.as_str() {
            Some(tag) if is_tag(tag) => Ok(tag.to_owned()),
            _ => Err(members.invalid(
                &format!("tags[{i}]"),
                format!("must be 1 to {MAX_TAG_LEN} characters of A-Z, a-z, 0-9, _ . : and -"),
            )),
        };
        list.iter().enumerate().map(tag).collect()
    })
}

fn check_user(members: Members<'_>, user: &str) -> Result<String, Invalid> {
    if (1..=MAX_USER_LEN).contains(&user.len()) {
        return Ok(user.to_owned());
    }
    Err(members.invalid("user", format!("must be 1 to {MAX_USER_LEN} bytes")))
}

fn check_zone(members: Members<'_>, zone: &str) -> Result<String, Invalid> {
    TimeZone::get(zone)
        .map(|zone| zone.iana_name().unwrap_or("UTC").to_owned())
        .map_err(|_| members.invalid("timezone", "must be an IANA time zone such as Europe/Paris"))
}

/// The key that the page subscribed with. It must be in the keyring. If the page names none, the current key is
/// presumed.
fn application_server_key(members: Members<'_>, keyring: &Keyring) -> Result<MadeWith, Invalid> {
    let Some(text) = members.optional_string("applicationServerKey")? else {
        return Ok(MadeWith::Presumed(keyring.current().id().clone()));
    };
    let wrong = |reason: &str| members.invalid("applicationServerKey", reason);
    let public = base64url::decode(text).map_err(|error| wrong(&error.to_string()))?;
    let not_ours = "is not a key of this server: subscribe with the one that GET /push/key gives";
    let vapid = keyring.find(&public).ok_or_else(|| wrong(not_ours))?;
    Ok(MadeWith::Known(vapid.id().clone()))
}

/// Reads an endpoint to look up, not to push to. Only its length is checked, because a stored row can be older than
/// today's rules. A DynamoDB partition key holds 2048 bytes, so no row has a longer one.
///
/// # Errors
/// When it is empty or longer than an endpoint may be.
pub fn endpoint_text<'a>(members: Members<'a>, name: &str) -> Result<Option<&'a str>, Invalid> {
    let text = members.optional_string(name)?;
    if text.is_some_and(|text| !(1..=MAX_ENDPOINT_LEN).contains(&text.len())) {
        return Err(members.invalid(name, format!("must be 1 to {MAX_ENDPOINT_LEN} bytes")));
    }
    Ok(text)
}
