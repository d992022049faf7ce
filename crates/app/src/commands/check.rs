//! `taffrail check`: what a config means on this machine, and what is wrong with it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::Access;
use serde::Serialize;
use taffrail_serve::Mistake;
use taffrail_serve::streams::StreamConfig;
use taffrail_source::{JournalConfig, PipePlace};

use crate::cli::{CheckArgs, GlobalArgs};
use crate::client::Client;
use crate::config::{Config, Origin, Overrides, Problem, unit};
use crate::exit::Outcome;
use crate::followers::Parts;
use crate::terminal::{Terminal, escape};

/// Files that are listed by name.
const FILES_SHOWN: usize = 20;
/// Less free space than this deserves a warning.
const FREE_BYTES_WARNING: u64 = 1 << 30;

/// Everything that there is to say.
#[derive(Serialize, Debug, Default)]
struct Report {
    config_file: Option<PathBuf>,
    sources_from: &'static str,
    sources: Vec<Followed>,
    data_dir: Option<Place>,
    listen: Option<Listen>,
    /// Where the clients of Resolvix would be answered.
    control: Option<Listen>,
    /// How often the machine would be measured; `None`: not at all.
    telemetry_seconds: Option<u64>,
    /// The formats of one's own.
    formats: Vec<String>,
    /// The streams that would be served.
    streams: Vec<String>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

/// What one source of the config means.
#[derive(Serialize, Default, Debug)]
struct Followed {
    #[serde(rename = "type")]
    kind: &'static str,
    paths: Vec<String>,
    /// What a journal or a pipe is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    files: Vec<PathBuf>,
    refused: Vec<Refused>,
    missing: Vec<PathBuf>,
}

/// A path that matches and is not followed.
#[derive(Serialize, Debug)]
struct Refused {
    path: PathBuf,
    reason: String,
}

/// The data directory.
#[derive(Serialize, Debug)]
struct Place {
    path: PathBuf,
    exists: bool,
    writable: bool,
    free_bytes: Option<u64>,
}

/// The listen address.
#[derive(Serialize, Debug)]
struct Listen {
    address: String,
    state: ListenState,
}

/// Whether `run` could listen there.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum ListenState {
    Free,
    OurDaemon,
    Taken,
}

/// Runs the command. Unlike others it takes a config that is wrong, and says so.
pub(crate) fn run(args: &CheckArgs, global: &GlobalArgs, terminal: Terminal) -> anyhow::Result<Outcome> {
    let overrides = Overrides {
        listen: args.listen.clone(),
        paths: args.paths.clone(),
        ..Overrides::from_global(global)
    };
    let report = match Config::from_process(global.config.as_deref(), &overrides) {
        Ok(config) => Report::of(&config),
        Err(problems) => Report::of_problems(&problems),
    };
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        out.write_all(report.text(terminal).as_bytes())?;
    }
    Ok(if report.problems.is_empty() { Outcome::Done } else { Outcome::Failed })
}

impl Report {
    fn of_problems(problems: &[Problem]) -> Self {
        Self { problems: problems.iter().map(Problem::to_string).collect(), ..Self::default() }
    }

