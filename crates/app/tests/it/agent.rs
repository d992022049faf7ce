//! The agent: what it follows arrives at a hub once and in order, whatever happens between them; and at a server of Resolvix as
//! that reads it.

mod central;
mod link;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use taffrail_testkit::{numbered_lines, wait_until};

use self::central::Central;
use self::link::{Link, Mode};
use crate::program::{BINARY, Site, count, eventually};
use crate::streams::port;

/// An agent, killed when dropped.
struct Agent {
    child: Child,
    out: PathBuf,
}

impl Agent {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let out = site.path("agent.out");
        let file = || fs_err::OpenOptions::new().create(true).append(true).open(&out).unwrap().into_parts().0;
        let mut command = Command::new(BINARY);
        command.arg("agent").args(arguments).arg("--data").arg(site.path("agent"));
        for name in ["CONTROL_PORT", "LIVE_WS_PORT", "TELEMETRY_WS_PORT", "TELEMETRY_INTERVAL"] {
            command.env_remove(name);
        }
        let child = command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap();
        Self { child, out }
    }

    fn said(&self) -> String {
        fs_err::read_to_string(&self.out).unwrap()
    }

    /// Ends it as a service manager does; its exit code.
    fn stop(mut self) -> i32 {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A config that sends all lines of `logs/*.log` to this port.
fn config(site: &Site, port: u16, more: &str) -> String {
    let logs = site.path("logs").display().to_string();
    let control = crate::streams::port();
    let text = format!(
        "node = 'web-1'\n[[source]]\npath = '{logs}/*.log'\nfrom_beginning = true\n[[forward]]\n\
         url = 'http://127.0.0.1:{port}/'\n[control]\nport = {control}\n[telemetry]\ninterval_seconds = 1\n{more}"
    );
    site.write("agent.toml", text).display().to_string()
}

#[test]
fn a_hub_has_each_line_once_and_in_order_whatever_happens() {
    let site = Site::new();
    let mut hub = Some(site.daemon_with("[[source]]\npath = '/nowhere/x.log'\n"));
    let link = Link::new(hub.as_ref().unwrap().address());
    let config = config(&site, link.port(), "");
    let mut agent = Agent::start(&site, &["--config", &config]);
    // About 2,000 lines a second, through a rotation.
    let path = site.path("logs/app.log");
    let (writer, start) = (site.path("logs/app.log"), Instant::now());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopping = std::sync::Arc::clone(&stop);
    let writing = thread::spawn(move || {
        let mut written = 0;
        let mut rotated = false;
        while !stopping.load(std::sync::atomic::Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * 2_000.0) as u64;
            let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&writer).unwrap();
            std::io::Write::write_all(&mut file, &numbered_lines(written..due)).unwrap();
            written = due;
            if !rotated && start.elapsed() > Duration::from_secs(7) {
                rotated = true;
                fs_err::rename(&writer, writer.with_extension("log.1")).unwrap();
            }
            thread::sleep(Duration::from_millis(20));
        }
        written
    });
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<html>hi</html>";
    let busy =
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    for mode in [
        Mode::LosesAnswers,
        Mode::Answers(broken),
        Mode::Answers(busy),
        Mode::Hangs,
        Mode::Answers(html),
        Mode::LosesAnswers,
        Mode::Refuses,
    ] {
        link.set(Mode::Through);
        thread::sleep(Duration::from_millis(2_000));
        link.set(mode);
        thread::sleep(Duration::from_millis(1_300));
    }
    // Both are killed, one after the other.
    link.set(Mode::Through);
    thread::sleep(Duration::from_millis(1_500));
    hub.take().unwrap().kill9().unwrap();
    thread::sleep(Duration::from_millis(700));
    agent.child.kill().unwrap();
    let said = agent.said();
    drop(agent);
    agent = Agent::start(&site, &["--config", &config]);
    thread::sleep(Duration::from_millis(700));
    let hub = site.daemon_with("[[source]]\npath = '/nowhere/x.log'\n");
    link.lead_to(hub.address());
    thread::sleep(Duration::from_millis(1_500));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = writing.join().unwrap();
    let stored = || count(&hub, "SELECT count(*) FROM logs WHERE node = 'web-1'");
    let arrived = wait_until(Duration::from_secs(90), || stored() >= written);
    assert!(arrived, "{} of {written} lines\n{}", stored(), agent.said());
    let source = format!("web-1:{}", path.display());
    let bytes = site.export(&source);
    let want = numbered_lines(0..written);
    assert_eq!(bytes.len(), want.len(), "lost or doubled");
    assert!(bytes == want, "out of order");
    // What stood in the way was said, each once.
    for what in ["answers 500", "answers 429", "answers with a web page", "takes what is sent again"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert!(said.lines().count() < 60, "{said}");
    // Samples too, and the machine is known.
    assert!(count(&hub, "SELECT count(*) FROM telemetry WHERE node_id = 'web-1'") > 5);
    let nodes = hub.get("/api/v1/nodes").unwrap().json().unwrap();
    let node = &nodes["nodes"][0];
    assert_eq!(
        (&node["node"], &node["kind"], &node["is_silent"]),
        (&"web-1".into(), &"agent".into(), &false.into())
    );
    assert!(node["behind_seconds"].as_f64().unwrap().abs() < 5.0, "{nodes}");
    assert_eq!(agent.stop(), 0);
    assert!(hub.stop().unwrap().success());
}

