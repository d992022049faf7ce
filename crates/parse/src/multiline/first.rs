//! What the first bytes of a line tell: whether a record begins with it.

use taffrail_record::Severity;

use crate::class::{self, end_of, skip_blanks};
use crate::severity_guess::level_word;

const MONTHS_AND_DAYS: [&[u8; 3]; 19] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Sun",
    b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat",
];

/// Whether a line begins a record, whatever came before: it has a time or the opening of its format, or is a heading or a
/// directive.
pub(super) fn begins(line: &[u8]) -> bool {
    let opens = matches!(line, [b'<', b'0'..=b'9', ..] | [b'{', b'"' | b'\\', ..]);
    opens || has_time(line) || is_heading(line) || is_directive(line)
}

/// `#Fields: `, `#close<TAB>`: what says how the lines after it are to be read.
fn is_directive(line: &[u8]) -> bool {
    let Some(name) = line.strip_prefix(b"#") else { return false };
    let end = name.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
    end > 0 && matches!(name.get(end), Some(b':' | b'\t'))
}

/// Whether a line begins as those of logs do.
pub(super) fn surely(line: &[u8]) -> bool {
    begins(line) || has_level(line)
}

/// Whether a line begins with what looks like a time, an address or a number that stands for a time.
pub(super) fn has_time(line: &[u8]) -> bool {
    match line {
        [b'0'..=b'9', ..] => number_of_time(line),
        [b'[', b'0'..=b'9', ..] => number_of_time(&line[1..]),
        // Kernel: seconds since boot.
        [b'[', b' ', b' ' | b'0'..=b'9', ..] => true,
        [b'[' | b'(', rest @ ..] => month_or_day(rest),
        _ => month_or_day(line) || klog(line) || time_member(line),
    }
}

/// Whether a line begins a record though it is indented; without its blanks: it has a time, perhaps after a level.
pub(super) fn begins_indented(line: &[u8]) -> bool {
    let after_level = || memchr::memchr(b' ', line).is_some_and(|blank| has_time(&line[blank + 1..]));
    has_time(line) || has_level(line) && after_level()
}

/// Whether a line begins with a level, bare or in brackets.
pub(super) fn has_level(line: &[u8]) -> bool {
    let open = usize::from(matches!(line.first(), Some(b'[' | b'<' | b'(')));
    let end = end_of(line, open, class::WORD);
    let word = &line[open..end];
    let closed = match line.get(end) {
        Some(b']' | b'>' | b')') => open == 1,
        Some(b':' | b' ' | b'\t' | b'|' | b',') => open == 0,
        _ => false,
    };
    closed
        && if open == 1 {
            Severity::from_text(word).is_some()
        } else {
            level_word(word).is_some() && shouted(line, end)
        }
}

/// Whether a bare word is meant as a level: in capitals, or before a colon.
fn shouted(line: &[u8], end: usize) -> bool {
    line[..end].iter().all(u8::is_ascii_uppercase) || line.get(end) == Some(&b':')
}

/// `=== Title ===`.
fn is_heading(line: &[u8]) -> bool {
    line.starts_with(b"==") && line.ends_with(b"==") && line.iter().any(u8::is_ascii_alphabetic)
}

/// `2026-`, `26/11/`, `12:00`, `20261101`, `1793491200`, `192.168.`: digits and what goes between them in times.
fn number_of_time(text: &[u8]) -> bool {
    let digits = text.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let next = (text.get(digits), text.get(digits + 1));
    match (digits, next) {
        (1..=4, (Some(b'-' | b'/' | b':' | b'.'), Some(b'0'..=b'9'))) => true,
        (1..=2, (Some(b'/' | b'-' | b' '), Some(b'A'..=b'Z'))) => month_or_day(&text[digits + 1..]),
        (6 | 8, (Some(b' ' | b'-' | b'T' | b'.'), Some(b'0'..=b'9' | b' '))) => true,
        (9.., _) => true,
        _ => false,
    }
}

fn month_or_day(text: &[u8]) -> bool {
    let Some((name, rest)) = text.split_first_chunk::<3>() else { return false };
    matches!(rest.first(), Some(b' ' | b',' | b'/' | b'-'))
        && matches!(name, [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z'])
        && rest.get(1..8).is_some_and(|rest| rest.iter().any(u8::is_ascii_digit))
        && MONTHS_AND_DAYS.contains(&name)
}

/// `E1130 12:00:00.000000`.
fn klog(line: &[u8]) -> bool {
    matches!(
        line,
        [b'D' | b'I' | b'W' | b'E' | b'F', b'0'..=b'1', b'0'..=b'9', b'0'..=b'3', b'0'..=b'9', b' ', ..]
    )
}

/// `time="...`, `ts=...`, `level=...`: logfmt.
fn time_member(line: &[u8]) -> bool {
    let end = end_of(line, 0, class::KEY);
    let known = matches!(
        &line[..end],
        b"time" | b"ts" | b"t" | b"timestamp" | b"@timestamp" | b"level" | b"lvl" | b"at" | b"date"
    );
    known && line.get(end) == Some(&b'=') && skip_blanks(line, end + 1) == end + 1
}
