//! How a timestamp was written, so that its text can be written again byte for byte.

use std::fmt;

use crate::{Civil, Timestamp};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// The shape of a timestamp's text. [`TimeFormat::render`] inverts a parser that accepts only this shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeFormat {
    /// `2026-11-01T00:00:00.006000+00:00` and relatives.
    Iso {
        /// Between the parts of the date: `-` or `/`.
        date: u8,
        /// Between date and clock: `T`, a blank, ...
        between: u8,
        /// Before the fraction: `.` or `,`; unused without digits.
        mark: u8,
        /// Digits of the fraction, 0 to 9.
        digits: u8,
        /// The zone.
        zone: Zone,
    },
    /// `Nov  1 00:00:00` (RFC 3164), the day padded with a blank.
    Bsd {
        /// Assumed offset east of UTC in minutes.
        offset_minutes: i16,
    },
    /// `01/Nov/2026:00:00:00 +0000`, as web servers write it.
    Clf {
        /// Written offset east of UTC in minutes.
        offset_minutes: i16,
    },
    /// `Sun Nov 01 00:00:00.006000 2026`, as Apache's error log writes it.
    Ctime {
        /// Digits of the fraction, 0 to 9.
        digits: u8,
        /// Assumed offset east of UTC in minutes.
        offset_minutes: i16,
    },
    /// A count of seconds since 1970 with a fraction: `1793491200.006`.
    EpochSeconds {
        /// Digits of the fraction, 0 to 9.
        digits: u8,
    },
    /// A whole count since 1970 of units of 10^-`scale` seconds: 3 = milliseconds.
    Epoch {
        /// 0, 3, 6 or 9.
        scale: u8,
    },
}

/// How a zone was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Zone {
    /// Not at all; minutes east of UTC that were assumed.
    Assumed(i16),
    /// `Z`.
    Zulu,
    /// `+01:00`, minutes east of UTC.
    Colon(i16),
    /// `+0100`, minutes east of UTC.
    Plain(i16),
}

impl Zone {
    /// Minutes east of UTC.
    pub const fn minutes(self) -> i16 {
        match self {
            Self::Zulu => 0,
            Self::Assumed(minutes) | Self::Colon(minutes) | Self::Plain(minutes) => minutes,
        }
    }

    fn render(self, out: &mut Vec<u8>) {
        match self {
            Self::Assumed(_) => {}
            Self::Zulu => out.push(b'Z'),
            Self::Colon(minutes) => out.extend(offset_text(minutes, ":").bytes()),
            Self::Plain(minutes) => out.extend(offset_text(minutes, "").bytes()),
        }
    }
}

impl TimeFormat {
    /// Appends `timestamp` in this shape.
    pub fn render(self, timestamp: Timestamp, out: &mut Vec<u8>) {
        match self {
            Self::Iso { date, between, mark, digits, zone } => {
                let civil = Civil::from_timestamp(timestamp, i32::from(zone.minutes()) * 60);
                let date = char::from(date);
                let text = format!("{:04}{date}{:02}{date}{:02}", civil.year, civil.month, civil.day);
                out.extend(text.bytes());
                out.push(between);
                clock(&civil, out);
                fraction(civil.nanosecond, mark, digits, out);
                zone.render(out);
            }
            Self::Bsd { offset_minutes } => {
                let civil = Civil::from_timestamp(timestamp, i32::from(offset_minutes) * 60);
                out.extend(format!("{} {:2} ", month(&civil), civil.day).bytes());
                clock(&civil, out);
            }
            Self::Clf { offset_minutes } => {
                let civil = Civil::from_timestamp(timestamp, i32::from(offset_minutes) * 60);
                out.extend(format!("{:02}/{}/{:04}:", civil.day, month(&civil), civil.year).bytes());
                clock(&civil, out);
                out.push(b' ');
                out.extend(offset_text(offset_minutes, "").bytes());
            }
            Self::Ctime { digits, offset_minutes } => {
                let civil = Civil::from_timestamp(timestamp, i32::from(offset_minutes) * 60);
                let day = DAYS[usize::from(civil.weekday())];
                out.extend(format!("{day} {} {:02} ", month(&civil), civil.day).bytes());
                clock(&civil, out);
                fraction(civil.nanosecond, b'.', digits, out);
                out.extend(format!(" {:04}", civil.year).bytes());
            }
            Self::EpochSeconds { digits } => {
                out.extend(timestamp.0.div_euclid(Timestamp::SECOND).to_string().bytes());
                fraction(timestamp.0.rem_euclid(Timestamp::SECOND) as u32, b'.', digits, out);
            }
            Self::Epoch { scale } => {
                let unit = 10i64.pow(9 - u32::from(scale.min(9)));
                out.extend((timestamp.0.div_euclid(unit)).to_string().bytes());
            }
        }
    }

