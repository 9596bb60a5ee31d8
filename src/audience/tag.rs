//! The rules for tags.

/// Maximum characters of a tag.
pub const MAX_TAG_LEN: usize = 64;

/// Whether a subscription can have this tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    (1..=MAX_TAG_LEN).contains(&tag.len()) && tag.chars().all(is_tag_character)
}

/// Whether a tag may contain this character: A-Z, a-z, 0-9, `_`, `.`, `:` and `-`.
pub(crate) fn is_tag_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}
