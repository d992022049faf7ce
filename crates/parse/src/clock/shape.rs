//! Timestamps of any shape, described as `strptime` does: `%y%m%d %H%M%S`.
//!
//! | directive | reads |
//! |---|---|
//! | `%Y` `%y` | a year of four digits; of two (69 to 99 are of the last century) |
//! | `%m` `%d` `%H` `%I` `%M` `%S` | one or two digits; `%d` also after a padding blank |
//! | `%j` | the day of the year, three digits |
//! | `%b` `%a` | the name of a month, of a weekday: English, short or whole, in any case |
//! | `%p` | `AM` or `PM`, in any case |
//! | `%f` | one to nine digits of a second's fraction (further ones are passed over) |
//! | `%z` | `+0100`, `+01:00`, `+01`, `Z` |
//! | `%W` | minutes to UTC as Windows counts them: `+480` is eight hours west |
//! | `%Z` | the usual name of a zone: `UTC`, `CEST`, ... |
//! | `%s` | seconds since 1970 |
//! | `%.f` | a fraction with its `.` or `,`, or nothing |
//! | `%%` | `%` |
//!
//! A blank reads one or more blanks, every other byte itself. What a shape leaves out of the date comes from the time of
//! reading: the nearest moment that fits.

use taffrail_record::{Civil, Timestamp};

use super::{Clock, Fraction, Stamp, day_number, offset};

const DAY: i64 = 86_400;

/// A shape, ready to read with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Literal(u8),
    Blank,
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    YearDay,
    WeekdayName,
    Hour,
    Hour12,
    Half,
    Minute,
    Second,
    Fraction,
    AnyFraction,
    Offset,
    Bias,
    ZoneName,
    Epoch,
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<u16>,
    hour: u8,
    afternoon: Option<bool>,
    minute: u8,
    second: u8,
    nanosecond: u32,
    offset_minutes: Option<i16>,
    epoch: Option<i64>,
}

impl Shape {
    /// Reads a description; `Err` says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            items.push(match byte {
                b'%' => {
                    let directive = bytes.next().ok_or("a `%` ends the time shape")?;
                    let any_fraction = directive == b'.' && bytes.next_if_eq(&b'f').is_some();
                    if any_fraction { Item::AnyFraction } else { item(directive)? }
                }
                b' ' if items.last() == Some(&Item::Blank) => continue,
                b' ' => Item::Blank,
                literal => Item::Literal(literal),
            });
        }
        Ok(Self { items })
    }

    /// Whether a text that starts with `byte` can be of this shape.
    pub(crate) fn may_start_with(&self, byte: u8) -> bool {
        match self.items.first() {
            Some(Item::Literal(literal)) => *literal == byte,
            Some(Item::Blank) => byte == b' ',
            Some(Item::MonthName | Item::WeekdayName | Item::ZoneName | Item::Half) => {
                byte.is_ascii_alphabetic()
            }
            Some(Item::Day) => byte.is_ascii_digit() || byte == b' ',
            _ => byte.is_ascii_digit(),
        }
    }

    /// Whether a text that starts with `digits` digits and goes on with `next` can be of this shape: a cheap look that
    /// spares most attempts.
    pub(crate) fn may_go_on(&self, digits: usize, next: Option<u8>) -> bool {
        let (least, most) = match self.items.first() {
            Some(Item::Year) => (4, 4),
            Some(Item::YearDay) => (3, 3),
            Some(Item::ShortYear) => (2, 2),
            Some(Item::Epoch) => (9, 11),
            Some(Item::Month | Item::Day | Item::Hour | Item::Hour12 | Item::Minute | Item::Second) => (1, 2),
            _ => return true,
        };
        match self.items.get(1) {
            Some(Item::Literal(literal)) => (least..=most).contains(&digits) && next == Some(*literal),
            Some(Item::Blank) => (least..=most).contains(&digits) && next == Some(b' '),
            _ => digits >= least,
        }
    }

    /// Reads a timestamp at the start of `text`.
    pub(crate) fn read(&self, text: &[u8], clock: &Clock) -> Option<Stamp> {
        let mut parts = Parts::default();
        let mut at = 0;
        for item in &self.items {
            at += item.read(text.get(at..)?, &mut parts)?;
        }
        if matches!(self.items.last(), Some(last) if last.ends_in_digits())
            && text.get(at).is_some_and(u8::is_ascii_digit)
        {
            return None;
        }
        let timestamp = parts.timestamp(clock)?;
        let year_known = parts.year.is_some() || parts.epoch.is_some();
        let zone_known = parts.offset_minutes.is_some() || parts.epoch.is_some();
        Some(Stamp { timestamp, format: None, len: at, trailer: 0, exact: false, year_known, zone_known })
    }
}

