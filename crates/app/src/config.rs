//! The config: one TOML file, the environment and the flags, checked and without open questions.
//!
//! Precedence: default < file < environment < flag. [`Config::load`] is pure; [`Config::from_process`] reads
//! the file and the machine. Every key stands once, in `key.rs`.

mod docs;
mod document;
mod formats;
mod key;
mod listen;
mod problem;
mod source;
mod streams;
pub(crate) mod unit;
mod value;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use taffrail_parse::Redactor;
use taffrail_serve::streams::StreamConfig;

pub(crate) use docs::markdown;
pub(crate) use formats::FormatText;
pub(crate) use problem::Problem;
pub(crate) use source::{DatesChoice, MultilineChoice, SourceConfig, SourceKind, StartAt, ZoneChoice};
pub(crate) use streams::{StreamTable, StreamTables};
use value::Value;

use crate::logwisp::DEFAULT_CONFIG;

/// What `run` follows where neither config nor flags name files; and the journal where the first of the system's
/// own logs are not there.
pub(crate) const DEFAULT_PATHS: [&str; 4] =
    ["/var/log/**/*.log", "/var/log/syslog", "/var/log/messages", "./logs/*.log"];

/// Everything that can be set, checked.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Config {
    /// The config file, if one was read.
    pub file: Option<PathBuf>,
    /// Where everything is stored.
    pub data_dir: PathBuf,
    /// Where UI and API answer.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines.
    pub allow_anonymous: bool,
    /// Names that requests to a loopback listener may carry besides those of this machine.
    pub allowed_hosts: Vec<String>,
    /// The machine's name on records whose lines name none.
    pub node: String,
    /// How much the program says about itself.
    pub log_level: LogLevel,
    /// What is followed, never empty.
    pub sources: Vec<SourceConfig>,
    /// Who named the sources.
    pub sources_from: Origin,
    /// The longest line that is stored whole, without its newline.
    pub max_line_bytes: u64,
    /// Files of one `[[source]]` that are followed, at most.
    pub max_files: usize,
    /// What is deleted when.
    pub retention: Retention,
    /// What is overwritten before lines are stored.
    pub redact: Redact,
    /// Where the files of formats of one's own are.
    pub formats_dir: Option<PathBuf>,
    /// Formats of one's own.
    pub formats: Vec<FormatText>,
    /// LogWisp's streams, as the file has them.
    pub stream_tables: StreamTables,
    /// The streams that are served.
    pub streams: Vec<StreamConfig>,
    /// Whether every port of a stream answers for all.
    pub is_router: bool,
    /// What Resolvix' clients find.
    pub control: Control,
    /// How the machine is sampled.
    pub telemetry: Telemetry,
    /// Limits of queries.
    pub query: Query,
    /// Limits of memory.
    pub memory: Memory,
    /// How long unread bytes may wait without reading moving on.
    pub stall_after: Duration,
}

/// What is deleted when; the stricter of the two decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Retention {
    /// Records older than this.
    pub max_age: Duration,
    /// The oldest records above this many bytes on disk.
    pub max_size_bytes: u64,
}

/// What is overwritten in lines before they are stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Redact {
    /// Names of built-in rules.
    pub rules: Vec<String>,
    /// Regular expressions.
    pub patterns: Vec<String>,
}

impl Redact {
    /// What does it.
    pub(crate) fn redactor(&self) -> Result<Redactor, String> {
        Redactor::new(&self.rules, &self.patterns)
    }
}

/// What Resolvix' clients find.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Control {
    /// Where the control API answers; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where live lines are shown, while they are.
    pub live_port: u16,
    /// The machine's name for its clients; `None`: its address in its network.
    pub node_id: Option<String>,
    /// The files whose lines are shown; empty: all.
    pub files: Vec<String>,
    /// Where samples of the machine are shown, while they are.
    pub telemetry_port: u16,
    /// How often.
    pub telemetry_interval: Duration,
}

/// How the machine is sampled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Telemetry {
    /// Whether it is.
    pub is_enabled: bool,
    /// How often.
    pub interval: Duration,
    /// How long samples are kept.
    pub keep: Duration,
    /// How long what they come to by the hour is.
    pub keep_hours: Duration,
}

/// Limits of queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    /// How long one may take.
    pub timeout: Duration,
    /// Memory that all share.
    pub memory_bytes: u64,
    /// How many run at a time.
    pub concurrent: usize,
}

/// Limits of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Memory {
    /// Size at which the memtable becomes a segment.
    pub memtable_bytes: u64,
}

/// Who named the sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Nobody: [`DEFAULT_PATHS`].
    Default,
    /// The config file.
    File,
    /// The command line.
    Flags,
}

