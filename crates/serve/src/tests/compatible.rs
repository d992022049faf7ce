//! The compatible API: its bodies, defaults, limits and errors, in columns.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use taffrail_record::{Severity, Timestamp};

use super::fake::{Fake, get, get_text, hit, post, read, send};
use crate::services::Services;

async fn posted(entries: &[Value]) -> (Arc<Fake>, Services) {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    for entry in entries {
        let (status, answer) = post(&services, "/api/logs", &entry.to_string()).await;
        assert_eq!((status, &answer["status"]), (200, &json!("ingested")));
    }
    (fake, services)
}

fn messages(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_posted_entry_is_there_at_once_with_all_its_keys() {
    let entry = json!({"level": "ERROR", "agent": "MY_AGENT", "message": "x\n<b>", "extra": 1});
    let (fake, services) = posted(&[entry]).await;
    let push = fake.pushes.lock().unwrap().remove(0);
    assert_eq!((push.source.as_str(), push.service), ("http:leveredge", None));
    let line = r#"{"timestamp":"2026-11-01T00:00:00.006000","level":"ERROR","agent":"MY_AGENT","message":"x\n<b>","source":null,"metadata":null}"#;
    assert_eq!(String::from_utf8(push.bytes).unwrap(), format!("{line}\n"));
    let stored: Value = serde_json::from_str(line).unwrap();
    let (_, logs) = get(&services, "/api/logs").await;
    assert_eq!(logs, json!({"logs": [stored], "count": 1, "limit": 100, "offset": 0}));
    let (_, answer) = post(&services, "/api/logs", r#"{"message":"m","timestamp":"any text"}"#).await;
    assert_eq!(answer, json!({"status": "ingested", "timestamp": "any text"}));
    let line: Value = serde_json::from_slice(&fake.pushes.lock().unwrap()[0].bytes).unwrap();
    assert_eq!((&line["level"], &line["agent"]), (&json!("INFO"), &json!("unknown")));
    let untyped = Request::post("/api/logs").body(Body::from(r#"{"message":"no content type"}"#)).unwrap();
    assert_eq!(send(&services, untyped).await.status(), 200);
    let full = json!({"metadata": {"user": "ann"}, "source": "s", "message": "m"});
    assert_eq!(post(&services, "/api/logs", &full.to_string()).await.0, 200);
}

#[tokio::test]
async fn entries_are_selected_as_the_original_does() {
    let entry = |hour: u32, level: &str, agent: &str, message: &str| {
        let timestamp = format!("2026-11-01T{hour:02}:00:00");
        json!({"timestamp": timestamp, "level": level, "agent": agent, "message": message})
    };
    let (fake, services) = posted(&[
        entry(3, "ERROR", "api", "three"),
        entry(1, "warn", "API", "one"),
        entry(2, "WARNING", "db", "two"),
        entry(4, "Custom", "db", "four"),
    ])
    .await;
    fake.hits.lock().unwrap().push(collected());
    for (query, want) in [
        ("", vec!["four", "three", "two", "one", "five"]),
        ("limit=2", vec!["four", "three"]),
        ("limit=2&offset=3", vec!["one", "five"]),
        ("limit=0", vec![]),
        ("limit=-1", vec![]),
        ("limit=1000&offset=-7", vec!["four", "three", "two", "one", "five"]),
        ("offset=99999999999999999999", vec![]),
        ("limit=5&limit=1", vec!["four"]),
        ("agent=Api", vec!["three", "one"]),
        ("agent=my_agent", vec!["five"]),
        ("agent=nobody", vec![]),
        ("agent=&level=", vec!["four", "three", "two", "one", "five"]),
        ("level=error", vec!["three"]),
        ("level=warning", vec!["two", "five"]),
        ("level=WARN", vec!["one"]),
        ("level=custom", vec!["four"]),
        ("level=warning&agent=db", vec!["two"]),
        ("start_time=2026-11-01T03:00:00", vec!["four", "three"]),
        ("start_time=2026-11-01T03:00:00Z", vec!["four", "three"]),
        ("start_time=2026-11-01T04:00:00%2B01:00", vec!["four", "three"]),
        ("start_time=2026-11-01T04:00:00+01:00", vec!["four", "three"]),
        ("end_time=2026-11-01T02:00:00", vec!["two", "one", "five"]),
        ("end_time=2026-11-01%2002:00:00Z&start_time=2026-11-01T01:30", vec!["two"]),
        ("start_time=nonsense&end_time=", vec!["four", "three", "two", "one", "five"]),
        ("end_time=9999-12-31T00:00:00&start_time=0001-01-01", vec!["four", "three", "two", "one", "five"]),
        ("unknown=1", vec!["four", "three", "two", "one", "five"]),
    ] {
        let (status, answer) = get(&services, &format!("/api/logs?{query}")).await;
        assert_eq!((status, messages(&answer["logs"])), (200, want.clone()), "{query}");
        assert_eq!(answer["count"], want.len(), "{query}");
    }
    let (_, answer) = get(&services, "/api/logs?limit=-1&offset=-7").await;
    assert_eq!((&answer["limit"], &answer["offset"]), (&json!(-1), &json!(-7)));
    let (_, answer) = get(&services, "/api/logs/agent/Db?limit=1&offset=1").await;
    assert_eq!((messages(&answer["logs"]), &answer["agent"]), (vec!["two"], &json!("Db")));
    let (_, answer) = get(&services, "/api/logs/agent/no%20one").await;
    assert_eq!(answer, json!({"agent": "no one", "logs": [], "count": 0}));
    let (_, answer) = get(&services, "/api/agents").await;
    assert_eq!(answer, json!({"agents": ["API", "MY_AGENT", "api", "db"]}));
    let (_, stats) = get(&services, "/api/stats").await;
    let levels = json!({"Custom": 1, "ERROR": 1, "WARNING": 2, "warn": 1});
    assert_eq!((&stats["by_level"], &stats["total_logs"]), (&levels, &json!(5)));
    assert_eq!(stats["by_agent"], json!({"API": 1, "MY_AGENT": 1, "api": 1, "db": 2}));
    assert_eq!(
        stats["log_files"],
        json!([
            {"name": "2026-10-31.log", "size_bytes": 200, "count": 1},
            {"name": "2026-11-01.log", "size_bytes": 800, "count": 4},
        ])
    );
}

/// A line of a file, `WARNING - five`, from the day before.
fn collected() -> taffrail_store::hit::Hit {
    let mut hit = hit("five", Severity::WARNING);
    hit.timestamp = Timestamp(super::fake::NOW.0 - 3600 * Timestamp::SECOND);
    hit.source = "/tmp/my-agent.log".to_owned();
    hit.service = "my-agent".to_owned();
    hit.layout = "{level} - {body}".to_owned();
    hit
}

#[tokio::test]
async fn a_collected_line_has_no_metadata() {
    let (fake, services) = posted(&[]).await;
    fake.hits.lock().unwrap().push(collected());
    let (_, answer) = get(&services, "/api/logs").await;
    let entry = json!({
        "timestamp": "2026-10-31T23:00:00.006000",
        "level": "WARNING",
        "agent": "MY_AGENT",
        "message": "five",
        "source": "/tmp/my-agent.log",
    });
    assert_eq!(answer["logs"], json!([entry]));
}

#[tokio::test]
async fn search_finds_and_marks() {
    let (_fake, services) = posted(&[
        json!({"message": "disk full on sda", "agent": "a", "timestamp": "2026-11-01T01:00:00"}),
        json!({"message": "call f(unclosed now", "timestamp": "2026-11-01T02:00:00"}),
        json!({"message": "login", "metadata": {"user": "ann"}, "timestamp": "2026-11-01T03:00:00"}),
    ])
    .await;
    for (query, want, marks) in [
        ("q=DISK", vec!["disk full on sda"], json!(["disk"])),
        ("q=(unclosed", vec!["call f(unclosed now"], json!(["(unclosed"])),
        ("q=a(n)(n)", vec!["login"], json!([["n", "n"]])),
        ("q=(l%2B)%20on", vec!["disk full on sda"], json!(["ll"])),
        ("q=.*&limit=1&offset=2", vec!["disk full on sda"], json!(["disk full on sda", ""])),
        ("q=(a%2B)%2B%24&agent=A", vec!["disk full on sda"], json!(["a"])),
        ("q=disk&start_time=2026-11-01T02:00:00", vec![], json!(null)),
        ("q=nothing", vec![], json!(null)),
    ] {
        let (status, answer) = get(&services, &format!("/api/logs/search?{query}")).await;
        assert_eq!((status, messages(&answer["results"])), (200, want), "{query}");
        if query != "q=.*&limit=1&offset=2" {
            assert_eq!(answer["results"][0]["_highlights"], marks, "{query}");
        }
    }
    let (_, answer) = get(&services, "/api/logs/search?q=").await;
    assert_eq!((&answer["query"], &answer["count"]), (&json!(""), &json!(3)));
}

fn detail(kind: &str, loc: Value, msg: &str, input: Value) -> Value {
    json!({"type": kind, "loc": loc, "msg": msg, "input": input})
}

#[tokio::test]
async fn wrong_parameters_are_422() {
    let (_fake, services) = posted(&[]).await;
    let at = |name: &str| json!(["query", name]);
    let mut too_many =
        detail("less_than_equal", at("limit"), "Input should be less than or equal to 1000", json!("1001"));
    too_many["ctx"] = json!({"le": 1000});
    let number = |name, input: &str| {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        detail("int_parsing", at(name), message, json!(input))
    };
    let missing = detail("missing", at("q"), "Field required", Value::Null);
    for (path, want) in [
        ("/api/logs?limit=1001", vec![too_many.clone()]),
        ("/api/logs?limit=abc", vec![number("limit", "abc")]),
        ("/api/logs?limit=&offset=1.5", vec![number("limit", ""), number("offset", "1.5")]),
        ("/api/logs/agent/x?limit=1001", vec![too_many.clone()]),
        ("/api/logs/search", vec![missing.clone()]),
        ("/api/logs/search?limit=1001", vec![missing, too_many]),
    ] {
        assert_eq!(get(&services, path).await, (422, json!({ "detail": want })), "{path}");
    }
    assert_eq!(get(&services, "/api/logs?limit=1000").await.0, 200);
}

#[tokio::test]
async fn wrong_bodies_are_422() {
    let (fake, services) = posted(&[]).await;
    let at = |name: &str| json!(["body", name]);
    let text = |name, input| detail("string_type", at(name), "Input should be a valid string", input);
    let object = "Input should be a valid dictionary or object to extract fields from";
    let mut broken = detail("json_invalid", json!(["body", 1]), "JSON decode error", json!({}));
    broken["ctx"] = json!({"error": "Expecting property name enclosed in double quotes"});
    let dictionary = "Input should be a valid dictionary";
    for (body, want) in [
        ("{}", vec![detail("missing", at("message"), "Field required", json!({}))]),
        (
            r#"{"level":1,"x":2}"#,
            vec![
                text("level", json!(1)),
                detail("missing", at("message"), "Field required", json!({"level": 1, "x": 2})),
            ],
        ),
        (r#"{"message":5}"#, vec![text("message", json!(5))]),
        (r#"{"message":null,"agent":null}"#, vec![text("agent", Value::Null), text("message", Value::Null)]),
        (
            r#"{"message":"m","metadata":[1]}"#,
            vec![detail("dict_type", at("metadata"), dictionary, json!([1]))],
        ),
        ("{oops}", vec![broken]),
        ("", vec![detail("missing", json!(["body"]), "Field required", Value::Null)]),
        ("null", vec![detail("missing", json!(["body"]), "Field required", Value::Null)]),
        ("[1]", vec![detail("model_attributes_type", json!(["body"]), object, json!([1]))]),
        ("5", vec![detail("model_attributes_type", json!(["body"]), object, json!(5))]),
    ] {
        assert_eq!(post(&services, "/api/logs", body).await, (422, json!({ "detail": want })), "{body}");
    }
    let plain = Request::post("/api/logs").header("content-type", "text/plain");
    let (status, _, answer) =
        read(send(&services, plain.body(Body::from(r#"{"message":"m"}"#)).unwrap()).await).await;
    assert_eq!((status.as_u16(), answer.contains("model_attributes_type")), (422, true));
    let binary = Request::post("/api/logs").body(Body::from(&b"{\"message\":\"\xff\"}"[..])).unwrap();
    let (status, _, answer) = read(send(&services, binary).await).await;
    assert_eq!(
        (status.as_u16(), answer.as_str()),
        (400, r#"{"detail":"There was an error parsing the body"}"#)
    );
    assert!(fake.pushes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn paths_and_methods_answer_as_the_original_does() {
    let (_fake, services) = posted(&[]).await;
    for (method, path, status, body) in [
        ("GET", "/nothing", 404, r#"{"detail":"Not Found"}"#),
        ("GET", "/api/logs/agent/", 404, r#"{"detail":"Not Found"}"#),
        ("GET", "/api/nothing/", 404, r#"{"detail":"Not Found"}"#),
        ("DELETE", "/api/logs", 405, r#"{"detail":"Method Not Allowed"}"#),
        ("POST", "/health", 405, r#"{"detail":"Method Not Allowed"}"#),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (got, _, text) = read(send(&services, request).await).await;
        assert_eq!((got.as_u16(), text.as_str()), (status, body), "{method} {path}");
    }
    for (path, location) in [
        ("/api/logs/?limit=5", "/api/logs?limit=5"),
        ("/health/", "/health"),
        ("/api/logs/agent/x/", "/api/logs/agent/x"),
        ("/api/v1/search/", "/api/v1/search"),
    ] {
        let (status, headers, _) = get_text(&services, path).await;
        assert_eq!((status.as_u16(), headers["location"].to_str().unwrap()), (307, location));
    }
    let (_, health) = get(&services, "/health").await;
    assert_eq!(
        health,
        json!({
            "status": "healthy",
            "service": "log-aggregator",
            "timestamp": "2026-11-01T00:00:00.006000",
            "aggregated_dir": "/var/lib/taffrail",
            "retention_days": 7,
        })
    );
    let (_, headers, text) = get_text(&services, "/docs").await;
    assert!(text.contains("/api/logs/search") && headers["content-type"].to_str().unwrap().contains("html"));
}
