//! What lines become, told before they are stored.

use serde_json::{Value, json};

use crate::program::Site;

const LINES: &str = r#"Nov  1 10:00:01 web-1 sshd[12]: Failed password for root from 10.0.0.1 port 22 ssh2
{"time":"2026-11-20T10:00:03.123456789Z","level":"warn","msg":"slow","service":"shop","amount":250}
10.1.2.3 - - [20/Nov/2026:10:00:08 +0100] "GET /cart HTTP/1.1" 500 123 "-" "curl/8"
2026-11-20 10:00:06,5 ERROR out of memory
what is this
"#;

#[test]
fn each_record_is_explained_as_json() {
    let site = Site::new();
    let path = site.write("logs/mixed.log", LINES);
    let ran = site.run(&[
        "explain",
        "--json",
        "--now",
        "2026-11-20T12:00:00Z",
        "--zone",
        "+02:00",
        "--file",
        path.to_str().unwrap(),
    ]);
    let told = ran.expect(0).json();
    let fields = |told: &Value| {
        let names = [
            "line",
            "lines",
            "format",
            "timestamp",
            "timestamp_text",
            "year_known",
            "zone_known",
            "severity",
        ];
        Value::Array(names.iter().map(|name| told[name].clone()).collect())
    };
    let time = |text: &str| format!("2026-11-{text}000000000Z");
    let want = [
        json!([1, 1, "syslog", time("01T08:00:01."), "Nov  1 10:00:01", false, false, "INFO"]),
        json!([
            2,
            1,
            "json",
            "2026-11-20T10:00:03.123456789Z",
            "2026-11-20T10:00:03.123456789Z",
            true,
            true,
            "WARNING"
        ]),
        json!([3, 1, "web-access", time("20T09:00:08."), "20/Nov/2026:10:00:08 +0100", true, true, "ERROR"]),
        json!([
            4,
            2,
            "stamped",
            "2026-11-20T08:00:06.500000000Z",
            "2026-11-20 10:00:06,5",
            true,
            false,
            "ERROR"
        ]),
    ];
    assert_eq!(told.iter().map(fields).collect::<Vec<_>>(), want);
    assert_eq!(
        (&told[0]["host"], &told[0]["service"], &told[0]["pid"]),
        (&json!("web-1"), &json!("sshd"), &json!(12))
    );
    assert_eq!((&told[1]["attributes"]["amount"], &told[1]["body"]), (&json!(250), &json!("slow")));
    assert_eq!((&told[2]["attributes"]["status"], &told[2]["host"]), (&json!(500), &Value::Null));
}

#[test]
fn people_are_told_why() {
    let site = Site::new();
    let line = LINES.lines().next().unwrap();
    let ran = site.run(&["explain", "--now", "2026-11-20T12:00:00Z", "--zone", "UTC", line]);
    let told = ran.expect(0).text();
    for part in [
        "format    syslog",
        "from `Nov  1 10:00:01`",
        "without a year: the one nearest to now",
        "without a zone: +00:00, the source's",
        "INFO, guessed from the message: no field says it",
        "pid = 12 (number)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn wrong_usage_is_told() {
    let site = Site::new();
    for (arguments, part) in
        [(["explain", "--zone", "Mars", "x"], "no zone"), (["explain", "--now", "soonish", "x"], "--now")]
    {
        let ran = site.run(&arguments).expect(64);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let missing = site.run(&["explain", "--file", "/nowhere/at-all.log"]).expect(2);
    assert!(missing.err.contains("/nowhere/at-all.log"), "{}", missing.err);
}
