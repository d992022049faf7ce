//! What a `[[streams]]` table says.

use std::net::{AddrParseError, IpAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::selection;
use crate::access::{Access, AccessConfig};
use crate::mistake::Mistake;
use crate::tls::{Tls, TlsConfig};

/// Entries that a client may lag by where the config says nothing.
pub const BUFFER_DEFAULT: usize = 1000;

/// A view of some files, served to whoever connects.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StreamConfig {
    /// Its name.
    pub name: String,
    /// The files that it shows.
    pub targets: Vec<Target>,
    /// Event streams over HTTP.
    pub http: Option<HttpConfig>,
    /// Lines of JSON over TCP.
    pub tcp: Option<TcpConfig>,
    /// Who may connect; empty: whoever is not in `denied`.
    pub allowed: Vec<AddressRange>,
    /// Who may not.
    pub denied: Vec<AddressRange>,
    /// Who of these is let in.
    pub access: AccessConfig,
    /// What it shows of its files.
    pub selection: SelectionConfig,
}

/// What a stream shows of its files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SelectionConfig {
    /// All must let a record through.
    pub rules: Vec<Rule>,
    /// An expression of the search language that a record must match; empty: all do.
    pub query: String,
}

/// Patterns that records must or must not match, as they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rule {
    /// Regular expressions.
    pub patterns: Vec<String>,
    /// Whether what matches is left out.
    pub excludes: bool,
    /// Whether to match means all of them, not one.
    pub all: bool,
}

impl Rule {
    /// Whether its patterns can be matched.
    ///
    /// # Errors
    /// What is wrong with one; for people.
    pub fn check(&self) -> Result<(), String> {
        selection::compiled(&self.patterns).map(|_| ())
    }
}

/// An address, or all of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange(IpNet);

impl FromStr for AddressRange {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let network: Result<IpNet, _> = text.parse();
        let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from))?;
        // Addresses of IPv4 in the clothes of IPv6 are compared as what they are.
        let plain = match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
            (IpAddr::V4(address), Some(length)) if matches!(network, IpNet::V6(_)) => {
                Ipv4Net::new(address, length).ok().map(IpNet::V4)
            }
            _ => None,
        };
        Ok(Self(plain.unwrap_or(network)))
    }
}

impl AddressRange {
    pub(super) fn has(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// How often one may ask, and how many may be connected.
#[derive(Clone, PartialEq, Debug)]
pub struct RateLimit {
    /// Requests a second, in the long run.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
    /// Who shares a limit.
    pub by: LimitBy,
    /// The status of the answer to those beyond.
    pub code: u16,
    /// What that answer says; empty: the original's words.
    pub message: String,
    /// Connections of one address.
    pub connections_per_address: Option<usize>,
    /// Connections of all.
    pub connections: Option<usize>,
}

/// Who shares a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitBy {
    /// Each address has its own.
    Address,
    /// All have one.
    Everybody,
}

/// A file, or the files of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Absolute.
    pub path: PathBuf,
    /// Names in the directory: `*` any run, `?` one character; empty: all.
    pub pattern: String,
    /// Whether `path` is the file itself.
    pub is_file: bool,
}

/// Event streams over HTTP.
#[derive(Clone, PartialEq, Debug)]
pub struct HttpConfig {
    /// On all addresses.
    pub port: u16,
    /// Entries that a client may lag by.
    pub buffer: usize,
    /// Path of the event stream.
    pub stream_path: String,
    /// Path of the status.
    pub status_path: String,
    /// What is sent while there is nothing to send.
    pub heartbeat: Option<Heartbeat>,
    /// How often one may ask.
    pub limit: Option<RateLimit>,
    /// TLS, where it is spoken.
    pub tls: Option<TlsConfig>,
}

/// Lines of JSON over TCP.
#[derive(Clone, PartialEq, Debug)]
pub struct TcpConfig {
    /// On all addresses.
    pub port: u16,
    /// Entries that a client may lag by.
    pub buffer: usize,
    /// What is sent while there is nothing to send.
    pub heartbeat: Option<Heartbeat>,
    /// How often one may connect.
    pub limit: Option<RateLimit>,
    /// TLS, where it is spoken.
    pub tls: Option<TlsConfig>,
}

/// What is sent while there is nothing to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// How often.
    pub interval: Duration,
    /// Whether it says when.
    pub with_time: bool,
    /// Whether it says how many watch, and for how long the stream is there.
    pub with_stats: bool,
    /// Whether it is a comment, where that is possible.
    pub is_comment: bool,
}

impl StreamConfig {
    /// Where it is, for people.
    pub fn places(&self) -> impl Iterator<Item = String> {
        let Self { name, http, tcp, .. } = self;
        let http = http.iter().map(move |HttpConfig { port, stream_path, tls, .. }| {
            let scheme = if tls.is_some() { "https" } else { "http" };
            format!("{name}: {scheme}://localhost:{port}{stream_path}")
        });
        let tcp = tcp.iter().map(move |TcpConfig { port, tls, .. }| {
            format!("{name}: port {port} over {}", if tls.is_some() { "TLS" } else { "TCP" })
        });
        http.chain(tcp)
    }

