//! Human units: `"5m"`, `"64 MiB"`.

use std::time::Duration;

const TIMES: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];
const SIZES: [(&str, u64); 10] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("", 1),
];

/// Reads `"30s"`, `"1h"`, `"30d"`: one number and one unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration; write a number and a unit: \"30s\", \"5m\", \"12h\", \"30d\"");
    quantity(text, &TIMES).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads `"64 MiB"`, `"10 GB"`, `"4096"` into bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no size; write a number and a unit: \"64 MiB\", \"10 GiB\", \"500 MB\"");
    quantity(text, &SIZES).ok_or_else(wrong)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes bytes as people read them: `1.5 GiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value.fract() == 0.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2 h", Some(7200)),
            ("30d", Some(2_592_000)),
            ("1W", Some(604_800)),
            ("5", None),
            ("", None),
            ("-5m", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(duration(text).ok().map(|d| d.as_secs()), want, "{text}");
        }
    }

    #[test]
    fn sizes_there_and_back() {
        for (text, want) in [
            ("64 MiB", Some(64 << 20)),
            ("1kb", Some(1000)),
            ("4096", Some(4096)),
            ("10 GiB", Some(10 << 30)),
            ("10 G", None),
            ("MiB", None),
            ("99999999 TiB", None),
        ] {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
        for (bytes, want) in [(0, "0 B"), (1 << 20, "1 MiB"), (1_610_612_736, "1.5 GiB")] {
            assert_eq!(human_bytes(bytes), want);
        }
    }
}
