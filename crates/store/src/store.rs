//! The open data directory: takes batches in, answers with snapshots.
//!
//! A batch goes into the WAL and the memtable under one lock ([`append`]); when the memtable is full it is handed
//! to the sealer thread ([`sealer`]) and the WAL moves to a new file. [`recovery`] opens what is found on the
//! disk, [`bulk`] writes segments directly for imports. A full or failing disk is a state ([`trouble`]), for which
//! [`space`] is held and made.

pub mod append;
pub mod bulk;
mod gaps;
mod recovery;
mod sealer;
mod space;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::RecordBatch;
use taffrail_record::{Checkpoint, Gap, LogBatch, RawBatch, Timestamp};

pub use recovery::Recovered;

use self::space::Reserve;
use self::trouble::Trouble;
use crate::catalog::{Catalog, Dropped, StoredGap};
use crate::compaction;
use crate::disk::{Disk, RealDisk};
use crate::engine::Stats;
use crate::error::{Error, Result};
use crate::history::History;
use crate::index::summary::Summary;
use crate::lock::DirectoryLock;
use crate::memtable::Memtable;
use crate::segment::Segment;
use crate::wal::{self, Wal};

/// Limits of a store.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The memtable is sealed at this size. Default 32 MiB; a seal takes about as much again.
    pub memtable_bytes: usize,
    /// Segments are removed once their newest line was read longer ago than this; `None`: never.
    pub max_age: Option<Duration>,
    /// The oldest segments are removed while all together are larger; `None`: no limit.
    pub max_bytes: Option<u64>,
    /// Disk space that is held for the moment when there is no other. Default 4 MiB.
    pub reserve_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memtable_bytes: 32 << 20, max_age: None, max_bytes: None, reserve_bytes: space::RESERVE_BYTES }
    }
}

/// Times and counts that only tests change.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    /// Pause before what failed is tried again.
    retry: Duration,
    /// How often retention is checked when nothing is sealed.
    idle: Duration,
    /// How long a receipt waits for a segment when the log cannot be synced.
    patience: Duration,
    /// Small segments that are merged.
    merge_min: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(1),
            idle: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            merge_min: compaction::MERGE_MIN,
        }
    }
}

/// How a store is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// The one writer. Creates the directory if need be.
    Write,
    /// A reader beside other readers. The directory must exist and have no writer.
    Read,
}

/// Turns raw lines back into records; what was in the WAL is parsed again with it and its frame's origin.
pub type Decode<'a> = &'a mut dyn FnMut(RawBatch, &str) -> LogBatch;

/// An open data directory.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    sealer: Option<JoinHandle<()>>,
    _lock: DirectoryLock,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    limits: Limits,
    tuning: Tuning,
    reserve: Reserve,
    writer: Mutex<Writer>,
    /// Signals the sealer that there is work, and appenders that there is room.
    changed: Condvar,
    catalog: Mutex<Catalog>,
    history: Arc<History>,
    view: RwLock<View>,
}

#[derive(Debug)]
struct Writer {
    /// `None` when opened to read.
    wal: Option<Wal>,
    memtable: Memtable,
    /// What keeps it from storing.
    trouble: Option<Trouble>,
    /// How often something was noted as trouble.
    failures: u64,
    dropped: Dropped,
    stopping: bool,
    next_segment: i64,
    /// The time of reading of the last batch.
    arrived: Timestamp,
}

/// What queries see beside the memtable.
#[derive(Clone, Debug, Default)]
struct View {
    segments: Arc<Vec<Arc<Segment>>>,
    sealing: Option<Arc<Sealing>>,
    /// See [`Snapshot::deleted`].
    deleted: Option<Timestamp>,
}

/// A full memtable on its way into a segment.
#[derive(Debug)]
struct Sealing {
    batches: Vec<Arc<RecordBatch>>,
    rows: usize,
    raw_bytes: u64,
    checkpoints: Vec<(String, Checkpoint)>,
    gaps: Vec<(String, Gap)>,
    /// First WAL file that is needed after the commit.
    wal_floor: u64,
    /// Last frame of the log that is in it.
    covers: u64,
    sync: Arc<wal::Sync>,
}

/// A moment of the store: everything stored by then, each record once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sealed records.
    pub segments: Arc<Vec<Arc<Segment>>>,
    /// The records that are in no segment yet; each batch is sorted by time.
    pub memory: Vec<Arc<RecordBatch>>,
    /// The time of reading of the batch that was stored last: see [`Receipt::arrived`].
    pub arrived: Timestamp,
    /// Of the records that were read up to this time some have been deleted, for their age or for want of space.
    pub deleted: Option<Timestamp>,
}

impl Store {
    /// Opens a data directory. What is damaged is set aside and reported in [`Recovered`].
    pub fn open(
        directory: &Path,
        access: Access,
        limits: Limits,
        decode: Decode<'_>,
    ) -> Result<(Self, Recovered)> {
        recovery::open(Arc::new(RealDisk), directory, access, limits, Tuning::default(), decode)
    }

    /// How far the sources are read.
    pub fn checkpoints(&self) -> Result<Vec<(String, Checkpoint)>> {
        let writer = self.shared.writer();
        let mut all: std::collections::BTreeMap<_, _> =
            self.shared.catalog().checkpoints()?.into_iter().collect();
        if let Some(sealing) = &self.shared.view().sealing {
            all.extend(sealing.checkpoints.clone());
        }
        all.extend(writer.memtable.checkpoints());
        Ok(all.into_iter().collect())
    }

