//! A client that was away gets what it missed, once and in order: from memory, from the store, and after a restart.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use super::{Event, events_after, port, stored, table};
use crate::program::{PATIENCE, Site};

/// The next so many.
fn take(events: &mut impl Iterator<Item = Event>, count: usize) -> Vec<Event> {
    let taken: Vec<Event> = events.take(count).collect();
    assert_eq!(taken.len(), count, "{:?}", taken.last());
    taken
}

fn messages(events: &[Event]) -> Vec<&str> {
    events.iter().map(|(_, message)| message.as_str()).collect()
}

#[test]
fn what_was_missed_comes_once_and_in_order() {
    let site = Site::new();
    let http = port();
    let server = format!("httpserver = {{ enabled = true, port = {http}, buffer_size = 50 }}");
    let config = table(&site, "app", &server);
    let daemon = site.daemon_with(&config);
    let mut live = events_after(http, "");
    site.append("logs/a.log", "one\ntwo\nthree\n");
    let seen = take(&mut live, 3);
    assert_eq!(messages(&seen), ["one", "two", "three"]);
    drop(live);

    // From memory: in the middle of a batch.
    let mut again = events_after(http, &seen[0].0);
    assert_eq!(take(&mut again, 2), seen[1..]);
    site.append("logs/a.log", "four\n");
    let four = take(&mut again, 1);
    assert_eq!(four[0].1, "four");
    drop(again);

    // From the store: more than the buffer holds, in two files, with a record of many lines.
    let mut expected = Vec::new();
    for part in 0..30 {
        let trace = format!(
            "2026-11-01 00:00:{part:02} ERROR it failed\nTraceback (most recent call last):\n  File \"a.py\", line {part}\nValueError: {part}"
        );
        let lines: Vec<String> = (0..100)
            .map(|number| format!("2026-11-01 00:00:{part:02} INFO part {part} line {number}"))
            .collect();
        let text = format!("{trace}\n{}\n", lines.join("\n"));
        site.append(if part % 2 == 0 { "logs/a.log" } else { "logs/b.log" }, &text);
        expected.extend(text.lines().map(str::to_owned));
        stored(&daemon, 4 + 101 * (part + 1));
    }
    let mut later = events_after(http, &four[0].0);
    let missed = take(&mut later, expected.len());
    assert_eq!(messages(&missed), expected);
    site.append("logs/a.log", "live again\n");
    assert_eq!(take(&mut later, 1)[0].1, "live again");
    drop(later);
    // From any of them, also from within the record.
    for at in [0, 1, 2, 3, 50, 104, 2_000] {
        let mut rest = events_after(http, &missed[at].0);
        assert_eq!(take(&mut rest, expected.len() - at - 1), missed[at + 1..], "after {}", missed[at].1);
    }

    // After a restart: what was stored by the other process, and what was written while none ran.
    daemon.stop().unwrap();
    site.append("logs/a.log", "while away\n");
    let daemon = site.daemon_with(&config);
    let mut other = events_after(http, &missed[missed.len() - 1].0);
    site.append("logs/b.log", "and now\n");
    stored(&daemon, 4 + 101 * 30 + 3);
    assert_eq!(messages(&take(&mut other, 3)), ["live again", "while away", "and now"]);
    drop(other);

    // An id that is none is as good as no id.
    let mut stranger = events_after(http, "1700000000000000000");
    site.append("logs/a.log", "the end\n");
    assert_eq!(take(&mut stranger, 1)[0].1, "the end");
    daemon.stop().unwrap();
}

#[test]
fn a_daemon_that_was_killed_goes_on_with_its_order() {
    let site = Site::new();
    let http = port();
    let server = format!("httpserver = {{ enabled = true, port = {http}, buffer_size = 10 }}");
    let config = table(&site, "app", &server);
    // From the start of time on.
    let (mut last, mut next) = ("0-0-0".to_owned(), 0);
    let mut count = |events: &mut dyn Iterator<Item = Event>, last: &mut String| {
        for (id, message) in events {
            assert_eq!(message, format!("line {next}"));
            (*last, next) = (id, next + 1);
        }
        next
    };
    for round in 1..=4 {
        let daemon = site.daemon_with(&config);
        let first = (round - 1) * 500;
        let text: String = (first..first + 500).map(|number| format!("line {number}\n")).collect();
        site.append("logs/a.log", text);
        stored(&daemon, round * 500);
        let mut client = events_after(http, &last);
        count(&mut client.by_ref().take(300), &mut last);
        // It goes in the middle, and the daemon with it.
        daemon.kill9().unwrap();
        count(&mut client, &mut last);
    }
    let _daemon = site.daemon_with(&config);
    let mut client = events_after(http, &last);
    site.append("logs/a.log", "line 2000\n");
    while count(&mut client.by_ref().take(1), &mut last) <= 2_000 {}
}

#[test]
fn who_was_away_for_too_long_learns_that_entries_may_be_missing() {
    let site = Site::new();
    let http = port();
    let server = format!("httpserver = {{ enabled = true, port = {http}, buffer_size = 50 }}");
    let config = table(&site, "app", &server);
    let daemon = site.daemon_with(&config);
    let mut live = events_after(http, "");
    site.append("logs/a.log", "one\ntwo\n");
    let seen = take(&mut live, 2);
    drop(live);
    daemon.stop().unwrap();
    // As if the oldest segments had been deleted: the store keeps up to when.
    let (observed, _) = seen[1].0.split_once('-').unwrap();
    let note = format!("INSERT INTO state VALUES ('deleted', {observed})");
    let noted = std::process::Command::new("sqlite3").arg(site.data().join("taffrail.db")).arg(note).status();
    assert!(noted.unwrap().success());
    let daemon = site.daemon_with(&config);
    let missing = "entries may be missing here: the oldest were deleted before this client came back";
    let mut again = events_after(http, &seen[0].0);
    assert_eq!(messages(&take(&mut again, 2)), [missing, "two"]);
    site.append("logs/a.log", "three\n");
    let three = take(&mut again, 1);
    assert_eq!(three[0].1, "three");
    // Whoever saw what came later is told nothing.
    let mut later = events_after(http, &three[0].0);
    site.append("logs/a.log", "four\n");
    assert_eq!(messages(&take(&mut later, 1)), ["four"]);
    // The same of all records.
    let (arrival, _) = seen[0].0.rsplit_once('-').unwrap();
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = daemon.address();
    write!(stream, "GET /api/v1/tail?after={arrival} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "event: gap"));
    assert_eq!(lines.next().unwrap(), r#"data: {"missed":0,"deleted":true}"#);
    assert!(lines.any(|line| line.contains(r#""body":"two""#)));
}
