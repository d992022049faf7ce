//! Clients of LeverEdge's log aggregation work unchanged, without its defects.

use serde_json::{Value, json};
use taffrail_testkit::{Daemon, percent_encode};

use crate::program::{Site, eventually};

fn post(daemon: &Daemon, entry: &Value) -> Value {
    let answer = daemon.post("/api/logs", "application/json", entry.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{entry}: {}", answer.text());
    answer.json().unwrap()
}

#[track_caller]
fn get(daemon: &Daemon, target: &str) -> Value {
    let answer = daemon.get(target).unwrap();
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json().unwrap()
}

fn messages(answer: &Value) -> Vec<&str> {
    let entries = answer["logs"].as_array().or(answer["results"].as_array()).unwrap();
    entries.iter().map(|entry| entry["message"].as_str().unwrap()).collect()
}

#[test]
fn a_posted_entry_is_visible_at_once() {
    let site = Site::new();
    let daemon = site.daemon();
    for number in 0..20 {
        let message = format!("x{number}");
        let answer = post(&daemon, &json!({"level": "ERROR", "agent": "MY_AGENT", "message": message}));
        assert_eq!(answer["status"], "ingested");
        let time = answer["timestamp"].as_str().unwrap();
        assert!(time.len() == 26 && time.as_bytes()[10] == b'T' && !time.contains('Z'), "{time}");
        let listed = get(&daemon, "/api/logs?limit=1");
        let entry = json!({"timestamp": time, "level": "ERROR", "agent": "MY_AGENT", "message": message, "source": null, "metadata": null});
        assert_eq!(listed, json!({"logs": [entry], "count": 1, "limit": 1, "offset": 0}));
    }
    // Only the message is needed.
    post(&daemon, &json!({"message": "bare", "unknown": 1}));
    let entry = &get(&daemon, "/api/logs?limit=1")["logs"][0];
    assert_eq!(
        (&entry["level"], &entry["agent"], &entry["message"]),
        (&json!("INFO"), &json!("unknown"), &json!("bare"))
    );
    post(
        &daemon,
        &json!({"message": "full", "level": "warn", "agent": "a b", "source": "/s", "timestamp": "2030-01-01T00:00:00", "metadata": {"k": [1, {"d": null}]}}),
    );
    let entry = &get(&daemon, "/api/logs?limit=1")["logs"][0];
    let want = json!({"timestamp": "2030-01-01T00:00:00", "level": "warn", "agent": "a b", "message": "full", "source": "/s", "metadata": {"k": [1, {"d": null}]}});
    assert_eq!(*entry, want);
}

/// Entries at 10:00:01 to 10:00:06, posted in another order, with and without a zone.
fn daemon_with_entries(site: &Site) -> Daemon {
    let daemon = site.daemon();
    for (time, level, agent, message) in [
        ("2026-11-20T10:00:03", "ERROR", "ALPHA", "third (unclosed"),
        ("2026-11-20T10:00:01Z", "info", "alpha", "first"),
        ("2026-11-20T12:00:05+02:00", "ERROR", "BETA", "fifth code 42 and code 7"),
        ("2026-11-20T10:00:02.500000", "WARNING", "BETA", "second"),
        ("2026-11-20T10:00:06Z", "ERROR", "ALPHA", "sixth"),
        ("2026-11-20T10:00:04", "DEBUG", "gamma", "fourth"),
    ] {
        post(
            &daemon,
            &json!({"timestamp": time, "level": level, "agent": agent, "message": message, "metadata": {"key": "of metadata"}}),
        );
    }
    daemon
}

const SECOND: [&str; 1] = ["second"];

#[test]
fn entries_are_listed_by_event_time_and_filtered() {
    let site = Site::new();
    let daemon = daemon_with_entries(&site);
    let newest = ["sixth", "fifth code 42 and code 7", "fourth", "third (unclosed", "second", "first"];
    for (query, want) in [
        ("", &newest[..]),
        ("limit=2", &newest[..2]),
        ("limit=2&offset=2", &newest[2..4]),
        ("offset=5", &newest[5..]),
        ("offset=6", &[]),
        ("offset=-3&limit=1", &newest[..1]),
        ("agent=ALPHA", &["sixth", "third (unclosed", "first"]),
        ("agent=alpha&level=error", &["sixth", "third (unclosed"]),
        ("level=Info", &["first"]),
        ("level=WARNING", &SECOND),
        ("agent=nobody", &[]),
        ("start_time=2026-11-20T10:00:04", &newest[..3]),
        ("start_time=2026-11-20T10:00:04Z", &newest[..3]),
        ("start_time=2026-11-20T11:00:04%2B01:00", &newest[..3]),
        ("end_time=2026-11-20T10:00:02.500000", &newest[4..]),
        ("end_time=2026-11-20T10:00:02.5Z", &newest[4..]),
        ("start_time=2026-11-20T10:00:02&end_time=2026-11-20T10:00:03Z", &newest[3..5]),
        ("start_time=nonsense", &newest),
    ] {
        let answer = get(&daemon, &format!("/api/logs?{query}"));
        assert_eq!(messages(&answer), want, "{query}");
        assert_eq!(answer["count"], want.len(), "{query}");
    }
    let answer = get(&daemon, "/api/logs/agent/Alpha?level=ERROR&limit=1&offset=1");
    assert_eq!((&answer["agent"], messages(&answer)), (&json!("Alpha"), vec!["third (unclosed"]));
    assert_eq!(get(&daemon, "/api/logs/agent/nobody"), json!({"agent": "nobody", "logs": [], "count": 0}));
}

#[test]
fn search_finds_marks_and_pages() {
    let site = Site::new();
    let daemon = daemon_with_entries(&site);
    for (query, want, marks) in [
        ("SIXTH", &["sixth"][..], json!(["sixth"])),
        ("code \\d+", &["fifth code 42 and code 7"], json!(["code 42", "code 7"])),
        ("code (\\d+)", &["fifth code 42 and code 7"], json!(["42", "7"])),
        ("(c)ode (4)", &["fifth code 42 and code 7"], json!([["c", "4"]])),
        ("(unclosed", &["third (unclosed"], json!(["(unclosed"])),
        ("^(first|second)$", &["second", "first"], json!(["second"])),
        ("nowhere", &[], json!(null)),
    ] {
        let answer = get(&daemon, &format!("/api/logs/search?q={}", percent_encode(query)));
        assert_eq!(answer["query"], query);
        assert_eq!(messages(&answer), want, "{query}");
        assert_eq!(answer["results"][0]["_highlights"], marks, "{query}");
    }
    assert_eq!(get(&daemon, "/api/logs/search?q=")["count"], 6);
    assert_eq!(get(&daemon, "/api/logs/search?q=metadata")["count"], 6);
    let page = |offset| get(&daemon, &format!("/api/logs/search?q=&limit=2&offset={offset}"));
    assert_eq!(messages(&page(0)), ["sixth", "fifth code 42 and code 7"]);
    assert_eq!(messages(&page(2)), ["fourth", "third (unclosed"]);
    assert_eq!(messages(&page(4)), ["second", "first"]);
    assert_eq!(
        messages(&get(&daemon, "/api/logs/search?q=.&agent=beta&level=error")),
        ["fifth code 42 and code 7"]
    );
}

#[test]
fn agents_and_stats_count_everything() {
    let site = Site::new();
    let daemon = daemon_with_entries(&site);
    let check = |daemon: &Daemon| {
        assert_eq!(get(daemon, "/api/agents"), json!({"agents": ["ALPHA", "BETA", "alpha", "gamma"]}));
        let stats = get(daemon, "/api/stats");
        assert_eq!(stats["total_logs"], 6);
        assert_eq!(stats["by_level"], json!({"ERROR": 3, "info": 1, "WARNING": 1, "DEBUG": 1}));
        assert_eq!(stats["by_agent"], json!({"ALPHA": 2, "BETA": 2, "alpha": 1, "gamma": 1}));
        let files = stats["log_files"].as_array().unwrap();
        let sum: u64 = files.iter().map(|file| file["count"].as_u64().unwrap()).sum();
        assert_eq!(sum, 6);
        assert!(
            files
                .iter()
                .all(|file| file["name"].as_str().unwrap().ends_with(".log") && file["size_bytes"].is_u64())
        );
        let health = get(daemon, "/health");
        assert_eq!((&health["status"], &health["service"]), (&json!("healthy"), &json!("log-aggregator")));
        assert!(health["retention_days"].is_u64() && health["aggregated_dir"].is_string());
    };
    check(&daemon);
    assert!(daemon.stop().unwrap().success());
    // The same from a segment, and nothing twice.
    check(&site.daemon());
}

#[test]
fn the_five_formats_of_a_followed_directory() {
    let site = Site::new();
    let daemon = site.daemon();
    let lines = [
        r#"{"timestamp":"2026-11-20T10:00:00","level":"ERROR","agent":"JSON","message":"of json","extra":{"a":1}}"#,
        "2026-11-20 10:00:01 - info - AGENT - of dashes",
        "2026-11-20T10:00:02.5 | WARNING | PIPES | of pipes",
        "[critical] BRACKETS: of brackets",
        "warning - of a level",
        "Error: of a colon",
        "note: hi",
        "",
        "   whole line   ",
    ];
    site.write("logs/my-agent.log", lines.join("\n") + "\n");
    eventually("reading the directory", || get(&daemon, "/api/logs")["count"].as_u64().unwrap() >= 8);
    let answer = get(&daemon, "/api/logs");
    let entry = |message: &str| {
        let found = answer["logs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["message"].as_str().is_some_and(|text| text.contains(message)));
        found.unwrap_or_else(|| panic!("{message}: {answer:#}")).clone()
    };
    let source = site.source("logs/my-agent.log");
    let json = entry("of json");
    assert_eq!(
        json,
        json!({"timestamp": "2026-11-20T10:00:00", "level": "ERROR", "agent": "JSON", "message": "of json", "extra": {"a": 1}, "source": source})
    );
    for (message, level, agent) in [
        ("of dashes", "INFO", "AGENT"),
        ("of pipes", "WARNING", "PIPES"),
        ("of brackets", "CRITICAL", "BRACKETS"),
        ("of a level", "WARNING", "MY_AGENT"),
        ("of a colon", "ERROR", "MY_AGENT"),
        ("note: hi", "INFO", "MY_AGENT"),
        ("whole line", "INFO", "MY_AGENT"),
    ] {
        let entry = entry(message);
        let got = (&entry["level"], &entry["agent"], &entry["source"]);
        assert_eq!(got, (&json!(level), &json!(agent), &json!(source)), "{message}");
        assert!(entry.get("metadata").is_none(), "{entry}");
    }
    assert_eq!(entry("hi")["message"], "note: hi");
    assert_eq!(
        messages(&get(&daemon, "/api/logs/agent/my_agent?level=info")).len(),
        get(&daemon, "/api/logs?agent=MY_AGENT&level=INFO")["count"].as_u64().unwrap() as usize
    );
}

#[test]
fn wrong_bodies_and_parameters_have_the_originals_errors() {
    let site = Site::new();
    let daemon = site.daemon();
    let detail = |answer: taffrail_testkit::Response| {
        assert_eq!(answer.status, 422, "{}", answer.text());
        answer.json().unwrap()["detail"][0].clone()
    };
    for (body, kind, location) in [
        ("{}", "missing", json!(["body", "message"])),
        ("{\"message\":5}", "string_type", json!(["body", "message"])),
        ("{\"message\":\"x\",\"metadata\":[]}", "dict_type", json!(["body", "metadata"])),
        ("{\"message\":\"x\",\"level\":null}", "string_type", json!(["body", "level"])),
        ("", "missing", json!(["body"])),
        ("[1]", "model_attributes_type", json!(["body"])),
        ("{\"message\": \"x\",}", "json_invalid", json!(["body", 16])),
    ] {
        let detail = detail(daemon.post("/api/logs", "application/json", body).unwrap());
        assert_eq!((&detail["type"], &detail["loc"]), (&json!(kind), &location), "{body}: {detail}");
        assert!(detail["msg"].is_string() && detail.get("input").is_some(), "{detail}");
    }
    let over = detail(daemon.get("/api/logs?limit=1001").unwrap());
    let want = json!({"type": "less_than_equal", "loc": ["query", "limit"], "msg": "Input should be less than or equal to 1000", "input": "1001", "ctx": {"le": 1000}});
    assert_eq!(over, want);
    let number = detail(daemon.get("/api/logs?limit=abc").unwrap());
    let want = json!({"type": "int_parsing", "loc": ["query", "limit"], "msg": "Input should be a valid integer, unable to parse string as an integer", "input": "abc"});
    assert_eq!(number, want);
    let missing = detail(daemon.get("/api/logs/search").unwrap());
    assert_eq!(
        missing,
        json!({"type": "missing", "loc": ["query", "q"], "msg": "Field required", "input": null})
    );
    assert_eq!(get(&daemon, "/api/logs")["count"], 0);
}

#[test]
fn slashes_redirect_and_unknown_paths_and_methods_are_told() {
    let site = Site::new();
    let daemon = site.daemon();
    let mut client = daemon.client();
    for (method, target, status, body) in [
        ("GET", "/api/logs/?limit=5", 307, None),
        ("POST", "/api/logs/", 307, None),
        ("GET", "/api/stats/", 307, None),
        ("GET", "/nothing", 404, Some(json!({"detail": "Not Found"}))),
        ("DELETE", "/api/logs", 405, Some(json!({"detail": "Method Not Allowed"}))),
        ("POST", "/api/stats", 405, Some(json!({"detail": "Method Not Allowed"}))),
    ] {
        let answer = client.request(method, target, &[], b"").unwrap();
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        if let Some(body) = body {
            assert_eq!(answer.json().unwrap(), body, "{method} {target}");
        } else {
            let to = answer.header("location").unwrap();
            assert_eq!(
                to.replace(&format!("http://{}", daemon.address()), ""),
                target.replacen("/?", "?", 1).trim_end_matches('/'),
                "{target}"
            );
        }
    }
}
