//! What an agent sends of a source, as the next part of that source here: each line once.
//!
//! A line is known by the spool that it comes out of and its offset. While the spool is the same, offsets here are the agent's
//! and a constant; one that begins anew (the agent was installed again) goes on behind what is stored.

use std::sync::Arc;

use taffrail_record::{Checkpoint, RawBatch};

/// The first word of a checkpoint's state.
const STATE: &str = "agent";

/// The batch to store, given how far the source is stored; `None` if all of it is.
pub(super) fn batch(batch: RawBatch, source: &Arc<str>, spool: &str, known: &Checkpoint) -> Option<RawBatch> {
    let base = base(known, spool);
    let is_same = base.is_some();
    let base = base.unwrap_or(known.offset);
    let RawBatch { mut lines, mut gaps, checkpoint, .. } = batch;
    for line in &mut lines {
        line.offset = line.offset.saturating_add(base);
    }
    for gap in &mut gaps {
        (gap.start, gap.end) = (gap.start.saturating_add(base), gap.end.saturating_add(base));
    }
    // Read again by the agent, or sent again after an answer that was lost.
    lines.retain(|line| !is_same || line.offset >= known.offset);
    let offset = checkpoint.offset.saturating_add(base).max(known.offset);
    if lines.is_empty() && gaps.is_empty() && is_same && offset == known.offset {
        return None;
    }
    let state = format!("{STATE} {spool} {base}");
    let checkpoint = Checkpoint { offset, lines: known.lines + lines.len() as u64, state };
    Some(RawBatch { source: Arc::clone(source), lines, gaps, checkpoint, ..batch })
}

/// What is added to the offsets of a spool; `None` if what is stored is not out of it.
fn base(known: &Checkpoint, spool: &str) -> Option<u64> {
    let mut words = known.state.split(' ');
    let is_it = words.next() == Some(STATE) && words.next() == Some(spool);
    is_it.then(|| words.next()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use taffrail_record::{Gap, GapReason, RawLine, Span, Timestamp};

    use super::*;

    fn sent(offsets: &[u64]) -> RawBatch {
        let line =
            |offset: &u64| RawLine { span: Span::new(0, 1), offset: *offset, newline: true, joined: false };
        let offset = offsets.last().map_or(0, |last| last + 2);
        RawBatch {
            source: "/x.log".into(),
            observed: Timestamp(0),
            bytes: b"x".to_vec(),
            lines: offsets.iter().map(line).collect(),
            header: None,
            gaps: Vec::new(),
            checkpoint: Checkpoint { offset, lines: 0, state: "inode".to_owned() },
        }
    }

    #[test]
    fn lines_are_stored_once_however_they_are_cut() {
        let source: Arc<str> = "web-1:/x.log".into();
        let mut known = Checkpoint::default();
        let mut stored = Vec::new();
        let mut take = |spool: &str, raw: RawBatch| {
            let Some(batch) = batch(raw, &source, spool, &known) else { return false };
            stored.extend(batch.lines.iter().map(|line| line.offset));
            known = batch.checkpoint;
            true
        };
        assert!(take("a", sent(&[0, 2, 4])));
        assert!(!take("a", sent(&[0, 2, 4])), "the answer was lost");
        assert!(take("a", sent(&[2, 4, 6])), "the agent lost its power, and cuts otherwise");
        assert!(take("a", sent(&[100])), "lines between were of no interest");
        // Installed again, it begins again.
        assert!(take("b", sent(&[0, 2])));
        assert!(!take("b", sent(&[2])));
        assert!(take("b", sent(&[4])));
        let gap = Gap { start: 6, end: 50, observed: Timestamp(0), reason: GapReason::Overrun };
        assert!(take("b", RawBatch { gaps: vec![gap], ..sent(&[]) }), "a loss has no lines");
        assert_eq!(stored, [0, 2, 4, 6, 100, 102, 104, 106]);
        assert_eq!((known.offset, known.lines), (108, 8));
    }
}
