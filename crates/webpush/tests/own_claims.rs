//! The sender's own claims, in tokens that are signed once for each origin.

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use webpush::vapid::ClaimsError;
use webpush::vapid::TokenError;
use webpush::{Origin, SenderClaims, Vapid, VapidKey, base64url};

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 60 * 60;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

fn vapid(claims: &Value) -> Vapid {
    let claims = SenderClaims::from_json(&claims.to_string()).unwrap();
    Vapid::with_claims(VapidKey::generate().unwrap(), claims)
}

fn read(authorization: &HeaderValue) -> Map<String, Value> {
    let text = authorization.to_str().unwrap();
    let claims = base64url::decode(text.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn refused(claims: &Value) -> ClaimsError {
    SenderClaims::from_json(&claims.to_string()).unwrap_err()
}

#[test]
fn a_subject_is_required_and_must_be_one_that_apple_takes() {
    for claims in [
        json!({}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": 7}),
    ] {
        let error = refused(&claims);
        assert!(matches!(error, ClaimsError::NoSubject), "{claims}");
        assert!(error.to_string().contains("Apple"), "{error}");
    }
    for sub in [
        "push@pushcast.dev",
        "mailto: push@pushcast.dev",
        "mailto:<push@pushcast.dev>",
        "mailto:push@localhost",
        "mailto:push@host.local",
        "mailto:push@example.com",
        "https://localhost",
        "http://pushcast.dev",
    ] {
        let error = refused(&json!({"sub": sub}));
        assert!(matches!(error, ClaimsError::Subject(_)), "{sub}");
        let said = error.to_string();
        assert!(said.contains("Apple") && said.contains("`sub`"), "{said}");
    }
    for text in ["[]", "7", "\"mailto:push@pushcast.dev\"", "null"] {
        let error = SenderClaims::from_json(text).unwrap_err();
        assert!(matches!(error, ClaimsError::NotAnObject), "{text}");
    }
}

#[test]
fn the_audience_is_the_origin_with_its_port_and_what_was_given_is_not_changed() {
    let given = json!({"sub": "mailto:push@pushcast.dev", "z": 1, "a": {"b": [null, "c"]}});
    let before = given.clone();
    let vapid = {
        let claims = SenderClaims::from_map(given.as_object().unwrap()).unwrap();
        Vapid::with_claims(VapidKey::generate().unwrap(), claims)
    };
    for audience in [
        "https://fcm.googleapis.com",
        "https://push.example.org:8443",
    ] {
        let token = read(&vapid.authorization(&origin(audience), at(NOW)).unwrap());
        assert_eq!(token["aud"], audience);
        assert_eq!(token["exp"], NOW + 12 * HOUR);
        assert_eq!((&token["z"], &token["a"]), (&given["z"], &given["a"]));
        assert_eq!(token.len(), 5);
    }
    assert_eq!(given, before);
}

#[test]
fn a_token_for_one_origin_is_never_made_for_another() {
    let given = "https://push.example.org:8443";
    let vapid = vapid(&json!({"sub": "mailto:push@pushcast.dev", "aud": given}));
    assert!(vapid.authorization(&origin(given), at(NOW)).is_ok());
    for other in [
        "https://push.example.org",
        "http://push.example.org:8443",
        "https://fcm.googleapis.com",
    ] {
        let error = vapid.authorization(&origin(other), at(NOW)).unwrap_err();
        let TokenError::Claims(ClaimsError::OtherOrigin { .. }) = &error else {
            panic!("{error}");
        };
        assert!(error.to_string().contains(other), "{error}");
    }
    for aud in [
        json!("push.example.org"),
        json!("https://push.example.org/p"),
        json!(["a"]),
    ] {
        refused(&json!({"sub": "mailto:push@pushcast.dev", "aud": aud}));
    }
}

#[test]
fn an_expiry_is_kept_or_replaced_when_past_and_refused_beyond_a_day() {
    let signed = |exp: Value| {
        let vapid = vapid(&json!({"sub": "mailto:push@pushcast.dev", "exp": exp}));
        let token = vapid.authorization(&origin("https://fcm.googleapis.com"), at(NOW))?;
        Ok::<_, TokenError>(read(&token)["exp"].clone())
    };
    for (given, expected) in [
        (json!(NOW + HOUR), NOW + HOUR),
        (json!(NOW + 24 * HOUR), NOW + 24 * HOUR),
        (json!(NOW + 1), NOW + 1),
        // A fraction, as of Python's time.time(), and text.
        (json!(1_800_003_600.75), NOW + HOUR),
        (json!((NOW + HOUR).to_string()), NOW + HOUR),
        (json!(NOW), NOW + 12 * HOUR),
        (json!(NOW - 1), NOW + 12 * HOUR),
        (json!(-5), NOW + 12 * HOUR),
        (json!(0), NOW + 12 * HOUR),
        (json!(null), NOW + 12 * HOUR),
        (json!(""), NOW + 12 * HOUR),
    ] {
        assert_eq!(signed(given.clone()).unwrap(), expected, "{given}");
    }
    for given in [json!(NOW + 24 * HOUR + 1), json!(NOW + 30 * 24 * HOUR)] {
        let error = signed(given).unwrap_err();
        assert!(error.to_string().contains("24 hours"), "{error}");
    }
    for given in [
        json!("tomorrow"),
        json!(true),
        json!([1]),
        json!(1e300),
        json!(i64::MAX),
    ] {
        let error = refused(&json!({"sub": "mailto:push@pushcast.dev", "exp": given}));
        assert!(matches!(error, ClaimsError::ExpiryForm), "{given}");
    }
}

#[test]
fn a_token_with_claims_is_made_once_and_never_used_past_its_end() {
    let origin = origin("https://fcm.googleapis.com");
    for (given, life) in [(json!(null), 12 * HOUR), (json!(NOW + 600), 600)] {
        let vapid = vapid(&json!({"sub": "mailto:push@pushcast.dev", "exp": given}));
        let token = |second: i64| vapid.authorization(&origin, at(second)).unwrap();
        let first = token(NOW);
        assert_eq!(token(NOW + life / 3), first);
        for second in [NOW + life / 2, NOW + life - 1, NOW + life, NOW + 2 * life] {
            let exp = read(&token(second))["exp"].as_i64().unwrap();
            assert!(exp > second, "{exp} at {second}");
            assert!(exp - second <= SignedDuration::from_hours(24).as_secs());
        }
        // After the given expiry has passed, tokens last 12 hours.
        assert_ne!(token(NOW + 2 * life), first);
    }
}
