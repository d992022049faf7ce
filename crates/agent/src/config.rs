//! What the agent does: its arguments and its file, put together and checked.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use serde::Deserialize;
use taffrail_forward::line::Rules;
use taffrail_forward::{Access, JOURNAL, Lines, Protocol};

use crate::arguments::Arguments;

/// Ports of the original.
const CONTROL_PORT: u16 = 8754;
const LIVE_PORT: u16 = 8755;
pub(crate) const TELEMETRY_PORT: u16 = 8756;
/// Seconds between samples: those of the original, and ours where a file configures the agent.
pub(crate) const RESOLVIX_INTERVAL: u32 = 60;
const INTERVAL: u32 = 10;
/// Bytes of the spool where nobody says how many: 1 GiB.
const SPOOL_MIB: u64 = 1_024;
const SPOOL_MIB_MIN: u64 = 1;
/// The highest number of a priority, as syslog counts.
const PRIORITY_MAX: u8 = 7;

/// What the agent does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Config {
    pub node: String,
    pub data_dir: PathBuf,
    /// Whether that is where it is unless somebody says otherwise.
    pub is_default_dir: bool,
    pub sources: Vec<SourceConfig>,
    pub targets: Vec<TargetFile>,
    /// Print what would be sent.
    pub prints: bool,
    pub rules: Rules,
    pub spool_bytes: u64,
    /// `None`: the machine is not measured.
    pub interval: Option<Duration>,
    /// What is configured, also where it is not measured.
    pub interval_seconds: u32,
    pub control: Option<SocketAddr>,
    pub live_port: u16,
    pub telemetry_port: u16,
}

impl Config {
    /// Which lines are kept for the targets.
    pub(crate) fn lines(&self) -> Lines {
        match self.targets.iter().all(|target| target.lines == Lines::Errors) {
            true => Lines::Errors,
            false => Lines::All,
        }
    }
}

/// The file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    node: Option<String>,
    data_dir: Option<PathBuf>,
    #[serde(default)]
    source: Vec<SourceTable>,
    #[serde(default)]
    forward: Vec<ForwardTable>,
    #[serde(default)]
    spool: SpoolTable,
    #[serde(default)]
    telemetry: TelemetryTable,
    #[serde(default)]
    control: ControlTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    #[serde(default, rename = "type")]
    kind: Kind,
    path: Option<OneOrMany>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    from_beginning: bool,
    #[serde(default)]
    units: Vec<String>,
    #[serde(default)]
    identifiers: Vec<String>,
    priority: Option<u8>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Files,
    Journal,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForwardTable {
    url: String,
    #[serde(default)]
    protocol: ProtocolName,
    lines: Option<LinesName>,
    authorization: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum ProtocolName {
    #[default]
    Auto,
    Hub,
    Resolvix,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LinesName {
    All,
    Errors,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SpoolTable {
    max_mib: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TelemetryTable {
    enabled: Option<bool>,
    interval_seconds: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ControlTable {
    enabled: Option<bool>,
    address: Option<IpAddr>,
    port: Option<u16>,
    live_port: Option<u16>,
    telemetry_port: Option<u16>,
    original_severity: Option<bool>,
}

/// What is followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SourceConfig {
    Files(Files),
    Journal(Journal),
}

impl SourceConfig {
    /// What clients call it.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Files(files) => files.paths.clone(),
            Self::Journal(journal) => vec![journal.name()],
        }
    }
}

/// Files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Files {
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    pub from_beginning: bool,
}

/// The journal of this machine, or journal files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Journal {
    pub paths: Vec<String>,
    pub units: Vec<String>,
    pub identifiers: Vec<String>,
    pub priority: Option<u8>,
    pub from_beginning: bool,
}

/// Where it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TargetFile {
    pub url: String,
    pub protocol: Protocol,
    /// Whether it is named as Resolvix' agent names it.
    pub is_resolvix_likely: bool,
    pub lines: Lines,
    pub access: Access,
}

