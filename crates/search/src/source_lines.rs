//! A source's own lines in their own order: the neighbourhood of one, and all of them byte for byte.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow::array::RecordBatch;
use taffrail_record::layout;
use taffrail_store::Snapshot;
use taffrail_store::engine::{CONTEXT_LINES_MAX, Context, ContextRequest, Control, QueryError};
use taffrail_store::hit::Hit;
use taffrail_store::segment::{Columns, Segment};

use crate::rows::Rows;
use crate::scan::store_error;

/// Granules that may hold lines of a source, with the bounds of their offsets.
struct Block {
    offsets: Range<u64>,
    place: Place,
}

enum Place {
    Memory(usize),
    Granule { segment: Arc<Segment>, row_group: usize, granule: usize },
}

fn blocks(snapshot: &Snapshot, source: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for segment in snapshot.segments.iter() {
        let summary = &segment.index.footer.summary;
        if !summary.groups.iter().any(|group| group.1 == source || group.1.is_empty()) {
            continue;
        }
        for row_group in 0..segment.row_groups() {
            for (granule, number) in segment.granules_of(row_group).enumerate() {
                let bounds = &segment.granules()[number];
                let place = Place::Granule { segment: Arc::clone(segment), row_group, granule };
                blocks.push(Block { offsets: bounds.min_offset as u64..bounds.max_offset as u64 + 1, place });
            }
        }
    }
    for (index, batch) in snapshot.memory.iter().enumerate() {
        let rows = Rows::new(batch);
        let offsets =
            (0..batch.num_rows()).filter(|row| rows.source(*row) == source).map(|row| rows.offset(row));
        if let Some((min, max)) = offsets.fold(None, |bounds: Option<(u64, u64)>, offset| match bounds {
            None => Some((offset, offset)),
            Some((min, max)) => Some((min.min(offset), max.max(offset))),
        }) {
            blocks.push(Block { offsets: min..max + 1, place: Place::Memory(index) });
        }
    }
    blocks
}

impl Block {
    /// The rows of the block, with all columns.
    fn read(&self, snapshot: &Snapshot) -> Result<Vec<Arc<RecordBatch>>, QueryError> {
        match &self.place {
            Place::Memory(index) => Ok(vec![Arc::clone(&snapshot.memory[*index])]),
            Place::Granule { segment, row_group, granule } => {
                let count = segment.granules_of(*row_group).len();
                let wanted: Vec<bool> = (0..count).map(|index| index == *granule).collect();
                let batches = segment.read(*row_group, &wanted, &Columns::All).map_err(store_error)?;
                batches.map(|batch| batch.map(Arc::new).map_err(store_error)).collect()
            }
        }
    }
}

/// The lines right before and after one.
pub fn context(
    snapshot: &Snapshot,
    request: &ContextRequest,
    control: &Control,
) -> Result<Context, QueryError> {
    let (before, after) = (request.before.min(CONTEXT_LINES_MAX), request.after.min(CONTEXT_LINES_MAX));
    let blocks = blocks(snapshot, &request.source);
    let mut context = Context::default();
    let mut earlier: BTreeMap<u64, Hit> = BTreeMap::new();
    let mut later: BTreeMap<u64, Hit> = BTreeMap::new();
    // Nearest blocks first, so that far ones need not be read once both sides are full.
    let mut order: Vec<&Block> = blocks.iter().collect();
    let distance = |block: &Block| match block.offsets.contains(&request.offset) {
        true => 0,
        false => block.offsets.start.abs_diff(request.offset).min(block.offsets.end.abs_diff(request.offset)),
    };
    order.sort_by_key(|block| distance(block));
    for block in order {
        control.check()?;
        let useful_before = block.offsets.start < request.offset
            && (earlier.len() < before
                || earlier.first_key_value().is_none_or(|(first, _)| block.offsets.end > *first));
        let useful_after = block.offsets.end > request.offset
            && (later.len() <= after
                || later.last_key_value().is_none_or(|(last, _)| block.offsets.start < *last));
        if !useful_before && !useful_after {
            continue;
        }
        for batch in block.read(snapshot)? {
            let rows = Rows::new(&batch);
            for row in (0..batch.num_rows()).filter(|row| rows.source(*row) == request.source) {
                let offset = rows.offset(row);
                if offset < request.offset {
                    keep(&mut earlier, offset, before, Side::Before, || rows.hit(row));
                } else {
                    keep(&mut later, offset, after + 1, Side::After, || rows.hit(row));
                }
            }
        }
    }
    context.target = later.remove(&request.offset);
    context.before = earlier.into_values().collect();
    context.after = later.into_values().take(after).collect();
    Ok(context)
}

/// Keeps the `max` best by offset. Making a hit is dear, so one that would be dropped at once is not made.
fn keep(map: &mut BTreeMap<u64, Hit>, offset: u64, max: usize, side: Side, hit: impl Fn() -> Hit) {
    if map.len() >= max {
        let worse = match side {
            Side::Before => map.first_key_value().is_none_or(|(first, _)| offset < *first),
            Side::After => map.last_key_value().is_none_or(|(last, _)| offset > *last),
        };
        if worse {
            return;
        }
    }
    map.insert(offset, hit());
    if map.len() > max {
        match side {
            Side::Before => map.pop_first(),
            Side::After => map.pop_last(),
        };
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

/// Hands over the raw lines of a source in the order of their offsets; `false` if there is none.
pub fn export(
    snapshot: &Snapshot,
    source: &str,
    control: &Control,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<bool, QueryError> {
    let mut blocks = blocks(snapshot, source);
    blocks.sort_by_key(|block| block.offsets.start);
    let mut waiting: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut any = false;
    for (index, block) in blocks.iter().enumerate() {
        control.check()?;
        for batch in block.read(snapshot)? {
            collect_lines(&batch, source, &mut waiting)?;
        }
        // No later block has a line before its start.
        let safe = blocks.get(index + 1).map_or(u64::MAX, |next| next.offsets.start);
        let rest = waiting.split_off(&safe);
        for line in std::mem::replace(&mut waiting, rest).into_values() {
            any = true;
            if sink(&line).is_break() {
                return Ok(true);
            }
        }
    }
    Ok(any)
}

fn collect_lines(
    batch: &RecordBatch,
    source: &str,
    lines: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<(), QueryError> {
    let rows = Rows::new(batch);
    for row in (0..batch.num_rows()).filter(|row| rows.source(*row) == source) {
        let hit = rows.hit(row);
        let mut line = hit.raw_line().map_err(|hole| {
            let at = format!("{source} at offset {}", hit.offset);
            QueryError::Store(format!(
                "the line of {at} cannot be rebuilt: `{hole}` is missing from {}",
                hit.layout
            ))
        })?;
        if layout::has_newline(&hit.layout) {
            line.push(b'\n');
        }
        lines.insert(hit.offset, line);
    }
    Ok(())
}
