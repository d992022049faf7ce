//! Any line that starts with a timestamp with a year, bare or in brackets, perhaps with a level after it.

use taffrail_record::{AttributeKind, Severity};

use crate::class::{self, end_of, find, skip_blanks};
use crate::clock::{Clock, Stamp};
use crate::draft::{Draft, Known};
use crate::severity_guess::level_word;

/// Bytes of a thread's or logger's name at most.
const FIELD_MAX: usize = 64;
/// Bytes before a timestamp inside a line at most.
const INSIDE_MAX: usize = 64;
/// Places in a line that are looked at for one.
const ATTEMPTS_MAX: usize = 12;
/// Bytes of the shortest timestamp with date and clock: `261101 00:00:00`.
const STAMP_MIN: usize = 15;

/// `[2026-11-01 00:00:00] ...`.
pub(super) fn bracketed(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    let Some(stamp) = clock.any(&line[1..]) else {
        return false;
    };
    line.get(1 + stamp.end()) == Some(&b']') && after(line, 1, &stamp, draft)
}

/// `Sun Nov  1 00:00:00 2026 ...`: it begins with the name of a day or month.
pub(super) fn named(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    let Some(stamp) = clock.any(line) else {
        return false;
    };
    line.get(stamp.end()).is_none_or(|byte| !byte.is_ascii_alphanumeric()) && after(line, 0, &stamp, draft)
}

/// A timestamp with date, clock and year near the start of a line of no other format, as in
/// `=== dump at Sun Nov  1 00:00:00 2026 ===`.
pub(super) fn inside(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    let starts = |at: &usize| !line[at - 1].is_ascii_alphanumeric() && line[*at].is_ascii_alphanumeric();
    let found = (1..line.len().min(INSIDE_MAX)).filter(starts).take(ATTEMPTS_MAX).find_map(|at| {
        let stamp = clock.any(&line[at..])?;
        (stamp.year_known && stamp.len >= STAMP_MIN).then_some((at, stamp))
    });
    if let Some((at, stamp)) = &found {
        draft.take_time(*at, stamp);
    }
    found.is_some()
}

/// What follows the stamp that was found at `at`.
pub(super) fn after(line: &[u8], at: usize, stamp: &Stamp, draft: &mut Draft) -> bool {
    draft.cut_time(line, at, stamp);
    let rest = skip_separators(line, at + stamp.end() + at);
    let body = match level_at(line, rest) {
        Some(level) => take_level(line, &level, draft),
        None => match field_at(line, rest) {
            Some((field, level)) => {
                field.take(line, draft);
                take_level(line, &level, draft)
            }
            None => rest,
        },
    };
    draft.cut_body(line, body);
    true
}

/// A level word and what closes it.
struct Level {
    severity: Severity,
    start: usize,
    end: usize,
    /// After the closing bracket, if it stands in one.
    after: usize,
}

fn take_level(line: &[u8], level: &Level, draft: &mut Draft) -> usize {
    draft.cut(line, level.start, level.end, b"{level}");
    draft.level(level.severity, line, level.start, level.end);
    skip_separators(line, level.after)
}

/// `[ERROR]`, `ERROR`, `error:`: a word without bracket or colon must be in capitals to be a level.
fn level_at(line: &[u8], at: usize) -> Option<Level> {
    let close = match line.get(at)? {
        b'[' => b']',
        b'(' => b')',
        b'<' => b'>',
        b'A'..=b'Z' | b'a'..=b'z' => 0,
        _ => return None,
    };
    let start = if close == 0 { at } else { skip_blanks(line, at + 1) };
    let end = end_of(line, start, class::WORD);
    if end - start > 11 {
        return None;
    }
    let word = &line[start..end];
    if close != 0 {
        let closing = skip_blanks(line, end);
        let severity = Severity::from_text(word)?;
        return (line.get(closing) == Some(&close)).then_some(Level {
            severity,
            start,
            end,
            after: closing + 1,
        });
    }
    let capitals = word.iter().all(u8::is_ascii_uppercase);
    let fits = match line.get(end) {
        None => capitals,
        Some(b':' | b'\t' | b'|') => true,
        Some(b' ') => capitals || matches!(line.get(end + 1), Some(b' ' | b'|')),
        Some(b',' | b'-') => capitals,
        Some(_) => false,
    };
    let severity = level_word(word)
        .or_else(|| (word == b"LOG" && line.get(end) == Some(&b':')).then_some(Severity::INFO));
    severity.filter(|_| fits).map(|severity| Level { severity, start, end, after: end })
}

/// A thread, process or logger between stamp and level.
struct Field {
    known: Known,
    start: usize,
    end: usize,
}

impl Field {
    fn take(&self, line: &[u8], draft: &mut Draft) {
        draft.cut_known(line, self.start, self.end, self.known);
        if self.known == Known::Pid {
            draft.number(self.known, line, self.start, self.end);
        } else {
            draft.attribute(self.known, AttributeKind::Text, self.start, self.end);
        }
    }
}