impl Journal {
    /// Its name as a source.
    pub(crate) fn name(&self) -> String {
        match &self.paths[..] {
            [] => JOURNAL.to_owned(),
            paths => format!("{JOURNAL}:{}", paths.join(" ")),
        }
    }
}

impl Config {
    /// Of the process: all that is wrong is said in the error.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, String> {
        let (file, path) = match &arguments.config {
            Some(path) => (read(path)?, path.display().to_string()),
            None => (File::default(), String::new()),
        };
        let sources = file.source.into_iter().map(source).collect::<Result<Vec<_>, _>>();
        let mut sources = sources.map_err(|error| format!("{path}: {error}"))?;
        if !arguments.log_file.is_empty() {
            let absolute = |path: &PathBuf| std::path::absolute(path).map(|path| path.display().to_string());
            let paths = arguments.log_file.iter().map(absolute).collect::<Result<_, _>>();
            let paths = paths.map_err(|error| format!("--log-file: {error}"))?;
            sources.push(SourceConfig::Files(Files { paths, exclude: Vec::new(), from_beginning: false }));
        }
        let mut targets = file.forward.into_iter().map(target).collect::<Result<Vec<_>, _>>()?;
        let url = arguments.api_url.as_deref().map(|url| url.trim_end_matches('/'));
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let (url, access) = (url.to_owned(), Access::default());
            let (protocol, lines) = (Protocol::Auto, Lines::Errors);
            targets.push(TargetFile { url, protocol, is_resolvix_likely: true, lines, access });
        }
        if targets.is_empty() && url != Some("") {
            return Err(format!("{path}: nobody is sent to; name an --api-url or a [[forward]]"));
        }
        let mut urls = HashSet::new();
        if let Some(twice) = targets.iter().find(|target| !urls.insert(&target.url)) {
            return Err(format!("{path}: {} is sent to twice; name it once", twice.url));
        }
        let is_file = arguments.config.is_some();
        let interval = arguments.telemetry_interval.or(file.telemetry.interval_seconds);
        let interval = interval.unwrap_or(if is_file { INTERVAL } else { RESOLVIX_INTERVAL });
        if interval == 0 {
            return Err("the interval of telemetry is at least a second".to_owned());
        }
        let spool_mib = file.spool.max_mib.unwrap_or(SPOOL_MIB);
        if spool_mib < SPOOL_MIB_MIN {
            return Err(format!("{path}: spool.max_mib is at least {SPOOL_MIB_MIN}"));
        }
        let is_measured =
            !arguments.disable_telemetry && file.telemetry.enabled.unwrap_or(true) && !targets.is_empty();
        // A file may be that of a machine that is only measured.
        if sources.is_empty() && !(is_file && is_measured) {
            return Err(format!("{path}: nothing is followed; name a --log-file or a [[source]]"));
        }
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = arguments.control_address.or(file.control.address);
        let address = address.unwrap_or(if is_file { local } else { Arguments::EVERYWHERE });
        let port = arguments.control_port.or(file.control.port).unwrap_or(CONTROL_PORT);
        let is_original = arguments.original_severity || file.control.original_severity.unwrap_or(false);
        Ok(Self {
            node: arguments.node_id.clone().or(file.node).unwrap_or_else(own_name),
            is_default_dir: arguments.data.is_none() && file.data_dir.is_none(),
            data_dir: arguments.data.clone().or(file.data_dir).unwrap_or_else(data_dir),
            sources,
            targets,
            prints: url == Some(""),
            rules: if is_original { Rules::Original } else { Rules::Words },
            spool_bytes: spool_mib << 20,
            interval: is_measured.then(|| Duration::from_secs(interval.into())),
            interval_seconds: interval,
            control: file.control.enabled.unwrap_or(true).then_some(SocketAddr::new(address, port)),
            live_port: arguments.ws_port.or(file.control.live_port).unwrap_or(LIVE_PORT),
            telemetry_port: arguments
                .telemetry_ws_port
                .or(file.control.telemetry_port)
                .unwrap_or(TELEMETRY_PORT),
        })
    }
}

