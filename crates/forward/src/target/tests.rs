//! Targets against a small server that answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use taffrail_record::{Checkpoint, Gap, GapReason, RawBatch, RawLine, Span, Timestamp};

use super::*;
use crate::ENTRIES_PATH;
use crate::entry::{Content, Entry};

const DEADLINE: Duration = Duration::from_secs(30);
const NOW: fn() -> Timestamp = || Timestamp(1_793_491_200_000_000_000);
const HUB: &str = r#"{"taffrail":"0.1.0"}"#;
const TAKEN: &str = r#"{"taken":1,"records":1}"#;

/// A request as the server sees it: its connection's number, method and path, and the body.
#[derive(Clone, Debug)]
struct Request {
    connection: usize,
    line: String,
    body: Vec<u8>,
    at: Instant,
}

impl Request {
    fn is(&self, start: &str) -> bool {
        self.line.starts_with(start)
    }

    fn entries(&self) -> Vec<Entry> {
        let (mut bytes, mut entries) = (&self.body[..], Vec::new());
        while let Some((entry, rest)) = Entry::read(bytes) {
            entries.push(entry);
            bytes = rest;
        }
        assert!(bytes.is_empty(), "{}", self.line);
        entries
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in self.entries() {
            let Some(Content::Lines(batch, _)) = entry.content() else { continue };
            lines.extend(lines_of(&batch).map(|line| String::from_utf8_lossy(line).into_owned()));
        }
        lines
    }
}

/// Status, further headers, body.
type Answer = (u16, &'static str, &'static str);
type Answers = Box<dyn FnMut(&Request) -> Answer + Send>;

/// A server; it listens as long as the process lives.
struct Server {
    url: String,
    shared: Arc<(Mutex<Vec<Request>>, Condvar)>,
    answers: Arc<Mutex<Answers>>,
}

impl Server {
    fn start(answers: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let server = Self { url, shared: Arc::default(), answers };
        let (shared, answers) = (Arc::clone(&server.shared), Arc::clone(&server.answers));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (shared, answers) = (Arc::clone(&shared), Arc::clone(&answers));
                // A connection that breaks is one that has ended.
                thread::spawn(move || drop(serve(stream.unwrap(), number, &shared, &answers)));
            }
        });
        server
    }

    /// From now on it answers so.
    fn answer(&self, answers: impl FnMut(&Request) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// What was asked, once that is so.
    fn wait(&self, what: &str, until: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let (requests, changed) = &*self.shared;
        let requests = requests.lock().unwrap();
        let (requests, _) = changed.wait_timeout_while(requests, DEADLINE, |all| !until(all)).unwrap();
        let told: Vec<_> = requests.iter().map(|request| (&request.line, request.body.len())).collect();
        assert!(until(&requests), "{what}: {told:?}");
        requests.clone()
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    (requests, changed): &(Mutex<Vec<Request>>, Condvar),
    answers: &Mutex<Answers>,
) -> std::io::Result<()> {
    let (mut reader, mut stream) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = Request { connection, line, body, at: Instant::now() };
        let (code, headers, text) = (answers.lock().unwrap())(&request);
        requests.lock().unwrap().push(request);
        changed.notify_all();
        let size = text.len();
        write!(stream, "HTTP/1.1 {code} Told\r\n{headers}content-length: {size}\r\n\r\n{text}")?;
    }
}

fn config(server: &Server, protocol: Protocol) -> TargetConfig {
    TargetConfig {
        url: server.url.clone(),
        protocol,
        is_resolvix_likely: false,
        lines: Lines::All,
        access: Access::default(),
        node: "web-1".to_owned(),
        rules: Rules::Words,
        offset_minutes: 0,
    }
}

fn open(folder: &tempfile::TempDir, server: &Server) -> Spool {
    Spool::open(folder.path(), 1 << 30, std::slice::from_ref(&server.url), NOW).unwrap()
}

/// Lines of a source from `offset` on.
fn batch(offset: u64, lines: &[&str]) -> RawBatch {
    let mut bytes = Vec::new();
    let mut line = |text: &&str| {
        let span = Span::new(bytes.len(), bytes.len() + text.len());
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        RawLine { span, offset: offset + u64::from(span.start), newline: true, joined: false }
    };
    let lines: Vec<RawLine> = lines.iter().map(&mut line).collect();
    let checkpoint = Checkpoint { offset: offset + bytes.len() as u64, ..Checkpoint::default() };
    let (header, gaps) = (None, Vec::new());
    RawBatch { source: "/x.log".into(), observed: NOW(), bytes, lines, header, gaps, checkpoint }
}

