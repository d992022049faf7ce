//! One pass over anything that can be read: stdin, an imported file, a decompressor.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use taffrail_record::{Checkpoint, RawBatch, Timestamp};

use crate::cut::{Cutter, Found};
use crate::heading::Heading;
use crate::{Error, Limits, Stopped};

/// When a batch is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// When it is full: fastest, for files.
    Block,
    /// As soon as a read returns: for pipes that someone is waiting at.
    Available,
}

/// What is read, and how.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The source's name.
    pub source: Arc<str>,
    /// Where to go on counting: a fresh source starts at `Checkpoint::default()`.
    pub from: Checkpoint,
    /// Limits.
    pub limits: Limits,
    /// When a batch is complete.
    pub fill: Fill,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

const AVAILABLE_BYTES: usize = 64 * 1024;

/// Cuts all of `reader` into batches, hands them to `sink`, and returns where the source stands then.
/// The first byte read lies at `reading.from.offset`; every batch keeps `reading.from.state`.
///
/// # Errors
/// [`Error::Open`] if reading fails: complete lines before that were handed over. [`Error::Stopped`] if `sink` says so.
pub fn read_lines(
    reader: &mut dyn Read,
    reading: &Reading,
    sink: &mut dyn FnMut(RawBatch) -> Result<(), Stopped>,
) -> Result<Checkpoint, Error> {
    let limits = reading.limits.clone().checked();
    let mut cutter = Cutter::new(&limits);
    (cutter.offset, cutter.lines) = (reading.from.offset, reading.from.lines);
    let (mut heading, mut is_start) = (Heading::default(), true);
    let mut carry = Vec::new();
    loop {
        let scanned = carry.len();
        let mut arena = carry;
        let result = fill(reader, &mut arena, reading.fill, limits.batch_bytes);
        let ended = !matches!(result, Ok(count) if count > 0);
        // Whoever waits at a pipe is not to wait for what may never come.
        let more = !ended && reading.fill == Fill::Block;
        let observed = (reading.clock)();
        cutter.under(heading.before(&arena, is_start));
        let mut found = Found::default();
        let rest = cutter.cut(&arena, 0, scanned, more, observed, &mut found);
        if ended && result.is_ok() {
            cutter.finish(&arena, rest, observed, &mut found);
            carry = Vec::new();
        } else if found.lines.is_empty() && rest == 0 {
            // The line goes on: read on behind it instead of copying it.
            carry = arena;
            arena = Vec::new();
        } else {
            carry = arena[rest..].to_vec();
        }
        let checkpoint =
            Checkpoint { offset: cutter.offset, lines: cutter.lines, state: reading.from.state.clone() };
        if !found.lines.is_empty() || !found.gaps.is_empty() {
            let Found { lines, gaps } = found;
            let source = Arc::clone(&reading.source);
            let end = lines.last().map_or(0, |line| line.span.end() + usize::from(line.newline));
            let header = heading.pass(&arena[..end], std::mem::take(&mut is_start));
            let checkpoint = checkpoint.clone();
            sink(RawBatch { source, observed, bytes: arena, lines, header, gaps, checkpoint })?;
        }
        match result {
            Ok(0) => return Ok(checkpoint),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Appends to `arena`; 0 at the end of the stream.
fn fill(reader: &mut dyn Read, arena: &mut Vec<u8>, fill: Fill, batch_bytes: usize) -> io::Result<usize> {
    if fill == Fill::Block {
        arena.reserve_exact(batch_bytes);
        return reader.take(batch_bytes as u64).read_to_end(arena);
    }
    let start = arena.len();
    arena.resize(start + batch_bytes.min(AVAILABLE_BYTES), 0);
    let result = loop {
        match reader.read(&mut arena[start..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    arena.truncate(start + result.as_ref().copied().unwrap_or(0));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(fill: Fill, batch_bytes: usize) -> Reading {
        let limits = Limits { batch_bytes, max_line_bytes: 64, ..Limits::default() };
        let from = Checkpoint { offset: 100, lines: 7, state: "import".to_owned() };
        Reading { source: "x".into(), from, limits, fill, clock: || Timestamp(5) }
    }

    fn rebuilt(batches: &[RawBatch]) -> Vec<u8> {
        let mut out = Vec::new();
        for batch in batches {
            for line in &batch.lines {
                assert_eq!(line.offset, 100 + out.len() as u64);
                out.extend_from_slice(line.span.of(&batch.bytes));
                out.extend(line.newline.then_some(b'\n'));
            }
            assert_eq!(batch.checkpoint.offset, 100 + out.len() as u64, "up to the last complete line");
        }
        out
    }

    #[test]
    fn a_failing_reader_keeps_complete_lines_and_reports() {
        struct Fails(bool);
        impl Read for Fails {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("torn"));
                }
                out[..5].copy_from_slice(b"a\nb\nc");
                Ok(5)
            }
        }
        for fill in [Fill::Block, Fill::Available] {
            let mut batches = Vec::new();
            let result = read_lines(&mut Fails(false), &reading(fill, 1 << 16), &mut |batch| {
                batches.push(batch);
                Ok(())
            });
            assert_eq!(result.unwrap_err().to_string(), "torn");
            assert_eq!(rebuilt(&batches), b"a\nb\n", "{fill:?}");
        }
    }

    #[test]
    fn a_stopped_sink_stops_the_pass() {
        let result = read_lines(&mut &b"a\nb\n"[..], &reading(Fill::Block, 2), &mut |_| Err(Stopped));
        assert!(matches!(result, Err(Error::Stopped(Stopped))));
    }

    #[test]
    fn an_endless_line_needs_bounded_memory() {
        let mut endless = io::repeat(b'x').take(3_000_000);
        let (mut kept, mut gaps, mut largest) = (0, Vec::new(), 0);
        let end = read_lines(&mut endless, &reading(Fill::Block, 4096), &mut |batch| {
            largest = largest.max(batch.bytes.capacity());
            kept += batch.lines.iter().map(|line| line.span.len).sum::<u32>();
            gaps.extend(batch.gaps);
            Ok(())
        })
        .unwrap();
        assert_eq!((kept, gaps.len(), end.offset, end.lines), (64, 1, 3_000_100, 8));
        assert_eq!((gaps[0].start, gaps[0].end), (164, 3_000_100));
        assert!(largest <= 3 * 4096, "{largest}");
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(text in "[a-c\r\n\u{0}]{0,80}", batch_bytes in 1usize..40, available: bool) {
            let fill = if available { Fill::Available } else { Fill::Block };
            let mut batches = Vec::new();
            let short = text.split('\n').all(|line| line.len() <= 64);
            prop_assume!(short);
            let end = read_lines(&mut text.as_bytes(), &reading(fill, batch_bytes), &mut |batch| {
                batches.push(batch);
                Ok(())
            }).unwrap();
            prop_assert_eq!(rebuilt(&batches), text.as_bytes());
            prop_assert_eq!(end.offset, 100 + text.len() as u64);
            prop_assert_eq!(end.state, "import");
        }
    }
}
