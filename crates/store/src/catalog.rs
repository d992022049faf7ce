//! `taffrail.db`: which segments exist, how far every source is read, what could not be read.
//!
//! Its transactions are the commit points of the whole program: segments and checkpoints change together or
//! not at all. The schema's version is SQLite's `user_version`.

mod gap_totals;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use taffrail_record::{Checkpoint, Gap, Timestamp};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::history;
use crate::segment::SegmentMeta;

/// Newest version of the schema that this program reads and writes.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL,
    min_timestamp INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    max_observed INTEGER NOT NULL,
    data_bytes INTEGER NOT NULL,
    index_bytes INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL
);
CREATE TABLE checkpoints (
    source TEXT PRIMARY KEY,
    offset INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    start_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (source, start_offset, end_offset, reason)
);
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// The open catalog.
#[derive(Debug)]
pub struct Catalog {
    disk: Arc<dyn Disk>,
    pub(crate) connection: Connection,
}

/// What was deleted because the disk was full, since the store was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Records.
    pub records: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

impl Dropped {
    /// The keys of the two in `state`.
    const KEYS: [&str; 2] = ["dropped_records", "dropped_bytes"];
}

/// A row of `gaps`: bytes of a source that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredGap {
    /// The source.
    pub source: String,
    /// Offset of the first missing byte.
    pub start: u64,
    /// Offset after the last missing byte.
    pub end: u64,
    /// When it was noticed.
    pub observed: Timestamp,
    /// Why: the name of a [`taffrail_record::GapReason`].
    pub reason: String,
}

/// What one commit changes.
#[derive(Debug, Default)]
pub struct Commit<'a> {
    /// Segments that are complete and durable.
    pub added: &'a [SegmentMeta],
    /// Segments that are no longer part of the store.
    pub removed: &'a [i64],
    /// How far the sources are read with the added segments.
    pub checkpoints: &'a [(String, Checkpoint)],
    /// What could not be read, by source.
    pub gaps: &'a [(String, Gap)],
    /// WAL files below this number hold nothing that is not in a segment.
    pub wal_floor: Option<u64>,
    /// How much of what is removed goes for want of space; added to the count.
    pub dropped: Dropped,
    /// What is removed is deleted, not replaced: the newest time of reading in it.
    pub deleted: Option<Timestamp>,
}

