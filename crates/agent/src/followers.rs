//! What the agent follows: files, and journals.

use std::path::Path;

use taffrail_record::{Checkpoint, Timestamp};
use taffrail_source::{
    Config, Error, Follower, JournalConfig, JournalPlace, Sink, SourceThread, StartAt, follow_journal,
};

use crate::config::{Files, Journal, SourceConfig};

/// What follows a source.
pub(crate) enum Following {
    Files(Follower),
    Journal(SourceThread),
}

impl Following {
    /// Follows a source, from where the checkpoints say.
    pub(crate) fn spawn(
        source: &SourceConfig,
        checkpoints: &[(String, Checkpoint)],
        sink: Box<dyn Sink>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, Error> {
        match source {
            SourceConfig::Files(files) => {
                say_what_is_waited_for(files);
                Follower::spawn(of_files(files), checkpoints.to_vec(), sink, clock).map(Self::Files)
            }
            SourceConfig::Journal(journal) => {
                let config = of_journal(journal);
                say_what_is_missing(&config);
                let known = checkpoints.iter().find(|(name, _)| *name == config.source);
                let known = known.map(|(_, checkpoint)| checkpoint);
                follow_journal(config, known, sink, clock).map(Self::Journal)
            }
        }
    }

    /// Hands over what was read, and reads nothing more.
    pub(crate) fn stop(self) {
        match self {
            Self::Files(follower) => follower.stop(),
            Self::Journal(thread) => thread.stop(),
        }
    }
}

fn start_at(from_beginning: bool) -> StartAt {
    if from_beginning { StartAt::Beginning } else { StartAt::End }
}

fn of_files(files: &Files) -> Config {
    Config {
        patterns: files.paths.clone(),
        exclude: files.exclude.clone(),
        start_at: start_at(files.from_beginning),
        ..Config::default()
    }
}

fn of_journal(journal: &Journal) -> JournalConfig {
    JournalConfig {
        source: journal.name(),
        place: JournalPlace::of_paths(&journal.paths),
        units: journal.units.clone(),
        identifiers: journal.identifiers.clone(),
        priority: journal.priority,
        start_at: start_at(journal.from_beginning),
        ..JournalConfig::default()
    }
}

/// Files by their names, as people mistype them.
fn say_what_is_waited_for(files: &Files) {
    let is_name = |path: &&String| !path.contains(['*', '?', '[', '{']);
    for path in files.paths.iter().filter(is_name).filter(|path| !Path::new(path).exists()) {
        tracing::info!("{path} is not there; it is followed as soon as it is");
    }
}

/// It is waited for, but whoever has started the agent wants to know.
fn say_what_is_missing(config: &JournalConfig) {
    let what = config.place.describe();
    if !config.can_run() {
        tracing::warn!("{what} is not read: `journalctl` is not in PATH");
    } else if !config.place.is_readable() {
        tracing::warn!("{what} may not be read; join the group systemd-journal");
    }
}
