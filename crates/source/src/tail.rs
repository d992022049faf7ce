//! Follows one path: its file's growth, and through rotation, truncation, deletion and restarts.
//!
//! A source is a stream: the files that stood at its path, one after the other. The file in front is read to
//! its end and only then left for its successors, which are held open meanwhile so that none can slip by.

mod beginning;
mod copies;
mod late;
mod leaving;
mod parked;
mod standing;
mod strangers;
mod successors;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use taffrail_record::{Checkpoint, Gap, GapReason, RawBatch, Timestamp};
use tracing::{info, warn};

use crate::cut::{Cutter, Found};
use crate::identity::{EDGE_BYTES, Identity};
use crate::mark::{History, Mark, Past, Resume, late_of};
use crate::open_file::{Block, OpenFile};
use crate::opened::Opened;
use crate::refusal::{self, Closed};
use crate::status::{SourceState, SourceStatus};
use crate::{Error, Limits, RotationSign, Rotations, StartAt};

use self::late::Late;
use self::standing::Lag;
use self::strangers::Strangers;

/// Successors held open at once; one that comes when as many wait is found again on disk.
const MAX_SUCCESSORS: usize = 64;
/// How long a deleted file is held open, and its disk space with it, when it neither grows nor is replaced.
const DELETED_HOLD: Duration = Duration::from_secs(60);
/// How soon to look again while the path does not lead to the file that is read.
const UNSETTLED_POLL: Duration = Duration::from_millis(50);

/// The same, after it has been so for long.
const UNSETTLED_POLL_MAX: Duration = Duration::from_secs(10);
/// Blocks of an unfinished line that are read in one go.
const MAX_BLOCKS: usize = 64;
/// Files that were left and are remembered.
const MAX_LEFT: usize = 16;
/// Why a path that rotation uses is read no more.
const ARCHIVED: &str =
    "was read to its end before rotation moved it; what follows is read under the log's own path";

/// The time, as following needs it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The wall clock, for what is written down.
    pub observed: Timestamp,
    /// A clock that never goes back, for waiting.
    pub uptime: Duration,
}

/// Follows one path. Needs neither a thread nor inotify: whoever owns it says when to read.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    source: Arc<str>,
    limits: Limits,
    start_at: StartAt,
    cutter: Cutter,
    front: Front,
    next: VecDeque<Opened>,
    /// The files that were read before the one in front.
    previous: History,
    /// Lost bytes to report.
    lost: Found,
    /// Whether where to go on changed without a line that says so.
    unsaved: bool,
    /// The latest files that were left, in case one comes back: a symlink swapped to and fro.
    left: VecDeque<Mark>,
    /// Files that a checkpoint says were left: no landmarks among rotated files, for those between them are not known.
    restored: Vec<Mark>,
    /// Files that were left and may still be written to.
    late: VecDeque<Late>,
    /// Whether it is their turn.
    late_turn: bool,
    /// Compressed files that were found to be copies of what was left: to unpack them once is enough.
    copies: RefCell<VecDeque<Identity>>,
    /// Files that were left, and are sources of their own now.
    given: Vec<Identity>,
    strangers: Strangers,
    /// The file of which was said last that it is found elsewhere.
    told: Option<Identity>,
    /// Whether the parked file is not the one at its path.
    displaced: bool,
    /// When the front file last grew, or was found replaced.
    quiet_since: Duration,
    /// Since when a successor with content waits for the front file, which was read to its end then.
    awaited_since: Option<Duration>,
    /// Whether the last read has reached the front file's end.
    at_end: bool,
    /// When it was last looked where the path leads.
    looked: Duration,
    lag: Lag,
    state: SourceState,
    rotations: Rotations,
    last_read: Option<Timestamp>,
    last_error: Option<String>,
    /// Whether only the first file counts: the path is one that rotation gives another log's files.
    is_archive: bool,
    /// Whether the checkpoint tells how far reading was, but not in which file.
    is_lost: bool,
}

/// The file that is read now.
#[derive(Debug)]
enum Front {
    /// None: nothing was read yet, or the last one is finished.
    None,
    /// Known but not open.
    Parked(Box<Mark>),
    Open(Box<OpenFile>),
}

