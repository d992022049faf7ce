//! The one table of keys. Parsing, defaults, environment names, suggestions and `docs/config.md` all come
//! from it; a new key is one entry that says who needs it.

mod control;
mod telemetry;

use std::path::PathBuf;
use std::time::Duration;

use super::source::priority;
use super::value::Value;
use super::{
    Config, DatesChoice, LogLevel, MultilineChoice, SourceConfig, SourceKind, StartAt, ZoneChoice, listen,
    unit,
};

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
    KEYS.iter().find(|key| key.name == name)
}

/// The names of the tables that hold keys: `retention`, `query`, ...
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    let heads = KEYS.iter().filter_map(|key| key.name.split_once('.')).map(|(head, _)| head);
    let mut last = "";
    heads.filter(move |head| std::mem::replace(&mut last, head) != *head)
}

/// All keys, in the order of the documentation.
pub(crate) static KEYS: &[Key] = &[
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
    Key {
        name: "source.type",
        form: "\"files\", \"journal\" or \"pipe\"",
        default: Default::Text("files"),
        doc: "What is followed: files; journald's journal, read by systemd's `journalctl`; or named pipes that need not be \
              there yet.",
        target: Target::Source(|source, value| {
            source.kind = match value.text()? {
                "files" => SourceKind::Files,
                "journal" | "journald" => SourceKind::Journal,
                "pipe" => SourceKind::Pipe,
                other => {
                    return Err(format!(
                        "`{other}` is unknown; \"files\", \"journal\" or \"pipe\" is possible"
                    ));
                }
            };
            Ok(())
        }),
    },
    Key {
        name: "source.path",
        form: "list of paths or globs",
        default: Default::Found("needed, but for a journal: this machine's"),
        doc: "The files to follow. `*` and `?` stay within a directory, `**` goes through directories, `{a,b}` is either. \
              `-` is standard input. A named pipe is read when its path is written out: reading takes the lines away from \
              others, so no glob does. For a journal: a directory of journal files, or files and globs of files.",
        target: Target::Source(|source, value| {
            source.paths.extend(non_empty(value)?);
            Ok(())
        }),
    },
    Key {
        name: "source.exclude",
        form: "list of paths or globs",
        default: Default::Found("none"),
        doc: "Files not to follow though `path` names them. For directories with one noisy file.",
        target: Target::Source(|source, value| {
            source.exclude = non_empty(value)?;
            Ok(())
        }),
    },
    Key {
        name: "source.start_at",
        form: "\"beginning\", \"end\" or \"last SIZE\"",
        default: Default::Text("beginning"),
        doc: "Where reading starts in files and journals that are there at the first start; \"last 1 MiB\" begins with the first whole \
              line of the last MiB. For huge old files that are not worth reading. Files that appear later are read whole.",
        target: Target::Source(|source, value| {
            source.start_at = StartAt::from_text(value.text()?)?;
            Ok(())
        }),
    },
    Key {
        name: "source.service",
        form: "name",
        default: Default::Found("from the line, else from the file's name"),
        doc: "The service on records whose lines name none. For files called `out.log`.",
        target: Target::Source(|source, value| {
            source.service = Some(value.text()?.to_owned()).filter(|service| !service.is_empty());
            Ok(())
        }),
    },
    Key {
        name: "source.name",
        form: "name",
        default: Default::Found("`journal`, or `journal:DIRECTORY`"),
        doc: "What a journal's source is called. For two sources that read one journal with different filters.",
        target: Target::Source(|source, value| {
            source.name = Some(value.text()?.to_owned()).filter(|name| !name.is_empty());
            Ok(())
        }),
    },
    Key {
        name: "source.units",
        form: "list of unit names",
        default: Default::Found("all"),
        doc: "Entries of these systemd units only, with systemd's own words about them: `nginx.service`. For journals of \
              which little is wanted.",
        target: Target::Source(|source, value| {
            source.units = names(value)?;
            Ok(())
        }),
    },
    Key {
        name: "source.identifiers",
        form: "list of names",
        default: Default::Found("all"),
        doc: "Journal entries of these programs only, as `SYSLOG_IDENTIFIER` has them: `sshd`, `kernel`.",
        target: Target::Source(|source, value| {
            source.identifiers = names(value)?;
            Ok(())
        }),
    },
    Key {
        name: "source.priority",
        form: "\"emerg\", \"alert\", \"crit\", \"err\", \"warning\", \"notice\", \"info\" or \"debug\"",
        default: Default::Found("all"),
        doc: "Journal entries that are at least this bad only.",
        target: Target::Source(|source, value| {
            source.priority = Some(priority(value.text()?)?);
            Ok(())
        }),
    },
    Key {
        name: "source.zone",
        form: "\"local\", \"UTC\" or an offset as \"+02:00\"",
        default: Default::Text("local"),
        doc: "The time zone of timestamps that are written without one. For files from machines elsewhere.",
        target: Target::Source(|source, value| {
            source.zone = ZoneChoice::from_text(value.text()?)?;
            Ok(())
        }),
    },
    Key {
        name: "source.dates",
        form: "\"auto\", \"day-first\" or \"month-first\"",
        default: Default::Text("auto"),
        doc: "What `03/04/2026` is: the third of April or the fourth of March. With `auto` the lines of the source tell: \
              numbers above twelve, days that go by, lines that were just written; until one does, the month is first.",
        target: Target::Source(|source, value| {
            source.dates = DatesChoice::from_text(value.text()?)?;
            Ok(())
        }),
    },
    Key {
        name: "source.format",
        form: "name of a format",
        default: Default::Found("each line's own"),
        doc: "The only format that lines of this source can have; what is in no line of it is stored as plain text. For files \
              whose lines are taken for something else; `taffrail explain LINE` names formats.",
        target: Target::Source(|source, value| {
            source.format = Some(value.text()?.to_owned());
            Ok(())
        }),
    },
    Key {
        name: "source.multiline",
        form: "\"auto\", \"off\" or a regular expression",
        default: Default::Text("auto"),
        doc: "Which lines are one record. `auto` joins stack traces, indented text, what container runtimes have split, and \
              lines without a time after one with a time; with `off` every line is a record; a regular expression \
              matches the first line of each record, for programs that nothing else helps with. A record that may go on \
              is held for half a second at most; it ends after 1,000 lines or `max_line` bytes. Journals keep their own \
              records.",
        target: Target::Source(|source, value| {
            source.multiline = MultilineChoice::from_text(value.text()?)?;
            Ok(())
        }),
    },
];

fn at_least(bytes: u64, smallest: u64, name: &str) -> Result<u64, String> {
    if bytes < smallest { Err(format!("the smallest is {name}")) } else { Ok(bytes) }
}

fn names(value: &Value) -> Result<Vec<String>, String> {
    let names = value.names()?;
    let odd = names.iter().find(|name| name.chars().any(char::is_control));
    odd.map_or(Ok(names.clone()), |odd| Err(format!("{odd:?} is no name")))
}

fn non_empty(value: &Value) -> Result<Vec<String>, String> {
    let list = value.list()?;
    if list.iter().any(String::is_empty) {
        Err("an empty path; name a file or a glob".to_owned())
    } else {
        Ok(list)
    }
}
