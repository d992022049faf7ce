//! Timestamps as programs write them, to nanoseconds and the [`TimeFormat`] that writes them again.

mod shape;

use std::sync::LazyLock;

use taffrail_record::{Civil, TimeFormat, Timestamp, Zone};

pub(crate) use self::shape::Shape;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const POWERS: [u32; 10] =
    [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
/// Counts below are more likely durations or sequence numbers than times (1973-03-03 in seconds).
const EPOCH_MIN: i64 = 100_000_000;

/// What else the world writes at the start of its lines, the longer shapes first. Where nothing tells `%m/%d/%Y` and
/// `%d/%m/%Y` apart, the American order counts.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| shapes(["%m/%d/", "%d/%m/"]));
/// The same for lines whose dates begin with the day.
static DAY_FIRST: LazyLock<Vec<Shape>> = LazyLock::new(|| shapes(["%d/%m/", "%m/%d/"]));

/// All shapes; dates of numbers between slashes are tried in these orders.
fn shapes(orders: [&str; 2]) -> Vec<Shape> {
    let before = [
        "%d/%b/%Y:%H:%M:%S%.f %z",
        "%d/%b/%Y:%H:%M:%S%.f",
        "%d/%b/%Y %H:%M:%S%.f",
        "%d-%b-%Y %H:%M:%S%.f",
        "%d %b %Y %H:%M:%S%.f",
        "%Y:%m:%d-%H:%M:%S",
        "%Y-%m-%d-%H.%M.%S%.f",
        "%Y%m%d %H:%M:%S%.f",
        "%Y%m%d-%H:%M:%S:%f",
        "%Y%m%d.%H%M%S%.f",
        "%Y%m%dT%H%M%S%.f%z",
        "%Y-%m-%d %I:%M:%S %p",
        "%Y-%m-%d %H:%M:%S:%f",
        "%Y-%m-%d %H:%M:%S%.f",
    ];
    let slashed =
        ["%Y %I:%M:%S%.f %p", "%Y %I:%M:%S:%f %p %Z", "%Y-%H:%M:%S%.f", "%Y:%H:%M:%S %z", "%Y %H:%M:%S%.f"];
    let after = [
        "%d-%m-%Y %H:%M:%S%.f %z",
        "%d-%m-%Y %H:%M:%S%.f",
        "%d.%m.%Y %H:%M:%S%.f",
        "%y%m%d %H:%M:%S",
        "%y/%m/%d %H:%M:%S",
        "%a %b %d %H:%M:%S%.f %Z %Y",
        "%a %b %d %H:%M:%S%.f %Y",
        "%a, %d %b %Y %H:%M:%S%.f %z",
        "%a, %d %b %Y %H:%M:%S%.f %Z",
        "%b %d, %Y %I:%M:%S %p",
        "%b %d, %Y %H:%M:%S%.f",
        "%b %d %Y %H:%M:%S%.f",
        "%b %d %H:%M:%S.%f",
        "%b %d %H:%M:%S",
    ];
    let slashed = orders.into_iter().flat_map(|order| slashed.map(|rest| format!("{order}{rest}")));
    let whole = |shapes: &[&str]| shapes.iter().map(|shape| (*shape).to_owned()).collect::<Vec<_>>();
    let all = whole(&before).into_iter().chain(slashed).chain(whole(&after));
    all.filter_map(|shape| Shape::new(&shape).ok()).collect()
}

/// A timestamp that was found at the start of some text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) timestamp: Timestamp,
    /// `None`: none can write it again.
    pub(crate) format: Option<TimeFormat>,
    /// Bytes that `format` writes.
    pub(crate) len: usize,
    /// Bytes after them that say the zone in a way `format` cannot write: literal text of the layout.
    pub(crate) trailer: usize,
    /// Whether `format` writes the text exactly.
    pub(crate) exact: bool,
    /// Whether the year is written.
    pub(crate) year_known: bool,
    /// Whether the zone is written, or does not matter.
    pub(crate) zone_known: bool,
}

impl Stamp {
    const fn new(timestamp: Timestamp, format: TimeFormat, len: usize, exact: bool) -> Self {
        let format = Some(format);
        Self { timestamp, format, len, trailer: 0, exact, year_known: true, zone_known: true }
    }

