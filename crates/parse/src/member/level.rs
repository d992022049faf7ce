//! How bad a record is by the value of one of its members: words, and the numbers and letters that loggers count in.

use taffrail_record::Severity;

use super::Value;

/// A word, or a number of the usual scales.
pub(super) fn level(value: Value, text: &[u8]) -> Option<Severity> {
    match value {
        Value::Number => numeric_level(text),
        Value::Quoted { escaped: false } | Value::Bare => {
            Severity::from_text(text).or_else(|| numeric_level(text))
        }
        _ => None,
    }
}

/// MongoDB's: the first letter, `D1` to `D5` for debugging.
pub(super) fn letter_level(text: &[u8]) -> Option<Severity> {
    Some(match text {
        b"I" => Severity::INFO,
        b"W" => Severity::WARNING,
        b"E" => Severity::ERROR,
        b"F" => Severity::CRITICAL,
        b"D" | [b'D', b'1'..=b'5'] => Severity::DEBUG,
        _ => return None,
    })
}

pub(super) fn otel_level(text: &[u8]) -> Option<Severity> {
    Some(match std::str::from_utf8(text).ok()?.parse::<u8>().ok()? {
        1..=4 => Severity::TRACE,
        5..=8 => Severity::DEBUG,
        9..=12 => Severity::INFO,
        13..=16 => Severity::WARNING,
        17..=20 => Severity::ERROR,
        21..=24 => Severity::CRITICAL,
        _ => return None,
    })
}

/// Nextcloud's 0 to 4, the worst last.
pub(super) fn upward_level(text: &[u8]) -> Option<Severity> {
    let known = [Severity::DEBUG, Severity::INFO, Severity::WARNING, Severity::ERROR, Severity::CRITICAL];
    known.get(std::str::from_utf8(text).ok()?.parse::<usize>().ok()?).copied()
}

/// Syslog's 0 to 7 (GELF, journald), else the tens of bunyan and pino.
fn numeric_level(text: &[u8]) -> Option<Severity> {
    match std::str::from_utf8(text).ok()?.parse::<u8>().ok()? {
        number @ 0..=7 => Some(Severity::from_syslog(number)),
        10..20 => Some(Severity::TRACE),
        20..30 => Some(Severity::DEBUG),
        30..40 => Some(Severity::INFO),
        40..50 => Some(Severity::WARNING),
        50..60 => Some(Severity::ERROR),
        60 => Some(Severity::CRITICAL),
        _ => None,
    }
}
