//! One central server over HTTP: what is asked of it, and what its answers mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Timeout, http::Response};

/// How long a name may be looked up, and a connection be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a body may be on its way: the largest needs 35 kbit/s.
const SEND_TIMEOUT: Duration = Duration::from_secs(180);
/// How long an answer may take, once all is sent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that rests is used again.
const IDLE_AGE: Duration = Duration::from_secs(4);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES: u64 = 64 << 10;
/// Longest that a server may make us wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Letters of an answer that are told.
const SAID: usize = 80;
/// Where systems keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How a server lets us in, and how we know it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// Certificates that are trusted; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why a target cannot be used at all.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// Why something was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// In words.
    pub(crate) why: String,
    pub(crate) cause: Cause,
    /// The server says when to come again.
    pub(crate) after: Option<Duration>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// There was no answer: the connection was cut, or never made.
    Cut,
    /// It was not sent, or not answered, in time.
    Slow,
    /// It answers, but with something else.
    Nonsense,
    /// It answers with this code.
    Code(u16),
}

impl Failure {
    /// Whether this will never be taken, however often it is offered.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.cause, Cause::Code(400 | 406 | 409 | 410 | 413..=418 | 422 | 431))
    }

    /// Whether less of it might be taken.
    pub(crate) fn is_too_large(&self) -> bool {
        self.cause == Cause::Code(413)
    }

    /// Whether it did not arrive whole, as far as is known: less of it may.
    pub(crate) fn is_too_slow(&self) -> bool {
        matches!(self.cause, Cause::Cut | Cause::Slow | Cause::Code(408))
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Peer {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    /// It speaks TLS, and we have no certificate.
    shows_nothing: bool,
}

impl Peer {
    /// The server at `url`, which ends without a slash.
    pub(crate) fn new(url: &str, access: &Access) -> Result<Self, Unusable> {
        let wrong = |what: String| Unusable(format!("{url:?}: {what}"));
        let parsed: ureq::http::Uri = url.parse().map_err(|error| wrong(format!("no URL ({error})")))?;
        let tls = match parsed.scheme_str() {
            Some("http") => TlsConfig::default(),
            Some("https") => tls(access).map_err(wrong)?,
            _ => return Err(wrong("a URL begins with http:// or https://".to_owned())),
        };
        if parsed.host().is_none_or(str::is_empty) {
            return Err(wrong("a URL names a host".to_owned()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_send_request(Some(ANSWER_TIMEOUT))
            .timeout_send_body(Some(SEND_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_recv_body(Some(ANSWER_TIMEOUT))
            .max_idle_connections(2)
            // Servers close what rests for a few seconds.
            .max_idle_age(IDLE_AGE)
            .user_agent(concat!("taffrail/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.to_owned(),
            authorization: access.authorization.clone(),
            shows_nothing: parsed.scheme_str() == Some("https") && access.client.is_none(),
        })
    }

    /// Sends a body, gives what the server says to it.
    pub(crate) fn post(
        &self,
        path: &str,
        kind: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<String, Failure> {
        let mut request = self.agent.post(format!("{}{path}", self.url)).content_type(kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.taken(request.send(body))
    }

    /// Asks for something: what the server says.
    pub(crate) fn get(&self, path: &str) -> Result<String, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.taken(request.call())
    }

    fn taken(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, Failure> {
        let url = &self.url;
        let response = answer.map_err(|error| self.unanswered(&error, None))?;
        let status = response.status();
        let after = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        let text =
            response.into_body().into_with_config().limit(ANSWER_BYTES).lossy_utf8(true).read_to_string();
        let text = match text {
            Ok(text) => text,
            // More than is looked at.
            Err(ureq::Error::BodyExceedsLimit(_)) => String::new(),
            // The code says enough.
            Err(_) if !status.is_success() => String::new(),
            Err(error) => return Err(self.unanswered(&error, after)),
        };
        if status.is_success() && is_page(&text) {
            let why = format!("{url} answers with a web page; is that the address of the central server?");
            return Err(Failure { why, cause: Cause::Nonsense, after });
        }
        if status.is_success() {
            return Ok(text);
        }
        let code = status.as_u16();
        let hint = match code {
            300..=399 => "; name the address that it leads to",
            401 | 403 => "; check what lets us in",
            404 | 405 => "; is that the address of the central server?",
            _ => "",
        };
        let why = format!("{url} answers {code}{}{hint}", told(&text));
        Err(Failure { why, cause: Cause::Code(code), after })
    }

    /// There was no answer, or no whole one.
    fn unanswered(&self, error: &ureq::Error, after: Option<Duration>) -> Failure {
        let hint = if self.shows_nothing && is_cut(error) {
            "; it may want a certificate of ours (client_cert)"
        } else {
            ""
        };
        let cause = match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Cause::Cut,
            ureq::Error::Timeout(_) => Cause::Slow,
            _ => Cause::Cut,
        };
        Failure { why: format!("{}: {}{hint}", self.url, said(error)), cause, after }
    }
}

/// Whether the connection was cut: with TLS 1.3 a server does so after all seemed well.
fn is_cut(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let cuts = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
    matches!(error, ureq::Error::Io(error) if cuts.contains(&error.kind()))
}

/// The cause in a line.
fn said(error: &ureq::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("io: ").unwrap_or(&text).to_owned()
}

/// The beginning of what a server says, without what a terminal obeys.
fn told(text: &str) -> String {
    if is_page(text) || text.trim().is_empty() {
        return String::new();
    }
    let line = text.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(SAID).collect();
    format!(" ({line})")
}

fn is_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(16).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let moment = httpdate::parse_http_date(text.trim()).ok()?;
            moment.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn tls(access: &Access) -> Result<TlsConfig, String> {
    let roots = match &access.ca_file {
        Some(path) => certificates(path)?,
        None => {
            let path = SYSTEM_CERTIFICATES.into_iter().map(Path::new).find(|path| path.exists());
            path.map(certificates).transpose()?.ok_or(
                "the system has no file of certificates that it trusts; install ca-certificates, or name a CA file",
            )?
        }
    };
    let client = access.client.as_ref().map(|(certificate, key)| {
        Ok::<_, String>(ClientCert::new_with_certs(&certificates(certificate)?, private_key(key)?))
    });
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client.transpose()?)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let found: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        Err(format!("{}: there is no certificate in it", path.display()))
    } else {
        Ok(found)
    }
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    PrivateKey::from_pem(&text).map_err(|_| format!("{}: there is no private key in it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_none_are_said() {
        for (url, what) in [
            ("central.example:5000", "http://"),
            ("ftp://central.example", "http://"),
            ("http://", "URL"),
            ("", "no URL"),
        ] {
            let error = Peer::new(url, &Access::default()).unwrap_err().to_string();
            assert!(error.contains(what), "{url}: {error}");
        }
        let access = Access { ca_file: Some("/nowhere/ca.pem".into()), ..Access::default() };
        let error = Peer::new("https://central.example", &access).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }

    #[test]
    fn a_server_may_say_when_to_come_again() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("99999"), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
