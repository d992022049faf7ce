//! A filter over batches that are not stored yet.

use arrow::array::RecordBatch;
use taffrail_store::engine::{Matcher, QueryError, TimeRange};
use taffrail_store::filter::Filter;
use taffrail_store::hit::Hit;

use crate::rows::Rows;
use crate::scan::Scan;

/// A compiled filter, whatever the time.
pub struct ScanMatcher(Scan);

impl ScanMatcher {
    /// Fails on a filter that does not compile.
    pub fn new(filter: &Filter) -> Result<Self, QueryError> {
        Ok(Self(Scan::new(filter, TimeRange::ALL)?))
    }
}

impl Matcher for ScanMatcher {
    fn matches(&self, batch: &RecordBatch) -> Result<Vec<Hit>, QueryError> {
        let rows = Rows::new(batch);
        Ok(self.0.select(batch).set_indices().map(|row| rows.hit(row)).collect())
    }
}