impl Tail {
    /// Follows `path` from `checkpoint` on, or from the start if there is none. Touches nothing yet.
    pub fn new(path: PathBuf, checkpoint: Option<&Checkpoint>, start_at: StartAt, limits: Limits) -> Self {
        let limits = limits.checked();
        let source: Arc<str> = crate::source_name(&path).into();
        let mut cutter = Cutter::new(&limits);
        let (mut front, mut previous, mut is_lost) = (Front::None, History::default(), false);
        if let Some(checkpoint) = checkpoint {
            (cutter.offset, cutter.lines) = (checkpoint.offset, checkpoint.lines);
            match Resume::decode(checkpoint) {
                Resume::In(mark) => front = Front::Parked(Box::new(mark)),
                Resume::Between(past) => previous = past,
                Resume::Unknown => is_lost = checkpoint.offset > 0,
            }
        }
        let late = checkpoint.map(|checkpoint| late_of(&checkpoint.state)).unwrap_or_default();
        let start_at = if checkpoint.is_some() { StartAt::Beginning } else { start_at };
        Self {
            path,
            source,
            start_at,
            cutter,
            front,
            next: VecDeque::new(),
            previous,
            lost: Found::default(),
            unsaved: false,
            left: VecDeque::new(),
            restored: late.clone(),
            late: late.into_iter().map(|mark| Late::stored(mark, &limits)).collect(),
            late_turn: false,
            limits,
            copies: RefCell::default(),
            given: Vec::new(),
            strangers: Strangers::default(),
            told: None,
            displaced: false,
            quiet_since: Duration::ZERO,
            awaited_since: None,
            at_end: false,
            looked: Duration::ZERO,
            lag: Lag::default(),
            state: SourceState::Missing,
            rotations: Rotations::default(),
            last_read: None,
            last_error: None,
            is_archive: false,
            is_lost,
        }
    }

    /// The same for a path like `x.log.1` while `x.log` is followed, too: what rotation moves there later was read.
    #[must_use]
    pub(crate) fn archive(mut self) -> Self {
        self.is_archive = true;
        self
    }

    /// Reads the next batch, at most [`Limits::batch_bytes`] at once; `None` if there is nothing new.
    /// A batch may hold no lines but gaps, or only a checkpoint that must not be lost.
    ///
    /// # Errors
    /// The file's system error. What was read stands; call again later.
    pub fn read(&mut self, now: Now) -> Result<Option<RawBatch>, Error> {
        let result = self.read_on(now);
        if let Err(error) = &result {
            self.state = SourceState::Failed(error.to_string());
            self.last_error = Some(error.to_string());
        }
        self.note_lag(now);
        result
    }

    /// The line of files and those that were left take turns.
    fn read_on(&mut self, now: Now) -> Result<Option<RawBatch>, Error> {
        if std::mem::take(&mut self.late_turn)
            && let Some(batch) = self.read_late(now)?
        {
            return Ok(Some(batch));
        }
        match self.read_line(now)? {
            Some(batch) => {
                self.late_turn = true;
                Ok(Some(batch))
            }
            None => self.read_late(now),
        }
    }

    /// Reads the files that stood at the path, one after the other.
    fn read_line(&mut self, now: Now) -> Result<Option<RawBatch>, Error> {
        // Each turn leaves one file for the next; an endless chain comes back at the next call.
        for _ in 0..MAX_SUCCESSORS {
            if !self.open_front(now)? {
                break;
            }
            if self.overstays(now) {
                self.set_aside(now);
                continue;
            }
            if let Some(batch) = self.read_front(now)? {
                self.look_while_busy(now);
                return Ok(Some(batch));
            }
            self.look(now);
            self.note_successor(now);
            if !self.is_finished(now) {
                break;
            }
            let (arena, found) = match self.finish_into_next(now) {
                Some(joined) => joined,
                None => {
                    let (arena, found, file) = self.finish_front(now);
                    file.into_iter().for_each(|file| self.look_after(file, now));
                    (arena, found)
                }
            };
            self.rotations.add(RotationSign::Replaced);
            if !found.lines.is_empty() {
                return Ok(self.batch(arena, found, now));
            }
            self.lost.gaps.extend(found.gaps);
        }
        Ok(self.batch(Vec::new(), Found::default(), now))
    }