    fn of(config: &Config) -> Self {
        let sources_from = match config.sources_from {
            Origin::Default => "default",
            Origin::File => "config file",
            Origin::Flags => "command line",
        };
        let mut report = Self { config_file: config.file.clone(), sources_from, ..Self::default() };
        for source in &config.sources {
            let parts = Parts::of(source, &[]);
            parts.journal.iter().for_each(|journal| report.journal(journal));
            parts.pipes.iter().for_each(|pipe| report.pipe(pipe));
            if !parts.patterns.is_empty() {
                report.files(&parts.patterns, &source.exclude, config.max_files);
            }
        }
        let waits = |source: &Followed| source.kind == "files" && source.files.is_empty();
        if report.problems.is_empty() && report.sources.iter().all(waits) {
            report.warnings.push("no file matches now; `run` waits for files to appear".to_owned());
        }
        report.place(config);
        let daemon = Client::find(&config.data_dir).ok().flatten();
        let is_ours = |daemon: &Client| daemon.base().ends_with(&config.listen.to_string());
        report.listen = Some(report.port(config.listen, "--listen", daemon.as_ref().is_some_and(is_ours)));
        report.control =
            config.control.listen.map(|address| report.port(address, "control.listen", daemon.is_some()));
        if config.allow_anonymous && !config.listen.ip().is_loopback() {
            let address = config.listen;
            report
                .warnings
                .push(format!("everyone who reaches {address} can read and post logs (allow_anonymous)"));
        }
        report.telemetry_seconds = config.telemetry.is_enabled.then_some(config.telemetry.interval.as_secs());
        report.streams = config.streams.iter().flat_map(StreamConfig::places).collect();
        for (index, stream) in config.streams.iter().enumerate() {
            report.stream(index, stream);
        }
        report.stream_ports(config, daemon.is_some());
        report.formats = config.formats.iter().map(|format| format.place.clone()).collect();
        if !report.formats.is_empty() {
            report.problems.extend(taffrail_parse::wrong_samples());
        }
        report
    }

