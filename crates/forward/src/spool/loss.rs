//! What a file held that is dropped: which bytes of which sources are lost to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use taffrail_record::{Checkpoint, Gap, GapReason, RawBatch, Timestamp};

use super::Dropped;
use crate::entry::{Content, Entry, Kind};

/// What is dropped, in groups of entries that a target has all of, or none.
pub(super) struct Losses {
    groups: Vec<Group>,
    /// Losses that were in it: they are not forgotten with the word of them.
    before: Vec<Entry>,
    pub dropped: Dropped,
}

struct Group {
    first: u64,
    last: u64,
    /// By source: from the first byte to behind the last.
    ranges: BTreeMap<Arc<str>, (u64, u64)>,
}

impl Losses {
    /// Of the entries from `first` to `last`. What is being sent at the moment, up to one of `taken`, may arrive all the same.
    pub(super) fn new<'a>(first: u64, last: u64, taken: impl Iterator<Item = &'a u64>) -> Self {
        let mut ends: Vec<u64> = taken.copied().filter(|end| (first..last).contains(end)).collect();
        ends.push(last);
        ends.sort_unstable();
        ends.dedup();
        let mut next = first;
        let group = |last| {
            let first = std::mem::replace(&mut next, last + 1);
            Group { first, last, ranges: BTreeMap::new() }
        };
        Self {
            groups: ends.into_iter().map(group).collect(),
            before: Vec::new(),
            dropped: Dropped::default(),
        }
    }

    /// An entry that is dropped.
    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.kind == Kind::Loss {
            self.before.push(entry.clone());
            return;
        }
        self.dropped.entries += 1;
        self.dropped.lines += u64::from(entry.lines);
        let Some(Content::Lines(batch, _)) = entry.content() else { return };
        let Some(group) = self.groups.iter_mut().find(|group| entry.sequence <= group.last) else { return };
        let start = batch.lines.first().map_or(batch.checkpoint.offset, |line| line.offset);
        let range = group.ranges.entry(batch.source).or_insert((start, start));
        range.1 = range.1.max(batch.checkpoint.offset);
    }

    /// The entries that say so.
    pub(super) fn entries(
        self,
        observed: Timestamp,
        checkpoints: &BTreeMap<String, Checkpoint>,
    ) -> std::io::Result<Vec<Entry>> {
        let mut entries = self.before;
        for Group { first, last, ranges } in self.groups {
            for (source, (start, end)) in ranges {
                let gap = Gap { start, end, observed, reason: GapReason::Overrun };
                let checkpoint = checkpoints.get(&*source).cloned().unwrap_or_default();
                let (bytes, lines_of_it, gaps) = (Vec::new(), Vec::new(), vec![gap]);
                let batch =
                    RawBatch { source, observed, bytes, lines: lines_of_it, header: None, gaps, checkpoint };
                entries.push(Entry::of_loss((first, last), &batch)?);
            }
        }
        Ok(entries)
    }
}
