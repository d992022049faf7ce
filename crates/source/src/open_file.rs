//! An open file that is being read: where reading stands, and proof that it is still the same content.
//!
//! Every read starts a little before the last one ended and compares the overlap, so that a file which was
//! truncated and written again is noticed by the read itself, however large it has grown meanwhile.

use std::io;

use fs_err::File;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use taffrail_record::Timestamp;

use crate::cut::Cutter;
use crate::identity::{Fingerprint, Identity};
use crate::mark::Mark;

/// Bytes at a file's start that are fingerprinted.
pub(crate) const PREFIX_BYTES: usize = 1024;
/// Bytes before the position that are fingerprinted and compared.
pub(crate) const EDGE_BYTES: usize = 256;
/// Read beyond the known end, so that a short read proves the end.
const SLACK_BYTES: usize = 64;

#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    pub(crate) identity: Identity,
    /// Offset in the source of the file's first byte.
    pub(crate) base: u64,
    /// Position of the first line that was not handed over.
    pub(crate) position: u64,
    /// Position after the last byte read; the bytes in between are in `held`.
    read_to: u64,
    /// The edge before `position`, then the bytes of the unfinished line.
    held: Vec<u8>,
    /// The largest size seen.
    pub(crate) size: u64,
    prefix: Fingerprint,
}

/// What one read brought.
pub(crate) enum Block {
    /// The content is not what was read before: truncated, or written anew.
    Rewritten,
    /// Bytes to cut. `start` is the unfinished line's first byte, `scanned` the first byte that is new.
    Bytes { arena: Vec<u8>, start: usize, scanned: usize, more: bool },
}

impl OpenFile {
    /// A file to read from its first byte.
    pub(crate) fn fresh(file: File, identity: Identity, base: u64, size: u64) -> Self {
        let (held, prefix) = (Vec::new(), Fingerprint::EMPTY);
        Self { file, identity, base, position: 0, read_to: 0, held, size, prefix }
    }

    /// A file to read from `position` though nothing before it was read.
    pub(crate) fn from_middle(file: File, identity: Identity, position: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let head = read_exactly(&file, 0, PREFIX_BYTES.min(position as usize))?.unwrap_or_default();
        let edge = (position as usize).min(EDGE_BYTES);
        let held = read_exactly(&file, position - edge as u64, edge)?.unwrap_or_default();
        Ok(Self {
            file,
            identity,
            base: 0,
            position,
            read_to: position,
            held,
            size,
            prefix: Fingerprint::of(&head),
        })
    }

    /// Goes on at `mark`, if the file still holds what was read up to there.
    pub(crate) fn resume(file: File, identity: Identity, mark: &Mark) -> io::Result<Result<Self, File>> {
        let size = file.metadata()?.len();
        if size < mark.position {
            return Ok(Err(file));
        }
        let head = read_exactly(&file, 0, mark.prefix.len)?;
        let held = read_exactly(&file, mark.position - mark.edge.len as u64, mark.edge.len)?;
        match (head, held) {
            (Some(head), Some(held))
                if Fingerprint::of(&head) == mark.prefix && Fingerprint::of(&held) == mark.edge =>
            {
                let &Mark { base, position, prefix, .. } = mark;
                let size = size.max(mark.size);
                Ok(Ok(Self { file, identity, base, position, read_to: position, held, size, prefix }))
            }
            _ => Ok(Err(file)),
        }
    }

    /// Reads up to `want` bytes behind what was read. Nothing is lost if it fails.
    pub(crate) fn read_block(&mut self, want: usize) -> io::Result<Block> {
        let size = self.file.metadata()?.len();
        if size < self.read_to {
            return Ok(Block::Rewritten);
        }
        let overlap = self.held.len().min(EDGE_BYTES);
        let left = usize::try_from(size - self.read_to).unwrap_or(usize::MAX);
        let want = if left > want { want } else { left + SLACK_BYTES };
        let before = self.held.len();
        let tail = self.held.split_off(before - overlap);
        let mut arena = std::mem::take(&mut self.held);
        if before > 2 * EDGE_BYTES {
            // A long line that grows slowly must not be copied at every read.
            arena.reserve(overlap + want);
        } else {
            arena.reserve_exact(overlap + want);
        }
        let asked = arena.capacity() - arena.len();
        match read_at(&self.file, &mut arena, self.read_to - overlap as u64) {
            Ok(count) if count >= overlap && arena[before - overlap..before] == tail[..] => {
                self.read_to += (count - overlap) as u64;
                self.size = size.max(self.read_to);
                let start = before - (self.read_to - (count - overlap) as u64 - self.position) as usize;
                Ok(Block::Bytes { arena, start, scanned: before, more: count == asked })
            }
            result => {
                arena.truncate(before - overlap);
                arena.extend_from_slice(&tail);
                self.held = arena;
                result.map(|_| Block::Rewritten)
            }
        }
    }

    /// Notes that everything in `arena` before `rest` was handed over, and keeps what comes after it.
    /// `start` is what [`OpenFile::read_block`] said. Returns the arena for the batch.
    pub(crate) fn advance(&mut self, arena: Vec<u8>, start: usize, rest: usize) -> Vec<u8> {
        if rest == start {
            self.held = arena;
            return Vec::new();
        }
        let known = self.prefix.len as u64;
        if known < PREFIX_BYTES as u64 && known == self.position {
            let end = rest.min(start + PREFIX_BYTES - self.prefix.len);
            self.prefix = self.prefix.extended(&arena[start..end]);
        }
        self.position += (rest - start) as u64;
        self.held = arena[rest - rest.min(EDGE_BYTES)..].to_vec();
        arena
    }

    /// Hands the unfinished line over: its arena and where it starts in it.
    pub(crate) fn take_partial(&mut self) -> (Vec<u8>, usize) {
        if self.partial_bytes() == 0 {
            return (Vec::new(), 0);
        }
        let start = self.held.len() - self.partial_bytes();
        let arena = std::mem::take(&mut self.held);
        let rest = arena.len();
        (self.advance(arena, start, rest), start)
    }

    /// Bytes of the unfinished last line.
    pub(crate) fn partial_bytes(&self) -> usize {
        (self.read_to - self.position) as usize
    }

    /// Whether no path leads to the file any more.
    pub(crate) fn is_deleted(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// What a checkpoint needs to know.
    pub(crate) fn mark(&self, cutter: &Cutter, seen: Timestamp) -> Mark {
        let edge = &self.held[..self.held.len() - self.partial_bytes()];
        let edge = Fingerprint::of(&edge[edge.len().saturating_sub(EDGE_BYTES)..]);
        let &Self { identity, base, position, size, prefix, .. } = self;
        Mark { identity, base, position, size, skip: cutter.skip, seen, prefix, edge }
    }

    /// The same descriptor, to be read from its first byte as the stream's `base`.
    pub(crate) fn into_restarted(self, base: u64) -> Self {
        let size = self.file.metadata().map_or(0, |metadata| metadata.len());
        Self::fresh(self.file, self.identity, base, size)
    }
}

/// Reads into the spare capacity of `out`.
fn read_at(file: &File, out: &mut Vec<u8>, position: u64) -> io::Result<usize> {
    loop {
        match pread(file, spare_capacity(out), position) {
            Err(Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// `len` bytes at `position`; `None` if the file ends before them.
pub(crate) fn read_exactly(file: &File, position: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let at = position + out.len() as u64;
        if read_at(file, &mut out, at)? == 0 {
            return Ok(None);
        }
    }
    out.truncate(len);
    Ok(Some(out))
}
