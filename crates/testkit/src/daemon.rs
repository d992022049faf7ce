//! The real program as a test sees it: started, asked over HTTP, stopped or killed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{Client, Program, Response, Scratch, wait_until};

/// How long a daemon may take until it answers, and until it has ended.
const DEADLINE: Duration = Duration::from_secs(60);

/// Says which program to start and how; see [`Daemon::builder`].
#[derive(Clone, Debug)]
pub struct DaemonBuilder {
    binary: PathBuf,
    data: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdin: bool,
}

impl DaemonBuilder {
    /// Adds an argument after `run --data DIR --listen 127.0.0.1:0`.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable of the daemon.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Gives the daemon a pipe as standard input, see [`Daemon::take_stdin`]; else it has none.
    #[must_use]
    pub fn stdin(mut self) -> Self {
        self.stdin = true;
        self
    }

    /// Starts the daemon in this folder; else in an empty one, so that it finds no `./logs` by chance.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not answer within a minute; the message holds what it wrote to
    /// its standard error.
    pub fn start(self) -> io::Result<Daemon> {
        let output = Scratch::new()?;
        let mut command = Command::new(&self.binary);
        command.arg("run").arg("--data").arg(&self.data).args(["--listen", "127.0.0.1:0"]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.as_deref().unwrap_or(output.path()));
        command.stdin(if self.stdin { Stdio::piped() } else { Stdio::null() });
        command.stdout(fs::File::create(output.join("stdout"))?.into_parts().0);
        command.stderr(fs::File::create(output.join("stderr"))?.into_parts().0);
        let program = Program::start(&mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Daemon { program, address, data: self.data, output };
        daemon.wait_for_answer()?;
        Ok(daemon)
    }
}

/// Whether a variable configures the daemon: those of whoever runs the tests must not.
fn is_ours(variable: &OsStr) -> bool {
    variable.as_encoded_bytes().starts_with(b"TAFFRAIL_")
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    program: Program,
    address: SocketAddr,
    data: PathBuf,
    output: Scratch,
}

impl Daemon {
    /// Prepares a daemon of `binary` (in the tests of `app`: `env!("CARGO_BIN_EXE_taffrail")`) on `data`.
    pub fn builder(binary: impl Into<PathBuf>, data: impl Into<PathBuf>) -> DaemonBuilder {
        DaemonBuilder {
            binary: binary.into(),
            data: data.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            stdin: false,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The other end of its standard input; it ends when that is dropped.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.program.stdin.take()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    /// What it wrote to its standard output so far.
    pub fn stdout(&self) -> String {
        self.written("stdout")
    }

    /// What it wrote to its standard error so far.
    pub fn stderr(&self) -> String {
        self.written("stderr")
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Fetches `target` (percent-encoded) on a fresh connection.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, target: &str) -> io::Result<Response> {
        self.client().get(target)
    }

    /// Posts `body` on a fresh connection.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, target: &str, content_type: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
        self.client().post(target, content_type, body.as_ref())
    }

    /// Asks SQL and returns the rows.
    ///
    /// # Errors
    /// If there is no answer, or it is an error: the message is the daemon's.
    pub fn sql(&self, query: &str) -> io::Result<Vec<Vec<Value>>> {
        let body = json!({ "query": query }).to_string();
        let response = self.post("/api/v1/sql", "application/json", body)?;
        let answer = response.json()?;
        let rows = answer["rows"].as_array().filter(|_| response.status == 200).ok_or_else(|| {
            io::Error::other(format!(
                "sql answered {}: {} (query: {query})",
                response.status,
                response.text()
            ))
        })?;
        Ok(rows.iter().map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row.clone()])).collect())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.program.try_wait(), Ok(None))
    }

    /// `kill -9`: it gets no chance to write anything more. Returns when it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill9(mut self) -> io::Result<ExitStatus> {
        self.program.kill()?;
        self.program.wait()
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn terminate(&self) -> io::Result<()> {
        let pid = i32::try_from(self.program.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child's id is a positive i32"), Signal::TERM).map_err(io::Error::from)
    }

    /// Sends SIGTERM and waits until it has ended.
    ///
    /// # Errors
    /// If it has not ended within a minute; it is killed then.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        self.terminate()?;
        let mut ended = None;
        let in_time = wait_until(DEADLINE, || {
            ended = self.program.try_wait().transpose();
            ended.is_some()
        });
        match ended {
            Some(result) if in_time => result,
            _ => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("daemon {} did not end on SIGTERM; stderr: {}", self.pid(), self.stderr()),
            )),
        }
    }

    fn wait_for_answer(&mut self) -> io::Result<()> {
        let mut ended = None;
        let answers = wait_until(DEADLINE, || {
            ended = self.program.try_wait().ok().flatten();
            ended.is_some() || self.answers()
        });
        match ended {
            Some(status) => Err(io::Error::other(format!(
                "daemon ended with {status} before it answered; stderr: {}",
                self.stderr()
            ))),
            None if answers => Ok(()),
            None => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("daemon did not answer within {DEADLINE:?}; stderr: {}", self.stderr()),
            )),
        }
    }

    /// Reads the address that the daemon announces, and tries it. A file that an earlier daemon left behind
    /// holds another process id.
    fn answers(&mut self) -> bool {
        let announced = fs::read(self.data.join("daemon.json")).ok();
        let announced: Value =
            announced.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        if announced["pid"].as_u64() != Some(u64::from(self.program.id())) {
            return false;
        }
        let Some(address) = announced["address"].as_str().and_then(|text| text.parse().ok()) else {
            return false;
        };
        self.address = address;
        self.get("/api/v1/health").is_ok_and(|response| matches!(response.status, 200 | 503))
    }

    fn written(&self, stream: &str) -> String {
        self.output.read(stream).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}
