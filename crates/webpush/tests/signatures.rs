//! Signatures that are made elsewhere: DER becomes `r || s`, for any numbers.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use proptest::prelude::*;
use webpush::vapid::public_from_spki;
use webpush::vapid::{NotDer, from_der};
use webpush::{Origin, Vapid, VapidKey};

/// `SEQUENCE { r INTEGER, s INTEGER }`, written by hand.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeroes = number.iter().take_while(|byte| **byte == 0).count();
        let mut octets = number[zeroes.min(number.len() - 1)..].to_vec();
        if octets[0] & 0x80 != 0 {
            octets.insert(0, 0);
        }
        let mut integer = vec![2, u8::try_from(octets.len()).unwrap()];
        integer.extend(octets);
        integer
    };
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

proptest! {
    /// Numbers of any length. Those with leading zeros are rare, and break in production.
    #[test]
    fn der_becomes_r_and_s_in_32_octets_each(
        mut r in prop::array::uniform32(any::<u8>()), mut s in prop::array::uniform32(any::<u8>()),
        short_r in 0..32_usize, short_s in 0..32_usize,
    ) {
        r[..short_r].fill(0);
        s[..short_s].fill(0);
        (r[31], s[31]) = (r[31].max(1), s[31].max(1));
        let both: [u8; 64] = [r, s].concat().try_into().unwrap();
        prop_assert_eq!(from_der(&der(&r, &s)), Ok(both));
    }

    #[test]
    fn what_another_library_signs_is_read_as_it_reads_it(
        key in prop::array::uniform32(1..=254_u8), message in any::<Vec<u8>>()
    ) {
        let key = SigningKey::from_slice(&key).unwrap();
        let signature: DerSignature = key.sign(&message);
        let theirs: Signature = key.sign(&message);
        let ours = from_der(signature.as_bytes());
        prop_assert_eq!(ours.as_ref().map(|both| &both[..]), Ok(&theirs.to_bytes()[..]));
    }

    #[test]
    fn anything_else_is_refused_and_nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(both) = from_der(&octets) {
            prop_assert_eq!(der(&both[..32], &both[32..]), octets);
        }
    }
}

#[test]
fn a_signature_that_is_cut_off_goes_on_or_is_not_in_its_shortest_form_is_refused() {
    let good = der(&[0x80; 32], &[1; 32]);
    assert!(from_der(&good).is_ok());
    for end in 0..good.len() {
        assert_eq!(from_der(&good[..end]), Err(NotDer), "{end}");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(from_der(&longer), Err(NotDer));
    // r = 1 with an octet too many; a negative r; r = 0; an r of 33 octets.
    for r in [&[2_u8, 2, 0, 1][..], &[2, 1, 0x80], &[2, 1, 0], &[2, 0]] {
        let both = [r, &[2, 1, 1]].concat();
        let der = [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat();
        assert_eq!(from_der(&der), Err(NotDer), "{r:?}");
    }
    assert_eq!(from_der(&der(&[1; 33], &[1; 32])), Err(NotDer));
}

#[test]
fn a_token_signed_elsewhere_is_verified_with_the_key_that_stands_beside_it() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let public: [u8; 65] = point.as_bytes().try_into().unwrap();
    let vapid = Vapid::elsewhere(public, Some("mailto:tests@pushcast.dev".parse().unwrap()));
    let origin = Origin::parse("https://push.pushcast.dev").unwrap();
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    assert!(
        vapid.authorization(&origin, now).is_err(),
        "nobody has signed yet"
    );
    assert!(vapid.signed_before(&origin, now).is_none());

    let unsigned = vapid.unsigned(&origin, now).unwrap();
    let signature: DerSignature = key.sign(unsigned.signing_input().as_bytes());
    let signature = from_der(signature.as_bytes()).unwrap();
    let header = vapid.signed(&origin, &unsigned, &signature, now).unwrap();
    assert_eq!(vapid.authorization(&origin, now).unwrap(), header);
    assert!(header.is_sensitive());
    let text = header.to_str().unwrap();
    let token = text.strip_prefix("vapid t=").unwrap();
    let (token, k) = token.split_once(", k=").unwrap();
    assert_eq!(k, vapid.public_base64url());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = webpush::base64url::decode(signature).unwrap();
    let verifying = VerifyingKey::from_sec1_bytes(&public).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    verifying.verify(input.as_bytes(), &signature).unwrap();

    // The token is used until the last hour before its expiry.
    let later = now + jiff::SignedDuration::from_hours(11);
    assert!(vapid.signed_before(&origin, later).is_none());
}

#[test]
fn a_public_key_is_read_from_the_form_that_kms_gives() {
    use p256::pkcs8::EncodePublicKey as _;
    let key = SigningKey::from_slice(&[9; 32]).unwrap();
    let spki = key.verifying_key().to_public_key_der().unwrap();
    let read = public_from_spki(spki.as_bytes()).unwrap();
    assert_eq!(read, key.verifying_key().to_encoded_point(false).as_bytes());
    assert!(public_from_spki(&spki.as_bytes()[1..]).is_err());
    assert!(public_from_spki(&VapidKey::generate().unwrap().to_pkcs8_der()).is_err());
}
