//! Cuts what `journalctl -o json` writes into entries, each with its cursor.

use memchr::{memchr, memmem};
use taffrail_record::{Gap, GapReason, RawLine, Span, Timestamp};

use super::cursor::{CURSOR_MAX, Cursor};
use super::order::Order;

/// What names the cursor. Inside a JSON string every quote has a backslash before it, so no message holds this.
const KEY: &[u8] = b"\"__CURSOR\"";
/// Bytes in which a cursor and its key fit: what is kept of a line's dropped part to find them across pieces.
const WINDOW: usize = KEY.len() + CURSOR_MAX + 16;

/// Lines, gaps and the position of a stream of entries.
#[derive(Debug)]
pub(super) struct Entries {
    max_line_bytes: usize,
    /// Offset of the next entry's first byte.
    pub(super) offset: u64,
    /// Entries handed over since the source was first seen.
    pub(super) count: u64,
    arena: Vec<u8>,
    lines: Vec<RawLine>,
    gaps: Vec<Gap>,
    /// Where in the arena the current line begins.
    start: usize,
    /// Bytes of the current line that were not kept.
    dropped: u64,
    /// The end of what was dropped, and what was before it.
    window: Vec<u8>,
    /// The current line's cursor, if it stands in the dropped part.
    found: Option<Cursor>,
    order: Order,
}

/// What a batch is made of.
#[derive(Default, Debug)]
pub(super) struct Taken {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<RawLine>,
    pub(super) gaps: Vec<Gap>,
}

/// What a line of the output is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// An entry, by its cursor; it counts once [`Entries::keep`] is called.
    Entry(Cursor),
    /// Something else, which is not kept: its beginning.
    Other(String),
}

impl Entries {
    pub(super) fn new(max_line_bytes: usize, offset: u64, count: u64) -> Self {
        Self {
            max_line_bytes,
            offset,
            count,
            arena: Vec::new(),
            lines: Vec::new(),
            gaps: Vec::new(),
            start: 0,
            dropped: 0,
            window: Vec::new(),
            found: None,
            order: Order::default(),
        }
    }

    /// Takes bytes up to the end of the current line from `bytes`. `None` if the line goes on after them.
    /// A line that was completed is to be kept or passed over before the next call.
    pub(super) fn feed(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        let newline = memchr(b'\n', bytes);
        let (piece, rest) = bytes.split_at(newline.unwrap_or(bytes.len()));
        self.append(piece);
        *bytes = rest.get(1..).unwrap_or_default();
        newline.map(|_| self.complete())
    }

    fn append(&mut self, piece: &[u8]) {
        let room = self.max_line_bytes - (self.arena.len() - self.start);
        let (kept, dropped) = piece.split_at(piece.len().min(room));
        self.arena.extend_from_slice(kept);
        if dropped.is_empty() {
            return;
        }
        if self.dropped == 0 {
            let from = self.start.max(self.arena.len().saturating_sub(WINDOW));
            self.window.extend_from_slice(&self.arena[from..]);
        }
        self.dropped += dropped.len() as u64;
        if self.found.is_none() {
            self.window.extend_from_slice(dropped);
            self.found = cursor_in(&self.window);
            let surplus = self.window.len().saturating_sub(WINDOW);
            self.window.drain(..surplus);
        }
    }

    fn complete(&mut self) -> Line {
        let text = &self.arena[self.start..];
        let cursor =
            if text.first() == Some(&b'{') { cursor_in(text).or_else(|| self.found.take()) } else { None };
        cursor.map_or_else(
            || Line::Other(String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned()),
            Line::Entry,
        )
    }

    /// Makes the completed line part of the batch.
    pub(super) fn keep(&mut self, observed: Timestamp) {
        let (start, end) = (self.start, self.arena.len());
        let whole = self.dropped == 0;
        if whole {
            self.order.sort(&mut self.arena[start..]);
        }
        self.lines.push(RawLine {
            span: Span::new(start, end),
            offset: self.offset,
            newline: whole,
            joined: false,
        });
        let kept_end = self.offset + (end - start) as u64;
        // The newline belongs to the line.
        self.offset = kept_end + self.dropped + 1;
        if !whole {
            let reason = GapReason::Oversize;
            self.gaps.push(Gap { start: kept_end, end: self.offset, observed, reason });
        }
        self.count += 1;
        self.begin_line();
    }

    /// Forgets the completed line, or what there is of the current one.
    pub(super) fn pass_over(&mut self) {
        self.arena.truncate(self.start);
        self.begin_line();
    }

    fn begin_line(&mut self) {
        self.start = self.arena.len();
        self.dropped = 0;
        self.window.clear();
        self.found = None;
    }

    /// Counts `entries` that are gone before the next one. Nobody knows how long they were: one byte for each.
    pub(super) fn lose(&mut self, entries: u64, observed: Timestamp) {
        let (start, end) = (self.offset, self.offset.saturating_add(entries));
        self.gaps.push(Gap { start, end, observed, reason: GapReason::TruncatedBeforeRead });
        self.offset = end;
    }

