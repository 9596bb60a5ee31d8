//! VAPID: keys in all forms that other tools write, the tokens that they sign, and the sender's contact address.

use jiff::{SignedDuration, Timestamp};
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePrivateKey as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use web_push::VapidSignatureBuilder;
use webpush::vapid::SubjectError;
use webpush::vapid::VapidKeyError;
use webpush::{Origin, Subject, Vapid, VapidKey, base64url};

const EC_PARAMETERS: &str =
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

/// A key that OpenSSL made, and its public point.
fn openssl_key(curve: Nid) -> (EcKey<Private>, Vec<u8>) {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let key = EcKey::generate(&group).unwrap();
    (key.clone(), point(&key))
}

fn point(key: &EcKey<Private>) -> Vec<u8> {
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let form = PointConversionForm::UNCOMPRESSED;
    key.public_key()
        .to_bytes(key.group(), form, &mut context)
        .unwrap()
}

fn pkcs8(key: &EcKey<Private>) -> PKey<Private> {
    PKey::from_ec_key(key.clone()).unwrap()
}

fn read(input: impl AsRef<[u8]>) -> Result<Vec<u8>, VapidKeyError> {
    VapidKey::parse(input.as_ref()).map(|key| key.public().to_vec())
}

mod a_key {
    use super::*;

    /// A key as OpenSSL and people write it.
    fn forms(key: &EcKey<Private>) -> Vec<(&'static str, Vec<u8>)> {
        let sec1_pem = String::from_utf8(key.private_key_to_pem().unwrap()).unwrap();
        let pkcs8_pem = String::from_utf8(pkcs8(key).private_key_to_pem_pkcs8().unwrap()).unwrap();
        let sec1_der = key.private_key_to_der().unwrap();
        let pkcs8_der = pkcs8(key).private_key_to_pkcs8().unwrap();
        let scalar = key.private_key().to_vec_padded(32).unwrap();
        let unpadded = base64url::encode(&scalar);
        let padded = format!("{unpadded}=");
        let standard = openssl::base64::encode_block(&scalar);
        vec![
            ("SEC1 PEM", sec1_pem.clone().into()),
            (
                "SEC1 PEM after EC PARAMETERS",
                format!("{EC_PARAMETERS}{sec1_pem}").into(),
            ),
            ("SEC1 DER", sec1_der.clone()),
            ("PKCS#8 PEM", pkcs8_pem.clone().into()),
            (
                "PKCS#8 PEM with CRLF",
                pkcs8_pem.replace('\n', "\r\n").into(),
            ),
            (
                "PKCS#8 PEM after words",
                format!("my key:\n\n{pkcs8_pem}\n\n").into(),
            ),
            (
                "PKCS#8 PEM on one line",
                pkcs8_pem.trim().replace('\n', " ").into(),
            ),
            (
                "PKCS#8 PEM with \\n for line ends",
                pkcs8_pem.replace('\n', "\\n").into(),
            ),
            (
                "both PEM blocks on one line",
                format!("{EC_PARAMETERS}{sec1_pem}")
                    .replace('\n', " ")
                    .into(),
            ),
            ("PKCS#8 DER", pkcs8_der.clone()),
            ("base64url", unpadded.clone().into()),
            ("padded base64url", padded.into()),
            ("standard base64", standard.clone().into()),
            (
                "unpadded standard base64",
                standard.trim_end_matches('=').into(),
            ),
            (
                "base64url and a line end",
                format!(" {unpadded}\r\n").into(),
            ),
            ("base64 of SEC1 DER", base64url::encode(&sec1_der).into()),
            (
                "base64 of PKCS#8 DER",
                openssl::base64::encode_block(&pkcs8_der).into(),
            ),
        ]
    }

    #[test]
    fn of_openssl_is_read_in_every_form() {
        let (key, public) = openssl_key(Nid::X9_62_PRIME256V1);
        for (form, input) in forms(&key) {
            assert_eq!(read(input), Ok(public.clone()), "{form}");
        }
    }

    #[test]
    fn of_ours_is_read_back_in_every_form() {
        let key = VapidKey::generate().unwrap();
        let forms: [&[u8]; 4] = [
            key.to_pkcs8_pem().as_bytes(),
            key.to_sec1_pem().as_bytes(),
            &key.to_pkcs8_der(),
            key.to_raw_base64url().as_bytes(),
        ]
        .map(|form| form.to_vec().leak() as &[u8]);
        for form in forms {
            assert_eq!(read(form), Ok(key.public().to_vec()));
        }
    }