    /// Everything stored by now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut writer = self.shared.writer();
        let mut memory = writer.memtable.batches()?;
        let view = self.shared.view();
        if let Some(sealing) = &view.sealing {
            memory.extend(sealing.batches.iter().cloned());
        }
        let View { segments, deleted, .. } = view;
        Ok(Snapshot { segments, memory, arrived: writer.arrived, deleted })
    }

    /// What is stored, in numbers.
    pub fn stats(&self) -> Result<Stats> {
        let snapshot = self.snapshot()?;
        let mut summary = Summary::default();
        let mut stats = Stats { segments: snapshot.segments.len() as u64, ..Stats::default() };
        for segment in snapshot.segments.iter() {
            summary.merge(&segment.index.footer.summary);
            stats.records += segment.meta.rows;
            stats.segment_bytes += segment.meta.data_bytes + segment.meta.index_bytes;
            stats.raw_bytes += segment.meta.raw_bytes;
        }
        for batch in &snapshot.memory {
            summary.merge(&Summary::of(batch));
            stats.records_in_memory += batch.num_rows() as u64;
        }
        stats.records += stats.records_in_memory;
        let (oldest, newest) = snapshot.time_bounds().unzip();
        (stats.oldest, stats.newest) = (oldest, newest);
        let writer = self.shared.writer();
        stats.raw_bytes += writer.memtable.raw_bytes();
        stats.raw_bytes += self.shared.view().sealing.map_or(0, |sealing| sealing.raw_bytes);
        stats.wal_bytes = writer.wal.as_ref().map_or(0, Wal::bytes);
        drop(writer);
        stats.gap_bytes = self.gap_sums(0)?.totals.iter().map(|total| total.bytes).sum();
        stats.disk = self.disk_status();
        stats.groups = summary.engine_groups().collect();
        Ok(stats)
    }

    /// What could not be read.
    pub fn gaps(&self) -> Result<Vec<StoredGap>> {
        let writer = self.shared.writer();
        let sealing = self.shared.view().sealing;
        let mut all = self.shared.catalog().gaps()?;
        let unsealed = sealing.iter().flat_map(|sealing| &sealing.gaps).chain(writer.memtable.gaps());
        for (source, Gap { start, end, observed, reason }) in unsealed {
            let (source, reason) = (source.clone(), reason.name().to_owned());
            let gap = StoredGap { source, start: *start, end: *end, observed: *observed, reason };
            // One that is being committed stands in both places for a moment.
            if !all.contains(&gap) {
                all.push(gap);
            }
        }
        Ok(all)
    }

    /// The history of machines.
    pub fn history(&self) -> &Arc<History> {
        &self.shared.history
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Seals what is in memory and returns when it is in a segment. `Err` if the disk is full or fails: all
    /// of it is still in the log then.
    pub fn flush(&self) -> Result<()> {
        let mut writer = self.shared.writer();
        let failures = writer.failures;
        while !writer.memtable.is_empty() || self.shared.view().sealing.is_some() {
            match &writer.trouble {
                Some(trouble) if trouble.full || writer.failures > failures => {
                    return Err(self.shared.refusal(trouble));
                }
                _ => {}
            }
            if !writer.memtable.is_empty() && self.shared.try_begin_seal(&mut writer)? {
                continue;
            }
            writer = self.shared.changed.wait(writer).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

impl Snapshot {
    /// Times of the oldest and the newest record.
    pub fn time_bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let segments =
            self.segments.iter().map(|segment| (segment.meta.min_timestamp, segment.meta.max_timestamp));
        let memory = self.memory.iter().filter_map(|batch| crate::columns::time_bounds(batch));
        let (min, max) = segments.chain(memory).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some((Timestamp(min), Timestamp(max)))
    }
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands the memtable to the sealer; `false` if it is still busy with the one before.
    fn try_begin_seal(&self, writer: &mut Writer) -> Result<bool> {
        if self.view().sealing.is_some() {
            return Ok(false);
        }
        let wal = writer.wal.as_mut().ok_or(Error::Internal("seal of a store that was opened to read"))?;
        let batches = writer.memtable.batches()?;
        let memtable = std::mem::replace(&mut writer.memtable, Memtable::new());
        let sealing = Sealing {
            batches,
            rows: memtable.rows(),
            raw_bytes: memtable.raw_bytes(),
            checkpoints: memtable.checkpoints(),
            gaps: memtable.gaps().to_vec(),
            wal_floor: wal.rotate(),
            covers: wal.sequence(),
            sync: Arc::clone(wal.sync()),
        };
        self.view.write().unwrap_or_else(PoisonError::into_inner).sealing = Some(Arc::new(sealing));
        self.changed.notify_all();
        Ok(true)
    }

    fn next_segment(&self) -> i64 {
        let mut writer = self.writer();
        writer.next_segment += 1;
        writer.next_segment - 1
    }

    fn segments_directory(&self) -> PathBuf {
        self.directory.join("segments")
    }

    fn wal_directory(&self) -> PathBuf {
        self.directory.join("wal")
    }
}

impl Drop for Store {
    /// Ends the sealer. What is in memory stays in the WAL; call [`Store::flush`] first to seal it.
    fn drop(&mut self) {
        self.shared.writer().stopping = true;
        self.shared.changed.notify_all();
        if let Some(sealer) = self.sealer.take()
            && sealer.join().is_err()
        {
            tracing::error!("the sealer thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
