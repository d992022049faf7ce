//! The agent's queue on the disk: entries in files, the oldest of which go when it is full, and how far the sources are read.
//!
//! `NNNNNNNNNNNNNNNNNNNN.spool` holds entries from that number on; `XXXXXXXX.done` is the number up to which a target has all;
//! `checkpoints.json` is how far the sources were read when files were last removed; `id` names the spool. Nothing is synced:
//! after a power cut the last entries are missing, and their lines are read from their sources again, with the same offsets. So
//! a receiver knows lines by spool, source and offset.
//!
//! Invariants: numbers rise by one from entry to entry; all files but the last are complete; a source's checkpoint is that of
//! its last entry, or of `checkpoints.json`.

mod loss;
mod reader;
mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use taffrail_record::{Checkpoint, RawBatch, Timestamp};

pub use self::reader::Reader;
use self::segment::Segment;
use crate::entry::{Content, Entry, Kind};

/// Files are at most this large, or a sixteenth of the whole.
const SEGMENT_BYTES: u64 = 16 << 20;
const SEGMENTS: u64 = 16;
const CHECKPOINTS: &str = "checkpoints.json";
const ID: &str = "id";

/// An open spool. Clones are the same.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    id: String,
    bytes_max: u64,
    clock: fn() -> Timestamp,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while it is open: no two agents write into one spool.
    _lock: File,
}

#[derive(Debug)]
struct State {
    segments: VecDeque<Segment>,
    /// The last of them, to be written to.
    tail: Option<File>,
    /// The number of the next entry.
    next: u64,
    checkpoints: BTreeMap<String, Checkpoint>,
    /// Up to which entry each target has all.
    done: BTreeMap<String, u64>,
    /// The files that say so.
    marks: BTreeMap<String, File>,
    /// Up to which entry each target is being sent: it may have them in a moment, or not.
    taken: BTreeMap<String, u64>,
    dropped: Dropped,
    is_closed: bool,
}

/// What was dropped because the spool was full, or found damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Entries.
    pub entries: u64,
    /// Lines in them.
    pub lines: u64,
}

/// A checkpoint in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    offset: u64,
    lines: u64,
    state: String,
}

/// How full it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fill {
    /// Entries that are kept.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What was dropped since it was opened.
    pub dropped: Dropped,
}

impl Spool {
    /// Opens a spool, or makes one. `targets` are those that all entries are kept for.
    ///
    /// # Errors
    /// If the folder cannot be made, read or written to.
    pub fn open(
        folder: &Path,
        bytes_max: u64,
        targets: &[String],
        clock: fn() -> Timestamp,
    ) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let id = id(folder)?;
        let mut checkpoints = stored_checkpoints(folder);
        let (mut segments, mut dropped) = (VecDeque::new(), Dropped::default());
        for first in segment::numbers(folder)? {
            let segment = Segment::open(folder, first, &mut |entry| {
                if let Some(Content::Lines(batch, _)) = entry.content() {
                    advance(&mut checkpoints, &batch.source, batch.checkpoint);
                }
            })?;
            dropped.entries += u64::from(segment.is_damaged);
            segments.push_back(segment);
        }
        let done: BTreeMap<String, u64> =
            targets.iter().map(|name| (name.clone(), done(folder, name))).collect();
        // A number that somebody has is not given again, though its entry was lost with the power.
        let last = segments.back().map_or(0, |segment: &Segment| segment.last);
        let next = done.values().copied().fold(last, u64::max).max(next_number(folder).saturating_sub(1)) + 1;
        let state = State {
            segments,
            tail: None,
            next,
            checkpoints,
            done,
            marks: BTreeMap::new(),
            taken: BTreeMap::new(),
            dropped,
            is_closed: false,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let spool = Self {
            shared: Arc::new(Shared {
                folder: folder.to_owned(),
                id,
                bytes_max,
                clock,
                state,
                changed,
                _lock: lock,
            }),
        };
        spool.shared.forget(&mut spool.shared.state())?;
        Ok(spool)
    }

    /// Its name, which no other spool has.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// How far the sources are read.
    pub fn checkpoints(&self) -> Vec<(String, Checkpoint)> {
        let state = self.shared.state();
        state.checkpoints.iter().map(|(name, checkpoint)| (name.clone(), checkpoint.clone())).collect()
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let state = self.shared.state();
        let first = state.segments.front().map_or(state.next, |segment| segment.first);
        let done = state.done.values().min().copied().unwrap_or(0);
        let bytes = state.segments.iter().map(|segment| segment.bytes).sum();
        Fill { entries: state.next.saturating_sub(first.max(done + 1)), bytes, dropped: state.dropped }
    }

