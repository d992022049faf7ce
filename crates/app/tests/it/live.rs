//! A line that is appended is seen at once: in `taffrail tail`, in the event stream, in a search.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use taffrail_testkit::{Daemon, Program, wait_until};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::program::{PATIENCE, Site, count, eventually, found};

/// The promise: from append to sight.
const PROMISE: Duration = Duration::from_secs(1);

/// Lines as they come.
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1_000);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn subscribed(daemon: &Daemon) {
    eventually("a subscriber", || daemon.get("/api/v1/stats").unwrap().json().unwrap()["subscribers"] == 1);
}

#[test]
fn tail_shows_a_matching_line_within_a_second() {
    let site = Site::new();
    site.write("logs/a.log", "error before tail\n");
    let daemon = site.daemon();
    eventually("the first line", || count(&daemon, "SELECT count(*) FROM logs") == 1);
    let mut command = site.command(&["tail", "--json", "error -healthz"]);
    let mut tail = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::inherit())).unwrap();
    let shown = lines(tail.stdout.take().unwrap());
    subscribed(&daemon);
    for number in 0..3 {
        site.append(
            "logs/a.log",
            format!("error healthz {number}\nall well {number}\nerror number {number}\n"),
        );
        let line = shown.recv_timeout(PROMISE).expect("a line within a second");
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["body"], format!("error number {number}"));
        assert_eq!(record["source"], site.source("logs/a.log"));
    }
    let metrics = daemon.get("/metrics").unwrap().text();
    for line in
        ["clients{kind=\"tail\"} 1", "records_total{kind=\"tail\"} 9", "missed_total{kind=\"tail\"} 0"]
    {
        assert!(metrics.contains(&format!("taffrail_live_{line}\n")), "{line}");
    }
    // Whoever says no request is told so, and counted.
    let mut stranger = TcpStream::connect(daemon.address()).unwrap();
    stranger.write_all(&[0xff; 4_096]).unwrap();
    let mut answer = Vec::new();
    // It may be cut off before all was taken.
    let _ = stranger.read_to_end(&mut answer);
    eventually("the count of it", || {
        daemon
            .get("/metrics")
            .unwrap()
            .text()
            .contains("taffrail_http_refused_total{reason=\"no_request\"} 1\n")
    });
}

#[test]
fn a_tail_waits_for_a_daemon_that_is_restarted_and_shows_what_it_missed() {
    let site = Site::new();
    site.write("logs/a.log", "");
    let daemon = site.daemon();
    let mut command = site.command(&["tail", "--json", "wanted"]);
    let mut tail = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
    let shown = lines(tail.stdout.take().unwrap());
    let notes = lines(tail.stderr.take().unwrap());
    let next = || {
        let line = shown.recv_timeout(PATIENCE).expect("a record");
        serde_json::from_str::<Value>(&line).unwrap()["body"].as_str().unwrap().to_owned()
    };
    subscribed(&daemon);
    site.append("logs/a.log", "wanted 1\n");
    assert_eq!(next(), "wanted 1");
    daemon.stop().unwrap();
    assert!(notes.recv_timeout(PATIENCE).unwrap().contains("the daemon is gone"));
    site.append("logs/a.log", "wanted 2\nother\n");
    // At another port than before.
    let daemon = site.daemon();
    assert_eq!(notes.recv_timeout(PATIENCE).unwrap(), "taffrail: the daemon is back");
    assert_eq!(next(), "wanted 2");
    site.append("logs/a.log", "wanted 3\n");
    assert_eq!(next(), "wanted 3", "nothing twice");
    drop(daemon);
}

