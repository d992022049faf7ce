//! Clients that want no entries: they are bounded, cut off, counted, and leave nothing behind.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::protected::certificate;
use super::{BEATS, connect, events, port, seated, stored, table};
use crate::program::{Site, eventually};
use fs_err as fs;
use taffrail_testkit::Daemon;

/// Connections of each kind.
const MANY: usize = 40;
/// What the daemon may have grown by: buffers that the allocator keeps.
const GROWTH_BYTES: u64 = 16 << 20;
/// Time that a request's head may take, and some more.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// Sockets of the daemon, and its memory.
fn holdings(daemon: &Daemon) -> (usize, u64) {
    let process = format!("/proc/{}", daemon.pid());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    (links.filter(|link| link.to_string_lossy().starts_with("socket:")).count(), kilobytes << 10)
}

/// Waits until the other side has ended a connection.
fn ends(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(HEAD_TIME)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return;
            }
            Err(error) => panic!("it is still open: {error}"),
        }
    }
}

#[test]
fn abuse_is_bounded_counted_and_leaves_nothing_behind() {
    let site = Site::new();
    let [http, tcp, tls] = [port(), port(), port()];
    let server = certificate(&site, "server", None);
    let plain = format!(
        "httpserver = {{ enabled = true, port = {http} }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}"
    );
    let secret = format!(
        "httpserver = {{ enabled = true, port = {tls}, ssl = {{ enabled = true, cert_file = '{server}.pem', key_file = '{server}.key' }} }}"
    );
    let daemon = site.daemon_with(&[table(&site, "app", &plain), table(&site, "secret", &secret)].concat());
    let mut watching = events(http);
    let mut listening = seated(connect(tcp), 1);
    // What is made at the first question is no leak.
    let metric = || daemon.get("/metrics").unwrap().text();
    site.append("logs/a.log", "first\n");
    stored(&daemon, 1);
    metric();
    let (sockets, memory) = holdings(&daemon);

    // Who talks where nobody listens, a million bytes of it, is drained and served.
    let mut talking = connect(tcp);
    talking.write_all(&vec![0xff; 1_000_000]).unwrap();
    // Who never ends its request.
    let mut slow: Vec<TcpStream> = (0..MANY).map(|_| connect(http)).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET /stream HTTP/1.1\r\nX-Slow: ").unwrap());
    // Who connects and says nothing.
    let mut silent: Vec<TcpStream> =
        (0..MANY).map(|_| connect(http)).chain((0..MANY).map(|_| connect(tls))).collect();
    // Who says too much at once, and what is no HTTP.
    for (talk, refusal) in [
        (format!("GET /stream HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), "431"),
        ("\u{1}\u{2}\u{3} what\r\n\r\n".repeat(100), "400"),
    ] {
        let mut stream = connect(http);
        // It may be cut off amid its speech.
        let _ = stream.write_all(talk.as_bytes());
        let mut answer = [0; 12];
        if let Ok(count) = stream.read(&mut answer) {
            assert!(
                count == 0 || answer.ends_with(refusal.as_bytes()),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
    // What is no TLS.
    for _ in 0..MANY {
        let mut stream = connect(tls);
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
        ends(&mut stream);
    }
    let refused = format!("taffrail_stream_refused_total{{stream=\"secret\",server=\"http\"}} {MANY}");
    eventually("counting what is no TLS", || metric().contains(&refused));

    // Nobody else notices.
    site.append("logs/a.log", "hello\n");
    stored(&daemon, 2);
    assert!(watching.any(|line| line.contains("\"message\":\"hello\"")));
    assert!(listening.any(|line| line.contains("\"message\":\"hello\"")));

    let started = Instant::now();
    // Slowly, but never done.
    while started.elapsed() < Duration::from_secs(3) {
        slow.iter_mut().for_each(|stream| stream.write_all(b"x").unwrap());
        std::thread::sleep(Duration::from_millis(500));
    }
    slow.iter_mut().chain(&mut silent).for_each(ends);
    // Who spoke too slowly or not at all, and who said too much or no request: those who connected to a stream that is not
    // spoken TLS with, and to the other.
    for (stream, count) in [("app", 2 * MANY + 2), ("secret", 2 * MANY)] {
        let refused = format!("taffrail_stream_refused_total{{stream=\"{stream}\",server=\"http\"}} {count}");
        eventually("counting who was turned away", || metric().contains(&refused));
    }
    drop((talking, slow, silent));
    eventually("giving up the sockets", || holdings(&daemon).0 <= sockets);
    let grown = holdings(&daemon).1.saturating_sub(memory);
    assert!(grown <= GROWTH_BYTES, "{grown} bytes more");
    site.append("logs/a.log", "bye\n");
    assert!(watching.any(|line| line.contains("\"message\":\"bye\"")));
}
