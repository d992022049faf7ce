//! Leaving a file: when it is read to its end, what becomes of its last record, and what is remembered of it.

use memchr::memrchr;

use super::*;

/// Bytes of a rotated file's successor in which the last record may go on.
const JOIN_BYTES: usize = 64 << 10;

impl Tail {
    /// The content was truncated or written anew: what is known to be unread is lost, the new content is next.
    pub(super) fn rewritten(&mut self, now: Now) -> Option<RawBatch> {
        let (previous, sign) = (self.previous, self.sign());
        let (arena, found, file) = self.finish_front(now);
        // What stands where it stood is no landmark among rotated files.
        self.previous = previous;
        self.rotations.add(sign);
        if let Some(file) = file {
            self.forget(&file.identity);
            self.put_front(file.into_restarted(self.cutter.offset), now);
            self.unsaved = true;
        }
        self.batch(arena, found, now)
    }

    /// What shows that the front file holds something else.
    pub(super) fn sign(&self) -> RotationSign {
        match &self.front {
            Front::Open(file) => file.seen_now().map_or(RotationSign::Truncated, |now| {
                RotationSign::of_same_file(file.seen(), file.position, now)
            }),
            _ => RotationSign::Replaced,
        }
    }

    /// Ends the front file: its unfinished line is handed over as it is, and unread bytes are lost.
    pub(super) fn finish_front(&mut self, now: Now) -> (Vec<u8>, Found, Option<Box<OpenFile>>) {
        let mut found = Found::default();
        let Front::Open(mut file) = std::mem::replace(&mut self.front, Front::None) else {
            return (Vec::new(), found, None);
        };
        let (arena, start) = file.take_partial();
        self.cutter.finish(&arena, start, now.observed, &mut found);
        if let Some(damage) = file.damage() {
            warn!("{}: a compressed file of it cannot be read to its end: {damage}", self.source);
            let (start, end) = (self.cutter.offset, self.cutter.offset.max(file.base + file.size));
            found.gaps.push(Gap { start, end, observed: now.observed, reason: GapReason::Decode });
            self.cutter.offset = end;
        }
        self.cutter.lose(file.base + file.size, now.observed, &mut found);
        self.unsaved = true;
        self.leave(file.mark(self.cutter.skip, self.previous));
        self.previous.push(file.past());
        (arena, found, Some(file))
    }

    /// Ends the front file with a record that the next file may go on with: its first whole lines are cut together with
    /// it. `None` if there is no such record, or nothing to go on with.
    pub(super) fn finish_into_next(&mut self, now: Now) -> Option<(Vec<u8>, Found)> {
        let Front::Open(file) = &self.front else { return None };
        let held = file.partial();
        let base = self.cutter.offset + held.len() as u64;
        let is_whole = self.cutter.holds_lines() && held.ends_with(b"\n") && base == file.base + file.size;
        let opened = self.next.front().filter(|opened| is_whole && opened.packing.is_none())?;
        let mut next = self.opened(opened, base).ok().filter(|next| next.position == 0)?;
        let seen = next.seen_unread()?;
        let Block::Bytes { arena: block, start, .. } = next.read_block(JOIN_BYTES).ok()? else { return None };
        if self.missed_before(&next, seen, &file.past()).ok()? {
            return None;
        }
        let end = start + memrchr(b'\n', &block[start..])? + 1;

        let Front::Open(mut file) = std::mem::replace(&mut self.front, Front::None) else { return None };
        let (mut arena, record) = file.take_partial();
        let cut = arena.len();
        arena.extend_from_slice(&block[start..end]);
        next.advance(block, start, end);
        let mut found = Found::default();
        let record = self.cutter.cut(&arena, record, cut, true, now.observed, &mut found);
        self.cutter.finish_lines(record, &mut found);
        self.leave(file.mark(None, self.previous));
        self.previous.push(file.past());
        self.look_after(file, now);
        self.next.pop_front();
        self.takes_back(&next.identity);
        self.forget(&next.identity);
        self.put_front(next, now);
        Some((arena, found))
    }

    /// What was held, if it has waited for long enough.
    pub(super) fn overdue(&mut self, now: Now) -> Option<RawBatch> {
        let quiet = now.uptime.saturating_sub(self.quiet_since);
        let goes_on = self.has_next_content();
        let Front::Open(file) = &mut self.front else { return None };
        let due = |timeout: Option<Duration>| timeout.is_some_and(|timeout| quiet >= timeout);
        let mut found = Found::default();
        if file.partial_bytes() > 0 && due(self.limits.partial_line_timeout) {
            let (arena, start) = file.take_partial();
            self.cutter.finish(&arena, start, now.observed, &mut found);
            return self.batch(arena, found, now);
        }
        let waits = self.cutter.holds_lines() && !goes_on;
        if waits && due(Some(self.limits.multiline_timeout)) { self.release(now) } else { None }
    }

    /// Hands over the lines that were held for more of their record.
    pub(super) fn release(&mut self, now: Now) -> Option<RawBatch> {
        let Front::Open(file) = &mut self.front else { return None };
        let mut found = Found::default();
        let (arena, start) = file.take_held();
        let rest = self.cutter.finish_lines(start, &mut found);
        let arena = file.advance(arena, start, rest);
        self.batch(arena, found, now)
    }

    /// Whether the file that comes next holds something.
    pub(super) fn has_next_content(&self) -> bool {
        self.next.front().is_some_and(|opened| opened.size_now() > 0)
    }

    /// The file of `identity` may hold something else now: only the content that was read of it is known still.
    pub(super) fn forget(&mut self, identity: &Identity) {
        let known = self.marks_mut().filter(|left| left.identity.is(identity));
        known.for_each(|left| left.identity = Identity::NONE);
    }

    /// How far the files were read that were left, the latest last.
    pub(super) fn marks(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.restored.iter().chain(&self.left)
    }

    pub(super) fn marks_mut(&mut self) -> impl Iterator<Item = &mut Mark> {
        self.restored.iter_mut().chain(&mut self.left)
    }

    /// Whether a checkpoint says that a file was left.
    pub(super) fn was_restored(&self, identity: &Identity) -> bool {
        self.restored.iter().any(|mark| mark.identity.may_be(identity))
    }

    /// Remembers a file that was read.
    pub(super) fn leave(&mut self, mark: Mark) {
        if self.left.len() == MAX_LEFT {
            self.left.pop_front();
        }
        self.left.push_back(mark);
    }

    /// Whether the front file, read to its end, can be left.
    pub(super) fn is_finished(&self, now: Now) -> bool {
        let Front::Open(file) = &self.front else { return false };
        let quiet = now.uptime.saturating_sub(self.quiet_since);
        match self.next.front() {
            None if self.is_archive => self.displaced && quiet >= self.limits.rotation_grace,
            Some(_) if file.is_static => true,
            None => self.state == SourceState::Missing && quiet >= DELETED_HOLD && file.is_deleted(),
            // Two rotations on, nobody writes to it any more.
            Some(_) if self.next.len() > 1 => true,
            // While its successor is empty the writer may not have been told yet.
            Some(opened) => {
                let wait = if opened.size_now() > 0 { self.limits.rotation_grace } else { DELETED_HOLD };
                quiet >= wait && (opened.size_now() > 0 || file.is_deleted())
            }
        }
    }
}
