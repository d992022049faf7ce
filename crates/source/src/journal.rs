//! Follows journald's journal through `journalctl -o json`, whose cursor is the checkpoint's state.

mod child;
mod cursor;
mod entries;
mod order;
mod place;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use taffrail_record::{Checkpoint, Timestamp};

use self::cursor::Cursor;
use self::worker::Worker;
use crate::identity::Fingerprint;
use crate::source_thread::SourceThread;
use crate::{Error, Limits, Sink, SourceKind, SourceState, SourceStatus, StartAt};

pub use place::JournalPlace;

/// What a [`Journal`] follows.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// The source's name.
    pub source: String,
    /// Where the journal files are. Default: this machine's journal.
    pub place: JournalPlace,
    /// Entries of these units only; none: all.
    pub units: Vec<String>,
    /// Entries of these programs (`SYSLOG_IDENTIFIER`) only; none: all.
    pub identifiers: Vec<String>,
    /// Entries at least this bad only: 0 (emerg) to 7 (debug), as syslog counts. None: all.
    pub priority: Option<u8>,
    /// Where reading starts without a checkpoint. Default: the oldest entry.
    pub start_at: StartAt,
    /// Limits of lines and batches.
    pub limits: Limits,
    /// The program that reads journals, found in `PATH`. Default `journalctl`.
    pub program: PathBuf,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            source: "journal".to_owned(),
            place: JournalPlace::Machine,
            units: Vec::new(),
            identifiers: Vec::new(),
            priority: None,
            start_at: StartAt::Beginning,
            limits: Limits::default(),
            program: PathBuf::from("journalctl"),
        }
    }
}

impl JournalConfig {
    /// Whether the program that reads journals is there.
    pub fn can_run(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.program.components().count() > 1 && self.program.is_file()
            || std::env::split_paths(&path).any(|directory| directory.join(&self.program).is_file())
    }

    /// Whether not all entries are wanted.
    fn is_filtered(&self) -> bool {
        !self.units.is_empty() || !self.identifiers.is_empty() || self.priority.is_some()
    }

    fn filter_arguments(&self) -> Vec<OsString> {
        let units = self.units.iter().map(|unit| format!("--unit={unit}"));
        let identifiers = self.identifiers.iter().map(|identifier| format!("--identifier={identifier}"));
        let priority = self.priority.map(|priority| format!("--priority={priority}"));
        units.chain(identifiers).chain(priority).map(OsString::from).collect()
    }

    /// Tells one filter from another.
    fn filter_hash(&self) -> u64 {
        let mut words = self.filter_arguments();
        words.sort();
        Fingerprint::of(words.join(&OsString::from("\n")).as_encoded_bytes()).hash
    }

    /// What both kinds of calls have. Large fields are wanted whole (`--all`), and entries of all boots: without
    /// `--merge`, `--follow` shows those of the latest boot only, whatever else is asked for.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            ["--output=json", "--all", "--merge", "--no-pager"].map(OsString::from).to_vec();
        arguments.extend(self.place.arguments());
        if self.place == JournalPlace::Machine
            && let Some(machine) = machine_id()
        {
            // What other machines sent here is not this machine's.
            arguments.push(format!("_MACHINE_ID={machine}").into());
        }
        arguments
    }

    /// Everything from `cursor` on, itself first, or from the oldest entry; and what comes.
    fn follow_arguments(&self, cursor: Option<&Cursor>) -> Vec<OsString> {
        let mut arguments = self.arguments();
        arguments.extend(["--follow", "--no-tail"].map(OsString::from));
        arguments.extend(self.filter_arguments());
        arguments.extend(cursor.map(|cursor| OsString::from(format!("--cursor={}", cursor.as_str()))));
        arguments
    }

    /// The newest entry of all.
    fn newest_arguments(&self) -> Vec<OsString> {
        let mut arguments = self.arguments();
        arguments.push("--lines=1".into());
        arguments
    }
}

/// The id in `_MACHINE_ID` of this machine's entries.
fn machine_id() -> Option<String> {
    let text = fs_err::read_to_string("/etc/machine-id").ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Follows a journal until it is stopped. `checkpoint` is what the store holds for [`JournalConfig::source`].
///
/// # Errors
/// [`Error::Pattern`] for a file pattern that is no glob, [`Error::Thread`] where the system gives no thread.
pub fn follow_journal(
    config: JournalConfig,
    checkpoint: Option<&Checkpoint>,
    sink: Box<dyn Sink>,
    clock: fn() -> Timestamp,
) -> Result<SourceThread, Error> {
    config.place.look()?;
    let start = checkpoint.cloned();
    let status = SourceStatus {
        offset: start.as_ref().map_or(0, |checkpoint| checkpoint.offset),
        size: start.as_ref().map_or(0, |checkpoint| checkpoint.offset),
        lines: start.as_ref().map_or(0, |checkpoint| checkpoint.lines),
        ..SourceStatus::new(config.source.clone(), SourceKind::Journal, SourceState::Missing)
    };
    SourceThread::spawn(status, move |post| Worker::new(config, start, post, sink, clock).run())
}

#[cfg(test)]
mod tests;