    pub(crate) const fn end(&self) -> usize {
        self.len + self.trailer
    }

    /// Whether it has the `T` and the zone that RFC 3339 wants.
    pub(crate) fn is_rfc3339(&self) -> bool {
        matches!(self.format, Some(TimeFormat::Iso { between: b'T', zone, .. }) if !matches!(zone, Zone::Assumed(_)))
    }
}

/// Reads timestamps; remembers the last date, as neighbours in a log share it.
#[derive(Debug)]
pub(crate) struct Clock {
    offset_minutes: i16,
    /// When the lines were read: decides the year of stamps without one.
    pub(crate) observed: Timestamp,
    /// Whether `03/04/2026` is the third of April.
    pub(crate) day_first: bool,
    date: [u8; 10],
    /// Seconds from 1970 to the start of `date`.
    date_seconds: i64,
}

/// The time that a text begins with, as the world writes them, and how many bytes of the text it takes. What is written
/// without a year is nearest to `observed`; what is written without a zone is `offset_minutes` east of UTC.
pub fn parse_timestamp(text: &[u8], observed: Timestamp, offset_minutes: i16) -> Option<(Timestamp, usize)> {
    let mut clock = Clock::new(offset_minutes);
    clock.observed = observed;
    clock.any(text).map(|stamp| (stamp.timestamp, stamp.end()))
}

impl Clock {
    pub(crate) fn new(offset_minutes: i16) -> Self {
        Self { offset_minutes, observed: Timestamp(0), day_first: false, date: [0; 10], date_seconds: 0 }
    }

    /// `2026-11-01T00:00:00.006000+00:00` and its relatives.
    pub(crate) fn iso(&mut self, text: &[u8]) -> Option<Stamp> {
        let head: &[u8; 19] = text.first_chunk()?;
        let between = head[10];
        if !matches!(between, b'T' | b' ') || head[13] != b':' || head[16] != b':' {
            return None;
        }
        let date: &[u8; 10] = head.first_chunk()?;
        if *date != self.date {
            self.date_seconds = date_seconds(date)?;
            self.date = *date;
        }
        // A leap second is told as the one before.
        let leap = head[17..] == *b"60";
        let seconds = match leap {
            true => clock_seconds(&[&head[11..17], b"59"].concat())?,
            false => clock_seconds(&head[11..])?,
        };
        let seconds = self.date_seconds + seconds;
        let fraction = Fraction::read(text, 19);
        let (zone, len, trailer) = self.zone(text, fraction.end)?;
        let timestamp =
            Timestamp::from_seconds(seconds - i64::from(zone.minutes()) * 60, fraction.nanosecond)?;
        let (date, mark, digits) = (date[4], fraction.mark, fraction.digits);
        let format = TimeFormat::Iso { date, between, mark, digits, zone };
        let zone_known = trailer > 0 || !matches!(zone, Zone::Assumed(_));
        Some(Stamp {
            timestamp,
            format: Some(format),
            len,
            trailer,
            exact: fraction.exact && !leap,
            year_known: true,
            zone_known,
        })
    }

    /// The zone at `at`: itself, the end of what it writes, and the literal bytes after that.
    fn zone(&self, text: &[u8], at: usize) -> Option<(Zone, usize, usize)> {
        let rest = text.get(at..).unwrap_or_default();
        let (zone, len, trailer) = match rest {
            [b'Z', ..] => (Zone::Zulu, 1, 0),
            [b'z', ..] => (Zone::Assumed(0), 0, 1),
            [b'+' | b'-', b'0'..=b'9', ..] => match offset(rest)? {
                (0, len, _) if rest[0] == b'-' => (Zone::Assumed(0), 0, len),
                (minutes, len, OffsetStyle::Colon) => (Zone::Colon(minutes), len, 0),
                (minutes, len, OffsetStyle::Plain) => (Zone::Plain(minutes), len, 0),
                (minutes, len, OffsetStyle::Hours) => (Zone::Assumed(minutes), 0, len),
            },
            [b' ', b'+' | b'-', b'0' | b'1', ..] => match offset(&rest[1..]) {
                Some((minutes, len, OffsetStyle::Plain | OffsetStyle::Colon)) => {
                    (Zone::Assumed(minutes), 0, len + 1)
                }
                _ => (Zone::Assumed(self.offset_minutes), 0, 0),
            },
            [b' ', b'U', b'T', b'C', ..] | [b' ', b'G', b'M', b'T', ..] => (Zone::Assumed(0), 0, 4),
            _ => (Zone::Assumed(self.offset_minutes), 0, 0),
        };
        let ends = rest.get(len + trailer).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        ends.then_some((zone, at + len, trailer))
    }

