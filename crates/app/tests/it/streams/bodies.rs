//! The bodies and headers that LogWisp's clients read, member by member and in their order.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use serde_json::{Value, json};
use taffrail_testkit::Daemon;

use super::{BEATS, connect, port, table};
use crate::program::{BINARY, Site, eventually};

/// What is answered to a request without keep-alive: the head's first line, its headers, the body.
fn ask(port: u16, path: &str) -> (String, BTreeMap<String, String>, String) {
    let mut stream = connect(port);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (first, rest) = head.split_once("\r\n").unwrap();
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    (first.to_owned(), rest.lines().filter_map(header).collect(), body.to_owned())
}

/// The same with a body of JSON, where seconds that go by count as none.
fn asked(port: u16, path: &str) -> Value {
    let (first, headers, body) = ask(port, path);
    assert_eq!((first.as_str(), headers["content-type"].as_str()), ("HTTP/1.1 200 OK", "application/json"));
    fn still(value: &mut Value) {
        let members = value.as_object_mut().into_iter().flatten();
        for (name, member) in members {
            match name.as_str() {
                "uptime_seconds" | "uptime" => {
                    assert!(member.as_u64().unwrap() < 100, "{member}");
                    *member = 0.into();
                }
                _ => still(member),
            }
        }
    }
    let mut body = serde_json::from_str(&body).unwrap();
    still(&mut body);
    body
}

