//! What Resolvix' clients find: the control API, and the live lines that it opens and closes.

use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client};

use crate::program::{PATIENCE, Site, eventually};
use crate::streams::port;

/// The status and the body that curl gets.
pub(crate) fn curl(arguments: &[&str]) -> (u16, Value) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

struct Machine {
    site: Site,
    daemon: taffrail_testkit::Daemon,
    control: String,
    live: u16,
}

impl Machine {
    fn start(more: &str) -> Self {
        let (site, control, live) = (Site::new(), port(), port());
        let logs = site.path("logs").display().to_string();
        let config = format!(
            "[control]\nlisten = '127.0.0.1:{control}'\nlive_port = {live}\nnode_id = '192.0.2.7'\n{more}\n\
             [[source]]\npath = '{logs}/*.log'\n"
        );
        let daemon = site.daemon_with(&config);
        Self { site, daemon, control: format!("http://127.0.0.1:{control}"), live }
    }

    fn command(&self, body: &str) -> (u16, Value) {
        curl(&["--data", body, &format!("{}/control", self.control)])
    }

    fn watch(&self) -> WebSocket<TcpStream> {
        watch(self.live)
    }

    fn watch_and_keep(self) -> (Self, WebSocket<TcpStream>) {
        let socket = self.watch();
        (self, socket)
    }

    /// Waits until a line that is appended now is one that clients would be shown: the file is followed.
    fn followed(&self, name: &str) {
        let lines = crate::program::count(&self.daemon, "SELECT count(*) FROM logs");
        self.site.append(name, "before\n");
        eventually("a line", || crate::program::count(&self.daemon, "SELECT count(*) FROM logs") > lines);
    }
}

/// A client of a port that a command has opened.
pub(crate) fn watch(port: u16) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client(format!("ws://localhost:{port}/any/path"), stream).unwrap().0
}

