//! The meaning of push services' answers: one named row for each. Only 404 and 410 mean that a subscription is gone.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use webpush::PushService::{self, Apple, Fcm, Mozilla, Other, Wns};
use webpush::{Answer, Outcome};

const SERVICES: [PushService; 5] = [Fcm, Mozilla, Apple, Wns, Other];
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn read(service: PushService, status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                value.parse::<HeaderValue>().unwrap(),
            )
        })
        .collect();
    Answer::read(service, status, &headers, body.as_bytes(), now())
}

fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// One test for each row: the service, its answer, and the expected outcome.
macro_rules! rows {
    ($($name:ident: $service:expr, $status:expr, $headers:expr, $body:expr => $outcome:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(read($service, $status, &$headers, $body).outcome, $outcome);
        }
    )*};
}

mod fcm {
    use super::*;

    rows! {
        a_201_is_accepted: Fcm, 201, [("location", "https://fcm.googleapis.com/m/1")], "" => Outcome::Accepted;
        a_404_is_gone: Fcm, 404, [], "A valid push subscription endpoint should be specified in the URL" => Outcome::Gone;
        a_410_is_gone: Fcm, 410, [], "push subscription has unsubscribed or expired." => Outcome::Gone;
        a_403_for_other_credentials_is_a_mismatch: Fcm, 403, [],
            "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions." => Outcome::Mismatched;
        a_403_for_another_sender_id_is_a_mismatch: Fcm, 403, [],
            "permission denied: the key in the authorization header does not correspond to the sender ID used to subscribe this user." => Outcome::Mismatched;
        a_403_for_the_aud_claim_is_our_fault: Fcm, 403, [],
            "the aud claim in the authorization header should be the origin of the endpoint" => Outcome::OurFault;
        a_400_unauthorized_registration_is_our_fault: Fcm, 400, [],
            "<HTML><TITLE>UnauthorizedRegistration</TITLE></HTML>" => Outcome::OurFault;
        a_400_of_another_kind_is_refused: Fcm, 400, [], "Invalid TTL" => Outcome::Refused;
        a_413_is_too_large: Fcm, 413, [], "" => Outcome::TooLarge;
        a_429_is_throttled: Fcm, 429, [("retry-after", "30")], "" => Outcome::Throttled(secs(30));
        a_500_is_unavailable: Fcm, 500, [], "" => Outcome::Unavailable(None);
        a_503_is_unavailable_for_as_long_as_it_says: Fcm, 503, [("retry-after", "10")], "" => Outcome::Unavailable(secs(10));
    }
}

mod mozilla {
    use super::*;

    /// An error body as autopush writes it.
    fn body(code: u16, errno: u16, message: &str) -> String {
        format!(
            r#"{{"code":{code},"errno":{errno},"error":"Some Error","message":"{message}","more_info":"http://x"}}"#
        )
    }

    rows! {
        a_201_is_accepted: Mozilla, 201, [("ttl", "60")], "" => Outcome::Accepted;
        a_404_errno_102_is_gone: Mozilla, 404, [], &body(404, 102, "Request did not validate") => Outcome::Gone;
        a_410_errno_103_is_gone: Mozilla, 410, [], &body(410, 103, "expired") => Outcome::Gone;
        a_410_errno_105_is_gone: Mozilla, 410, [], &body(410, 105, "expired") => Outcome::Gone;
        a_410_errno_106_is_gone: Mozilla, 410, [], &body(410, 106, "Request did not validate") => Outcome::Gone;
        a_400_errno_110_is_our_fault: Mozilla, 400, [], &body(400, 110, "Invalid crypto headers") => Outcome::OurFault;
        a_400_errno_111_is_our_fault: Mozilla, 400, [], &body(400, 111, "Missing TTL header") => Outcome::OurFault;
        a_400_errno_112_is_our_fault: Mozilla, 400, [], &body(400, 112, "Invalid TTL") => Outcome::OurFault;
        a_400_errno_113_is_our_fault: Mozilla, 400, [], &body(400, 113, "Invalid topic") => Outcome::OurFault;
        a_400_errno_114_is_our_fault: Mozilla, 400, [], &body(400, 114, "Invalid") => Outcome::OurFault;
        a_400_of_another_kind_is_refused: Mozilla, 400, [], &body(400, 108, "Router type is invalid") => Outcome::Refused;
        a_401_for_another_key_is_a_mismatch: Mozilla, 401, [], &body(401, 109, "VAPID public key mismatch") => Outcome::Mismatched;
        a_401_of_another_kind_is_our_fault: Mozilla, 401, [], &body(401, 109, "Invalid Authorization header") => Outcome::OurFault;
        a_401_for_a_late_token_is_our_fault: Mozilla, 401, [], &body(401, 109, "Expiration too far") => Outcome::OurFault;
        a_413_errno_104_is_too_large: Mozilla, 413, [], &body(413, 104, "too large") => Outcome::TooLarge;
        a_502_errno_900_is_unavailable: Mozilla, 502, [], &body(502, 900, "") => Outcome::Unavailable(None);
        a_502_errno_903_is_unavailable: Mozilla, 502, [], &body(502, 903, "") => Outcome::Unavailable(None);
        a_503_errno_201_is_unavailable: Mozilla, 503, [("retry-after", "120")], &body(503, 201, "Use exponential back-off") => Outcome::Unavailable(secs(120));
        a_503_errno_202_is_unavailable: Mozilla, 503, [("retry-after", "120")], &body(503, 202, "") => Outcome::Unavailable(secs(120));
    }

