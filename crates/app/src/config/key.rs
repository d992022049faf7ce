//! The one table of keys. Parsing, defaults, environment names, suggestions and `docs/config.md` all come
//! from it; a new key is one entry that says who needs it.

mod control;
mod source;
mod telemetry;

use std::path::PathBuf;
use std::time::Duration;

use super::value::Value;
use super::{Config, LogLevel, SourceConfig, listen, unit};

/// Smallest `max_line`: shorter limits would cut ordinary lines.
const MAX_LINE_MIN: u64 = 1 << 10;
/// Largest `max_line`: a line is held in memory as a whole.
const MAX_LINE_MAX: u64 = 64 << 20;

/// Shortest `health.stall_after`: sooner, a busy machine is no different from a standing one.
const STALL_AFTER_MIN: Duration = Duration::from_secs(1);
/// Longest `health.stall_after`: later, nobody would call it a watchdog.
const STALL_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// One key of the config file.
pub(crate) struct Key {
    /// Its full name: `retention.max_age`, `source.path`.
    pub name: &'static str,
    /// What its value looks like, for people.
    pub form: &'static str,
    /// Its value where nobody gives one.
    pub default: Default,
    /// Who needs it and what it does.
    pub doc: &'static str,
    /// Where its value goes.
    pub target: Target,
}

/// What a key is where nobody gives it.
pub(crate) enum Default {
    /// This text, read as from the environment.
    Text(&'static str),
    /// Found at start; the text says how.
    Found(&'static str),
}

/// Where a value goes.
pub(crate) enum Target {
    /// Into the config; has an environment variable.
    Config(fn(&mut Config, &Value) -> Result<(), String>),
    /// Into one `[[source]]`.
    Source(fn(&mut SourceConfig, &Value) -> Result<(), String>),
}

impl Key {
    /// The environment variable of the key: `TAFFRAIL_RETENTION_MAX_AGE`.
    pub(crate) fn variable(&self) -> Option<String> {
        match (self.name, &self.target) {
            (_, Target::Source(_)) => None,
            ("data_dir", _) => Some("TAFFRAIL_DATA".to_owned()),
            (name, _) => Some(format!("TAFFRAIL_{}", name.replace('.', "_").to_uppercase())),
        }
    }
}

/// The key of this full name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// The names of the tables that hold keys: `retention`, `query`, ...
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    let heads = all().filter_map(|key| key.name.split_once('.')).map(|(head, _)| head);
    let mut last = "";
    heads.filter(move |head| std::mem::replace(&mut last, head) != *head)
}

/// All keys, in the order of the documentation.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(source::KEYS)
}