fn item(directive: u8) -> Result<Item, String> {
    Ok(match directive {
        b'Y' => Item::Year,
        b'y' => Item::ShortYear,
        b'm' => Item::Month,
        b'b' | b'B' | b'h' => Item::MonthName,
        b'd' | b'e' => Item::Day,
        b'j' => Item::YearDay,
        b'a' | b'A' => Item::WeekdayName,
        b'H' | b'k' => Item::Hour,
        b'I' | b'l' => Item::Hour12,
        b'p' => Item::Half,
        b'M' => Item::Minute,
        b'S' => Item::Second,
        b'f' => Item::Fraction,
        b'z' => Item::Offset,
        b'W' => Item::Bias,
        b'Z' => Item::ZoneName,
        b's' => Item::Epoch,
        b'%' => Item::Literal(b'%'),
        other => return Err(format!("a time shape knows no `%{}`", char::from(other))),
    })
}

impl Item {
    const fn ends_in_digits(self) -> bool {
        matches!(
            self,
            Self::Year | Self::Second | Self::Minute | Self::Epoch | Self::Fraction | Self::AnyFraction
        )
    }

    /// Reads itself at the start of `text`; gives its length.
    fn read(self, text: &[u8], parts: &mut Parts) -> Option<usize> {
        let (value, len) = match self {
            Self::Literal(byte) => return (text.first() == Some(&byte)).then_some(1),
            Self::Blank => {
                let len = text.iter().take_while(|byte| **byte == b' ').count();
                return (len > 0).then_some(len);
            }
            Self::MonthName => {
                return named(text, &super::MONTHS, &MONTHS_WHOLE, |index| parts.month = Some(index + 1));
            }
            Self::WeekdayName => return named(text, &super::DAYS, &DAYS_WHOLE, |_| ()),
            Self::Half => {
                let half: &[u8; 2] = text.first_chunk()?;
                parts.afternoon = Some(match half.map(|byte| byte.to_ascii_lowercase()) {
                    [b'a', b'm'] => false,
                    [b'p', b'm'] => true,
                    _ => return None,
                });
                return Some(2);
            }
            Self::Offset => return parts.offset(text),
            Self::Bias => return parts.bias(text),
            Self::ZoneName => return parts.zone_name(text),
            Self::Fraction => return parts.fraction(text),
            Self::AnyFraction => {
                let fraction = Fraction::read(text, 0);
                parts.nanosecond = fraction.nanosecond;
                return Some(fraction.end);
            }
            Self::Year => digits(text, 4, 4)?,
            Self::YearDay => digits(text, 3, 3)?,
            Self::Epoch => digits(text, 9, 11)?,
            Self::Day if text.first() == Some(&b' ') => {
                let (value, len) = digits(&text[1..], 1, 1)?;
                (value, len + 1)
            }
            Self::ShortYear => digits(text, 2, 2)?,
            _ => digits(text, 1, 2)?,
        };
        let small = u8::try_from(value).ok();
        match self {
            Self::Year => parts.year = Some(i32::try_from(value).ok()?),
            Self::ShortYear => {
                parts.year = Some(i32::try_from(value).ok()? + if value < 69 { 2000 } else { 1900 })
            }
            Self::YearDay => parts.year_day = Some(u16::try_from(value).ok()?),
            Self::Epoch => parts.epoch = Some(value),
            Self::Month => parts.month = small,
            Self::Day => parts.day = small,
            Self::Hour => parts.hour = small.filter(|hour| *hour < 24)?,
            Self::Hour12 => parts.hour = small.filter(|hour| (1..=12).contains(hour))?,
            Self::Minute => parts.minute = small.filter(|minute| *minute < 60)?,
            // A leap second is told as the one before.
            _ => parts.second = small.filter(|second| *second <= 60)?.min(59),
        }
        Some(len)
    }
}

impl Parts {
    fn offset(&mut self, text: &[u8]) -> Option<usize> {
        if matches!(text.first(), Some(b'Z' | b'z')) {
            self.offset_minutes = Some(0);
            return Some(1);
        }
        let (minutes, len, _) = offset(text)?;
        self.offset_minutes = Some(minutes);
        Some(len)
    }

    fn bias(&mut self, text: &[u8]) -> Option<usize> {
        let (minutes, len) = digits(text.get(1..)?, 1, 3)?;
        let minutes = i16::try_from(minutes).ok()?;
        self.offset_minutes = Some(match text[0] {
            b'+' => -minutes,
            b'-' => minutes,
            _ => return None,
        });
        Some(1 + len)
    }

    fn zone_name(&mut self, text: &[u8]) -> Option<usize> {
        let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (_, minutes) = ZONES.iter().find(|(name, _)| name.as_bytes() == &text[..len])?;
        self.offset_minutes = Some(*minutes);
        Some(len)
    }

    fn fraction(&mut self, text: &[u8]) -> Option<usize> {
        let all = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (value, len) = digits(text, 1, 9)?;
        let scale = super::POWERS[9 - len];
        self.nanosecond = u32::try_from(value).ok()? * scale;
        Some(all)
    }

