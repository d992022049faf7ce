//! What Resolvix tells of a line beside its text: when it was written, how bad it is, and whether anybody is told.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use taffrail_record::{Civil, TimeFormat, Timestamp, Zone};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400 * 1_000_000_000;

/// When a line was written, as its clients read it: `2026-11-01T10:30:45Z`. Of a line that begins as syslog's do, whose zone is
/// so many minutes east of UTC; else the first time in the line that looks so, as it stands there; else now.
///
/// The original takes syslog's times for UTC, and cuts numeric offsets off. Both are mended.
pub fn timestamp(line: &str, now: Timestamp, offset_minutes: i16) -> String {
    syslog(line, now, i32::from(offset_minutes) * 60)
        .map(|time| render(time, 0))
        .or_else(|| iso(line).map(str::to_owned))
        .unwrap_or_else(|| render(now, 6))
}

fn render(time: Timestamp, digits: u8) -> String {
    let mut out = Vec::with_capacity(32);
    TimeFormat::Iso { date: b'-', between: b'T', mark: b'.', digits, zone: Zone::Zulu }
        .render(time, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `Mon D HH:MM:SS` at the start: this year's, or last year's where that would be more than a day from now.
fn syslog(line: &str, now: Timestamp, offset_seconds: i32) -> Option<Timestamp> {
    let month = MONTHS.iter().position(|month| line.starts_with(month))? + 1;
    let mut words = line[3..].split_ascii_whitespace();
    let day: u8 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(|part| part.get(..2)?.parse::<u8>().ok());
    let [hour, minute, second] = [clock.next()??, clock.next()??, clock.next()??];
    let this_year = Civil::from_timestamp(now, offset_seconds).year;
    let of_year = |year| {
        let civil = Civil { year, month: month as u8, day, hour, minute, second, nanosecond: 0 };
        if civil.is_valid() { civil.to_timestamp(offset_seconds) } else { None }
    };
    let is_past = |time: &Timestamp| time.0 <= now.0.saturating_add(DAY);
    of_year(this_year).filter(is_past).or_else(|| of_year(this_year - 1))
}

/// The first `YYYY-MM-DDTHH:MM:SS`, with what follows it: a fraction, a zone.
fn iso(line: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = line.as_bytes();
    let fits = |at: &usize| {
        let found = bytes[*at..].iter().zip(SHAPE);
        found.clone().count() == SHAPE.len()
            && found
                .clone()
                .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    let start = (0..bytes.len()).find(fits)?;
    let mut end = start + SHAPE.len();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    match bytes.get(end) {
        Some(b'Z') => end += 1,
        Some(b'+' | b'-') if digits(end + 1) == 4 => end += 5,
        Some(b'+' | b'-')
            if digits(end + 1) == 2 && bytes.get(end + 3) == Some(&b':') && digits(end + 4) == 2 =>
        {
            end += 6;
        }
        _ => {}
    }
    Some(&line[start..end])
}

/// How bad a line is, by what it says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Badness {
    /// Nothing is wrong.
    Info,
    /// Something might be.
    Warn,
    /// Something is.
    Error,
    /// Something did not work.
    Failure,
    /// Nothing works.
    Critical,
}

impl Badness {
    /// Its name in a payload.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Failure => "failure",
            Self::Critical => "critical",
        }
    }
}

/// How lines are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rules {
    /// By whole words, as Resolvix' page says.
    #[default]
    Words,
    /// As its code does: a line is told of by whole words, and judged by parts of words, so that `criteria` is critical,
    /// `preferred` an error, and `alert` nothing.
    Original,
}

/// What a word says; the first three classes are those that somebody is told of.
const WORDS: [(&str, Badness); 14] = [
    ("panic", Badness::Critical),
    ("fatal", Badness::Critical),
    ("critical", Badness::Critical),
    ("crit", Badness::Critical),
    ("alert", Badness::Critical),
    ("emerg", Badness::Critical),
    ("emergency", Badness::Critical),
    ("fail", Badness::Failure),
    ("failed", Badness::Failure),
    ("failure", Badness::Failure),
    ("err", Badness::Error),
    ("error", Badness::Error),
    ("warn", Badness::Warn),
    ("warning", Badness::Warn),
];
/// The places of the words that say more in the page than in the code.
const SILENT: std::ops::Range<usize> = 4..7;

static SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = WORDS.map(|(word, _)| word);
    let builder =
        AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(words);
    builder.expect("fourteen words")
});

/// Whether a word goes on with it.
fn is_letter(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
}

/// `None` also for what is no UTF-8.
fn first_char(bytes: &[u8]) -> Option<char> {
    let start = bytes.get(..bytes.len().min(4))?;
    start.utf8_chunks().next()?.valid().chars().next()
}

/// `None` also for what is no UTF-8.
fn last_char(bytes: &[u8]) -> Option<char> {
    let whole = |from: usize| std::str::from_utf8(bytes.get(from..)?).ok()?.chars().next();
    (1..=bytes.len().min(4)).find_map(|count| whole(bytes.len() - count))
}

/// How bad a line is, and whether it is one that somebody is told of.
pub fn judge(line: &[u8], rules: Rules) -> (Badness, bool) {
    let (mut badness, mut is_told) = (Badness::Info, false);
    for found in SEARCH.find_overlapping_iter(line) {
        let (before, after) = (&line[..found.start()], &line[found.end()..]);
        let is_whole = !is_letter(last_char(before)) && !is_letter(first_char(after));
        let at = found.pattern().as_usize();
        let Some((_, says)) = WORDS.get(at) else { continue };
        is_told |= is_whole && *says > Badness::Warn;
        let counts = match rules {
            Rules::Words => is_whole,
            Rules::Original => !SILENT.contains(&at),
        };
        if counts {
            badness = badness.max(*says);
        }
    }
    (badness, is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_line() {
        // 2026-11-22T04:00:00.5Z
        let now = Timestamp(1_795_320_000_500_000_000);
        for (line, offset, want) in [
            ("Nov 22 03:59:58 host app: x", 0, "2026-11-22T03:59:58Z"),
            ("Nov  2 03:59:58 host app: x", 60, "2026-11-02T02:59:58Z"),
            ("Dec 31 23:59:59 host app: x", 0, "2025-12-31T23:59:59Z"),
            // In a zone east of here it is later already.
            ("Nov 22 09:29:58 host app: x", 330, "2026-11-22T03:59:58Z"),
            ("Feb 29 00:00:00 host app: 2024-01-15T10:30:45.123+05:00 x", 0, "2024-01-15T10:30:45.123+05:00"),
            ("at 2024-01-15T10:30:45 it", 0, "2024-01-15T10:30:45"),
            ("at 2024-01-15T10:30:45.12Z it", 0, "2024-01-15T10:30:45.12Z"),
            ("é2024-01-15T10:30:45-0800 it", 0, "2024-01-15T10:30:45-0800"),
            ("Novel: no time", 0, "2026-11-22T04:00:00.500000Z"),
            ("", 0, "2026-11-22T04:00:00.500000Z"),
            ("2024-01-15T10:30", 0, "2026-11-22T04:00:00.500000Z"),
        ] {
            assert_eq!(timestamp(line, now, offset), want, "{line}");
        }
    }

    #[test]
    fn lines_are_judged_by_whole_words() {
        for (line, words, original, is_told) in [
            ("Error: connection failed", "failure", "failure", true),
            ("kernel panic - not syncing", "critical", "critical", true),
            ("ALERT: disk", "critical", "info", true),
            ("emerg: x", "critical", "info", true),
            ("search criteria preferred", "info", "critical", false),
            ("preferred", "info", "error", false),
            ("errors and failing, stderr", "info", "failure", false),
            ("WARN low disk", "warn", "warn", false),
            ("warning: error", "error", "error", true),
            ("an err_code", "info", "error", false),
            ("é-error-é", "error", "error", true),
            ("éerror", "info", "error", false),
            ("“error”", "error", "error", true),
            ("✗failed✗", "failure", "failure", true),
            ("errorя", "info", "error", false),
            ("日error", "info", "error", false),
            ("all is well", "info", "info", false),
            ("", "info", "info", false),
        ] {
            let found = judge(line.as_bytes(), Rules::Words);
            assert_eq!((found.0.name(), found.1), (words, is_told), "{line}");
            let found = judge(line.as_bytes(), Rules::Original);
            assert_eq!((found.0.name(), found.1), (original, is_told), "{line}, as the original does");
        }
        // What is no letter at all ends a word.
        assert_eq!(judge(b"\xfferror\xc3", Rules::Words), (Badness::Error, true));
    }
}
