//! What one `[[source]]` says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use taffrail_parse::{FirstLine, Joiner};
use taffrail_record::Multiline;

use super::key::{self, Default, Target};
use super::value::Value;
use super::{Problem, unit};

/// The name of the source that is this machine's journal.
const JOURNAL: &str = "journal";
/// journald's priorities, the worst first.
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Files, a journal or pipes that are followed in the same way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SourceConfig {
    /// What it is.
    pub kind: SourceKind,
    /// Paths and globs.
    pub paths: Vec<String>,
    /// Paths and globs to leave out.
    pub exclude: Vec<String>,
    /// Where reading starts in a file that is new.
    pub start_at: StartAt,
    /// How often its files are looked at where the kernel does not tell what changes.
    pub poll_interval: Duration,
    /// The service of lines that name none; `None`: from the file's name.
    pub service: Option<String>,
    /// A journal's name; `None`: from its place.
    pub name: Option<String>,
    /// A journal's entries of these units only; none: all.
    pub units: Vec<String>,
    /// A journal's entries of these programs only; none: all.
    pub identifiers: Vec<String>,
    /// A journal's entries at least this bad only, 0 to 7.
    pub priority: Option<u8>,
    /// The zone of timestamps that name none.
    pub zone: ZoneChoice,
    /// The order of day and month in dates between slashes.
    pub dates: DatesChoice,
    /// The only format of its lines; `None`: each line's own.
    pub format: Option<String>,
    /// Which lines are one record.
    pub multiline: MultilineChoice,
}

/// What a source is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SourceKind {
    /// Files; named pipes that are there, and standard input.
    Files,
    /// journald's journal.
    Journal,
    /// Named pipes that may not be there yet.
    Pipe,
}

/// Where reading starts in a file that is seen for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StartAt {
    /// At its first byte.
    Beginning,
    /// After what it holds already.
    End,
    /// With the first whole line of its last bytes, so many.
    Last(u64),
}

impl StartAt {
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("last ")) {
            ("beginning", _) => Ok(Self::Beginning),
            ("end", _) => Ok(Self::End),
            (_, Some(size)) => unit::bytes(size).map(Self::Last),
            _ => Err(format!(
                "`{text}` is unknown; \"beginning\", \"end\" or a size as in \"last 1 MiB\" is possible"
            )),
        }
    }
}

/// The zone of timestamps that are written without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ZoneChoice {
    /// The machine's, at the moment of the timestamp.
    Local,
    /// Minutes east of UTC.
    Offset(i16),
}

/// The order of day and month in dates as `03/04/2026`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DatesChoice {
    /// The one that the lines of the source show.
    Auto,
    /// The day first.
    DayFirst,
    /// The month first.
    MonthFirst,
}

impl DatesChoice {
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "day-first" => Ok(Self::DayFirst),
            "month-first" => Ok(Self::MonthFirst),
            _ => Err(format!("`{text}` is unknown; \"auto\", \"day-first\" or \"month-first\" is possible")),
        }
    }

    /// Whether the day comes first, if that is said.
    pub(crate) fn day_first(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::DayFirst => Some(true),
            Self::MonthFirst => Some(false),
        }
    }
}

/// Which lines are one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MultilineChoice {
    /// Those that belong together as programs write them.
    Auto,
    /// Each.
    Off,
    /// Those from one line that this regular expression matches to the next.
    FirstLine(String),
}

impl MultilineChoice {
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let choice = match text {
            "auto" => Self::Auto,
            "off" => Self::Off,
            "" => return Err("an empty pattern; \"auto\" or \"off\" is possible".to_owned()),
            pattern => Self::FirstLine(pattern.to_owned()),
        };
        choice.joiner().map(|_| choice)
    }

    /// What joins lines so; none where each is a record.
    pub(crate) fn joiner(&self) -> Result<Option<Arc<dyn Multiline>>, String> {
        Ok(match self {
            Self::Auto => Some(Arc::new(Joiner::default())),
            Self::Off => None,
            Self::FirstLine(pattern) => Some(Arc::new(FirstLine::new(pattern)?)),
        })
    }
}

impl ZoneChoice {
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no zone; \"local\", \"UTC\" or an offset as \"+02:00\" is possible");
        match text.to_ascii_lowercase().as_str() {
            "local" => return Ok(Self::Local),
            "utc" | "z" => return Ok(Self::Offset(0)),
            _ => {}
        }
        let (hours, minutes) = text.get(1..).and_then(|rest| rest.split_once(':')).ok_or_else(wrong)?;
        let two_digits = |part: &str| (part.len() == 2).then(|| part.parse::<i16>().ok()).flatten();
        match (text.as_bytes().first(), two_digits(hours), two_digits(minutes)) {
            (Some(b'+'), Some(h @ 0..=18), Some(m @ 0..=59)) => Ok(Self::Offset(h * 60 + m)),
            (Some(b'-'), Some(h @ 0..=18), Some(m @ 0..=59)) => Ok(Self::Offset(-(h * 60 + m))),
            _ => Err(wrong()),
        }
    }
}

