//! One extracted field of a record.

use crate::Span;

/// A field that was found in a line: `status=200`, `pid`, a JSON member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Index into the batch's keys.
    pub key: u16,
    /// What the value is.
    pub kind: AttributeKind,
    /// The value's text in the arena, always valid UTF-8.
    pub value: Span,
}

/// What an attribute's value is; its text alone does not tell `"5"` from `5`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AttributeKind {
    /// Text.
    Text,
    /// A whole number in canonical decimal form, in the range of `i64`.
    Integer,
    /// Any other JSON value, as its JSON text: `0.120`, `true`, `null`, an array.
    Json,
}

impl AttributeKind {
    /// `Integer` where `text` is the canonical decimal form of an `i64`, else `otherwise`.
    pub fn of_number(text: &[u8], otherwise: Self) -> Self {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let canonical = match digits {
            [] => false,
            [b'0'] => digits.len() == text.len(),
            [b'0', ..] => false,
            _ => digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit),
        };
        let fits = canonical
            && (digits.len() < 19 || std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok()));
        if fits { Self::Integer } else { otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_are_integers() {
        for (text, integer) in [
            ("0", true),
            ("-0", false),
            ("-7", true),
            ("007", false),
            ("", false),
            ("-", false),
            ("1.0", false),
            ("9223372036854775807", true),
            ("9223372036854775808", false),
            ("-9223372036854775808", true),
        ] {
            let kind = AttributeKind::of_number(text.as_bytes(), AttributeKind::Text);
            assert_eq!(kind == AttributeKind::Integer, integer, "{text}");
        }
    }
}
