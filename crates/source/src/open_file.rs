//! An open file that is being read: where reading stands, and proof that it is still the same content.
//!
//! Every read starts a little before the last one ended and compares the overlap, so that a file which was
//! truncated and written again is noticed by the read itself, however large it has grown meanwhile.

mod likeness;

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use fs_err::File;
use rustix::fs::{SeekFrom, seek};

use taffrail_record::Timestamp;

use crate::fault;
use crate::heading::Heading;
use crate::identity::{EDGE_BYTES, Fingerprint, Identity, PREFIX_BYTES, modified};
use crate::mark::{History, Mark, Past};
use crate::opened::Opened;
use crate::packing::{self, Packing, Passed};
use crate::positioned::{first_data, read_at, read_exactly};

pub(crate) use self::likeness::Likeness;

/// Read beyond the known end, so that a short read proves the end.
const SLACK_BYTES: usize = 64;
/// A hole of a sparse file that is passed over instead of being read: smaller ones cost nothing.
const HOLE_BYTES: u64 = 64 * 1024;
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    /// The content's stream, if the file is compressed.
    packed: Option<Packed>,
    /// Whether nobody writes to it any more: a copy, or a compressed file.
    pub(crate) is_static: bool,
    pub(crate) identity: Identity,
    /// Offset in the source of the file's first byte.
    pub(crate) base: u64,
    /// Position of the first line that was not handed over.
    pub(crate) position: u64,
    /// Position after the last byte read; the bytes in between are in `held`.
    read_to: u64,
    /// Whether only zeros were seen since the file's start, or since a hole began.
    in_zeros: bool,
    /// The edge before `position`, then the bytes of the unfinished line.
    held: Vec<u8>,
    /// The largest size seen.
    pub(crate) size: u64,
    /// When it was last written to, as far as that was seen.
    modified: Timestamp,
    /// The first bytes, as far as they were handed over.
    head: Vec<u8>,
    prefix: Fingerprint,
    heading: Heading,
    /// The header of the lines that were handed over last.
    header: Option<Arc<str>>,
}

/// A compressed file's content, read up to some position.
struct Packed {
    reader: Box<dyn Read + Send>,
    /// Why it cannot be read on.
    damage: Option<String>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("damage", &self.damage).finish_non_exhaustive()
    }
}

/// A file's size, and when it was last written to, as they were once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
}

/// What one read brought.
pub(crate) enum Block {
    /// The content is not what was read before: truncated, or written anew.
    Rewritten,
    /// Nothing but zeros so far: nobody has written there yet.
    Zeros,
    /// Bytes to cut. `start` is the unfinished line's first byte, `scanned` the first byte that is new.
    Bytes { arena: Vec<u8>, start: usize, scanned: usize, more: bool },
}

impl OpenFile {
    /// A file to read from its first byte.
    pub(crate) fn fresh(opened: Opened, base: u64) -> Self {
        let Opened { file, identity, size, modified, .. } = opened;
        let (held, head) = (Vec::new(), Vec::new());
        let (packed, is_static) = (None, false);
        let (position, read_to, in_zeros) = (0, 0, false);
        Self {
            file,
            packed,
            is_static,
            identity,
            base,
            position,
            read_to,
            in_zeros,
            held,
            size,
            modified,
            head,
            prefix: Fingerprint::EMPTY,
            heading: Heading::default(),
            header: None,
        }
    }

    /// A compressed file to read from its content's first byte.
    pub(crate) fn packed(opened: Opened, packing: Packing, base: u64) -> io::Result<Self> {
        let reader = packing.unpack(reopened(&opened.file)?)?;
        let packed = Some(Packed { reader, damage: None });
        Ok(Self { packed, is_static: true, size: 0, ..Self::fresh(opened, base) })
    }

    /// A file to read from `position` though nothing before it was read.
    pub(crate) fn from_middle(opened: Opened, position: u64) -> io::Result<Self> {
        let size = opened.size_now();
        let head = read_exactly(&opened.file, 0, PREFIX_BYTES.min(position as usize))?.unwrap_or_default();
        let edge = (position as usize).min(EDGE_BYTES);
        let held = read_exactly(&opened.file, position - edge as u64, edge)?.unwrap_or_default();
        Ok(Self { size, ..Self::fresh(opened, 0).at(position, head, held) })
    }