    #[test]
    fn its_words_are_kept() {
        let answer = read(Mozilla, 401, &[], &body(401, 109, "Invalid\\nsignature"));
        assert_eq!((answer.status, answer.errno), (401, Some(109)));
        assert_eq!(
            answer.detail().unwrap(),
            "errno 109: Some Error: Invalid signature"
        );
    }
}

mod apple {
    use super::*;

    fn reason(reason: &str) -> String {
        format!(r#"{{"reason":"{reason}"}}"#)
    }

    rows! {
        a_201_is_accepted: Apple, 201, [("apns-id", "1")], "" => Outcome::Accepted;
        a_400_bad_ttl_is_our_fault: Apple, 400, [], &reason("BadTtl") => Outcome::OurFault;
        a_400_bad_urgency_is_our_fault: Apple, 400, [], &reason("BadUrgency") => Outcome::OurFault;
        a_400_bad_topic_is_our_fault: Apple, 400, [], &reason("BadWebPushTopic") => Outcome::OurFault;
        a_400_bad_request_is_our_fault: Apple, 400, [], &reason("BadWebPushRequest") => Outcome::OurFault;
        a_403_bad_authorization_is_our_fault: Apple, 403, [], &reason("BadAuthorizationHeader") => Outcome::OurFault;
        a_403_bad_token_is_our_fault: Apple, 403, [], &reason("BadJwtToken") => Outcome::OurFault;
        a_403_bad_public_key_is_our_fault: Apple, 403, [], &reason("BadVapidPublicKey") => Outcome::OurFault;
        a_400_for_another_key_is_a_mismatch: Apple, 400, [], &reason("VapidPkHashMismatch") => Outcome::Mismatched;
        a_403_for_another_key_is_a_mismatch: Apple, 403, [], &reason("VapidPkHashMismatch") => Outcome::Mismatched;
        a_404_bad_path_is_gone: Apple, 404, [], &reason("BadPath") => Outcome::Gone;
        a_410_is_gone: Apple, 410, [], &reason("ExpiredSubscription") => Outcome::Gone;
        a_413_is_too_large: Apple, 413, [], &reason("PayloadTooLarge") => Outcome::TooLarge;
        a_429_is_throttled: Apple, 429, [], &reason("TooManyRequests") => Outcome::Throttled(None);
        a_500_is_unavailable: Apple, 500, [], &reason("InternalServerError") => Outcome::Unavailable(None);
        a_503_is_unavailable: Apple, 503, [], &reason("ServiceUnavailable") => Outcome::Unavailable(None);
    }

    #[test]
    fn its_reason_is_kept() {
        let answer = read(Apple, 403, &[], &reason("BadJwtToken"));
        assert_eq!(answer.reason.as_deref(), Some("BadJwtToken"));
        assert_eq!(answer.detail().as_deref(), Some("BadJwtToken"));
    }
}

mod wns {
    use super::*;

    rows! {
        a_201_is_accepted: Wns, 201, [("x-wns-status", "received")], "" => Outcome::Accepted;
        a_200_is_accepted: Wns, 200, [], "" => Outcome::Accepted;
        a_200_that_was_dropped_is_throttled: Wns, 200, [("x-wns-status", "dropped")], "" => Outcome::Throttled(None);
        a_200_on_a_throttled_channel_is_throttled: Wns, 200, [("x-wns-status", "channelthrottled")], "" => Outcome::Throttled(None);
        a_406_is_throttled_for_as_long_as_it_says: Wns, 406, [("x-wns-continue-after", "86400")], "" => Outcome::Throttled(secs(86_400));
        a_406_without_a_time_is_throttled_for_an_hour: Wns, 406, [], "" => Outcome::Throttled(secs(3600));
        a_400_is_refused: Wns, 400, [("x-wns-error-description", "bad header")], "" => Outcome::Refused;
        a_401_is_our_fault: Wns, 401, [], "" => Outcome::OurFault;
        a_403_is_our_fault: Wns, 403, [], "" => Outcome::OurFault;
        a_404_is_gone: Wns, 404, [], "" => Outcome::Gone;
        a_410_is_gone: Wns, 410, [], "" => Outcome::Gone;
        a_413_is_too_large: Wns, 413, [], "" => Outcome::TooLarge;
        a_503_is_unavailable: Wns, 503, [], "" => Outcome::Unavailable(None);
    }