    /// Makes sure that a file is open in front; `false` if there is none to open.
    fn open_front(&mut self, now: Now) -> Result<bool, Error> {
        match &self.front {
            Front::Open(_) => Ok(true),
            Front::None => match self.next.pop_front() {
                Some(opened) => self.start(opened, now),
                None if self.is_archive && self.cutter.offset > 0 => {
                    self.closed(Closed::Refused(ARCHIVED.to_owned()))
                }
                None => match refusal::open(&self.path) {
                    Ok(opened) if self.previous.newest().is_some() && self.is_strange(&opened.identity) => {
                        self.closed(Closed::Missing)
                    }
                    Ok(opened) if self.previous.newest().is_some() => {
                        self.start_after_previous(opened)?;
                        self.open_front(now)
                    }
                    Ok(opened) => self.start_first(opened, now),
                    Err(closed) => self.closed(closed),
                },
            },
            Front::Parked(mark) => {
                let mark = **mark;
                self.unpark(&mark, now)
            }
        }
    }

    /// Begins with a file's first byte, or where it was left if it was in front before.
    fn start(&mut self, opened: Opened, now: Now) -> Result<bool, Error> {
        let identity = opened.identity;
        let file = match self.opened(&opened, self.cutter.offset) {
            Ok(file) => file,
            Err(error) => {
                // It is the next one still.
                self.next.push_front(opened);
                return Err(error.into());
            }
        };
        self.unsaved = true;
        self.takes_back(&identity);
        self.forget(&identity);
        self.put_front(file, now);
        Ok(true)
    }

    fn opened(&self, opened: &Opened, base: u64) -> io::Result<OpenFile> {
        let (mark, own) = (self.mark_of(opened, base), opened.try_clone()?);
        match opened.packing {
            Some(packing) => OpenFile::packed(own, packing, base),
            None if mark.position == 0 => Ok(OpenFile::fresh(own, base)),
            None => Ok(OpenFile::resume(own, &mark)?.unwrap_or_else(|own| OpenFile::fresh(own, base))),
        }
    }

    /// Where the reading of `opened` will begin, as the next of the stream at its offset `base`.
    fn mark_of(&self, opened: &Opened, base: u64) -> Mark {
        let Opened { identity, size, modified, .. } = *opened;
        let previous = self.previous;
        match self.marks().rev().find(|mark| mark.identity.is(&identity)) {
            Some(left) => Mark { base: base - left.position, skip: None, previous, ..*left },
            None => Mark::start(identity, base, size, modified, previous),
        }
    }

    fn put_front(&mut self, file: OpenFile, now: Now) {
        self.cutter.hold_nothing();
        self.front = Front::Open(Box::new(file));
        self.state = SourceState::Following;
        self.displaced = false;
        self.quiet_since = now.uptime;
        (self.awaited_since, self.at_end) = (None, false);
    }

    fn closed(&mut self, closed: Closed) -> Result<bool, Error> {
        self.state = match closed {
            Closed::Missing => {
                // What appears later is read whole.
                self.start_at = StartAt::Beginning;
                SourceState::Missing
            }
            Closed::Refused(reason) => SourceState::Refused(reason),
            Closed::Failed(error) => return Err(error.into()),
        };
        Ok(false)
    }

    fn resume(&mut self, file: OpenFile, mark: &Mark, now: Now) {
        self.cutter.offset = mark.base + mark.position;
        self.cutter.skip = mark.skip;
        self.previous = mark.previous;
        self.put_front(file, now);
    }

    /// Reads the front file on; `None` at its end.
    fn read_front(&mut self, now: Now) -> Result<Option<RawBatch>, Error> {
        for _ in 0..MAX_BLOCKS {
            let Front::Open(file) = &mut self.front else { return Ok(None) };
            let (position, seen) = (file.position, file.seen_unread());
            let read = file.read_on(self.limits.batch_bytes);
            let (zeros, block) =
                read.map_err(|error| Error::Read { path: self.path.clone(), position, error })?;
            // After the reading: what stood there before what was read has its copy by now.
            let slipped = self.slipped_since(seen);
            if let (Some(seen), Front::Open(file)) = (seen, &mut self.front)
                && !matches!(slipped, Ok(None))
            {
                file.put_back(seen, zeros, block);
                let slipped = slipped.map_err(Error::Open)?.unwrap_or_default();
                return Ok(self.steps_back(slipped, now));
            }
            self.cutter.offset += zeros;
            let (arena, start, scanned, more) = match block {
                Block::Zeros => return Ok(None),
                Block::Rewritten => match self.rewritten_or_copied(now)? {
                    Some(batch) => return Ok(batch),
                    None => continue,
                },
                Block::Bytes { arena, start, scanned, more } => (arena, start, scanned, more),
            };
            self.at_end = !more;
            let Front::Open(file) = &mut self.front else { return Ok(None) };
            if arena.len() > scanned {
                self.quiet_since = now.uptime;
            }
            self.cutter.under(file.next_header(&arena[start..]));
            let mut found = Found::default();
            let rest = self.cutter.cut(&arena, start, scanned, more, now.observed, &mut found);
            let arena = file.advance(arena, start, rest);
            if let Some(batch) = self.batch(arena, found, now) {
                return Ok(Some(batch));
            }
            if !more {
                return Ok(self.overdue(now));
            }
        }
        // Deep in an oversize line: others want their turn, and what was skipped need not be read again.
        self.unsaved = true;
        Ok(self.batch(Vec::new(), Found::default(), now))
    }