/// The next text that a client is told.
pub(crate) fn next(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[test]
fn live_lines_are_opened_and_closed_by_commands() {
    let machine = Machine::start("");
    machine.followed("logs/a.log");
    assert!(TcpStream::connect(("127.0.0.1", machine.live)).is_err(), "not before the command");
    let (code, started) = machine.command(r#"{"command":"start_livelogs"}"#);
    assert_eq!(
        (code, &started["status"], &started["ws_port"]),
        (200, &"started".into(), &machine.live.into())
    );
    assert!(started["pid"].as_str().unwrap().parse::<u32>().is_ok(), "{started}");
    let again = machine.command(r#"{"command":"start_livelogs"}"#);
    assert_eq!(again, (400, json!({"status": "error", "detail": "already_running"})));

    let mut clients = [machine.watch(), machine.watch()];
    let line = "Nov 22 03:59:58 web-1 app[7]: it <failed> \\ \"quoted\"";
    machine.site.append("logs/a.log", format!("{line}\n\n2024-01-15T10:30:45+05:00 \u{e9}\r\n"));
    for socket in &mut clients {
        let frame = next(socket);
        assert_eq!((&frame["type"], &frame["node_id"]), (&"live_log".into(), &"192.0.2.7".into()));
        assert_eq!(frame["log"], line);
        assert!(frame["timestamp"].as_str().unwrap().ends_with('Z'), "{frame}");
        assert_eq!(next(socket)["log"], "", "empty lines too");
        let last = next(socket);
        assert_eq!(
            (&last["timestamp"], &last["log"]),
            (&"2024-01-15T10:30:45+05:00".into(), &"2024-01-15T10:30:45+05:00 \u{e9}".into())
        );
    }
    // What clients say does not matter.
    clients[0].send(Message::text("hello")).unwrap();
    machine.site.append("logs/a.log", "more\n");
    assert_eq!(next(&mut clients[0])["log"], "more");

    assert_eq!(machine.command(r#"{"command":"stop_livelogs"}"#), (200, json!({"status": "stopped"})));
    let closed = loop {
        match clients[0].read() {
            Ok(Message::Close(_)) | Err(_) => break true,
            Ok(_) => {}
        }
    };
    assert!(closed);
    let again = machine.command(r#"{"command":"stop_livelogs"}"#);
    assert_eq!(again, (400, json!({"status": "error", "detail": "no_active_process"})));
    assert!(TcpStream::connect(("127.0.0.1", machine.live)).is_err(), "the port is free");
    // And once more.
    assert_eq!(machine.command(r#"{"command":"start_livelogs"}"#).0, 200);
    let mut socket = machine.watch();
    machine.site.append("logs/a.log", "new\n");
    assert_eq!(next(&mut socket)["log"], "new");
    machine.daemon.stop().unwrap();
}

#[test]
fn questions_are_answered_as_the_original_does() {
    let machine = Machine::start("[telemetry]\nenabled = false");
    let control = machine.control.as_str();
    let health = json!({"status": "ok", "node_id": "192.0.2.7", "telemetry_enabled": false});
    assert_eq!(curl(&[&format!("{control}/health")]), (200, health));
    let (code, status) = curl(&[&format!("{control}/status")]);
    assert_eq!((code, &status["livelogs"]["running"]), (200, &false.into()));
    assert_eq!(status["log_file"], machine.site.path("logs/*.log").display().to_string());
    for (body, code, status) in [
        (r#"{"command":"get_telemetry"}"#, 400, "telemetry_disabled"),
        (r#"{"command":"start_telemetry"}"#, 400, "telemetry_disabled"),
        (r#"{"command":"reboot"}"#, 400, "unknown_command"),
        (r#"{"command":7}"#, 400, "unknown_command"),
        ("{}", 400, "unknown_command"),
        ("[1]", 500, "error"),
        ("{broken", 400, "error"),
        ("", 400, "error"),
    ] {
        let (found, answer) = machine.command(body);
        assert_eq!((found, &answer["status"]), (code, &status.into()), "{body}");
    }
    assert_eq!(curl(&[&format!("{control}/control")]).0, 405);
    assert_eq!(curl(&[&format!("{control}/other")]).0, 404);
    // Scripts of any page may ask.
    let preflight = ["--include", "--request", "OPTIONS", "--header", "Origin: http://dashboard.example"];
    let asked =
        Command::new("curl").arg("--silent").args(preflight).arg(format!("{control}/control")).output();
    let head = String::from_utf8(asked.unwrap().stdout).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("access-control-allow-origin: *"), "{head}");
    assert!(head.contains("access-control-allow-methods: ") && head.contains("post"), "{head}");
}

#[test]
fn a_port_that_is_taken_is_said_and_files_that_are_not_shown_are_not() {
    let machine = Machine::start("files = []");
    let taken = std::net::TcpListener::bind(("127.0.0.1", machine.live)).unwrap();
    let (code, answer) = machine.command(r#"{"command":"start_livelogs"}"#);
    assert_eq!((code, &answer["status"]), (400, &"error".into()));
    assert!(answer["detail"].as_str().unwrap().starts_with("spawn_error: "), "{answer}");
    drop(taken);
    assert_eq!(machine.command(r#"{"command":"start_livelogs"}"#).0, 200);

    let site = Site::new();
    let (control, live) = (port(), port());
    let shown = site.source("logs/shown.log");
    let logs = site.path("logs").display().to_string();
    let config = format!(
        "[control]\nlisten = '127.0.0.1:{control}'\nlive_port = {live}\nfiles = ['{shown}']\n[[source]]\npath = '{logs}/*.log'\n"
    );
    let daemon = site.daemon_with(&config);
    let machine = Machine { site, daemon, control: format!("http://127.0.0.1:{control}"), live };
    machine.followed("logs/other.log");
    machine.followed("logs/shown.log");
    assert_eq!(machine.command(r#"{"command":"start_livelogs"}"#).0, 200);
    let mut socket = machine.watch();
    machine.site.append("logs/other.log", "not this\n");
    machine.site.append("logs/shown.log", "this\n");
    assert_eq!(next(&mut socket)["log"], "this");
    let config = machine.site.write("open.toml", "[control]\nlisten = '0.0.0.0:8754'\n");
    let refused = machine.site.run(&["-c", config.to_str().unwrap(), "run"]).expect(64).err;
    assert!(refused.contains("control.listen") && refused.contains("allow_anonymous"), "{refused}");
}

#[test]
fn samples_are_told_when_asked_and_each_interval() {
    let samples = port();
    let machine = Machine::start(&format!("telemetry_port = {samples}\ntelemetry_interval = '1s'"));
    let control = machine.control.as_str();
    let health = json!({"status": "ok", "node_id": "192.0.2.7", "telemetry_enabled": true});
    assert_eq!(curl(&[&format!("{control}/health")]), (200, health));
    let (code, sample) = machine.command(r#"{"command":"get_telemetry"}"#);
    assert_eq!((code, &sample["node_id"]), (200, &"192.0.2.7".into()));
    // Rates are there from the first sample on.
    for path in ["cpu/cpu_usage_percent", "disk/disk_io/read_mb_per_sec", "network/bytes_sent_mb_per_sec"] {
        assert!(sample.pointer(&format!("/metrics/{path}")).is_some_and(Value::is_f64), "{path}: {sample}");
    }

    assert_eq!(machine.command(r#"{"command":"stop_telemetry"}"#).1["detail"], "no_active_process");
    let (code, started) = machine.command(r#"{"command":"start_telemetry"}"#);
    assert_eq!((code, &started["status"], &started["interval"]), (200, &"started".into(), &1.into()));
    assert_eq!(started["ws_port"], samples);
    assert_eq!(machine.command(r#"{"command":"start_telemetry"}"#).1["detail"], "already_running");
    let (_, status) = curl(&[&format!("{control}/status")]);
    assert_eq!(
        (&status["telemetry"]["running"], &status["livelogs"]["running"]),
        (&true.into(), &false.into())
    );

    let mut socket = Machine { live: samples, ..machine }.watch_and_keep();
    let greeting = next(&mut socket.1);
    assert_eq!(
        (&greeting["type"], &greeting["status"], &greeting["interval"]),
        (&"connection".into(), &"connected".into(), &1.into())
    );
    assert!(
        greeting["node_id"] == "192.0.2.7" && greeting["timestamp"].as_str().unwrap().ends_with('Z'),
        "{greeting}"
    );
    socket.1.send(Message::text(r#"{"command":"ping"}"#)).unwrap();
    let pong = loop {
        let frame = next(&mut socket.1);
        if frame["type"] == "pong" {
            break frame;
        }
    };
    assert!(pong["timestamp"].is_string(), "{pong}");
    for _ in 0..2 {
        let sample = next(&mut socket.1);
        assert!(sample["metrics"]["cpu"]["cpu_usage_percent"].is_number(), "{sample}");
    }
    // What is no command is no reason to go.
    socket.1.send(Message::text("hello")).unwrap();
    socket.1.send(Message::text(r#"{"command":"get_metrics"}"#)).unwrap();
    assert!(next(&mut socket.1)["metrics"].is_object());
    let machine = socket.0;
    assert_eq!(machine.command(r#"{"command":"stop_telemetry"}"#), (200, json!({"status": "stopped"})));
    assert!(TcpStream::connect(("127.0.0.1", samples)).is_err(), "the port is free");
    assert!(machine.daemon.stop().unwrap().success());
}