    /// Reads what `Display` wrote; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("iso") {
            let [date, between, mark, digits] = *rest.as_bytes().first_chunk::<4>()?;
            let zone = rest.get(4..)?;
            let zone = if zone == "Z" {
                Zone::Zulu
            } else if let Some(offset) = zone.strip_prefix('~') {
                Zone::Assumed(offset_minutes(offset)?)
            } else if zone.contains(':') {
                Zone::Colon(offset_minutes(zone)?)
            } else {
                Zone::Plain(offset_minutes(zone)?)
            };
            let date_ok = matches!(date, b'-' | b'/');
            return date_ok.then_some(Self::Iso { date, between, mark, digits: digit(digits)?, zone });
        }
        if let Some(offset) = text.strip_prefix("bsd~") {
            return Some(Self::Bsd { offset_minutes: offset_minutes(offset)? });
        }
        if let Some(offset) = text.strip_prefix("clf") {
            return Some(Self::Clf { offset_minutes: offset_minutes(offset)? });
        }
        if let Some(rest) = text.strip_prefix("ctime") {
            let digits = digit(*rest.as_bytes().first()?)?;
            let offset = rest.get(1..)?.strip_prefix('~')?;
            return Some(Self::Ctime { digits, offset_minutes: offset_minutes(offset)? });
        }
        if let Some(rest) = text.strip_prefix("epoch.") {
            return Some(Self::EpochSeconds { digits: single_digit(rest)? });
        }
        let scale = single_digit(text.strip_prefix("epoch")?)?;
        Some(Self::Epoch { scale })
    }
}

/// The short text that stands in a layout: `iso-T.6+00:00`, `bsd~+0000`, `clf+0000`, `epoch3`.
impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Iso { date, between, mark, digits, zone } => {
                write!(f, "iso{}{}{}{digits}", char::from(date), char::from(between), char::from(mark))?;
                match zone {
                    Zone::Zulu => f.write_str("Z"),
                    Zone::Assumed(minutes) => write!(f, "~{}", offset_text(minutes, "")),
                    Zone::Colon(minutes) => f.write_str(&offset_text(minutes, ":")),
                    Zone::Plain(minutes) => f.write_str(&offset_text(minutes, "")),
                }
            }
            Self::Bsd { offset_minutes } => write!(f, "bsd~{}", offset_text(offset_minutes, "")),
            Self::Clf { offset_minutes } => write!(f, "clf{}", offset_text(offset_minutes, "")),
            Self::Ctime { digits, offset_minutes } => {
                write!(f, "ctime{digits}~{}", offset_text(offset_minutes, ""))
            }
            Self::EpochSeconds { digits } => write!(f, "epoch.{digits}"),
            Self::Epoch { scale } => write!(f, "epoch{scale}"),
        }
    }
}

fn month(civil: &Civil) -> &'static str {
    MONTHS[usize::from(civil.month) - 1]
}

fn clock(civil: &Civil, out: &mut Vec<u8>) {
    out.extend(format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second).bytes());
}

fn fraction(nanosecond: u32, mark: u8, digits: u8, out: &mut Vec<u8>) {
    if digits > 0 {
        out.push(mark);
        out.extend(format!("{nanosecond:09}").bytes().take(usize::from(digits)));
    }
}

fn offset_text(minutes: i16, separator: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
}

fn offset_minutes(text: &str) -> Option<i16> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let number: i16 = (digits.len() == 4).then(|| digits.parse().ok())??;
    Some(sign * (number / 100 * 60 + number % 100))
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn single_digit(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] => digit(*byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_programs_write_and_names_itself() {
        let at = Timestamp(1_793_491_200_006_000_000); // 2026-11-01T00:00:00.006Z, a Sunday
        let iso = |date, between, mark, digits, zone| TimeFormat::Iso { date, between, mark, digits, zone };
        for (format, name, text) in [
            (iso(b'-', b'T', b'.', 6, Zone::Colon(0)), "iso-T.6+00:00", "2026-11-01T00:00:00.006000+00:00"),
            (iso(b'-', b' ', b',', 3, Zone::Assumed(60)), "iso- ,3~+0100", "2026-11-01 01:00:00,006"),
            (iso(b'/', b' ', b'.', 0, Zone::Zulu), "iso/ .0Z", "2026/11/01 00:00:00Z"),
            (iso(b'-', b'T', b'.', 3, Zone::Plain(-210)), "iso-T.3-0330", "2026-10-31T20:30:00.006-0330"),
            (TimeFormat::Bsd { offset_minutes: 0 }, "bsd~+0000", "Nov  1 00:00:00"),
            (TimeFormat::Clf { offset_minutes: 120 }, "clf+0200", "01/Nov/2026:02:00:00 +0200"),
            (
                TimeFormat::Ctime { digits: 6, offset_minutes: 0 },
                "ctime6~+0000",
                "Sun Nov 01 00:00:00.006000 2026",
            ),
            (TimeFormat::EpochSeconds { digits: 3 }, "epoch.3", "1793491200.006"),
            (TimeFormat::Epoch { scale: 3 }, "epoch3", "1793491200006"),
        ] {
            let mut out = Vec::new();
            format.render(at, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
            assert_eq!(format.to_string(), name);
            assert_eq!(TimeFormat::from_text(name), Some(format));
        }
        for bad in ["", "iso", "iso-T.x+00:00", "bsd", "epochx", "epoch.10", "clf0200"] {
            assert_eq!(TimeFormat::from_text(bad), None, "{bad}");
        }
    }
}
