//! What comes after the file in front, in order, though it may have been rotated several times before anyone looked.

use super::copies::{end_of, is_beginning, is_copy, is_packed_early, is_packed_form};
use super::*;
use crate::open_file::Seen;
use crate::rotated::{Rotated, hold};

impl Tail {
    /// Something stands at the path again after it was empty for long; others may have come and gone in between.
    pub(super) fn start_after_previous(&mut self, opened: Opened) -> io::Result<()> {
        let Some(Past { identity, modified }) = self.previous.newest() else { return Ok(()) };
        let mark = Mark::start(identity, self.cutter.offset, 0, modified, self.previous);
        self.line_up(&identity, &mark, opened)?;
        Ok(())
    }

    /// What stood where the front file stands, and was copied and truncated since `seen`; then the file itself. Only
    /// looked for if next to nothing of it was read: any other shows it.
    pub(super) fn slipped_since(&self, seen: Option<Seen>) -> io::Result<Option<Vec<Opened>>> {
        let (Front::Open(file), Some(seen), false) = (&self.front, seen, self.is_archive) else {
            return Ok(None);
        };
        let Some(own) = file.changed_since(seen)? else { return Ok(None) };
        let younger: Vec<&Opened> = self.next.iter().collect();
        let mut slipped = self.slipped(&own, seen.modified, &[], &younger)?;
        if slipped.is_empty() {
            return Ok(None);
        }
        slipped.push(own);
        Ok(Some(slipped))
    }

    /// Puts files in the place of the front file, which is the last of them; what was read of it is read again then. Lines
    /// that are held are handed over before.
    pub(super) fn steps_back(&mut self, slipped: Vec<Opened>, now: Now) -> Option<RawBatch> {
        if self.cutter.holds_lines() {
            return self.release(now);
        }
        self.front = Front::None;
        self.put_next(slipped.into_iter());
        self.unsaved = true;
        None
    }

    /// The front file was truncated before anything of it was read, and nothing has its content: that is lost, and it
    /// begins with what it holds now. `false` where something of it was read.
    pub(super) fn restarts_unread(&mut self, now: Now) -> io::Result<bool> {
        let Front::Open(file) = &mut self.front else { return Ok(false) };
        if !file.is_unread() {
            return Ok(false);
        }
        let opened = file.reopened()?.try_clone_now()?;
        if opened.size < file.size {
            self.cutter.lose(file.base + file.size, now.observed, &mut self.lost);
        }
        file.begin_with(self.cutter.offset, &opened);
        Ok(true)
    }

    /// Whether something stood where the first of those that wait stands, and was copied and truncated since it was
    /// seen last.
    pub(super) fn missed_before(&self, next: &OpenFile, seen: Seen, front: &Past) -> io::Result<bool> {
        let Some(opened) = next.changed_since(seen)? else { return Ok(false) };
        let younger: Vec<&Opened> = self.next.iter().skip(1).collect();
        Ok(!self.slipped(&opened, seen.modified, &[*front], &younger)?.is_empty())
    }

    /// Puts files before all that wait.
    pub(super) fn put_next(&mut self, files: impl DoubleEndedIterator<Item = Opened>) {
        files.rev().for_each(|file| self.next.push_front(file));
    }

    /// The same for the files that wait, which are not looked at until their turn comes. `youngest` comes after them.
    fn line_up_slipped(&mut self, youngest: &Opened) -> io::Result<()> {
        let mut older: Vec<Past> = Vec::new();
        if let Front::Open(file) = &self.front {
            older.push(file.past());
        }
        let mut lined_up = VecDeque::new();
        for (index, waiting) in self.next.iter().enumerate() {
            let now = waiting.try_clone_now()?;
            if waiting.packing.is_none() && (now.modified, now.size) != (waiting.modified, waiting.size) {
                let younger: Vec<&Opened> = self.next.iter().skip(index + 1).chain([youngest]).collect();
                let slipped = self.slipped(&now, waiting.modified, &older, &younger)?;
                let any = !slipped.is_empty();
                lined_up.extend(slipped);
                lined_up.push_back(if any { now } else { waiting.try_clone()? });
            } else {
                lined_up.push_back(waiting.try_clone()?);
            }
            older.push(waiting.past());
        }
        self.next = lined_up;
        Ok(())
    }

    /// What was rotated, not read, and is older than the content of `own`, which it was a copy of; `older` and
    /// `younger` files wait, too. If no rotated file is known that is older: what was written after `modified`.
    fn slipped(
        &self,
        own: &Opened,
        modified: Timestamp,
        older: &[Past],
        younger: &[&Opened],
    ) -> io::Result<Vec<Opened>> {
        let waits = |file: &Rotated| {
            [&own].into_iter().chain(younger).any(|waiting| file.identity.may_be(&waiting.identity))
        };
        let is_older = |files: &[Rotated], file: &Rotated| {
            !waits(file)
                && (self.was_left(file, files)
                    || self.previous.iter().chain(older).any(|past| file.was(past, files)))
        };
        let missed = hold(&self.path, &|files| {
            let mut missed = after(files, &is_older, modified);
            missed.truncate(missed.iter().position(waits).unwrap_or(MAX_SUCCESSORS));
            missed.retain(|file| !self.was_restored(&file.identity));
            missed
        })?;
        let younger: Vec<&Opened> = [&own].into_iter().chain(younger).copied().collect();
        self.unread(missed, &[], &younger)
    }

