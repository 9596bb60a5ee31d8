//! Where messages may be sent. A subscriber chooses endpoint and keys, and may be an attacker.

use proptest::prelude::*;
use serde_json::json;
use webpush::{AllowList, Endpoint, Keys, Origin, PushService, Receiver, Subscription};
use webpush::{EndpointError, MAX_ENDPOINT_LEN};

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::parse(text, &AllowList::default())
}

/// The browsers' services, and origins that an operator may add for local work.
fn with_additions() -> AllowList {
    let added = [
        "http://127.0.0.1:9301",
        "http://[::1]:9301",
        "https://push.example.org:8443",
    ];
    AllowList::new(added.map(|origin| Origin::parse(origin).unwrap()))
}

mod an_endpoint {
    use super::*;

    #[test]
    fn of_each_browser_is_accepted_as_it_stands() {
        use PushService::{Apple, Fcm, Mozilla, Wns};
        let accepted = [
            ("https://fcm.googleapis.com/fcm/send/dQw4w9:APA91b-_x", Fcm),
            ("https://fcm.googleapis.com/wp/dQw4w9:APA91b-_x", Fcm),
            ("https://jmt17.google.com/fcm/send/x", Fcm),
            (
                "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk",
                Mozilla,
            ),
            ("https://a.b.push.services.mozilla.com/wpush/v1/x", Mozilla),
            ("https://web.push.apple.com/QGuQyavXutnMH", Apple),
            (
                "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAD%2b%2f%3d",
                Wns,
            ),
            ("https://db5p.notify.windows.com/?token=AwYAAA%3d%3d", Wns),
        ];
        for (text, service) in accepted {
            let endpoint = parse(text).unwrap_or_else(|error| panic!("{text} {error}"));
            assert_eq!((endpoint.as_str(), endpoint.service()), (text, service));
        }
    }

