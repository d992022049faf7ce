//! Formats of one's own, in a process of their own: they are settled for all of it.

use taffrail_parse::{Context, Joiner, OwnFormat, Parser, format_names, use_formats, wrong_samples};
use taffrail_record::{Multiline as _, Timestamp};

const SHOP: &str = r#"
name = "shop"
patterns = ["{time} shop<{.order:int}> {level}: {body}"]
service = "shop"
[[samples]]
line = "2026-11-01T00:00:00Z shop<7> warn: low stock"
time = "2026-11-01T00:00:00Z"
severity = "WARNING"
service = "shop"
body = "low stock"
attributes = { level = "warn", order = 7 }
"#;

const TILL: &str = r#"
name = "till"
regex = ['^till (?P<till>\d+) at (?P<time>\S+ \S+) (?P<level>\w+) (?P<message>.*)$']
time = "%d.%m.%Y %H:%M:%S"
levels = { BAD = "error" }
[[samples]]
line = "till 12 at 01.11.2026 10:00:00 BAD drawer open"
time = "2026-11-01T10:00:00Z"
severity = "ERROR"
body = "drawer open"
attributes = { level = "BAD", till = 12 }
"#;

const GATE: &str = r#"
name = "gate"
grok = ['^%{SYSLOGTIMESTAMP:timestamp} gate \[%{IP:client_ip}\] %{WORD:[door][id]} %{NUMBER:seconds:float}s$']
[[samples]]
line = "Nov  1 00:00:00 gate [192.0.2.7] north 1.5s"
time = "2026-11-01T00:00:00Z"
attributes = { "door.id" = "north", client_ip = "192.0.2.7", seconds = "1.5" }
[[samples]]
line = "Nov  1 00:00:00 gate [192.0.2.7] south 2s"
time = "2026-11-01T00:00:00Z"
severity = "ERROR"
attributes = { "door.id" = "south", client_ip = "192.0.2.7", seconds = 2 }
"#;

/// Takes the place of the built-in format.
const REDIS: &str = r#"
name = "redis"
patterns = ["redis! {body}"]
"#;

#[test]
fn formats_of_ones_own_come_first_and_their_samples_are_checked() {
    for (text, wrong) in [
        ("name = 'x'", "it finds no line"),
        ("name = ''\npatterns = ['{body}']", "`` is no name"),
        ("name = 'x'\npatern = ['{body}']", "unknown field `patern`"),
        ("name = 'x'\nregex = ['(']", "`(`: regex parse error"),
        ("name = 'x'\nregex = ['a(b)']", "no group has a name"),
        ("name = 'x'\ngrok = ['%{NOWHERE:y}']", "`%{NOWHERE}` is unknown"),
        ("name = 'x'\nmessages = ['{body}']", "`messages` are those of `programs`"),
    ] {
        let error = OwnFormat::read(text).unwrap_err();
        assert!(error.contains(wrong), "{error}");
    }
    let own = || [SHOP, TILL, GATE, REDIS].map(|text| OwnFormat::read(text).unwrap());
    assert!(use_formats(own().into_iter().chain(own()).collect()).is_err(), "names come once");
    use_formats(own().into()).unwrap();
    assert!(use_formats(Vec::new()).is_err(), "it is settled");
    assert_eq!(format_names().filter(|name| *name == "redis").count(), 1);
    let wrong = wrong_samples();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].ends_with("of the format `gate`: severity is INFO, not ERROR"), "{}", wrong[0]);

    let context = Context { service: "x".into(), node: "n".into(), offset_minutes: 0 };
    let found = Parser::new(context.clone()).explain(b"redis! up", Timestamp(0));
    assert_eq!((found.format, found.body.as_str()), ("redis", "up"));
    let only = |name: &str, line: &str| {
        let mut parser = Parser::new(context.clone()).only(Some(name));
        parser.explain(line.as_bytes(), Timestamp(0)).format
    };
    assert_eq!(only("till", "2026-11-01T00:00:00Z shop<7> warn: low stock"), "plain");
    assert_eq!(only("shop", "2026-11-01T00:00:00Z shop<7> warn: low stock"), "shop");
    assert_eq!(only("syslog", "2026-11-01T00:00:00Z web app: x"), "syslog");
    assert_eq!(only("json", "2026-11-01T00:00:00Z web app: x"), "plain");
    let mut joiner = Joiner::default();
    let before = b"2026-11-01T00:00:00Z shop<7> warn: low stock";
    assert!(!joiner.goes_on(before, b"redis! up"), "a line of one's own format begins a record");
    assert!(joiner.goes_on(before, b"in the back room"));
    let line = b"1234:M 01 Nov 2026 00:00:00.123 # Server initialized";
    let found = Parser::new(context.clone()).explain(line, Timestamp(0));
    assert_ne!(found.format, "redis", "the built-in one is replaced");
}