    /// `Nov  1 00:00:00`; the year is the one that puts it nearest to the time of reading.
    pub(crate) fn bsd(&self, text: &[u8]) -> Option<Stamp> {
        let head: &[u8; 15] = text.first_chunk()?;
        let month = month(&head[..3])?;
        let padded = head[4] == b' ';
        let day = if padded { pair(b'0', head[5]) } else { pair(head[4], head[5]) };
        if head[3] != b' ' || head[6] != b' ' || !(1..=31).contains(&day) {
            return None;
        }
        let clock = clock_seconds(&head[7..])? - i64::from(self.offset_minutes) * 60;
        let timestamp = self.nearest(month, day, clock, 0)?;
        let format = TimeFormat::Bsd { offset_minutes: self.offset_minutes };
        let exact = padded || day > 9;
        Some(Stamp { year_known: false, zone_known: false, ..Stamp::new(timestamp, format, 15, exact) })
    }

    fn nearest(&self, month: u8, day: u8, clock: i64, nanosecond: u32) -> Option<Timestamp> {
        let now = Civil::from_timestamp(self.observed, i32::from(self.offset_minutes) * 60).year;
        let reach = if (month, day) == (2, 29) { 8 } else { 1 };
        (now - reach..=now + reach)
            .filter(|year| {
                (1..=12).contains(&month) && (1..=Civil::days_in_month(*year, month)).contains(&day)
            })
            .filter_map(|year| {
                Timestamp::from_seconds(Civil::days(year, month, day) * 86_400 + clock, nanosecond)
            })
            .min_by_key(|timestamp| timestamp.0.abs_diff(self.observed.0))
    }

    /// `01/Nov/2026:00:00:00 +0000`.
    pub(crate) fn clf(&self, text: &[u8]) -> Option<Stamp> {
        let head: &[u8; 26] = text.first_chunk()?;
        if head[2] != b'/' || head[6] != b'/' || head[11] != b':' || head[20] != b' ' {
            return None;
        }
        let month = month(&head[3..6])?;
        let days = day_number(year(&head[7..11])?, month, pair(head[0], head[1]))?;
        let (minutes, len, style) = offset(&head[21..])?;
        let seconds = days * 86_400 + clock_seconds(&head[12..])? - i64::from(minutes) * 60;
        let timestamp = Timestamp::from_seconds(seconds, 0)?;
        let exact = style == OffsetStyle::Plain && !(minutes == 0 && head[21] == b'-');
        let format = TimeFormat::Clf { offset_minutes: minutes };
        Some(Stamp::new(timestamp, format, 21 + len, exact))
    }

    /// `Sun Nov 01 00:00:00.006000 2026`.
    pub(crate) fn ctime(&self, text: &[u8]) -> Option<Stamp> {
        let head: &[u8; 19] = text.first_chunk()?;
        let weekday = DAYS.iter().position(|day| **day == head[..3])?;
        if head[3] != b' ' || head[7] != b' ' || head[10] != b' ' {
            return None;
        }
        let month = month(&head[4..7])?;
        let padded = head[8] == b' ';
        let day = if padded { pair(b'0', head[9]) } else { pair(head[8], head[9]) };
        let clock = clock_seconds(&head[11..])? - i64::from(self.offset_minutes) * 60;
        let fraction = Fraction::read(text, 19);
        let rest = text.get(fraction.end..fraction.end + 5)?;
        if rest[0] != b' ' {
            return None;
        }
        let days = day_number(year(&rest[1..])?, month, day)?;
        let timestamp = Timestamp::from_seconds(days * 86_400 + clock, fraction.nanosecond)?;
        let exact =
            fraction.exact && !padded && fraction.mark == b'.' && (days + 4).rem_euclid(7) == weekday as i64;
        let format = TimeFormat::Ctime { digits: fraction.digits, offset_minutes: self.offset_minutes };
        Some(Stamp { zone_known: false, ..Stamp::new(timestamp, format, fraction.end + 5, exact) })
    }