    fn journal(&mut self, journal: &JournalConfig) {
        let place = journal.place.describe();
        let count = journal.place.files();
        let plural = if count == 1 { "" } else { "s" };
        let filter: String = [("units", &journal.units), ("identifiers", &journal.identifiers)]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| format!(", {name} {}", list.join(" ")))
            .chain(journal.priority.map(|priority| format!(", priority {priority} or worse")))
            .collect();
        if !journal.can_run() {
            self.warnings.push(format!("{place}: `journalctl` is not in PATH; `run` waits for it"));
        } else if count == 0 {
            self.warnings.push(format!("{place}: there is no journal file now; `run` waits for one"));
        } else if !journal.place.is_readable() {
            self.warnings.push(format!(
                "{place}: its files may not be read; run as root or as a member of the group systemd-journal"
            ));
        }
        let what = format!("{place}: {count} journal file{plural}{filter}, as `{}`", journal.source);
        self.sources.push(Followed { kind: "journal", what: Some(what), ..Followed::default() });
    }

    fn pipe(&mut self, pipe: &PipePlace) {
        let (paths, what) = match pipe {
            PipePlace::Stdin => (vec!["-".to_owned()], "standard input, until it ends".to_owned()),
            PipePlace::Fifo(path) => {
                let later = if path.exists() { "" } else { " (not there yet)" };
                let path = path.display().to_string();
                (vec![path.clone()], format!("{path}: a pipe{later}"))
            }
        };
        self.sources.push(Followed { kind: "pipe", paths, what: Some(what), ..Followed::default() });
    }

    fn files(&mut self, paths: &[String], exclude: &[String], max_files: usize) {
        let found = match taffrail_source::discover(paths, exclude, max_files) {
            Ok(found) => found,
            Err(error) => return self.problems.push(error.to_string()),
        };
        if found.truncated {
            let paths = paths.join(", ");
            self.warnings.push(format!(
                "{paths}: more than {max_files} files match, the rest is left out; narrow the glob or raise max_files"
            ));
        }
        let refused = found.refused.into_iter().map(|(path, reason)| Refused { path, reason });
        let (files, missing) = (found.files, found.missing);
        let (paths, refused) = (paths.to_vec(), refused.collect());
        self.sources.push(Followed { kind: "files", paths, what: None, files, refused, missing });
    }

    fn place(&mut self, config: &Config) {
        let path = &config.data_dir;
        let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
        let is_directory = fs::metadata(existing).is_ok_and(|metadata| metadata.is_dir());
        let writable = rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK);
        let free_bytes =
            rustix::fs::statvfs(existing).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let (shown, way_out) = (path.display(), "name another directory with --data");
        if !is_directory {
            self.problems
                .push(format!("{shown} cannot be a directory: {} is a file; {way_out}", existing.display()));
        } else if let Err(error) = writable {
            let error = io::Error::from(error);
            self.problems
                .push(format!("{shown} is not writable: {}: {error}; {way_out}", existing.display()));
        }
        if let Some(free) = free_bytes.filter(|free| *free < FREE_BYTES_WARNING) {
            self.warnings.push(format!("only {} are free for {shown}", unit::human_bytes(free)));
        }
        let writable = is_directory && writable.is_ok();
        self.data_dir = Some(Place { path: path.clone(), exists: path.exists(), writable, free_bytes });
    }

    fn stream(&mut self, index: usize, stream: &StreamConfig) {
        let problem =
            |Mistake { key, what }| format!("`streams[{index}].{key}`: stream '{}': {what}", stream.name);
        match stream.check() {
            Ok(warnings) => self.warnings.extend(warnings),
            Err(mistakes) => self.problems.extend(mistakes.into_iter().map(problem)),
        }
    }

    /// Whether the streams can have their ports; a router's streams may share those for HTTP.
    fn stream_ports(&mut self, config: &Config, is_ours: bool) {
        let mut ports = BTreeMap::new();
        for (index, stream) in config.streams.iter().enumerate() {
            let http = stream.http.as_ref().map(|http| (http.port, "httpserver"));
            let tcp = stream.tcp.as_ref().map(|tcp| (tcp.port, "tcpserver"));
            for (port, server) in http.into_iter().chain(tcp) {
                ports.entry(port).or_insert_with(|| format!("streams[{index}].{server}.port"));
            }
        }
        for (port, key) in ports {
            self.port(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), &key, is_ours);
        }
    }

    /// Whether `run` can listen at an address, which `key` names; `is_ours`: the daemon that runs has it if it is taken.
    fn port(&mut self, address: SocketAddr, key: &str, is_ours: bool) -> Listen {
        let state = match TcpListener::bind(address) {
            Ok(_) => ListenState::Free,
            Err(_) if is_ours => ListenState::OurDaemon,
            Err(error) => {
                self.problems.push(format!("cannot listen on {address}: {error}; name another with {key}"));
                ListenState::Taken
            }
        };
        Listen { address: address.to_string(), state }
    }

    fn text(&self, terminal: Terminal) -> String {
        let mut lines = Vec::new();
        if self.data_dir.is_some() {
            let file = self.config_file.as_ref().map(|file| file.display().to_string());
            lines.push(format!("config    {}", file.unwrap_or_else(|| "none, the defaults hold".to_owned())));
            lines.push(format!("sources   from the {}", self.sources_from.replace("default", "defaults")));
        }
        lines.extend(self.sources.iter().flat_map(Followed::lines));
        lines.extend(self.formats.iter().map(|place| format!("format    {place}")));
        lines.extend(self.streams.iter().map(|stream| format!("stream    {stream}")));
        if let Some(place) = &self.data_dir {
            let state = if place.exists { "exists" } else { "will be made" };
            let free = place
                .free_bytes
                .map(|free| format!(", {} free", unit::human_bytes(free)))
                .unwrap_or_default();
            lines.push(format!("data      {} ({state}{free})", place.path.display()));
        }
        for (what, listen) in [("listen ", &self.listen), ("control", &self.control)] {
            let Some(Listen { address, state }) = listen else { continue };
            let state = match state {
                ListenState::Free => "free",
                ListenState::OurDaemon => "the daemon answers here",
                ListenState::Taken => "taken",
            };
            lines.push(format!("{what}   http://{address} ({state})"));
        }
        if let Some(seconds) = self.telemetry_seconds {
            lines.push(format!("measures  this machine every {seconds} s"));
        }
        let mut text: String = lines.iter().map(|line| format!("{}\n", escape(line))).collect();
        for (word, severity, list) in
            [("warning", "WARNING", &self.warnings), ("problem", "ERROR", &self.problems)]
        {
            let word = terminal.severity(severity, word);
            text.extend(list.iter().map(|message| format!("{word}   {}\n", escape(message))));
        }
        if self.problems.is_empty() {
            text.push_str("no problem found\n");
        }
        text
    }
}