/// `[main] ERROR`, `1234 ERROR`, `app.db ERROR`.
fn field_at(line: &[u8], at: usize) -> Option<(Field, Level)> {
    let bracketed = line.get(at)? == &b'[';
    let start = at + usize::from(bracketed);
    let window = &line[..line.len().min(start + FIELD_MAX + 1)];
    let end = if bracketed { find(window, start, b']')? } else { end_of(window, start, class::KEY) };
    let after = end + usize::from(bracketed);
    let rest = skip_separators(line, after);
    if start == end || end == window.len() || rest == after {
        return None;
    }
    let level = level_at(line, rest)?;
    let in_brackets = level.after > level.end;
    let capitals = line[level.start..level.end].iter().all(u8::is_ascii_uppercase);
    let known = match (&line[start..end], bracketed) {
        (text, _) if text.iter().all(u8::is_ascii_digit) => Known::Pid,
        (_, true) => Known::Thread,
        (_, false) => Known::Logger,
    };
    // Prose has levels in it too: `Connection error: ...`.
    (capitals || in_brackets).then_some((Field { known, start, end }, level))
}

/// The index after blanks and at most one of `-`, `|`, `:` or `,`.
fn skip_separators(line: &[u8], at: usize) -> usize {
    let mark = skip_blanks(line, at);
    match line.get(mark) {
        Some(b':' | b',') if mark == at => skip_blanks(line, mark + 1),
        Some(b'|') => skip_blanks(line, mark + 1),
        Some(b'-') if mark == at || matches!(line.get(mark + 1), Some(b' ')) => skip_blanks(line, mark + 1),
        _ => mark.min(line.len()),
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        let time = "2026-11-01T00:00:00";
        for (line, want, layout) in [
            (
                "2026-11-01 00:00:00,123 INFO started",
                ".123000000Z INFO | started",
                "{ts:iso- ,3~+0000} {level} {body}",
            ),
            ("2026-11-01 00:00:00 plain {x}", ".000000000Z INFO | plain {x}", "{ts:iso- .0~+0000} {body}"),
            (
                "2026-11-01T00:00:00Z\tERROR\tmain 5\tx",
                ".000000000Z ERROR | main 5\tx",
                "{ts:iso-T.0Z}\t{level}\t{body}",
            ),
            (
                "2026-11-01T00:00:00Z\twarn\tx",
                ".000000000Z WARNING | x | level=warn",
                "{ts:iso-T.0Z}\t{level}\t{body}",
            ),
            (
                "[2026-11-01 00:00:00] [error] x",
                ".000000000Z ERROR | x | level=error",
                "[{ts:iso- .0~+0000}] [{level}] {body}",
            ),
            (
                "[2026-11-01T00:00:00+00:00] local: x",
                ".000000000Z INFO | local: x",
                "[{ts:iso-T.0+00:00}] {body}",
            ),
            (
                "2026-11-01 00:00:00.123  WARN 7 -- [main] c.e.App : x",
                ".123000000Z WARNING | 7 -- [main] c.e.App : x | level=WARN",
                "{ts:iso- .3~+0000}  {level} {body}",
            ),
            (
                "2026-11-01 00:00:00,123 [main] DEBUG c.e.App = x",
                ".123000000Z DEBUG | c.e.App = x | thread=main",
                "{ts:iso- ,3~+0000} [{.thread}] {level} {body}",
            ),
            (
                "2026-11-01 00:00:00.5 UTC [77] FATAL:  gone",
                ".500000000Z CRITICAL |  gone | pid=77i level=FATAL",
                "{ts:iso- .1~+0000} UTC [{.pid}] {level}:{body}",
            ),
            (
                "2026-11-01 00:00:00.5 UTC [77] LOG:  ready",
                ".500000000Z INFO |  ready | pid=77i level=LOG",
                "",
            ),
            (
                "2026-11-01 00:00:00 +0000 db.pool ERROR x",
                ".000000000Z ERROR | x | logger=db.pool",
                "{ts:iso- .0~+0000} +0000 {.logger} {level} {body}",
            ),
            (
                "2026-11-01 00:00:00 Connection error: x",
                ".000000000Z INFO | Connection error: x",
                "{ts:iso- .0~+0000} {body}",
            ),
            ("2026/11/01 00:00:00 listening", ".000000000Z INFO | listening", "{ts:iso/ .0~+0000} {body}"),
            ("2026-11-01T00:00:00-00:00 x", ".000000000Z INFO | x", "{ts:iso-T.0~+0000}-00:00 {body}"),
            ("2026-11-01T00:00:00.1234567891Z x", ".123456789Z INFO | x", ""),
            (
                "2026-11-01 00:00:00, Info  Starting the service",
                ".000000000Z INFO | Starting the service | level=Info",
                "{ts:iso- .0~+0000}, {level}  {body}",
            ),
        ] {
            // Blanks after a separator are the layout's.
            let want = want.replace("|  ", "| ");
            let layout = layout.replace("{level}:{body}", "{level}:  {body}");
            let layout = if line.contains("LOG:") {
                "{ts:iso- .1~+0000} UTC [{.pid}] {level}:  {body}".to_owned()
            } else {
                layout
            };
            check(line, &format!("{time}{want}"), &layout);
        }
    }
}
