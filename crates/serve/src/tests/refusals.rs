//! What the native API refuses, and how it says so.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt as _;
use serde_json::{Value, json};
use taffrail_record::Severity;

use super::fake::{Fake, get, hit, post, read, send};
use crate::services::Services;

fn services() -> (Arc<Fake>, Services) {
    let fake = Arc::new(Fake::default());
    fake.fill([hit("one", Severity::INFO)]);
    let services = fake.services();
    (fake, services)
}

#[tokio::test]
async fn wrong_requests_are_named_and_told_the_way_out() {
    let (_fake, services) = services();
    for (path, status, code, part) in [
        ("search?q=(", 400, "syntax", "a ) is missing"),
        ("search?q=large", 413, "too_large", "512 MiB"),
        ("search?q=late", 504, "timed_out", "narrow the time range"),
        ("search?q=damaged", 503, "store", "segment 7"),
        ("search?q=panic", 500, "internal", "its log says where"),
        ("search?limit=abc", 400, "invalid", "limit=abc must be a whole number from 0 to 10000"),
        ("search?limit=-1", 400, "invalid", "limit=-1"),
        ("search?limit=10001", 400, "invalid", "10000"),
        ("search?since=yesterday", 400, "invalid", "since: \"yesterday\" is no time"),
        ("search?since=2026-11-02&until=2026-11-01", 400, "invalid", "swap them"),
        ("search?order=up", 400, "invalid", "desc or asc"),
        ("search?after=x", 400, "invalid", "next"),
        ("search?raw=maybe", 400, "invalid", "true or false"),
        ("search?limt=5", 400, "invalid", "no parameter \"limt\" here; there are q, since"),
        ("histogram?buckets=0", 400, "invalid", "1 to 10000"),
        ("histogram?interval=0s", 400, "invalid", "longer than nothing"),
        ("histogram?interval=fast", 400, "invalid", "no duration"),
        ("facets?fields=,", 400, "invalid", "fields"),
        ("facets?values=9999", 400, "invalid", "1 to 1000"),
        ("context?offset=1", 400, "invalid", "source is missing"),
        ("context?source=a&offset=-1", 400, "invalid", "offset=-1"),
        ("context?source=a&offset=1&before=1001", 400, "invalid", "0 to 1000"),
        ("sql", 400, "invalid", "q is missing"),
        ("sql?q=%20", 400, "invalid", "empty"),
        ("sql?q=DROP%20TABLE%20logs", 400, "sql", "only SELECT"),
        ("sql?q=SELECT&format=xml", 400, "invalid", "json, ndjson or csv"),
        ("sql?q=SELECT&max_rows=1000001", 400, "invalid", "1000000"),
        ("tail?q=(", 400, "syntax", "missing"),
        ("export/raw?source=nowhere", 404, "not_found", "/api/v1/sources"),
        ("nothing", 404, "not_found", "openapi.json"),
        ("logs", 405, "method_not_allowed", "GET"),
    ] {
        let (got, json) = get(&services, &format!("/api/v1/{path}")).await;
        assert_eq!((got, json["error"]["code"].as_str()), (status, Some(code)), "{path} {json}");
        assert!(json["error"]["message"].as_str().unwrap().contains(part), "{path} {json}");
    }
    let (_, json) = get(&services, "/api/v1/search?q=(").await;
    assert_eq!(json["error"]["position"], 1);
    let (status, json) = get(&services, &format!("/api/v1/search?q={}", "x".repeat(20_000))).await;
    assert_eq!((status, &json["error"]["code"]), (414, &json!("too_large")));
    for (body, part) in [
        ("{", "EOF"),
        (r#"{"query":"SELECT","x":1}"#, "unknown field"),
        (r#"{"query":5}"#, "string"),
        (r#"{"query":"SELECT","max_rows":0}"#, "max_rows=0"),
    ] {
        let (status, json) = post(&services, "/api/v1/sql", body).await;
        assert_eq!((status, &json["error"]["code"]), (400, &json!("invalid")), "{body}");
        assert!(json["error"]["message"].as_str().unwrap().contains(part), "{json}");
    }
    for (source, code, part) in [
        ("full", "disk_full", "disk is full"),
        ("failing", "store", "disk fails"),
        ("stopped", "store", "shutting down"),
    ] {
        let (status, json) = post(&services, &format!("/api/v1/logs?source={source}"), "x").await;
        assert_eq!((status, &json["error"]["code"]), (503, &json!(code)));
        assert!(json["error"]["message"].as_str().unwrap().contains(part), "{json}");
    }
    let (status, _) = post(&services, "/api/v1/logs?source=a%0Ab", "x").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_push_that_is_refused_for_now_says_when_to_come_back() {
    let (_fake, services) = services();
    for (source, seconds) in [("full", "10"), ("failing", "1"), ("stopped", "1")] {
        let request = Request::post(format!("/api/v1/logs?source={source}")).body(Body::from("x")).unwrap();
        let (status, headers, _) = read(send(&services, request).await).await;
        assert_eq!((status.as_u16(), headers["retry-after"].to_str().unwrap()), (503, seconds), "{source}");
    }
}

#[tokio::test]
async fn strangers_are_refused() {
    let (_fake, services) = services();
    for (method, host, origin, status) in [
        ("GET", "127.0.0.1:8062", None, 200),
        ("GET", "localhost", Some("https://evil.example.com"), 200),
        ("GET", "evil.example.com", None, 403),
        ("POST", "localhost:8062", Some("http://localhost:8062"), 200),
        ("POST", "localhost:8062", Some("https://evil.example.com"), 403),
    ] {
        for path in ["/api/v1/sql?q=SELECT", "/api/logs"] {
            let path = if method == "POST" && path.contains("sql") { "/api/v1/logs" } else { path };
            let mut request = Request::builder().method(method).uri(path).header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let (got, _, text) =
                read(send(&services, request.body(Body::from(r#"{"message":"x"}"#)).unwrap()).await).await;
            assert_eq!(got.as_u16(), status, "{method} {path} {host} {origin:?}");
            assert_eq!(text.contains("allowed_hosts"), status == 403);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_are_bounded_before_and_after_gzip() {
    let (fake, mut services) = services();
    services.limits.body_bytes = 1000;
    let chunked = |bytes: Vec<u8>| {
        let chunks =
            bytes.chunks(100).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
        Body::from_stream(futures::stream::iter(chunks))
    };
    let line = b"hello\n".to_vec();
    let cases: Vec<(&str, Option<&str>, Body, u16, &str)> = vec![
        ("plain", None, Body::from(vec![b'x'; 1000]), 200, "true"),
        ("one too many", None, Body::from(vec![b'x'; 1001]), 413, "1000 bytes"),
        ("in chunks", None, chunked(vec![b'x'; 1001]), 413, "1000 bytes"),
        ("gzip", Some("gzip"), Body::from(gzip(&line)), 200, "true"),
        ("two members", Some("gzip"), Body::from([gzip(&line), gzip(&line)].concat()), 200, "2"),
        ("bomb", Some("gzip"), Body::from(gzip(&vec![0; 1 << 20])), 413, "after gzip"),
        ("no gzip", Some("gzip"), Body::from("hello"), 400, "not packed"),
        ("cut gzip", Some("gzip"), Body::from(gzip(&line)[..10].to_vec()), 400, "not packed"),
        ("zstd", Some("zstd"), Body::from(zstd::bulk::compress(&line, 1).unwrap()), 200, "true"),
        (
            "zstd bomb",
            Some("zstd"),
            Body::from(zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap()),
            413,
            "after gzip",
        ),
        ("no zstd", Some("zstd"), Body::from("hello"), 400, "not packed"),
        ("other", Some("br"), Body::from("hello"), 415, "send gzip"),
    ];
    for (name, encoding, body, status, part) in cases {
        let mut request = Request::post("/api/v1/logs");
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let (got, _, text) = read(send(&services, request.body(body).unwrap()).await).await;
        assert_eq!(got.as_u16(), status, "{name} {text}");
        assert!(text.contains(part), "{name} {text}");
    }
    assert_eq!(fake.pushes.lock().unwrap()[1].bytes, line);
    let request = Request::post("/api/v1/logs").header("content-length", "104857600");
    let (got, _, _) = read(send(&services, request.body(Body::from("x")).unwrap()).await).await;
    assert_eq!(got.as_u16(), 413);
    let (status, json) = post(&services, "/api/logs", &"x".repeat(1001)).await;
    assert_eq!((status, json["detail"].is_string()), (413, true));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let (_fake, mut services) = services();
    services.limits.body_time = std::time::Duration::from_millis(20);
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let (status, _, text) =
        read(send(&services, Request::post("/api/v1/logs").body(never).unwrap()).await).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status.as_u16(), &json["error"]["code"]), (408, &json!("timed_out")));
}

#[tokio::test]
async fn a_body_that_comes_slowly_gets_its_time_while_it_comes() {
    let (fake, mut services) = services();
    services.limits.body_time = std::time::Duration::from_millis(20);
    // What arrives buys the time that a slow line needs for it.
    let line = "x".repeat(1_023) + "\n";
    let pieces = std::iter::repeat_n(line.repeat(8), 10);
    let slowly = futures::stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        Ok::<_, std::io::Error>(piece)
    });
    let request = Request::post("/api/v1/logs").body(Body::from_stream(slowly)).unwrap();
    let (status, _, text) = read(send(&services, request).await).await;
    assert_eq!(status.as_u16(), 200, "{text}");
    assert_eq!(fake.pushes.lock().unwrap()[0].bytes, line.repeat(80).into_bytes());
}