    /// Texts, and the rule that each breaks.
    const REFUSED: &[(&str, EndpointError)] = {
        use EndpointError::*;
        &[
            // Hosts that only look like one on the list.
            ("https://evil.test/x", NotAllowed),
            ("https://evilpush.apple.com/x", NotAllowed),
            ("https://push.apple.com/x", NotAllowed),
            ("https://notify.windows.com/x", NotAllowed),
            ("https://evil-notify.windows.com/x", NotAllowed),
            ("https://fcm.googleapis.com.evil.test/x", NotAllowed),
            ("https://evil.fcm.googleapis.com/x", NotAllowed),
            ("https://google.com/x", NotAllowed),
            ("https://jmt18.google.com/x", NotAllowed),
            ("https://evil.test/fcm.googleapis.com/x", NotAllowed),
            ("https://evil.test/?.push.apple.com", NotAllowed),
            ("https://fcm.googleapis.com-evil.test/x", NotAllowed),
            ("https://localhost/x", NotAllowed),
            ("https://metadata.google.internal/x", NotAllowed),
            ("https://fcm.googleapis.com./x", NotAllowed),
            ("https://web.push.apple.com./x", NotAllowed),
            ("https://.push.apple.com/x", NotAllowed),
            ("https://..push.apple.com/x", NotAllowed),
            ("https://a..push.apple.com/x", NotAllowed),
            ("https://xn--fcm-1na.googleapis.com/x", NotAllowed),
            ("https://fcm.g\u{43e}\u{43e}gleapis.com/x", NotUrl),
            // An IP address in every spelling.
            ("https://169.254.169.254/x.google.com/", IpAddress),
            ("https://127.0.0.1/x", IpAddress),
            ("https://127.1/x", IpAddress),
            ("https://2130706433/x", IpAddress),
            ("https://0x7f000001/x", IpAddress),
            ("https://0x7f.0.0.1/x", IpAddress),
            ("https://0177.0.0.1/x", IpAddress),
            ("https://0/x", IpAddress),
            ("https://[::1]/x", IpAddress),
            ("https://[::ffff:169.254.169.254]/x", IpAddress),
            ("https://[fd00:ec2::254]/x", IpAddress),
            ("https://\u{ff11}27.0.0.1/x", NotUrl),
            ("https://127.0.0.1./x", IpAddress),
            // A user name before the host.
            ("https://fcm.googleapis.com@evil.test/x", UserInfo),
            ("https://fcm.googleapis.com:x@evil.test/x", UserInfo),
            ("https://user@fcm.googleapis.com/x", UserInfo),
            ("https://user:pw@fcm.googleapis.com/x", UserInfo),
            ("https://:pw@fcm.googleapis.com/x", UserInfo),
            ("https://@fcm.googleapis.com/x", UserInfo),
            ("https://evil.test\\@fcm.googleapis.com/x", NotUrl),
            ("https://fcm.googleapis.com\\@evil.test/x", NotUrl),
            // Another port, scheme or part.
            ("https://fcm.googleapis.com:8443/x", Port),
            ("https://fcm.googleapis.com:80/x", Port),
            ("https://fcm.googleapis.com:443/x", NotUrl),
            ("https://fcm.googleapis.com:/x", NotUrl),
            ("https://fcm.googleapis.com:65536/x", NotUrl),
            ("http://fcm.googleapis.com/x", NotHttps),
            ("ftp://fcm.googleapis.com/x", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("gopher://fcm.googleapis.com/x", NotHttps),
            ("javascript:alert(1)", NotHttps),
            ("https://fcm.googleapis.com/x#y", Fragment),
            ("https://fcm.googleapis.com/x#", Fragment),
            ("https://fcm.googleapis.com", NoPath),
            ("https://fcm.googleapis.com/", NoPath),
            (
                "https://permanently-removed.invalid/fcm/send/x",
                PermanentlyRemoved,
            ),
            // Texts that a URL parser would mend, and an HTTP client might read in another way.
            ("", NotUrl),
            ("/x", NotUrl),
            ("//fcm.googleapis.com/x", NotUrl),
            ("fcm.googleapis.com/x", NotUrl),
            ("https:fcm.googleapis.com/x", NotUrl),
            ("https:/fcm.googleapis.com/x", NotUrl),
            ("https:///fcm.googleapis.com/x", NotUrl),
            ("https:\\\\fcm.googleapis.com\\x", NotUrl),
            ("https://fcm.googleapis.com\\x", NotUrl),
            ("https://fcm.googleapis.com/a\\b", NotUrl),
            ("https://fcm.\tgoogleapis.com/x", NotUrl),
            ("https://fcm.googleapis.com/a\tb", NotUrl),
            ("https://fcm.googleapis.com/a\nHost: evil.test", NotUrl),
            ("https://fcm.googleapis.com/a\r\n\r\nGET / HTTP/1.1", NotUrl),
            ("https://fcm.googleapis.com/a b", NotUrl),
            ("https://fcm.googleapis.com/a\0b", NotUrl),
            (" https://fcm.googleapis.com/x", NotUrl),
            ("https://fcm.googleapis.com/x ", NotUrl),
            ("HTTPS://fcm.googleapis.com/x", NotUrl),
            ("https://FCM.googleapis.com/x", NotUrl),
            ("https://fcm%2egoogleapis.com/x", NotUrl),
            ("https://\u{ff46}cm.googleapis.com/x", NotUrl),
            ("https://fcm\u{3002}googleapis.com/x", NotUrl),
            ("https://fcm.google\u{ad}apis.com/x", NotUrl),
            ("https://fcm.googleapis.com/a/../b", NotUrl),
            ("https://fcm.googleapis.com/a/%2E%2e/b", NotUrl),
            ("https://fcm.googleapis.com/a/.", NotUrl),
            ("https://fcm.googleapis.com/a\"b", NotUrl),
            ("https://fcm.googleapis.com/a{b}", NotUrl),
            ("https://fcm.googleapis.com/a?b'c", NotUrl),
            ("https://fcm.googleapis.com:0443/x", NotUrl),
            ("https://fcm.googleapis.com:+8443/x", NotUrl),
            ("https://[::1/x", NotUrl),
            ("https://[::1]x/x", NotUrl),
            ("https://-.push.apple.com/x", NotAllowed),
            ("https://a-.push.apple.com/x", NotAllowed),
            ("https://xn--a.push.apple.com/x", NotAllowed),
            ("https://fcm.googleapis.com/\u{e9}", NotUrl),
            ("https://fcm.googleapis.com?x", NotUrl),
            ("https://%00/x", NotUrl),
            ("https:///x", NotUrl),
        ]
    };

    #[test]
    fn anywhere_else_is_refused_by_the_rule_it_breaks() {
        for (text, rule) in REFUSED {
            assert_eq!(parse(text).map(|_| ()), Err(*rule), "{text:?}");
        }
    }

    #[test]
    fn of_2048_bytes_is_accepted_and_of_2049_is_not() {
        let of_len = |len: usize| format!("{:x<len$}", "https://fcm.googleapis.com/fcm/send/");
        assert_eq!(
            parse(&of_len(MAX_ENDPOINT_LEN)).unwrap().as_str().len(),
            2048
        );
        assert_eq!(
            parse(&of_len(2049)).map(|_| ()),
            Err(EndpointError::TooLong)
        );
    }

    #[test]
    fn at_an_addition_may_name_http_an_address_and_a_port_but_only_that_one() {
        let allowed = with_additions();
        let check = |text| Endpoint::parse(text, &allowed).map(|endpoint| endpoint.service());
        for text in [
            "http://127.0.0.1:9301/x",
            "http://[::1]:9301/x",
            "https://push.example.org:8443/p?q=1",
        ] {
            assert_eq!(check(text), Ok(PushService::Other), "{text}");
        }
        let refused = [
            ("http://127.0.0.1:9302/x", EndpointError::NotHttps),
            ("http://127.0.0.1/x", EndpointError::NotHttps),
            ("https://127.0.0.1:9301/x", EndpointError::IpAddress),
            ("http://127.1:9301/x", EndpointError::NotHttps),
            ("https://push.example.org/p", EndpointError::NotAllowed),
            ("http://push.example.org:8443/p", EndpointError::NotHttps),
            (
                "https://a.push.example.org:8443/p",
                EndpointError::NotAllowed,
            ),
            ("http://127.0.0.1:9301", EndpointError::NoPath),
            ("http://u@127.0.0.1:9301/x", EndpointError::UserInfo),
        ];
        for (text, rule) in refused {
            assert_eq!(check(text), Err(rule), "{text}");
        }
        assert_eq!(
            check("https://web.push.apple.com/x"),
            Ok(PushService::Apple)
        );
    }

    #[test]
    fn at_an_addition_that_is_a_browsers_service_is_still_that_service() {
        let known = ["https://fcm.googleapis.com", "https://web.push.apple.com"];
        let allowed = AllowList::new(known.map(|origin| Origin::parse(origin).unwrap()));
        let service = |text| Endpoint::parse(text, &allowed).unwrap().service();
        assert_eq!(service("https://fcm.googleapis.com/x"), PushService::Fcm);
        assert_eq!(service("https://web.push.apple.com/x"), PushService::Apple);
    }

    #[test]
    fn never_shows_its_path_where_it_is_logged() {
        let endpoint = parse("https://web.push.apple.com/capability?token=capability").unwrap();
        for shown in [format!("{endpoint}"), format!("{endpoint:?}")] {
            assert!(shown.starts_with("https://web.push.apple.com/~"), "{shown}");
            assert!(!shown.contains("capability"), "{shown}");
        }
        let other = parse("https://web.push.apple.com/another").unwrap();
        assert_ne!(
            endpoint.to_string(),
            other.to_string(),
            "two are told apart"
        );
    }

    /// Texts that are nearly accepted.
    fn nearly_an_endpoint() -> impl Strategy<Value = String> {
        let host = prop_oneof![
            "(fcm[.]googleapis[.]com|[a-z.\u{3002}-]{0,8}[.]push[.]apple[.]com|127[.]0[.]0[.]1|\\[::1\\])[./\\\\@:]{0,2}",
            "[ -~]{0,20}",
        ];
        (
            "(https|http|HTTPS|wss)?:?[/\\\\]{0,3}",
            "([ -~]{0,6}@)?",
            host,
            "(:[0-9]{0,5})?",
            "(/|\\\\|[?])?\\PC{0,12}",
        )
            .prop_map(|(scheme, user, host, port, path)| scheme + &user + &host + &port + &path)
    }

    /// The rules once more, on a URL parser that mends what it can: only the text that it would write is accepted.
    fn is_accepted_by_another_parser(text: &str, allowed: &AllowList) -> bool {
        let Ok(url) = url::Url::parse(text) else {
            return false;
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with(['-'])
                && !label.ends_with('-')
                && !label.starts_with("xn--")
        };
        let is_known = |host: &str| {
            AllowList::known_hosts().any(|known| match known.strip_prefix('.') {
                Some(_) => host
                    .strip_suffix(known)
                    .is_some_and(|labels| labels.split('.').all(is_label)),
                None => host == known,
            })
        };
        let origin = url.origin().ascii_serialization();
        let is_added = allowed.added().iter().any(|added| added.as_str() == origin);
        let is_browsers =
            url.scheme() == "https" && url.port().is_none() && url.domain().is_some_and(is_known);
        url.as_str() == text
            && (is_added || is_browsers)
            && text.parse::<http::Uri>().is_ok()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && (url.path() != "/" || url.query().is_some())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn that_is_accepted_means_the_same_to_every_parser(
            text in prop_oneof![
                nearly_an_endpoint(),
                "https://fcm[.]googleapis[.]com/[!-~]{1,12}",
                "https://web[.]push[.]apple[.]com/([a.%2eE/]{0,6}|[!-~]{0,3})[?]?[!-~]{0,6}",
                "https?://(127[.]0[.]0[.]1:9301|\\[::1\\]:9301|push[.]example[.]org:8443)/[!-~]{0,8}",
                "\\PC{0,40}",
            ],
        ) {
            let allowed = with_additions();
            prop_assert_eq!(
                Endpoint::parse(&text, &allowed).is_ok(),
                is_accepted_by_another_parser(&text, &allowed),
                "{}", text
            );
            if let Ok(endpoint) = Endpoint::parse(&text, &allowed) {
                prop_assert_eq!(endpoint.as_str(), &text);
                let (uri, url): (http::Uri, url::Url) = (text.parse().unwrap(), text.parse().unwrap());
                prop_assert_eq!(uri.scheme_str(), Some(url.scheme()));
                prop_assert_eq!(uri.host(), url.host_str());
                prop_assert_eq!(uri.port_u16(), url.port());
                let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
                prop_assert_eq!(uri.path_and_query().unwrap().as_str(), format!("{}{query}", url.path()));
                let host = url.host_str().unwrap();
                prop_assert!(!host.split('.').any(str::is_empty), "{}", text);
                let known = AllowList::known_hosts().any(|known| {
                    host == known || known.starts_with('.') && host.ends_with(known)
                });
                prop_assert!(known || allowed.added().contains(endpoint.origin()), "{}", text);
            }
        }
    }
}

mod a_subscription {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    const ENDPOINT: &str = "https://fcm.googleapis.com/fcm/send/x";