    #[test]
    fn of_ours_is_read_by_openssl() {
        let key = VapidKey::generate().unwrap();
        let sec1 = EcKey::private_key_from_pem(key.to_sec1_pem().as_bytes()).unwrap();
        let from_pem = PKey::private_key_from_pem(key.to_pkcs8_pem().as_bytes()).unwrap();
        let from_der = PKey::private_key_from_der(&key.to_pkcs8_der()).unwrap();
        for read in [sec1, from_pem.ec_key().unwrap(), from_der.ec_key().unwrap()] {
            read.check_key().unwrap();
            assert_eq!(point(&read), key.public());
        }
    }

    #[test]
    fn of_ours_is_read_by_p256() {
        let key = VapidKey::generate().unwrap();
        let raw = base64url::decode(&key.to_raw_base64url()).unwrap();
        let read = [
            p256::SecretKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap(),
            p256::SecretKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap(),
            p256::SecretKey::from_sec1_pem(&key.to_sec1_pem()).unwrap(),
            p256::SecretKey::from_slice(&raw).unwrap(),
        ];
        for read in read {
            assert_eq!(&read.public_key().to_sec1_bytes()[..], key.public());
        }
    }

    #[test]
    fn of_ours_is_read_by_web_push() {
        let key = VapidKey::generate().unwrap();
        let read = [
            VapidSignatureBuilder::from_pem_no_sub(key.to_pkcs8_pem().as_bytes()).unwrap(),
            VapidSignatureBuilder::from_pem_no_sub(key.to_sec1_pem().as_bytes()).unwrap(),
            VapidSignatureBuilder::from_base64_no_sub(&key.to_raw_base64url()).unwrap(),
        ];
        for read in read {
            assert_eq!(read.get_public_key(), key.public());
        }
    }

    #[test]
    fn with_leading_zeros_keeps_its_32_octets() {
        let mut scalar = [0; 32];
        scalar[31] = 1;
        let key = VapidKey::parse(base64url::encode(scalar).as_bytes()).unwrap();
        assert_eq!(base64url::decode(&key.to_raw_base64url()).unwrap(), scalar);
        assert_eq!(read(key.to_sec1_pem()), Ok(key.public().to_vec()));
        assert_eq!(read(key.to_pkcs8_der()), Ok(key.public().to_vec()));
    }

    #[test]
    fn has_a_short_name_that_two_keys_do_not_share() {
        let key = VapidKey::generate().unwrap();
        let same = VapidKey::parse(key.to_pkcs8_pem().as_bytes()).unwrap();
        assert_eq!(key.id(), same.id());
        assert_ne!(key.id(), VapidKey::generate().unwrap().id());
        assert_eq!(
            format!("{key:?}"),
            format!("VapidKey({})", key.id().as_str())
        );
    }
}

mod what_is_no_key {
    use super::*;

    fn error(input: impl AsRef<[u8]>) -> VapidKeyError {
        read(input).expect_err("refused")
    }

    #[test]
    fn is_refused_by_name() {
        let (key, public) = openssl_key(Nid::X9_62_PRIME256V1);
        let public_pem = pkcs8(&key).public_key_to_pem().unwrap();
        assert_eq!(error(public_pem), VapidKeyError::Public);
        assert_eq!(error(base64url::encode(&public)), VapidKeyError::Public);

        let (p384, _) = openssl_key(Nid::SECP384R1);
        assert_eq!(
            error(p384.private_key_to_pem().unwrap()),
            VapidKeyError::Curve
        );
        assert_eq!(
            error(pkcs8(&p384).private_key_to_pkcs8().unwrap()),
            VapidKeyError::Curve
        );

        let rsa = Rsa::generate(2048).unwrap();
        let tag = "RSA PRIVATE KEY".to_owned();
        assert_eq!(
            error(rsa.private_key_to_pem().unwrap()),
            VapidKeyError::PemTag(tag)
        );
        let rsa = PKey::from_rsa(rsa).unwrap();
        assert_eq!(
            error(rsa.private_key_to_pem_pkcs8().unwrap()),
            VapidKeyError::Curve
        );

        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let locked = pkcs8(&key)
            .private_key_to_pem_pkcs8_passphrase(cipher, b"secret")
            .unwrap();
        let tag = "ENCRYPTED PRIVATE KEY".to_owned();
        assert_eq!(error(locked), VapidKeyError::PemTag(tag));
        assert_eq!(error(EC_PARAMETERS), VapidKeyError::Form);
    }

