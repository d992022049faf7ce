//! Imports: row groups go straight into segments, without WAL and memtable.
//!
//! [`Bulk::encode`] runs on many threads, [`Bulk::append`] on one, in the order of the lines. A segment is
//! committed with the checkpoint of its last line, so an import that was cut short goes on from there.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use taffrail_record::{Checkpoint, Gap, LogBatch};

use super::{Shared, Store};
use crate::align;
use crate::catalog::Commit;
use crate::columns;
use crate::error::{Error, Result};
use crate::index::ROW_GROUP_ROWS;
use crate::segment::writer::{EncodedRowGroup, Origin, SEGMENT_ROWS, SegmentWriter, Shape};

/// A running import.
pub struct Bulk<'a> {
    shared: &'a Shared,
    shape: Mutex<Option<Arc<Shape>>>,
    output: Mutex<Output>,
}

#[derive(Default)]
struct Output {
    writer: Option<SegmentWriter>,
    raw_bytes: u64,
    checkpoints: Vec<(String, Checkpoint)>,
    gaps: Vec<(String, Gap)>,
    /// A write or commit failed: what would follow must not be stored without it.
    failed: bool,
}

/// Records as bytes of a segment.
pub struct Encoded {
    shape: Arc<Shape>,
    row_groups: Vec<EncodedRowGroup>,
    raw_bytes: u64,
}

impl Store {
    /// Starts an import.
    pub fn bulk(&self) -> Bulk<'_> {
        Bulk { shared: &self.shared, shape: Mutex::default(), output: Mutex::default() }
    }
}

impl Bulk<'_> {
    /// Columns, index and compression of batches that follow each other. Best with a little less than
    /// [`ROW_GROUP_ROWS`] records.
    pub fn encode(&self, batches: Vec<LogBatch>) -> Result<Encoded> {
        let raw_bytes =
            batches.iter().flat_map(LogBatch::records).map(|record| u64::from(record.raw.len) + 1).sum();
        let columns =
            batches.into_iter().map(columns::from_batch).collect::<std::result::Result<Vec<_>, _>>()?;
        let sorted = align::merge(&columns)?;
        let shape = self.shape_for(&sorted)?;
        let row_groups = (0..sorted.num_rows())
            .step_by(ROW_GROUP_ROWS)
            .map(|start| shape.encode(&sorted.slice(start, ROW_GROUP_ROWS.min(sorted.num_rows() - start))))
            .collect::<Result<_>>()?;
        Ok(Encoded { shape, row_groups, raw_bytes })
    }

    fn shape_for(&self, batch: &RecordBatch) -> Result<Arc<Shape>> {
        let mut shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shape.as_ref().filter(|known| known.fits(batch)) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(Shape::for_batch(batch, shape.as_deref())?);
        *shape = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Writes a batch that follows the one before. It is durable once its segment is full, or after
    /// [`Bulk::finish`]. After an `Err` the import is over; a new one goes on at the stored checkpoint.
    pub fn append(
        &self,
        encoded: Encoded,
        source: &str,
        checkpoint: Checkpoint,
        gaps: Vec<Gap>,
    ) -> Result<()> {
        self.step(|output| {
            let same = |writer: &SegmentWriter| Arc::ptr_eq(writer.shape(), &encoded.shape);
            if !output.writer.as_ref().is_some_and(same) {
                self.seal(output)?;
            }
            for row_group in encoded.row_groups {
                self.writer(output, &encoded.shape)?.append(row_group)?;
            }
            output.raw_bytes += encoded.raw_bytes;
            output.checkpoints.retain(|(known, _)| known != source);
            output.checkpoints.push((source.to_owned(), checkpoint));
            output.gaps.extend(gaps.into_iter().map(|gap| (source.to_owned(), gap)));
            let full = output.writer.as_ref().is_some_and(|writer| writer.rows() >= SEGMENT_ROWS);
            if full { self.seal(output) } else { Ok(()) }
        })
    }

    /// Commits what is not committed yet.
    pub fn finish(&self) -> Result<()> {
        self.step(|output| self.seal(output))
    }

    fn step(&self, step: impl FnOnce(&mut Output) -> Result<()>) -> Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.failed {
            return Err(Error::Internal("an import went on after it had failed"));
        }
        let done = step(&mut output);
        if done.is_err() {
            // Drops the segment that was begun.
            *output = Output { failed: true, ..Output::default() };
        }
        done
    }

    fn writer<'o>(&self, output: &'o mut Output, shape: &Arc<Shape>) -> Result<&'o mut SegmentWriter> {
        Ok(match &mut output.writer {
            Some(writer) => writer,
            empty => {
                let (directory, id) = (self.shared.segments_directory(), self.shared.next_segment());
                empty.insert(SegmentWriter::create(&self.shared.disk, &directory, id, Arc::clone(shape))?)
            }
        })
    }

    fn seal(&self, output: &mut Output) -> Result<()> {
        let output = std::mem::take(output);
        let origin = Origin::of_lines(output.raw_bytes, &output.checkpoints);
        let segment = output.writer.map(|writer| writer.finish(origin)).transpose()?;
        let added = segment.as_ref().map(|segment| segment.meta.clone());
        // Where this fails the segment stays: a commit that failed may have reached the disk all the same.
        self.shared.catalog().commit(&Commit {
            added: added.as_slice(),
            checkpoints: &output.checkpoints,
            gaps: &output.gaps,
            ..Commit::default()
        })?;
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments = view.segments.as_ref().clone();
        segments.extend(segment.map(Arc::new));
        view.segments = Arc::new(segments);
        Ok(())
    }
}