/// Puts one line for each, in an entry of its own.
fn put(spool: &Spool, lines: &[&str]) {
    for line in lines {
        let offset = spool.checkpoints().first().map_or(0, |(_, checkpoint)| checkpoint.offset);
        spool.put(&batch(offset, &[line]), "").unwrap();
    }
}

/// What does not pack.
fn noise(bytes: usize) -> String {
    let mut state = 7u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 58) as u8)
    };
    (0..bytes).map(|_| letter()).collect()
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

fn is_post(request: &Request) -> bool {
    request.is(&format!("POST {ENTRIES_PATH} "))
}

fn count(requests: &[Request], start: &str) -> usize {
    requests.iter().filter(|request| request.is(start)).count()
}

#[test]
fn of_many_entries_only_the_refused_one_is_given_up() {
    let server = Server::start(|request| match () {
        () if request.is("GET") => (200, "", HUB),
        () if request.lines().iter().any(|line| line == "bad") => (400, "", "I do not like it"),
        () => (200, "", TAKEN),
    });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    put(&spool, &["one", "two", "bad", "four", "five"]);
    let target = Target::spawn(config(&server, Protocol::Auto), &spool, NOW).unwrap();
    eventually("all is done with", || spool.fill().entries == 0);
    put(&spool, &["six", "seven"]);
    eventually("all is done with", || spool.fill().entries == 0 && target.standing().lines == 6);
    let standing = target.standing();
    assert_eq!((standing.refused, standing.refused_at), (1, Some(NOW())));
    assert_eq!(standing.failing, None);
    let requests = server.wait("requests", |_| true);
    let offers = requests.iter().filter(|request| is_post(request) && request.lines() == ["bad"]).count();
    assert_eq!(offers, 3, "alone, exactly as often as is said");
    let taken = requests.iter().filter(|request| is_post(request)).map(Request::lines);
    let taken: Vec<_> = taken.filter(|lines| lines.iter().all(|line| line != "bad")).flatten().collect();
    assert_eq!(taken, ["one", "two", "four", "five", "six", "seven"]);
    // In the place of the refused one the server learns which bytes it does not have.
    let gap = |entry: &Entry| match entry.content() {
        Some(Content::Loss { batch, .. }) => Some((entry.sequence, batch.gaps[0].clone())),
        _ => None,
    };
    let told: Vec<_> = requests.iter().flat_map(Request::entries).filter_map(|entry| gap(&entry)).collect();
    let (sequence, Gap { start, end, reason, .. }) = told[0].clone();
    assert_eq!((told.len(), sequence, end - start, reason), (1, 3, 4, GapReason::Refused));
}