    fn timestamp(&self, clock: &Clock) -> Option<Timestamp> {
        if let Some(seconds) = self.epoch {
            return Timestamp::from_seconds(seconds, self.nanosecond);
        }
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let minutes = self.offset_minutes.unwrap_or(clock.offset_minutes);
        let of_day = i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = of_day - i64::from(minutes) * 60;
        let at = |days: i64| Timestamp::from_seconds(days * DAY + seconds, self.nanosecond);
        match (self.year, self.year_day, self.month, self.day) {
            (Some(year), Some(day), ..) if (1..=366).contains(&day) => {
                at(Civil::days(year, 1, 1) + i64::from(day) - 1)
            }
            (Some(year), None, Some(month), Some(day)) => at(day_number(year, month, day)?),
            (None, None, Some(month), Some(day)) => clock.nearest(month, day, seconds, self.nanosecond),
            (None, None, None, None) => {
                let today = clock.observed.0.div_euclid(DAY * Timestamp::SECOND);
                let days = (today - 1..=today + 1).filter_map(at);
                days.min_by_key(|timestamp| timestamp.0.abs_diff(clock.observed.0))
            }
            _ => None,
        }
    }
}

/// A number of `min` to `max` digits, and its length.
fn digits(text: &[u8], min: usize, max: usize) -> Option<(i64, usize)> {
    let len = text.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..len].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    (len >= min).then_some((value, len))
}

/// One of `short` or `whole` names at the start of `text`, in any case.
fn named(text: &[u8], short: &[&[u8; 3]], whole: &[&str], mut found: impl FnMut(u8)) -> Option<usize> {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = &text[..len];
    let index = match len {
        3 => short.iter().position(|name| name.eq_ignore_ascii_case(word)),
        _ => whole.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word)),
    }?;
    found(u8::try_from(index).ok()?);
    Some(len)
}

const MONTHS_WHOLE: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS_WHOLE: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Names of zones that mean one offset wherever logs are written; in minutes east of UTC. Where a name means several
/// (`CST`, `IST`), the one of the most people who write logs in English.
const ZONES: [(&str, i16); 33] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("MET", 60),
    ("MEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("SAST", 120),
    ("IST", 330),
    ("ICT", 420),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("KST", 540),
    ("JST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: &str, text: &str, offset_minutes: i16) -> Option<(String, usize)> {
        let mut clock = Clock::new(offset_minutes);
        clock.observed = Timestamp(1_795_132_800_000_000_000); // 2026-11-20T00:00:00Z
        let stamp = Shape::new(shape).unwrap().read(text.as_bytes(), &clock)?;
        let c = Civil::from_timestamp(stamp.timestamp, 0);
        let text = format!(
            "{}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.nanosecond
        );
        Some((text.trim_end_matches('0').trim_end_matches('.').to_owned(), stamp.len))
    }

    #[test]
    fn reads_every_directive() {
        for (shape, text, want) in [
            ("%y%m%d %H%M%S", "081109 203615 148", "2008-11-09 20:36:15"),
            ("%m-%d %H:%M:%S.%f", "03-17 16:13:38.811", "2027-03-17 16:13:38.811"),
            ("%m.%d %H:%M:%S", "12.30 16:49:06]", "2026-12-30 16:49:06"),
            ("%b %d %H:%M:%S %Z %Y", "Jun  2 08:00:01 PDT 2022", "2022-06-02 15:00:01"),
            ("%d/%b/%Y:%H:%M:%S %z", "04/Nov/2010:17:37:40 -0400", "2010-11-04 21:37:40"),
            ("%m/%d/%Y %I:%M:%S:%f %p %Z", "06/09/2014 02:49:59:447 PM UTC", "2014-06-09 14:49:59.447"),
            ("%A, %B %d, %Y %H:%M", "sunday, november 1, 2026 07:08", "2026-11-01 07:08:00"),
            ("%H:%M:%S%.f", "23:59:59.5", "2026-11-19 23:59:59.5"),
            ("%s%.f", "1793491200.25 x", "2026-11-01 00:00:00.25"),
            ("%Y%j", "2024366 ", "2024-12-31 00:00:00"),
            ("%y-%m-%d %H:%M:%S", "70-1-1 1:2:60", "1970-01-01 01:02:59"),
        ] {
            let (found, _) = read(shape, text, 0).unwrap_or_else(|| panic!("{shape} reads {text}"));
            let want = want.trim_end_matches(":00").to_owned();
            assert!(found.starts_with(&want), "{shape} reads {text} as {found}");
        }
        assert_eq!(read("%H:%M", "10:00", 120).unwrap().0, "2026-11-20 08:00:00");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for (shape, text) in [
            ("%H:%M:%S", "24:00:00"),
            ("%Y-%m-%d", "2026-02-30"),
            ("%m/%d/%Y", "13/01/2026"),
            ("%b %d %H:%M", "Foo 1 10:00"),
            ("%H:%M:%S", "10:00:001"),
            ("%s", "12345678"),
            ("%d %Z", "1 XYZ"),
        ] {
            assert_eq!(read(shape, text, 0), None, "{shape} reads {text}");
        }
        assert!(Shape::new("%Q").is_err() && Shape::new("%").is_err());
    }
}