    #[test]
    fn is_refused_when_empty_or_out_of_range() {
        const ORDER: &str = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
        for input in [
            "",
            " \n",
            "=",
            "!",
            "not a key",
            "-----BEGIN",
            "kms:alias/push",
        ] {
            assert!(read(input).is_err(), "{input:?}");
        }
        assert_eq!(error(base64url::encode([0; 32])), VapidKeyError::Curve);
        assert_eq!(error(ORDER), VapidKeyError::Curve);
        assert_eq!(error(base64url::encode([255; 32])), VapidKeyError::Curve);
    }

    #[test]
    fn is_refused_when_cut_short_anywhere() {
        let key = VapidKey::generate().unwrap();
        let der = key.to_pkcs8_der();
        for end in 0..der.len() {
            assert!(read(&der[..end]).is_err(), "PKCS#8 DER of {end} bytes");
        }
        for text in [
            key.to_pkcs8_pem(),
            key.to_sec1_pem(),
            key.to_raw_base64url(),
        ] {
            for end in 0..text.trim_end().len() {
                // The last dashes of a PEM text add nothing to the key.
                if let Ok(public) = read(&text[..end]) {
                    assert_eq!(public, key.public(), "{end} of {text}");
                    assert!(text[..end].trim_end_matches('-').ends_with("KEY"));
                }
            }
        }
    }

    #[test]
    fn is_refused_when_its_public_half_is_anothers() {
        let (key, _) = openssl_key(Nid::X9_62_PRIME256V1);
        let (other, public) = openssl_key(Nid::X9_62_PRIME256V1);
        let mut der = pkcs8(&key).private_key_to_pkcs8().unwrap();
        let at = der
            .windows(65)
            .position(|octets| octets == point(&key))
            .unwrap();
        der[at..at + 65].copy_from_slice(&public);
        assert_ne!(read(&der), Ok(point(&other)));
        assert!(read(&der).is_err());
    }

    #[test]
    fn never_comes_back_in_the_error() {
        let secret = "hunter2hunter2hunter2";
        let inputs = [
            secret.to_owned(),
            format!("{secret}!"),
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{secret}!\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY----- {secret} -----END PRIVATE KEY-----"),
            format!("-----BEGIN {secret}-----\nAAAA\n-----END {secret}-----\n"),
        ];
        for input in inputs {
            let error = error(&input);
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn is_refused_as_random_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&input).is_err());
        }

        #[test]
        fn is_refused_as_random_text(input in r#"\PC{0,80}|(-----(BEGIN|END) [A-Z ]{0,12}-----|[\n A-Za-z0-9+/=]{0,20}){0,6}"#) {
            // Only a text of 43 characters may be a scalar by chance.
            let scalar = base64url::decode(&input.split_whitespace().collect::<String>());
            prop_assume!(scalar.map_or(true, |octets| octets.len() != 32));
            prop_assert!(read(&input).is_err());
        }

        #[test]
        fn never_panics_one_octet_from_a_key(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let key = VapidKey::generate().unwrap();
            let mut der = key.to_pkcs8_der();
            let at = at.index(der.len());
            der[at] = octet;
            if let Ok(read) = VapidKey::parse(&der) {
                prop_assert_eq!(read.public(), key.public(), "the scalar and the point bind each other");
            }
        }
    }
}

/// Takes `Authorization` apart: header and claims. Checks that the key in it signed them.
struct Token {
    header: Value,
    claims: Value,
    verified: bool,
    key: Vec<u8>,
}

