//! Independent implementations judge the encryption: `ece` and `web-push` decrypt what this crate encrypts, and the
//! other way round.

use std::collections::HashSet;

use ece::EcKeyComponents;
use ece::legacy::{AesGcmEncryptedBlock, decrypt_aesgcm, encrypt_aesgcm};
use proptest::prelude::*;
use web_push::{SubscriptionInfo, WebPushMessageBuilder, WebPushPayload};
use webpush::Coding;
use webpush::EncryptError;
use webpush::aes128gcm::OpenError;
use webpush::{
    ContentEncoding, Encrypted, MAX_PLAINTEXT, Padding, Receiver, base64url, decrypt, encrypt,
};

const ENCODINGS: [ContentEncoding; 2] = [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm];
const PADDINGS: [Padding; 3] = [Padding::None, Padding::Bucket, Padding::Maximum];
const TEXT: &[u8] = "Der Zug f\u{e4}hrt um 9:42 von Gleis 7 \u{1f689}".as_bytes();

fn open(receiver: &Receiver, sent: &Encrypted) -> Result<Vec<u8>, OpenError> {
    let coding = match sent.encoding {
        ContentEncoding::Aes128gcm => Coding::Aes128gcm,
        ContentEncoding::Aesgcm => Coding::Aesgcm {
            salt: &sent.salt,
            as_public: &sent.as_public,
        },
    };
    decrypt(receiver, coding, &sent.body)
}

/// The keys of our receiver, in the types of `ece`.
fn components(receiver: &Receiver) -> EcKeyComponents {
    EcKeyComponents::new(receiver.private(), receiver.keys().p256dh().to_vec())
}

/// `text`, encrypted by `web-push` for our receiver.
fn by_web_push(
    receiver: &Receiver,
    encoding: web_push::ContentEncoding,
    text: &[u8],
) -> WebPushPayload {
    let subscription = SubscriptionInfo::new(
        "https://fcm.googleapis.com/fcm/send/x".to_owned(),
        base64url::encode(receiver.keys().p256dh()),
        base64url::encode(receiver.keys().auth()),
    );
    let mut builder = WebPushMessageBuilder::new(&subscription);
    builder.set_payload(encoding, text);
    builder.build().unwrap().payload.unwrap()
}

/// The value of `name=..` in a header of the draft.
fn parameter(headers: &[(&str, String)], header: &str, name: &str) -> Vec<u8> {
    let value = &headers
        .iter()
        .find(|(found, _)| *found == header)
        .unwrap()
        .1;
    let text = value
        .split([';', ','])
        .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        .unwrap();
    base64url::decode(text).unwrap()
}

#[test]
fn ece_opens_what_we_encrypt() {
    let receiver = Receiver::generate().unwrap();
    for padding in PADDINGS {
        let sent = encrypt(receiver.keys(), TEXT, ContentEncoding::Aes128gcm, padding).unwrap();
        let opened = ece::decrypt(&components(&receiver), receiver.keys().auth(), &sent.body);
        assert_eq!(opened.unwrap(), TEXT, "{padding:?}");
    }
}

#[test]
fn ece_opens_what_we_encrypt_by_the_old_draft() {
    let receiver = Receiver::generate().unwrap();
    for padding in PADDINGS {
        let sent = encrypt(receiver.keys(), TEXT, ContentEncoding::Aesgcm, padding).unwrap();
        let block =
            AesGcmEncryptedBlock::new(&sent.as_public, &sent.salt, 4096, sent.body).unwrap();
        let opened = decrypt_aesgcm(&components(&receiver), receiver.keys().auth(), &block);
        assert_eq!(opened.unwrap(), TEXT, "{padding:?}");
    }
}

#[test]
fn we_open_what_ece_encrypts() {
    let receiver = Receiver::generate().unwrap();
    let keys = receiver.keys();
    let body = ece::encrypt(keys.p256dh(), keys.auth(), TEXT).unwrap();
    assert_eq!(decrypt(&receiver, Coding::Aes128gcm, &body).unwrap(), TEXT);
}

