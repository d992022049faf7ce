//! Merges small segments into large ones, and picks those that retention removes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Fields, TimeUnit, TimestampNanosecondType};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::index::ROW_GROUP_ROWS;
use crate::index::file::StoredCheckpoint;
use crate::segment::writer::{Origin, SEGMENT_ROWS, SegmentWriter, Shape, finer};
use crate::segment::{Columns, Segment};
use crate::store::Limits;
use crate::{align, columns, schema};

/// Segments below this many rows are merged.
const SMALL_ROWS: u64 = SEGMENT_ROWS / 4;
/// Row groups with at least one in so many of the rows that they may have are left as they are.
const LARGE_SHARE: u64 = 3;
/// Small segments that make a merge worth its work.
pub(crate) const MERGE_MIN: usize = 8;

/// Small segments that belong together, if there are `merge_min` of them.
pub(crate) fn choose(segments: &[Arc<Segment>], merge_min: usize) -> Option<Vec<Arc<Segment>>> {
    let mut small: Vec<_> = segments.iter().filter(|segment| segment.meta.rows < SMALL_ROWS).collect();
    small.sort_by_key(|segment| segment.meta.min_timestamp);
    let mut rows = 0;
    let chosen: Vec<Arc<Segment>> = small
        .into_iter()
        .take_while(|segment| {
            rows += segment.meta.rows;
            rows <= SEGMENT_ROWS
        })
        .cloned()
        .collect();
    (chosen.len() >= merge_min).then_some(chosen)
}

/// Segments that are too old, then the oldest while all are too large together.
pub(crate) fn expired(segments: &[Arc<Segment>], limits: &Limits, now: Duration) -> Vec<Arc<Segment>> {
    let mut by_age = segments.to_vec();
    by_age.sort_by_key(|segment| segment.meta.max_observed);
    let oldest_kept = limits.max_age.map(|age| now.saturating_sub(age).as_nanos() as i64);
    let mut bytes: u64 = by_age.iter().map(|segment| segment.meta.bytes()).sum();
    let expired = by_age.into_iter().take_while(|segment| {
        let too_old = oldest_kept.is_some_and(|oldest| segment.meta.max_observed < oldest);
        let too_much = limits.max_bytes.is_some_and(|limit| bytes > limit);
        bytes -= segment.meta.bytes();
        too_old || too_much
    });
    expired.collect()
}

/// The oldest segments that make up `wanted` bytes together, but only while at least `kept` bytes are left.
pub(crate) fn oldest(segments: &[Arc<Segment>], wanted: u64, kept: u64) -> Vec<Arc<Segment>> {
    let mut by_age = segments.to_vec();
    by_age.sort_by_key(|segment| segment.meta.max_observed);
    let (mut left, mut freed): (u64, _) = (by_age.iter().map(|segment| segment.meta.bytes()).sum(), 0);
    let oldest = by_age.into_iter().take_while(|segment| {
        let enough = freed >= wanted;
        left -= segment.meta.bytes();
        freed += segment.meta.bytes();
        !enough && left >= kept
    });
    oldest.collect()
}

/// Writes the records of `inputs` into one new segment: their row groups as they are if nothing is gained by making new
/// ones, else by time.
pub(crate) fn merge(
    disk: &Arc<dyn Disk>,
    inputs: &[Arc<Segment>],
    directory: &Path,
    id: i64,
) -> Result<Segment> {
    let writer = if let Some(first) = spliced(inputs) {
        let attributes = schema::attribute_fields(first.schema());
        let shape = Arc::new(Shape::new(attributes, first.time_unit())?);
        let mut writer = SegmentWriter::create(disk, directory, id, shape)?;
        inputs.iter().try_for_each(|segment| writer.splice(segment))?;
        writer
    } else {
        by_time(disk, inputs, directory, id)?
    };
    let checkpoints = inputs.iter().flat_map(|segment| segment.index.footer.checkpoints.clone());
    writer.finish(Origin {
        raw_bytes: inputs.iter().map(|segment| segment.meta.raw_bytes).sum(),
        checkpoints: newest(checkpoints.collect()),
        replaces: inputs.iter().map(|segment| segment.meta.id).collect(),
    })
}

/// The first of the inputs, if all have its columns, their row groups are large, and they hardly overlap in time: then
/// pruning works as well on their row groups as on new ones.
fn spliced(inputs: &[Arc<Segment>]) -> Option<&Arc<Segment>> {
    let first = inputs.first()?;
    let rows: u64 = inputs.iter().map(|segment| segment.meta.rows).sum();
    let row_groups: usize = inputs.iter().map(|segment| segment.row_groups()).sum();
    let span = |min: i64, max: i64| i128::from(max) - i128::from(min);
    let metas = || inputs.iter().map(|segment| &segment.meta);
    let spans: i128 = metas().map(|meta| span(meta.min_timestamp, meta.max_timestamp)).sum();
    let earliest = metas().map(|meta| meta.min_timestamp).min()?;
    let latest = metas().map(|meta| meta.max_timestamp).max()?;
    let fits = inputs.iter().all(|segment| segment.has_columns_of(first))
        && rows * LARGE_SHARE >= (row_groups * ROW_GROUP_ROWS) as u64
        && spans * 2 <= span(earliest, latest) * 3;
    fits.then_some(first)
}

