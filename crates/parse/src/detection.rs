//! What the lines of a source have shown: the format that most are in, and how their dates are to be read. Found in the
//! first lines, kept, and found anew when lines stop fitting (ADR 16).

use taffrail_record::Timestamp;

/// Bytes of the first lines that are looked at before anything is parsed, at most.
pub(crate) const LOOK_BYTES: usize = 64 * 1024;
/// So many lines are counted before the format is looked at again.
const WINDOW_LINES: u64 = 256;
/// A line that is read live was written at most so long before, and its clock is at most so far ahead.
const LIVE_NS: u64 = 15 * 60 * 1_000_000_000;

/// What is known of a source's lines from those that came before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Detection {
    /// The format that at least half of the lines are in: it is tried first. `None`: there is none.
    pub format: Option<&'static str>,
    /// Whether `03/04/2026` is the third of April, not the fourth of March.
    pub day_first: bool,
}

/// What follows a format's name in a note where days come first.
const DAY_FIRST: &str = "day-first";

impl Detection {
    /// As a note, which [`Detection::from_note`] reads.
    pub fn note(&self) -> String {
        let order = if self.day_first { DAY_FIRST } else { "" };
        format!("{} {order}", self.format.unwrap_or_default())
    }

    /// What a note says; a format that is not known any more is none.
    pub fn from_note(note: &str) -> Self {
        let (format, order) = note.split_once(' ').unwrap_or((note, ""));
        let format = crate::format_names().find(|known| *known == format);
        Self { format, day_first: order == DAY_FIRST }
    }
}

/// Follows the lines of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detector {
    /// What holds for the next batch.
    found: Detection,
    /// Whether enough lines were seen for it.
    is_settled: bool,
    /// The formats of the lines of this window, and how many were in each.
    window: Vec<(&'static str, u64)>,
    lines: u64,
    /// The last date of two numbers and a year.
    last: Option<SlashedDate>,
    /// Whether a number above twelve has told the order.
    is_proven: bool,
    /// Whether someone has said the order.
    is_set: bool,
}

/// A date as it is written: `03/04/2026`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct SlashedDate {
    first: u8,
    second: u8,
    year: [u8; 4],
}

impl SlashedDate {
    /// The one that a text begins with.
    fn read(text: &[u8]) -> Option<Self> {
        let [a, b, b'/', c, d, b'/', year @ ..] = text else { return None };
        let number = |tens: &u8, ones: &u8| {
            (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
        };
        let year = *year.first_chunk()?;
        Some(Self { first: number(a, b)?, second: number(c, d)?, year })
    }

    /// Whether the day comes first, where that is beyond doubt.
    fn proves(self) -> Option<bool> {
        match (self.first > 12, self.second > 12) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }

    /// The same, of the date of the next line: days go by one after the other.
    fn suggests(self, next: Self) -> Option<bool> {
        let step = |before: u8, after: u8| before.checked_add(1) == Some(after);
        match (self.year == next.year, self.first == next.first, self.second == next.second) {
            (true, false, true) if step(self.first, next.first) => Some(true),
            (true, true, false) if step(self.second, next.second) => Some(false),
            _ => None,
        }
    }
}

impl Detector {
    /// What holds for the next batch.
    pub(crate) fn found(&self) -> Detection {
        self.found
    }

    /// Whether there were lines to find something in.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Goes on from what was found elsewhere.
    pub(crate) fn settle(&mut self, found: Detection) {
        let is_set = self.is_set;
        *self = Self { found, is_settled: true, is_proven: found.day_first, is_set, ..Self::default() };
    }

    /// Dates are in this order, whatever they look like.
    pub(crate) fn set_order(&mut self, day_first: bool) {
        (self.found.day_first, self.is_set) = (day_first, true);
    }

