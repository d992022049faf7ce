//! What keeps the store from storing, since when, and what it takes to go on.
//!
//! A full disk is a state, not an end: appends are refused with an error that says so, the sealer makes room or
//! waits for it, and clears the state itself. Whoever sends keeps its batch meanwhile.

use std::time::{SystemTime, UNIX_EPOCH};

use taffrail_record::Timestamp;

use super::{Shared, Store, Writer};
use crate::engine::{DiskStatus, DiskTrouble};
use crate::error::Error;

/// A full disk has space again when this much is free beside the reserve: enough not to be full at once.
pub(super) const ROOM_BYTES_MIN: u64 = 1 << 20;

/// Why nothing, or soon nothing, is stored.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    since: Timestamp,
    /// There is not enough space; else the disk fails.
    pub(super) full: bool,
    /// Free bytes that end it, when it is full.
    pub(super) needed_bytes: u64,
    cause: String,
    /// Only the log failed: its next success ends it.
    of_log: bool,
    /// Whether the program's own log has it.
    told: bool,
}

impl Shared {
    /// Notes a failure that ends by itself, and wakes the sealer and those who wait for it.
    pub(super) fn note(&self, writer: &mut Writer, error: &Error, needed_bytes: u64, of_log: bool) {
        let (full, cause) = (error.is_full(), error.to_string());
        let needed_bytes = if full { needed_bytes.max(ROOM_BYTES_MIN) } else { 0 };
        match &mut writer.trouble {
            // A full disk is what a person can do something about.
            Some(known) if known.full || !full => {
                known.needed_bytes = known.needed_bytes.max(needed_bytes);
                known.of_log &= of_log;
                if known.full == full {
                    known.cause = cause;
                }
            }
            other => {
                let told = !full;
                if told {
                    let directory = self.directory.display();
                    tracing::error!("the disk under {directory} fails, will try again: {cause}");
                }
                let since = other.as_ref().map_or_else(now, |known| known.since);
                *other = Some(Trouble { since, full, needed_bytes, cause, of_log, told });
            }
        }
        writer.failures += 1;
        self.changed.notify_all();
    }

    /// Says that the disk is full, once, when room cannot be made at once.
    pub(super) fn tell(&self, writer: &mut Writer) {
        let Some(trouble) = writer.trouble.as_mut().filter(|trouble| !trouble.told) else { return };
        trouble.told = true;
        tracing::warn!(
            "the disk under {} is full, {} bytes are needed: storing waits ({})",
            self.directory.display(),
            trouble.needed_bytes,
            trouble.cause
        );
    }

    /// It works again: all of it, or only the log.
    pub(super) fn clear(&self, writer: &mut Writer, is_over: impl FnOnce(&Trouble) -> bool) {
        let Some(trouble) = writer.trouble.take_if(|trouble| is_over(trouble)) else { return };
        self.changed.notify_all();
        if !trouble.told {
            return;
        }
        let seconds = now().0.saturating_sub(trouble.since.0) / Timestamp::SECOND;
        let what = if trouble.full { "has space again" } else { "works again" };
        let directory = self.directory.display();
        tracing::info!("the disk under {directory} {what} after {seconds} s: storing goes on");
    }

    /// The error that callers see.
    pub(super) fn refusal(&self, trouble: &Trouble) -> Error {
        let path = self.directory.clone();
        match trouble.full {
            true => Error::Full { path, needed_bytes: trouble.needed_bytes },
            false => Error::Failing { path, cause: trouble.cause.clone() },
        }
    }
}

impl Trouble {
    pub(super) fn is_of_log(&self) -> bool {
        self.of_log && !self.full
    }

    pub(super) fn is_failure(&self) -> bool {
        !self.full
    }
}

impl Store {
    /// How the store gets on with its disk; cheap.
    pub fn disk_status(&self) -> DiskStatus {
        let writer = self.shared.writer();
        let trouble = writer.trouble.as_ref().map(|trouble| DiskTrouble {
            since: trouble.since,
            full: trouble.full,
            needed_bytes: trouble.needed_bytes,
            cause: trouble.cause.clone(),
        });
        let dropped = writer.dropped;
        DiskStatus { trouble, dropped_records: dropped.records, dropped_bytes: dropped.bytes }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