fn take_apart(authorization: &str) -> Token {
    let (token, key) = authorization
        .strip_prefix("vapid t=")
        .and_then(|rest| rest.split_once(", k="))
        .expect("vapid t=.., k=..");
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    assert!(
        !authorization.contains('='.to_string().repeat(2).as_str()),
        "unpadded"
    );
    let json = |part| serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap();
    let key = base64url::decode(key).unwrap();
    let signature = Signature::from_slice(&base64url::decode(signature).unwrap()).unwrap();
    let verifier = VerifyingKey::from_sec1_bytes(&key).unwrap();
    Token {
        header: json(header),
        claims: json(claims),
        verified: verifier.verify(input.as_bytes(), &signature).is_ok(),
        key,
    }
}

mod a_token {
    use super::*;

    fn vapid() -> Vapid {
        let subject = "mailto:push@pushcast.dev".parse().unwrap();
        Vapid::new(VapidKey::generate().unwrap(), Some(subject))
    }

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00.75Z".parse().unwrap()
    }

    fn authorization(vapid: &Vapid, origin: &Origin, now: Timestamp) -> String {
        let value = vapid.authorization(origin, now).unwrap();
        assert!(value.is_sensitive(), "kept out of logs");
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn says_what_rfc_8292_asks_and_is_signed_by_its_key() {
        let vapid = vapid();
        let fcm = origin("https://fcm.googleapis.com");
        let token = take_apart(&authorization(&vapid, &fcm, now()));
        assert!(token.verified);
        assert_eq!(token.key, vapid.public());
        assert_eq!(token.header, json!({"typ": "JWT", "alg": "ES256"}));
        assert_eq!(
            token.claims,
            json!({
                "aud": "https://fcm.googleapis.com",
                "exp": now().as_second() + 12 * 60 * 60,
                "sub": "mailto:push@pushcast.dev",
            })
        );
        assert!(
            token.claims["exp"].is_i64(),
            "autopush answers 401 to a float"
        );
    }

    #[test]
    fn leaves_out_a_subject_that_is_not_known() {
        let vapid = Vapid::new(VapidKey::generate().unwrap(), None);
        let token = take_apart(&authorization(&vapid, &origin("https://a.test"), now()));
        assert_eq!(token.claims.get("sub"), None);
        assert!(token.verified);
    }

    #[test]
    fn names_the_port_where_it_is_not_the_default_one() {
        let vapid = vapid();
        for text in [
            "https://push.test:8443",
            "http://127.0.0.1:9301",
            "http://[::1]:9301",
            "https://push.test",
        ] {
            let token = take_apart(&authorization(&vapid, &origin(text), now()));
            assert_eq!(token.claims["aud"], text);
        }
        for more in [
            "https://push.test:443",
            "https://push.test/path",
            "https://PUSH.test",
            "https://u@push.test",
            "ftp://push.test",
            "push.test",
        ] {
            assert!(Origin::parse(more).is_err(), "{more} is no bare origin");
        }
    }

    #[test]
    fn is_reused_for_one_origin_and_not_for_another() {
        let vapid = vapid();
        let (one, other) = (
            origin("https://one.push.apple.com"),
            origin("https://two.push.apple.com"),
        );
        let first = authorization(&vapid, &one, now());
        let second = authorization(&vapid, &other, now());
        assert_ne!(first, second);
        let later = now() + SignedDuration::from_hours(10);
        assert_eq!(authorization(&vapid, &one, later), first);
        assert_eq!(authorization(&vapid, &other, later), second);
        assert_ne!(
            authorization(&self::vapid(), &one, now()),
            first,
            "another key, another token"
        );
    }

    #[test]
    fn is_renewed_when_less_than_an_hour_is_left() {
        let (vapid, origin) = (vapid(), origin("https://fcm.googleapis.com"));
        let first = authorization(&vapid, &origin, now());
        let almost = now() + SignedDuration::from_mins(11 * 60 - 1);
        assert_eq!(authorization(&vapid, &origin, almost), first);
        let late = now() + SignedDuration::from_mins(11 * 60 + 1);
        let renewed = take_apart(&authorization(&vapid, &origin, late));
        assert_eq!(renewed.claims["exp"], late.as_second() + 12 * 60 * 60);
    }

    #[test]
    fn is_renewed_when_the_clock_was_set_back() {
        let (vapid, origin) = (vapid(), origin("https://fcm.googleapis.com"));
        authorization(&vapid, &origin, now());
        let before = now() - SignedDuration::from_hours(24 * 365);
        let renewed = take_apart(&authorization(&vapid, &origin, before));
        assert_eq!(renewed.claims["exp"], before.as_second() + 12 * 60 * 60);
    }

    #[test]
    fn is_not_renewed_for_workers_whose_times_cross() {
        let (vapid, origin) = (vapid(), origin("https://web.push.apple.com"));
        let first = authorization(&vapid, &origin, now());
        let a_moment_ago = now() - SignedDuration::from_millis(20);
        assert_eq!(authorization(&vapid, &origin, a_moment_ago), first);
    }

    #[test]
    fn is_never_good_for_more_than_a_day_whatever_the_clock_did() {
        let (vapid, origin) = (vapid(), origin("https://fcm.googleapis.com"));
        for hours in [0, 5, -5, 30, 29, 3, 2, 1, 0, -100, 12] {
            let now = now() + SignedDuration::from_hours(hours);
            let token = take_apart(&authorization(&vapid, &origin, now));
            let left = token.claims["exp"].as_i64().unwrap() - now.as_second();
            assert!((60 * 60..=24 * 60 * 60).contains(&left), "{left} s left");
        }
    }

    #[test]
    fn is_kept_however_many_hosts_subscribers_make_up() {
        let vapid = vapid();
        let host = |i| origin(&format!("https://x{i}.push.apple.com"));
        let first = authorization(&vapid, &host(0), now());
        for i in 1..1100 {
            authorization(&vapid, &host(i), now());
        }
        assert_eq!(authorization(&vapid, &host(0), now()), first);
        // Beyond the limit a token is signed each time, until the kept ones have expired.
        let last = authorization(&vapid, &host(1100), now());
        assert_ne!(authorization(&vapid, &host(1100), now()), last);
        let later = now() + SignedDuration::from_hours(13);
        let last = authorization(&vapid, &host(1100), later);
        assert_eq!(authorization(&vapid, &host(1100), later), last);
    }

    #[test]
    fn never_shows_in_a_log() {
        let vapid = vapid();
        let token = authorization(&vapid, &origin("https://fcm.googleapis.com"), now());
        let shown = format!("{vapid:?}");
        assert!(shown.contains(vapid.id().as_str()));
        let signature = token.split(['.', ',']).nth(2).unwrap();
        assert!(
            !shown.contains(signature) && !shown.contains(&vapid.key().unwrap().to_raw_base64url())
        );
    }
}