    /// Of files that were rotated, oldest first, those that are no copies of what was read up to one of the marks, or of what
    /// was left before; as far as they are older than `younger`: one that is made of one of these is not, nor is what
    /// was rotated after it.
    fn unread(
        &self,
        missed: Vec<(PathBuf, Opened)>,
        marks: &[Mark],
        younger: &[&Opened],
    ) -> io::Result<Vec<Opened>> {
        let mut unread = Vec::new();
        for (path, missed) in missed {
            if missed.packing.is_none() && is_packed(&path) {
                warn!("{}: {} cannot be read: only .gz and .zst are", self.source, path.display());
                continue;
            }
            if is_made_of_any(&missed, younger)? {
                break;
            }
            let copied = self.is_copy_of_left(&missed)?
                || self.was_packed_early(&missed)?
                || is_like_any(&missed, marks.iter())?;
            if !copied {
                info!("{} goes on in {}, rotated before it was read", self.source, path.display());
                unread.push(missed);
            }
        }
        Ok(unread)
    }

    /// Whether a rotated file was left before, or is the compressed form of one that was.
    fn was_left(&self, file: &Rotated, files: &[Rotated]) -> bool {
        let is_it = |left: &Mark| {
            let past = Past { identity: left.identity, modified: left.modified };
            left.identity.is(&file.identity) || file.is_packed_form_of(&past, files)
        };
        self.left.iter().any(is_it)
    }

    /// Whether a file is a copy of what was left before.
    fn is_copy_of_left(&self, missed: &Opened) -> io::Result<bool> {
        let mut copies = self.copies.borrow_mut();
        if copies.contains(&missed.identity) {
            return Ok(true);
        }
        let found = is_like_any(missed, self.marks())?;
        if found && missed.packing.is_some() {
            if copies.len() == MAX_LEFT {
                copies.pop_front();
            }
            copies.push_back(missed.identity);
        }
        Ok(found)
    }

    /// Whether a compressed file has the first bytes of one that is held open: who wrote to that had not been told yet
    /// that it was rotated.
    fn was_packed_early(&self, missed: &Opened) -> io::Result<bool> {
        if missed.packing.is_none() {
            return Ok(false);
        }
        let front = match &self.front {
            Front::Open(file) if !file.is_static => Some(file.reopened()?),
            _ => None,
        };
        for held in front.iter().chain(self.next.iter().filter(|held| held.packing.is_none())) {
            if held.identity.birth < missed.identity.birth && is_beginning(missed, held)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts `opened` behind what stood at the path after `older` and was rotated away before anyone looked.
    /// Returns whether there was something.
    pub(super) fn line_up(&mut self, older: &Identity, front: &Mark, opened: Opened) -> io::Result<bool> {
        self.line_up_slipped(&opened)?;
        let known = |identity: &Identity| {
            identity.is(&opened.identity)
                || self.next.iter().any(|next| next.identity.is(identity))
                || self.left.iter().any(|left| left.identity.is(identity))
                || self.was_restored(identity)
        };
        let room = MAX_SUCCESSORS.saturating_sub(self.next.len() + 1);
        let left = self.left.iter().map(|left| left.identity);
        let next = self.next.iter().map(|next| next.identity);
        let read: Vec<Identity> = [*older, front.identity].into_iter().chain(left).chain(next).collect();
        let in_front = match &self.front {
            Front::Open(file) => Some(file.past()),
            // What nothing was read of is the first to be read.
            _ if front.position == 0 => None,
            _ => Some(Past { identity: front.identity, modified: front.modified }),
        };
        let is_read = |files: &[Rotated], file: &Rotated| {
            read.iter().any(|identity| file.identity.may_be(identity))
                || self.was_left(file, files)
                || in_front.is_some_and(|past| file.was(&past, files))
                || front.previous.iter().chain(self.previous.iter()).any(|past| file.was(past, files))
        };
        let missed = hold(&self.path, &|files| {
            let mut missed = after(files, &is_read, front.modified);
            missed.retain(|file| !known(&file.identity));
            missed.truncate(room);
            missed
        })?;
        if missed.is_empty() {
            self.next.push_back(opened);
            return Ok(false);
        }
        let mut marks = vec![*front];
        if let Front::Open(file) = &self.front {
            marks.extend(file.end_mark()?);
        }
        for next in &self.next {
            marks.extend(end_of(next)?);
        }
        let new = self.unread(missed, &marks, &[&opened])?;
        let any = !new.is_empty();
        // Copied and truncated since it was opened: what it held then is in the copy, and not lost.
        let is_copied = new.iter().any(|file| file.identity.birth >= opened.identity.birth);
        let opened = if is_copied { opened.try_clone_now()? } else { opened };
        self.next.extend(new);
        self.next.push_back(opened);
        Ok(any)
    }
}

/// Of rotated files, oldest first, those that stood at the path after what `is_read`.
fn after(
    files: &[Rotated],
    is_read: &dyn Fn(&[Rotated], &Rotated) -> bool,
    modified: Timestamp,
) -> Vec<Rotated> {
    // Where one of them is found, names tell the order; else only age does.
    match files.iter().rposition(|file| is_read(files, file)) {
        Some(index) => files[index + 1..].to_vec(),
        None => files.iter().filter(|file| file.is_written_after(modified)).cloned().collect(),
    }
}

/// Whether a file is the compressed form or a copy of one of those that wait.
fn is_made_of_any(missed: &Opened, waiting: &[&Opened]) -> io::Result<bool> {
    for waiting in waiting {
        if is_packed_form(missed, waiting)? || is_beginning(missed, waiting)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file is a copy of what was read up to one of the marks.
fn is_like_any<'a>(missed: &Opened, marks: impl Iterator<Item = &'a Mark>) -> io::Result<bool> {
    for mark in marks {
        if is_copy(missed, mark)? || is_packed_early(missed, mark)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a name says that the file is compressed.
fn is_packed(path: &Path) -> bool {
    refusal::refused_name(path).is_some()
}
