//! What `taffrail run` says it follows, for the person who started it.

use taffrail_source::{JournalConfig, JournalPlace, PipePlace};

use super::Parts;
use crate::config::{Config, Origin, SourceConfig, SourceKind};
use crate::terminal::escape;

/// Followed files that the start-up message names.
const NAMED_FILES: usize = 6;

/// One line for each set of files, journal and pipe, and what is not followed though one could think so.
pub(crate) fn announcement(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    if config.sources_from == Origin::Default {
        lines.push("this machine's logs (neither paths nor a config were given):".to_owned());
    }
    for source in &config.sources {
        let parts = Parts::of(source, &[]);
        lines.extend(parts.journal.iter().map(journal));
        lines.extend(parts.pipes.iter().map(pipe));
        if !parts.patterns.is_empty() {
            lines.extend(files(source, &parts.patterns, config.max_files)?);
        }
    }
    if config.sources_from == Origin::Default {
        lines.extend(not_the_journal(&config.sources));
    }
    Ok(lines)
}

fn journal(journal: &JournalConfig) -> String {
    let what = escape(&journal.place.describe()).into_owned();
    if !journal.can_run() {
        return format!("{what}: not now, `journalctl` is not in PATH");
    }
    match (journal.place.files(), journal.place.is_readable()) {
        (0, _) => format!("{what}: nothing yet, waits for it"),
        (_, false) => format!("{what}: not now, it may not be read; join the group systemd-journal"),
        (1, _) => format!("{what}: 1 journal file"),
        (count, _) => format!("{what}: {count} journal files"),
    }
}

fn pipe(place: &PipePlace) -> String {
    match place {
        PipePlace::Stdin => "standard input, until it ends".to_owned(),
        PipePlace::Fifo(path) => {
            let there = if path.exists() { "" } else { ", when it is there" };
            format!("{}: a pipe, as writers come and go{there}", escape(&path.display().to_string()))
        }
    }
}

fn files(source: &SourceConfig, patterns: &[String], max_files: usize) -> anyhow::Result<Vec<String>> {
    let found = taffrail_source::discover(patterns, &source.exclude, max_files)?;
    let mut lines = Vec::new();
    let patterns = patterns.join(" ");
    let mut names: Vec<String> =
        found.files.iter().take(NAMED_FILES).map(|path| path.display().to_string()).collect();
    if found.files.len() > NAMED_FILES {
        names.push(format!("and {} more", found.files.len() - NAMED_FILES));
    }
    let names = if names.is_empty() { "nothing yet, waits for them".to_owned() } else { names.join(", ") };
    lines.push(format!("{}: {}", escape(&patterns), escape(&names)));
    lines.extend(found.refused.iter().take(NAMED_FILES).map(|(path, reason)| {
        format!("  not {}: {}", escape(&path.display().to_string()), escape(&reason.to_string()))
    }));
    Ok(lines)
}

/// Why the journal is left out where nobody said what to follow.
fn not_the_journal(sources: &[SourceConfig]) -> Option<String> {
    let followed = sources.iter().any(|source| source.kind == SourceKind::Journal);
    if followed || JournalPlace::Machine.files() == 0 {
        return None;
    }
    Some(if JournalPlace::Machine.is_readable() {
        "  not the journal: the system's log files have the same messages".to_owned()
    } else {
        "  not the journal: it may not be read; join the group systemd-journal".to_owned()
    })
}
