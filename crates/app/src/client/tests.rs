//! A client against a listener that answers from a script.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::thread::JoinHandle;

use taffrail_serve::api::{GapNotice, Record};

use super::*;

/// Answers one connection per text, in order; gives the requests' heads.
fn answering(answers: Vec<String>) -> (Client, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::at(listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let answer = |text: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(text.as_bytes()).unwrap();
            head.join("\n")
        };
        answers.into_iter().map(answer).collect()
    });
    (client, thread)
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn answers_and_parameters() {
    let (client, server) = answering(vec![http("200 OK", "[1,2]")]);
    let numbers: Vec<u8> = client.get("/api/v1/x", &[("q", "a b&c\"/ü")]).unwrap();
    assert_eq!(numbers, [1, 2]);
    let head = &server.join().unwrap()[0];
    assert!(head.starts_with("GET /api/v1/x?q=a%20b%26c%22"), "{head}");
}

#[test]
fn a_no_is_told_with_its_reason() {
    let body = r#"{"error":{"code":"syntax","message":"a phrase has no end","position":4}}"#;
    let (client, _server) =
        answering(vec![http("400 Bad Request", body), http("502 Bad Gateway", "<html>\nx")]);
    let ask = || client.get::<u8>("/", &[]).unwrap_err().downcast::<Refusal>().unwrap();
    let refusal = ask();
    assert_eq!((refusal.code.as_str(), refusal.position), ("syntax", Some(4)));
    assert_eq!(ask().to_string(), "the daemon answers 502: <html>");
}

fn record(offset: u64) -> Record {
    Record {
        timestamp: String::new(),
        observed_timestamp: String::new(),
        severity: "INFO".into(),
        node: String::new(),
        source: "/a".into(),
        offset,
        service: String::new(),
        body: String::new(),
        attributes: serde_json::Map::new(),
        raw: None,
    }
}

fn sse(offset: u64) -> String {
    format!("event: record\nid: c{offset}\ndata: {}\n\n", serde_json::to_string(&record(offset)).unwrap())
}

#[test]
fn a_lost_stream_goes_on_without_loss_or_repetition() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let first = format!("{head}: hello\n\nid: c0\n\n");
    let second = format!("{head}{}event: rec", sse(1));
    let third = format!("{head}{}event: gap\ndata: {{\"missed\":3}}\n\n{}", sse(2), sse(4));
    let (client, server) = answering(vec![first, second, third]);
    let mut events = Vec::new();
    client
        .tail("x", None, &mut |event| {
            events.push(event);
            Ok(if events.len() == 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    let lost = || Event::Lost("the daemon ended the connection".to_owned());
    let one = |offset| Event::Record(record(offset));
    let back = Event::Back;
    assert_eq!(
        events,
        [
            lost(),
            back.clone(),
            one(1),
            lost(),
            back,
            one(2),
            Event::Gap(GapNotice { missed: 3, deleted: false }),
            one(4)
        ]
    );
    let heads = server.join().unwrap();
    let begins =
        ["GET /api/v1/tail?q=x HTTP", "GET /api/v1/tail?q=x&after=c0 ", "GET /api/v1/tail?q=x&after=c1 "];
    assert!(heads.iter().zip(begins).all(|(head, begin)| head.starts_with(begin)), "{heads:?}");
}

#[test]
fn a_wrong_expression_ends_the_stream() {
    let body = r#"{"error":{"code":"syntax","message":"no end","position":1}}"#;
    let (client, _server) = answering(vec![http("400 Bad Request", body)]);
    let error = client.tail("(", None, &mut |_| Ok(ControlFlow::Continue(()))).unwrap_err();
    assert!(error.is::<Refusal>(), "{error}");
}

#[test]
fn no_daemon_where_none_runs() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Client::find(dir.path()).unwrap().is_none());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for text in [
        String::from("not json"),
        format!(r#"{{"pid":4194999,"address":"{gone}"}}"#),
        format!(r#"{{"pid":{},"address":"{gone}"}}"#, std::process::id()),
    ] {
        fs::write(dir.path().join(DAEMON_FILE), &text).unwrap();
        assert!(Client::find(dir.path()).unwrap().is_none(), "{text}");
    }
}
