//! A site: one data directory, the files beside it, and the program run over both.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use taffrail_testkit::{Daemon, DaemonBuilder, Scratch, percent_encode, skip, wait_until};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_taffrail");
/// Longest wait for what must come; reached only where it never does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Its output as one JSON object a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
        self.text().lines().map(line).collect()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.text(), self.err);
        self
    }
}

/// A data directory and a folder `logs`, gone when dropped.
pub(crate) struct Site {
    pub(crate) scratch: Scratch,
    /// The folder's path without symbolic links, as sources are named.
    root: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new().unwrap();
        let root = fs_err::canonicalize(scratch.path()).unwrap();
        fs_err::create_dir(root.join("logs")).unwrap();
        Self { scratch, root }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// A file of the site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The name that the file has as a source.
    pub(crate) fn source(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.scratch.write(name, bytes).unwrap();
        self.path(name)
    }

    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.scratch.append(name, bytes).unwrap();
    }

    /// A command over the data directory, with nothing of the environment's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TAFFRAIL_"))
        {
            command.env_remove(name);
        }
        command.arg("--data").arg(self.data()).args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).output())
    }

    /// Runs a command with `input` on its stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(move || stdin.write_all(input));
            let output = child.wait_with_output();
            (writer.join().unwrap(), output)
        });
        finish(written.1)
    }

    /// A daemon that follows `logs/*.log`.
    pub(crate) fn builder(&self) -> DaemonBuilder {
        Daemon::builder(BINARY, self.data()).arg(self.path("logs/*.log"))
    }

    #[track_caller]
    pub(crate) fn daemon(&self) -> Daemon {
        self.builder().start().unwrap()
    }

    /// A daemon with a config, whose text may say `{logs}` for the followed pattern.
    #[track_caller]
    pub(crate) fn daemon_with(&self, config: &str) -> Daemon {
        let config = self.config(config);
        Daemon::builder(BINARY, self.data()).arg("-c").arg(config).start().unwrap()
    }

    pub(crate) fn config(&self, text: &str) -> PathBuf {
        let logs = self.path("logs/*.log").display().to_string();
        self.write("taffrail.toml", text.replace("{logs}", &logs))
    }

    /// The bytes of a stored source.
    #[track_caller]
    pub(crate) fn export(&self, source: &str) -> Vec<u8> {
        self.run(&["export", "raw", "--source", source]).expect(0).out
    }

    /// Bodies of the matching records, oldest first.
    #[track_caller]
    pub(crate) fn bodies(&self, expression: &str) -> Vec<String> {
        let ran = self.run(&["search", "--json", "--oldest-first", "--limit", "100000", "--", expression]);
        assert!(ran.code <= 1, "{expression}: {}", ran.err);
        ran.json().iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Rows of a statement, as objects.
    #[track_caller]
    pub(crate) fn sql(&self, statement: &str) -> Vec<Value> {
        let ran = self.run(&["sql", "--format", "json", statement]);
        assert!(ran.code <= 1, "{statement}: {}", ran.err);
        ran.json()
    }
}

fn finish(output: io::Result<std::process::Output>) -> Ran {
    let output = output.unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("ended by {}: {err}", output.status));
    Ran { code, out: output.stdout, err }
}

/// Waits for what must come.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_until(PATIENCE, condition), "{what} did not happen within {PATIENCE:?}");
}

/// Bodies that the daemon's native search finds, newest first.
#[track_caller]
pub(crate) fn found(daemon: &Daemon, expression: &str) -> Vec<String> {
    let answer = daemon.get(&format!("/api/v1/search?limit=1000&q={}", percent_encode(expression))).unwrap();
    assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
    let records = answer.json().unwrap();
    let bodies = records["records"].as_array().unwrap().iter();
    bodies.map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

/// One number of the daemon's SQL.
#[track_caller]
pub(crate) fn count(daemon: &Daemon, statement: &str) -> u64 {
    daemon.sql(statement).unwrap()[0][0].as_u64().unwrap()
}

/// What the daemon says of a followed path.
pub(crate) fn source(daemon: &Daemon, path: &Path) -> Option<Value> {
    let answer = daemon.get("/api/v1/sources").unwrap().json().unwrap();
    let name = path.display().to_string();
    answer["sources"].as_array()?.iter().find(|source| source["source"] == name.as_str()).cloned()
}

/// The daemon lives and answers.
#[track_caller]
pub(crate) fn assert_alive(daemon: &Daemon, after: &str) {
    let answer = daemon.get("/api/v1/health").unwrap_or_else(|err| panic!("after {after}: {err}"));
    assert_eq!(answer.status, 200, "after {after}: {}", answer.text());
}

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + (self.next() >> 16) % (most - least + 1)
    }
}

/// The Python that `make test` sets up with the libraries of tests; without it the test is skipped, and says so.
pub(crate) fn python_or_skip(test: &str) -> Option<std::ffi::OsString> {
    let python = std::env::var_os("TEST_PYTHON");
    if python.is_none() {
        skip(test, "TEST_PYTHON names no python with what it needs (`make test` sets it)");
    }
    python
}
