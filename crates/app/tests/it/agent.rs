//! The agent: what it follows arrives at a hub once and in order, whatever happens between them; and at a server of Resolvix as
//! that reads it.

mod central;
mod clients;
mod faults;
mod link;
mod lossy;
mod nodes;
mod targets;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use taffrail_testkit::{Program, numbered_lines, skip, wait_until};

use self::central::Central;
use self::link::{Link, Mode};
use self::lossy::Lossy;
use crate::program::{BINARY, Site, count, eventually, python_or_skip};
use crate::streams::port;

/// An agent, killed when dropped.
struct Agent {
    program: Program,
    out: PathBuf,
}

impl Agent {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        Self::start_as(site, Command::new(BINARY), "agent", arguments)
    }

    /// By a command that runs the program; `data` is its folder.
    fn start_as(site: &Site, mut command: Command, data: &str, arguments: &[&str]) -> Self {
        let out = site.path(&format!("{data}.out"));
        let file = || fs_err::OpenOptions::new().create(true).append(true).open(&out).unwrap().into_parts().0;
        command.arg("agent").args(arguments).arg("--data").arg(site.path(data));
        for name in ["CONTROL_PORT", "LIVE_WS_PORT", "TELEMETRY_WS_PORT", "TELEMETRY_INTERVAL"] {
            command.env_remove(name);
        }
        let command = command.stdin(Stdio::null()).stdout(file()).stderr(file());
        Self { program: Program::start(command).unwrap(), out }
    }

    fn said(&self) -> String {
        fs_err::read_to_string(&self.out).unwrap()
    }

    /// Ends it as a service manager does; its exit code.
    fn stop(mut self) -> i32 {
        let pid = self.program.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.program.wait().unwrap().code().unwrap()
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
    let health = || crate::control::curl(&[&format!("http://127.0.0.1:{control}/health")]);
    let (code, answer) = health();
    assert_eq!((code, &answer["status"], &answer["node_id"]), (200, &"ok".into(), &"192.0.2.7".into()));
    assert_eq!((&answer["telemetry_enabled"], &answer["targets"][0]["lines"]), (&true.into(), &4.into()));
    // It is no lie while the server is away.
    central.answer("html,html,html,html,html,html");
    eventually("the truth", || health().0 == 503);
    let answer = health().1;
    assert!(answer["status"] == "degraded" && answer["targets"][0]["failing"].as_str().is_some(), "{answer}");
    central.answer("none");
    assert!(wait_until(Duration::from_secs(60), || health().0 == 200), "{}", agent.said());
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
    let (_, status) = crate::control::curl(&[&format!("http://127.0.0.1:{control}/status")]);
    assert_eq!(status["log_file"], log.as_str());
    site.append("logs/a.log", "well\nan error\n");
    eventually("the payload", || agent.said().contains("\"log_line\":\"an error\""));
    assert!(!agent.said().contains("well\""), "{}", agent.said());
    let pid = agent.program.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let mut agent = agent;
    assert_eq!(agent.program.wait().unwrap().code(), Some(0));
    assert!(!site.path("agent/spool").exists());
}

#[test]
fn it_is_installed_as_a_service_and_says_what_the_machine_is() {
    const TEST: &str = "agent::it_is_installed_as_a_service_and_says_what_the_machine_is";
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(BINARY, &["agent", "--system-info"]);
    let info: Value = serde_json::from_str(&text).unwrap();
    let kernel = |flag: &str| Value::from(run("uname", &[flag]).trim());
    assert_eq!((&info["OS"], &info["OS_Release"]), (&kernel("-s"), &kernel("-r")));
    assert_eq!((&info["OS_Version"], &info["Hostname"]), (&kernel("-v"), &kernel("-n")));
    assert_eq!(info["Machine_Architecture"], kernel("-m"));
    let processors: u64 = run("nproc", &["--all"]).trim().parse().unwrap();
    assert_eq!(info["CPU_logical_Core"], processors);
    for key in ["Total_RAM_GB", "Total_Disk_GB", "Disk_Used_GB", "Disk_Free_GB", "Disk_Usage_Percentage"] {
        assert!(info[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {text}");
    }
    for key in ["MAC_address", "IP_address", "CPU_Physical_Core"] {
        assert!(info.get(key).is_some(), "{key}: {text}");
    }
    // The original's name of the unit.
    let site = Site::new();
    let flags = ["agent", "--print-unit", "-l", "/var/log/a b.log", "-a", "http://central.example:5000"];
    let unit = site.write("resolvix.service", run(BINARY, &flags)).display().to_string();
    match Command::new("systemd-analyze").args(["verify", &unit]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("resolvix.service"), "{said}");
        }
        Err(error) => skip(TEST, &format!("systemd-analyze: {error}: the unit is not verified")),
    }
}

/// A certificate for `name`, signed by one of our own; gives the folder's files by their names.
fn certificates(site: &Site, name: &str) {
    let folder = site.path("tls");
    fs_err::create_dir_all(&folder).unwrap();
    let script = format!(
        "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem
        for who in server client; do
          openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
          printf 'subjectAltName=DNS:{name}' > $who.ext
          openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
        done"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(folder).stderr(Stdio::null()).status();
    assert!(made.unwrap().success());
}

/// Takes posts over TLS from whoever has a certificate of ours.
const TLS_SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, code):
        self.send_response(code); self.send_header("Content-Length", "0"); self.end_headers()
    def do_GET(self):
        self.answer(404)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer secret":
            return self.answer(401)
        if self.path == "/logs":
            print(body.decode(), flush=True)
        self.answer(200)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("tls/server.pem", "tls/server.key")
