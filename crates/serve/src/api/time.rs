//! Times as text: how parameters write them and how answers do.

use taffrail_record::{TimeFormat, Timestamp, Zone};

/// Largest counts since 1970 that are read as seconds, milliseconds, microseconds: beyond is the next unit.
const EPOCH_UNITS: [(f64, i64); 3] = [(1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000)];

/// A moment as RFC 3339 in UTC with nanoseconds: `2026-11-01T00:00:00.006000000Z`.
pub fn rfc3339(timestamp: Timestamp) -> String {
    iso(timestamp, 9, Zone::Zulu)
}

/// A moment in ISO 8601 with this many digits of its fraction.
pub(crate) fn iso(timestamp: Timestamp, digits: u8, zone: Zone) -> String {
    let mut out = Vec::with_capacity(36);
    TimeFormat::Iso { date: b'-', between: b'T', mark: b'.', digits, zone }.render(timestamp, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads a time parameter: RFC 3339 (without a zone: UTC), a date, seconds or milliseconds since 1970,
/// `now`, or a duration back from `now` such as `15m`, `1h30m`, `7d`. `Err` says what would be right.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if let Some(timestamp) = epoch(text).or_else(|| calendar(text)) {
        return Ok(timestamp);
    }
    if let Ok(duration) = parse_duration(text) {
        return Ok(Timestamp(now.0.saturating_sub(duration)));
    }
    Err(format!(
        "{text:?} is no time; write 2026-11-01T12:00:00Z, seconds or milliseconds since 1970, now, \
         or a duration back from now such as 15m, 1h, 7d (years 1678 to 2261)"
    ))
}

/// Reads a duration such as `500ms`, `15m`, `1h30m`, `7d` as nanoseconds. `Err` says what would be right.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let refused =
        || format!("{text:?} is no duration; write a number and ms, s, m, h, d or w, such as 15m or 1h30m");
    let mut rest = text.trim();
    let mut total: Option<i64> = (!rest.is_empty()).then_some(0);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let number: i64 = number.parse().map_err(|_| refused())?;
        let unit = unit_ns(unit).ok_or_else(refused)?;
        total = total.and_then(|sum| sum.checked_add(number.checked_mul(unit)?));
        rest = tail;
    }
    total.ok_or_else(refused)
}

fn unit_ns(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" => Timestamp::SECOND,
        "m" | "min" => 60 * Timestamp::SECOND,
        "h" => 3600 * Timestamp::SECOND,
        "d" => 86_400 * Timestamp::SECOND,
        "w" => 7 * 86_400 * Timestamp::SECOND,
        _ => return None,
    })
}

/// A count since 1970; its size tells its unit.
fn epoch(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let size: f64 = digits.parse().ok()?;
    let unit = EPOCH_UNITS.iter().find(|(most, _)| size < *most).map_or(1, |(_, unit)| *unit);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    let fraction: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
    let rest = (fraction * unit as f64) as i64;
    let rest = if text.starts_with('-') { -rest } else { rest };
    whole.checked_mul(unit)?.checked_add(rest).map(Timestamp)
}

/// RFC 3339 and its relatives, where a timestamp holds it.
fn calendar(text: &str) -> Option<Timestamp> {
    calendar_ns(text).and_then(|nanoseconds| i64::try_from(nanoseconds).ok()).map(Timestamp)
}

/// Nanoseconds since 1970 of RFC 3339 and its relatives: without a zone, with a blank for the `T`, a date
/// alone. Where a `+` of a zone became a blank on its way through a query string, it is read as the `+`.
pub(crate) fn calendar_ns(text: &str) -> Option<i128> {
    let repaired;
    let mut text = text.trim();
    if let Some((head, zone)) = text.rsplit_once(' ')
        && head.contains(':')
        && matches!(zone.len(), 4 | 5)
    {
        repaired = format!("{head}+{zone}");
        text = &repaired;
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(timestamp.as_nanosecond());
    }
    let clock: jiff::civil::DateTime = text.parse().ok()?;
    Some(clock.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_793_491_200_006_000_000); // 2026-11-01T00:00:00.006Z

    #[test]
    fn reads_every_way_to_write_a_time() {
        let midnight = NOW.0 - 6_000_000;
        for (text, want) in [
            ("2026-11-01T00:00:00.006Z", NOW.0),
            ("2026-11-01T00:00:00.006", NOW.0),
            ("2026-11-01 00:00:00.006", NOW.0),
            ("2026-11-01T01:00:00.006+01:00", NOW.0),
            ("2026-11-01T01:00:00.006 01:00", NOW.0),
            ("2026-11-01T00:00", midnight),
            ("2026-11-01", midnight),
            ("1793491200", midnight),
            ("1793491200.006", NOW.0),
            ("1793491200006", NOW.0),
            ("1793491200006000000", NOW.0),
            ("-1.5", -1_500_000_000),
            (" now ", NOW.0),
            ("15m", NOW.0 - 900 * Timestamp::SECOND),
            ("1h30m", NOW.0 - 5400 * Timestamp::SECOND),
            ("7d", NOW.0 - 7 * 86_400 * Timestamp::SECOND),
        ] {
            assert_eq!(parse_time(text, NOW), Ok(Timestamp(want)), "{text}");
        }
        for bad in ["", "yesterday", "15x", "m", "9999-01-01", "2026-13-01", "1.2.3", "-", "99999999999w"] {
            assert!(parse_time(bad, NOW).is_err(), "{bad}");
        }
        assert_eq!(rfc3339(NOW), "2026-11-01T00:00:00.006000000Z");
        assert_eq!(rfc3339(Timestamp(i64::MIN)), "1677-09-21T00:12:43.145224192Z");
    }
}