/// Merges the records.
fn by_time(
    disk: &Arc<dyn Disk>,
    inputs: &[Arc<Segment>],
    directory: &Path,
    id: i64,
) -> Result<SegmentWriter> {
    let union = schema::union_attributes(inputs.iter().map(|segment| segment.schema().as_ref()));
    let attributes: Fields = union.iter().take(schema::ATTRIBUTE_COLUMNS_MAX).cloned().collect();
    let unit = inputs.iter().map(|segment| segment.time_unit()).fold(TimeUnit::Millisecond, finer);
    let shape = Arc::new(Shape::new(attributes.clone(), unit)?);
    let mut writer = SegmentWriter::create(disk, directory, id, Arc::clone(&shape))?;
    let mut merger = Merger::new(inputs, attributes);
    while let Some(batch) = merger.next_row_group()? {
        writer.append(shape.encode(&batch)?)?;
    }
    Ok(writer)
}

/// The furthest checkpoint of each source.
fn newest(mut checkpoints: Vec<StoredCheckpoint>) -> Vec<StoredCheckpoint> {
    checkpoints.sort_by(|a, b| (&a.source, b.offset).cmp(&(&b.source, a.offset)));
    checkpoints.dedup_by(|a, b| a.source == b.source);
    checkpoints
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// A k-way merge of row groups by time, with one granule of each open row group in memory.
struct Merger {
    attributes: Fields,
    /// Row groups that are not open yet, the earliest last.
    waiting: Vec<(i64, Arc<Segment>, usize)>,
    open: Vec<Run>,
    ready: Vec<RecordBatch>,
    ready_rows: usize,
}

struct Run {
    batches: Batches,
    rest: RecordBatch,
}

impl Merger {
    fn new(inputs: &[Arc<Segment>], attributes: Fields) -> Self {
        let mut waiting = Vec::new();
        for segment in inputs {
            for row_group in 0..segment.row_groups() {
                let granules = &segment.granules()[segment.granules_of(row_group)];
                let earliest = granules.iter().map(|granule| granule.min_timestamp).min().unwrap_or(0);
                waiting.push((earliest, Arc::clone(segment), row_group));
            }
        }
        waiting.sort_by_key(|(earliest, _, _)| std::cmp::Reverse(*earliest));
        Self { attributes, waiting, open: Vec::new(), ready: Vec::new(), ready_rows: 0 }
    }

    /// The next full row group (the last may be smaller), sorted by time.
    fn next_row_group(&mut self) -> Result<Option<RecordBatch>> {
        while self.ready_rows < ROW_GROUP_ROWS && self.step()? {}
        if self.ready_rows == 0 {
            return Ok(None);
        }
        let all = concat_batches(&schema::with_attributes(&self.attributes), &self.ready)?;
        let rows = all.num_rows().min(ROW_GROUP_ROWS);
        self.ready_rows = all.num_rows() - rows;
        self.ready = vec![all.slice(rows, self.ready_rows)];
        Ok(Some(all.slice(0, rows)))
    }

    /// Moves the records that no unread record can precede; `false` at the end.
    fn step(&mut self) -> Result<bool> {
        if self.open.is_empty() && !self.open_next()? {
            return Ok(false);
        }
        let ends = self.open.iter().filter_map(|run| columns::time_bounds(&run.rest)).map(|(_, end)| end);
        let reach = ends.min().unwrap_or(i64::MAX);
        if self.waiting.last().is_some_and(|(earliest, _, _)| *earliest <= reach) {
            return self.open_next();
        }
        let mut emitted = Vec::new();
        let mut index = 0;
        while index < self.open.len() {
            let run = &mut self.open[index];
            let times = run.rest.column(0).as_primitive::<TimestampNanosecondType>().values();
            let rows = times.partition_point(|time| *time <= reach);
            emitted.push(run.rest.slice(0, rows));
            run.rest = run.rest.slice(rows, run.rest.num_rows() - rows);
            if run.advance(&self.attributes)? {
                index += 1;
            } else {
                self.open.swap_remove(index);
            }
        }
        let emitted = concat_batches(&schema::with_attributes(&self.attributes), &emitted)?;
        self.ready_rows += emitted.num_rows();
        self.ready.push(columns::sort(&emitted)?);
        Ok(true)
    }

    fn open_next(&mut self) -> Result<bool> {
        let Some((_, segment, row_group)) = self.waiting.pop() else { return Ok(false) };
        let wanted = vec![true; segment.granules_of(row_group).len()];
        let batches: Batches = Box::new(segment.read(row_group, &wanted, &Columns::All)?);
        let empty = RecordBatch::new_empty(schema::with_attributes(&self.attributes));
        let mut run = Run { batches, rest: empty };
        if run.advance(&self.attributes)? {
            self.open.push(run);
        }
        Ok(true)
    }
}

impl Run {
    /// Loads the next granule once the one before is used up; `false` at the end.
    fn advance(&mut self, attributes: &Fields) -> Result<bool> {
        while self.rest.num_rows() == 0 {
            let Some(batch) = self.batches.next() else { return Ok(false) };
            let batch = align::to_attributes(&batch?, attributes)?;
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
            if !times.is_sorted() {
                return Err(Error::Internal("a row group is not sorted by time"));
            }
            self.rest = batch;
        }
        Ok(true)
    }
}