fn read(path: &Path) -> Result<File, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        format!("{}:{line}: {}", path.display(), error.message().replace('\n', ", "))
    })
}

fn source(table: SourceTable) -> Result<SourceConfig, String> {
    let SourceTable { kind, path, exclude, from_beginning, units, identifiers, priority } = table;
    let paths = match path {
        Some(OneOrMany::One(path)) => vec![path],
        Some(OneOrMany::Many(paths)) => paths,
        None => Vec::new(),
    };
    let is_chosen = !units.is_empty() || !identifiers.is_empty() || priority.is_some();
    match kind {
        Kind::Files if paths.is_empty() => {
            Err("a [[source]] without a path; or is it type = 'journal'?".to_owned())
        }
        Kind::Files if is_chosen => {
            Err("units, identifiers and priority are for journals; add type = 'journal'".to_owned())
        }
        Kind::Files => Ok(SourceConfig::Files(Files { paths, exclude, from_beginning })),
        Kind::Journal if !exclude.is_empty() => Err("exclude is for files, not for a journal".to_owned()),
        Kind::Journal if priority.is_some_and(|priority| priority > PRIORITY_MAX) => {
            Err(format!("the priority of a journal is 0 (emerg) to {PRIORITY_MAX} (debug)"))
        }
        Kind::Journal => {
            Ok(SourceConfig::Journal(Journal { paths, units, identifiers, priority, from_beginning }))
        }
    }
}

fn target(table: ForwardTable) -> Result<TargetFile, String> {
    let url = table.url.trim_end_matches('/').to_owned();
    let client = match (table.client_cert, table.client_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(format!("forward {url}: client_cert and client_key go together")),
    };
    let protocol = match table.protocol {
        ProtocolName::Auto => Protocol::Auto,
        ProtocolName::Hub => Protocol::Hub,
        ProtocolName::Resolvix => Protocol::Resolvix,
    };
    let lines = match table.lines {
        Some(LinesName::All) => Lines::All,
        Some(LinesName::Errors) => Lines::Errors,
        None if protocol == Protocol::Resolvix => Lines::Errors,
        None => Lines::All,
    };
    let access = Access { authorization: table.authorization, ca_file: table.ca_file, client };
    Ok(TargetFile { url, protocol, is_resolvix_likely: false, lines, access })
}

/// The address by which other machines reach this one, as its clients know it; `None` without a network.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only says where it would be sent from.
    socket.connect("8.8.8.8:80").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn own_name() -> String {
    own_address().map(|address| address.to_string()).unwrap_or_else(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
    })
}

