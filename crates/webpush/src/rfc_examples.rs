//! The examples of the RFCs, value by value: a failure names the step that is wrong.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use jiff::Timestamp;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::aes128gcm::{ContentKeys, Header, open, seal};
use crate::aesgcm;
use crate::base64url::{decode, encode};
use crate::decrypt::{Coding, decrypt};
use crate::encrypt::{ContentEncoding, Encrypted, Padding, encrypt_with, ikm};
use crate::hkdf;
use crate::vapid::Claims;
use crate::{Keys, Receiver};

fn bytes(text: &str) -> Vec<u8> {
    decode(text).expect("the RFC's base64url")
}

fn salt(text: &str) -> [u8; 16] {
    bytes(text).try_into().expect("a salt of 16 octets")
}

fn private_key(text: &str) -> PrivateKey {
    PrivateKey::from_private_key(&ECDH_P256, &bytes(text)).expect("the RFC's private key")
}

/// RFC 8188, section 3.1.
#[test]
fn rfc_8188_encrypts_in_one_record() {
    let salt = salt("I1BsxtFttlv3u_Oo94xnmw");
    let ikm = bytes("yqdlZ-tYemfogSmv7Ws5PQ");
    let body = "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg";

    assert_eq!(
        encode(hkdf::extract(&salt, &ikm)),
        "zyeH5phsIsgUyd4oiSEIy35x-gIi4aM7y0hCF8mwn9g",
        "PRK"
    );
    let keys = ContentKeys::derive(&salt, &ikm);
    assert_eq!(encode(keys.cek), "_wniytB-ofscZDh4tbSjHw", "CEK");
    assert_eq!(encode(keys.nonce), "Bcs8gkIRKLI8GeI8", "NONCE");

    let header = Header {
        salt,
        rs: 4096,
        keyid: b"",
    };
    assert_eq!(
        encode(seal(&header, &keys, b"I am the walrus", 0)),
        body,
        "body"
    );

    let body = bytes(body);
    let (header, records) = Header::split(&body).expect("a header");
    assert_eq!((header.rs, header.keyid), (4096, &b""[..]));
    let plaintext = open(header.rs, records, &keys).expect("a record");
    assert_eq!(plaintext, b"I am the walrus");
}

/// RFC 8188, section 3.2: two records of 25 octets, one octet of padding in the first, a key id.
#[test]
fn rfc_8188_decrypts_two_records_with_padding() {
    let body = bytes(
        "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF\
         1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA",
    );
    let (header, records) = Header::split(&body).expect("a header");
    assert_eq!(encode(header.salt), "uNCkWiNYzKTnBN9ji3-qWA");
    assert_eq!((header.rs, header.keyid), (25, &b"a1"[..]));
    let keys = ContentKeys::derive(&header.salt, &bytes("BO3ZVPxUlnLORbVGMpbT1Q"));
    let plaintext = open(header.rs, records, &keys).expect("two records");
    assert_eq!(plaintext, b"I am the walrus");

    // Each record is bound to its place: the first alone, or both exchanged, are no message.
    assert!(open(header.rs, &records[..25], &keys).is_err());
    let exchanged = [&records[25..], &records[..25]].concat();
    assert!(open(header.rs, &exchanged, &keys).is_err());
}

const PLAINTEXT: &[u8] = b"When I grow up, I want to be a watermelon";
const AS_PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const AS_PUBLIC: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const UA_PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
const UA_PUBLIC: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH_SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";
const SALT: &str = "DGv6ra1nlYgDCS1FRnbzlw";

/// RFC 8291, appendix A.
#[test]
fn rfc_8291_derives_each_intermediate_value() {
    let (ua_public, as_public) = (bytes(UA_PUBLIC), bytes(AS_PUBLIC));
    let (auth_secret, salt) = (bytes(AUTH_SECRET), salt(SALT));
    let as_private = private_key(AS_PRIVATE);
    let computed = as_private.compute_public_key().expect("a public key");
    assert_eq!(encode(computed.as_ref()), AS_PUBLIC, "as_public");

    let peer = UnparsedPublicKey::new(&ECDH_P256, &ua_public);
    let ecdh_secret = agree(&as_private, peer, (), |secret| Ok(secret.to_vec())).expect("ECDH");
    assert_eq!(
        encode(&ecdh_secret),
        "kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs",
        "ecdh_secret"
    );
    assert_eq!(
        encode(hkdf::extract(&auth_secret, &ecdh_secret)),
        "Snr3JMxaHVDXHWJn5wdC52WjpCtd2EIEGBykDcZW32k",
        "PRK_key"
    );
    let ikm = ikm(&ecdh_secret, &auth_secret, &ua_public, &as_public);
    assert_eq!(
        encode(ikm),
        "S4lYMb_L0FxCeq0WhDx813KgSYqU26kOyzWUdsXYyrg",
        "IKM"
    );
    assert_eq!(
        encode(hkdf::extract(&salt, &ikm)),
        "09_eUZGrsvxChDCGRCdkLiDXrReGOEVeSCdCcPBSJSc",
        "PRK"
    );
    let keys = ContentKeys::derive(&salt, &ikm);
    assert_eq!(encode(keys.cek), "oIhVW04MRdy2XN9CiKLxTg", "CEK");
    assert_eq!(encode(keys.nonce), "4h_95klXJ5E_qnoN", "NONCE");

    let mut header = Vec::new();
    Header {
        salt,
        rs: 4096,
        keyid: &as_public,
    }
    .write(&mut header);
    assert_eq!(
        encode(header),
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
         mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        "header"
    );
}

