//! Cuts a stream of bytes into lines, however the bytes arrive, and joins the lines that are one record.

use std::sync::Arc;

use memchr::memchr;
use taffrail_record::{Gap, GapReason, Multiline, RawLine, Span, Timestamp};

use crate::Limits;

/// Lines and gaps that were found in one arena.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) lines: Vec<RawLine>,
    pub(crate) gaps: Vec<Gap>,
}

/// Where a stream stands between two records.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// Offset of the next record's first byte (or, while skipping, of the next byte).
    pub(crate) offset: u64,
    /// Lines handed over so far.
    pub(crate) lines: u64,
    /// Offset at which the dropped rest of an oversize line began, until its newline is seen.
    pub(crate) skip: Option<u64>,
    /// Bytes of a record that are kept.
    max_line_bytes: usize,
    /// Lines of a record at most.
    max_record_lines: u32,
    /// Says which lines are one record; `None`: each is one.
    multiline: Option<Box<dyn Multiline>>,
    /// The header that it was told last.
    header: Option<Arc<str>>,
    /// The record to which the next line may belong.
    open: Option<Open>,
}

/// A record of whole lines, which are held until it is known that it ends with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Open {
    /// Its bytes, the last newline included.
    len: usize,
    lines: u32,
}

impl Cutter {
    /// At the start of a stream.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max_line_bytes: limits.max_line_bytes,
            max_record_lines: limits.max_record_lines,
            multiline: limits.multiline.as_ref().map(|multiline| multiline.fresh()),
            ..Self::default()
        }
    }

    /// What is cut next stands under this header.
    pub(crate) fn under(&mut self, header: Option<&Arc<str>>) {
        if self.header.as_ref() != header {
            self.header = header.cloned();
            if let Some(multiline) = &mut self.multiline {
                multiline.under(header);
            }
        }
    }

    /// Cuts `arena[start..]`, whose bytes before `scanned` were cut before; `arena[start]` is the byte at
    /// `self.offset`. Returns where the unfinished last record starts: a line without its newline, or one that may go
    /// on. `more` tells that bytes are there to be cut next, so that nothing is to be decided without them.
    pub(crate) fn cut(
        &mut self,
        arena: &[u8],
        start: usize,
        scanned: usize,
        more: bool,
        observed: Timestamp,
        found: &mut Found,
    ) -> usize {
        if scanned <= start {
            // What was held is read again.
            self.open = None;
        }
        let mut record = start;
        let mut line = start + self.open.map_or(0, |open| open.len);
        let mut from = scanned.max(line);
        while let Some(at) = memchr(b'\n', &arena[from..]) {
            let newline = from + at;
            record = self.line(arena, record, line, newline, observed, found);
            line = newline + 1;
            from = line;
        }
        let rest = arena.len() - line;
        if self.skip.is_some() {
            self.offset += rest as u64;
            return arena.len();
        }
        let held = line - record;
        if held > 0 && (held + rest > self.max_line_bytes || !(more || self.may_go_on(&arena[record..line])))
        {
            record = self.close(record, found);
        }
        if rest > self.max_line_bytes {
            self.cut_off(line, found);
            self.offset += (rest - self.max_line_bytes) as u64;
            return arena.len();
        }
        record
    }

    /// Takes the unfinished record `arena[start..]` as it is: nothing will follow.
    pub(crate) fn finish(&mut self, arena: &[u8], start: usize, observed: Timestamp, found: &mut Found) {
        let mut record = start;
        let line = start + self.open.map_or(0, |open| open.len);
        if self.skip.is_some() {
            self.offset += (arena.len() - start) as u64;
        } else {
            let mut lines = 1;
            if let Some(open) = self.open {
                if line < arena.len() && self.goes_on(arena, record, line, arena.len()) {
                    lines += open.lines;
                    self.open = None;
                } else {
                    record = self.close(record, found);
                }
            }
            if record < arena.len() {
                self.push(record, arena.len(), false, lines, found);
            }
        }
        self.end_skip(observed, found);
    }

    /// Takes the lines that were held, for what follows does not come; where the unfinished line starts.
    pub(crate) fn finish_lines(&mut self, start: usize, found: &mut Found) -> usize {
        if self.open.is_some() { self.close(start, found) } else { start }
    }

    /// Whatever was held is read again.
    pub(crate) fn hold_nothing(&mut self) {
        self.open = None;
    }

    /// Whether whole lines are held.
    pub(crate) fn holds_lines(&self) -> bool {
        self.open.is_some()
    }

    /// Passes over bytes up to `end` that can no longer be read, the unfinished line included.
    pub(crate) fn lose(&mut self, end: u64, observed: Timestamp, found: &mut Found) {
        self.end_skip(observed, found);
        if end > self.offset {
            let reason = GapReason::TruncatedBeforeRead;
            found.gaps.push(Gap { start: self.offset, end, observed, reason });
            self.offset = end;
        }
    }

    /// Takes the line `arena[line..newline]`, which stands behind the record that begins at `record`; where the record
    /// begins that may go on now.
    fn line(
        &mut self,
        arena: &[u8],
        record: usize,
        line: usize,
        newline: usize,
        observed: Timestamp,
        found: &mut Found,
    ) -> usize {
        if self.skip.is_some() {
            self.offset += (newline + 1 - line) as u64;
            self.end_skip(observed, found);
            return newline + 1;
        }
        if let Some(open) = &self.open {
            let (len, lines) = (newline + 1 - record, open.lines + 1);
            let fits = len <= self.max_line_bytes && lines <= self.max_record_lines;
            if fits && self.goes_on(arena, record, line, newline) {
                self.open = Some(Open { len, lines });
                return record;
            }
            self.close(record, found);
        }
        if newline - line > self.max_line_bytes {
            self.cut_off(line, found);
            self.offset += (newline + 1 - line - self.max_line_bytes) as u64;
            self.end_skip(observed, found);
            return newline + 1;
        }
        if self.multiline.is_some() {
            self.open = Some(Open { len: newline + 1 - line, lines: 1 });
            return line;
        }
        self.push(line, newline, true, 1, found);
        newline + 1
    }

    /// Whether the line `arena[line..end]` belongs to the record before it.
    fn goes_on(&mut self, arena: &[u8], record: usize, line: usize, end: usize) -> bool {
        let multiline = self.multiline.as_mut();
        multiline.is_some_and(|multiline| multiline.goes_on(&arena[record..line - 1], &arena[line..end]))
    }

    /// Whether the record of these lines is worth waiting for.
    fn may_go_on(&mut self, lines: &[u8]) -> bool {
        let multiline = self.multiline.as_mut();
        multiline.is_some_and(|multiline| multiline.is_open(&lines[..lines.len() - 1]))
    }

    /// Ends the open record, which begins at `record`; where the next one begins.
    fn close(&mut self, record: usize, found: &mut Found) -> usize {
        let Some(Open { len, lines }) = self.open.take() else { return record };
        self.push(record, record + len - 1, true, lines, found);
        record + len
    }

    /// Takes as much of the line at `line` as is kept.
    fn cut_off(&mut self, line: usize, found: &mut Found) {
        self.push(line, line + self.max_line_bytes, false, 1, found);
        self.skip = Some(self.offset);
    }

    fn push(&mut self, start: usize, end: usize, newline: bool, lines: u32, found: &mut Found) {
        found.lines.push(RawLine {
            span: Span::new(start, end),
            offset: self.offset,
            newline,
            joined: lines > 1,
        });
        self.lines += u64::from(lines);
        self.offset += (end - start + usize::from(newline)) as u64;
    }

    /// Ends the gap of an oversize line for now, for other bytes come in between; whether its rest is still to be passed over.
    pub(crate) fn interrupt(&mut self, observed: Timestamp, found: &mut Found) -> bool {
        let skips = self.skip.is_some();
        self.end_skip(observed, found);
        skips
    }

    fn end_skip(&mut self, observed: Timestamp, found: &mut Found) {
        if let Some(start) = self.skip.take()
            && start < self.offset
        {
            found.gaps.push(Gap { start, end: self.offset, observed, reason: GapReason::Oversize });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines that begin with a blank belong to the line before; a record that ends in a colon waits for more.
    #[derive(Debug)]
    pub(crate) struct Indented;

    impl Multiline for Indented {
        fn goes_on(&mut self, record: &[u8], line: &[u8]) -> bool {
            assert!(!record.ends_with(b"\n\n") && !line.contains(&b'\n'));
            line.starts_with(b" ")
        }

        fn is_open(&mut self, record: &[u8]) -> bool {
            record.contains(&b'\n') || record.ends_with(b":")
        }

        fn fresh(&self) -> Box<dyn Multiline> {
            Box::new(Self)
        }
    }

    fn joining(max_line_bytes: usize, max_record_lines: u32) -> Limits {
        let multiline: Option<std::sync::Arc<dyn Multiline>> = Some(std::sync::Arc::new(Indented));
        Limits { max_line_bytes, max_record_lines, multiline, ..Limits::default() }
    }

    type Lines = Vec<(Vec<u8>, u64, bool)>;
    type Gaps = Vec<(u64, u64)>;

    /// Feeds `pieces` with the partial line carried on, as sources do.
    fn cut_all(pieces: &[&[u8]], limits: &Limits) -> (Lines, Gaps) {
        let mut cutter = Cutter::new(limits);
        let (mut lines, mut gaps, mut carry) = (Vec::new(), Vec::new(), Vec::new());
        let mut collect = |arena: &[u8], found: Found| {
            lines.extend(found.lines.iter().map(|l| (l.span.of(arena).to_vec(), l.offset, l.newline)));
            gaps.extend(found.gaps.iter().map(|g| (g.start, g.end)));
        };
        for piece in pieces {
            let scanned = carry.len();
            let mut arena = std::mem::take(&mut carry);
            arena.extend_from_slice(piece);
            let mut found = Found::default();
            let rest = cutter.cut(&arena, 0, scanned, true, Timestamp(0), &mut found);
            carry = arena[rest..].to_vec();
            collect(&arena, found);
        }
        let mut found = Found::default();
        cutter.finish(&carry, 0, Timestamp(0), &mut found);
        collect(&carry, found);
        (lines, gaps)
    }

    #[test]
    fn lines_and_gaps_cover_every_byte() {
        type Case<'a> = (&'a [u8], &'a [(&'a str, u64, bool)], &'a [(u64, u64)]);
        let cases: [Case<'_>; 7] = [
            (b"", &[], &[]),
            (b"a\nb\n", &[("a", 0, true), ("b", 2, true)], &[]),
            (b"a\r\n\nb", &[("a\r", 0, true), ("", 3, true), ("b", 4, false)], &[]),
            (b"abcd\ne\n", &[("abcd", 0, true), ("e", 5, true)], &[]),
            (b"abcde\nf\n", &[("abcd", 0, false), ("f", 6, true)], &[(4, 6)]),
            (b"abcdefghi", &[("abcd", 0, false)], &[(4, 9)]),
            (b"abcde\nfghij\n", &[("abcd", 0, false), ("fghi", 6, false)], &[(4, 6), (10, 12)]),
        ];
        for (bytes, lines, gaps) in cases {
            let lines: Vec<_> = lines.iter().map(|(t, o, n)| (t.as_bytes().to_vec(), *o, *n)).collect();
            let limits = Limits { max_line_bytes: 4, ..Limits::default() };
            assert_eq!(cut_all(&[bytes], &limits), (lines, gaps.to_vec()), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lines_that_go_on_are_one_record_within_limits() {
        let records = |text: &str, limits: &Limits| -> Vec<String> {
            let (lines, _) = cut_all(&[text.as_bytes()], limits);
            lines.iter().map(|(line, ..)| String::from_utf8_lossy(line).into_owned()).collect()
        };
        let limits = joining(100, 3);
        assert_eq!(records("a\n b\nc\n", &limits), ["a\n b", "c"]);
        assert_eq!(records(" a\n b\n\n c\n d", &limits), [" a\n b", "\n c\n d"]);
        assert_eq!(records("a\n b\n c\n d\n e\nf", &limits), ["a\n b\n c", " d\n e", "f"], "lines");
        assert_eq!(records("a\n bcd\n ef\n gh\n", &joining(8, 9)), ["a\n bcd", " ef\n gh"], "bytes");
        assert_eq!(
            records("a\n bcdefghijk\n c\n", &joining(8, 9)),
            ["a", " bcdefgh", " c"],
            "too long a line"
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8), max in 1usize..9) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let limits = Limits { max_line_bytes: max, ..Limits::default() };
            prop_assert_eq!(cut_all(&pieces, &limits), cut_all(&[bytes], &limits));
        }

        #[test]
        fn pieces_do_not_matter_for_records(bytes in "[a \n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8), max in 1usize..9, lines in 1u32..5) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            // A line that turns out too long ends its record before it is known whether it belongs to it.
            let limits = joining(max + 60, lines);
            prop_assert_eq!(cut_all(&pieces, &limits), cut_all(&[bytes], &limits));
        }
    }
}
