//! Started as LogWisp is: under its name, with its flags, its config, its words and exit codes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taffrail_testkit::{Program, skip};

use crate::program::{BINARY, Site};
use crate::streams::{events_after, port};

/// The program under the name `logwisp`.
fn logwisp(site: &Site, arguments: &[&str]) -> Command {
    let name = site.path("logwisp");
    if !name.exists() {
        std::os::unix::fs::symlink(BINARY, &name).unwrap();
    }
    let mut command = Command::new(name);
    command.args(arguments).current_dir(site.path("")).env_clear().env("TAFFRAIL_DATA", site.data());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, and what was said on both ways.
fn ends(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What it says up to the line that begins so.
fn says_until(program: &mut Program, end: &str) -> Vec<String> {
    let mut said = Vec::new();
    for line in BufReader::new(program.stdout.as_mut().unwrap()).lines() {
        said.push(line.unwrap());
        if said.last().unwrap().contains(end) {
            return said;
        }
    }
    let mut why = String::new();
    program.stderr.as_mut().unwrap().read_to_string(&mut why).unwrap();
    panic!("{said:?} {why}");
}

fn interrupt(mut program: Program) -> i32 {
    let sent = Command::new("kill").args(["-TERM", &program.id().to_string()]).status();
    assert!(sent.unwrap().success());
    program.wait().unwrap().code().unwrap()
}

fn stream(name: &str, http: u16, more: &str) -> String {
    format!(
        "[[streams]]\nname = \"{name}\"\nmonitor = {{ targets = [{{ path = \"./logs\", pattern = \"*.log\" }}] }}\n\
         [streams.httpserver]\nenabled = true\nport = {http}\nbuffer_size = 100\n{more}\n"
    )
}

#[test]
fn it_streams_says_what_the_original_says_and_ends_with_zero() {
    let site = Site::new();
    let (http, tcp, taken) = (port(), port(), port());
    let holder = TcpListener::bind(("0.0.0.0", taken)).unwrap();
    // Tables of programs that are not ours are passed over, as there.
    let config = "[logging]\nlevel = 3\n".to_owned()
        + &stream(
            "app",
            http,
            &format!("[streams.tcpserver]\nenabled = true\nport = {tcp}\nbuffer_size = 10"),
        )
        + &stream("other", taken, "");
    site.write("etc/own.toml", config);
    let mut command = logwisp(&site, &["--config", "own.toml"]);
    command.env("LOGWISP_CONFIG_DIR", site.path("etc"));
    let mut program = Program::start(&mut command).unwrap();
    let said = says_until(&mut program, "Press Ctrl+C");
    let http_line =
        format!("  HTTP: http://localhost:{http}/stream (stream), http://localhost:{http}/status (status)");
    let tcp_line = format!("  TCP: port {tcp}");
    assert_eq!(
        said[..4],
        ["Initializing stream 'app'...", tcp_line.as_str(), &http_line, "Initializing stream 'other'..."]
    );
    assert!(said[4].starts_with("Failed to create stream 'other': "), "{said:?}");
    assert_eq!(said[5..], ["", "1 stream(s) running. Press Ctrl+C to stop."]);
    let mut events = events_after(http, "");
    // What stands in a file before it is found is not shown: one of these comes after that.
    let is_seen = AtomicBool::new(false);
    let (id, message) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_seen.load(Ordering::Relaxed) {
                site.append("logs/a.log", "one\n");
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let event = events.next();
        is_seen.store(true, Ordering::Relaxed);
        event.unwrap()
    });
    assert_eq!(message, "one");
    assert_eq!(interrupt(program), 0);
    // The one that comes next knows what was streamed.
    drop(holder);
    let mut command = logwisp(&site, &["-router"]);
    command.env("LOGWISP_CONFIG_FILE", site.path("etc/own.toml"));
    let mut program = Program::start(&mut command).unwrap();
    let said = says_until(&mut program, "Press Ctrl+C");
    assert!(said.contains(&"  HTTP: /other/stream (stream), /other/status (status)".to_owned()), "{said:?}");
    site.append("logs/a.log", "two\n");
    let mut later =
        events_after(http, &id).map(|(_, message)| message).skip_while(|message| message == "one");
    assert_eq!(later.next().unwrap(), "two");
    assert_eq!(interrupt(program), 0);
}

#[test]
fn without_a_config_it_streams_the_logs_of_its_folder() {
    let site = Site::new();
    let http = port();
    let mut command = logwisp(&site, &[]);
    command.env("LOGWISP_STREAMS_0_HTTPSERVER_PORT", http.to_string());
    let mut program = Program::start(&mut command).unwrap();
    let said = says_until(&mut program, "Press Ctrl+C");
    assert_eq!(said[0], "Initializing stream 'default'...");
    let mut events = events_after(http, "");
    let is_seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_seen.load(Ordering::Relaxed) {
                site.append("here.log", "one\n");
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let event = events.next();
        is_seen.store(true, Ordering::Relaxed);
        assert_eq!(event.unwrap().1, "one");
    });
    assert_eq!(interrupt(program), 0);
}

