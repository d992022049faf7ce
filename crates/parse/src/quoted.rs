//! Text between quotes: where it ends, and what its escapes stand for.

use memchr::memchr2;

/// Bytes that are looked at one by one first: most keys and values are shorter than a search is worth.
const SHORT: usize = 16;

/// Where the string whose first byte (after the quote) is `start` ends, and whether it holds escapes. `None`
/// if it has no end, a raw control character or an escape that JSON does not know.
pub(crate) fn scan(text: &[u8], start: usize) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (start, false);
    loop {
        let found = special(text, at)?;
        if text[found] == b'"' {
            return Some((found, escaped));
        }
        escaped = true;
        at = found
            + match text.get(found + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' if text.get(found + 2..found + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                _ => return None,
            };
    }
}

/// Where the text after a quote ends, if a backslash takes the meaning of whatever follows it; `None` if it has no end.
pub(crate) fn end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The index of the next quote or backslash; `None` if a control character or nothing comes first.
fn special(text: &[u8], start: usize) -> Option<usize> {
    let near = text.len().min(start + SHORT);
    for (step, byte) in text.get(start..near)?.iter().enumerate() {
        match byte {
            b'"' | b'\\' => return Some(start + step),
            0..0x20 => return None,
            _ => {}
        }
    }
    let found = near + memchr2(b'"', b'\\', &text[near..])?;
    let clean = !text[near..found].iter().any(|byte| *byte < 0x20);
    clean.then_some(found)
}

/// Appends what `text` (the inside of a string that [`scan`] accepted) stands for. Returns whether a layout
/// escapes the result to the same text again.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut rest, mut canonical) = (text, true);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let plain = match rest.get(1) {
            Some(byte @ (b'"' | b'\\')) => *byte,
            Some(b'/') => {
                canonical = false;
                b'/'
            }
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => {
                let (c, used) = code_point(rest);
                canonical &= is_canonical(c, &rest[..used]);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[used..];
                continue;
            }
        };
        out.push(plain);
        rest = &rest[2..];
    }
    out.extend_from_slice(rest);
    canonical
}

/// Whether a layout writes `c` as `escape`: only control characters without a short escape, in lower case.
fn is_canonical(c: char, escape: &[u8]) -> bool {
    c < ' '
        && !matches!(c, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}')
        && escape == format!("\\u{:04x}", u32::from(c)).as_bytes()
}

/// The character of `\uXXXX`, or of two that are a surrogate pair, and the bytes used.
fn code_point(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(high) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, text.len().min(1));
    };
    if let (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) = (high, unit(6)) {
        let c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_record::layout::escape_json;

    #[test]
    fn finds_the_end_and_refuses_what_is_no_json() {
        for (text, want) in [
            (&br#"abc" x"#[..], Some((3, false))),
            (br#"a\"b""#, Some((4, true))),
            (br#"\u00e9""#, Some((6, true))),
            (br#"\u00g9""#, None),
            (br#"\x""#, None),
            (b"a\tb\"", None),
            (b"abc", None),
            (br"abc\", None),
        ] {
            assert_eq!(scan(text, 0), want, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn knows_which_escapes_a_layout_writes_again() {
        for (text, plain, canonical) in [
            (r#"a\"b\\c"#, "a\"b\\c", true),
            (r"\n\r\t\b\f", "\n\r\t\u{8}\u{c}", true),
            (r"\u001b[0m", "\u{1b}[0m", true),
            (r"\u001B[0m", "\u{1b}[0m", false),
            (r"\u000a", "\n", false),
            (r"\/", "/", false),
            (r"\u00e9", "é", false),
            (r"\ud83d\ude00!", "😀!", false),
            (r"\ud83d!", "\u{fffd}!", false),
        ] {
            let mut out = Vec::new();
            assert_eq!(unescape(text.as_bytes(), &mut out), canonical, "{text}");
            assert_eq!(String::from_utf8(out).unwrap(), plain);
            let mut again = Vec::new();
            escape_json(plain, &mut again);
            assert_eq!(again == text.as_bytes(), canonical, "{text}");
        }
    }
}
