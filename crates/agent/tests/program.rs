//! The program, as the original is started: by its environment and its flags.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use taffrail_testkit::Program;

const DEADLINE: Duration = Duration::from_secs(30);
const VARIABLES: [&str; 4] = ["CONTROL_PORT", "LIVE_WS_PORT", "TELEMETRY_WS_PORT", "TELEMETRY_INTERVAL"];

/// The program, killed when dropped.
struct Agent(Program);

impl Agent {
    fn start(variables: &[(&str, String)], flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taffrail-agent"));
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.envs(variables.iter().cloned()).args(["-a", "", "--control-address", "127.0.0.1"]);
        let command = command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Program::start(command).unwrap())
    }

    /// Its exit code, once it has ended.
    fn code(&mut self) -> Option<i32> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("it does not end");
    }
}

/// One that nobody listens on.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What it says of itself, once it listens.
fn status(port: u16) -> Value {
    let end = Instant::now() + DEADLINE;
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::yield_now();
    };
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn the_environment_is_that_of_the_original_and_flags_go_before_it() {
    let told = |control: u16, flags: &[&str], in_environment: u16| {
        let values = [in_environment, 9_001, 9_002, 7].map(|number| number.to_string());
        let variables: Vec<_> = VARIABLES.into_iter().zip(values).collect();
        let _agent = Agent::start(&variables, &[&["-l", "/nowhere/a.log"], flags].concat());
        let status = status(control);
        let telemetry = &status["telemetry"];
        [&status["livelogs"]["ws_port"], &telemetry["ws_port"], &telemetry["interval"]].map(Value::as_u64)
    };
    let control = port();
    assert_eq!(told(control, &[], control), [Some(9_001), Some(9_002), Some(7)]);
    let (other, control) = (port(), port().to_string());
    let flags = ["-p", &control, "--ws-port", "9003", "--telemetry-ws-port", "9004", "-t", "8"];
    assert_eq!(told(control.parse().unwrap(), &flags, other), [Some(9_003), Some(9_004), Some(8)]);
}

#[test]
fn a_variable_that_is_no_number_ends_it_as_the_original() {
    for name in VARIABLES {
        let mut agent = Agent::start(&[(name, "many".to_owned())], &["-l", "/nowhere/a.log"]);
        assert_eq!(agent.code(), Some(1), "{name}");
        let mut said = String::new();
        agent.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn it_ends_quietly_once_nobody_reads_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.log"), folder.path().join("agent.toml"));
    fs_err::write(&log, "an error\n").unwrap();
    let source = format!("[[source]]\npath = '{}'\nfrom_beginning = true\n", log.display());
    fs_err::write(&config, source).unwrap();
    let mut agent = Agent::start(&[], &["-p", &port().to_string(), "-c", config.to_str().unwrap()]);
    let mut lines = BufReader::new(agent.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("an error")));
    drop(lines);
    let mut file = fs_err::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"another error\n").unwrap();
    assert_eq!(agent.code(), Some(0));
    let mut said = String::new();
    agent.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked") && !said.contains("ERROR"), "{said}");
}
