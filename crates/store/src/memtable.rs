//! The records that are in no segment yet, ready to be queried.
//!
//! Small batches gather in one growing batch, which becomes columns when it is full or when a query asks;
//! large ones become columns at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use taffrail_record::{Checkpoint, Gap, LogBatch};

use crate::columns;
use crate::error::Result;
use crate::index::{GRANULE_ROWS, ROW_GROUP_ROWS};

/// Batches with fewer records gather: copying them costs less than columns of their own.
const GATHERED_ROWS: usize = GRANULE_ROWS / 8;
/// A gathering batch becomes columns at this size.
const ACTIVE_BYTES_MAX: usize = 4 << 20;

/// What a record takes as columns, beside its text.
const COLUMN_BYTES_PER_ROW: usize = 160;

/// Records in memory, with what their commit will need.
#[derive(Debug, Default)]
pub struct Memtable {
    frozen: Vec<Arc<RecordBatch>>,
    active: LogBatch,
    /// The active batch as columns, as long as it has this many records.
    active_columns: Option<(usize, Arc<RecordBatch>)>,
    rows: usize,
    bytes: usize,
    raw_bytes: u64,
    checkpoints: BTreeMap<String, Checkpoint>,
    gaps: Vec<(String, Gap)>,
}

impl Memtable {
    /// An empty table.
    pub fn new() -> Self {
        Self { active: LogBatch::new(Vec::new()), ..Self::default() }
    }

    /// Records.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the original lines.
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// How far the sources are read with these records.
    pub fn checkpoints(&self) -> Vec<(String, Checkpoint)> {
        self.checkpoints.iter().map(|(source, checkpoint)| (source.clone(), checkpoint.clone())).collect()
    }

    /// What could not be read, by source.
    pub fn gaps(&self) -> &[(String, Gap)] {
        &self.gaps
    }

    /// Whether a commit would change anything.
    pub fn is_empty(&self) -> bool {
        self.rows == 0 && self.checkpoints.is_empty() && self.gaps.is_empty()
    }

    /// Whether as many records more are to go into it, rather than into the next. It ends with the last row group that
    /// fits into `limit` bytes as a whole: small row groups cost more to index, compress badly and are found slowly.
    pub fn takes(&self, records: usize, limit: usize) -> bool {
        if self.rows == 0 {
            return self.bytes < limit;
        }
        let group_end = self.rows.next_multiple_of(ROW_GROUP_ROWS);
        let bytes_at_next_end = self.bytes / self.rows * (group_end + ROW_GROUP_ROWS);
        self.bytes < limit && (self.rows + records <= group_end || bytes_at_next_end <= limit)
    }

    /// Adds records with the checkpoint of their source.
    pub fn insert(&mut self, batch: LogBatch, raw_bytes: u64) -> Result<()> {
        self.rows += batch.len();
        self.raw_bytes += raw_bytes;
        if batch.len() < GATHERED_ROWS && self.active.append(&batch).is_ok() {
            self.bytes += batch.arena().len() + batch.len() * COLUMN_BYTES_PER_ROW;
            if self.active.len() >= GRANULE_ROWS || self.active.arena().len() >= ACTIVE_BYTES_MAX {
                self.freeze()?;
            }
            return Ok(());
        }
        self.freeze()?;
        self.push_frozen(batch)
    }

    /// Notes how far a source is read.
    pub fn advance(&mut self, source: &str, checkpoint: Checkpoint, gaps: Vec<Gap>) {
        self.gaps.extend(gaps.into_iter().map(|gap| (source.to_owned(), gap)));
        self.checkpoints.insert(source.to_owned(), checkpoint);
    }

    fn freeze(&mut self) -> Result<()> {
        if self.active.is_empty() {
            return Ok(());
        }
        let active = std::mem::replace(&mut self.active, LogBatch::new(Vec::new()));
        self.active_columns = None;
        self.bytes = self.bytes.saturating_sub(active.arena().len() + active.len() * COLUMN_BYTES_PER_ROW);
        self.push_frozen(active)
    }

    fn push_frozen(&mut self, batch: LogBatch) -> Result<()> {
        self.bytes += batch.size_bytes() + batch.len() * COLUMN_BYTES_PER_ROW;
        let columns = columns::sort(&columns::from_batch(batch)?)?;
        self.frozen.push(Arc::new(columns));
        Ok(())
    }

    /// All records as columns, each batch sorted by time.
    pub fn batches(&mut self) -> Result<Vec<Arc<RecordBatch>>> {
        let mut batches = self.frozen.clone();
        if !self.active.is_empty() {
            let len = self.active.len();
            let columns = match &self.active_columns {
                Some((known, columns)) if *known == len => Arc::clone(columns),
                _ => {
                    let columns = Arc::new(columns::sort(&columns::from_batch(self.active.clone())?)?);
                    self.active_columns = Some((len, Arc::clone(&columns)));
                    columns
                }
            };
            batches.push(columns);
        }
        Ok(batches)
    }
}