/// How much the program says about itself on stderr.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LogLevel {
    /// What failed.
    Error,
    /// And what may.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word for it: `info`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.name() == text.to_ascii_lowercase());
        found.ok_or_else(|| format!("`{text}` is unknown; error, warn, info, debug or trace is possible"))
    }
}

/// A config file that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigText<'a> {
    /// Its path, for messages.
    pub path: &'a Path,
    /// What it says.
    pub text: &'a str,
}

/// What the machine is, as far as defaults depend on it.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Whether the user is root.
    pub root: bool,
    /// The host name.
    pub name: String,
    /// Whether its journal is the only place of its system's messages, and may be read.
    pub journal: bool,
}

/// Where programs that write the system's messages into files put them.
const SYSTEM_LOGS: [&str; 2] = ["/var/log/syslog", "/var/log/messages"];

impl Host {
    /// The machine this runs on.
    pub(crate) fn of_this_machine() -> Self {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
        let written = SYSTEM_LOGS.iter().any(|path| Path::new(path).exists());
        let journal = !written && taffrail_source::JournalPlace::Machine.is_readable();
        Self { root, name: name.unwrap_or_else(|| "localhost".to_owned()), journal }
    }
}

/// What the flags say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--data`
    pub data_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `-v`, `-q`
    pub log_level: Option<LogLevel>,
    /// The paths of `run`; empty: the config's.
    pub paths: Vec<String>,
    /// `--router`
    pub router: bool,
    /// Whether it is LogWisp that is started: of the file only its own tables count, and the data has a place of its own.
    pub is_logwisp: bool,
}

impl Overrides {
    /// The part that every command has.
    pub(crate) fn from_global(global: &crate::cli::GlobalArgs) -> Self {
        let log_level = match (global.quiet, global.verbose) {
            (true, _) => Some(LogLevel::Error),
            (false, 0) => None,
            (false, 1) => Some(LogLevel::Debug),
            (false, _) => Some(LogLevel::Trace),
        };
        Self { data_dir: global.data.clone(), log_level, ..Self::default() }
    }
}

