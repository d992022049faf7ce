//! Records in the order in which they arrived, page by page: how whoever watches live goes on after a break.
//!
//! The order is that of the times of reading, which the store gives to batches as it takes them, and of the offsets within
//! a batch. Segments that hold nothing new are passed over by what the catalog knows of them, row groups by their own
//! bounds.

use std::collections::BTreeSet;
use std::time::Instant;

use arrow::array::RecordBatch;
use taffrail_record::Timestamp;
use taffrail_store::Snapshot;
use taffrail_store::engine::{Arrival, Arrivals, ArrivalsRequest, Control, QueryError, TimeRange, Work};
use taffrail_store::schema;

use crate::place::{self, Place};
use crate::rows::Rows;
use crate::scan::{Part, Scan, store_error};

/// The next records that arrived, at most as many as are asked for.
pub fn arrivals(
    snapshot: &Snapshot,
    request: &ArrivalsRequest<'_>,
    control: &Control,
) -> Result<Arrivals, QueryError> {
    let scan = Scan::new(request.filter, TimeRange::ALL)?;
    let parts = parts(&scan, snapshot, request)?;
    let mut first = First { request, places: BTreeSet::new(), bound: None };
    let begun = Instant::now();
    for (index, batch) in snapshot.memory.iter().enumerate() {
        control.check()?;
        first.take(&scan, batch, |row| Place::Memory { batch: index, row });
    }
    for (index, part) in parts.iter().enumerate() {
        control.check()?;
        if first.is_before(part) {
            continue;
        }
        if begun.elapsed() >= request.patience && first.stop_at(part) {
            break;
        }
        let wanted = [schema::OBSERVED_TIMESTAMP, schema::SOURCE, schema::OFFSET];
        let columns = scan.columns(part.segment.schema(), &wanted);
        let mut start = 0;
        for batch in part.segment.read(part.row_group, &part.wanted, &columns).map_err(store_error)? {
            let batch = batch.map_err(store_error)?;
            first.take(&scan, &batch, |row| Place::Part { part: index, row: start + row });
            start += batch.num_rows();
        }
    }
    first.read(snapshot, &parts, control)
}

/// The row groups that may hold records of the wanted places, those first that were read first.
fn parts(scan: &Scan, snapshot: &Snapshot, request: &ArrivalsRequest<'_>) -> Result<Vec<Part>, QueryError> {
    let since = request.from.observed.0;
    let new = snapshot.segments.iter().filter(|segment| segment.meta.max_observed >= since).cloned();
    let mut parts = scan.parts(&new.collect::<Vec<_>>(), &mut Work::default())?;
    parts.retain(|part| part.segment.observed_bounds(part.row_group).is_none_or(|(_, max)| max >= since));
    parts.sort_by_key(|part| part.segment.observed_bounds(part.row_group).map_or(i64::MIN, |(min, _)| min));
    // Rows are counted from the start of the row group, so all of it is read.
    parts.iter_mut().for_each(|part| part.wanted.fill(true));
    Ok(parts)
}

/// The first records of those that were seen.
struct First<'a> {
    request: &'a ArrivalsRequest<'a>,
    /// One more than is wanted, to know where the rest begins.
    places: BTreeSet<(Arrival, Place)>,
    /// Where that begins that was not looked at.
    bound: Option<Arrival>,
}

impl First<'_> {
    fn is_full(&self) -> bool {
        self.places.len() > self.request.limit
    }

    /// Whether nothing in `part` can be among the first.
    fn is_before(&self, part: &Part) -> bool {
        let Some(((last, _), true)) = self.places.last().map(|last| (last, self.is_full())) else {
            return false;
        };
        part.segment.observed_bounds(part.row_group).is_some_and(|(min, _)| min > last.observed.0)
    }

    /// Leaves out `part` and those behind it, which hold nothing that arrived earlier. False where that would be no step.
    fn stop_at(&mut self, part: &Part) -> bool {
        let bounds = part.segment.observed_bounds(part.row_group);
        let begin = bounds.map(|(min, _)| Arrival { observed: Timestamp(min), offset: 0 });
        self.bound = begin.filter(|begin| *begin > self.request.from);
        if let Some(bound) = self.bound {
            self.places.retain(|(arrival, _)| *arrival < bound);
        }
        self.bound.is_some()
    }

    fn take(&mut self, scan: &Scan, batch: &RecordBatch, place: impl Fn(usize) -> Place) {
        let rows = Rows::new(batch);
        // The condition costs more than a look at the times.
        if (0..batch.num_rows()).all(|row| rows.arrival(row) < self.request.from) {
            return;
        }
        for row in scan.select(batch).set_indices() {
            let arrival = rows.arrival(row);
            let is_late = self.is_full() && self.places.last().is_some_and(|(last, _)| arrival > *last);
            if arrival < self.request.from || is_late || !(self.request.wants)(rows.source(row)) {
                continue;
            }
            self.places.insert((arrival, place(row)));
            if self.places.len() > self.request.limit + 1 {
                self.places.pop_last();
            }
        }
    }

    /// Takes away what is too much; where the rest begins. Records of one place (imported files can have such) stay
    /// together, for a place can only be asked for as a whole.
    fn cut(&mut self) -> Option<Arrival> {
        let (next, _) = if self.is_full() { self.places.pop_last()? } else { return None };
        while self.places.len() > 1 && self.places.last().is_some_and(|(last, _)| *last == next) {
            self.places.pop_last();
        }
        let is_whole = self.places.last().is_none_or(|(last, _)| *last < next);
        Some(if is_whole { next } else { Arrival { offset: next.offset + 1, ..next } })
    }

    fn read(
        mut self,
        snapshot: &Snapshot,
        parts: &[Part],
        control: &Control,
    ) -> Result<Arrivals, QueryError> {
        let rest = self.cut().or(self.bound);
        let until = rest.unwrap_or(Arrival::end_of(snapshot.arrived));
        let places: Vec<Place> = self.places.iter().map(|(_, place)| *place).collect();
        let mut hits = place::hits(snapshot, parts, &places, control)?;
        let hits = places.iter().filter_map(|place| hits.remove(place)).collect();
        let has_deleted = snapshot.deleted.is_some_and(|deleted| self.request.from.observed <= deleted);
        Ok(Arrivals { hits, until, is_end: rest.is_none(), has_deleted })
    }
}