    #[test]
    fn its_error_description_is_kept() {
        let answer = read(Wns, 400, &[("x-wns-error-description", "bad header")], "");
        assert_eq!(answer.reason.as_deref(), Some("bad header"));
    }
}

mod any_service {
    use super::*;

    /// Tests the same row for every service.
    fn everywhere(status: u16, outcome: &Outcome) {
        for service in SERVICES {
            assert_eq!(
                &read(service, status, &[], "").outcome,
                outcome,
                "{service:?} {status}"
            );
        }
    }

    #[test]
    fn accepts_with_200_201_202_and_204() {
        [200, 201, 202, 204]
            .into_iter()
            .for_each(|status| everywhere(status, &Outcome::Accepted));
    }

    #[test]
    fn says_gone_with_404_and_410() {
        [404, 410]
            .into_iter()
            .for_each(|status| everywhere(status, &Outcome::Gone));
    }

    #[test]
    fn is_not_followed_where_it_redirects_to() {
        for status in [300, 301, 302, 303, 307, 308] {
            everywhere(status, &Outcome::Refused);
            let headers = [("location", "https://169.254.169.254/")];
            assert_eq!(read(Fcm, status, &headers, "").outcome, Outcome::Refused);
        }
    }

    #[test]
    fn blames_us_with_401_and_403() {
        [401, 403]
            .into_iter()
            .for_each(|status| everywhere(status, &Outcome::OurFault));
    }

    #[test]
    fn is_unavailable_with_every_5xx() {
        (500..600).for_each(|status| everywhere(status, &Outcome::Unavailable(None)));
    }

    #[test]
    fn but_wns_refuses_with_406() {
        for service in [Fcm, Mozilla, Apple, Other] {
            let headers = [("x-wns-continue-after", "60")];
            assert_eq!(
                read(service, 406, &headers, "").outcome,
                Outcome::Refused,
                "{service:?}"
            );
        }
    }

    #[test]
    fn but_wns_means_accepted_by_200() {
        for service in [Fcm, Mozilla, Apple, Other] {
            let headers = [("x-wns-status", "dropped")];
            assert_eq!(
                read(service, 200, &headers, "").outcome,
                Outcome::Accepted,
                "{service:?}"
            );
        }
    }

    #[test]
    fn of_the_operators_may_speak_as_autopush_or_apple_does() {
        let mismatch = r#"{"code":401,"errno":109,"message":"VAPID public key mismatch"}"#;
        assert_eq!(read(Other, 401, &[], mismatch).outcome, Outcome::Mismatched);
        let mismatch = r#"{"reason":"VapidPkHashMismatch"}"#;
        assert_eq!(read(Other, 400, &[], mismatch).outcome, Outcome::Mismatched);
        assert_eq!(
            read(Other, 400, &[], r#"{"errno":110}"#).outcome,
            Outcome::OurFault
        );
    }

    #[test]
    fn has_a_word_for_each_outcome_and_a_time_for_two() {
        let all = [
            (Outcome::Accepted, "accepted"),
            (Outcome::Gone, "gone"),
            (Outcome::Mismatched, "mismatched"),
            (Outcome::TooLarge, "too_large"),
            (Outcome::Unreachable, "unreachable"),
            (Outcome::OurFault, "our_fault"),
            (Outcome::Refused, "refused"),
        ];
        for (outcome, label) in all {
            assert_eq!((outcome.label(), outcome.retry_after()), (label, None));
        }
        let waits = [Outcome::Throttled(secs(7)), Outcome::Unavailable(secs(7))];
        assert_eq!(
            waits.each_ref().map(Outcome::label),
            ["throttled", "unavailable"]
        );
        assert_eq!(waits.each_ref().map(Outcome::retry_after), [secs(7); 2]);
    }

    #[test]
    fn shows_at_most_200_characters_in_one_line() {
        let answer = read(
            Fcm,
            400,
            &[],
            &format!(" a\r\n\tb\u{7}\u{1b}[31m{}", "\u{e9}".repeat(500)),
        );
        let message = answer.message.unwrap();
        assert!(message.starts_with("a b [31m\u{e9}"), "{message}");
        assert_eq!(message.chars().count(), 200);
    }
}

mod retry_after {
    use super::*;