    /// Adds lines. They are there when this returns, and their source is read that far.
    ///
    /// # Errors
    /// If they cannot be written; nothing of them is kept then.
    pub fn put(&self, batch: &RawBatch, note: &str) -> std::io::Result<()> {
        let entry = Entry::of_batch(Kind::Lines, Vec::new(), batch, note)?;
        let mut state = self.shared.state();
        self.shared.append(&mut state, entry)?;
        advance(&mut state.checkpoints, &batch.source, batch.checkpoint.clone());
        self.shared.bound(&mut state)
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_sample(&self, envelope: &str) -> std::io::Result<()> {
        let entry = Entry::new(Kind::Sample, 0, envelope.as_bytes().to_vec())?;
        let mut state = self.shared.state();
        self.shared.append(&mut state, entry)?;
        self.shared.bound(&mut state)
    }

    /// A target has all entries up to this one: what all have is forgotten.
    ///
    /// # Errors
    /// If that cannot be noted: after a restart they would be sent again.
    pub fn done(&self, target: &str, sequence: u64) -> std::io::Result<()> {
        let mut state = self.shared.state();
        // In its place, and always as long: a full disk does not keep it from being noted.
        let text = format!("{sequence:020}\n");
        match state.marks.get(target) {
            Some(mark) => mark.write_all_at(text.as_bytes(), 0)?,
            None => {
                let path = done_path(&self.shared.folder, target);
                let mark = fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
                mark.file().write_all_at(text.as_bytes(), 0)?;
                state.marks.insert(target.to_owned(), mark.into_parts().0);
            }
        }
        state.done.insert(target.to_owned(), sequence);
        self.shared.forget(&mut state)
    }

    /// Reads for a target, from the first entry on that it does not have.
    pub fn reader(&self, target: &str) -> Reader {
        let state = self.shared.state();
        let next = state.done.get(target).map_or(1, |done| done + 1);
        drop(state);
        Reader::new(self.clone(), target, next)
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Waits; `true` if it is closed meanwhile.
    pub(crate) fn closed_within(&self, time: Duration) -> bool {
        let state = self.shared.state();
        let waiting = |state: &mut State| !state.is_closed;
        let waited = self.shared.changed.wait_timeout_while(state, time, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }

    /// Nothing more is waited for: readers find an end.
    pub fn close(&self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment_bytes(&self) -> u64 {
        (self.bytes_max / SEGMENTS).clamp(64 << 10, SEGMENT_BYTES)
    }

    fn append(&self, state: &mut State, mut entry: Entry) -> std::io::Result<()> {
        entry.sequence = state.next;
        let is_full = state.segments.back().is_none_or(|segment| segment.bytes >= self.segment_bytes());
        if is_full || state.tail.is_none() {
            // A file that was found is complete: what comes is in a new one.
            let path = segment::path(&self.folder, state.next);
            state.tail = Some(fs::File::create_new(path)?.into_parts().0);
            state.segments.push_back(Segment::empty(state.next));
        }
        let mut bytes = Vec::with_capacity(entry.bytes());
        entry.write(&mut bytes);
        let (Some(tail), Some(segment)) = (&mut state.tail, state.segments.back_mut()) else {
            return Err(std::io::Error::other("a spool without a file"));
        };
        if let Err(error) = tail.write_all(&bytes) {
            // What is half written must not stand before what comes. If that fails too, the file ends there.
            if tail.set_len(segment.bytes).is_err() {
                state.tail = None;
            } else {
                use std::io::Seek as _;
                tail.seek(std::io::SeekFrom::Start(segment.bytes))?;
            }
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.last = entry.sequence;
        state.next += 1;
        self.changed.notify_all();
        Ok(())
    }

    /// Removes files that all targets have.
    fn forget(&self, state: &mut State) -> std::io::Result<()> {
        let done = state.done.values().min().copied().unwrap_or(0);
        let gone = state.segments.iter().take_while(|segment| segment.last <= done).count();
        // The last file is written to.
        let gone = gone.min(state.segments.len().saturating_sub(usize::from(state.tail.is_some())));
        self.remove(state, gone)
    }

    /// Removes the first files; how far the sources were read in them is noted first.
    fn remove(&self, state: &mut State, count: usize) -> std::io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let stored = |checkpoint: &Checkpoint| Stored {
            offset: checkpoint.offset,
            lines: checkpoint.lines,
            state: checkpoint.state.clone(),
        };
        let all: BTreeMap<&str, Stored> =
            state.checkpoints.iter().map(|(name, checkpoint)| (name.as_str(), stored(checkpoint))).collect();
        let text = serde_json::json!({ "next": state.next, "checkpoints": all }).to_string();
        replace(&self.folder.join(CHECKPOINTS), text.as_bytes())?;
        for segment in state.segments.drain(..count) {
            fs::remove_file(segment::path(&self.folder, segment.first))?;
        }
        Ok(())
    }

    /// While there is more than there may be, the oldest file goes, and what was in it becomes a loss.
    fn bound(&self, state: &mut State) -> std::io::Result<()> {
        while state.segments.iter().map(|segment| segment.bytes).sum::<u64>() > self.bytes_max
            && state.segments.len() > 1
        {
            self.lose_first(state)?;
        }
        Ok(())
    }

    fn lose_first(&self, state: &mut State) -> std::io::Result<()> {
        let done = state.done.values().min().copied().unwrap_or(0);
        let Some(segment) = state.segments.front().copied() else { return Ok(()) };
        let mut losses = loss::Losses::new(segment.first.max(done + 1), segment.last, state.taken.values());
        Segment::open(&self.folder, segment.first, &mut |entry| {
            if entry.sequence > done {
                losses.add(entry);
            }
        })?;
        self.remove(state, 1)?;
        state.dropped.entries += losses.dropped.entries;
        state.dropped.lines += losses.dropped.lines;
        if losses.dropped.lines > 0 {
            tracing::warn!(
                "the spool is full: {} lines were dropped before they could be sent",
                losses.dropped.lines
            );
        }
        for entry in losses.entries((self.clock)(), &state.checkpoints)? {
            self.append(state, entry)?;
        }
        Ok(())
    }

    /// Waits until there is an entry of this number, or the spool is closed; `false` if there is none after `time`.
    fn wait_for(&self, sequence: u64, time: Duration) -> bool {
        let state = self.state();
        let waiting = |state: &mut State| state.next <= sequence && !state.is_closed;
        let (state, _) =
            self.changed.wait_timeout_while(state, time, waiting).unwrap_or_else(PoisonError::into_inner);
        state.next > sequence
    }
}

/// A source's checkpoint moves on, never back.
fn advance(checkpoints: &mut BTreeMap<String, Checkpoint>, source: &str, checkpoint: Checkpoint) {
    match checkpoints.get_mut(source) {
        Some(known) if known.offset > checkpoint.offset => {}
        Some(known) => *known = checkpoint,
        None => drop(checkpoints.insert(source.to_owned(), checkpoint)),
    }
}

/// The lock of a spool; the kernel drops that of a process that dies.
fn lock(folder: &Path) -> std::io::Result<File> {
    let (file, path) = fs::File::create(folder.join("lock"))?.into_parts();
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let message =
                format!("{}: another agent has this spool; stop it, or name another place", path.display());
            Err(std::io::Error::other(message))
        }
        Err(error) => Err(error.into()),
    }
}

/// The name of a spool; one is made up for a new one.
fn id(folder: &Path) -> std::io::Result<String> {
    let path = folder.join(ID);
    match fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
    replace(&path, id.as_bytes())?;
    Ok(id)
}

#[derive(Deserialize, Default)]
struct CheckpointFile {
    #[serde(default)]
    next: u64,
    #[serde(default)]
    checkpoints: BTreeMap<String, Stored>,
}

/// A file that cannot be read is as if it were not there: the sources are read from where the entries say.
fn checkpoint_file(folder: &Path) -> CheckpointFile {
    let text = fs::read_to_string(folder.join(CHECKPOINTS)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn stored_checkpoints(folder: &Path) -> BTreeMap<String, Checkpoint> {
    let stored = checkpoint_file(folder).checkpoints.into_iter();
    let checkpoint = |Stored { offset, lines, state }| Checkpoint { offset, lines, state };
    stored.map(|(name, stored)| (name, checkpoint(stored))).collect()
}

fn next_number(folder: &Path) -> u64 {
    checkpoint_file(folder).next
}

fn done_path(folder: &Path, target: &str) -> PathBuf {
    // A target is named by its URL: it is no name of a file.
    folder.join(format!("{:08x}.done", crc32fast::hash(target.as_bytes())))
}

fn done(folder: &Path, target: &str) -> u64 {
    let text = fs::read_to_string(done_path(folder, target)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Whole or not at all; on the disk when this returns.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests;
