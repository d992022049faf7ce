//! What the rows of `gaps` come to, summed by SQLite: there can be very many.

use rusqlite::{OptionalExtension as _, params};
use taffrail_record::{Gap, Timestamp};

use super::{Catalog, StoredGap};
use crate::engine::GapTotal;
use crate::error::Result;

impl Catalog {
    /// Sums by source and reason, in their order.
    pub fn gap_totals(&self) -> Result<Vec<GapTotal>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT source, reason, count(*), sum(end_offset - start_offset), max(observed)
             FROM gaps GROUP BY source, reason ORDER BY source, reason",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(GapTotal {
                source: row.get(0)?,
                reason: row.get(1)?,
                gaps: row.get::<_, i64>(2)? as u64,
                bytes: row.get::<_, i64>(3)? as u64,
                newest: Timestamp(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The gaps that were noticed last, newest first.
    pub fn newest_gaps(&self, count: usize) -> Result<Vec<StoredGap>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT source, start_offset, end_offset, observed, reason FROM gaps
             ORDER BY observed DESC, id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([count as i64], |row| {
            let (start, end) = (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
            let observed = Timestamp(row.get(3)?);
            Ok(StoredGap { source: row.get(0)?, start, end, observed, reason: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether the gap has its row.
    pub fn has_gap(&self, source: &str, gap: &Gap) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM gaps WHERE source = ?1 AND start_offset = ?2 AND end_offset = ?3 AND reason = ?4",
        )?;
        let key = params![source, gap.start as i64, gap.end as i64, gap.reason.name()];
        Ok(statement.query_row(key, |_| Ok(())).optional()?.is_some())
    }
}