impl Catalog {
    /// Opens or creates the catalog, and checks that it is sound.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(Error::damaged(path, &sound));
        }
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0..=VERSION => {
                let transaction = connection.transaction()?;
                if version == 0 {
                    transaction.execute_batch(SCHEMA)?;
                }
                // Version 2 has the history of machines; a figure that came later has its columns.
                history::create(&transaction)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
            }
            found => return Err(Error::TooNew { path: path.to_owned(), found, known: VERSION }),
        }
        Ok(Self { disk, connection })
    }

    /// Opens an existing catalog without the right to change it.
    pub fn open_read_only(disk: Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match Connection::open_with_flags(path, flags) {
            Ok(connection) => connection,
            Err(_) if !path.exists() => {
                return Err(Error::Missing(path.parent().unwrap_or(path).to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found > VERSION {
            return Err(Error::TooNew { path: path.to_owned(), found, known: VERSION });
        }
        Ok(Self { disk, connection })
    }

    /// Applies a commit: all of it is durable when this returns, or nothing of it happened.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<()> {
        self.disk.commit()?;
        let transaction = self.connection.transaction()?;
        for segment in commit.added {
            insert_segment(&transaction, segment)?;
        }
        for id in commit.removed {
            transaction.execute("DELETE FROM segments WHERE id = ?1", [id])?;
        }
        for (source, checkpoint) in commit.checkpoints {
            put_checkpoint(&transaction, source, checkpoint)?;
        }
        for (source, gap) in commit.gaps {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO gaps (source, start_offset, end_offset, observed, reason)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    source,
                    gap.start as i64,
                    gap.end as i64,
                    gap.observed.0,
                    gap.reason.name()
                ])?;
        }
        if let Some(floor) = commit.wal_floor {
            transaction.execute("INSERT OR REPLACE INTO state VALUES ('wal_floor', ?1)", [floor as i64])?;
        }
        if commit.dropped != Dropped::default() {
            count_dropped(&transaction, commit.dropped)?;
        }
        if let Some(deleted) = commit.deleted {
            transaction.execute(
                "INSERT INTO state VALUES ('deleted', ?1) ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
                [deleted.0],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// All segments, by id.
    pub fn segments(&self) -> Result<Vec<SegmentMeta>> {
        let mut statement = self.connection.prepare(
            "SELECT id, rows, min_timestamp, max_timestamp, max_observed, data_bytes, index_bytes, raw_bytes
             FROM segments ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(SegmentMeta {
                id: row.get(0)?,
                rows: row.get::<_, i64>(1)? as u64,
                min_timestamp: row.get(2)?,
                max_timestamp: row.get(3)?,
                max_observed: row.get(4)?,
                data_bytes: row.get::<_, i64>(5)? as u64,
                index_bytes: row.get::<_, i64>(6)? as u64,
                raw_bytes: row.get::<_, i64>(7)? as u64,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How far the sources are read.
    pub fn checkpoints(&self) -> Result<Vec<(String, Checkpoint)>> {
        let mut statement =
            self.connection.prepare("SELECT source, offset, lines, state FROM checkpoints")?;
        let rows = statement.query_map([], |row| {
            let (offset, lines) = (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
            Ok((row.get(0)?, Checkpoint { offset, lines, state: row.get(3)? }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The rows of `gaps`, in the order in which they were noticed.
    pub fn gaps(&self) -> Result<Vec<StoredGap>> {
        let mut statement = self
            .connection
            .prepare("SELECT source, start_offset, end_offset, observed, reason FROM gaps ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            let (start, end) = (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
            let observed = Timestamp(row.get(3)?);
            Ok(StoredGap { source: row.get(0)?, start, end, observed, reason: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The first WAL file that may hold records without a segment.
    pub fn wal_floor(&self) -> Result<u64> {
        self.state("wal_floor")
    }

    /// Up to when records were read of which some have been deleted; `None`: none were.
    pub fn deleted(&self) -> Result<Option<Timestamp>> {
        Ok(self.known_state("deleted")?.map(Timestamp))
    }

    /// What was deleted because the disk was full.
    pub fn dropped(&self) -> Result<Dropped> {
        let [records, bytes] = Dropped::KEYS.map(|key| self.state(key));
        Ok(Dropped { records: records?, bytes: bytes? })
    }

    /// A number of the table `state`; 0 if it is not there.
    fn state(&self, key: &str) -> Result<u64> {
        Ok(self.known_state(key)?.unwrap_or(0) as u64)
    }

    fn known_state(&self, key: &str) -> Result<Option<i64>> {
        let find = "SELECT value FROM state WHERE key = ?1";
        Ok(self.connection.query_row(find, [key], |row| row.get(0)).optional()?)
    }
}

fn count_dropped(transaction: &Transaction<'_>, dropped: Dropped) -> Result<()> {
    for (key, more) in Dropped::KEYS.into_iter().zip([dropped.records, dropped.bytes]) {
        transaction.execute(
            "INSERT INTO state VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + ?2",
            params![key, more as i64],
        )?;
    }
    Ok(())
}

fn insert_segment(transaction: &Transaction<'_>, segment: &SegmentMeta) -> Result<()> {
    transaction.prepare_cached("INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            segment.id,
            segment.rows as i64,
            segment.min_timestamp,
            segment.max_timestamp,
            segment.max_observed,
            segment.data_bytes as i64,
            segment.index_bytes as i64,
            segment.raw_bytes as i64,
        ],
    )?;
    Ok(())
}

fn put_checkpoint(transaction: &Transaction<'_>, source: &str, checkpoint: &Checkpoint) -> Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![source, checkpoint.offset as i64, checkpoint.lines as i64, checkpoint.state])?;
    Ok(())
}
