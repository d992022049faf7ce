//! Every accepted text renders as itself; everything else is refused.

use proptest::prelude::*;

use super::*;

const OBSERVED: Timestamp = Timestamp(1_793_491_200_000_000_000); // 2026-11-01T00:00:00Z

fn clock() -> Clock {
    let mut clock = Clock::new(60);
    clock.observed = OBSERVED;
    clock
}

fn rendered(stamp: &Stamp) -> String {
    let mut out = Vec::new();
    stamp.format.unwrap().render(stamp.timestamp, &mut out);
    String::from_utf8(out).unwrap()
}

/// All that a text can be read as.
fn stamps(text: &[u8]) -> Vec<Stamp> {
    let mut clock = clock();
    let mut found: Vec<_> = [clock.iso(text), clock.bsd(text), clock.clf(text), clock.ctime(text)].to_vec();
    found.push(clock.epoch(text));
    found.into_iter().flatten().collect()
}

#[test]
fn reads_and_refuses() {
    for (text, seconds) in [
        ("2026-11-01T00:00:00Z", Some(0)),
        ("2026-11-01T01:00:00", Some(0)),
        ("2026-11-01 01:00:00+01:00", Some(0)),
        ("2026/11/01 00:00:00-0130", Some(5400)),
        ("2026-11-01T00:00:00+00", Some(0)),
        ("Nov  1 01:00:00", Some(0)),
        ("Jan  1 01:00:00", Some(61 * 86_400)),
        ("Dec 31 01:00:00", Some(60 * 86_400)),
        ("01/Nov/2026:02:00:00 +0200", Some(0)),
        ("Sun Nov 01 01:00:01.5 2026", Some(1)),
        ("1793491201", Some(1)),
        ("1793491201000", Some(1)),
        ("1793491201000000", Some(1)),
        ("1793491201000000000", Some(1)),
        ("2026-11-01T00:00:60Z", Some(59)),
        ("2026-11-31T00:00:00Z", None),
        ("2026-11/01T00:00:00Z", None),
        ("2026-11-01T00:00:00+15:00", None),
        ("2026-11-01T00:00:00x", None),
        ("9999-11-01T00:00:00Z", None),
        ("12345678", None),
        ("1793491201.", None),
        ("Feb 30 00:00:00", None),
        ("Nov 0x 00:00:00", None),
    ] {
        let found = stamps(text.as_bytes()).first().map(|s| s.timestamp.0.div_euclid(1_000_000_000));
        assert_eq!(found, seconds.map(|seconds| seconds + 1_793_491_200), "{text}");
    }
}

#[test]
fn syslog_has_years_and_fractions() {
    for (text, nanosecond, len) in [
        ("Nov  1 01:00:00 web", 0, 15),
        ("Nov 1 01:00:00 web", 0, 14),
        ("Nov  1 01:00:00.25 web", 250_000_000, 18),
        ("Nov 01 2026 01:00:00: web", 0, 20),
    ] {
        let stamp = clock().syslog(text.as_bytes()).unwrap();
        assert_eq!((stamp.timestamp.0 - OBSERVED.0, stamp.end()), (nanosecond, len), "{text}");
    }
    assert_eq!(clock().syslog(b"Nov 1: nothing"), None);
}

#[test]
fn a_leap_day_is_put_into_a_leap_year() {
    let stamp = clock().bsd(b"Feb 29 01:00:00").unwrap();
    assert_eq!(Civil::from_timestamp(stamp.timestamp, 0).year, 2028);
}

proptest! {
    #[test]
    fn what_is_exact_renders_as_its_text(
        text in prop_oneof![
            "20[0-9]{2}[-/][01][0-9][-/][0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9]([.,][0-9]{1,11})?(Z|z|[+-][01][0-9](:?[0-5][0-9])?| UTC| [+-]0[0-9][0-5]0)?",
            "(Jan|Feb|Nov|Dec) [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]",
            "[0-3][0-9]/(Feb|Nov)/20[0-9]{2}:[0-2][0-9]:[0-5][0-9]:[0-5][0-9] [+-][01][0-9]:?[0-5][0-9]",
            "(Sun|Mon|Sat) (Feb|Nov) [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]([.,][0-9]{1,10})? 20[0-9]{2}",
            "-?[0-9]{8,20}([.,][0-9]{0,11})?",
        ]
    ) {
        for stamp in stamps(text.as_bytes()) {
            prop_assert!(stamp.end() <= text.len());
            if stamp.exact {
                prop_assert_eq!(rendered(&stamp), &text[..stamp.len]);
            }
        }
    }
}
