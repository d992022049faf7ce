//! A store on a faulty disk, somebody who fills it as a follower does, and a look at what is there afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use taffrail_record::{Checkpoint, Timestamp};

use super::{batches, line, parse, raw_of};
use crate::disk::faulty::FaultyDisk;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::schema;
use crate::store::append::{Append, Receipt};
use crate::store::{Access, Limits, Recovered, Store, Tuning, recovery};
use crate::wal;

/// Lines that stay.
pub(super) const KEPT: &str = "/kept.log";
/// Lines that were read so long ago that retention removes them.
pub(super) const OLD: &str = "/old.log";
/// Lines that are imported.
pub(super) const BULK: &str = "/bulk.log";
/// Longer than anything that ends takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// A data directory in memory where there is one: thousands of them are synced again and again.
pub(super) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub(super) fn limits() -> Limits {
    let max_age = Some(Duration::from_secs(3_600));
    Limits { max_age, reserve_bytes: 8 << 10, ..Limits::default() }
}

pub(super) fn tuning(patience: Duration) -> Tuning {
    Tuning { retry: Duration::from_millis(2), idle: Duration::from_millis(15), patience, merge_min: 3 }
}

pub(super) fn open_on(
    disk: Arc<dyn Disk>,
    directory: &Path,
    limits: Limits,
    tuning: Tuning,
) -> Result<(Store, Recovered)> {
    recovery::open(disk, directory, Access::Write, limits, tuning, &mut parse)
}

/// Somebody who stores lines, and what the store told of them.
pub(super) struct Sender<'a> {
    pub(super) store: &'a Store,
    /// Whether to try again what fails; else the first failure ends it.
    pub(super) patient: bool,
    /// Lines of each source that were taken.
    pub(super) taken: BTreeMap<&'static str, u64>,
    /// Lines of each source that survive a power cut.
    pub(super) durable: BTreeMap<&'static str, u64>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(store: &'a Store, patient: bool) -> Self {
        Self { store, patient, taken: BTreeMap::new(), durable: BTreeMap::new() }
    }

    pub(super) fn append(&mut self, source: &'static str, count: u64) -> Result<Receipt> {
        let first = self.taken.get(source).copied().unwrap_or(0);
        let observed = if source == OLD { Timestamp(7) } else { Timestamp(i64::MAX / 2) };
        let raw = raw_of(source, observed, first, count);
        let frame = wal::Frame::new(&raw, "note");
        let checkpoint = raw.checkpoint.clone();
        let batch = parse(raw, "");
        let mut append = Append { frame, batch, source, checkpoint, gaps: Vec::new() };
        let until = Instant::now() + DEADLINE;
        loop {
            match self.store.append(append) {
                Ok(receipt) => {
                    self.taken.insert(source, first + count);
                    return Ok(receipt);
                }
                Err(refused) => {
                    let refused = *refused;
                    self.again(refused.error, until)?;
                    append = refused.append;
                }
            }
        }
    }

    /// Appends, and waits for the disk.
    pub(super) fn push(&mut self, source: &'static str, count: u64) -> Result<()> {
        let receipt = self.append(source, count)?;
        receipt.wait()?;
        // One log for all: what came before is durable, too.
        self.durable.extend(self.taken.iter().filter(|(source, _)| **source != BULK));
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let until = Instant::now() + DEADLINE;
        while let Err(error) = self.store.flush() {
            self.again(error, until)?;
        }
        self.durable.extend(&self.taken);
        Ok(())
    }

    /// Imports lines up to `end`, in two batches.
    pub(super) fn import(&mut self, end: u64) -> Result<()> {
        let until = Instant::now() + DEADLINE;
        while let Err(error) = self.try_import(end) {
            self.again(error, until)?;
        }
        self.taken.insert(BULK, end);
        self.durable.insert(BULK, end);
        Ok(())
    }

    fn try_import(&self, end: u64) -> Result<()> {
        let start = checkpoints(self.store).get(BULK).map_or(0, |checkpoint| checkpoint.lines);
        let bulk = self.store.bulk();
        let middle = start.midpoint(end);
        for (first, end) in [(start, middle), (middle, end)].into_iter().filter(|(first, end)| first < end) {
            let raw = raw_of(BULK, Timestamp(i64::MAX / 2), first, end - first);
            let checkpoint = raw.checkpoint.clone();
            bulk.append(bulk.encode(vec![parse(raw, "")])?, BULK, checkpoint, Vec::new())?;
        }
        bulk.finish()
    }

    fn again(&self, error: Error, until: Instant) -> Result<()> {
        if !self.patient {
            return Err(error);
        }
        assert!(error.is_retriable() || matches!(error, Error::Parquet(_)), "{error}");
        assert!(Instant::now() < until, "it does not end: {error}");
        std::thread::sleep(Duration::from_micros(200));
        Ok(())
    }
}

