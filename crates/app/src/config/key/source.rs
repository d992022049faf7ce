//! The keys of `[[source]]`: what is followed, and how.

use std::time::Duration;

use super::{Default, Key, Target};
use crate::config::source::priority;
use crate::config::value::Value;
use crate::config::{DatesChoice, MultilineChoice, SourceKind, StartAt, ZoneChoice, unit};

/// Shortest `source.poll_interval`: sooner, looking would be all that is done.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest: later, files may have come and gone.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// All of them, in the order of the documentation.
pub(super) static KEYS: &[Key] = &[
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
        name: "source.poll_interval",
        form: "duration",
        default: Default::Text("250ms"),
        doc: "How often files are looked at where the kernel does not tell what changes: on NFS, CIFS and the like, and where its \
              watches are used up. For lines that are wanted sooner, or servers that are to be asked less often. 10ms to 1h.",
        target: Target::Source(|source, value| {
            source.poll_interval = poll_interval(&value.quantity()?)?;
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

fn non_empty(value: &Value) -> Result<Vec<String>, String> {
    let list = value.list()?;
    if list.iter().any(String::is_empty) {
        Err("an empty path; name a file or a glob".to_owned())
    } else {
        Ok(list)
    }
}

fn names(value: &Value) -> Result<Vec<String>, String> {
    let names = value.names()?;
    let odd = names.iter().find(|name| name.chars().any(char::is_control));
    odd.map_or(Ok(names.clone()), |odd| Err(format!("{odd:?} is no name")))
}

fn poll_interval(text: &str) -> Result<Duration, String> {
    let interval = unit::duration(text)?;
    let is_possible = (POLL_INTERVAL_MIN..=POLL_INTERVAL_MAX).contains(&interval);
    if is_possible { Ok(interval) } else { Err("10ms to 1h is possible".to_owned()) }
}
