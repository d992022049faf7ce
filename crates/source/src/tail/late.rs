//! Files that were left and may still be written to: a graceful reload leaves the old workers with the old file.
//!
//! What comes late is put into the stream at the place where reading stands: between two records of the front file, whose
//! bytes lie at higher offsets from then on. The checkpoint tells of both files, so a crash loses and doubles nothing.

use super::*;
use crate::open_file::Likeness;
use crate::refusal::open_rotated;
use crate::rotated;

/// Files of one source that were left and are looked at.
const MAX_LATE: usize = 4;
/// How long a file that was left is looked at after it last grew.
const LATE_WATCH: Duration = Duration::from_secs(600);

/// Files that were given to others and are remembered.
const MAX_GIVEN: usize = 32;

/// A file that was left.
#[derive(Debug)]
pub(super) struct Late {
    /// How far it was read.
    pub(super) mark: Mark,
    /// `None`: it is not held open.
    file: Option<Box<OpenFile>>,
    /// Where it stood when it was closed.
    path: Option<PathBuf>,
    cutter: Cutter,
    /// Whether what follows is the rest of an oversize line.
    skips: bool,
    /// When it last grew, or was left.
    grown: Duration,
    /// Whether the last read has not reached its end.
    has_more: bool,
}

/// What came late.
struct Piece {
    arena: Vec<u8>,
    found: Found,
    header: Option<Arc<str>>,
    /// Bytes of the stream that it takes.
    len: u64,
    lines: u64,
}

impl Late {
    pub(super) fn of(file: Box<OpenFile>, previous: History, limits: &Limits, now: Now) -> Self {
        let mark = file.mark(None, previous);
        Self { file: Some(file), grown: now.uptime, ..Self::stored(mark, limits) }
    }

    /// One that a checkpoint tells of.
    pub(super) fn stored(mark: Mark, limits: &Limits) -> Self {
        let (skips, cutter) = (mark.skip.is_some(), Cutter::new(limits));
        Self { mark, file: None, path: None, cutter, skips, grown: Duration::ZERO, has_more: false }
    }

    /// The least of them is the one that did not grow for the longest, or was left first.
    fn age(&self) -> (Duration, u64) {
        (self.grown, self.mark.base)
    }

    /// How long it has not grown.
    fn quiet(&self, now: Now) -> Duration {
        now.uptime.saturating_sub(self.grown)
    }

    /// After which time without growth the record that is held of it is handed over.
    fn patience(&self, limits: &Limits) -> Option<Duration> {
        let record = self.cutter.holds_lines().then_some(limits.multiline_timeout);
        let is_partial = self.file.as_ref().is_some_and(|file| file.partial_bytes() > 0);
        [record, limits.partial_line_timeout.filter(|_| is_partial)].into_iter().flatten().min()
    }

    /// Whether there is something to do about it: it grew, or some time is over.
    fn wants(&self, limits: &Limits, now: Now) -> bool {
        let quiet = self.quiet(now);
        match (&self.file, &self.path) {
            (Some(file), _) => {
                let overdue = quiet >= LATE_WATCH || quiet >= DELETED_HOLD && file.is_deleted();
                overdue || file.has_grown() || self.patience(limits).is_some_and(|patience| quiet >= patience)
            }
            (None, Some(path)) => {
                let same = |metadata: &std::fs::Metadata| {
                    Identity::of(metadata).is(&self.mark.identity) && metadata.len() == self.mark.size
                };
                quiet >= LATE_WATCH || !fs::metadata(path).is_ok_and(|metadata| same(&metadata))
            }
            (None, None) => true,
        }
    }

