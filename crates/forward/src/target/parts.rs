//! An entry in parts, where the whole is too large for a server: each is an entry of the same number. A hub knows lines by their
//! offsets, so that it has each once even if the parts are cut in another way the next time.

use std::collections::VecDeque;

use taffrail_record::{Checkpoint, Gap, GapReason, RawBatch, Span, Timestamp, header};

use crate::entry::{Content, Entry};

/// What is left of an entry to be sent.
#[derive(Debug)]
pub(super) struct Parts {
    /// The number of the entry.
    pub(super) of: u64,
    left: VecDeque<Entry>,
}

impl Parts {
    /// All of it, in one part.
    pub(super) fn of(entry: &Entry) -> Self {
        Self { of: entry.sequence, left: VecDeque::from([entry.clone()]) }
    }

    /// The part that is next.
    pub(super) fn first(&self) -> Option<&Entry> {
        self.left.front()
    }

    /// That one is done with.
    pub(super) fn pass(&mut self) {
        self.left.pop_front();
    }

    /// Puts the word of its loss in the place of that one; false if it is not of lines.
    pub(super) fn lose(&mut self, observed: Timestamp) -> bool {
        let Some(loss) = self.left.front().and_then(|part| lost(part, observed)) else { return false };
        self.left[0] = loss;
        true
    }

    /// Makes two of that one; false if it has not two records.
    pub(super) fn halve(&mut self) -> bool {
        let Some([first, second]) = self.left.front().and_then(halves) else { return false };
        self.left[0] = second;
        self.left.push_front(first);
        true
    }
}

fn halves(entry: &Entry) -> Option<[Entry; 2]> {
    let Some(Content::Lines(batch, note)) = entry.content() else { return None };
    let whole = |batch: RawBatch| {
        let mut part = Entry::of_lines(&batch, &note).ok()?;
        part.sequence = entry.sequence;
        Some(part)
    };
    let [first, second] = cut(batch)?;
    Some([whole(first)?, whole(second)?])
}

/// That the lines of an entry are lost.
fn lost(entry: &Entry, observed: Timestamp) -> Option<Entry> {
    let Some(Content::Lines(batch, _)) = entry.content() else { return None };
    let (start, end) = (batch.lines.first()?.offset, batch.checkpoint.offset);
    let gap = Gap { start, end, observed, reason: GapReason::Refused };
    let batch =
        RawBatch { observed, bytes: Vec::new(), lines: Vec::new(), header: None, gaps: vec![gap], ..batch };
    Entry::of_loss((entry.sequence, entry.sequence), &batch).ok()
}

/// The first ends where the second begins, so that whoever has it wants exactly the second.
fn cut(batch: RawBatch) -> Option<[RawBatch; 2]> {
    if batch.lines.len() < 2 {
        return None;
    }
    let (before, after) = batch.lines.split_at(batch.lines.len() / 2);
    let at = after.first()?.span.start as usize;
    let mut second = RawBatch {
        source: batch.source.clone(),
        bytes: batch.bytes.get(at..)?.to_vec(),
        lines: after.to_vec(),
        header: before
            .iter()
            .fold(batch.header.clone(), |known, line| named(known, line.span.of(&batch.bytes))),
        gaps: Vec::new(),
        checkpoint: batch.checkpoint.clone(),
        ..batch
    };
    for line in &mut second.lines {
        line.span = Span::new(line.span.start as usize - at, line.span.end() - at);
    }
    let offset = second.lines.first()?.offset;
    let count = batch.checkpoint.lines.saturating_sub(second.line_count());
    let first = RawBatch {
        lines: before.to_vec(),
        bytes: batch.bytes[..at].to_vec(),
        checkpoint: Checkpoint { offset, lines: count, state: batch.checkpoint.state.clone() },
        ..batch
    };
    Some([first, second])
}

/// The header of what follows a line.
fn named(known: Option<std::sync::Arc<str>>, line: &[u8]) -> Option<std::sync::Arc<str>> {
    if header::is_directive(line) {
        return header::text(line).or(known);
    }
    match known {
        Some(known) if header::is_date(line) => Some(header::with_date(&known, line)),
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use taffrail_record::RawLine;

    use super::*;
    use crate::entry::Kind;

    fn batch(lines: &[&str]) -> RawBatch {
        let mut bytes = Vec::new();
        let mut line = |text: &&str| {
            let span = Span::new(bytes.len(), bytes.len() + text.len());
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
            RawLine { span, offset: 100 + u64::from(span.start), newline: true, joined: false }
        };
        let lines: Vec<RawLine> = lines.iter().map(&mut line).collect();
        let checkpoint =
            Checkpoint { offset: 100 + bytes.len() as u64, lines: 40, state: "inode".to_owned() };
        let (header, gaps) = (Some("#Fields: a".into()), Vec::new());
        RawBatch { source: "/x.log".into(), observed: Timestamp(7), bytes, lines, header, gaps, checkpoint }
    }

    #[test]
    fn parts_say_what_the_whole_says() {
        let lines = ["one", "#Fields: b", "", "four", "five"];
        let mut whole = Entry::of_lines(&batch(&lines), "note").unwrap();
        whole.sequence = 9;
        let mut parts = Parts::of(&whole);
        let mut found = Vec::new();
        let mut end = 0;
        while let Some(part) = parts.first().cloned() {
            if parts.halve() {
                continue;
            }
            parts.pass();
            let Some(Content::Lines(batch, note)) = part.content() else { panic!("{part:?}") };
            assert_eq!((part.sequence, part.lines, note.as_str()), (9, 1, "note"));
            let line = batch.lines[0];
            // Nothing of it is known to who has what came before, and all of it to who has it.
            assert!(line.offset >= end && batch.checkpoint.offset > line.offset, "{batch:?}");
            end = batch.checkpoint.offset;
            let text = String::from_utf8(line.span.of(&batch.bytes).to_vec()).unwrap();
            found.push((text, line.offset, batch.header.unwrap().to_string()));
        }
        let fields = |name: &str| format!("#Fields: {name}");
        let (a, b) = (fields("a"), fields("b"));
        let want =
            [("one", 100, &a), ("#Fields: b", 104, &a), ("", 115, &b), ("four", 116, &b), ("five", 121, &b)];
        let want = want.map(|(text, offset, header)| (text.to_owned(), offset, header.clone()));
        assert_eq!((found, end), (want.to_vec(), 126));
    }

    #[test]
    fn a_part_that_is_lost_says_which_bytes() {
        let mut whole = Entry::of_lines(&batch(&["one", "two", "three"]), "").unwrap();
        whole.sequence = 9;
        let mut parts = Parts::of(&whole);
        assert!(parts.halve());
        parts.pass();
        assert!(parts.lose(Timestamp(11)));
        let loss = parts.first().unwrap();
        assert_eq!((loss.sequence, loss.kind, loss.lines), (9, Kind::Loss, 0));
        let Some(Content::Loss { entries, batch }) = loss.content() else { panic!("{loss:?}") };
        let gap = Gap { start: 104, end: 114, observed: Timestamp(11), reason: GapReason::Refused };
        assert_eq!((entries, batch.gaps, batch.checkpoint.offset), ((9, 9), vec![gap], 114));
        assert!(!parts.halve() && !parts.lose(Timestamp(11)), "there is no more to lose");
    }
}