#[test]
fn the_event_stream_has_followed_and_posted_records() {
    let site = Site::new();
    site.write("logs/a.log", "");
    let daemon = site.daemon();
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/v1/tail?q=wanted HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.address()).unwrap();
    let shown = lines(stream.try_clone().unwrap());
    assert!(shown.recv_timeout(PATIENCE).unwrap().starts_with("HTTP/1.1 200"));
    subscribed(&daemon);
    let next = || loop {
        let line = shown.recv_timeout(PROMISE).expect("an event within a second");
        if let Some(data) = line.strip_prefix("data:") {
            return serde_json::from_str::<Value>(data.trim()).unwrap();
        }
    };
    site.append("logs/a.log", "other\nwanted line\n");
    assert_eq!(next()["body"], "wanted line");
    let posted =
        daemon.post("/api/logs", "application/json", r#"{"message":"wanted post","agent":"A"}"#).unwrap();
    assert_eq!(posted.status, 200);
    assert_eq!(next()["body"], "wanted post");
    // The daemon ends though the stream is open.
    assert!(daemon.stop().unwrap().success());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn a_tail_goes_on_where_it_was_also_after_a_restart() {
    let site = Site::new();
    let daemon = site.daemon();
    let ids = |daemon: &Daemon, after: &str, count: usize| -> Vec<(String, String)> {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = daemon.address();
        write!(stream, "GET /api/v1/tail?q=wanted{after} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
        let (mut event, mut all) = ((String::new(), String::new()), Vec::new());
        for line in BufReader::new(stream).lines() {
            let line = line.expect("an event in time");
            if let Some(id) = line.strip_prefix("id:") {
                id.trim().clone_into(&mut event.0);
            }
            if let Some(data) = line.strip_prefix("data:") {
                let record: Value = serde_json::from_str(data.trim()).unwrap();
                record["body"].as_str().unwrap().clone_into(&mut event.1);
            }
            if line.is_empty() && !event.0.is_empty() {
                all.push(std::mem::take(&mut event));
            }
            if all.len() > count {
                break;
            }
        }
        all
    };
    let bodies = |all: &[(String, String)]| all[1..].iter().map(|(_, body)| body.clone()).collect::<Vec<_>>();
    // Nothing but where it stands.
    let start = ids(&daemon, "", 0)[0].0.clone();
    let lines = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|number| format!("wanted {number}")).collect()
    };
    site.append("logs/a.log", format!("{}\nother\n", lines(0..700).join("\nnoise\n")));
    eventually("storing", || count(&daemon, "SELECT count(*) FROM logs") == 1_400);
    let first = ids(&daemon, &format!("&after={start}"), 700);
    assert!(bodies(&first) == lines(0..700), "{:?}", first.get(1));
    daemon.stop().unwrap();
    site.append("logs/a.log", lines(700..1_300).join("\n") + "\n");
    let daemon = site.daemon();
    let rest = ids(&daemon, &format!("&after={}", first[350].0), 950);
    assert!(bodies(&rest) == lines(350..1_300), "{:?}", rest.get(1));
    assert_eq!(daemon.get("/api/v1/tail?after=soon").unwrap().status, 400);

    // The same over WebSocket, but for pages of other sites.
    let url = |path: &str| format!("ws://{}/api/v1/tail/ws?q=wanted{path}", daemon.address());
    let connect = || TcpStream::connect(daemon.address()).unwrap();
    let (mut socket, _) =
        tungstenite::client(url(&format!("&after={}", rest[rest.len() - 2].0)), connect()).unwrap();
    let mut next =
        || -> Value { serde_json::from_str(&socket.read().unwrap().into_text().unwrap()).unwrap() };
    assert_eq!(next()["type"], "start");
    assert_eq!(next()["record"]["body"], "wanted 1299");
    site.append("logs/a.log", "other\nwanted now\n");
    let now = next();
    assert_eq!((&now["type"], &now["record"]["body"]), (&"record".into(), &"wanted now".into()));
    let mut foreign = tungstenite::client::IntoClientRequest::into_client_request(url("")).unwrap();
    foreign.headers_mut().insert("origin", "https://evil.example.com".parse().unwrap());
    let refused = tungstenite::client(foreign, connect()).unwrap_err().to_string();
    assert!(refused.contains("403"), "{refused}");
}

#[test]
fn sockets_end_in_order() {
    let site = Site::new();
    let daemon = site.daemon();
    let connect = || {
        let stream = TcpStream::connect(daemon.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tungstenite::client(format!("ws://{}/api/v1/tail/ws", daemon.address()), stream).unwrap().0
    };
    // The code that the daemon ends it with; 0: none.
    let code = |mut socket: tungstenite::WebSocket<TcpStream>| loop {
        match socket.read() {
            Ok(tungstenite::Message::Close(close)) => break close.map_or(0, |close| close.code.into()),
            Ok(_) => {}
            Err(error) => panic!("no good-bye: {error}"),
        }
    };
    let mut socket = connect();
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).unwrap();
    assert_eq!(code(socket), 1000);
    let mut socket = connect();
    socket.close(None).unwrap();
    assert_eq!(code(socket), 0);
    let mut socket = connect();
    socket.send(tungstenite::Message::text("x".repeat(65 << 10))).unwrap();
    assert_eq!(code(socket), 1009, "too large");
    for (bytes, want) in [
        (&[0x81, 0x80 | 1, 0, 0, 0, 0, 0xff][..], 1007),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 1, b'x'], 1002),
    ] {
        let mut socket = connect();
        socket.get_mut().write_all(bytes).unwrap();
        assert_eq!(code(socket), want, "{bytes:x?}");
    }
}

#[test]
fn an_appended_line_is_found_within_a_second() {
    let site = Site::new();
    site.write("logs/a.log", "");
    let daemon = site.daemon();
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let appended = Instant::now();
        site.append("logs/a.log", format!("needle{number} appended\n"));
        let seen = wait_until(PATIENCE, || found(&daemon, &format!("needle{number}")).len() == 1);
        assert!(seen, "line {number} was never found");
        slowest = slowest.max(appended.elapsed());
    }
    println!("the slowest of 20 lines was found after {slowest:?}");
    assert!(slowest < PROMISE, "the slowest line was found after {slowest:?}");
}

#[test]
fn tail_without_a_daemon_says_so() {
    let site = Site::new();
    let path = site.write("a.log", "a\n");
    site.run(&["import", path.to_str().unwrap()]).expect(0);
    let ran = site.run(&["tail"]).expect(2);
    assert!(ran.err.contains("taffrail run"), "{}", ran.err);
}