fn data_dir() -> PathBuf {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0) {
        return PathBuf::from("/var/lib/taffrail-agent");
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    base.map_or_else(|| PathBuf::from("taffrail-agent-data"), |base| base.join("taffrail-agent"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn of(arguments: &[&str]) -> Result<Config, String> {
        let all = ["taffrail-agent", "-n", "n"].iter().chain(arguments);
        Config::of(&Arguments::try_parse_from(all).map_err(|error| error.to_string())?)
    }

    #[test]
    fn flags_are_those_of_the_original() {
        let config = of(&["-l", "/var/log/syslog", "-a", "http://central.example:5000/"]).unwrap();
        let paths = |config: &Config| match &config.sources[0] {
            SourceConfig::Files(files) => files.paths.clone(),
            SourceConfig::Journal(_) => Vec::new(),
        };
        assert_eq!(paths(&config), ["/var/log/syslog"]);
        assert_eq!(
            (config.targets[0].url.as_str(), config.lines()),
            ("http://central.example:5000", Lines::Errors)
        );
        assert_eq!(config.control, Some("0.0.0.0:8754".parse().unwrap()));
        assert_eq!((config.live_port, config.telemetry_port), (8755, 8756));
        assert_eq!(config.interval, Some(Duration::from_secs(60)));
        let quiet = of(&["-l", "x", "-a", "", "--ws-port", "9001", "-p", "9000"]).unwrap();
        assert_eq!((quiet.prints, quiet.interval, quiet.live_port), (true, None, 9001));
        assert!(paths(&quiet)[0].starts_with('/'), "{:?}", quiet.sources);
        let off = of(&["-l", "x", "-a", "http://c", "--disable-telemetry", "-t", "120"]).unwrap();
        assert_eq!(off.interval, None);
        for (arguments, what) in [
            (&["-l", "x"][..], "--api-url"),
            (&["-a", "http://c"], "--log-file"),
            (&["-l", "x", "-a", "http://c", "-t", "0"], "at least a second"),
            (&["-l", "x", "-a", "http://c", "-t", "soon"], "--telemetry-interval"),
            (&["-l", "x", "-a", "http://c", "--port", "1"], "--port"),
        ] {
            let error = of(arguments).unwrap_err();
            assert!(error.contains(what), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_file_says_the_rest_and_what_is_wrong_in_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        let with = |text: &str| {
            fs::write(&path, text).unwrap();
            of(&["-c", path.to_str().unwrap()])
        };
        let config = with(
            "[[source]]\npath = ['/var/log/*.log']\nexclude = ['/var/log/x.log']\n\
             [[forward]]\nurl = 'https://hub.example/'\nauthorization = 'Bearer x'\n\
             [[forward]]\nurl = 'http://old.example'\nprotocol = 'resolvix'\n[spool]\nmax_mib = 64\n",
        )
        .unwrap();
        assert_eq!((config.lines(), config.spool_bytes), (Lines::All, 64 << 20));
        assert_eq!((config.targets[0].lines, config.targets[1].lines), (Lines::All, Lines::Errors));
        // Nobody is let in whom nobody has thought of.
        assert_eq!(config.control, Some("127.0.0.1:8754".parse().unwrap()));
        assert_eq!(config.interval, Some(Duration::from_secs(10)));
        let journal = |more: &str| {
            format!(
                "[[source]]\ntype = 'journal'\n{more}\n[[forward]]\nurl = 'http://h'\n[control]\nenabled = false\n"
            )
        };
        let config = with(&journal("units = ['nginx']\npriority = 4")).unwrap();
        let want = Journal {
            paths: Vec::new(),
            units: vec!["nginx".to_owned()],
            identifiers: Vec::new(),
            priority: Some(4),
            from_beginning: false,
        };
        assert_eq!((&config.sources[..], config.control), (&[SourceConfig::Journal(want)][..], None));
        let measured = with("[[forward]]\nurl = 'http://h'\n").unwrap();
        assert_eq!((measured.sources.len(), measured.interval), (0, Some(Duration::from_secs(10))));
        let source = "[[source]]\npath = 'x'\n";
        for (text, what) in [
            ("[[source]]\npath = 'x'\n".to_owned(), "nobody is sent to"),
            (
                "[[forward]]\nurl = 'http://h'\n[telemetry]\nenabled = false\n".to_owned(),
                "nothing is followed",
            ),
            (format!("{source}[[forward]]\nurl = 'http://h'\nclient_key = 'k'\n"), "go together"),
            (format!("{source}[[forward]]\nurls = 'http://h'\n"), "agent.toml:4: unknown field `urls`"),
            (format!("{source}[[forward]]\nurl = 'http://h'\n[spool]\nmax_mib = 0\n"), "max_mib"),
            (format!("{source}[[forward]]\nurl = 'http://h'\n[[forward]]\nurl = 'http://h/'\n"), "twice"),
            ("[[source]]\n".to_owned(), "without a path"),
            (format!("{source}units = ['a']\n"), "for journals"),
            (journal("exclude = ['x']"), "exclude"),
            (journal("priority = 8"), "0 (emerg) to 7"),
        ] {
            let error = with(&text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