    /// What syslog's lines begin with: [`Self::bsd`], and with a year, a fraction or a day without padding.
    pub(crate) fn syslog(&self, text: &[u8]) -> Option<Stamp> {
        static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
            let known = ["%b %d %H:%M:%S%.f", "%b %d %Y %H:%M:%S%.f"];
            known.into_iter().filter_map(|shape| Shape::new(shape).ok()).collect()
        });
        let whole = |stamp: &Stamp| is_all(&text[stamp.end()..]);
        let known = self.bsd(text);
        if known.is_some_and(|stamp| whole(&stamp)) {
            return known;
        }
        // Early no: words that begin like a month's name are not followed by a day.
        let [b'A'..=b'Z', _, _, b' ', b' ' | b'0'..=b'9', ..] = text else { return known };
        SHAPES.iter().find_map(|shape| shape.read(text, self)).filter(whole).or(known)
    }

    /// A timestamp of any shape that says what it is by itself.
    pub(crate) fn any(&mut self, text: &[u8]) -> Option<Stamp> {
        let first = *text.first()?;
        if first.is_ascii_alphabetic() && !is_name(text.first_chunk()?) {
            return None;
        }
        let known = match first {
            b'0'..=b'9' => self.iso(text).or_else(|| self.clf(text)),
            b'A'..=b'Z' => self.ctime(text).or_else(|| self.bsd(text)),
            _ => None,
        };
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let next = text.get(digits).copied();
        let fits = |shape: &&Shape| shape.may_start_with(first) && shape.may_go_on(digits, next);
        let known_shapes = if self.day_first { &DAY_FIRST } else { &SHAPES };
        let shapes = || known_shapes.iter().filter(fits);
        known
            .filter(|stamp| is_all(&text[stamp.end()..]))
            .or_else(|| shapes().find_map(|shape| shape.read(text, self)))
            .or(known)
    }

    /// As [`Self::any`], for what is written in UTC without saying so.
    pub(crate) fn any_in_utc(&mut self, text: &[u8]) -> Option<Stamp> {
        let offset = std::mem::take(&mut self.offset_minutes);
        let stamp = self.any(text);
        self.offset_minutes = offset;
        stamp.map(|stamp| Stamp { zone_known: true, ..stamp })
    }

    /// An ISO timestamp that is the whole text.
    pub(crate) fn whole_iso(&mut self, text: &[u8]) -> Option<Stamp> {
        self.iso(text).filter(|stamp| stamp.end() == text.len())
    }

    /// A count since 1970, whole or with a fraction, in the unit that its size suggests.
    pub(crate) fn epoch(&self, text: &[u8]) -> Option<Stamp> {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(9..=19).contains(&digits) || text[0] == b'0' {
            return None;
        }
        let whole: i64 = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
        let scale = match whole {
            EPOCH_MIN..100_000_000_000 => 0,
            100_000_000_000..100_000_000_000_000 => 3,
            100_000_000_000_000..100_000_000_000_000_000 => 6,
            _ => 9,
        };
        let unit = i64::from(POWERS[9 - scale]);
        let nanoseconds = whole.checked_mul(unit)?;
        if digits == text.len() {
            let format = TimeFormat::Epoch { scale: scale as u8 };
            let timestamp = Timestamp(nanoseconds);
            return Some(Stamp::new(timestamp, format, digits, true));
        }
        let fraction = Fraction::read(text, digits);
        if fraction.end != text.len() || fraction.mark != b'.' || fraction.digits == 0 {
            return None;
        }
        let part = i64::from(fraction.nanosecond) / i64::from(POWERS[scale]);
        let timestamp = Timestamp(nanoseconds.checked_add(part)?);
        let format = TimeFormat::EpochSeconds { digits: fraction.digits };
        let exact = fraction.exact && scale == 0;
        Some(Stamp::new(timestamp, format, text.len(), exact))
    }
}

