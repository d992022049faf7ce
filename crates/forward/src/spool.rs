//! The agent's queue on the disk: entries in files, the oldest of which go when it is full, and how far the sources are read.
//!
//! `NNNNNNNNNNNNNNNNNNNN.spool` holds entries from that number on; `XXXXXXXX.done` is the number up to which a target has all;
//! `XXXXXXXX.missed` is what was dropped before it could have it, `XXXXXXXX.hub` is there for a hub; `checkpoints.json` is how far
//! the sources were read when files were last removed; `id` names the spool. Entries are synced only when files are removed: after
//! a power cut the last are missing, and their lines are read from their sources again, with the same offsets. So a receiver
//! knows lines by spool, source and offset.
//!
//! Invariants: numbers rise by one from entry to entry; all files but the last are complete; a source's checkpoint is that of
//! its last entry, or of `checkpoints.json`, which covers no entry that a power cut could take.

mod checkpoints;
mod loss;
mod marks;
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
use taffrail_record::{Checkpoint, RawBatch, Timestamp};

use self::checkpoints::advance;
pub use self::reader::Reader;
use self::segment::Segment;
use crate::entry::{Content, Entry, Kind};

/// Files are at most this large, or a sixteenth of the whole.
const SEGMENT_BYTES: u64 = 16 << 20;
const SEGMENTS: u64 = 16;
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
    dropped_at: Option<Timestamp>,
    /// Losses that there was no room for yet: they are written before the next entry.
    owed: Vec<Entry>,
    /// Why nothing can be written at the moment.
    failing: Option<String>,
    /// Files were removed without a note of how far the sources were read in them.
    owes_note: bool,
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