#[test]
fn a_subject_is_one_that_apple_takes() {
    let good = [
        "mailto:push@pushcast.dev",
        "mailto:first.last+push@mail.pushcast.co.uk",
        "mailto:push@b\u{fc}cher.de",
        "https://pushcast.dev",
        "https://pushcast.dev/contact?about=push",
        "https://my-example.com",
    ];
    for text in good {
        assert_eq!(text.parse::<Subject>().unwrap().as_str(), text);
    }
    let form = [
        "",
        "push@pushcast.dev",
        "pushcast.dev",
        "mailto:",
        "mailto:push",
        "mailto:@pushcast.dev",
        "mailto:push@",
        "mailto: push@pushcast.dev",
        "mailto:push@pushcast.dev ",
        "mailto:<push@pushcast.dev>",
        "mailto:Push <push@pushcast.dev>",
        "mailto:a@pushcast.dev,b@pushcast.dev",
        "mailto:a@b@pushcast.dev",
        "<https://pushcast.dev>",
        "http://pushcast.dev",
        "https://",
        "tel:+123",
        "mailto:push@pushcast.dev\r\nX: y",
    ];
    for text in form {
        assert_eq!(text.parse::<Subject>(), Err(SubjectError::Form), "{text:?}");
    }
    let domain = [
        "mailto:push@localhost",
        "mailto:push@printer.local",
        "mailto:push@pushcast.invalid",
        "mailto:push@example.com",
        "mailto:push@mail.example.org",
        "mailto:push@EXAMPLE.com",
        "mailto:push@intranet",
        "mailto:push@192.168.1.1",
        "mailto:push@[::1]",
        "https://localhost:8080",
        "https://127.0.0.1",
        "https://[::1]/",
        "https://example.com/contact",
        "https://example.com.",
        "https://push.test",
    ];
    for text in domain {
        assert_eq!(
            text.parse::<Subject>(),
            Err(SubjectError::Domain),
            "{text:?}"
        );
    }
}
