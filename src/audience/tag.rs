//! What a tag may be.

/// Characters of a tag.
pub const MAX_TAG_LEN: usize = 64;

/// Whether a subscription can have this tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    (1..=MAX_TAG_LEN).contains(&tag.len()) && tag.chars().all(is_tag_character)
}

/// A-Z, a-z, 0-9, `_`, `.`, `:` and `-`.
pub(crate) fn is_tag_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}
