//! Many lines at once, and all addresses of the machine.

use std::net::{Ipv6Addr, TcpStream};

use taffrail_testkit::skip;

use super::protected::{Client, certificate};
use super::*;
use crate::program::eventually;

/// More than twenty times what a client may lag by.
const LINES: usize = 20_000;

#[test]
fn a_burst_overruns_nobody_who_reads() {
    let site = Site::new();
    let server = certificate(&site, "server", None);
    let (plain, sealed, tcp) = (port(), port(), port());
    let ssl = format!("ssl = {{ enabled = true, cert_file = '{server}.pem', key_file = '{server}.key' }}");
    let config = table(
        &site,
        "plain",
        &format!(
            "httpserver = {{ enabled = true, port = {plain} }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}"
        ),
    ) + &table(
        &site,
        "sealed",
        &format!("httpserver = {{ enabled = true, port = {sealed}, {ssl} }}"),
    );
    let daemon = site.daemon_with(&config);
    let mut curl = Client::start("curl", &["-sSNk", &format!("https://localhost:{sealed}/stream")]);
    curl.gets("event: connected");
    let over_tls = curl.lines();
    let watching: [Box<dyn Iterator<Item = String> + Send>; 4] = [
        Box::new(events(plain)),
        Box::new(socket::frames(plain)),
        Box::new(seated(connect(tcp), 1)),
        Box::new(over_tls),
    ];
    eventually("two watching over HTTP", || {
        let metrics = daemon.get("/metrics").unwrap().text();
        metrics.contains(r#"transport="http"} 1"#) && metrics.contains(r#"transport="websocket"} 1"#)
    });
    let readers = watching.map(|lines| {
        let whole = messages(lines).take_while(|message| !message.contains("were dropped"));
        std::thread::spawn(move || whole.take(LINES).collect::<Vec<String>>())
    });
    let line = |number: usize| format!("line {number:07} {}", "x".repeat(100));
    site.append("logs/a.log", (0..LINES).map(|number| line(number) + "\n").collect::<String>());
    for (reader, name) in readers.into_iter().zip(["events", "socket", "tcp", "tls"]) {
        let all = reader.join().unwrap();
        let wrong = (0..LINES).find(|number| all.get(*number) != Some(&line(*number)));
        assert_eq!(wrong.map(|at| (at, all.get(at))), None, "{name}");
    }
    drop(daemon);
}

#[test]
fn streams_are_there_on_all_addresses() {
    const TEST: &str = "streams::burst::streams_are_there_on_all_addresses";
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip(TEST, "this machine has no IPv6");
    }
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let config = table(
        &site,
        "app",
        &format!(
            "httpserver = {{ enabled = true, port = {http} }}\ntcpserver = {{ enabled = true, port = {tcp}, {BEATS} }}\nauth = {{ ip_blacklist = ['127.0.0.2'] }}"
        ),
    );
    let _daemon = site.daemon_with(&config);
    let sixth = TcpStream::connect((Ipv6Addr::LOCALHOST, tcp)).unwrap();
    sixth.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut clients = [seated(connect(tcp), 2), seated(sixth, 2)];
    site.append("logs/a.log", "one\n");
    for client in &mut clients {
        assert_eq!(messages(client).next().unwrap(), "one");
    }
    // Addresses of IPv4 are told as such.
    let refused = std::process::Command::new("curl")
        .args(["-sS", "--interface", "127.0.0.2", &format!("http://127.0.0.1:{http}/status")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&refused.stdout), r#"{"error":"Forbidden"}"#);
    eventually("the refusal in the audit log", || {
        fs_err::read_to_string(site.path("data/audit.log")).is_ok_and(|text| text.contains(r#""127.0.0.2""#))
    });
}