/// Waits for what the sealer does by itself.
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "{what} did not happen");
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub(super) fn checkpoints(store: &Store) -> BTreeMap<String, Checkpoint> {
    store.checkpoints().unwrap().into_iter().collect()
}

/// The numbers of the stored lines of a source, sorted; checks the bodies on the way.
pub(super) fn numbers_of(store: &Store, source: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for batch in batches(&store.snapshot().unwrap()) {
        let sources = batch.column_by_name(schema::SOURCE).unwrap();
        let sources = arrow::compute::cast(sources, &arrow::datatypes::DataType::Utf8View).unwrap();
        let offsets = batch.column_by_name(schema::OFFSET).unwrap().as_primitive::<Int64Type>();
        let bodies = batch.column_by_name(schema::BODY).unwrap().as_string_view();
        for row in (0..batch.num_rows()).filter(|row| sources.as_string_view().value(*row) == source) {
            let number = offsets.value(row) as u64 / 100;
            assert_eq!(bodies.value(row), line(number));
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Opens the directory on a disk that works, and checks that at least `want` lines of each source are there, each
/// once, and exactly those that the checkpoint says. `goes_on`: sends more from there, and checks again.
pub(super) fn check(directory: &Path, want: &BTreeMap<&'static str, u64>, goes_on: bool, context: &str) {
    for again in [false, true].into_iter().take(1 + usize::from(goes_on)) {
        let (store, recovered) = open_on(Arc::new(RealDisk), directory, limits(), tuning(DEADLINE)).unwrap();
        assert!(recovered.reports.is_empty(), "{context}: {:?}", recovered.reports);
        let checkpoints = checkpoints(&store);
        let mut sender = Sender::new(&store, true);
        for (source, want) in want {
            let reached = checkpoints.get(*source).map_or(0, |checkpoint| checkpoint.lines);
            assert!(reached >= *want, "{context}: {source} is stored up to {reached} of {want}");
            let offset = checkpoints.get(*source).map_or(0, |checkpoint| checkpoint.offset);
            assert_eq!(offset, reached * 100, "{context}: {source}");
            let numbers = numbers_of(&store, source);
            if *source == OLD {
                let mut once = numbers.clone();
                once.dedup();
                assert_eq!(once, numbers, "{context}: {source} is doubled");
                assert!(numbers.iter().all(|number| *number < reached), "{context}: {numbers:?}");
            } else {
                assert_eq!(numbers, (0..reached).collect::<Vec<_>>(), "{context}: {source}, again: {again}");
            }
            sender.taken.insert(source, reached);
        }
        if goes_on && !again {
            sender.append(KEPT, 7).unwrap();
            sender.import(sender.taken.get(BULK).copied().unwrap_or(0) + 7).unwrap();
            sender.flush().unwrap();
        }
    }
}

/// What `check` asks for when nothing is known.
pub(super) fn nothing() -> BTreeMap<&'static str, u64> {
    [(KEPT, 0), (OLD, 0), (BULK, 0)].into()
}

/// A disk without faults for a data directory.
pub(super) fn faulty(directory: &Path) -> FaultyDisk {
    FaultyDisk::new(directory.parent().unwrap())
}
