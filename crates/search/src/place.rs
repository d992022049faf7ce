//! Where a found record stands, and all of its columns, read once it is known that it is answered.

use std::collections::BTreeMap;

use taffrail_store::Snapshot;
use taffrail_store::engine::{Control, QueryError};
use taffrail_store::hit::Hit;
use taffrail_store::segment::Columns;

use crate::rows::Rows;
use crate::scan::{Part, store_error};

/// Where a found record's row is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// Row of a batch in memory.
    Memory { batch: usize, row: usize },
    /// Row of a part's row group.
    Part { part: usize, row: usize },
}

/// The records at these places.
pub(crate) fn hits(
    snapshot: &Snapshot,
    parts: &[Part],
    places: &[Place],
    control: &Control,
) -> Result<BTreeMap<Place, Hit>, QueryError> {
    let mut hits = BTreeMap::new();
    let mut by_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in places {
        match *place {
            Place::Memory { batch, row } => {
                hits.insert(*place, Rows::new(&snapshot.memory[batch]).hit(row));
            }
            Place::Part { part, row } => by_part.entry(part).or_default().push(row),
        }
    }
    for (index, mut rows) in by_part {
        control.check()?;
        rows.sort_unstable();
        let part = &parts[index];
        let mut numbers = rows.iter();
        for batch in part.segment.read_rows(part.row_group, &rows, &Columns::All).map_err(store_error)? {
            let batch = batch.map_err(store_error)?;
            let read = Rows::new(&batch);
            for (row, number) in (0..batch.num_rows()).zip(&mut numbers) {
                hits.insert(Place::Part { part: index, row: *number }, read.hit(row));
            }
        }
    }
    Ok(hits)
}