    /// What people should know of it.
    ///
    /// # Errors
    /// All certificates, keys and passwords that cannot be used, by the keys of the stream's table.
    pub fn check(&self) -> Result<Vec<String>, Vec<Mistake>> {
        let Opened { http_tls, tcp_tls, .. } = Opened::of(self)?;
        let servers = [("HTTP", self.http.is_some(), http_tls), ("TCP", self.tcp.is_some(), tcp_tls)];
        let has_secrets = !matches!(self.access, AccessConfig::Anybody | AccessConfig::Certificate);
        let mut told = Vec::new();
        if self.access == AccessConfig::Anybody && self.allowed.is_empty() {
            told.push(format!("everyone who reaches this machine can watch the stream `{}`", self.name));
        }
        told.extend(self.targets.iter().filter_map(|target| target.mistake(&self.name)));
        for (kind, is_there, tls) in servers {
            match tls {
                Some(tls) => told.extend(tls.warnings()),
                None if is_there && has_secrets => told.push(format!(
                    "passwords and tokens of the stream `{}` go over the network as they are, over {kind}: enable ssl",
                    self.name
                )),
                _ => {}
            }
        }
        Ok(told)
    }

    /// Whether the stream shows a source.
    pub(super) fn shows(&self, source: &str) -> bool {
        self.targets.iter().any(|target| target.shows(source))
    }
}

impl Target {
    /// What is there instead of what should be; for people.
    fn mistake(&self, stream: &str) -> Option<String> {
        let path = &self.path;
        let what = match fs_err::metadata(path) {
            Ok(metadata) if self.is_file && metadata.is_dir() => {
                "is a directory; without is_file its files are followed".to_owned()
            }
            Ok(metadata) if !self.is_file && !metadata.is_dir() => {
                "is no directory; with is_file = true the file is followed".to_owned()
            }
            Ok(_) if self.is_file => return None,
            Ok(_) => format!("cannot be looked into: {}", fs_err::read_dir(path).err()?.kind()),
            // It may come.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => format!("cannot be looked at: {}", error.kind()),
        };
        Some(format!("{} of the stream `{stream}` {what}", path.display()))
    }

    fn shows(&self, source: &str) -> bool {
        let path = std::path::Path::new(source);
        if self.is_file {
            return path == self.path;
        }
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        path.parent() == Some(&self.path) && (self.pattern.is_empty() || matches(&self.pattern, &name))
    }
}

/// The files that a stream's protection stands in, read.
pub(super) struct Opened {
    pub(super) access: Access,
    pub(super) http_tls: Option<Tls>,
    pub(super) tcp_tls: Option<Tls>,
}

impl Opened {
    /// Reads them.
    ///
    /// # Errors
    /// All that is wrong with them, by the keys of the stream's table.
    pub(super) fn of(config: &StreamConfig) -> Result<Self, Vec<Mistake>> {
        let open = |tls: Option<&TlsConfig>| tls.map(Tls::open).transpose();
        let http_tls = open(config.http.as_ref().and_then(|http| http.tls.as_ref()));
        let tcp_tls = open(config.tcp.as_ref().and_then(|tcp| tcp.tls.as_ref()));
        let access = Access::open(&config.access).map_err(Mistake::all_within("auth"));
        let servers = Mistake::both(
            http_tls.map_err(Mistake::all_within("httpserver.ssl")),
            tcp_tls.map_err(Mistake::all_within("tcpserver.ssl")),
        );
        let (access, (http_tls, tcp_tls)) = Mistake::both(access, servers)?;
        Ok(Self { access, http_tls, tcp_tls })
    }
}

/// Whether the whole of a name is as a pattern wants it: `*` any run, `?` one character, all else itself.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(one) if *one == '?' || *one == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                // The run takes one more.
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_files_or_names_in_a_directory() {
        let target = |path: &str, pattern: &str, is_file| Target {
            path: path.into(),
            pattern: pattern.into(),
            is_file,
        };
        for (target, source, want) in [
            (target("/var/log/app.log", "", true), "/var/log/app.log", true),
            (target("/var/log/app.log", "", true), "/var/log/app.log.1", false),
            (target("/var/log", "*.log", false), "/var/log/app.log", true),
            (target("/var/log", "*.log", false), "/var/log/app/a.log", false),
            (target("/var/log", "*.log", false), "/var/log/app.log.1", false),
            (target("/var/log", "", false), "/var/log/syslog", true),
            (target("/var/log", "a?p*.l[o]g", false), "/var/log/app-7.l[o]g", true),
            (target("/var/log", "*a*b", false), "/var/log/xaab", true),
            (target("/var/log", "*a*b", false), "/var/log/xaabc", false),
        ] {
            assert_eq!(target.shows(source), want, "{target:?} {source}");
        }
    }
}
