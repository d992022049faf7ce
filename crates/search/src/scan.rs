//! Walks through the records of a snapshot that may meet a filter, on all cores, skipping what the index
//! rules out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Schema;
use taffrail_store::engine::{Control, QueryError, TimeRange, Work};
use taffrail_store::filter::Filter;
use taffrail_store::index::file::Granule;
use taffrail_store::schema;
use taffrail_store::segment::{Columns, Segment};
use taffrail_store::{Error, Snapshot};

use crate::condition::Condition;
use crate::prune::Prune;
use crate::rows::Rows;

/// Threads that one query uses at most.
const WORKERS_MAX: usize = 8;

/// A filter and a time range, compiled.
#[derive(Clone)]
pub struct Scan {
    pub(crate) condition: Condition,
    pub(crate) prune: Prune,
    pub(crate) range: TimeRange,
}

/// The granules of one row group that have to be read.
#[derive(Clone)]
pub struct Part {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Its row group.
    pub row_group: usize,
    /// Which granules of the row group.
    pub wanted: Vec<bool>,
}

impl Part {
    pub(crate) fn granules(&self) -> &[Granule] {
        &self.segment.granules()[self.segment.granules_of(self.row_group)]
    }

    fn count(&self) -> u64 {
        self.wanted.iter().filter(|wanted| **wanted).count() as u64
    }
}

impl Scan {
    /// Fails on a filter that does not compile.
    pub fn new(filter: &Filter, range: TimeRange) -> Result<Self, QueryError> {
        Ok(Self { condition: Condition::new(filter)?, prune: Prune::new(filter), range })
    }

    /// The row groups that may hold matches, and what was ruled out.
    pub fn parts(&self, segments: &[Arc<Segment>], work: &mut Work) -> Result<Vec<Part>, QueryError> {
        let mut parts = Vec::new();
        for segment in segments {
            if !self.overlaps(segment.meta.min_timestamp, segment.meta.max_timestamp)
                || !self.prune.segment(segment)
            {
                work.granules_pruned += segment.granules().len() as u64;
                continue;
            }
            for row_group in 0..segment.row_groups() {
                let granules = &segment.granules()[segment.granules_of(row_group)];
                let in_time = |granule: &Granule| self.overlaps(granule.min_timestamp, granule.max_timestamp);
                let mut wanted: Vec<bool> = granules.iter().map(in_time).collect();
                if wanted.contains(&true) {
                    let possible = self.prune.granules(segment, row_group, granules).map_err(store_error)?;
                    wanted.iter_mut().zip(possible).for_each(|(wanted, possible)| *wanted &= possible);
                }
                let part = Part { segment: Arc::clone(segment), row_group, wanted };
                let count = part.count();
                work.granules_pruned += part.wanted.len() as u64 - count;
                if count > 0 {
                    parts.push(part);
                }
            }
        }
        Ok(parts)
    }

    fn overlaps(&self, min: i64, max: i64) -> bool {
        max >= self.range.since.0 && min < self.range.until.0
    }

    /// The columns of a schema that the condition and the caller want.
    pub fn columns(&self, schema: &Schema, more: &[&str]) -> Columns {
        let mut names = vec![schema::TIMESTAMP.to_owned()];
        names.extend(more.iter().map(|name| (*name).to_owned()));
        self.condition.columns(schema, &mut names);
        Columns::Some(names)
    }

    /// The rows of a batch that are in time and meet the condition.
    pub fn select(&self, batch: &RecordBatch) -> BooleanBuffer {
        let found = self.condition.evaluate(batch);
        if self.range == TimeRange::ALL || found.count_set_bits() == 0 {
            return found;
        }
        let rows = Rows::new(batch);
        let range = self.range.since.0..self.range.until.0;
        &found & &BooleanBuffer::collect_bool(batch.num_rows(), |row| range.contains(&rows.time(row)))
    }

    /// Calls `each` with every batch that has matching rows, on several threads with a state of their own.
    /// `more` names the columns that `each` needs besides those of the condition.
    pub(crate) fn fold<T: Send + Default>(
        &self,
        snapshot: &Snapshot,
        more: &[&str],
        control: &Control,
        work: &mut Work,
        each: impl Fn(&mut T, &RecordBatch, &BooleanBuffer) + Sync,
    ) -> Result<Vec<T>, QueryError> {
        let parts = self.parts(&snapshot.segments, work)?;
        work.granules_read += parts.iter().map(Part::count).sum::<u64>();
        let next = AtomicUsize::new(0);
        let total = parts.len() + snapshot.memory.len();
        let run = || -> Result<(T, u64), QueryError> {
            let (mut state, mut scanned) = (T::default(), 0);
            // A regex that threads share makes them wait for each other's scratch space.
            let own = self.clone();
            let mut take = |batch: &RecordBatch| {
                scanned += batch.num_rows() as u64;
                let found = own.select(batch);
                if found.count_set_bits() > 0 {
                    each(&mut state, batch, &found);
                }
            };
            loop {
                control.check()?;
                let index = next.fetch_add(1, Ordering::Relaxed);
                if let Some(part) = parts.get(index) {
                    let columns = self.columns(part.segment.schema(), more);
                    for batch in
                        part.segment.read(part.row_group, &part.wanted, &columns).map_err(store_error)?
                    {
                        take(&batch.map_err(store_error)?);
                        control.check()?;
                    }
                } else if let Some(batch) = snapshot.memory.get(index - parts.len()) {
                    take(batch);
                } else {
                    return Ok((state, scanned));
                }
            }
        };
        let mut states = Vec::new();
        for result in on_workers(total, run) {
            let (state, scanned) = result?;
            work.records_scanned += scanned;
            states.push(state);
        }
        Ok(states)
    }
}

/// Runs `run` on as many threads as are of use for `tasks` tasks.
pub(crate) fn on_workers<T: Send>(tasks: usize, run: impl Fn() -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = cores.min(tasks).min(WORKERS_MAX);
    if workers <= 1 {
        return vec![run()];
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = (1..workers).map(|_| scope.spawn(&run)).collect();
        let mut results = vec![run()];
        for handle in handles {
            results.push(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}

/// A failure of the store as an answer.
pub fn store_error(error: Error) -> QueryError {
    QueryError::Store(error.to_string())
}