/// Those of the config itself.
static KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        form: "path",
        default: Default::Found(
            "`/var/lib/taffrail` for root, else `$XDG_DATA_HOME/taffrail` or `~/.local/share/taffrail`",
        ),
        doc: "Where everything is stored. For machines whose large disk is elsewhere.",
        target: Target::Config(|config, value| {
            let path = value.text()?;
            if path.is_empty() {
                return Err("an empty path; name a directory".to_owned());
            }
            if path.starts_with('~') {
                return Err("`~` means nothing in a config; write the whole path".to_owned());
            }
            config.data_dir = PathBuf::from(path);
            Ok(())
        }),
    },
    Key {
        name: "listen",
        form: "address:port",
        default: Default::Text("127.0.0.1:8062"),
        doc: "Where UI and API answer. For those who reach the machine over a network, or whose port 8062 is taken. \
              An address other than loopback also needs `allow_anonymous`.",
        target: Target::Config(|config, value| {
            config.listen = listen::address(value.text()?)?;
            Ok(())
        }),
    },
    Key {
        name: "allow_anonymous",
        form: "true or false",
        default: Default::Text("false"),
        doc: "Lets anyone who reaches `listen` read and post logs. For networks where that is wanted: whoever can \
              connect can read everything.",
        target: Target::Config(|config, value| {
            config.allow_anonymous = value.switch()?;
            Ok(())
        }),
    },
    Key {
        name: "allowed_hosts",
        form: "host names",
        default: Default::Text(""),
        doc: "Names besides localhost by which browsers may reach a loopback `listen`: those of a reverse proxy. \
              Requests under other names are refused, so that no web page can read the logs by DNS rebinding.",
        target: Target::Config(|config, value| {
            config.allowed_hosts = value.names()?;
            Ok(())
        }),
    },
    Key {
        name: "node",
        form: "name",
        default: Default::Found("the machine's host name"),
        doc: "The machine's name on records whose lines name none. For machines whose host name says nothing (containers).",
        target: Target::Config(|config, value| {
            value.text()?.clone_into(&mut config.node);
            Ok(())
        }),
    },
    Key {
        name: "formats",
        form: "path of a directory",
        default: Default::Found(
            "`formats` beside the config file, else `/etc/taffrail/formats`, if it is there",
        ),
        doc: "Where formats of your own are: `*.toml` files as those in `formats/` of the repository, with patterns, regular \
              expressions or grok. They are tried before the built-in ones and take the places of those with the same \
              names. `[[format]]` in the config file does the same. `taffrail check` tries their samples. For programs \
              whose lines nothing else understands.",
        target: Target::Config(|config, value| {
            config.formats_dir = Some(PathBuf::from(value.text()?));
            Ok(())
        }),
    },
    Key {
        name: "log_level",
        form: "error, warn, info, debug or trace",
        default: Default::Text("info"),
        doc: "How much the program says about itself on stderr. For looking into trouble; `-v` and `-q` do the same.",
        target: Target::Config(|config, value| {
            config.log_level = LogLevel::from_text(value.text()?)?;
            Ok(())
        }),
    },
    Key {
        name: "max_line",
        form: "size",
        default: Default::Text("1 MiB"),
        doc: "The longest line that is stored whole; the rest of a longer one is counted in the table `gaps`. For \
              programs that write whole documents in one line. 1 KiB to 64 MiB.",
        target: Target::Config(|config, value| {
            let bytes = unit::bytes(&value.quantity()?)?;
            if !(MAX_LINE_MIN..=MAX_LINE_MAX).contains(&bytes) {
                return Err("1 KiB to 64 MiB is possible".to_owned());
            }
            config.max_line_bytes = bytes;
            Ok(())
        }),
    },
    Key {
        name: "max_files",
        form: "number",
        default: Default::Text("50000"),
        doc: "Files of one `[[source]]` that are followed at most; what a pattern means beyond is left out, and that is said. \
              For machines with very many logs: each costs some kilobytes of memory.",
        target: Target::Config(|config, value| {
            config.max_files = value.count()?;
            Ok(())
        }),
    },
    Key {
        name: "retention.max_age",
        form: "duration",
        default: Default::Text("30d"),
        doc: "Records older than this are deleted. For those who must keep logs longer, or may not.",
        target: Target::Config(|config, value| {
            let age = unit::duration(&value.quantity()?)?;
            if age.is_zero() {
                return Err("would delete everything at once; the smallest is \"1m\"".to_owned());
            }
            config.retention.max_age = age;
            Ok(())
        }),
    },
    Key {
        name: "retention.max_size",
        form: "size",
        default: Default::Text("10 GiB"),
        doc: "Above this many bytes on disk the oldest records are deleted. For disks that are smaller, or larger.",
        target: Target::Config(|config, value| {
            config.retention.max_size_bytes = at_least(unit::bytes(&value.quantity()?)?, 64 << 20, "64 MiB")?;
            Ok(())
        }),
    },
    Key {
        name: "query.timeout",
        form: "duration",
        default: Default::Text("30s"),
        doc: "How long one search or SQL statement may take. For slow disks and long reports.",
        target: Target::Config(|config, value| {
            let timeout = unit::duration(&value.quantity()?)?;
            if timeout.is_zero() {
                return Err("no query would have an answer; the smallest is \"1ms\"".to_owned());
            }
            config.query.timeout = timeout;
            Ok(())
        }),
    },
    Key {
        name: "query.memory",
        form: "size",
        default: Default::Text("256 MiB"),
        doc: "Memory that all running queries share. For reports that sort or group more than fits.",
        target: Target::Config(|config, value| {
            config.query.memory_bytes = at_least(unit::bytes(&value.quantity()?)?, 16 << 20, "16 MiB")?;
            Ok(())
        }),
    },
    Key {
        name: "query.concurrent",
        form: "number",
        default: Default::Text("4"),
        doc: "Queries that run at the same time; others wait. For machines with many cores and many readers.",
        target: Target::Config(|config, value| {
            config.query.concurrent = value.count()?;
            Ok(())
        }),
    },
    Key {
        name: "memory.memtable",
        form: "size",
        default: Default::Text("32 MiB"),
        doc: "Records that are held in memory before they are written as a segment. For machines that are short of memory, \
              or write very much.",
        target: Target::Config(|config, value| {
            config.memory.memtable_bytes = at_least(unit::bytes(&value.quantity()?)?, 1 << 20, "1 MiB")?;
            Ok(())
        }),
    },
    Key {
        name: "health.stall_after",
        form: "duration",
        default: Default::Text("30s"),
        doc: "How long a file may hold unread bytes without reading moving on before the health turns red. For machines that \
              are known to be slow, and for tests. 1s to 1h.",
        target: Target::Config(|config, value| {
            let time = unit::duration(&value.quantity()?)?;
            if !(STALL_AFTER_MIN..=STALL_AFTER_MAX).contains(&time) {
                return Err("1s to 1h is possible".to_owned());
            }
            config.stall_after = time;
            Ok(())
        }),
    },
    control::LISTEN,
    control::LIVE_PORT,
    control::NODE_ID,
    control::FILES,
    control::TELEMETRY_PORT,
    control::TELEMETRY_INTERVAL,
    telemetry::ENABLED,
    telemetry::INTERVAL,
    telemetry::KEEP,
    telemetry::KEEP_HOURS,
    Key {
        name: "redact.rules",
        form: "list of `keys`, `tokens`, `jwt`, `cards`, `emails`",
        default: Default::Found("none"),
        doc: "What is overwritten in lines before anything of them is stored. `keys`: keys of AWS, GitHub, GitLab, Google, \
              Slack and Stripe, private keys, and values as in `password=...`; `tokens`: what follows `Bearer` and `Basic`, \
              passwords in URLs; `jwt`: JSON web tokens; `cards`: payment cards with a right check digit; `emails`. A \
              secret becomes `[redacted]` and stars, as long as it was, in exports too. For logs that must not hold them; \
              what was stored before stays.",
        target: Target::Config(|config, value| {
            config.redact.rules = value.names()?;
            config.redact.redactor().map(drop)
        }),
    },
    Key {
        name: "redact.patterns",
        form: "list of regular expressions",
        default: Default::Found("none"),
        doc: "What else is overwritten: the group `secret` of each match, as in `card (?P<secret>\\d+)`, or all of it. They \
              are matched against raw lines. For secrets that no rule knows.",
        target: Target::Config(|config, value| {
            config.redact.patterns =
                value.list()?.into_iter().filter(|pattern| !pattern.is_empty()).collect();
            config.redact.redactor().map(drop)
        }),
    },
];

fn at_least(bytes: u64, smallest: u64, name: &str) -> Result<u64, String> {
    if bytes < smallest { Err(format!("the smallest is {name}")) } else { Ok(bytes) }
}
