//! What Resolvix tells of a line beside its text.

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
}