impl Config {
    /// Reads the config file (`-c`, else `$TAFFRAIL_CONFIG`, else none), the environment and the machine.
    pub(crate) fn from_process(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Vec<Problem>> {
        let env = |name: &str| std::env::var(name).ok();
        let from_env = || env("TAFFRAIL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = file.map(Path::to_owned).or_else(from_env);
        let text = match &path {
            None => None,
            Some(path) => match fs::read_to_string(path) {
                Ok(text) => Some(text),
                Err(error) => {
                    return Err(vec![Problem::new(
                        "config",
                        format!("{error}; name a readable file with -c"),
                    )]);
                }
            },
        };
        let file = path.as_deref().zip(text.as_deref()).map(|(path, text)| ConfigText { path, text });
        let mut config = Self::load(file, &env, &Host::of_this_machine(), overrides)?;
        formats::settle(&mut config)?;
        Ok(config)
    }

    /// Reads LogWisp's config file, the environment and the machine; its own default where there is no file and none `is_named`.
    pub(crate) fn of_logwisp(
        path: Option<&Path>,
        is_named: bool,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Problem>> {
        let env = |name: &str| std::env::var(name).ok();
        let text = match path.map(fs::read_to_string) {
            None => DEFAULT_CONFIG.to_owned(),
            Some(Ok(text)) => text,
            Some(Err(error)) if is_named || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(vec![Problem::new("config", error.to_string())]);
            }
            Some(Err(_)) => DEFAULT_CONFIG.to_owned(),
        };
        let path = path.unwrap_or(Path::new("(built in)"));
        let config =
            Self::load(Some(ConfigText { path, text: &text }), &env, &Host::of_this_machine(), overrides)?;
        if config.streams.is_empty() {
            return Err(vec![Problem::new(path.display().to_string(), "no streams configured")]);
        }
        Ok(config)
    }

    /// Puts the parts together. `Err` holds everything that is wrong, not only the first.
    pub(crate) fn load(
        file: Option<ConfigText<'_>>,
        env: &dyn Fn(&str) -> Option<String>,
        host: &Host,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut config = Self::with_defaults(env, host);
        if let Some(file) = file {
            config.file = Some(file.path.to_owned());
            let only_streams = overrides.is_logwisp;
            document::apply(file.path, file.text, only_streams, &mut config, &mut problems);
        }
        if overrides.is_logwisp {
            // It measures no machine.
            config.telemetry.is_enabled = false;
            config.data_dir.as_mut_os_string().push("-logwisp");
        }
        config.is_router = overrides.router;
        config.apply_environment(env, &mut problems);
        config.apply_listen(overrides, &mut problems);
        let streams =
            streams::read(&config.stream_tables, overrides.router, &config.ports(), env, &mut problems);
        config.sources.extend(streams.source());
        config.streams = streams.configs;
        config.apply_flags(overrides, host);
        if problems.is_empty() {
            problems.extend(source::same_name(&config.sources));
        }
        if problems.is_empty() {
            let addresses = [("listen", Some(config.listen)), ("control.listen", config.control.listen)];
            for (key, address) in addresses {
                let wrong = |address| listen::check(key, address, config.allow_anonymous).err();
                problems.extend(address.and_then(wrong));
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn with_defaults(env: &dyn Fn(&str) -> Option<String>, host: &Host) -> Self {
        let mut config = Self {
            file: None,
            data_dir: default_data_dir(env, host),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_anonymous: false,
            allowed_hosts: Vec::new(),
            node: host.name.clone(),
            log_level: LogLevel::Info,
            sources: Vec::new(),
            sources_from: Origin::Default,
            max_line_bytes: 0,
            max_files: 0,
            retention: Retention { max_age: Duration::ZERO, max_size_bytes: 0 },
            redact: Redact::default(),
            formats_dir: None,
            formats: Vec::new(),
            stream_tables: StreamTables::default(),
            streams: Vec::new(),
            is_router: false,
            control: Control::default(),
            telemetry: Telemetry {
                is_enabled: false,
                interval: Duration::ZERO,
                keep: Duration::ZERO,
                keep_hours: Duration::ZERO,
            },
            query: Query { timeout: Duration::ZERO, memory_bytes: 0, concurrent: 0 },
            memory: Memory { memtable_bytes: 0 },
            stall_after: Duration::ZERO,
        };
        for key in key::all() {
            if let (key::Default::Text(text), key::Target::Config(set)) = (&key.default, &key.target) {
                set(&mut config, &Value::untyped(*text)).expect("a test reads every default");
            }
        }
        config
    }

    fn apply_environment(&mut self, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
        for key in key::all() {
            let (Some(variable), key::Target::Config(set)) = (key.variable(), &key.target) else { continue };
            let Some(text) = env(&variable).filter(|text| !text.is_empty()) else { continue };
            if let Err(message) = set(self, &Value::untyped(text)) {
                problems.push(Problem::new(variable, message));
            }
        }
    }

    fn apply_listen(&mut self, overrides: &Overrides, problems: &mut Vec<Problem>) {
        if let Some(text) = &overrides.listen {
            match listen::address(text) {
                Ok(address) => self.listen = address,
                Err(message) => problems.push(Problem::new("--listen", message)),
            }
        }
    }

    /// The ports of the program itself, by their keys.
    fn ports(&self) -> Vec<(u16, &'static str)> {
        let Control { listen: control, live_port, telemetry_port, .. } = self.control;
        let of_clients = control.map(|control| {
            let ports = [(control.port(), "control.listen"), (live_port, "control.live_port")];
            ports.into_iter().chain([(telemetry_port, "control.telemetry_port")])
        });
        std::iter::once((self.listen.port(), "listen")).chain(of_clients.into_iter().flatten()).collect()
    }

    fn apply_flags(&mut self, overrides: &Overrides, host: &Host) {
        if let Some(data_dir) = &overrides.data_dir {
            data_dir.clone_into(&mut self.data_dir);
        }
        self.log_level = overrides.log_level.unwrap_or(self.log_level);
        if !self.sources.is_empty() {
            self.sources_from = Origin::File;
        }
        if !overrides.paths.is_empty() {
            self.sources =
                vec![SourceConfig { paths: overrides.paths.clone(), ..SourceConfig::with_defaults() }];
            self.sources_from = Origin::Flags;
        } else if self.sources.is_empty() {
            let paths = DEFAULT_PATHS.map(str::to_owned).to_vec();
            self.sources = vec![SourceConfig { paths, ..SourceConfig::with_defaults() }];
            if host.journal {
                let kind = SourceKind::Journal;
                self.sources.push(SourceConfig { kind, ..SourceConfig::with_defaults() });
            }
        }
    }
}

fn default_data_dir(env: &dyn Fn(&str) -> Option<String>, host: &Host) -> PathBuf {
    let variable = |name: &str| env(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    if host.root {
        return PathBuf::from("/var/lib/taffrail");
    }
    let of_home = || variable("HOME").map(|home| home.join(".local/share"));
    let base = variable("XDG_DATA_HOME").or_else(of_home);
    base.map_or_else(|| PathBuf::from("taffrail-data"), |base| base.join("taffrail"))
}

#[cfg(test)]
mod tests;