    /// Whether there is something to hand over.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.gaps.is_empty()
    }

    /// Bytes of complete entries.
    pub(super) fn len(&self) -> usize {
        self.start
    }

    /// What is complete; the current line stays.
    pub(super) fn take(&mut self) -> Taken {
        let rest = self.arena.split_off(self.start);
        let bytes = std::mem::replace(&mut self.arena, rest);
        self.start = 0;
        Taken { bytes, lines: std::mem::take(&mut self.lines), gaps: std::mem::take(&mut self.gaps) }
    }
}

/// The cursor that stands in `text` as a whole.
fn cursor_in(text: &[u8]) -> Option<Cursor> {
    let mut rest = &text[memmem::find(text, KEY)? + KEY.len()..];
    for wanted in [b':', b'"'] {
        rest = rest.trim_ascii_start().strip_prefix(&[wanted])?;
    }
    let end = memchr(b'"', &rest[..rest.len().min(CURSOR_MAX + 1)])?;
    Cursor::new(std::str::from_utf8(&rest[..end]).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with their offsets and whether a newline follows.
    type Lines = Vec<(String, u64, bool)>;

    /// Cursors, lines, gaps, and what is no entry.
    type Cut = (Vec<String>, Lines, Vec<(u64, u64)>, Vec<String>);

    /// Feeds `text` in pieces of `size` bytes.
    fn cut(text: &str, size: usize, max: usize) -> Cut {
        let mut entries = Entries::new(max, 100, 0);
        let (mut cursors, mut others) = (Vec::new(), Vec::new());
        let (mut lines, mut gaps) = (Vec::new(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            let mut rest = piece;
            while let Some(line) = entries.feed(&mut rest) {
                match line {
                    Line::Entry(cursor) => {
                        cursors.push(cursor.as_str().to_owned());
                        entries.keep(Timestamp(1));
                    }
                    Line::Other(other) => {
                        others.push(other);
                        entries.pass_over();
                    }
                }
            }
            let taken = entries.take();
            lines.extend(taken.lines.iter().map(|line| {
                let text = String::from_utf8(line.span.of(&taken.bytes).to_vec()).unwrap();
                (text, line.offset, line.newline)
            }));
            gaps.extend(taken.gaps.iter().map(|gap| (gap.start, gap.end)));
        }
        assert_eq!(entries.count, cursors.len() as u64);
        (cursors, lines, gaps, others)
    }

    #[test]
    fn entries_are_cut_however_the_bytes_arrive() {
        let a = r#"{"MESSAGE":"\"__CURSOR\":\"s=no\"","__CURSOR":"s=a;i=1"}"#;
        let b = r#"{ "__CURSOR" : "s=a;i=2", "MESSAGE" : "m" }"#;
        let text = format!("{a}\n-- Boot 1234 --\n{b}\n{{\"torn\":\"");
        for size in [1, 2, 7, 64, 4096] {
            let (cursors, lines, gaps, others) = cut(&text, size, 1000);
            assert_eq!(cursors, ["s=a;i=1", "s=a;i=2"], "{size}");
            let want = [(a.to_owned(), 100, true), (b.to_owned(), 101 + a.len() as u64, true)];
            assert_eq!(lines, want, "{size}");
            assert_eq!((gaps, others), (vec![], vec!["-- Boot 1234 --".to_owned()]), "{size}");
        }
    }

    #[test]
    fn an_oversize_entry_keeps_its_beginning_and_its_cursor() {
        for filler in [0usize, 1, 30, 60, 64, 70, 500, 5_000] {
            for behind in [0usize, 3, 2_000] {
                let line = format!(
                    r#"{{"A":"{}","__CURSOR":"s=a;i=1","b":"{}"}}"#,
                    "x".repeat(filler),
                    "y".repeat(behind)
                );
                for size in [1, 13, 700, 100_000] {
                    let max = 64;
                    let (cursors, lines, gaps, others) = cut(&format!("{line}\n"), size, max);
                    assert_eq!(cursors, ["s=a;i=1"], "{filler} {behind} {size}");
                    assert!(others.is_empty());
                    let kept = line.len().min(max);
                    assert_eq!(lines, [(line[..kept].to_owned(), 100, kept == line.len())]);
                    let gap = (100 + max as u64, 101 + line.len() as u64);
                    assert_eq!(gaps, if kept < line.len() { vec![gap] } else { vec![] });
                }
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut entries = Entries::new(4096, 0, 0);
        let piece = [b'x'; 65_536];
        for _ in 0..200 {
            assert_eq!(entries.feed(&mut &piece[..]), None);
            assert!(entries.arena.capacity() <= 8192 && entries.window.capacity() <= 4 * 65_536);
        }
    }

    #[test]
    fn lost_entries_move_the_offset() {
        let mut entries = Entries::new(4096, 10, 0);
        entries.lose(3, Timestamp(5));
        assert_eq!((entries.offset, entries.is_empty()), (13, false));
        let gaps = entries.take().gaps;
        assert_eq!((gaps[0].start, gaps[0].end), (10, 13));
    }
}