    fn deleted_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.deleted_bytes())
    }

    /// Reads it on as the bytes of the stream at `offset`, before which lie `lines` lines; whether it is still to be
    /// looked at, which it `ends` to be if nothing more comes.
    fn read(
        &mut self,
        (offset, lines): (u64, u64),
        limits: &Limits,
        ends: bool,
        now: Now,
    ) -> io::Result<(Piece, bool)> {
        let (mut found, mut bytes) = (Found::default(), Vec::new());
        let mut grows = false;
        self.has_more = false;
        let Some(file) = &mut self.file else {
            return Ok((Piece { arena: bytes, found, header: None, len: 0, lines }, false));
        };
        let (zeros, block) = file.read_on(limits.batch_bytes)?;
        (self.cutter.offset, self.cutter.lines) = (offset + zeros, lines);
        self.cutter.skip = self.skips.then_some(self.cutter.offset);
        let is_same = !matches!(block, Block::Rewritten);
        if let Block::Bytes { arena, start, scanned, more } = block {
            (grows, self.has_more) = (arena.len() > scanned, more);
            self.cutter.under(file.next_header(&arena[start..]));
            let rest = self.cutter.cut(&arena, start, scanned, more, now.observed, &mut found);
            bytes = file.advance(arena, start, rest);
        }
        if grows {
            self.grown = now.uptime;
        }
        let quiet = now.uptime.saturating_sub(self.grown);
        let is_over =
            ends || file.is_static || quiet >= LATE_WATCH || quiet >= DELETED_HOLD && file.is_deleted();
        let stays = is_same && (grows || !is_over);
        let due = |timeout: Option<Duration>| timeout.is_some_and(|timeout| quiet >= timeout);
        let is_idle = found.lines.is_empty() && !self.has_more;
        if is_idle && (!stays || due(limits.partial_line_timeout)) {
            let (arena, start) = file.take_partial();
            self.cutter.finish(&arena, start, now.observed, &mut found);
            bytes = arena;
        } else if is_idle && self.cutter.holds_lines() && due(Some(limits.multiline_timeout)) {
            let (arena, start) = file.take_held();
            let rest = self.cutter.finish_lines(start, &mut found);
            bytes = file.advance(arena, start, rest);
        }
        if !stays {
            let unread = file.size.saturating_sub(file.position);
            self.cutter.lose(self.cutter.offset + unread, now.observed, &mut found);
        }
        self.skips = self.cutter.interrupt(now.observed, &mut found);
        self.mark = file.mark(self.skips.then_some(0), History::default());
        let (len, lines) = (self.cutter.offset - offset, self.cutter.lines);
        Ok((Piece { arena: bytes, found, header: file.header(), len, lines }, stays))
    }
}

impl Tail {
    /// Goes on looking at a file that was left.
    pub(super) fn look_after(&mut self, file: Box<OpenFile>, now: Now) {
        if !file.is_static && !self.is_archive {
            self.late.push_back(Late::of(file, History::default(), &self.limits, now));
        }
    }

    /// Leaves the front file though it is still written to, for its successor has waited for long enough. What
    /// follows, an unfinished record included, comes late.
    pub(super) fn set_aside(&mut self, now: Now) {
        let Front::Open(mut file) = std::mem::replace(&mut self.front, Front::None) else { return };
        file.unread_partial();
        self.cutter.hold_nothing();
        self.leave(file.mark(None, self.previous));
        self.previous.push(file.past());
        self.rotations.add(RotationSign::Replaced);
        self.unsaved = true;
        self.look_after(file, now);
    }

    /// Whether the front file is still written to though its successor has waited for long enough.
    pub(super) fn overstays(&self, now: Now) -> bool {
        let Front::Open(file) = &self.front else { return false };
        // The rest of an oversize line is passed over where the line was begun.
        let can_wait = file.is_static || self.is_archive || self.cutter.skip.is_some();
        let longest = self.limits.rotation_grace.max(UNSETTLED_POLL);
        let waited = self.awaited_since.map(|since| now.uptime.saturating_sub(since));
        !can_wait
            && !self.next.is_empty()
            && !self.is_finished(now)
            && waited.is_some_and(|waited| waited >= longest)
    }

    /// Notes since when the successor has content while the front file is read to its end.
    pub(super) fn note_successor(&mut self, now: Now) {
        if self.has_next_content() {
            self.awaited_since.get_or_insert(now.uptime);
        }
    }

    /// The next batch of what came late.
    pub(super) fn read_late(&mut self, now: Now) -> Result<Option<RawBatch>, Error> {
        for _ in 0..self.late.len() {
            let is_crowded = self.late.len() > MAX_LATE;
            if is_crowded {
                // The one that did not grow for the longest has to go.
                let oldest = self.late.iter().enumerate().min_by_key(|(_, late)| late.age());
                self.late.rotate_left(oldest.map_or(0, |(index, _)| index));
            }
            if is_crowded || self.late.front().is_some_and(|late| late.wants(&self.limits, now)) {
                if let Some(batch) = self.read_late_blocks(is_crowded, now)? {
                    return Ok(Some(batch));
                }
            } else {
                self.late.rotate_left(1);
            }
        }
        Ok(None)
    }

    /// Reads the first of those that were left up to its next records.
    fn read_late_blocks(&mut self, ends: bool, now: Now) -> Result<Option<RawBatch>, Error> {
        self.find_late(now).map_err(Error::Open)?;
        for _ in 0..MAX_BLOCKS {
            let batch = self.read_late_front(ends, now)?;
            if batch.is_some() || !self.late.back().is_some_and(|late| late.has_more) {
                return Ok(batch);
            }
            self.late.rotate_right(1);
        }
        Ok(None)
    }