#[test]
fn a_server_says_how_much_it_takes_and_larger_entries_go_in_parts() {
    const MOST: usize = 100 << 10;
    let server = Server::start(|request| match () {
        () if request.is("GET") => (200, "", HUB),
        () if request.body.len() > MOST => (413, "", ""),
        () => (200, "", TAKEN),
    });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    let texts: Vec<String> = (0..40).map(|number| format!("{number:02} {}", noise(30 << 10))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    put(&spool, &texts[..30]);
    // One entry of ten lines is larger than what is taken.
    let offset = spool.checkpoints()[0].1.offset;
    spool.put(&batch(offset, &texts[30..]), "").unwrap();
    put(&spool, &["the end"]);
    let target = Target::spawn(config(&server, Protocol::Auto), &spool, NOW).unwrap();
    eventually("all is sent", || spool.fill().entries == 0);
    assert_eq!((target.standing().lines, target.standing().refused), (41, 0));
    let requests = server.wait("requests", |_| true);
    let (small, large): (Vec<_>, Vec<_>) =
        requests.iter().filter(|request| is_post(request)).partition(|request| request.body.len() <= MOST);
    let taken: Vec<String> = small.iter().flat_map(|request| request.lines()).collect();
    assert_eq!(taken, texts.iter().copied().chain(["the end"]).collect::<Vec<_>>());
    assert!(
        large.iter().all(|request| request.body.len() < 768 << 10 && large.len() < 12),
        "{}",
        large.len()
    );
    // How far a hub has it after each body is where the next begins.
    let mut known = 0;
    for entry in small.iter().flat_map(|request| request.entries()) {
        let Some(Content::Lines(batch, _)) = entry.content() else { continue };
        assert!(batch.lines[0].offset >= known, "{known}");
        known = batch.checkpoint.offset;
    }
}

#[test]
fn samples_hold_up_no_lines_of_a_server_of_resolvix() {
    let mut failures = 2;
    let server = Server::start(move |request| match () {
        () if request.is("POST /telemetry") => (404, "", "what is this?"),
        () if failures > 0 => {
            failures -= 1;
            (500, "", "")
        }
        () => (200, "", "ok"),
    });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    spool.put_sample("{}").unwrap();
    put(&spool, &["error 1"]);
    spool.put_sample("{}").unwrap();
    put(&spool, &["well", "error 2"]);
    let target = Target::spawn(config(&server, Protocol::Resolvix), &spool, NOW).unwrap();
    eventually("all is done with", || spool.fill().entries == 0);
    let standing = target.standing();
    assert_eq!((standing.lines, standing.samples, standing.refused), (2, 0, 2));
    assert_eq!((standing.failing, standing.refused_at), (None, None));
    let requests = server.wait("requests", |_| true);
    assert_eq!((count(&requests, "POST /telemetry"), count(&requests, "POST /logs")), (2, 4));
    // One that asks for patience gets it.
    server.answer(move |_| (503, "retry-after: 1\r\n", ""));
    spool.put_sample("{}").unwrap();
    eventually("it fails", || target.standing().failing.is_some());
    server.answer(|_| (200, "", "ok"));
    eventually("it is taken", || target.standing().samples == 1);
}

#[test]
fn a_target_is_taken_for_what_it_says() {
    // What it answers to the question; whether it is asked again, a hub, or a server of Resolvix.
    for (answer, is_likely, want) in [
        ((200, "", HUB), false, "hub"),
        ((200, "", r#"{"status":"ok"}"#), false, "resolvix"),
        ((200, "", "<!doctype html><html>\"taffrail\"</html>"), false, "resolvix"),
        ((404, "", ""), false, "resolvix"),
        ((405, "", ""), false, "resolvix"),
        ((500, "", ""), false, "resolvix"),
        ((501, "", ""), false, "resolvix"),
        ((401, "", ""), false, "asked"),
        ((403, "", ""), false, "asked"),
        ((401, "", ""), true, "resolvix"),
        ((403, "", ""), true, "resolvix"),
        ((429, "", ""), true, "asked"),
        ((502, "", ""), true, "asked"),
        ((503, "", ""), false, "asked"),
        ((504, "", ""), false, "asked"),
    ] {
        let server = Server::start(move |request| if request.is("GET") { answer } else { (200, "", TAKEN) });
        let folder = tempfile::tempdir().unwrap();
        let spool = open(&folder, &server);
        put(&spool, &["error"]);
        let config = TargetConfig { is_resolvix_likely: is_likely, ..config(&server, Protocol::Auto) };
        Target::spawn(config, &spool, NOW).unwrap();
        let told = server.wait("a post, or a second question", |all| all.len() >= 2);
        let found = match &told[1] {
            request if is_post(request) => "hub",
            request if request.is("POST /logs") => "resolvix",
            _ => "asked",
        };
        assert_eq!(found, want, "{answer:?} {is_likely}");
        spool.close();
    }
}

#[test]
fn a_hub_is_one_for_ever_and_what_was_taken_for_another_is_asked_again() {
    static TIME: AtomicI64 = AtomicI64::new(1_793_491_200_000_000_000);
    let clock = || Timestamp(TIME.load(Ordering::Relaxed));
    let is_hub = |request: &Request| {
        if request.is("GET") { (200, "", HUB) } else { (200, "", TAKEN) }
    };
    // First a proxy answers that knows nothing of it, and then takes nothing.
    let server = Server::start(|_| (404, "", ""));
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    put(&spool, &["error 1"]);
    let target = Target::spawn(config(&server, Protocol::Auto), &spool, clock).unwrap();
    server.wait("a post", |all| count(all, "POST /logs") > 0);
    server.answer(is_hub);
    eventually("it is known", || target.standing().lines == 1);
    spool.close();
    drop((spool, target));
    // After a restart, the proxy again: no line is lost on it.
    server.answer(|_| (404, "", ""));
    let spool = eventually_open(&folder, &server);
    put(&spool, &["well", "error 2"]);
    let target = Target::spawn(config(&server, Protocol::Auto), &spool, clock).unwrap();
    eventually("it fails", || target.standing().failing.is_some());
    server.answer(is_hub);
    eventually("all is sent", || target.standing().lines == 2);
    let requests = server.wait("requests", |_| true);
    let last = requests.iter().rfind(|request| is_post(request)).unwrap();
    assert_eq!(last.lines(), ["well", "error 2"]);
    spool.close();

    // One that works as a server of Resolvix is asked now and then.
    let server = Server::start(|request| if request.is("GET") { (404, "", "") } else { (200, "", TAKEN) });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    let target = Target::spawn(config(&server, Protocol::Auto), &spool, clock).unwrap();
    for (number, questions) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        put(&spool, &["error"]);
        eventually("it is taken", || target.standing().lines == number);
        let found = count(&server.wait("requests", |_| true), "GET");
        assert_eq!(found, questions, "{number}");
        if number == 2 {
            TIME.fetch_add(601_000_000_000, Ordering::Relaxed);
        }
    }
    server.answer(is_hub);
    TIME.fetch_add(601_000_000_000, Ordering::Relaxed);
    put(&spool, &["well"]);
    eventually("it is a hub now", || target.standing().lines == 5);
    spool.close();
}

/// A spool, once the thread that had it has ended.
fn eventually_open(folder: &tempfile::TempDir, server: &Server) -> Spool {
    let end = Instant::now() + DEADLINE;
    loop {
        match Spool::open(folder.path(), 1 << 30, std::slice::from_ref(&server.url), NOW) {
            Ok(spool) => return spool,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_server_is_come_back_to_when_it_says_and_over_one_connection() {
    let mut waits = vec!["retry-after: 1\r\n", "retry-after: 0\r\n"];
    let server = Server::start(move |_| match waits.pop() {
        Some(headers) => (429, headers, ""),
        None => (200, "", "ok"),
    });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    put(&spool, &["error 1", "error 2", "error 3"]);
    let target = Target::spawn(config(&server, Protocol::Resolvix), &spool, NOW).unwrap();
    eventually("all is sent", || target.standing().lines == 3);
    let requests = server.wait("requests", |all| all.len() == 5);
    // At once is no time to come back; a second is one.
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(50));
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(1));
    assert!(requests.iter().all(|request| request.connection == 0), "one connection is enough");
    spool.close();
}

#[test]
fn what_was_taken_before_a_failure_counts_as_progress() {
    // Each line of an entry is refused twice and then taken: none is given up.
    let mut asked = 0;
    let server = Server::start(move |_| {
        asked += 1;
        if asked % 3 == 0 { (200, "", "ok") } else { (400, "", "no") }
    });
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder, &server);
    spool.put(&batch(0, &["error 1", "error 2", "error 3"]), "").unwrap();
    let target = Target::spawn(config(&server, Protocol::Resolvix), &spool, NOW).unwrap();
    eventually("all is done with", || spool.fill().entries == 0);
    assert_eq!((target.standing().lines, target.standing().refused), (3, 0));
    // After the spool is closed nothing more is posted, and what was taken before is noted.
    let closing = spool.clone();
    let mut posts = 0;
    server.answer(move |_| {
        posts += 1;
        if posts == 2 {
            closing.close();
        }
        (200, "", "ok")
    });
    put(&spool, &["error 4", "error 5", "error 6"]);
    eventually("its end", || target.standing().lines == 5);
    drop((spool, target));
    server.answer(|_| (200, "", "ok"));
    let spool = eventually_open(&folder, &server);
    let target = Target::spawn(config(&server, Protocol::Resolvix), &spool, NOW).unwrap();
    eventually("the rest", || target.standing().lines == 1);
    let requests = server.wait("requests", |_| true);
    let sent = |line: &str| {
        requests.iter().filter(|request| String::from_utf8_lossy(&request.body).contains(line)).count()
    };
    assert_eq!(["error 4", "error 5", "error 6"].map(sent), [1, 1, 1]);
    spool.close();
}