context.load_verify_locations("tls/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn a_server_with_tls_is_checked_and_lets_in_who_has_a_certificate() {
    let Some(python) = python_or_skip("agent::a_server_with_tls_is_checked") else { return };
    for (name, is_right) in [("localhost", true), ("other.example", false)] {
        let site = Site::new();
        certificates(&site, name);
        let at = port();
        let out = site.path("server.out");
        let mut command = Command::new(&python);
        command.args(["-c", TLS_SERVER, &at.to_string()]).current_dir(site.path("."));
        command.stdout(fs_err::File::create(&out).unwrap().into_parts().0).stderr(Stdio::null());
        let _server = Agent { program: Program::start(&mut command).unwrap(), out: out.clone() };
        eventually("the server", || std::net::TcpStream::connect(("127.0.0.1", at)).is_ok());
        let (logs, tls) = (site.path("logs").display().to_string(), site.path("tls").display().to_string());
        let control = port();
        let with = |more: &str| {
            let text = format!(
                "node = 'web-1'\n[[source]]\npath = '{logs}/*.log'\nfrom_beginning = true\n[control]\nport = {control}\n\
                 [telemetry]\nenabled = false\n[[forward]]\nurl = 'https://localhost:{at}'\nprotocol = 'resolvix'\n{more}"
            );
            site.write("agent.toml", text).display().to_string()
        };
        site.append("logs/a.log", "an error\n");
        let ours = format!(
            "ca_file = '{tls}/ca.pem'\nclient_cert = '{tls}/client.pem'\nclient_key = '{tls}/client.key'\n"
        );
        if !is_right {
            let agent = Agent::start(&site, &["--config", &with(&ours)]);
            eventually("the name", || agent.said().contains("not valid for name"));
            continue;
        }
        for (more, what) in [
            (String::new(), "UnknownIssuer"),
            (format!("ca_file = '{tls}/ca.pem'\n"), "want a certificate of ours"),
            (ours.clone(), "answers 401; check what lets us in"),
        ] {
            let agent = Agent::start(&site, &["--config", &with(&more)]);
            assert!(
                wait_until(crate::program::PATIENCE, || agent.said().contains(what)),
                "{what}: {}",
                agent.said()
            );
        }
        let agent =
            Agent::start(&site, &["--config", &with(&format!("{ours}authorization = 'Bearer secret'\n"))]);
        let taken = || fs_err::read_to_string(&out).unwrap();
        eventually("the line", || taken().contains("an error"));
        assert_eq!(agent.stop(), 0);
    }
    // Keys that are none are said before anything is sent.
    let site = Site::new();
    let key = site.write("key.pem", "no key").display().to_string();
    let text = format!(
        "[[source]]\npath = 'x'\n[control]\nport = {}\n[[forward]]\nurl = 'https://localhost:1'\nca_file = '{key}'\n",
        port()
    );
    let config = site.write("agent.toml", text).display().to_string();
    let mut agent = Agent::start(&site, &["--config", &config]);
    assert_eq!(agent.program.wait().unwrap().code(), Some(1));
    assert!(agent.said().contains("there is no certificate in it"), "{}", agent.said());
}

#[test]
fn two_machines_behind_links_that_lose_a_fifth_of_all_packets() {
    const TEST: &str = "agent::two_machines_behind_links_that_lose_a_fifth_of_all_packets";
    const LINES: u64 = 4_000;
    const PARTS: u64 = 50;
    let Some(first) = Lossy::new(0, TEST) else { return };
    let Some(second) = Lossy::new(1, TEST) else { return };
    let site = Site::new();
    let names = format!("allowed_hosts = ['{}', '{}']\n", first.here, second.here);
    let hub = site.daemon_with(&(names + "[[source]]\npath = '/nowhere/x.log'\n"));
    let mut agents = Vec::new();
    let links: Vec<Link> = [&first, &second].map(|lossy| Link::at(&lossy.here, hub.address())).into();
    for (at, (lossy, link)) in [&first, &second].into_iter().zip(&links).enumerate() {
        let log = site.path(&format!("logs/{at}.log")).display().to_string();
        let text = format!(
            "node = 'web-{at}'\n[[source]]\npath = '{log}'\nfrom_beginning = true\n[telemetry]\ninterval_seconds = 1\n\
             [[forward]]\nurl = 'http://{}:{}'\n",
            lossy.here,
            link.port()
        );
        let config = site.write(&format!("agent{at}.toml"), text).display().to_string();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &lossy.name, BINARY]);
        agents.push(Agent::start_as(&site, command, &format!("agent{at}"), &["--config", &config]));
    }
    // In many parts, so that there are packets enough to be lost.
    for number in 0..PARTS {
        for at in 0..2 {
            let lines = numbered_lines(number * LINES / PARTS..(number + 1) * LINES / PARTS);
            site.append(&format!("logs/{at}.log"), lines);
        }
        thread::sleep(Duration::from_millis(50));
    }
    let stored = || count(&hub, "SELECT count(*) FROM logs WHERE node LIKE 'web-%'");
    let arrived = wait_until(Duration::from_secs(120), || stored() >= 2 * LINES);
    assert!(arrived, "{} of {}\n{}\n{}", stored(), 2 * LINES, agents[0].said(), agents[1].said());
    assert!(
        first.lost() >= 5 && second.lost() >= 5,
        "{} and {} packets were lost",
        first.lost(),
        second.lost()
    );
    for at in 0..2 {
        let source = format!("web-{at}:{}", site.path(&format!("logs/{at}.log")).display());
        assert!(site.export(&source) == numbered_lines(0..LINES), "{source}");
    }
}