#[test]
fn what_a_full_spool_gives_up_is_a_gap_at_the_hub() {
    let site = Site::new();
    let hub = site.daemon_with("[[source]]\npath = '/nowhere/x.log'\n");
    let link = Link::new(hub.address());
    link.set(Mode::Refuses);
    let config = config(&site, link.port(), "[spool]\nmax_mib = 1\n");
    let agent = Agent::start(&site, &["--config", &config]);
    // Lines that do not pack: some megabytes of them.
    let mut random = crate::program::Random::new(7);
    let mut bytes = Vec::new();
    for number in 0..40_000 {
        let noise: String = (0..12).map(|_| format!("{:016x}", random.next())).collect();
        bytes.extend_from_slice(format!("{number:06} {noise}\n").as_bytes());
    }
    for chunk in bytes.chunks(bytes.len() / 20) {
        site.append("logs/app.log", chunk);
        thread::sleep(Duration::from_millis(100));
    }
    eventually("the spool is full", || agent.said().contains("the spool is full"));
    link.set(Mode::Through);
    let source = format!("web-1:{}", site.path("logs/app.log").display());
    site.append("logs/app.log", "the last line\n");
    eventually("the last line", || {
        count(&hub, "SELECT count(*) FROM logs WHERE body = 'the last line'") == 1
    });
    let stored = hub.sql("SELECT count(*), min(\"offset\") FROM logs WHERE node = 'web-1'").unwrap();
    let first = stored[0][1].as_u64().unwrap();
    assert!(first > 0, "{stored:?}");
    let gaps = hub.sql(&format!(
        "SELECT max(end_offset), min(start_offset), max(reason) FROM gaps WHERE source = '{source}'"
    ));
    let gaps = gaps.unwrap();
    assert_eq!(
        (gaps[0][0].as_u64(), gaps[0][1].as_u64()),
        (Some(first), Some(0)),
        "all that is missing, and no more"
    );
    assert_eq!(gaps[0][2], "overrun");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_server_of_resolvix_gets_what_it_reads() {
    let Some(central) = Central::start("agent::a_server_of_resolvix_gets_what_it_reads") else { return };
    let site = Site::new();
    let log = site.write("logs/syslog", "an old error\n");
    let control = port();
    let (log, url, control_port) = (log.display().to_string(), central.url(), control.to_string());
    let flags = ["--log-file", &log, "--api-url", &url, "-p", &control_port, "-n", "192.0.2.7", "-t", "1"];
    let agent = Agent::start(&site, &flags);
    eventually("its first words", || agent.said().contains("[daemon] Telemetry: enabled"));
    assert!(
        agent
            .said()
            .contains(&format!("[daemon] Control HTTP endpoint listening on 0.0.0.0:{control}/control"))
    );
    eventually("following", || agent.said().contains("following"));
    // The first line waits with a bad server, the rest comes in order.
    let lines = [
        "Nov 22 03:59:58 web-1 app[7]: connection failed",
        "all is well",
        "2024-01-15T10:30:45Z ERROR \"quoted\" \\ é",
        "preferred criteria",
        "kernel panic",
        "[alert] disk",
    ];
    central.answer("hang,500,429,html");
    site.append("logs/syslog", lines.map(|line| format!("{line}\n")).concat());
    let told = ["failure", "error", "critical", "critical"];
    assert!(wait_until(Duration::from_secs(60), || central.logs().len() >= told.len()), "{}", agent.said());
    let logs = central.logs();
    let severities: Vec<&str> = logs.iter().map(|log| log["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, told, "{logs:?}");
    assert_eq!(logs[1]["log_line"], lines[2]);
    assert_eq!(logs[1]["timestamp"], "2024-01-15T10:30:45Z");
    for log in &logs {
        assert_eq!((&log["system_ip"], &log["application"]), (&"192.0.2.7".into(), &"system".into()));
        assert_eq!(log["log_path"], log_path(&site));
        assert_eq!(log.as_object().unwrap().len(), 6, "{log}");
    }
    eventually("samples", || central.samples().len() >= 2);
    // The server has checked every key, type and unit.
    assert_eq!(central.complaints(), [""; 0]);
    let health = crate::control::curl(&[&format!("http://127.0.0.1:{control}/health")]).1;
    assert_eq!(
        health,
        serde_json::json!({"status": "ok", "node_id": "192.0.2.7", "telemetry_enabled": true})
    );
    assert_eq!(agent.stop(), 0);
    // What is appended while nobody follows is told of after the next start.
    site.append("logs/syslog", "a later error\n");
    let agent = Agent::start(&site, &flags);
    eventually("the line of the meantime", || {
        central.logs().iter().any(|log| log["log_line"] == "a later error")
    });
    assert_eq!(central.logs().len(), told.len() + 1, "and nothing twice");
    assert_eq!(agent.stop(), 0);
}

fn log_path(site: &Site) -> Value {
    site.path("logs/syslog").display().to_string().into()
}

#[test]
fn it_starts_and_ends_as_the_original_does() {
    let site = Site::new();
    let run = |arguments: &[&str]| {
        let output =
            Command::new(BINARY).arg("agent").args(arguments).arg("--data").arg(site.path("agent")).output();
        let output = output.unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for (arguments, code, what) in [
        (&["--log-file", "x"][..], 2, "--api-url"),
        (&["--api-url", "http://c", "--log-file", "x", "-p", "many"], 2, "--control-port"),
        (&["--config", "/nowhere/agent.toml"], 2, "/nowhere/agent.toml"),
        (&["-l", "x", "-a", "central.example", "-p", "0"], 1, "http://"),
        (&["--help"], 0, ""),
    ] {
        let (found, err, _) = run(arguments);
        assert!(found == code && err.contains(what), "{arguments:?}: {found} {err}");
    }
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port().to_string();
    let (code, err, _) = run(&["-l", "x", "-a", "http://127.0.0.1:1", "-p", &taken_port]);
    assert!(code == 1 && err.contains(&taken_port), "{code} {err}");

    // Without a server what would be sent is printed.
    let log = site.write("logs/a.log", "");
    let (log, control) = (log.display().to_string(), port().to_string());
    let agent = Agent::start(&site, &["-l", &log, "-a", "", "-p", &control]);
    eventually("its first words", || agent.said().contains("[daemon] Telemetry: disabled"));
    eventually("following", || agent.said().contains("following"));
    site.append("logs/a.log", "well\nan error\n");
    eventually("the payload", || agent.said().contains("\"log_line\":\"an error\""));
    assert!(!agent.said().contains("well\""), "{}", agent.said());
    let pid = agent.child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let mut agent = agent;
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
    assert!(!site.path("agent/spool").exists());
}