/// RFC 8291, section 5.
#[test]
fn rfc_8291_encrypts_the_message_bit_for_bit_and_reads_it_back() {
    let keys = Keys::from_base64(UA_PUBLIC, AUTH_SECRET).expect("the RFC's subscription");
    let Encrypted { body, .. } = encrypt_with(
        &keys,
        PLAINTEXT,
        ContentEncoding::Aes128gcm,
        Padding::None,
        salt(SALT),
        &private_key(AS_PRIVATE),
    )
    .expect("a body");
    assert_eq!(
        encode(&body),
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
         mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
         pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    );

    let receiver = Receiver::from_raw(&bytes(UA_PRIVATE), &bytes(AUTH_SECRET)).expect("a receiver");
    assert_eq!(encode(receiver.keys().p256dh()), UA_PUBLIC);
    assert_eq!(
        decrypt(&receiver, Coding::Aes128gcm, &body).as_deref(),
        Ok(PLAINTEXT)
    );
}

/// RFC 8292, section 2.4: the token of figure 1.
#[test]
fn rfc_8292_signs_the_same_text_and_its_signature_verifies() {
    let claims = Claims {
        audience: "https://push.example.net",
        expires: Timestamp::from_second(1_453_523_768).expect("a time"),
        subject: Some("mailto:push@example.com"),
    };
    let input = claims.signing_input();
    assert_eq!(
        input,
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAi\
         OjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0"
    );
    let signature = Signature::from_slice(&bytes(
        "i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA",
    ))
    .expect("r and s");
    let key = VerifyingKey::from_sec1_bytes(&bytes(
        "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs",
    ))
    .expect("the RFC's key");
    key.verify(input.as_bytes(), &signature)
        .expect("the RFC's signature");
}

/// draft-ietf-webpush-encryption-04, section 5 and its intermediate values.
#[test]
fn the_draft_before_rfc_8291_encrypts_bit_for_bit_and_reads_back() {
    const UA_PUBLIC: &str =
        "BCEkBjzL8Z3C-oi2Q7oE5t2Np-p7osjGLg93qUP0wvqRT21EEWyf0cQDQcakQMqz4hQKYOQ3il2nNZct4HgAUQU";
    const AS_PUBLIC: &str =
        "BNoRDbb84JGm8g5Z5CFxurSqsXWJ11ItfXEWYVLE85Y7CYkDjXsIEc4aqxYaQ1G8BqkXCJ6DPpDrWtdWj_mugHU";
    let as_private = private_key("nCScek-QpEjmOOlT-rQ38nZzvdPlqa00Zy0i6m2OJvY");
    let auth_secret = bytes("R29vIGdvbyBnJyBqb29iIQ");
    let salt = salt("lngarbyKfMoi9Z75xYXmkg");

    let peer = UnparsedPublicKey::new(&ECDH_P256, bytes(UA_PUBLIC));
    let ecdh_secret = agree(&as_private, peer, (), |secret| Ok(secret.to_vec())).expect("ECDH");
    assert_eq!(
        encode(&ecdh_secret),
        "RNjC-NVW4BGJbxWPW7G2mowsLeDa53LYKYm4--NOQ6Y",
        "shared secret"
    );
    let keys = aesgcm::derive(
        &ecdh_secret,
        &auth_secret,
        &bytes(UA_PUBLIC),
        &bytes(AS_PUBLIC),
        &salt,
    );
    assert_eq!(encode(keys.cek), "AN2-xhvFWeYh5z0fcDu0Ww", "CEK");
    assert_eq!(encode(keys.nonce), "JY1Okw5rw1Drkg9J", "NONCE");

    let encrypted = encrypt_with(
        &Keys::new(&bytes(UA_PUBLIC), &auth_secret).expect("the draft's subscription"),
        b"I am the walrus",
        ContentEncoding::Aesgcm,
        Padding::None,
        salt,
        &as_private,
    )
    .expect("a body");
    assert_eq!(encode(encrypted.as_public), AS_PUBLIC, "dh");
    assert_eq!(
        encode(&encrypted.body),
        "6nqAQUME8hNqw5J3kl8cpVVJylXKYqZOeseZG8UueKpA",
        "body"
    );

    let ua_private = bytes("9FWl15_QUQAWDaD3k3l50ZBZQJ4au27F1V4F0uLSD_M");
    let receiver = Receiver::from_raw(&ua_private, &auth_secret).expect("a receiver");
    let coding = Coding::Aesgcm {
        salt: &salt,
        as_public: &encrypted.as_public,
    };
    assert_eq!(
        decrypt(&receiver, coding, &encrypted.body).as_deref(),
        Ok(&b"I am the walrus"[..])
    );
}
