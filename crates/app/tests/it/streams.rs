//! Streams: what is appended to a file reaches all who watch, over HTTP and TCP, and nobody waits for the slow.

mod abuse;
mod bodies;
mod burst;
mod clients;
mod protected;
mod resume;
mod selection;
mod socket;
mod storm;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use taffrail_testkit::Daemon;

use crate::program::{PATIENCE, Site, count, eventually};

/// Ports that a test may take: tests run at the same time, each in a process of its own.
const PORTS_OF_A_TEST: u32 = 16;
/// Below those that the system hands out, to other tests among others.
const PORTS: std::ops::Range<u32> = 10_000..30_000;

/// A port that is free now, and that no other test takes.
pub(crate) fn port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * PORTS_OF_A_TEST + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = (PORTS.start + number % (PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// A stream of the site's logs, as a table of the config.
fn table(site: &Site, name: &str, servers: &str) -> String {
    let logs = site.path("logs").display().to_string();
    format!(
        "[[streams]]\nname = '{name}'\nmonitor = {{ targets = [{{ path = '{logs}', pattern = '*.log' }}] }}\n{servers}\n"
    )
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The lines of an event stream, chunk sizes among them.
fn events(port: u16) -> impl Iterator<Item = String> {
    let mut stream = connect(port);
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "event: connected"));
    lines
}

/// An event: its id, and the message of its entry.
pub(crate) type Event = (String, String);

/// The events of a stream after the one with this id.
pub(crate) fn events_after(port: u16, id: &str) -> impl Iterator<Item = Event> + use<> {
    let mut stream = connect(port);
    let header = if id.is_empty() { String::new() } else { format!("Last-Event-ID: {id}\r\n") };
    // Without HTTP/1.1 the answer comes as it is, not in chunks.
    write!(stream, "GET /stream HTTP/1.0\r\n{header}\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "event: connected"));
    let mut id = String::new();
    lines.filter_map(move |line| {
        if let Some(told) = line.strip_prefix("id: ") {
            told.clone_into(&mut id);
        }
        let entry: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
        Some((id.clone(), entry["message"].as_str()?.to_owned()))
    })
}

/// Lines of a TCP client, once so many are seated.
fn seated(stream: TcpStream, clients: usize) -> impl Iterator<Item = String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let wanted = format!(r#""active_connections":{clients},"#);
    assert!(lines.any(|line| line.contains(&wanted)));
    lines
}

/// What the config says of heartbeats that tell who is seated.
const BEATS: &str = "heartbeat = { enabled = true, interval_seconds = 1, include_stats = true }";

/// The messages of entries, heartbeats left out.
fn messages(lines: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let json = lines
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ").unwrap_or(&line)).ok());
    json.filter_map(|entry| entry["message"].as_str().map(str::to_owned))
}

fn stored(daemon: &Daemon, lines: u64) {
    eventually("storing", || count(daemon, "SELECT count(*) FROM logs") == lines);
}

#[test]
fn every_client_gets_every_entry_and_a_good_bye() {
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http}, heartbeat = {{ enabled = true, interval_seconds = 1, format = 'comment' }} }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}"
    );
    site.write("logs/old.log", "before\n");
    let daemon = site.daemon_with(&table(&site, "app", &servers));
    let mut watching: Vec<_> = (0..3).map(|_| events(http)).collect();
    let sockets: Vec<TcpStream> = (0..3).map(|_| connect(tcp)).collect();
    let listening: Vec<_> = sockets.into_iter().map(|socket| seated(socket, 3)).collect();
    let status = || -> Value {
        let mut stream = connect(http);
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    eventually("three watching", || status()["server"]["active_clients"] == 3);
    site.append("logs/new.log", "one\n{\"msg\":\"two\",\"level\":\"warn\"}\n");
    site.append("logs/old.log", "three\n");
    // The last file of all, so that nothing of the order between files is asked.
    stored(&daemon, 3);
    site.append("logs/new.log", "last\n");
    let until_last = |found: &mut dyn Iterator<Item = String>| {
        let mut all: Vec<String> = Vec::new();
        while all.last().is_none_or(|last| last != "last") {
            all.push(found.next().expect("a message"));
        }
        all.sort();
        all
    };
    for client in &mut watching {
        assert_eq!(until_last(&mut messages(client)), ["last", "one", "three", "two"]);
    }
    for client in listening {
        assert_eq!(until_last(&mut messages(client)), ["last", "one", "three", "two"]);
    }
    assert!(watching[0].any(|line| line == ": heartbeat"));
    assert_eq!(status()["monitor"]["total_entries"], 4);
    let metrics = daemon.get("/metrics").unwrap().text();
    for line in ["taffrail_stream_entries_total{stream=\"app\"} 4", "{stream=\"app\",transport=\"http\"} 3"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    daemon.stop().unwrap();
    for client in watching {
        let rest: Vec<String> = client.collect();
        assert!(rest.iter().any(|line| line == "event: disconnect"), "{rest:?}");
        assert!(rest.iter().any(|line| line == r#"data: {"reason":"server_shutdown"}"#), "{rest:?}");
    }
}

#[test]
fn a_connection_may_ask_first_and_watch_then() {
    let site = Site::new();
    let http = port();
    let server = format!("httpserver = {{ enabled = true, port = {http} }}");
    let daemon = site.daemon_with(&table(&site, "app", &server));
    let mut stream = connect(http);
    // All at once: the answers come in the order of the questions, and then the connection is the stream's.
    let ask = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let asked =
        ask("GET", "/status") + &ask("HEAD", "/stream") + &ask("GET", "/nowhere") + &ask("GET", "/stream");
    stream.write_all(asked.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut heads = Vec::new();
    while heads.len() < 4 {
        let line = lines.next().unwrap();
        // The body before has no newline at its end.
        heads.extend(line.find("HTTP/1.1 ").map(|at| line[at + 9..at + 12].to_owned()));
    }
    assert_eq!(heads, ["200", "200", "404", "200"]);
    assert!(lines.any(|line| line == "event: connected"));
    site.append("logs/a.log", "one\n");
    assert_eq!(messages(lines).next().unwrap(), "one");
    daemon.stop().unwrap();
}

#[test]
fn rotations_are_entries() {
    let site = Site::new();
    let tcp = port();
    let server = format!("tcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}");
    let _daemon = site.daemon_with(&table(&site, "app", &server));
    let mut shown = messages(seated(connect(tcp), 1));
    let mut expect = |wanted: &[&str]| {
        for message in wanted {
            assert_eq!(shown.next().unwrap(), *message);
        }
    };
    site.append("logs/a.log", "one\ntwo\n");
    expect(&["one", "two"]);
    fs_err::rename(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
    site.append("logs/a.log.1", "to the old file\n");
    site.write("logs/a.log", "three\n");
    expect(&["to the old file", "Log rotation detected (#1): inode change", "three"]);
    site.write("logs/a.log", "4\n");
    expect(&["Log rotation detected (#2): size decrease", "4"]);
}

#[test]
fn who_does_not_read_loses_only_its_own() {
    const LINES: usize = 200_000;
    let site = Site::new();
    let (wide, narrow) = (port(), port());
    let server = |port: u16, buffer: usize| {
        format!("tcpserver = {{ enabled = true, port = {port}, buffer_size = {buffer}, {BEATS} }}")
    };
    // A file that two streams show is read once; a busy machine may let the live client wait, too.
    let http = port();
    let events_server = format!("\nhttpserver = {{ enabled = true, port = {http}, buffer_size = 20000 }}");
    let config = table(&site, "wide", &server(wide, LINES))
        + &table(&site, "narrow", &(server(narrow, 20_000) + &events_server));
    let daemon = site.daemon_with(&config);
    let (stalled, other) = (connect(narrow), connect(narrow));
    drop(seated(other, 2));
    let stalled: [Box<dyn Iterator<Item = String>>; 3] = [
        Box::new(BufReader::new(stalled).lines().map_while(Result::ok)),
        Box::new(events(http)),
        Box::new(socket::frames(http)),
    ];
    let live = seated(connect(wide), 1);
    let reader = std::thread::spawn(move || messages(live).take(LINES).collect::<Vec<String>>());
    let line = |number: usize| format!("line {number:07} {}\n", "x".repeat(60));
    for start in (0..LINES).step_by(2_000) {
        site.append("logs/a.log", (start..start + 2_000).map(line).collect::<String>());
        // The pace of a busy writer, which the live one can follow.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let all = reader.join().unwrap();
    let metrics = daemon.get("/metrics").unwrap().text();
    let lag =
        metrics.lines().find_map(|line| line.strip_prefix("taffrail_stream_lag_entries{stream=\"narrow\"} "));
    assert!(lag.is_some_and(|lag| lag.parse::<usize>().unwrap() > 20_000), "{metrics}");
    assert!(metrics.contains("taffrail_stream_files{stream=\"narrow\"} 1"), "{metrics}");
    let number = |message: &String| message.split(' ').nth(1).and_then(|number| number.parse::<usize>().ok());
    let wrong = (0..LINES).find(|wanted| number(&all[*wanted]) != Some(*wanted));
    assert_eq!(wrong.map(|at| (at, &all[at])), None, "the live client gets every line in order");
    stored(&daemon, LINES as u64);
    site.append("logs/a.log", "line 9999999 end\n");
    for lines in stalled {
        let (mut next, mut missed) = (0, 0);
        for message in messages(lines).take_while(|message| !message.ends_with("end")) {
            match message.strip_suffix(" entries were dropped: this client reads too slowly") {
                Some(dropped) => {
                    missed += dropped.parse::<usize>().unwrap();
                    next += dropped.parse::<usize>().unwrap();
                }
                None => {
                    assert_eq!(number(&message), Some(next), "what is missing was told");
                    next += 1;
                }
            }
        }
        assert!(next == LINES && missed > 0, "{next} {missed}");
    }
}

#[test]
fn who_pauses_within_its_buffer_misses_nothing() {
    const LINES: usize = 60_000;
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let server = |port: u16| format!("{{ enabled = true, port = {port}, buffer_size = {LINES}, {BEATS} }}");
    let config = table(
        &site,
        "app",
        &format!(
            "tcpserver = {}\nhttpserver = {}",
            server(tcp),
            server(http).replace("true }", "true, format = 'json' }")
        ),
    );
    let daemon = site.daemon_with(&config);
    let mut watching: Vec<Box<dyn Iterator<Item = String>>> = vec![
        Box::new(messages(events(http))),
        Box::new(messages(socket::frames(http))),
        Box::new(messages(seated(connect(tcp), 1))),
    ];
    eventually("two watching over HTTP", || {
        let metrics = daemon.get("/metrics").unwrap().text();
        metrics.contains(r#"transport="http"} 1"#) && metrics.contains(r#"transport="websocket"} 1"#)
    });
    // More than the system keeps for a connection.
    let line = |number: usize| format!("line {number:07} {}\n", "x".repeat(200));
    for start in (0..LINES).step_by(5_000) {
        site.append("logs/a.log", (start..start + 5_000).map(line).collect::<String>());
    }
    stored(&daemon, LINES as u64);
    for client in &mut watching {
        for number in 0..LINES {
            assert_eq!(client.next().unwrap(), line(number).trim_end());
        }
    }
    for round in 0..20 {
        site.append("logs/a.log", format!("more {round}\n"));
        for client in &mut watching {
            assert_eq!(client.next().unwrap(), format!("more {round}"), "again at once");
        }
    }
}

#[test]
fn a_port_that_is_taken_stops_its_stream_only() {
    let site = Site::new();
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let (free, blocked) = (port(), taken.local_addr().unwrap().port());
    let server = |port: u16| format!("tcpserver = {{ enabled = true, port = {port}, {BEATS} }}");
    let config = table(&site, "blocked", &server(blocked)) + &table(&site, "free", &server(free));
    let daemon = site.daemon_with(&config);
    let client = seated(connect(free), 1);
    site.append("logs/a.log", "one\n");
    assert_eq!(messages(client).next().unwrap(), "one");
    stored(&daemon, 1);
}

#[test]
fn a_router_answers_for_all_streams_on_each_port() {
    let site = Site::new();
    let (shared, own, tcp) = (port(), port(), port());
    let http = |port: u16| format!("httpserver = {{ enabled = true, port = {port}, stream_path = '/logs' }}");
    let tables =
        [("app", http(shared)), ("app2", http(shared)), ("my app/größe", http(own)), ("system", http(own))];
    let tables = tables.map(|(name, server)| table(&site, name, &server)).concat();
    let only_tcp = table(&site, "raw", &format!("tcpserver = {{ enabled = true, port = {tcp} }}"));
    let config = site.config(&(tables + &only_tcp));
    let daemon = Daemon::builder(crate::program::BINARY, site.data()).arg("-c").arg(config).arg("--router");
    let daemon = daemon.start().unwrap();
    let ask = |port: u16, path: &str| -> (String, Value) {
        let mut stream = connect(port);
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    };
    for port in [shared, own] {
        let mut watching: Vec<BufReader<TcpStream>> = Vec::new();
        for path in ["/app/logs", "/app2", "/system/logs"] {
            let mut stream = connect(port);
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            watching.push(BufReader::new(stream));
        }
        let (_, status) = ask(port, "/status");
        assert_eq!((&status["service"], &status["total_streams"]), (&"LogWisp Router".into(), &5.into()));
        eventually("three watching", || {
            let streams = &ask(port, "/status").1["streams"];
            ["app", "app2", "system"].iter().all(|name| streams[name]["stats"]["http"]["connections"] == 1)
        });
        site.append("logs/a.log", format!("for {port}\n"));
        for client in watching {
            assert_eq!(messages(client.lines().map_while(Result::ok)).next().unwrap(), format!("for {port}"));
        }
        let (_, one) = ask(port, "/app2/status");
        assert_eq!(one["server"]["mode"], serde_json::json!({"standalone": false, "router": true}));
        let (_, one) = ask(port, "/my%20app/gr%C3%B6%c3%9fe/status");
        assert_eq!(one["endpoints"]["stream"], "/logs", "{one}");
        let (code, missing) = ask(port, "/app3/logs");
        assert!(
            code.contains("404") && missing["available_routes"][1] == "/app/logs (stream: app)",
            "{missing}"
        );
        let (code, unavailable) = ask(port, "/raw/stream");
        assert!(code.contains("503") && unavailable["error"] == "Stream HTTP server not available");
        eventually("they have gone", || {
            let streams = &ask(port, "/status").1["streams"];
            ["app", "app2", "system"].iter().all(|name| streams[name]["stats"]["http"]["connections"] == 0)
        });
    }
    drop(daemon);
}

#[test]
fn limits_and_lists_are_kept() {
    let site = Site::new();
    let (limited, closed, tcp) = (port(), port(), port());
    let limit = "rate_limit = { enabled = true, requests_per_second = 0.001, burst_size = 2, response_code = 503, response_message = 'slowly', max_connections_per_ip = 2 }";
    let config = table(
        &site,
        "limited",
        &format!(
            "httpserver = {{ enabled = true, port = {limited}, {limit} }}\ntcpserver = {{ enabled = true, port = {tcp}, {limit} }}"
        ),
    ) + &table(
        &site,
        "closed",
        &format!(
            "auth = {{ ip_whitelist = ['192.0.2.0/24'] }}\nhttpserver = {{ enabled = true, port = {closed} }}"
        ),
    );
    let _daemon = site.daemon_with(&config);
    let ask = |port: u16| {
        let mut stream = connect(port);
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(
        ask(limited)
            .contains(r#""rate_limit":{"active_ips":1,"blocked_requests":0,"config":{"burst_size":2,"#)
    );
    assert!(ask(limited).starts_with("HTTP/1.0 200"));
    // A client may see its connection end before the daemon has given up its place.
    eventually("a refusal for the rate", || {
        let refused = ask(limited);
        assert!(refused.starts_with("HTTP/1.0 503"), "{refused}");
        refused.ends_with(r#"{"error":"slowly","retry_after":"60"}"#)
    });
    // Connections that ask nothing count as well, until they go.
    eventually("too many connections", || {
        let _idle = [connect(limited), connect(limited)];
        ask(limited).contains("Connection limit exceeded")
    });
    eventually("room again", || ask(limited).contains("slowly"));
    // Who may not come keeps no connection either.
    let mut stream = connect(closed);
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut forbidden = String::new();
    stream.read_to_string(&mut forbidden).unwrap();
    assert!(forbidden.starts_with("HTTP/1.1 403") && forbidden.contains("connection: close"), "{forbidden}");
    // Over TCP nobody is told anything: the third connection is closed.
    let _seated: Vec<TcpStream> = (0..2).map(|_| connect(tcp)).collect();
    eventually("a connection without a word", || {
        let mut third = connect(tcp);
        matches!(third.read(&mut [0; 16]), Ok(0))
    });
}

#[test]
fn mistakes_in_streams_are_told_with_their_keys() {
    let site = Site::new();
    let config = site.config(&table(&site, "app", "tcpserver = { enabled = true, port = 0 }"));
    let checked = site.run(&["check", "-c", config.to_str().unwrap()]).expect(2);
    let wanted = "`streams[0].tcpserver.port`: stream 'app': invalid TCP port: 0";
    assert!(checked.text().contains(wanted), "{}", checked.text());
}