    /// The front file holds something else than was read: what is to be handed over now. `None` if it can be read on.
    fn rewritten_or_copied(&mut self, now: Now) -> Result<Option<Option<RawBatch>>, Error> {
        if self.cutter.holds_lines() {
            return Ok(Some(self.release(now)));
        }
        if self.restarts_unread(now).map_err(Error::Open)?
            || self.goes_on_in_copy(now).map_err(Error::Open)?
        {
            return Ok(None);
        }
        Ok(Some(self.rewritten(now)))
    }

    /// Looks where the path leads though the front file always has more: its successor's lines must not wait for long.
    fn look_while_busy(&mut self, now: Now) {
        if self.at_end && now.uptime.saturating_sub(self.looked) >= UNSETTLED_POLL {
            self.look(now);
            self.note_successor(now);
        }
    }

    /// Looks where the path leads now, and opens what has come to stand there.
    fn look(&mut self, now: Now) {
        let here = fs::metadata(&self.path).map(|metadata| Identity::of(&metadata));
        let is_strange = here.as_ref().is_ok_and(|identity| self.is_strange(identity));
        self.note_look(now);
        let Front::Open(file) = &self.front else { return };
        let latest = self.next.back().map_or(file.identity, |opened| opened.identity);
        if self.is_archive {
            self.displaced = !here.is_ok_and(|identity| identity.is(&file.identity));
            return;
        }
        let closed = match here {
            Ok(identity) if identity.is(&latest) || identity.is(&file.identity) => {
                self.state = SourceState::Following;
                return;
            }
            Ok(_) if self.next.len() >= MAX_SUCCESSORS => return,
            Ok(_) if is_strange => Closed::Missing,
            Ok(_) => match refusal::open(&self.path) {
                Ok(opened) => {
                    let mark = file.mark(self.cutter.skip, self.previous);
                    if self.next.is_empty() {
                        self.quiet_since = now.uptime;
                    }
                    match self.line_up(&latest, &mark, opened) {
                        Ok(_) => return self.state = SourceState::Following,
                        // It stands there still when it is looked at again.
                        Err(error) => Closed::Failed(error),
                    }
                }
                Err(closed) => closed,
            },
            Err(error) => Closed::from(error),
        };
        // The file in front is still read: what happens at its path is no reason to stop.
        if let Err(error) = self.closed(closed) {
            self.state = SourceState::Failed(error.to_string());
            self.last_error = Some(error.to_string());
        }
    }

    /// The batch of what was found, of what is lost, and of where to go on; `None` if there is none of them.
    fn batch(&mut self, bytes: Vec<u8>, found: Found, now: Now) -> Option<RawBatch> {
        let header = match &self.front {
            Front::Open(file) => file.header(),
            _ => None,
        };
        self.batch_under(bytes, found, header, now)
    }

    /// The same of lines that stand under this header.
    fn batch_under(
        &mut self,
        bytes: Vec<u8>,
        mut found: Found,
        header: Option<Arc<str>>,
        now: Now,
    ) -> Option<RawBatch> {
        found.gaps.splice(0..0, self.lost.gaps.drain(..));
        if found.lines.is_empty() && found.gaps.is_empty() && !std::mem::take(&mut self.unsaved) {
            return None;
        }
        self.unsaved = false;
        if !found.lines.is_empty() {
            self.last_read = Some(now.observed);
        }
        let checkpoint = self.checkpoint();
        let Found { lines, gaps } = found;
        Some(RawBatch {
            source: Arc::clone(&self.source),
            observed: now.observed,
            bytes,
            lines,
            header,
            gaps,
            checkpoint,
        })
    }
}

#[cfg(test)]
mod tests;
