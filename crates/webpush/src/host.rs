//! The authority of a URL, `host[:port]`, in one spelling only (RFC 3986, section 3.2).
//!
//! Nothing is mended here. Another spelling of the same host is refused, so that the code that checks a host and the
//! code that connects to it cannot read it differently.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest label of a host name (RFC 1035, section 2.3.4).
const MAX_LABEL_LEN: usize = 63;
/// Longest host name in text form (RFC 1035, section 2.3.4).
const MAX_NAME_LEN: usize = 253;

/// `host[:port]`, split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// A name of `a-z`, `0-9`, `-`, `_` and `.`, or an IPv6 address in brackets.
    pub(crate) host: &'a str,
    /// A port other than the scheme's default one.
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Splits `text`, which follows `https://` or `http://`. `None` if it holds a user name, a character that no host
    /// has, or a port that is written in another way than as a number other than the default one.
    pub(crate) fn parse(text: &'a str, scheme: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address.
            Some((_, rest)) if rest.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(parse_port(port, scheme)?)),
            None => (text, None),
        };
        let is_valid = match bracketed(host) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name_byte),
        };
        is_valid.then_some(Self { host, port })
    }

    /// Whether URL parsers take the host for an IP address, in any spelling: `[::1]`, `127.0.0.1`, `127.1`, `0x7f000001`.
    pub(crate) fn is_address(&self) -> bool {
        self.host.starts_with('[') || ends_in_a_number(self.host)
    }

    /// Whether the host is in its one spelling: an address as the standard library writes it, or a name whose labels
    /// follow RFC 1123, section 2.1. Labels may hold `_`, as names of web sites do.
    pub(crate) fn is_canonical(&self) -> bool {
        if let Some(address) = bracketed(self.host) {
            let parsed = address.parse::<Ipv6Addr>();
            return parsed.is_ok_and(|parsed| parsed.to_string() == address);
        }
        if ends_in_a_number(self.host) {
            return self.host.parse::<Ipv4Addr>().is_ok();
        }
        self.host.len() <= MAX_NAME_LEN && self.host.split('.').all(is_label)
    }
}

fn parse_port(text: &str, scheme: &str) -> Option<u16> {
    let default = if scheme == "https" { 443 } else { 80 };
    let port: u16 = text.parse().ok()?;
    (port != default && port.to_string() == text).then_some(port)
}

fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

/// Whether this is one label of a host name.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LEN).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte != b'.' && is_name_byte(byte))
}

/// The "ends in a number checker" of the WHATWG URL standard, section 3.5: such a host is an IPv4 address or invalid.
pub(crate) fn ends_in_a_number(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    is_decimal
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
