//! Talks to the running daemon of a data directory over its HTTP API.

mod events;

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use fs_err as fs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use taffrail_serve::api::{ErrorAnswer, HealthAnswer};
use ureq::{Agent, Body, http::Response};

pub(crate) use events::Event;

/// The file in the data directory that says where the daemon answers.
pub(crate) const DAEMON_FILE: &str = "daemon.json";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the daemon may take to say that it lives.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream may be silent; the daemon sends a sign of life every 15 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);
/// Bytes of an answer that are read at most; streams have no limit.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// A daemon that answers.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    daemon_file: PathBuf,
    pid: u32,
}

/// What `daemon.json` says.
#[derive(Deserialize, Debug)]
struct Daemon {
    pid: u32,
    address: SocketAddr,
}

/// An answer of the daemon that says no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// What kind: `syntax`, `invalid`, `not_found`, ...
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Byte position in the expression, where it is about one.
    pub position: Option<usize>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl Client {
    /// The daemon of `data_dir`; `None` if none runs there. `Err` if one is said to run but does not answer.
    pub(crate) fn find(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(DAEMON_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("look for the running daemon"),
        };
        // A daemon that was killed leaves its file; whatever stands in it, nobody answers.
        let Ok(daemon) = serde_json::from_str::<Daemon>(&text) else { return Ok(None) };
        if !Path::new("/proc").join(daemon.pid.to_string()).exists() {
            return Ok(None);
        }
        let client = Self { daemon_file: path, pid: daemon.pid, ..Self::at(daemon.address) };
        match client.ask_health().map(drop) {
            Ok(()) => Ok(Some(client)),
            Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(error).with_context(|| {
                format!("the daemon (pid {}) does not answer at {}; restart it", daemon.pid, daemon.address)
            }),
        }
    }

    /// The daemon at this address.
    pub(crate) fn at(mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() {
                IpAddr::from([127, 0, 0, 1])
            } else {
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
            };
            address.set_ip(loopback);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .build();
        Self { agent: config.into(), base: format!("http://{address}"), daemon_file: PathBuf::new(), pid: 0 }
    }

    /// Where it answers: `http://127.0.0.1:8062`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The process that answers; 0 where only its address is known.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the daemon is. Also a daemon that is not well answers.
    pub(crate) fn health(&self) -> anyhow::Result<HealthAnswer> {
        let response = self.ask_health().with_context(|| format!("ask the daemon at {}", self.base))?;
        let status = response.status().as_u16();
        let text = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
        serde_json::from_str(&text).map_err(|_| refusal(status, &text).into())
    }

    fn ask_health(&self) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.get(format!("{}/api/v1/health", self.base));
        request.config().timeout_global(Some(HEALTH_TIMEOUT)).build().call()
    }

    /// Asks for JSON.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let response = self.call(path, parameters)?;
        let reader = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
        let answer = serde_json::from_reader(std::io::BufReader::new(reader));
        answer.with_context(|| format!("read the answer of {}{path}", self.base))
    }

    /// Sends JSON, asks for JSON.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        let request = parameters.iter().fold(request, |request, (name, value)| request.query(*name, *value));
        let response =
            request.send(body.to_string()).with_context(|| format!("ask the daemon at {}", self.base))?;
        let reader = accepted(response)?.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
        let answer = serde_json::from_reader(std::io::BufReader::new(reader));
        answer.with_context(|| format!("read the answer of {}{path}", self.base))
    }

    /// Asks for bytes of any number.
    pub(crate) fn stream(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<impl Read + use<>> {
        let response = self.call(path, parameters)?;
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    fn call(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Response<Body>> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in parameters {
            request = request.query(*name, *value);
        }
        let request = request.config().timeout_per_read(Some(SILENCE_TIMEOUT)).build();
        accepted(request.call().with_context(|| format!("ask the daemon at {}", self.base))?)
    }
}

/// Turns an answer that says no into its reason.
fn accepted(response: Response<Body>) -> anyhow::Result<Response<Body>> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.into_body().into_with_config().limit(1 << 20).lossy_utf8(true).read_to_string();
    Err(refusal(status.as_u16(), &text.unwrap_or_default()).into())
}

fn refusal(status: u16, text: &str) -> Refusal {
    match serde_json::from_str::<ErrorAnswer>(text) {
        Ok(ErrorAnswer { error }) => {
            Refusal { code: error.code, message: error.message, position: error.position }
        }
        Err(_) => {
            let first = text.lines().next().unwrap_or_default();
            let first: String = first.chars().take(200).collect();
            Refusal {
                code: String::new(),
                message: format!("the daemon answers {status}: {first}"),
                position: None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