    /// Reads the first of those that were left, which is the last then; or none of them, if it `ends`.
    fn read_late_front(&mut self, ends: bool, now: Now) -> Result<Option<RawBatch>, Error> {
        let Some(mut late) = self.late.pop_front() else { return Ok(None) };
        let (position, before) = (late.mark.position, late.mark.identity);
        let read = late.read((self.cutter.offset, self.cutter.lines), &self.limits, ends, now);
        let (mark, past) = (late.mark, late.file.as_ref().map(|file| file.past()));
        if !matches!(read, Ok((_, false))) {
            self.late.push_back(late);
        }
        let (piece, _) = read.map_err(|error| Error::Read { path: self.path.clone(), position, error })?;
        let Some(past) = past else { return Ok(self.put_in(piece, self.gone_bytes(&mark), now)) };
        self.previous.renew(&past);
        let mark = Mark { modified: past.modified, skip: None, ..mark };
        self.marks_mut().filter(|left| left.identity.is(&before)).for_each(|left| *left = mark);
        Ok(self.put_in(piece, 0, now))
    }

    /// What is known to be lost of a file that was closed, and is not where it could be found.
    fn gone_bytes(&self, mark: &Mark) -> u64 {
        // It may have come back, and is read in its turn.
        let is_back = fs::metadata(&self.path).is_ok_and(|file| Identity::of(&file).may_be(&mark.identity));
        if is_back { 0 } else { mark.size.saturating_sub(mark.position) }
    }

    /// Puts what came late into the stream where reading stands; `unread` bytes behind it are lost.
    fn put_in(&mut self, mut piece: Piece, unread: u64, now: Now) -> Option<RawBatch> {
        let start = self.cutter.offset;
        let end = start + piece.len + unread;
        if unread > 0 {
            let (start, reason) = (start + piece.len, GapReason::TruncatedBeforeRead);
            piece.found.gaps.push(Gap { start, end, observed: now.observed, reason });
        }
        if end > start {
            if let Front::Parked(mark) = &self.front {
                self.cutter.skip = mark.skip;
            }
            let mut before = Found::default();
            let skips = self.cutter.interrupt(now.observed, &mut before);
            piece.found.gaps.splice(0..0, before.gaps);
            (self.cutter.offset, self.cutter.lines) = (end, piece.lines);
            self.cutter.skip = skips.then_some(end);
            match &mut self.front {
                Front::Open(file) => file.base += end - start,
                Front::Parked(mark) => {
                    mark.base += end - start;
                    mark.skip = self.cutter.skip;
                }
                Front::None => {}
            }
            self.unsaved = true;
        }
        let header = piece.header.take();
        self.batch_under(piece.arena, piece.found, header, now)
    }

    /// Opens the first of those that were left, if it is not: wherever it stands now. What is gone stays closed.
    fn find_late(&mut self, now: Now) -> io::Result<()> {
        let Some(late) = self.late.front().filter(|late| late.file.is_none()) else { return Ok(()) };
        let mark = late.mark;
        let by_name = match &late.path {
            Some(path) => open_rotated(path, &mark.identity)?.map(|opened| (path.clone(), opened)),
            None => None,
        };
        let found = match by_name {
            Some((path, opened)) => Some((path, Likeness::of(opened, &mark, b"")?)),
            None => self.renamed(&mark)?,
        };
        let found = match found {
            Some((_, Likeness::Whole(file))) => Some(file),
            // It holds something else now.
            Some(_) => None,
            None => self.packed_since(&mark)?,
        };
        if let (Some(file), Some(late)) = (found, self.late.front_mut()) {
            let (known, mark) = (late.mark.identity, Mark { identity: file.identity, ..late.mark });
            if late.path.is_none() {
                // Its time begins with the start of the program.
                late.grown = now.uptime;
            }
            (late.mark, late.file) = (mark, Some(file));
            // Devices may have other numbers since.
            let known = self.marks_mut().filter(|left| left.identity.is(&known));
            known.for_each(|left| left.identity = mark.identity);
        }
        Ok(())
    }

    /// Whether a file that was left wants to be read.
    pub(crate) fn wants_late(&self, now: Now) -> bool {
        self.late.iter().any(|late| late.wants(&self.limits, now))
    }

    /// Whether files that were left are looked at.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Takes a file at the path for one that was left, and comes back: another source has read it up to `mark`.
    pub(super) fn takes_over(&mut self, mark: Mark, now: Now) {
        self.takes_back(&mark.identity);
        self.forget(&mark.identity);
        self.leave(mark);
        let path = Some(self.path.clone());
        self.late.push_back(Late { path, grown: now.uptime, ..Late::stored(mark, &self.limits) });
        // In the stream, the file's first byte lies before what was read of it.
        let len = mark.position.saturating_sub(self.cutter.offset);
        self.pass_over(len, 0, now);
    }

