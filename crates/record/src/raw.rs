//! What a source hands over: bytes cut into lines, and how far it has read.

use std::sync::Arc;

use crate::{Gap, Timestamp};

/// A range of bytes in an arena of at most 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// Index of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The span of `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32 }
    }

    /// Index after the last byte.
    pub const fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    /// The bytes it covers in `arena`.
    pub fn of(self, arena: &[u8]) -> &[u8] {
        &arena[self.start as usize..self.end()]
    }
}

/// One record as it stood in its source, without its last newline: mostly one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawLine {
    /// Its bytes in the batch; a carriage return before the newline belongs to them.
    pub span: Span,
    /// Offset of its first byte in the source: the position in everything that was ever read under
    /// this source's name, rotated files included. It is the line's identity and order.
    pub offset: u64,
    /// Whether a newline follows. Only the last line of a source that ended can lack it.
    pub newline: bool,
    /// Whether newlines are among its bytes.
    pub joined: bool,
}

/// Lines of one source that were read together, and the state of the source after them.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The source's name: an absolute path, or a listener's name.
    pub source: Arc<str>,
    /// When they were read.
    pub observed: Timestamp,
    /// The arena that the lines point into.
    pub bytes: Vec<u8>,
    /// The lines, by rising offset.
    pub lines: Vec<RawLine>,
    /// The line that names their columns, where one does: see [`crate::header`]. One among the lines goes for those after
    /// it.
    pub header: Option<Arc<str>>,
    /// What could not be read since the batch before.
    pub gaps: Vec<Gap>,
    /// How far the source is read once this batch is stored.
    pub checkpoint: Checkpoint,
}

impl RawBatch {
    /// Lines of the source that its records are of.
    pub fn line_count(&self) -> u64 {
        let more = |line: &RawLine| line.span.of(&self.bytes).iter().filter(|byte| **byte == b'\n').count();
        self.lines.iter().map(|line| 1 + if line.joined { more(line) as u64 } else { 0 }).sum()
    }
}

/// How far a source is read. The store keeps it in the same transaction as the lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkpoint {
    /// Offset after the last byte that was handed over.
    pub offset: u64,
    /// Lines handed over since the source was first seen.
    pub lines: u64,
    /// What the source needs to find the same bytes again (a file's identity); opaque to the store.
    pub state: String,
}
