//! `taffrail sources`: what is followed and how far it is read, as the daemon tells it; without one, where the
//! stored checkpoints stand.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use taffrail_record::Checkpoint;
use taffrail_serve::api::{SOURCES_LIMIT_MAX, Source, SourcesAnswer, is_named};
use taffrail_source::{Glance, SourceKind, StoppedAt};
use taffrail_store::Store;
use taffrail_store::engine::GAPS_NEWEST;

use super::columns::{Table, age, seconds_since, width, wrap};
use super::import::STREAM_STATE;
use crate::cli::SourcesArgs;
use crate::client::Client;
use crate::config::{Config, unit};
use crate::exit::Outcome;
use crate::standing;
use crate::store_access::{self, Data};
use crate::terminal::{Terminal, escape, escape_json};

/// The state of sources that nobody follows now.
const NOT_RUNNING: &str = "not running";

/// Runs the command.
pub(crate) fn run(args: &SourcesArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let answer = match store_access::find(&config.data_dir)? {
        Data::Daemon(client) => ask(&client, pattern)?,
        Data::Store(store) => stored(&store, pattern)?,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        for source in &answer.sources {
            let line = serde_json::to_string(source)?;
            writeln!(out, "{}", if terminal.stdout { escape_json(&line) } else { line.into() })?;
        }
    } else if !answer.sources.is_empty() {
        out.write_all(table(&answer.sources, width(terminal), terminal).as_bytes())?;
    }
    out.flush()?;
    if answer.sources.is_empty() {
        terminal.hint(if pattern.is_empty() {
            "no source is known; `taffrail check` says what would be followed"
        } else {
            "no source has that in its name; `taffrail sources` lists all"
        });
    }
    if answer.total > answer.sources.len() as u64 {
        terminal.note(&format!(
            "{} sources are not shown; name a part of those you want",
            answer.total - answer.sources.len() as u64
        ));
    }
    Ok(Outcome::found(!answer.sources.is_empty()))
}

/// As many sources as the daemon tells at once.
pub(super) fn ask(client: &Client, pattern: &str) -> anyhow::Result<SourcesAnswer> {
    client.get("/api/v1/sources", &[("name", pattern), ("limit", &SOURCES_LIMIT_MAX.to_string())])
}

/// Where reading stopped, of everything that can be followed again.
pub(super) fn stored(store: &Store, pattern: &str) -> anyhow::Result<SourcesAnswer> {
    let followed = |checkpoint: &Checkpoint| !matches!(checkpoint.state.as_str(), "" | STREAM_STATE);
    let checkpoints = store.checkpoints()?.into_iter();
    let checkpoints =
        checkpoints.filter(|(name, checkpoint)| followed(checkpoint) && is_named(pattern, name));
    let sources = checkpoints.map(|(name, checkpoint)| stopped(name, &checkpoint)).collect();
    Ok(SourcesAnswer::new(sources, &store.gap_sums(GAPS_NEWEST)?))
}

fn stopped(name: String, checkpoint: &Checkpoint) -> Source {
    let path = name.starts_with('/').then(|| name.clone());
    let place = StoppedAt::of(checkpoint);
    let glance = path.as_deref().and_then(|path| Glance::at(Path::new(path)));
    let (position, known_size) = place.map_or((0, 0), |place| (place.position, place.size));
    let (size, lag_bytes) = match (place, glance) {
        (Some(place), Some(glance)) if place.identity.may_be(&glance.identity) => {
            (glance.size, glance.size.saturating_sub(position))
        }
        (_, Some(glance)) => (glance.size, known_size.saturating_sub(position) + glance.size),
        (_, None) => (known_size, known_size.saturating_sub(position)),
    };
    Source {
        kind: kind(&name, &checkpoint.state).to_owned(),
        state: NOT_RUNNING.to_owned(),
        path,
        identity: place.map(|place| standing::identity(place.identity)),
        offset: checkpoint.offset,
        position,
        size,
        lag_bytes,
        records: checkpoint.lines,
        source: name,
        ..Source::default()
    }
}

/// What the checkpoint's first word says it is.
fn kind(name: &str, state: &str) -> &'static str {
    let kind = match state.split(' ').next() {
        Some("journal") => SourceKind::Journal,
        Some("pipe") if name.starts_with('/') => SourceKind::Fifo,
        Some("pipe") => SourceKind::Stdin,
        _ => SourceKind::File,
    };
    kind.name()
}

