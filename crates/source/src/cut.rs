//! Cuts a stream of bytes into lines, however the bytes arrive.

use memchr::memchr;
use taffrail_record::{Gap, GapReason, RawLine, Span, Timestamp};

/// Lines and gaps that were found in one arena.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) lines: Vec<RawLine>,
    pub(crate) gaps: Vec<Gap>,
}

/// Where a stream stands between two lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cutter {
    /// Offset of the next line's first byte (or, while skipping, of the next byte).
    pub(crate) offset: u64,
    /// Lines found so far.
    pub(crate) lines: u64,
    /// Offset at which the dropped rest of an oversize line began, until its newline is seen.
    pub(crate) skip: Option<u64>,
    /// Bytes of a line that are kept.
    pub(crate) max_line_bytes: usize,
}

impl Cutter {
    /// Cuts `arena[start..]`, whose bytes before `scanned` are known to hold no newline; `arena[start]` is the
    /// byte at `self.offset`. Returns where the unfinished last line starts.
    pub(crate) fn cut(
        &mut self,
        arena: &[u8],
        mut start: usize,
        scanned: usize,
        observed: Timestamp,
        found: &mut Found,
    ) -> usize {
        let mut from = scanned.max(start);
        while let Some(at) = memchr(b'\n', &arena[from..]) {
            let newline = from + at;
            self.line(start, newline, observed, found);
            start = newline + 1;
            from = start;
        }
        let rest = arena.len() - start;
        if self.skip.is_some() {
            self.offset += rest as u64;
            return arena.len();
        }
        if rest > self.max_line_bytes {
            self.push(start, start + self.max_line_bytes, false, found);
            self.skip = Some(self.offset + self.max_line_bytes as u64);
            self.offset += rest as u64;
            return arena.len();
        }
        start
    }

    /// Takes the unfinished line `arena[start..]` as it is: no newline will follow.
    pub(crate) fn finish(&mut self, arena: &[u8], start: usize, observed: Timestamp, found: &mut Found) {
        if self.skip.is_none() && start < arena.len() {
            self.push(start, arena.len(), false, found);
        }
        self.offset += (arena.len() - start) as u64;
        self.end_skip(observed, found);
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

    fn line(&mut self, start: usize, newline: usize, observed: Timestamp, found: &mut Found) {
        let end = self.offset + (newline + 1 - start) as u64;
        if self.skip.is_some() {
            self.offset = end;
            self.end_skip(observed, found);
        } else if newline - start > self.max_line_bytes {
            self.push(start, start + self.max_line_bytes, false, found);
            self.skip = Some(self.offset + self.max_line_bytes as u64);
            self.offset = end;
            self.end_skip(observed, found);
        } else {
            self.push(start, newline, true, found);
            self.offset = end;
        }
    }

    fn push(&mut self, start: usize, end: usize, newline: bool, found: &mut Found) {
        found.lines.push(RawLine { span: Span::new(start, end), offset: self.offset, newline });
        self.lines += 1;
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Lines = Vec<(Vec<u8>, u64, bool)>;
    type Gaps = Vec<(u64, u64)>;

    /// Feeds `pieces` with the partial line carried on, as sources do.
    fn cut_all(pieces: &[&[u8]], max_line_bytes: usize) -> (Lines, Gaps) {
        let mut cutter = Cutter { max_line_bytes, ..Cutter::default() };
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
            let rest = cutter.cut(&arena, 0, scanned, Timestamp(0), &mut found);
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
            assert_eq!(cut_all(&[bytes], 4), (lines, gaps.to_vec()), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8), max in 1usize..9) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(cut_all(&pieces, max), cut_all(&[bytes], max));
        }
    }
}
