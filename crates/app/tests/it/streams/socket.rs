//! The same stream over WebSocket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket, client};

use super::{connect, port, table};
use crate::program::{Site, eventually};

fn open(port: u16, path: &str) -> WebSocket<TcpStream> {
    client(format!("ws://localhost:{port}{path}"), connect(port)).unwrap().0
}

/// The texts of a socket's frames.
pub(super) fn frames(port: u16) -> impl Iterator<Item = String> {
    let mut socket = open(port, "/stream/ws");
    std::iter::from_fn(move || {
        loop {
            if let Message::Text(text) = socket.read().ok()? {
                return Some(text.to_string());
            }
        }
    })
}

/// The JSON of the next frame that is no heartbeat.
fn next(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let json: Value = serde_json::from_str(&text).unwrap();
            if json["type"] != "heartbeat" {
                return json;
            }
        }
    }
}

#[test]
fn a_socket_has_every_entry_goes_on_and_ends_in_order() {
    let site = Site::new();
    let http = port();
    let server = format!(
        "httpserver = {{ enabled = true, port = {http}, heartbeat = {{ enabled = true, interval_seconds = 1, format = 'json', include_stats = true }} }}"
    );
    let daemon = site.daemon_with(&table(&site, "app", &server));
    let mut plain = open(http, "/stream/ws");
    let mut with_ids = open(http, "/stream/ws?ids=true");
    eventually("two sockets", || {
        let metrics = daemon.get("/metrics").unwrap().text();
        metrics.contains(r#"taffrail_stream_clients{stream="app",transport="websocket"} 2"#)
    });
    site.append("logs/a.log", "one\n[ERROR] two <b>\nthree\n");
    let entry = next(&mut plain);
    assert_eq!((&entry["message"], &entry["source"]), (&"one".into(), &"a.log".into()));
    let entry = next(&mut plain);
    assert_eq!((&entry["level"], &entry["message"]), (&"ERROR".into(), &"[ERROR] two <b>".into()));
    let first = next(&mut with_ids);
    assert_eq!(first["entry"]["message"], "one");
    // What clients say is not looked at, and does no harm.
    plain.send(Message::text("{\"command\":\"stop\"}")).unwrap();
    drop(with_ids);
    let id = first["id"].as_str().unwrap();
    let mut again = open(http, &format!("/stream/ws?ids=true&last_event_id={id}"));
    assert_eq!(next(&mut again)["entry"]["message"], "[ERROR] two <b>");
    assert_eq!(next(&mut again)["entry"]["message"], "three");
    assert_eq!(next(&mut plain)["message"], "three");
    // A message that is too long ends the client that sent it, and no other.
    let mut loud = open(http, "/stream/ws");
    let _ = loud.send(Message::text("x".repeat(1 << 20)));
    while loud.read().is_ok() {}
    // A request that is none for a socket is told so.
    let mut stream = connect(http);
    stream.write_all(b"GET /stream/ws HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 4"), "{text}");
    eventually("two sockets", || {
        let metrics = daemon.get("/metrics").unwrap().text();
        metrics.contains(r#"taffrail_stream_clients{stream="app",transport="websocket"} 2"#)
    });
    site.append("logs/a.log", "four\n");
    assert_eq!(next(&mut plain)["message"], "four");
    daemon.stop().unwrap();
    let close = loop {
        match plain.read().unwrap() {
            Message::Close(close) => break close.unwrap(),
            message => assert!(message.is_text() || message.is_ping(), "{message}"),
        }
    };
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Away, "server_shutdown"));
}