/// Digits after a second.
struct Fraction {
    nanosecond: u32,
    digits: u8,
    mark: u8,
    end: usize,
    /// Whether all digits are in `digits`: nine at most are.
    exact: bool,
}

impl Fraction {
    fn read(text: &[u8], at: usize) -> Self {
        let none = Self { nanosecond: 0, digits: 0, mark: b'.', end: at, exact: true };
        let Some([mark @ (b'.' | b','), b'0'..=b'9', ..]) = text.get(at..) else {
            return none;
        };
        let (mut nanosecond, mut end) = (0u32, at + 1);
        while let Some(digit @ b'0'..=b'9') = text.get(end) {
            if end - at > 9 {
                let end = end + text[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                return Self { nanosecond, digits: 9, mark: *mark, end, exact: false };
            }
            nanosecond = nanosecond * 10 + u32::from(digit - b'0');
            end += 1;
        }
        let digits = end - at - 1;
        let nanosecond = nanosecond * POWERS[9 - digits];
        Self { nanosecond, digits: digits as u8, mark: *mark, end, exact: true }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OffsetStyle {
    Colon,
    Plain,
    Hours,
}

/// `+01:00`, `+0100` or `+01`: minutes east of UTC and the bytes it takes.
fn offset(text: &[u8]) -> Option<(i16, usize, OffsetStyle)> {
    let [sign @ (b'+' | b'-'), tens, ones, rest @ ..] = text else {
        return None;
    };
    let hours = pair(*tens, *ones);
    let (minutes, len, style) = match rest {
        [b':', tens, ones, ..] => (pair(*tens, *ones), 6, OffsetStyle::Colon),
        [tens @ b'0'..=b'9', ones, ..] => (pair(*tens, *ones), 5, OffsetStyle::Plain),
        _ => (0, 3, OffsetStyle::Hours),
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    let east = i16::from(hours) * 60 + i16::from(minutes);
    Some((if *sign == b'-' { -east } else { east }, len, style))
}

/// Whether the name of a month or a day of the week begins so.
fn is_name(start: &[u8; 3]) -> bool {
    MONTHS.iter().chain(&DAYS).any(|name| name.eq_ignore_ascii_case(start))
}

/// Whether a timestamp that was read before `rest` was read as a whole.
fn is_all(rest: &[u8]) -> bool {
    match rest {
        [b'.' | b',' | b':', b'0'..=b'9', ..] => false,
        [first, ..] => !first.is_ascii_alphanumeric(),
        [] => true,
    }
}

/// Two digits as a number, 255 where one is no digit: above every limit that callers check.
fn pair(tens: u8, ones: u8) -> u8 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { 255 } else { tens * 10 + ones }
}

fn year(text: &[u8]) -> Option<i32> {
    let (century, rest) = (pair(text[0], text[1]), pair(text[2], text[3]));
    (century <= 99 && rest <= 99).then(|| i32::from(century) * 100 + i32::from(rest))
}

fn month(text: &[u8]) -> Option<u8> {
    MONTHS.iter().position(|month| *month == text).map(|index| index as u8 + 1)
}

pub(crate) fn day_number(year: i32, month: u8, day: u8) -> Option<i64> {
    let valid = (1..=12).contains(&month) && day >= 1 && day <= Civil::days_in_month(year, month);
    valid.then(|| Civil::days(year, month, day))
}

fn date_seconds(date: &[u8; 10]) -> Option<i64> {
    if !matches!(date[4], b'-' | b'/') || date[4] != date[7] {
        return None;
    }
    let days = day_number(year(&date[..4])?, pair(date[5], date[6]), pair(date[8], date[9]))?;
    Some(days * 86_400)
}

/// Seconds of `HH:MM:SS`.
fn clock_seconds(text: &[u8]) -> Option<i64> {
    let text: &[u8; 8] = text.first_chunk()?;
    let (hour, minute, second) = (pair(text[0], text[1]), pair(text[3], text[4]), pair(text[6], text[7]));
    let valid = text[2] == b':' && text[5] == b':' && hour < 24 && minute < 60 && second < 60;
    valid.then(|| i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

#[cfg(test)]
mod tests;