#[test]
fn a_stream_answers_at_its_own_port_as_the_original_does() {
    let site = Site::new();
    let http = port();
    let beat =
        "heartbeat = { enabled = true, interval_seconds = 30, include_timestamp = true, format = 'comment' }";
    let server = format!("httpserver = {{ enabled = true, port = {http}, {beat} }}");
    site.write("logs/old.log", "");
    site.write("logs/other.txt", "");
    let daemon = site.daemon_with(&table(&site, "app", &server));
    eventually("following", || asked(http, "/status")["monitor"]["active_watchers"] == 1);

    let mut stream = connect(http);
    stream.write_all(b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    for header in [
        "Content-Type: text/event-stream",
        "Cache-Control: no-cache",
        "Connection: keep-alive",
        "Access-Control-Allow-Origin: *",
        "X-Accel-Buffering: no",
    ] {
        assert!(head.iter().any(|line| line == header), "{header} in {head:?}");
    }
    assert!(lines.any(|line| line == "event: connected"));
    let data = lines.next().unwrap();
    let rest = data.strip_prefix(r#"data: {"buffer_size":1000,"client_id":""#).expect(&data);
    let (client, rest) = rest.split_once('"').unwrap();
    assert_eq!(rest, r#","status_path":"/status","stream_path":"/stream"}"#);
    // Nanoseconds of the clock, as a string.
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(age.as_nanos() - client.parse::<u128>().unwrap() < 100_000_000_000, "{client}");

    site.append("logs/old.log", "[WARN] <slow> & \u{e9}\n{\"time\":\"2026-01-02T03:04:05.5Z\",\"level\":\"info\",\"msg\":\"m\",\"fields\":{\"b\":1,\"a\":[2]},\"x\":1}\n");
    let mut entry = || {
        let line = lines.by_ref().find(|line| line.starts_with("data: ")).unwrap();
        line["data: ".len()..].to_owned()
    };
    let plain = entry();
    assert!(plain.starts_with(r#"{"time":"20"#), "{plain}");
    let rest = r#","source":"old.log","level":"WARN","message":"[WARN] \u003cslow\u003e \u0026 é"}"#;
    assert!(plain.ends_with(rest), "{plain}");
    assert_eq!(
        entry(),
        r#"{"time":"2026-01-02T03:04:05.5Z","source":"old.log","level":"info","message":"m","fields":{"b":1,"a":[2]}}"#
    );

    let mut status = asked(http, "/status");
    assert_eq!(status["watchers"][0]["entries_read"], 2);
    assert_eq!(status["clients"].as_array().unwrap().len(), 1);
    let ours = ["watchers", "clients"].map(|name| status.as_object_mut().unwrap().remove(name).is_some());
    assert_eq!(ours, [true, true]);
    let sent = ["sent_entries", "sent_bytes", "missed_entries"]
        .map(|name| status["monitor"].as_object_mut().unwrap().remove(name).unwrap().as_u64().unwrap());
    assert!(sent[0] == 2 && sent[1] > 200 && sent[2] == 0, "{sent:?}");
    assert_eq!(
        status,
        json!({
            "service": "LogWisp",
            "version": "3.0.0",
            "server": {
                "type": "http", "port": http, "active_clients": 1, "buffer_size": 1000, "uptime_seconds": 0,
                "mode": {"standalone": true, "router": false},
            },
            "endpoints": {"stream": "/stream", "status": "/status"},
            "features": {
                "heartbeat": {"enabled": true, "interval": 30, "format": "comment"},
                "ssl": {"enabled": false},
                "rate_limit": {"enabled": false},
            },
            "monitor": {"active_watchers": 1, "total_entries": 2, "dropped_entries": 0},
        })
    );
    let (first, headers, body) = ask(http, "/stream/");
    assert_eq!(
        (first.as_str(), headers["content-type"].as_str()),
        ("HTTP/1.1 404 Not Found", "application/json")
    );
    assert_eq!(
        body,
        r#"{"error":"Not Found","message":"Available endpoints: /stream (SSE stream), /status (status)"}"#
    );

    // A file that is gone is watched no more.
    fs_err::remove_file(site.path("logs/old.log")).unwrap();
    eventually("letting go", || asked(http, "/status")["monitor"]["active_watchers"] == 0);
    daemon.stop().unwrap();
}

#[test]
fn a_router_answers_as_the_original_was_meant_to() {
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http}, stream_path = '/logs' }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}"
    );
    let config = site.config(&table(&site, "app", &servers));
    let daemon = Daemon::builder(BINARY, site.data()).arg("-c").arg(config).arg("--router").start().unwrap();
    site.append("logs/a.log", "one\n");
    eventually("an entry", || {
        asked(http, "/status")["streams"]["app"]["stats"]["monitor"]["TotalEntries"] == 1
    });
    let mut status = asked(http, "/status");
    let stats = status["streams"]["app"]["stats"].take();
    let monitor = &stats["monitor"];
    for (theirs, value) in [("ActiveWatchers", 1), ("TotalEntries", 1), ("DroppedEntries", 0)] {
        assert_eq!(monitor[theirs], value, "{theirs}");
    }
    for time in ["StartTime", "LastEntryTime"] {
        let text = monitor[time].as_str().unwrap();
        assert!(text.starts_with("20") && text.contains('T'), "{time}: {text}");
    }
    assert_eq!((&stats["name"], &stats["uptime_seconds"]), (&json!("app"), &json!(0)));
    assert_eq!(stats["tcp"], json!({"enabled": true, "port": tcp, "connections": 0}));
    assert_eq!(
        stats["http"],
        json!({"enabled": true, "port": http, "connections": 0, "stream_path": "/logs", "status_path": "/status"})
    );
    assert_eq!(
        [&status["service"], &status["version"], &status["port"], &status["total_streams"]],
        [&json!("LogWisp Router"), &json!("3.0.0"), &json!(http), &json!(1)]
    );
    let app = &status["streams"]["app"];
    assert_eq!(app["path_prefix"], "/app");
    assert_eq!(app["config"], json!({"stream_path": "/logs", "status_path": "/status"}));
    assert_eq!(app["routing"]["endpoints"], json!({"stream": "/app/logs", "status": "/app/status"}));
    assert_eq!(status["endpoints"], json!({"global_status": "/status"}));
    assert_eq!(asked(http, "/app/status")["server"]["mode"], json!({"standalone": false, "router": true}));
    let (first, _, body) = ask(http, "/nowhere");
    assert_eq!(first, "HTTP/1.1 404 Not Found");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "error": "Not Found",
            "requested_path": "/nowhere",
            "available_routes": [
                "/status (global status)", "/app/logs (stream: app)", "/app/status (status: app)",
            ],
            "hint": "Use /status for global router status",
        })
    );
    daemon.stop().unwrap();
}

/// A client that vanishes without a word, as behind a router that forgets, is found out by the system's probes.
#[test]
fn connections_are_probed() {
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http} }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}"
    );
    let _daemon = site.daemon_with(&table(&site, "app", &servers));
    let _watching = super::events(http);
    let _listening = super::seated(connect(tcp), 1);
    for port in [http, tcp] {
        let filter = format!("( sport = :{port} )");
        let listed =
            std::process::Command::new("ss").args(["-Htno", "state", "established", &filter]).output();
        let listed = listed.unwrap_or_else(|error| panic!("ss: {error}; `scripts/setup test` installs it"));
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("timer:(keepalive"), "{listed}");
    }
}
