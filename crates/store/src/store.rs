//! The open data directory: takes batches in, answers with snapshots.
//!
//! A batch goes into the WAL and the memtable under one lock; when the memtable is full it is handed to the
//! sealer thread ([`sealer`]) and the WAL moves to a new file. [`recovery`] opens what is found on the disk,
//! [`bulk`] writes segments directly for imports.

pub mod bulk;
mod gaps;
mod recovery;
mod sealer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use taffrail_record::{Checkpoint, Gap, LogBatch, RawBatch};

pub use recovery::Recovered;

use crate::catalog::{Catalog, StoredGap};
use crate::engine::Stats;
use crate::error::{Error, Result};
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
    pub max_age: Option<std::time::Duration>,
    /// The oldest segments are removed while all together are larger; `None`: no limit.
    pub max_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memtable_bytes: 32 << 20, max_age: None, max_bytes: None }
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
    directory: PathBuf,
    limits: Limits,
    writer: Mutex<Writer>,
    /// Signals the sealer that there is work, and appenders that there is room.
    changed: Condvar,
    catalog: Mutex<Catalog>,
    view: RwLock<View>,
}

#[derive(Debug)]
struct Writer {
    /// `None` when opened to read.
    wal: Option<Wal>,
    memtable: Memtable,
    poisoned: Option<String>,
    stopping: bool,
    next_segment: i64,
}

/// What queries see beside the memtable.
#[derive(Clone, Debug, Default)]
struct View {
    segments: Arc<Vec<Arc<Segment>>>,
    sealing: Option<Arc<Sealing>>,
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
}

/// A moment of the store: everything stored by then, each record once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sealed records.
    pub segments: Arc<Vec<Arc<Segment>>>,
    /// The records that are in no segment yet; each batch is sorted by time.
    pub memory: Vec<Arc<RecordBatch>>,
}

/// A batch with all that a commit needs to know of it.
pub struct Append<'a> {
    /// Its frame for the WAL: see [`wal::frame::encode`].
    pub frame: &'a [u8],
    /// Its records.
    pub batch: LogBatch,
    /// Its source.
    pub source: &'a str,
    /// How far the source is read with it.
    pub checkpoint: Checkpoint,
    /// What could not be read before it.
    pub gaps: Vec<Gap>,
}

/// Waits for the disk.
pub struct Receipt {
    sequence: u64,
    sync: Arc<wal::Sync>,
}

impl Receipt {
    /// Returns once the batch survives a power cut. Many waiters share one sync.
    pub fn wait(&self) -> Result<()> {
        self.sync.wait(self.sequence)
    }
}

impl Store {
    /// Opens a data directory. What is damaged is set aside and reported in [`Recovered`].
    pub fn open(
        directory: &Path,
        access: Access,
        limits: Limits,
        decode: Decode<'_>,
    ) -> Result<(Self, Recovered)> {
        recovery::open(directory, access, limits, decode)
    }

    /// Stores a batch: it is in the next snapshot and survives the death of the process when this returns;
    /// [`Receipt::wait`] makes it survive a power cut too. Blocks while the disk is behind.
    pub fn append(&self, append: Append<'_>) -> Result<Receipt> {
        let mut writer = self.shared.writer();
        while writer.memtable.bytes() >= self.shared.limits.memtable_bytes {
            if self.shared.try_begin_seal(&mut writer)? {
                break;
            }
            writer = self.shared.changed.wait(writer).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(cause) = &writer.poisoned {
            return Err(Error::Poisoned(cause.clone()));
        }
        let wal = writer.wal.as_mut().ok_or(Error::Internal("append to a store that was opened to read"))?;
        let sync = wal.sync_handle();
        match wal.append(append.frame) {
            Ok(sequence) => {
                let raw_bytes =
                    append.batch.records().iter().map(|record| u64::from(record.raw.len) + 1).sum();
                writer.memtable.insert(append.batch, raw_bytes)?;
                writer.memtable.advance(append.source, append.checkpoint, append.gaps);
                Ok(Receipt { sequence, sync })
            }
            Err(error) => {
                // Half a frame may stand at the end: what came after it would be lost on replay.
                writer.poisoned = Some(error.to_string());
                Err(error)
            }
        }
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
        Ok(Snapshot { segments: view.segments, memory })
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

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Seals what is in memory and returns when it is in a segment.
    pub fn flush(&self) -> Result<()> {
        let mut writer = self.shared.writer();
        while !writer.memtable.is_empty() || self.shared.view().sealing.is_some() {
            if let Some(cause) = &writer.poisoned {
                return Err(Error::Poisoned(cause.clone()));
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
    pub fn time_bounds(&self) -> Option<(taffrail_record::Timestamp, taffrail_record::Timestamp)> {
        let segments =
            self.segments.iter().map(|segment| (segment.meta.min_timestamp, segment.meta.max_timestamp));
        let memory = self.memory.iter().filter_map(|batch| crate::columns::time_bounds(batch));
        let (min, max) = segments.chain(memory).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some((taffrail_record::Timestamp(min), taffrail_record::Timestamp(max)))
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
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.sealing.is_some() {
            return Ok(false);
        }
        let wal = writer.wal.as_mut().ok_or(Error::Internal("seal of a store that was opened to read"))?;
        let wal_floor = match wal.rotate() {
            Ok(number) => number,
            Err(error) => {
                writer.poisoned = Some(error.to_string());
                self.changed.notify_all();
                return Err(error);
            }
        };
        let mut memtable = std::mem::replace(&mut writer.memtable, Memtable::new());
        view.sealing = Some(Arc::new(Sealing {
            batches: memtable.batches()?,
            rows: memtable.rows(),
            raw_bytes: memtable.raw_bytes(),
            checkpoints: memtable.checkpoints(),
            gaps: memtable.gaps().to_vec(),
            wal_floor,
        }));
        self.changed.notify_all();
        Ok(true)
    }

    fn next_segment(&self) -> i64 {
        let mut writer = self.writer();
        writer.next_segment += 1;
        writer.next_segment - 1
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