    /// Goes on at `mark`, if the file still holds what was read up to there; else gives it back.
    pub(crate) fn resume(opened: Opened, mark: &Mark) -> io::Result<Result<Self, Opened>> {
        let size = opened.file.metadata()?.len();
        if size < mark.position {
            return Ok(Err(opened));
        }
        let head = read_exactly(&opened.file, 0, mark.prefix.len)?;
        let held = read_exactly(&opened.file, mark.position - mark.edge.len as u64, mark.edge.len)?;
        match (head, held) {
            (Some(head), Some(held))
                if Fingerprint::of(&head) == mark.prefix && Fingerprint::of(&held) == mark.edge =>
            {
                let (size, modified) = (size.max(mark.size), mark.modified);
                let fresh = Self::fresh(opened, mark.base);
                Ok(Ok(Self { size, modified, ..fresh.at(mark.position, head, held) }))
            }
            _ => Ok(Err(opened)),
        }
    }

    fn at(self, position: u64, head: Vec<u8>, held: Vec<u8>) -> Self {
        let prefix = Fingerprint::of(&head);
        let heading = Heading::of_head(&head);
        Self { position, read_to: position, head, prefix, held, heading, ..self }
    }

    /// Passes over zeros, and reads up to `want` bytes behind them and what was read. Gives the number of the zeros.
    pub(crate) fn read_on(&mut self, want: usize) -> io::Result<(u64, Block)> {
        if self.is_unread() && self.file.metadata()?.len() < self.size {
            return Ok((0, Block::Rewritten));
        }
        let zeros = self.pass_zeros()?;
        if self.in_zeros {
            return Ok((zeros, Block::Zeros));
        }
        match self.read_block(want) {
            // The zeros are passed; what comes after them is tried again.
            Err(_) if zeros > 0 => Ok((zeros, Block::Zeros)),
            block => Ok((zeros, block?)),
        }
    }

    /// Reads up to `want` bytes behind what was read. Nothing is lost if it fails.
    pub(crate) fn read_block(&mut self, want: usize) -> io::Result<Block> {
        if let Some(packed) = &mut self.packed {
            let (scanned, arena) = (self.held.len(), std::mem::take(&mut self.held));
            let (arena, more) = packed.read_on(arena, want);
            let start = scanned - self.partial_bytes();
            self.read_to += (arena.len() - scanned) as u64;
            self.size = self.size.max(self.read_to);
            return Ok(Block::Bytes { arena, start, scanned, more });
        }
        fault::check()?;
        let metadata = self.file.metadata()?;
        let size = metadata.len();
        if size < self.read_to || self.is_unread() && size < self.size {
            return Ok(Block::Rewritten);
        }
        let overlap = self.held.len().min(EDGE_BYTES);
        let left = usize::try_from(size - self.read_to).unwrap_or(usize::MAX);
        let want = if left > want { self.up_to_hole(want) } else { left + SLACK_BYTES };
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
                self.modified = modified(&metadata);
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

    /// `want`, or less if a hole begins before.
    fn up_to_hole(&self, want: usize) -> usize {
        match seek(&self.file, SeekFrom::Hole(self.read_to)) {
            Ok(hole) if hole > self.read_to => want.min((hole - self.read_to) as usize),
            _ => want,
        }
    }

    /// Notes that everything in `arena` before `rest` was handed over, and keeps what comes after it.
    /// `start` is what [`OpenFile::read_block`] said. Returns the arena for the batch.
    pub(crate) fn advance(&mut self, arena: Vec<u8>, start: usize, rest: usize) -> Vec<u8> {
        if rest == start {
            self.held = arena;
            return Vec::new();
        }
        if self.head.len() < PREFIX_BYTES && self.head.len() as u64 == self.position {
            let end = rest.min(start + PREFIX_BYTES - self.head.len());
            self.head.extend_from_slice(&arena[start..end]);
            self.prefix = self.prefix.extended(&arena[start..end]);
        }
        self.header = self.heading.pass(&arena[start..rest], self.position == 0);
        self.position += (rest - start) as u64;
        self.held = arena[rest - rest.min(EDGE_BYTES)..].to_vec();
        arena
    }

    /// Hands the unfinished record over: its arena and where it starts in it.
    pub(crate) fn take_partial(&mut self) -> (Vec<u8>, usize) {
        if self.partial_bytes() == 0 {
            return (Vec::new(), 0);
        }
        let (arena, start) = self.take_held();
        let rest = arena.len();
        (self.advance(arena, start, rest), start)
    }

    /// What is held and where the unfinished record starts in it, to be cut and given to [`OpenFile::advance`].
    pub(crate) fn take_held(&mut self) -> (Vec<u8>, usize) {
        let start = self.held.len() - self.partial_bytes();
        (std::mem::take(&mut self.held), start)
    }

    /// Passes over zero bytes where nobody has written yet: at the start of a truncated file, and in holes where
    /// a line would start. Writers that do not append leave them when their file is truncated. Gives their number.
    fn pass_zeros(&mut self) -> io::Result<u64> {
        // Truncated: the next read finds that out.
        let truncated = self.packed.is_none() && self.file.metadata()?.len() < self.read_to;
        if truncated || self.packed.is_some() || self.partial().iter().any(|b| *b != 0) {
            self.in_zeros = false;
            return Ok(0);
        }
        if !self.in_zeros {
            let Ok(data) = seek(&self.file, SeekFrom::Data(self.read_to)) else { return Ok(0) };
            let hole = data.saturating_sub(self.read_to);
            self.in_zeros = hole >= if self.read_to == 0 { 1 } else { HOLE_BYTES };
        }
        if !self.in_zeros {
            return Ok(0);
        }
        let (data, found) = first_data(&self.file, self.read_to)?;
        self.in_zeros = !found;
        let passed = data - self.position;
        if passed > 0 {
            let edge = data.min(EDGE_BYTES as u64);
            self.held = read_exactly(&self.file, data - edge, edge as usize)?.unwrap_or_default();
            (self.position, self.read_to) = (data, data);
        }
        Ok(passed)
    }

    /// Why the compressed file cannot be read to its end.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.packed.as_ref()?.damage.as_deref()
    }

