//! What stack traces look like, from one line to the next.

use memchr::memmem;

use super::first;
use crate::class::{self, end_of};

const PYTHON: &[u8] = b"Traceback (most recent call last)";

/// What a trace may begin with. After a line of a log it belongs to that.
const OPENINGS: [&[u8]; 9] = [
    PYTHON,
    b"Stack trace:",
    b"[stacktrace]",
    b"Stacktrace:",
    b"Call Trace:",
    b"Backtrace:",
    b"Exception in thread ",
    b"Unhandled exception",
    b"panic: ",
];

/// What stands inside a trace only.
const PARTS: [&[u8]; 12] = [
    b"Caused by: ",
    b"Suppressed: ",
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"#0 ",
    b"#1 ",
    b"--- End of ",
    b"created by ",
    b"[signal ",
    b"stack backtrace:",
    b"note: run with `RUST_BACKTRACE",
    b"exit status ",
];

/// Names of exceptions end so.
const THROWABLES: [&[u8]; 6] = [b"Exception", b"Error", b"Throwable", b"Interrupt", b"Fault", b"Failure"];

/// Words of lines that traces follow.
const TROUBLE: [&[u8]; 8] = [b"rror", b"xception", b"ERR", b"FATAL", b"WARN", b"panic", b"CRIT", b"SEVERE"];

/// Whether `line`, which is neither indented nor begins as lines of logs do, goes on with the trace before it.
pub(super) fn goes_on(record: &[u8], first: &[u8], last: &[u8], line: &[u8]) -> bool {
    let in_block = is_indented(last);
    if starts(line, &PARTS) || is_frame(line) {
        return in_block || first::surely(first) || begins(first);
    }
    if starts(line, &OPENINGS) || is_throwable(line) {
        return first::surely(first) || in_block && holds(record, PYTHON) || starts(last, &PARTS);
    }
    match line {
        // What an indented block ends with.
        [b'}' | b')' | b']', ..] | [b'<', b'/', ..] => {
            in_block || matches!(last.last(), Some(b'{' | b'(' | b'['))
        }
        _ if is_panic(first) => first.len() == record.len(),
        _ if in_block && holds(record, PYTHON) => is_name_before_colon(line),
        _ => is_goroutine(line) && (first.starts_with(b"panic: ") || holds(record, b"goroutine ")),
    }
}

/// Whether a blank line belongs to the record before it.
pub(super) fn has_blank_lines(first: &[u8], last: &[u8]) -> bool {
    last.is_empty() || is_indented(last) || starts(first, &OPENINGS) || first::surely(first)
}

/// Whether a single line looks like the first of several.
pub(super) fn announces(line: &[u8]) -> bool {
    matches!(line.last(), Some(b':' | b'\\' | b'{' | b'[' | b'(')) || begins(line)
}

/// Whether a line tells of trouble.
pub(super) fn is_trouble(line: &[u8]) -> bool {
    TROUBLE.iter().any(|word| holds(line, word))
}

/// Whether some line of a record begins a trace.
pub(super) fn is_in(record: &[u8]) -> bool {
    let mut lines = record.split(|byte| *byte == b'\n');
    lines.any(begins)
}

/// Whether a trace begins with the line.
fn begins(line: &[u8]) -> bool {
    starts(line, &OPENINGS) || is_throwable(line) || is_panic(line)
}

/// `thread 'main' panicked at src/main.rs:2:5:`, whose next line is the message.
fn is_panic(line: &[u8]) -> bool {
    line.starts_with(b"thread '") && holds(line, b" panicked at ")
}

/// `goroutine 1 [running]:`, `main.main()`.
fn is_goroutine(line: &[u8]) -> bool {
    line.ends_with(b")") || line.starts_with(b"goroutine ")
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn starts(line: &[u8], texts: &[&[u8]]) -> bool {
    texts.iter().any(|text| line.starts_with(text))
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// `at com.example.Main.main(Main.java:5)`, `... 5 more`.
fn is_frame(line: &[u8]) -> bool {
    line.starts_with(b"at ") && line.contains(&b'(')
        || line.starts_with(b"... ")
            && (line.ends_with(b" more") || line.ends_with(b" common frames omitted"))
}

/// `java.lang.IllegalStateException: text`, `ValueError: text`, `KeyboardInterrupt`.
fn is_throwable(line: &[u8]) -> bool {
    let name = &line[..name_end(line)];
    THROWABLES.iter().any(|end| name.len() > end.len() && name.ends_with(end)) && is_name_before_colon(line)
}

/// Whether a line is a name, or one before a colon.
fn is_name_before_colon(line: &[u8]) -> bool {
    let end = name_end(line);
    end > 0 && !line[0].is_ascii_digit() && matches!(line.get(end), None | Some(b':'))
}

fn name_end(line: &[u8]) -> usize {
    let mut end = end_of(line, 0, class::WORD);
    while matches!(line.get(end), Some(b'.' | b'$')) {
        let next = end_of(line, end + 1, class::WORD);
        if next == end + 1 {
            break;
        }
        end = next;
    }
    end
}
