//! What a `[[streams]]` table says.

use std::path::PathBuf;
use std::time::Duration;

/// Entries that a client may lag by where the config says nothing.
pub const BUFFER_DEFAULT: usize = 1000;

/// A view of some files, served to whoever connects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamConfig {
    /// Its name.
    pub name: String,
    /// The files that it shows.
    pub targets: Vec<Target>,
    /// Event streams over HTTP.
    pub http: Option<HttpConfig>,
    /// Lines of JSON over TCP.
    pub tcp: Option<TcpConfig>,
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
#[derive(Clone, PartialEq, Eq, Debug)]
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
}

/// Lines of JSON over TCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpConfig {
    /// On all addresses.
    pub port: u16,
    /// Entries that a client may lag by.
    pub buffer: usize,
    /// What is sent while there is nothing to send.
    pub heartbeat: Option<Heartbeat>,
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
        let http = http
            .iter()
            .map(move |http| format!("{name}: http://localhost:{}{}", http.port, http.stream_path));
        let tcp = tcp.iter().map(move |tcp| format!("{name}: port {} over TCP", tcp.port));
        http.chain(tcp)
    }

    /// Whether the stream shows a source.
    pub(super) fn shows(&self, source: &str) -> bool {
        self.targets.iter().any(|target| target.shows(source))
    }
}

impl Target {
    fn shows(&self, source: &str) -> bool {
        let path = std::path::Path::new(source);
        if self.is_file {
            return path == self.path;
        }
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        path.parent() == Some(&self.path) && (self.pattern.is_empty() || matches(&self.pattern, &name))
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