impl SourceConfig {
    /// A source whose keys have their defaults; it names no path yet.
    pub(crate) fn with_defaults() -> Self {
        let mut source = Self {
            kind: SourceKind::Files,
            paths: Vec::new(),
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            poll_interval: Duration::ZERO,
            service: None,
            name: None,
            units: Vec::new(),
            identifiers: Vec::new(),
            priority: None,
            zone: ZoneChoice::Local,
            dates: DatesChoice::Auto,
            format: None,
            multiline: MultilineChoice::Auto,
        };
        for key in key::all() {
            if let (Default::Text(text), Target::Source(set)) = (&key.default, &key.target) {
                set(&mut source, &Value::untyped(*text)).expect("a test reads every default");
            }
        }
        source
    }

    /// What a journal's source is called.
    pub(crate) fn journal_name(&self) -> String {
        let of_place = || match &self.paths[..] {
            [] => JOURNAL.to_owned(),
            paths => format!("{JOURNAL}:{}", paths.join(" ")),
        };
        self.name.clone().unwrap_or_else(of_place)
    }

    /// What is missing, or has no meaning for what it is.
    pub(super) fn problem(&self) -> Option<String> {
        let is_journal = self.kind == SourceKind::Journal;
        let of_journals = [
            ("name", self.name.is_some()),
            ("units", !self.units.is_empty()),
            ("identifiers", !self.identifiers.is_empty()),
            ("priority", self.priority.is_some()),
        ];
        let stray = of_journals.into_iter().find(|(_, given)| *given && !is_journal);
        if let Some((key, _)) = stray {
            return Some(format!("`source.{key}` is for journals; add type = \"journal\" or leave it out"));
        }
        let glob = self.paths.iter().find(|path| path.contains(['*', '?', '[', '{']));
        match (self.kind, glob) {
            (SourceKind::Files, _) if self.paths.is_empty() => {
                Some("this [[source]] names no file; add path = [\"/var/log/example/*.log\"]".to_owned())
            }
            (SourceKind::Pipe, _) if self.paths.is_empty() => {
                Some("this [[source]] names no pipe; add path = \"/run/example.fifo\"".to_owned())
            }
            (SourceKind::Pipe, Some(path)) => {
                Some(format!("a glob finds no pipe: name each in place of `{path}`"))
            }
            (SourceKind::Journal, _) if self.paths.iter().any(|path| path == "-") => {
                Some("a journal cannot be read from standard input; leave out type = \"journal\"".to_owned())
            }
            (SourceKind::Files, _) => None,
            _ if matches!(self.start_at, StartAt::Last(_)) => Some(
                "`source.start_at` = \"last SIZE\" is for files; \"beginning\" or \"end\" is possible"
                    .to_owned(),
            ),
            _ if !self.exclude.is_empty() => Some("`source.exclude` is for files; leave it out".to_owned()),
            _ => None,
        }
    }
}

/// journald's number for a priority's name, or the number itself.
pub(super) fn priority(text: &str) -> Result<u8, String> {
    let word = match text.to_ascii_lowercase().as_str() {
        "warn" => "warning".to_owned(),
        "error" => "err".to_owned(),
        word => word.to_owned(),
    };
    let found =
        PRIORITIES.iter().zip(0u8..).find(|(name, number)| word == **name || word == number.to_string());
    found.map(|(_, number)| number).ok_or_else(|| {
        format!(
            "`{text}` is unknown; {} is possible",
            PRIORITIES.map(|name| format!("\"{name}\"")).join(", ")
        )
    })
}

/// Two sources of one name would be one to whoever reads them.
pub(super) fn same_name(sources: &[SourceConfig]) -> Option<Problem> {
    let mut names = BTreeSet::new();
    let stdin = sources.iter().flat_map(|source| &source.paths).filter(|path| *path == "-").count();
    if stdin > 1 {
        return Some(Problem::new("source", "standard input (`-`) can be read once only".to_owned()));
    }
    let journals = sources.iter().filter(|source| source.kind == SourceKind::Journal);
    let twice = journals.map(SourceConfig::journal_name).find(|name| !names.insert(name.clone()))?;
    Some(Problem::new(
        "source",
        format!("two journals are called `{twice}`; give one of them another `name`"),
    ))
}
