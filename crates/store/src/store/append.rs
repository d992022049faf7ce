//! Batches come in: into the log and the memtable under one lock.

use std::fmt;
use std::sync::{Arc, PoisonError};

use taffrail_record::{Checkpoint, Gap, LogBatch, Timestamp};

use super::trouble::Trouble;
use super::{Shared, Store, Writer};
use crate::error::{Error, Result};
use crate::wal;

/// A batch with all that a commit needs to know of it.
#[derive(Clone, Debug)]
pub struct Append<'a> {
    /// Its frame for the WAL.
    pub frame: wal::Frame,
    /// Its records. Their arena begins with the bytes that the frame was made of.
    pub batch: LogBatch,
    /// Its source.
    pub source: &'a str,
    /// How far the source is read with it.
    pub checkpoint: Checkpoint,
    /// What could not be read before it.
    pub gaps: Vec<Gap>,
}

/// A batch that was not stored, nothing of it; [`Error::is_retriable`] says whether to try again.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Why.
    pub error: Error,
    /// The batch.
    pub append: Append<'a>,
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused<'_> {}

/// A clock that is set back further than this is believed, and the order of arrivals begins anew.
const CLOCK_BACK_NS: i64 = 3_600 * 1_000_000_000;

/// Waits for the disk.
pub struct Receipt {
    sequence: u64,
    sync: Arc<wal::Sync>,
    shared: Arc<Shared>,
    /// The moment of the batch: see [`Receipt::arrived`].
    arrived: Timestamp,
}

impl Receipt {
    /// The time of reading that the batch is stored with: later than that of every batch before, so that times of
    /// reading and offsets together are the order in which records arrived.
    pub fn arrived(&self) -> Timestamp {
        self.arrived
    }

    /// Returns once the batch survives a power cut. Many waiters share one sync. After `Err` nobody knows: the
    /// batch is in the store, and may be gone after a power cut.
    pub fn wait(&self) -> Result<()> {
        let Err(cause) = self.sync.sync(self.sequence) else { return Ok(()) };
        // The sealer stores in a segment what the log may have lost.
        drop(self.shared.writer());
        self.shared.changed.notify_all();
        if self.sync.wait_mended(self.sequence, self.shared.tuning.patience) {
            return Ok(());
        }
        Err(Error::Failing { path: self.shared.directory.clone(), cause })
    }
}

impl Store {
    /// Stores a batch: it is in the next snapshot and survives the death of the process when this returns;
    /// [`Receipt::wait`] makes it survive a power cut too. Blocks while the sealer is behind, but not while the
    /// disk is full or fails: then the batch comes back.
    pub fn append<'a>(&self, append: Append<'a>) -> std::result::Result<Receipt, Box<Refused<'a>>> {
        let mut writer = self.shared.writer();
        loop {
            if let Err(error) = self.shared.admit(&writer) {
                return Err(Box::new(Refused { error, append }));
            }
            if writer.memtable.takes(append.batch.len(), self.shared.limits.memtable_bytes) {
                break;
            }
            match self.shared.try_begin_seal(&mut writer) {
                Ok(true) => {}
                Ok(false) => {
                    writer = self.shared.changed.wait(writer).unwrap_or_else(PoisonError::into_inner);
                }
                Err(error) => return Err(Box::new(Refused { error, append })),
            }
        }
        self.shared.store(&mut writer, append)
    }
}

impl Shared {
    /// Whether batches are taken.
    fn admit(&self, writer: &Writer) -> Result<()> {
        let wal = writer.wal.as_ref().ok_or(Error::Internal("append to a store that was opened to read"))?;
        if let Some(cause) = wal.sync().broken() {
            self.changed.notify_all();
            return Err(Error::Failing { path: self.directory.clone(), cause });
        }
        match &writer.trouble {
            // A failing sealer leaves room until the memtable is full.
            Some(trouble) if trouble.full || writer.memtable.bytes() >= self.limits.memtable_bytes => {
                Err(self.refusal(trouble))
            }
            _ => Ok(()),
        }
    }

    fn store<'a>(
        self: &Arc<Self>,
        writer: &mut Writer,
        mut append: Append<'a>,
    ) -> std::result::Result<Receipt, Box<Refused<'a>>> {
        let arrived = writer.next_arrival(&append.batch);
        append.observe(arrived);
        let Some(wal) = &mut writer.wal else {
            let error = Error::Internal("append to a store that was opened to read");
            return Err(Box::new(Refused { error, append }));
        };
        let Some(parts) = append.frame.parts(append.batch.arena()) else {
            let error = Error::Internal("the records of a batch are not over its bytes");
            return Err(Box::new(Refused { error, append }));
        };
        let sequence = match wal.append(parts) {
            Ok(sequence) => sequence,
            Err(error) => {
                let needed_bytes = (wal::HEADER_BYTES + append.frame.bytes()) as u64;
                if error.is_retriable() {
                    self.note(writer, &error, needed_bytes, true);
                }
                let error = writer.trouble.as_ref().map_or(error, |trouble| self.refusal(trouble));
                return Err(Box::new(Refused { error, append }));
            }
        };
        let sync = Arc::clone(wal.sync());
        writer.arrived = arrived;
        self.clear(writer, Trouble::is_of_log);
        let raw_bytes = append.batch.records().iter().map(|record| u64::from(record.raw.len) + 1).sum();
        if let Err(error) = writer.memtable.insert(append.batch, raw_bytes) {
            // In the log it is: trying again would double it.
            let append = Append { batch: LogBatch::new(Vec::new()), ..append };
            return Err(Box::new(Refused { error, append }));
        }
        writer.memtable.advance(append.source, append.checkpoint, append.gaps);
        Ok(Receipt { sequence, sync, shared: Arc::clone(self), arrived })
    }
}

impl Writer {
    /// The moment of a batch that is stored next.
    fn next_arrival(&self, batch: &LogBatch) -> Timestamp {
        let Some(record) = batch.records().first() else { return self.arrived };
        let (now, last) = (record.observed.0, self.arrived.0);
        let is_later = now > last || last.saturating_sub(now) > CLOCK_BACK_NS;
        Timestamp(if is_later { now } else { last + 1 })
    }
}

impl Append<'_> {
    /// The batch was read at `moment`.
    fn observe(&mut self, moment: Timestamp) {
        if self.batch.records().first().is_some_and(|record| record.observed != moment) {
            self.frame.observe(moment);
            self.batch.observe(moment);
        }
    }
}