#[test]
fn we_open_what_ece_encrypts_by_the_old_draft() {
    let receiver = Receiver::generate().unwrap();
    let keys = receiver.keys();
    let block = encrypt_aesgcm(keys.p256dh(), keys.auth(), TEXT).unwrap();
    let headers = block.headers(None);
    let coding = Coding::Aesgcm {
        salt: &parameter(&headers, "Encryption", "salt")
            .try_into()
            .unwrap(),
        as_public: &parameter(&headers, "Crypto-Key", "dh"),
    };
    let body = base64url::decode(&block.body()).unwrap();
    assert_eq!(decrypt(&receiver, coding, &body).unwrap(), TEXT);
}

#[test]
fn we_open_what_web_push_encrypts() {
    let receiver = Receiver::generate().unwrap();
    let sent = by_web_push(&receiver, web_push::ContentEncoding::Aes128Gcm, TEXT);
    let opened = decrypt(&receiver, Coding::Aes128gcm, &sent.content);
    assert_eq!(opened.unwrap(), TEXT);
}

#[test]
fn we_open_what_web_push_encrypts_by_the_old_draft() {
    let receiver = Receiver::generate().unwrap();
    let sent = by_web_push(&receiver, web_push::ContentEncoding::AesGcm, TEXT);
    let coding = Coding::Aesgcm {
        salt: &parameter(&sent.crypto_headers, "Encryption", "salt")
            .try_into()
            .unwrap(),
        as_public: &parameter(&sent.crypto_headers, "Crypto-Key", "dh"),
    };
    assert_eq!(decrypt(&receiver, coding, &sent.content).unwrap(), TEXT);
}

#[test]
fn the_longest_payload_makes_a_body_of_exactly_4096_bytes() {
    let receiver = Receiver::generate().unwrap();
    for padding in PADDINGS {
        let payload = vec![b'x'; 3993];
        let sent = encrypt(
            receiver.keys(),
            &payload,
            ContentEncoding::Aes128gcm,
            padding,
        )
        .unwrap();
        assert_eq!(sent.body.len(), 4096, "{padding:?}");
        assert_eq!(open(&receiver, &sent).unwrap(), payload);
    }
}

#[test]
fn one_byte_too_many_is_refused_and_says_by_how_much() {
    let receiver = Receiver::generate().unwrap();
    for encoding in ENCODINGS {
        let refused = |len| encrypt(receiver.keys(), &vec![0; len], encoding, Padding::Bucket);
        let error = refused(3994).unwrap_err();
        assert_eq!(error, EncryptError::TooLarge(3994));
        assert_eq!(
            error.to_string(),
            "the payload is 3994 bytes, 1 more than the 3993 that every push service takes"
        );
        assert!(
            refused(5000)
                .unwrap_err()
                .to_string()
                .contains("1007 more than the 3993")
        );
    }
}

#[test]
fn nothing_is_not_encrypted() {
    let receiver = Receiver::generate().unwrap();
    for encoding in ENCODINGS {
        for padding in PADDINGS {
            let refused = encrypt(receiver.keys(), b"", encoding, padding);
            assert_eq!(refused, Err(EncryptError::NoData));
        }
    }
}

#[test]
fn bucket_padding_shows_the_bucket_and_nothing_else() {
    let receiver = Receiver::generate().unwrap();
    for (encoding, overhead) in [
        (ContentEncoding::Aes128gcm, 103),
        (ContentEncoding::Aesgcm, 18),
    ] {
        let length = |len: usize| {
            let payload = vec![b'x'; len];
            let sent = encrypt(receiver.keys(), &payload, encoding, Padding::Bucket).unwrap();
            sent.body.len() - overhead
        };
        for bucket in [1..=128, 129..=256, 3841..=3968] {
            let (first, last) = bucket.into_inner();
            let lengths = HashSet::from([first, first + 1, (first + last) / 2, last].map(length));
            assert_eq!(lengths, HashSet::from([last]), "{encoding:?}");
        }
        assert_eq!(
            [3969, 3980, 3993].map(length),
            [3993; 3],
            "the last bucket is cut off"
        );
    }
}