/// How full it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fill {
    /// Entries that are kept.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What was dropped since it was opened.
    pub dropped: Dropped,
    /// When something was last dropped because it was full.
    pub dropped_at: Option<Timestamp>,
    /// Why nothing can be written at the moment.
    pub failing: Option<String>,
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
        let (mut checkpoints, stored_next) = checkpoints::read(folder);
        let (mut segments, mut dropped) = (VecDeque::new(), Dropped::default());
        for first in segment::numbers(folder)? {
            let segment = Segment::open(folder, first, &mut |entry| {
                if let Some(Content::Lines(batch, _)) = entry.content() {
                    advance(&mut checkpoints, &batch.source, batch.checkpoint);
                }
            })?;
            dropped.entries += u64::from(segment.is_damaged);
            if segment.is_empty() {
                // The power went before its first entry was whole: its name is needed for that number.
                fs::remove_file(segment::path(folder, first))?;
            } else {
                segments.push_back(segment);
            }
        }
        let done: BTreeMap<String, u64> =
            targets.iter().map(|name| (name.clone(), marks::done(folder, name))).collect();
        // A number that somebody has is not given again, though its entry was lost with the power.
        let last = segments.back().map_or(0, |segment: &Segment| segment.last);
        let next = done.values().copied().fold(last, u64::max).max(stored_next.saturating_sub(1)) + 1;
        let state = State {
            segments,
            tail: None,
            next,
            checkpoints,
            done,
            marks: BTreeMap::new(),
            taken: BTreeMap::new(),
            dropped,
            dropped_at: None,
            owed: Vec::new(),
            failing: None,
            owes_note: false,
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
        Fill {
            entries: state.next.saturating_sub(first.max(done + 1)),
            bytes,
            dropped: state.dropped,
            dropped_at: state.dropped_at,
            failing: state.failing.clone(),
        }
    }

    /// Adds lines. They are there when this returns, and their source is read that far.
    ///
    /// # Errors
    /// If they cannot be written; nothing of them is kept then.
    pub fn put(&self, batch: &RawBatch, note: &str) -> std::io::Result<()> {
        let entry = Entry::of_lines(batch, note)?;
        let mut state = self.shared.state();
        self.shared.add(&mut state, entry)?;
        advance(&mut state.checkpoints, &batch.source, batch.checkpoint.clone());
        self.shared.bound(&mut state);
        Ok(())
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_sample(&self, envelope: &str) -> std::io::Result<()> {
        let entry = Entry::new(Kind::Sample, 0, envelope.as_bytes().to_vec())?;
        let mut state = self.shared.state();
        self.shared.add(&mut state, entry)?;
        self.shared.bound(&mut state);
        Ok(())
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
                let path = marks::path(&self.shared.folder, target, marks::DONE);
                let mark = fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
                mark.file().write_all_at(text.as_bytes(), 0)?;
                state.marks.insert(target.to_owned(), mark.into_parts().0);
            }
        }
        state.done.insert(target.to_owned(), sequence);
        self.shared.forget(&mut state)
    }

    /// Whether a target is known as a hub.
    pub(crate) fn is_hub(&self, target: &str) -> bool {
        marks::is_hub(&self.shared.folder, target)
    }

    /// Notes that a target is a hub.
    pub(crate) fn note_hub(&self, target: &str) -> std::io::Result<()> {
        marks::note_hub(&self.shared.folder, target)
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

    /// Adds an entry, behind the losses that are owed.
    fn add(&self, state: &mut State, entry: Entry) -> std::io::Result<()> {
        let added = self.pay(state).and_then(|()| self.append(state, entry));
        state.failing = added.as_ref().err().map(ToString::to_string);
        added
    }

    /// Writes the losses that are owed, as far as there is room.
    fn pay(&self, state: &mut State) -> std::io::Result<()> {
        while let Some(entry) = state.owed.first().cloned() {
            self.append(state, entry)?;
            state.owed.remove(0);
        }
        Ok(())
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

    /// Removes the first files; how far the sources were read in them is noted first. On a full disk there may be no room for that
    /// before a file has gone: then after it. Until it is noted a crash makes the sources be read from an older place again.
    fn remove(&self, state: &mut State, count: usize) -> std::io::Result<()> {
        if count > 0 || state.owes_note {
            self.note_checkpoints(state);
        }
        for _ in 0..count {
            let Some(segment) = state.segments.front() else { break };
            match fs::remove_file(segment::path(&self.folder, segment.first)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => drop(state.segments.pop_front()),
            }
            if state.owes_note {
                self.note_checkpoints(state);
            }
        }
        Ok(())
    }

    fn note_checkpoints(&self, state: &mut State) {
        let noted = self.try_note(state);
        if let (Err(error), false) = (&noted, state.owes_note) {
            tracing::warn!("how far the sources are read cannot be noted, and is later: {error}");
        }
        state.owes_note = noted.is_err();
    }

    /// Notes how far the sources are read, once all that was read up to there is safe.
    fn try_note(&self, state: &mut State) -> std::io::Result<()> {
        self.sync(state)?;
        checkpoints::write(&self.folder, &state.checkpoints, state.next)
    }

    /// What is in the files is on the disk when this returns, and what targets have of it.
    fn sync(&self, state: &mut State) -> std::io::Result<()> {
        for mark in state.marks.values() {
            mark.sync_data()?;
        }
        let mut is_new = false;
        for segment in state.segments.iter_mut().filter(|segment| segment.synced < segment.bytes) {
            is_new |= segment.synced == 0;
            fs::File::open(segment::path(&self.folder, segment.first))?.sync_data()?;
            segment.synced = segment.bytes;
        }
        if is_new { marks::sync_names(&self.folder) } else { Ok(()) }
    }

    /// While there is more than there may be, the oldest file goes, and what was in it becomes a loss.
    fn bound(&self, state: &mut State) {
        while state.segments.iter().map(|segment| segment.bytes).sum::<u64>() > self.bytes_max
            && state.segments.len() > 1
        {
            if let Err(error) = self.lose_first(state) {
                // What was added is there all the same; it is tried again with what comes next.
                tracing::warn!("{}: the spool is full, and stays so: {error}", self.folder.display());
                return;
            }
        }
    }

    fn lose_first(&self, state: &mut State) -> std::io::Result<()> {
        let done = state.done.values().min().copied().unwrap_or(0);
        let Some(segment) = state.segments.front().copied() else { return Ok(()) };
        let mut losses = loss::Losses::new(segment.first.max(done + 1), segment.last, state.taken.values());
        let read = Segment::open(&self.folder, segment.first, &mut |entry| {
            if entry.sequence > done {
                losses.add(entry);
            }
        });
        read.map(drop).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let dropped = losses.dropped;
        state.owed.extend(losses.entries((self.clock)(), &state.checkpoints)?);
        // Before the file goes, or, on a full disk, after it.
        let is_said = self.pay(state).is_ok();
        self.remove(state, 1)?;
        state.dropped.entries += dropped.entries;
        state.dropped.lines += dropped.lines;
        if dropped.lines > 0 {
            state.dropped_at = Some((self.clock)());
            tracing::warn!(
                "the spool is full: {} lines were dropped before they could be sent",
                dropped.lines
            );
        }
        if !is_said && let Err(error) = self.pay(state) {
            tracing::warn!("{}: what was dropped is said later: {error}", self.folder.display());
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
    marks::replace(&path, id.as_bytes())?;
    Ok(id)
}

#[cfg(test)]
mod tests;