    fn wait(value: &str) -> Option<Duration> {
        let waits = [429, 503].map(|status| {
            let outcome = read(Fcm, status, &[("retry-after", value)], "").outcome;
            outcome.retry_after()
        });
        assert_eq!(waits[0], waits[1], "{value}");
        waits[0]
    }

    #[test]
    fn in_seconds_is_read() {
        assert_eq!(wait("0"), secs(0));
        assert_eq!(wait("120"), secs(120));
        assert_eq!(wait(" 5 "), secs(5));
    }

    #[test]
    fn as_a_date_is_the_time_until_then() {
        assert_eq!(wait("Sun, 01 Mar 2026 12:02:00 GMT"), secs(120));
        assert_eq!(wait("Sun, 01 Mar 2026 12:00:00 GMT"), secs(0));
    }

    #[test]
    fn as_a_date_that_has_passed_is_no_wait() {
        assert_eq!(wait("Sat, 01 Mar 2025 12:00:00 GMT"), secs(0));
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:00 GMT"), secs(0));
    }

    #[test]
    fn that_is_garbage_is_as_good_as_none() {
        let garbage = [
            "",
            "soon",
            "-1",
            "1.5",
            "1e9",
            "+5",
            "0x10",
            "12 s",
            "tomorrow at 9",
            "2026-03-01T12:02:00Z",
            "Sun, 99 Mar 2026 12:02:00 GMT",
            "Sun, 01 Mar 2026 12:02:00",
        ];
        for value in garbage {
            assert_eq!(wait(value), None, "{value:?}");
        }
        let bytes = HeaderMap::from_iter([(
            http::header::RETRY_AFTER,
            HeaderValue::from_bytes(b"\xff\xfe").unwrap(),
        )]);
        assert_eq!(
            Answer::read(Fcm, 429, &bytes, b"", now()).outcome,
            Outcome::Throttled(None)
        );
    }

    #[test]
    fn is_never_more_than_a_week() {
        let huge = [
            "604801",
            "99999999",
            "18446744073709551615",
            "18446744073709551616",
            &"9".repeat(400),
            "Fri, 01 Jan 9999 00:00:00 GMT",
        ];
        for value in huge {
            assert_eq!(wait(value), Some(WEEK), "{value}");
        }
        assert_eq!(wait("604800"), Some(WEEK));
        let headers = [("x-wns-continue-after", "99999999999999999999")];
        assert_eq!(
            read(Wns, 406, &headers, "").outcome,
            Outcome::Throttled(Some(WEEK))
        );
    }
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(
        &[
            "410",
            "gone",
            "expired",
            "NotRegistered",
            "VAPID public key mismatch",
            "sender ID",
            "UnauthorizedRegistration",
            "VapidPkHashMismatch",
            "BadJwtToken",
            "BadPath",
            "Unregistered",
        ][..],
    );
    let json = (word.clone(), word, 100_u32..120).prop_map(|(reason, message, errno)| {
        format!(r#"{{"code":410,"errno":{errno},"reason":"{reason}","message":"{message}"}}"#)
            .into_bytes()
    });
    prop_oneof![json, prop::collection::vec(any::<u8>(), 0..300)]
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let names = [
        "retry-after",
        "x-wns-status",
        "x-wns-continue-after",
        "x-wns-error-description",
        "location",
    ];
    let value = prop_oneof![
        "[0-9]{0,30}".prop_map(String::into_bytes),
        Just(b"dropped".to_vec()),
        "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT".prop_map(String::into_bytes),
        prop::collection::vec(32_u8..127, 0..40),
        prop::collection::vec(128_u8.., 0..40),
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()), value), 0..4).prop_map(|headers| {
        headers
            .into_iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_bytes(&value).unwrap(),
                )
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_404_and_410_are_gone_whatever_else_is_said(
        service in prop::sample::select(&SERVICES[..]),
        status in prop_oneof![Just(404), Just(410), 200_u16..600, any::<u16>()],
        headers in any_headers(),
        body in any_body(),
    ) {
        let answer = Answer::read(service, status, &headers, &body, now());
        prop_assert_eq!(answer.outcome == Outcome::Gone, matches!(status, 404 | 410));
        prop_assert_eq!(answer.outcome == Outcome::TooLarge, status == 413);
        prop_assert!(!matches!(answer.outcome, Outcome::Accepted) || (200..300).contains(&status));
        prop_assert!(answer.outcome.retry_after().is_none_or(|wait| wait <= WEEK));
        for words in [&answer.reason, &answer.message].into_iter().flatten() {
            prop_assert!(words.chars().count() <= 200 && !words.chars().any(char::is_control));
        }
    }
}
