//! What could not be read, summed up: rows of the catalog and what is not sealed yet.

use std::collections::{BTreeMap, HashSet};

use taffrail_record::Gap;

use super::Store;
use crate::catalog::StoredGap;
use crate::engine::{GapTotal, Gaps};
use crate::error::Result;

impl Store {
    /// Sums of all gaps, and the newest of them, at most `newest`.
    pub fn gap_sums(&self, newest: usize) -> Result<Gaps> {
        let writer = self.shared.writer();
        let sealing = self.shared.view().sealing;
        let catalog = self.shared.catalog();
        let mut totals: BTreeMap<(String, String), GapTotal> = catalog
            .gap_totals()?
            .into_iter()
            .map(|total| ((total.source.clone(), total.reason.clone()), total))
            .collect();
        let mut latest = catalog.newest_gaps(newest)?;
        let unsealed = sealing.iter().flat_map(|sealing| &sealing.gaps).chain(writer.memtable.gaps());
        let mut seen = HashSet::new();
        for (source, gap) in unsealed {
            // One that is being committed stands in both places for a moment.
            let is_new = seen.insert((source, gap.start, gap.end, gap.reason));
            if is_new && !catalog.has_gap(source, gap)? {
                add(&mut totals, source, gap);
                latest.push(stored(source, gap));
            }
        }
        latest.sort_by_key(|gap| std::cmp::Reverse(gap.observed));
        latest.truncate(newest);
        Ok(Gaps { totals: totals.into_values().collect(), newest: latest })
    }
}

fn add(totals: &mut BTreeMap<(String, String), GapTotal>, source: &str, gap: &Gap) {
    let (source, reason) = (source.to_owned(), gap.reason.name().to_owned());
    let total = totals.entry((source.clone(), reason.clone())).or_insert_with(|| GapTotal {
        source,
        reason,
        gaps: 0,
        bytes: 0,
        newest: gap.observed,
    });
    total.gaps += 1;
    total.bytes += gap.end - gap.start;
    total.newest = total.newest.max(gap.observed);
}

fn stored(source: &str, gap: &Gap) -> StoredGap {
    StoredGap {
        source: source.to_owned(),
        start: gap.start,
        end: gap.end,
        observed: gap.observed,
        reason: gap.reason.name().to_owned(),
    }
}