fn table(sources: &[Source], width: usize, terminal: Terminal) -> String {
    let mut table = Table::new(&["STATE", "LINES", "LAG", "BEHIND", "READ", "GAPS", "SOURCE"]);
    let bytes = |bytes: u64| if bytes == 0 { "-".to_owned() } else { unit::human_bytes(bytes) };
    for source in sources {
        table.row(vec![
            word(source).to_owned(),
            source.records.to_string(),
            bytes(source.lag_bytes),
            Some(source.lag_seconds as u64).filter(|waited| *waited > 0).map_or("-".to_owned(), age),
            source.last_read.as_deref().and_then(seconds_since).map_or("-".to_owned(), age),
            bytes(source.gaps.bytes),
            escape(&source.source).into_owned(),
        ]);
    }
    let lines = table.lines(width);
    let mut out = format!("{}\n", terminal.faint(&lines[0]));
    for (source, line) in sources.iter().zip(&lines[1..]) {
        // Only the first column is painted: it is as wide as without colours.
        let (state, rest) = line.split_at(word(source).len());
        out.push_str(&format!("{}{rest}\n", painted(source, state, terminal)));
        for line in reason(source).iter().flat_map(|reason| wrap(&escape(reason), width - 2)) {
            out.push_str(&format!("  {}\n", terminal.faint(&line)));
        }
    }
    out
}

fn word(source: &Source) -> &str {
    if source.stalled { "stalled" } else { &source.state }
}

fn painted(source: &Source, state: &str, terminal: Terminal) -> String {
    match word(source) {
        "stalled" => terminal.severity("ERROR", state),
        "failed" => terminal.severity("WARNING", state),
        "following" => terminal.severity("INFO", state),
        _ => terminal.faint(state),
    }
}

/// Why it is not read; nothing about errors that are over.
fn reason(source: &Source) -> Option<&str> {
    let of_now = source.stalled || matches!(source.state.as_str(), "failed" | "refused");
    source.error.as_deref().filter(|_| of_now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_serve::api::SourceGaps;

    fn source(name: &str, state: &str) -> Source {
        Source { source: name.to_owned(), state: state.to_owned(), ..Source::default() }
    }

    #[test]
    fn checkpoints_say_what_a_source_is() {
        for (name, state, want) in [
            ("/a", "v1 dev=1 ino=2", "file"),
            ("/a", "v1 between", "file"),
            ("/a", "pipe v1", "fifo"),
            ("stdin", "pipe v1", "stdin"),
            ("journal", "journal v1 s=1", "journal"),
        ] {
            assert_eq!(kind(name, state), want, "{name} {state}");
        }
    }

    #[test]
    fn the_table_fits_80_columns_and_says_why() {
        let long = format!("/srv/{}/app.log", "deep/".repeat(30));
        let why = "failed to open file `/x`: Permission denied (os error 13), which is a rather long way of saying no";
        let sources = [
            Source {
                records: 12_345_678_901,
                lag_bytes: 1_300_000_000,
                lag_seconds: 75.5,
                gaps: SourceGaps { bytes: 1_536, ..SourceGaps::default() },
                ..source(&long, "following")
            },
            Source { stalled: true, error: Some(why.to_owned()), ..source("/x\n\x1b[2J", "failed") },
            Source { error: Some("over".to_owned()), ..source("/y", "following") },
            source("/z", NOT_RUNNING),
        ];
        let terminal = Terminal { stdout: false, hints: false, notes: false, color: false };
        let text = table(&sources, 80, terminal);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("STATE              LINES"), "{text}");
        assert!(lines[1].contains("1.2 GiB") && lines[1].ends_with("/app.log"), "{text}");
        assert!(lines[2].starts_with("stalled") && lines[2].ends_with("/x␊␛[2J"), "{text}");
        assert!(lines[3].starts_with("  failed to open"), "{text}");
        assert!(!text.contains("over\n") && text.contains("not running"), "{text}");
        let colored = table(&sources, 80, Terminal { color: true, ..terminal });
        assert!(colored.contains("\x1b[1;31mstalled\x1b[0m      "), "{colored}");
    }
}