impl Followed {
    fn lines(&self) -> Vec<String> {
        if let Some(what) = &self.what {
            return vec![format!("follows   {what}")];
        }
        let plural = if self.files.len() == 1 { "" } else { "s" };
        let mut lines =
            vec![format!("follows   {}: {} file{plural}", self.paths.join(", "), self.files.len())];
        lines.extend(
            self.files.iter().take(FILES_SHOWN).map(|file| format!("            {}", file.display())),
        );
        if self.files.len() > FILES_SHOWN {
            lines.push(format!("            and {} more; --json lists all", self.files.len() - FILES_SHOWN));
        }
        let refused = self.refused.iter().take(FILES_SHOWN);
        lines.extend(
            refused.map(|refused| format!("  not       {}: {}", refused.path.display(), refused.reason)),
        );
        if self.refused.len() > FILES_SHOWN {
            lines.push(format!("  not       {} more; --json lists all", self.refused.len() - FILES_SHOWN));
        }
        lines.extend(
            self.missing.iter().map(|path| format!("  later     {} (not there yet)", path.display())),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigText, Host};

    fn report(overrides: Overrides) -> (Report, String) {
        let host = Host { root: false, name: "n".into(), journal: false };
        let config = Config::load(None, &|_| None, &host, &overrides).unwrap();
        let report = Report::of(&config);
        let text = report.text(Terminal { stdout: false, color: false, hints: false, notes: false });
        (report, text)
    }

    #[test]
    fn a_good_config_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        fs::write(&file, "x\n").unwrap();
        let overrides = Overrides {
            data_dir: Some(dir.path().join("new/data")),
            listen: Some("127.0.0.1:0".into()),
            paths: vec![file.display().to_string()],
            ..Overrides::default()
        };
        let (report, text) = report(overrides);
        assert_eq!(report.problems, Vec::<String>::new());
        for part in
            ["from the command line", "1 file\n", "a.log", "new/data (will be made", "(free)", "no problem"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn journals_and_pipes_are_explained() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let text = format!(
            "data_dir = \"{0}/data\"\nlisten = \"127.0.0.1:0\"\n[control]\nlisten = \"127.0.0.1:0\"\n\
             [telemetry]\ninterval = \"5s\"\n[[source]]\ntype = \"journal\"\n\
             path = \"{0}\"\nunits = [\"a.service\"]\npriority = \"err\"\n\
             [[source]]\npath = [\"-\", \"{0}/fifo\"]\n[[source]]\ntype = \"pipe\"\npath = \"{0}/later\"\n",
            dir.path().display()
        );
        let host = Host { root: false, name: "n".into(), journal: false };
        let file = ConfigText { path: Path::new("t.toml"), text: &text };
        let config = Config::load(Some(file), &|_| None, &host, &Overrides::default()).unwrap();
        let report = Report::of(&config);
        let text = report.text(Terminal { stdout: false, color: false, hints: false, notes: false });
        let dir = dir.path().display();
        for part in [
            &format!(
                "follows   {dir}: 0 journal files, units a.service, priority 3 or worse, as `journal:{dir}`\n"
            ),
            "follows   standard input, until it ends\n",
            &format!("follows   {dir}/fifo: a pipe\n"),
            &format!("follows   {dir}/later: a pipe (not there yet)\n"),
            "there is no journal file now",
            "control   http://127.0.0.1:0 (free)\n",
            "measures  this machine every 5 s\n",
            "no problem found",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn what_run_would_stumble_over_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let overrides = Overrides {
            data_dir: Some(file.join("data")),
            listen: Some(taken.local_addr().unwrap().to_string()),
            paths: vec![dir.path().join("none.log").display().to_string()],
            ..Overrides::default()
        };
        let (report, text) = report(overrides);
        assert_eq!((report.problems.len(), report.warnings.len()), (2, 1), "{text}");
        assert!(text.contains("is a file; name another directory with --data"), "{text}");
        assert!(text.contains("name another with --listen"), "{text}");
        assert!(text.contains("no file matches now"), "{text}");
        assert!(!text.contains("no problem"), "{text}");
    }
}