    /// Passes over bytes of the stream that nobody is told of, and over others that are lost.
    fn pass_over(&mut self, len: u64, lost: u64, now: Now) {
        let (arena, found, header, lines) = (Vec::new(), Found::default(), None, self.cutter.lines);
        let batch = self.put_in(Piece { arena, found, header, len, lines }, lost, now);
        self.lost.gaps.extend(batch.into_iter().flat_map(|batch| batch.gaps));
        self.unsaved = true;
    }

    /// Closes files that were left and have been quiet for so long, as far as they can be found again.
    pub(crate) fn close_quiet(&mut self, now: Now, time: Duration) {
        self.close_late(|late| late.quiet(now) >= time);
    }

    pub(super) fn close_late(&mut self, is_due: impl Fn(&Late) -> bool) {
        for late in self.late.iter_mut().filter(|late| is_due(late)) {
            let Some(file) = &late.file else { continue };
            if !file.is_deleted() && !late.cutter.holds_lines() {
                late.mark = file.mark(late.mark.skip, History::default());
                late.path = file.name();
                late.file = None;
            }
        }
    }

    /// The file of `identity` is read in its turn again, from where it was left.
    pub(super) fn takes_back(&mut self, identity: &Identity) {
        self.late.retain(|late| !late.mark.identity.is(identity));
    }

    /// Gives a file that was left to a source of its own, by the name that it has now; how far it was read. `None` for a
    /// file that is a part of this source: it is read, or has a rotation's name.
    pub(crate) fn hand_over(&mut self, identity: &Identity, name: &Path) -> Option<Mark> {
        let next = self.next.iter().map(|opened| opened.identity);
        let is_read = self.identity().into_iter().chain(next).any(|own| own.may_be(identity));
        // What a symlink has led to, it may lead to again.
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink());
        if is_read || is_link || self.is_archive || rotated::is_rotated(&self.path, name) {
            return None;
        }
        let mark = *self.marks().rev().find(|mark| mark.identity.may_be(identity))?;
        self.give(&mark.identity);
        Some(mark)
    }

    /// A file that was left is read by another source from now on.
    fn give(&mut self, identity: &Identity) {
        self.takes_back(identity);
        if self.given.len() == MAX_GIVEN {
            self.given.remove(0);
        }
        self.given.push(*identity);
        self.unsaved = true;
    }

    /// Gives up what others read: `is_read` tells of a file whether one does.
    pub(crate) fn yield_late(&mut self, is_read: impl Fn(&Identity) -> bool) {
        let late: Vec<Identity> = self.late.iter().map(|late| late.mark.identity).collect();
        late.iter().filter(|identity| is_read(identity)).for_each(|identity| self.give(identity));
    }

    /// Where it stands is to be stored before it reads on.
    pub(crate) fn save(&mut self) {
        self.unsaved = true;
    }

    /// Closes deleted files that were left, as far as they are read to their end: nothing is known to be lost with them.
    pub(crate) fn let_read_go(&mut self) {
        let is_read = |file: &OpenFile| file.partial_bytes() == 0 && !file.has_grown();
        let is_over = |late: &Late| late.deleted_bytes() > 0 && late.file.as_deref().is_some_and(is_read);
        self.late.retain(|late| !is_over(late));
    }

    /// Gives up the deleted ones of the files that were left; what was not read of them is a gap.
    pub(super) fn let_late_go(&mut self, now: Now) {
        let is_deleted = |late: &Late| late.deleted_bytes() > 0;
        let unread =
            |late: &Late| late.file.as_ref().map_or(0, |file| file.size.saturating_sub(file.position));
        let lost: u64 = self.late.iter().filter(|late| is_deleted(late)).map(unread).sum();
        self.late.retain(|late| !is_deleted(late));
        self.pass_over(0, lost, now);
    }

    /// The files that were left and are looked at, the one that did not grow for the longest first.
    pub(super) fn late_marks(&self) -> Vec<&Mark> {
        let mut late: Vec<&Late> = self.late.iter().collect();
        late.sort_by_key(|late| late.age());
        late.iter().map(|late| &late.mark).collect()
    }

    /// Descriptors of files that were left, bytes that only they hold, bytes that wait, and those of unfinished lines.
    pub(super) fn late_sums(&self) -> (usize, u64, u64, u64) {
        let files = self.late.iter().filter_map(|late| late.file.as_ref());
        files.fold((0, 0, 0, 0), |(count, deleted, waiting, held), file| {
            let unread = file.size.saturating_sub(file.position);
            let partial = file.partial_bytes() as u64;
            (count + 1, deleted + file.deleted_bytes(), waiting + unread, held + partial)
        })
    }

    /// When what is held of a file that was left is handed over though it may go on.
    pub(super) fn late_due(&self, now: Now) -> Option<Duration> {
        let waits = |late: &Late| Some(late.patience(&self.limits)?.saturating_sub(late.quiet(now)));
        self.late.iter().filter_map(waits).min()
    }
}