    /// Whether what follows begins with `bytes`. Reads them.
    pub(crate) fn goes_on_with(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Block::Bytes { arena, start, .. } = self.read_block(bytes.len())? else { return Ok(false) };
        let same = arena[start..].starts_with(bytes);
        self.advance(arena, start, start);
        Ok(same)
    }

    /// The same file, to be read once more from its first byte.
    pub(crate) fn reopened(&self) -> io::Result<Opened> {
        let (file, identity, size, modified) =
            (self.file.try_clone()?, self.identity, self.size, self.modified);
        Ok(Opened { file, identity, size, modified, packing: None })
    }

    /// The header that the lines stand under which are to be handed over next; `bytes` are the first of theirs.
    pub(crate) fn next_header(&mut self, bytes: &[u8]) -> Option<&Arc<str>> {
        self.heading.before(bytes, self.position == 0)
    }

    /// The header that the first of the lines stands under that were handed over last.
    pub(crate) fn header(&self) -> Option<Arc<str>> {
        self.header.clone()
    }

    /// Its first bytes, as far as they were handed over; at most [`PREFIX_BYTES`].
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The bytes of the unfinished last record.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.held[self.held.len() - self.partial_bytes()..]
    }

    /// Whether nothing follows what was read.
    pub(crate) fn ends_here(&mut self) -> io::Result<bool> {
        let read_to = self.read_to;
        self.read_block(1)?;
        Ok(self.read_to == read_to)
    }

    /// Where reading will stand at the end of this file, if that can be told without reading it.
    pub(crate) fn end_mark(&self) -> io::Result<Option<Mark>> {
        if self.packed.is_some() {
            return Ok(None);
        }
        Self::end_of(self.reopened()?).map(Some)
    }

    /// The same for a file that is only held open. Unpacks all of it if it is compressed.
    pub(crate) fn end_of(opened: Opened) -> io::Result<Mark> {
        let open = match opened.packing {
            None => {
                let size = opened.file.metadata()?.len();
                Self::from_middle(opened, size)?
            }
            Some(packing) => {
                let mut reader = packing.unpack(reopened(&opened.file)?)?;
                let Passed { count, head, edge } =
                    packing::pass(&mut reader, u64::MAX, PREFIX_BYTES, EDGE_BYTES)?;
                Self::fresh(opened, 0).at(count, head, edge)
            }
        };
        Ok(open.mark(None, History::default()))
    }

    /// What is remembered of it when another file is read.
    pub(crate) fn past(&self) -> Past {
        let modified = self.file.metadata().map_or(Timestamp(i64::MIN), |metadata| modified(&metadata));
        Past { identity: self.identity, modified }
    }

    /// Whether its size is not what was read of it.
    pub(crate) fn has_grown(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() != self.read_to)
    }

    /// Where the file stands now, as the kernel tells; `None` where it does not.
    pub(crate) fn name(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd as _;
        fs_err::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).ok()
    }

    /// Reads the unfinished record once more with the next block.
    pub(crate) fn unread_partial(&mut self) {
        self.held.truncate(self.held.len() - self.partial_bytes());
        self.read_to = self.position;
    }

    /// Bytes of the disk that only this descriptor holds.
    pub(crate) fn deleted_bytes(&self) -> u64 {
        if self.is_deleted() { self.file.metadata().map_or(0, |metadata| metadata.len()) } else { 0 }
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
    pub(crate) fn mark(&self, skip: Option<u64>, previous: History) -> Mark {
        let edge = &self.held[..self.held.len() - self.partial_bytes()];
        let edge = Fingerprint::of(&edge[edge.len().saturating_sub(EDGE_BYTES)..]);
        let &Self { identity, base, position, size, modified, prefix, .. } = self;
        Mark { identity, base, position, size, skip, modified, prefix, edge, previous }
    }

    /// The same descriptor, to be read from its first byte as the stream's `base`.
    pub(crate) fn into_restarted(self, base: u64) -> Self {
        let size = self.file.metadata().map_or(0, |metadata| metadata.len());
        let (file, identity) = (self.file, self.identity);
        // Since the last write that was seen, more than this content may have stood there.
        let opened = Opened { file, identity, size, modified: self.modified, packing: None };
        // Zeros at its start are what the writer has left out: it does not append.
        Self { in_zeros: true, ..Self::fresh(opened, base) }
    }

    /// Whether nothing of it was read yet.
    pub(crate) fn is_unread(&self) -> bool {
        self.read_to == 0 && !self.is_static
    }

    /// What was seen last of a file of which nothing was handed over: another content may come to stand there, and the
    /// bytes that were read are too few to show it.
    pub(crate) fn seen_unread(&self) -> Option<Seen> {
        let is_unread = !self.is_static && self.position == 0 && self.partial_bytes() < EDGE_BYTES;
        is_unread.then(|| self.seen())
    }

    /// What was seen of it last.
    pub(crate) fn seen(&self) -> Seen {
        Seen { size: self.size, modified: self.modified }
    }

    /// What is to be seen of it now.
    pub(crate) fn seen_now(&self) -> Option<Seen> {
        let metadata = self.file.metadata().ok()?;
        Some(Seen { size: metadata.len(), modified: modified(&metadata) })
    }

    /// The file as it is now, if it was written to since it was seen: the content that stands there may not be the first
    /// that did.
    pub(crate) fn changed_since(&self, seen: Seen) -> io::Result<Option<Opened>> {
        fault::check()?;
        let metadata = self.file.metadata()?;
        let (size, modified, identity) = (metadata.len(), modified(&metadata), self.identity);
        if modified == seen.modified && size >= seen.size {
            return Ok(None);
        }
        Ok(Some(Opened { file: self.file.try_clone()?, identity, size, modified, packing: None }))
    }

    /// Puts back what [`OpenFile::read_on`] gave of a file of which nothing was handed over, and that was as `seen`
    /// before: to be read again.
    pub(crate) fn put_back(&mut self, seen: Seen, zeros: u64, block: Block) {
        (self.size, self.modified) = (seen.size, seen.modified);
        if zeros > 0 {
            (self.position, self.read_to, self.held, self.in_zeros) = (0, 0, Vec::new(), true);
        } else if let Block::Bytes { mut arena, scanned, .. } = block {
            self.read_to -= (arena.len() - scanned) as u64;
            arena.truncate(scanned);
            self.held = arena;
        }
    }

    /// Takes the content as it is now for the first since the file was seen last; `base` is behind what was lost before.
    pub(crate) fn begin_with(&mut self, base: u64, opened: &Opened) {
        (self.base, self.size, self.modified) = (base, opened.size, opened.modified);
    }
}

impl Packed {
    /// Appends up to `want` bytes of content; whether there may be more.
    fn read_on(&mut self, mut arena: Vec<u8>, want: usize) -> (Vec<u8>, bool) {
        let before = arena.len();
        arena.reserve_exact(want);
        let result = self.reader.by_ref().take(want as u64).read_to_end(&mut arena);
        if let Err(error) = result {
            self.damage = Some(error.to_string());
            // What is behind the damage must not be taken for what follows before it.
            self.reader = Box::new(io::empty());
        }
        let more = arena.len() - before == want;
        (arena, more)
    }
}

/// The file to be streamed from its first byte. All else is read by position.
fn reopened(file: &File) -> io::Result<File> {
    let mut own = file.try_clone()?;
    io::Seek::rewind(&mut own)?;
    Ok(own)
}