#[test]
fn maximum_padding_gives_every_payload_one_length() {
    let receiver = Receiver::generate().unwrap();
    for len in [1, 500, MAX_PLAINTEXT] {
        let payload = vec![b'x'; len];
        let encoding = ContentEncoding::Aes128gcm;
        let sent = encrypt(receiver.keys(), &payload, encoding, Padding::Maximum).unwrap();
        assert_eq!(sent.body.len(), 4096, "{len}");
    }
}

#[test]
fn no_two_messages_share_a_salt_or_a_key() {
    let receiver = Receiver::generate().unwrap();
    for encoding in ENCODINGS {
        let all: Vec<_> = (0..20)
            .map(|_| encrypt(receiver.keys(), TEXT, encoding, Padding::None).unwrap())
            .collect();
        let salts: HashSet<_> = all.iter().map(|sent| sent.salt).collect();
        let publics: HashSet<_> = all.iter().map(|sent| sent.as_public).collect();
        assert_eq!((salts.len(), publics.len()), (20, 20), "{encoding:?}");
    }
}

#[test]
fn the_header_names_one_record_of_4096_and_the_messages_own_key() {
    let receiver = Receiver::generate().unwrap();
    let sent = encrypt(
        receiver.keys(),
        TEXT,
        ContentEncoding::Aes128gcm,
        Padding::None,
    )
    .unwrap();
    let (salt, rest) = sent.body.split_at(16);
    assert_eq!(salt, sent.salt);
    assert_eq!(rest[..4], 4096_u32.to_be_bytes());
    assert_eq!((rest[4], &rest[5..70]), (65, &sent.as_public[..]));
    assert_eq!(rest[70..].len(), TEXT.len() + 1 + 16);
}

fn any_encoding() -> impl Strategy<Value = ContentEncoding> {
    prop::sample::select(&ENCODINGS[..])
}

fn any_padding() -> impl Strategy<Value = Padding> {
    prop::sample::select(&PADDINGS[..])
}

/// Payloads of any length, also the shortest and the longest.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![Just(1), Just(MAX_PLAINTEXT), 1..=MAX_PLAINTEXT];
    len.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_payload_decrypts_to_itself_and_for_nobody_else(
        payload in any_payload(),
        encoding in any_encoding(),
        padding in any_padding(),
    ) {
        let (receiver, other) = (Receiver::generate().unwrap(), Receiver::generate().unwrap());
        let sent = encrypt(receiver.keys(), &payload, encoding, padding).unwrap();
        prop_assert_eq!(open(&receiver, &sent).unwrap(), payload);
        prop_assert!(open(&other, &sent).is_err());

        let same_key = Receiver::from_raw(&receiver.private(), other.keys().auth()).unwrap();
        prop_assert!(open(&same_key, &sent).is_err(), "auth is part of the key");
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed(
        payload in prop::collection::vec(any::<u8>(), 1..300),
        encoding in any_encoding(),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let receiver = Receiver::generate().unwrap();
        let mut sent = encrypt(receiver.keys(), &payload, encoding, Padding::Bucket).unwrap();
        let at = at.index(sent.body.len());
        // The record size is not authenticated: if it is larger than the only record, it changes nothing.
        prop_assume!(encoding == ContentEncoding::Aesgcm || !(16..20).contains(&at));
        sent.body[at] ^= 1_u8 << bit;
        prop_assert!(open(&receiver, &sent).is_err());
    }

    #[test]
    fn a_body_cut_short_is_no_message(encoding in any_encoding(), keep in any::<prop::sample::Index>()) {
        let receiver = Receiver::generate().unwrap();
        let mut sent = encrypt(receiver.keys(), TEXT, encoding, Padding::None).unwrap();
        sent.body.truncate(keep.index(sent.body.len()));
        prop_assert!(open(&receiver, &sent).is_err());
    }

    #[test]
    fn no_body_makes_decryption_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let receiver = Receiver::generate().unwrap();
        prop_assert!(decrypt(&receiver, Coding::Aes128gcm, &body).is_err());
        let coding = Coding::Aesgcm { salt: &[0; 16], as_public: &body };
        prop_assert!(decrypt(&receiver, coding, &body).is_err());
    }
}