#[test]
fn what_is_wrong_is_said_in_its_words() {
    let site = Site::new();
    let (code, _, err) = ends(logwisp(&site, &["-verbose"]));
    assert_eq!(code, 2);
    assert!(err.starts_with("flag provided but not defined: -verbose\nUsage of logwisp:"), "{err}");
    assert_eq!(ends(logwisp(&site, &["-h"])).0, 0);
    assert_eq!(ends(logwisp(&site, &["--version"])).0, 0);
    let (code, _, err) = ends(logwisp(&site, &["--config", "missing.toml"]));
    assert_eq!(code, 1);
    assert!(err.starts_with("Failed to load config: ") && err.contains("missing.toml"), "{err}");
    // All that is wrong, at once.
    let wrong =
        "[monitor]\ncheck_interval_ms = 5\n".to_owned() + &stream("app", 0, "stream_path = \"stream\"");
    site.write("wrong.toml", wrong);
    let (code, _, err) = ends(logwisp(&site, &["--config", "wrong.toml"]));
    assert_eq!(code, 1);
    for part in ["check interval too small: 5 ms", "invalid HTTP port: 0", "stream path must start with /"] {
        assert!(
            err.lines().any(|line| line.starts_with("Failed to load config: ") && line.contains(part)),
            "{err}"
        );
    }
    site.write("empty.toml", "");
    let (code, _, err) = ends(logwisp(&site, &["--config", "empty.toml"]));
    assert_eq!((code, err.contains("no streams configured")), (1, true), "{err}");
    let http = port();
    let _holder = TcpListener::bind(("0.0.0.0", http)).unwrap();
    site.write("taken.toml", stream("app", http, ""));
    let result = ends(logwisp(&site, &["--config", "taken.toml"]));
    assert_eq!(result.0, 1, "{result:?}");
    assert!(result.2.contains("No streams successfully started"), "{result:?}");
}

#[test]
fn the_console_tells_every_half_minute_how_the_streams_stand() {
    let site = Site::new();
    let http = port();
    site.write("logs/a.log", "");
    site.write("own.toml", stream("app", http, ""));
    let mut program = Program::start(&mut logwisp(&site, &["--config", "own.toml"])).unwrap();
    says_until(&mut program, "Press Ctrl+C");
    let _events = events_after(http, "");
    let said = says_until(&mut program, "http_conns=");
    let head = said[said.len() - 2].strip_prefix('[').unwrap();
    let (time, rest) = head.split_once("] ").unwrap();
    assert_eq!(rest, "Active streams: 1");
    let parts: Vec<&str> = time.split(':').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok()), "{head}");
    assert_eq!(said.last().unwrap(), "  app: watchers=1 entries=0 tcp_conns=0 http_conns=1");
    assert_eq!(interrupt(program), 0);
}

/// The configs of LogWisp's own page, where it lies beside the checkout.
#[test]
fn the_samples_of_its_page_load_unchanged() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    let pages = fs_err::read_dir(pages).into_iter().flatten();
    let text = pages.filter_map(|page| fs_err::read_to_string(page.unwrap().path()).ok());
    let Some(page) = text.into_iter().find(|text| text.contains("[[streams]]")) else {
        skip("the_samples_of_its_page_load_unchanged", "LogWisp's page is not in ../shared/seeds");
        return;
    };
    let block = |start: &str| {
        let start = page.find(start).expect(start);
        let text = &page[start..];
        &text[..text.find("```").unwrap()]
    };
    let sample = block("# Global defaults\n[monitor]");
    let heartbeat = block("[streams.httpserver.heartbeat]");
    for (text, beats) in [(sample.to_owned(), false), (format!("{sample}\n{heartbeat}"), true)] {
        let site = Site::new();
        site.write("page.toml", text);
        let ports: [u16; 3] = std::array::from_fn(|_| port());
        let mut command = logwisp(&site, &["--config", "page.toml"]);
        let variables = ["0_HTTPSERVER_PORT", "1_TCPSERVER_PORT", "1_HTTPSERVER_PORT"];
        command.envs(
            variables
                .map(|name| format!("LOGWISP_STREAMS_{name}"))
                .into_iter()
                .zip(ports.map(|port| port.to_string())),
        );
        let mut program = Program::start(&mut command).unwrap();
        let said = says_until(&mut program, "Press Ctrl+C");
        let [app, tcp, system] = ports;
        assert_eq!(
            said,
            [
                "Initializing stream 'app'...".to_owned(),
                format!(
                    "  HTTP: http://localhost:{app}/stream (stream), http://localhost:{app}/status (status)"
                ),
                "Initializing stream 'system'...".to_owned(),
                format!("  TCP: port {tcp}"),
                format!(
                    "  HTTP: http://localhost:{system}/logs (stream), http://localhost:{system}/health (status)"
                ),
                String::new(),
                "2 stream(s) running. Press Ctrl+C to stop.".to_owned(),
            ]
        );
        let mut stream = TcpStream::connect(("127.0.0.1", system)).unwrap();
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status: serde_json::Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(status["server"]["buffer_size"], 1000, "the page leaves it out");
        let interval = if beats { 30 } else { 0 };
        assert_eq!(status["features"]["heartbeat"]["interval"], interval);
        assert_eq!(interrupt(program), 0);
    }
}
