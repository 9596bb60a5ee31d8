//! ECDSA signatures of P-256 in their two forms: DER, which most signers return, and `r || s`, which a token holds
//! (RFC 7518, section 3.4).

/// Octets of `r`, and of `s`.
const SCALAR_LEN: usize = 32;

/// The octets are not `ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` in DER (RFC 3279, section 2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the DER form of a P-256 signature")]
pub struct NotDer;

/// Converts a signature from DER to `r || s`, 32 octets each.
///
/// # Errors
/// [`NotDer`] for anything but exactly one signature.
pub fn from_der(der: &[u8]) -> Result<[u8; 2 * SCALAR_LEN], NotDer> {
    // Both integers together have less than 128 octets, so that each length is a single octet (X.690, section 8.1.3.4).
    let (&[0x30, length], rest) = der.split_first_chunk().ok_or(NotDer)? else {
        return Err(NotDer);
    };
    if usize::from(length) != rest.len() {
        return Err(NotDer);
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    if !rest.is_empty() {
        return Err(NotDer);
    }
    let mut both = [0; 2 * SCALAR_LEN];
    both[SCALAR_LEN - r.len()..SCALAR_LEN].copy_from_slice(r);
    both[2 * SCALAR_LEN - s.len()..].copy_from_slice(s);
    Ok(both)
}

/// Splits off a positive INTEGER: its magnitude, without a leading zero octet, and the rest.
fn integer(der: &[u8]) -> Result<(&[u8], &[u8]), NotDer> {
    let (&[0x02, length], rest) = der.split_first_chunk().ok_or(NotDer)? else {
        return Err(NotDer);
    };
    let (octets, rest) = rest.split_at_checked(length.into()).ok_or(NotDer)?;
    let magnitude = match octets {
        // DER allows the shortest form only (X.690, section 8.3.2).
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
        [first, ..] if (1..0x80).contains(first) => octets,
        _ => return Err(NotDer),
    };
    if magnitude.len() > SCALAR_LEN {
        return Err(NotDer);
    }
    Ok((magnitude, rest))
}