    /// Keys whose base64 has `-` and `_`, so that the dialects differ.
    fn keys() -> Keys {
        loop {
            let keys = Receiver::generate().unwrap().keys().clone();
            let text = URL_SAFE.encode(keys.p256dh());
            if text.contains('-') && text.contains('_') {
                return keys;
            }
        }
    }

    fn refusal(endpoint: &str, p256dh: &[u8], auth: &[u8]) -> String {
        let (p256dh, auth) = (URL_SAFE_NO_PAD.encode(p256dh), URL_SAFE_NO_PAD.encode(auth));
        let json = json!({"endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}});
        let read = Subscription::from_json(&json.to_string(), &AllowList::default());
        read.expect_err("refused").to_string()
    }

    #[test]
    fn is_read_in_four_dialects_of_base64() {
        let keys = keys();
        for dialect in [URL_SAFE_NO_PAD, URL_SAFE, STANDARD_NO_PAD, STANDARD] {
            let (p256dh, auth) = (dialect.encode(keys.p256dh()), dialect.encode(keys.auth()));
            let json = json!({
                "endpoint": ENDPOINT,
                "expirationTime": null,
                "keys": {"p256dh": p256dh, "auth": auth, "more": 1},
                "more": [],
            });
            let read = Subscription::from_json(&json.to_string(), &AllowList::default()).unwrap();
            assert_eq!((read.endpoint.as_str(), &read.keys), (ENDPOINT, &keys));
        }
        let mixed = URL_SAFE_NO_PAD.encode(keys.p256dh()).replace('-', "+");
        let refused = Keys::from_base64(&mixed, &URL_SAFE_NO_PAD.encode(keys.auth()));
        assert_eq!(refused.unwrap_err().field(), "keys.p256dh");
    }

    #[test]
    fn with_a_bad_point_is_refused_naming_p256dh() {
        let keys = keys();
        let good = keys.p256dh();
        let mut off_curve = *good;
        off_curve[64] ^= 1;
        let mut compressed = good[..33].to_vec();
        compressed[0] = 2 + (good[64] & 1);
        let mut compressed_tag = *good;
        compressed_tag[0] = 2;
        // x is the field's prime: not reduced.
        let mut unreduced = [0; 65];
        unreduced[0] = 4;
        unreduced[1..33].copy_from_slice(&[255; 32]);
        let points: [(&str, &[u8]); 10] = [
            ("not on the curve", &off_curve),
            ("not on the curve", &unreduced),
            ("not on the curve", &[&[4][..], &[0; 64]].concat()),
            ("has 33 bytes", &compressed),
            ("has 65 bytes", &compressed_tag),
            ("has 65 bytes", &[0; 65]),
            ("has 1 bytes", &[0]),
            ("has 0 bytes", &[]),
            ("has 64 bytes", &good[..64]),
            ("has 66 bytes", &[&good[..], &[0]].concat()),
        ];
        for (why, point) in points {
            let why = why.replace("not on the curve", "is not a point on the curve P-256");
            let error = refusal(ENDPOINT, point, keys.auth());
            assert!(
                error.starts_with("keys.p256dh ") && error.ends_with(&why),
                "{error}"
            );
        }
    }

    #[test]
    fn with_a_bad_secret_is_refused_naming_auth() {
        let keys = keys();
        for len in [0, 1, 15, 17, 32] {
            let error = refusal(ENDPOINT, keys.p256dh(), &vec![7; len]);
            assert_eq!(error, format!("keys.auth must be 16 bytes; it has {len}"));
        }
        let text = URL_SAFE_NO_PAD.encode(keys.p256dh());
        for auth in ["*", "AAAA AAAA", "\u{e9}", "AAAAA==="] {
            let error = Keys::from_base64(&text, auth).unwrap_err();
            assert_eq!(error.field(), "keys.auth", "{auth}");
            assert!(
                error.to_string().starts_with("keys.auth is not base64"),
                "{error}"
            );
        }
    }

    #[test]
    fn at_a_bad_endpoint_is_refused_naming_endpoint() {
        let keys = keys();
        let error = refusal("https://evil.test/secret", keys.p256dh(), keys.auth());
        assert!(
            error.starts_with("endpoint is not at a known push service"),
            "{error}"
        );
        assert!(!error.contains("secret"));
    }

    #[test]
    fn that_lacks_a_member_is_refused_naming_it() {
        let lacking = [
            ("{}", "endpoint"),
            (r#"{"endpoint": "https://fcm.googleapis.com/x"}"#, "keys"),
            (
                r#"{"endpoint": "https://fcm.googleapis.com/x", "keys": {"auth": ""}}"#,
                "p256dh",
            ),
            (
                r#"{"endpoint": "https://fcm.googleapis.com/x", "keys": {"p256dh": ""}}"#,
                "auth",
            ),
        ];
        for (json, member) in lacking {
            let error = Subscription::from_json(json, &AllowList::default()).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains(&format!("missing field `{member}`")),
                "{error}"
            );
        }
        for json in ["", "null", "[]", "7", "{", r#"{"endpoint": 7}"#] {
            assert!(
                Subscription::from_json(json, &AllowList::default()).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn never_shows_its_keys_or_path() {
        let keys = keys();
        let endpoint = parse("https://fcm.googleapis.com/fcm/send/capability").unwrap();
        let shown = format!(
            "{:?}",
            Subscription {
                endpoint,
                keys: keys.clone()
            }
        );
        assert!(!shown.contains("capability"), "{shown}");
        assert!(shown.contains("Keys(..)"), "{shown}");
    }
}
