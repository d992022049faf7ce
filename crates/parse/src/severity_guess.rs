//! How bad a message is when its line does not say so in a field: a look at its first words.

use taffrail_record::Severity;

use crate::byte_mask::{BLOCK, Bytes, masks as masks_of};

/// Bytes of a message that are looked at.
const WINDOW: usize = BLOCK;

/// A level word where only the word itself tells that it is one: not `ok`, `note`, `log` and other plain English.
pub(crate) fn level_word(word: &[u8]) -> Option<Severity> {
    if !(3..=9).contains(&word.len()) {
        return None;
    }
    let severity = Severity::from_text(word)?;
    let english = [&b"log"[..], b"note", b"fine", b"config", b"failure", b"silly", b"finer"];
    (!english.iter().any(|plain| plain.eq_ignore_ascii_case(word))).then_some(severity)
}

/// The severity that the start of the message `text[start..end]` suggests; `INFO` where nothing does. What
/// follows `end` has no say, but lets the message be looked at in place.
pub(crate) fn guess(text: &[u8], start: usize, end: usize) -> Severity {
    let body = &text[start..end];
    if let Some(severity) = leading(body) {
        return severity;
    }
    let [upper, marks] = match text[start..].first_chunk::<WINDOW>() {
        Some(window) => masks(window),
        None => {
            let mut padded = [0; WINDOW];
            padded[..body.len()].copy_from_slice(body);
            masks(&padded)
        }
    };
    let inside = if body.len() < WINDOW { (1 << body.len()) - 1 } else { u64::MAX };
    first_word(body, upper & inside, marks & inside)
}

/// The first level among the words that the masks point at.
fn first_word(body: &[u8], upper: u64, mut marks: u64) -> Severity {
    // Runs of three or more upper-case letters.
    let mut starts = upper & (upper >> 1) & (upper >> 2) & !(upper << 1);
    while starts | marks != 0 {
        let found = if starts.trailing_zeros() < marks.trailing_zeros() {
            let at = starts.trailing_zeros();
            starts &= starts - 1;
            shouted(body, at as usize, (!(upper >> at)).trailing_zeros() as usize)
        } else {
            let at = marks.trailing_zeros();
            marks &= marks - 1;
            marked(body, at as usize)
        };
        if let Some(severity) = found {
            return severity;
        }
    }
    Severity::INFO
}

/// `error: ...`, `Warning: ...` at the start, and klog's `E0101 12:...`.
fn leading(body: &[u8]) -> Option<Severity> {
    match body.first()? {
        b'e' | b'E' | b'w' | b'W' | b'f' | b'F' | b'p' | b'P' | b'c' | b'C' | b'd' | b'D' | b'i' | b'I' => {}
        _ => return None,
    }
    if let [letter, b'0' | b'1', b'0'..=b'9', b'0'..=b'3', b'0'..=b'9', b' ', b'0'..=b'2', ..] = body {
        return match letter {
            b'E' => Some(Severity::ERROR),
            b'W' => Some(Severity::WARNING),
            b'F' => Some(Severity::CRITICAL),
            b'I' => Some(Severity::INFO),
            _ => None,
        };
    }
    let end = body.iter().take(10).position(|byte| !byte.is_ascii_alphabetic())?;
    (body[end] == b':').then(|| level_word(&body[..end])).flatten()
}

/// A whole upper-case word of `len` bytes at `at`.
fn shouted(body: &[u8], at: usize, len: usize) -> Option<Severity> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let before = at.checked_sub(1).and_then(|before| body.get(before)).is_some_and(is_word);
    if len > 9 || before || body.get(at + len).is_some_and(is_word) {
        return None;
    }
    match body.get(at..at + len)? {
        b"ERR" | b"INFO" | b"WARN" | b"CRIT" | b"TRACE" | b"DEBUG" | b"ERROR" | b"FATAL" | b"ALERT"
        | b"EMERG" | b"PANIC" | b"NOTICE" | b"SEVERE" | b"WARNING" | b"CRITICAL" | b"EMERGENCY" => {
            Severity::from_text(&body[at..at + len])
        }
        _ => None,
    }
}

/// `[error]`, `<Warning>`, `level=error` by the mark (`[`, `<`, `=`) at `at`.
fn marked(body: &[u8], at: usize) -> Option<Severity> {
    let mut start = at + 1;
    let close = match body[at] {
        b'[' => b']',
        b'<' => b'>',
        _ => {
            let key = &body[..at];
            let names_level = [&b"level"[..], b"lvl", b"severity"].iter().any(|name| key.ends_with(name));
            if !names_level {
                return None;
            }
            start += usize::from(body.get(start) == Some(&b'"'));
            0
        }
    };
    let rest = body.get(start..)?;
    let end = rest.iter().take(10).position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len().min(10));
    let closed = close == 0 || rest.get(end) == Some(&close);
    if closed { level_word(&rest[..end]) } else { None }
}

/// Upper-case letters, and the marks `[`, `<`, `=`.
fn masks(window: &[u8; WINDOW]) -> [u64; 2] {
    let splat = Bytes::splat;
    masks_of(window, |bytes| {
        let upper = (bytes - splat(b'A')).simd_le(splat(b'Z' - b'A'));
        // `<` and `=` differ in their last bit only.
        let mark = (bytes | splat(1)).simd_eq(splat(b'=')) | bytes.simd_eq(splat(b'['));
        [upper, mark]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_words() {
        for (body, want) in [
            ("", "INFO"),
            ("all is well", "INFO"),
            ("INFO ERROR", "INFO"),
            ("worker 3: ERROR disk", "ERROR"),
            ("TERROR ERRORS ERROR_CODE xERROR", "INFO"),
            ("GET /health HTTP/1.1 WARN", "WARNING"),
            ("thing [error] 12#3: x", "ERROR"),
            ("thing [errors] x", "INFO"),
            ("thing <Warning> x", "WARNING"),
            ("thing <Warning x", "INFO"),
            ("t=1 level=error msg=x", "ERROR"),
            ("t=1 level=\"warn\" msg=x", "WARNING"),
            ("t=1 label=error msg=x", "INFO"),
            ("error: no such file", "ERROR"),
            ("Warning: deprecated", "WARNING"),
            ("panic: nil map", "CRITICAL"),
            ("log: plain", "INFO"),
            ("E0101 12:00:00.1 1 x.go:1] boom", "ERROR"),
            ("local.ERROR: boom", "ERROR"),
            ("FATAL", "CRITICAL"),
            ("NOTICE", "INFO"),
            ("012345678901234567890123456789012345678901234567890123456 ERROR tail", "ERROR"),
            ("0123456789012345678901234567890123456789012345678901234567890123 ERROR", "INFO"),
            ("é ERROR é", "ERROR"),
        ] {
            assert_eq!(guess(body.as_bytes(), 0, body.len()).name(), want, "{body}");
            let inside = format!("x{body} [error] ERROR {:64}", "");
            let alone = guess(inside.as_bytes(), 1, 1 + body.len());
            assert_eq!(alone.name(), want, "{body}");
        }
    }
}