    /// Notes the formats of some lines, and how many were in each.
    pub(crate) fn note(&mut self, formats: &[(&'static str, u64)]) {
        for (format, lines) in formats {
            add(&mut self.window, format, *lines);
            self.lines += lines;
        }
        if self.lines >= WINDOW_LINES {
            self.decide();
        }
    }

    /// Notes the time that a line has: as it is written, as it was read with `day_first`, and when its line was read.
    pub(crate) fn note_time(&mut self, text: &[u8], time: Timestamp, day_first: bool, observed: Timestamp) {
        let Some(date) = SlashedDate::read(text).filter(|_| !self.is_set) else { return };
        let suggested = self.last.replace(date).and_then(|last| last.suggests(date));
        if let Some(proven) = date.proves() {
            (self.found.day_first, self.is_proven) = (proven, true);
        } else if !self.is_proven {
            let is_live = time.0.abs_diff(observed.0) <= LIVE_NS && date.first != date.second;
            let other_is_live = || self.is_live_swapped(date, time, day_first, observed);
            let shown = if is_live { Some(day_first) } else { other_is_live().or(suggested) };
            self.found.day_first = shown.unwrap_or(self.found.day_first);
        }
    }

    /// The other order, if the line was written a moment ago by that.
    fn is_live_swapped(
        &self,
        date: SlashedDate,
        time: Timestamp,
        day_first: bool,
        observed: Timestamp,
    ) -> Option<bool> {
        let year = std::str::from_utf8(&date.year).ok()?.parse().ok()?;
        let days = |day_first: bool| {
            let (month, day) = if day_first { (date.second, date.first) } else { (date.first, date.second) };
            crate::clock::day_number(year, month, day)
        };
        let moved = (days(!day_first)? - days(day_first)?).checked_mul(86_400 * Timestamp::SECOND)?;
        let swapped = time.0.checked_add(moved)?;
        (swapped.abs_diff(observed.0) <= LIVE_NS).then_some(!day_first)
    }

    /// Ends the window: the format stays as long as half of the lines are in it.
    pub(crate) fn decide(&mut self) {
        if self.lines == 0 {
            return;
        }
        let most = self.window.iter().copied().max_by_key(|(_, lines)| *lines);
        let format = most.filter(|(_, lines)| lines * 2 >= self.lines).map(|(format, _)| format);
        self.found.format = format;
        self.is_settled = true;
        self.window.clear();
        self.lines = 0;
    }
}

/// Adds lines in a format to those that were counted. One name stands in one place, so its address tells; another place
/// would only count it apart.
pub(crate) fn add(counts: &mut Vec<(&'static str, u64)>, format: &'static str, lines: u64) {
    match counts.iter_mut().find(|(known, _)| std::ptr::eq(*known, format)) {
        Some((_, sum)) => *sum += lines,
        None => counts.push((format, lines)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Timestamp = Timestamp(1_777_939_200_000_000_000); // 2026-05-05T00:00:00Z

    fn order(dates: &[&str]) -> bool {
        let mut detector = Detector::default();
        for date in dates {
            detector.note_time(date.as_bytes(), Timestamp(0), false, LIVE);
        }
        detector.found().day_first
    }

    #[test]
    fn numbers_above_twelve_tell_the_order_of_dates() {
        assert!(!order(&["03/04/2026"]));
        assert!(order(&["13/04/2026", "03/04/2026"]));
        assert!(!order(&["13/04/2026", "04/13/2026"]), "the newest proof counts");
        assert!(order(&["13/04/2026", "03/04/2026", "03/05/2026"]), "what is proven is not guessed");
    }

    #[test]
    fn notes_say_what_was_found() {
        for found in [
            Detection::default(),
            Detection { format: Some("syslog"), day_first: false },
            Detection { format: None, day_first: true },
        ] {
            assert_eq!(Detection::from_note(&found.note()), found);
        }
        assert_eq!(Detection::from_note("gone"), Detection::default());
    }

    #[test]
    fn days_that_go_by_one_after_the_other_tell_the_order_of_dates() {
        assert!(order(&["03/04/2026", "03/04/2026", "04/04/2026"]));
        assert!(!order(&["03/04/2026", "04/04/2026", "04/05/2026"]));
        assert!(!order(&["03/04/2025", "04/04/2026"]));
    }

    #[test]
    fn a_line_that_was_just_written_tells_the_order_of_dates() {
        let hour = 3_600 * Timestamp::SECOND;
        let mut detector = Detector::default();
        // The fourth of May, late, read as the fifth of April.
        let april = Timestamp(LIVE.0 - 29 * 24 * hour - 60 * Timestamp::SECOND);
        detector.note_time(b"04/05/2026 23:59:00", april, false, LIVE);
        assert!(detector.found().day_first);
        let may = Timestamp(april.0 + 29 * 24 * hour);
        detector.note_time(b"04/05/2026 23:59:00", may, true, LIVE);
        assert!(detector.found().day_first);
    }

    #[test]
    fn a_format_stays_until_most_lines_are_in_another() {
        let (first, second) = ("json", "syslog");
        let mut detector = Detector::default();
        detector.note(&[(first, 3), (second, 1)]);
        assert!(!detector.is_settled());
        detector.decide();
        assert_eq!(detector.found().format, Some(first));
        detector.note(&[(second, 127)]);
        detector.note(&[(first, 129)]);
        assert_eq!(detector.found().format, Some(first));
        detector.note(&[(second, 255)]);
        assert_eq!(detector.found().format, Some(first));
        detector.note(&[(second, 1)]);
        assert_eq!(detector.found().format, Some(second));
        detector.note(&["a", "b", "c", "d"].map(|format| (format, 64)));
        assert_eq!(detector.found().format, None);
    }
}
