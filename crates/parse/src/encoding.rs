//! Bytes that are no plain UTF-8 text, made readable: UTF-16, Windows-1252 and its subset Latin-1, escape sequences of
//! terminals.
//!
//! Lines are told apart one by one, for what a line becomes depends on nothing else: a line of UTF-16 is known by the
//! zero bytes that Latin letters have in it, so a line without any stays unreadable. The raw bytes are kept beside.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::{memchr, memchr2};

const ESCAPE: u8 = 0x1b;
/// In UTF-16 at least one of so many code units is a Latin letter.
const LATIN_SHARE: usize = 3;

/// Whether some line of `bytes` may have to be made readable, though all are UTF-8.
pub(crate) fn has_marks(bytes: &[u8]) -> bool {
    memchr2(0, ESCAPE, bytes).is_some()
}

/// The line as text without escape sequences; `None` where it is that already.
pub(crate) fn readable(line: &[u8]) -> Option<String> {
    if let Some(text) = utf16(line) {
        return Some(text);
    }
    let decoded = match std::str::from_utf8(line) {
        Ok(text) => match memchr(ESCAPE, line) {
            Some(_) => return Some(without_escapes(text)),
            None => return None,
        },
        Err(_) if is_broken_utf8(line) => String::from_utf8_lossy(line).into_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(line).0.into_owned(),
    };
    Some(if decoded.as_bytes().contains(&ESCAPE) { without_escapes(&decoded) } else { decoded })
}

/// A line, readable where its first bytes tell that it is not.
pub(crate) fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let is_odd = matches!(line, [0 | ESCAPE | 0xfe | 0xff, ..] | [_, 0, ..]);
    match if is_odd { readable(line) } else { None } {
        Some(text) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(line),
    }
}

/// Whether a line that is no UTF-8 was meant to be: it has characters of several bytes, or bytes that no text has.
fn is_broken_utf8(line: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n' | &ESCAPE);
    line.iter().any(is_control) || line.utf8_chunks().any(|chunk| !chunk.valid().is_ascii())
}

/// The text of a line of UTF-16. It was cut at the byte of the newline, so its first byte or its last may be the other
/// half of one.
fn utf16(line: &[u8]) -> Option<String> {
    let marked = matches!(line, [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] if !is_mostly_ascii(rest));
    if line == b"\0" {
        return Some(String::new());
    }
    if !marked && memchr(0, line).is_none() {
        return None;
    }
    if marked {
        let (encoding, rest) = if line[0] == 0xff { (UTF_16LE, &line[2..]) } else { (UTF_16BE, &line[2..]) };
        return Some(decoded(encoding, rest));
    }
    let little = line.strip_prefix(b"\0").filter(|_| line.len() % 2 == 1).unwrap_or(line);
    let readings = [(UTF_16LE, little, 1), (UTF_16BE, line, 0)];
    let latin = |text: &[u8], high: usize| {
        let units = text.len() / 2;
        let letters = text.chunks_exact(2).filter(|unit| unit[high] == 0 && unit[1 - high] != 0).count();
        if letters * LATIN_SHARE >= units.max(1) { letters } else { 0 }
    };
    let (letters, encoding, text) = readings
        .into_iter()
        .map(|(encoding, text, high)| (latin(text, high), encoding, text))
        .reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    (letters > 0).then(|| decoded(encoding, text))
}

/// Whether nearly all of it is letters as they are: no text of UTF-16 is, whatever stands before it.
fn is_mostly_ascii(text: &[u8]) -> bool {
    let letters = text.iter().filter(|byte| matches!(byte, b' '..=b'~')).count();
    letters > text.len() / 4 * 3
}

fn decoded(encoding: &'static Encoding, text: &[u8]) -> String {
    let whole = &text[..text.len() / 2 * 2];
    encoding.decode_without_bom_handling(whole).0.into_owned()
}

/// The text without what steers a terminal: ECMA-48's control sequences, and strings of operating system commands.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(ESCAPE, rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at + escape_len(&rest.as_bytes()[at..])..];
    }
    plain.push_str(rest);
    plain
}

/// Bytes of the sequence at the start; one that is cut off is no sequence but its first byte.
fn escape_len(text: &[u8]) -> usize {
    let run =
        |from: usize, inside: fn(&u8) -> bool| text[from..].iter().take_while(|byte| inside(byte)).count();
    match text.get(1) {
        Some(b'[') => {
            let parameters = 2 + run(2, |byte| (0x20..=0x3f).contains(byte));
            if text.get(parameters).is_some_and(|last| (0x40..=0x7e).contains(last)) {
                parameters + 1
            } else {
                1
            }
        }
        Some(b']') => {
            let end = 2 + run(2, |byte| !matches!(byte, 0x07 | &ESCAPE));
            match text.get(end..) {
                Some([0x07, ..]) => end + 1,
                Some([ESCAPE, b'\\', ..]) => end + 2,
                _ => 1,
            }
        }
        // A character set.
        Some(0x20..=0x2f) if text.get(2).is_some_and(u8::is_ascii) => 3,
        Some(0x30..=0x7e) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text as a cutter hands them over: cut at the byte of the newline.
    fn cut(bytes: &[u8]) -> Vec<String> {
        let lines = bytes.split(|byte| *byte == b'\n');
        lines
            .map(|line| readable(line).unwrap_or_else(|| String::from_utf8(line.to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn utf16_is_read_in_both_orders() {
        let text = "2026 ERROR Gr\u{fc}\u{df}e\r\nINFO \u{43c}\u{438}\u{440} zwei\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let want = ["2026 ERROR Gr\u{fc}\u{df}e\r", "INFO \u{43c}\u{438}\u{440} zwei\r", ""];
        assert_eq!(cut(&little), want);
        assert_eq!(cut(&[b"\xff\xfe", &little[..]].concat()), want);
        assert_eq!(cut(&[b"\xfe\xff", &big[..]].concat())[0], want[0]);
    }

    #[test]
    fn western_bytes_are_letters_and_broken_ones_are_not() {
        assert_eq!(readable(b"Gr\xfc\xdfe f\xfcr 5 \x80").unwrap(), "Gr\u{fc}\u{df}e f\u{fc}r 5 \u{20ac}");
        assert_eq!(readable("\u{fc} \u{fffd}".as_bytes()), None);
        assert_eq!(readable(b"\xc3\xbc \xff").unwrap(), "\u{fc} \u{fffd}");
        assert_eq!(readable(b"\x01\x02\xff").unwrap(), "\u{1}\u{2}\u{fffd}");
        assert_eq!(readable(b"a\0b and more text"), None, "a zero byte makes no UTF-16");
        let said = readable(b"\xff\xfe\x80 sshd: Failed password").unwrap();
        assert!(said.ends_with(" sshd: Failed password"), "nor does a mark before a plain text: {said}");
    }

    #[test]
    fn colours_are_left_out() {
        for (line, want) in [
            ("\x1b[2m12:00\x1b[0m \x1b[1;31mERROR\x1b[m x", "12:00 ERROR x"),
            ("\x1b]8;;http://example.org\x07link\x1b]8;;\x1b\\ \x1b(Bend", "link end"),
            ("cut \x1b[1;3", "cut [1;3"),
        ] {
            assert_eq!(readable(line.as_bytes()).unwrap(), want);
        }
    }
}
