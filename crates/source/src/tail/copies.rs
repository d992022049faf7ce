//! Copies that people and rotation make: which of what was read, which of what is still to be read.

use std::cell::Cell;

use super::*;
use crate::open_file::Likeness;
use crate::rotated::hold;

/// Rotated files that are looked into for what was read.
const MAX_PROBES: usize = 64;

/// A copy of what was read, that rotation made since.
pub(super) enum Copy {
    /// It holds all of it, and what follows.
    Whole(PathBuf, Box<OpenFile>),
    /// It was made before the last of it was written, which was read nevertheless.
    Beginning(Past),
}

impl Tail {
    /// A copy of what was read, and of what follows it, that rotation made since: whole or compressed.
    /// `head` are the first bytes of what was read, as far as they are known; `partial` is what is known to follow.
    pub(super) fn copied(&self, mark: &Mark, head: &[u8], partial: &[u8]) -> io::Result<Option<Copy>> {
        if mark.position == 0 && partial.is_empty() {
            return Ok(None);
        }
        // Little content may be anybody's, unless it stands where a copy is expected.
        let known = Cell::new(mark.edge.len == EDGE_BYTES);
        let candidates = hold(&self.path, &|files| {
            let past = || mark.previous.iter().chain(self.previous.iter());
            let read = files.iter().rposition(|file| past().any(|past| file.was(past, files)));
            known.set(known.get() || read.is_some());
            let candidates = files[read.map_or(0, |index| index + 1)..].iter().filter(|file| {
                let born = mark.identity.birth.is_none_or(|birth| file.identity.is_born_after(birth));
                let is_read = file.identity.may_be(&mark.identity) || self.was_restored(&file.identity);
                !is_read && (known.get() || born)
            });
            candidates.take(MAX_PROBES).cloned().collect()
        })?;
        for (path, opened) in candidates {
            let past = opened.past();
            // A copy that holds all was made after the last of it was written.
            let may_be_whole = known.get() || past.identity.is_born_after(mark.modified.0);
            match Likeness::of(opened, mark, head)? {
                Likeness::Whole(mut copy) if may_be_whole => {
                    copy.is_static = true;
                    if copy.goes_on_with(partial)? {
                        return Ok(Some(Copy::Whole(path, copy)));
                    }
                }
                Likeness::Beginning => return Ok(Some(Copy::Beginning(past))),
                Likeness::Whole(_) | Likeness::None => {}
            }
        }
        Ok(None)
    }

    /// The compressed form of a file that was left and is gone: it may hold what came late. Little content may be anybody's,
    /// unless it was written to last when that file was.
    pub(super) fn packed_since(&self, mark: &Mark) -> io::Result<Option<Box<OpenFile>>> {
        if mark.position == 0 {
            return Ok(None);
        }
        let candidates = hold(&self.path, &|files| {
            let packed = files.iter().filter(|file| file.packed && file.is_written_after(mark.modified));
            packed.take(MAX_PROBES).cloned().collect()
        })?;
        for (_, opened) in candidates {
            let known = mark.edge.len == EDGE_BYTES || opened.modified == mark.modified;
            if opened.packing.is_some()
                && known
                && let Likeness::Whole(file) = Likeness::of(opened, mark, b"")?
            {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// The content was truncated: reads on in the copy that was made before, if there is one.
    pub(super) fn goes_on_in_copy(&mut self, now: Now) -> io::Result<bool> {
        let Front::Open(file) = &self.front else { return Ok(false) };
        if file.is_static {
            return Ok(false);
        }
        let (mark, identity) = (file.mark(self.cutter.skip, self.previous), file.identity);
        let sign = self.sign();
        match self.copied(&mark, file.head(), file.partial())? {
            Some(Copy::Whole(path, copy)) => {
                info!("{} was truncated: the rest is read from {}", self.source, path.display());
                self.forget(&identity);
                self.rotations.add(sign);
                self.resume(*copy, &mark, now);
                self.unsaved = true;
                Ok(true)
            }
            Some(Copy::Beginning(past)) => {
                self.previous.push(past);
                let Past { identity, modified } = past;
                self.leave(Mark { identity, modified, ..mark });
                Ok(false)
            }
            None => Ok(false),
        }
    }
}

/// Whether a file holds what was read up to `mark`: `logrotate` and people make copies. A short
/// beginning proves nothing, many logs start with the same header; a compressed file of just that is a copy.
pub(super) fn is_copy(opened: &Opened, mark: &Mark) -> io::Result<bool> {
    let strong = mark.edge.len == EDGE_BYTES;
    if !strong && opened.packing.is_none() {
        return Ok(false);
    }
    match Likeness::of(opened.try_clone()?, mark, b"")? {
        Likeness::Whole(mut file) => Ok(strong || file.ends_here()?),
        Likeness::Beginning | Likeness::None => Ok(false),
    }
}

/// Whether a file is a copy of the first bytes of `next`, which was not truncated since. So little that many logs
/// begin with it proves that only if it was written after `next` was there.
pub(super) fn is_beginning(missed: &Opened, next: &Opened) -> io::Result<bool> {
    let Some(end) = end_of(missed)? else { return Ok(false) };
    let younger = next.identity.birth < missed.identity.birth;
    if end.position == 0 || !younger && end.edge.len < EDGE_BYTES {
        return Ok(false);
    }
    Ok(matches!(Likeness::of(next.try_clone()?, &end, b"")?, Likeness::Whole(_)))
}

/// Whether a compressed file is that of `mark`, though it has less than was read: it was written to meanwhile. No other
/// file with the same beginning was written to last while that one stood at the path.
pub(super) fn is_packed_early(packed: &Opened, mark: &Mark) -> io::Result<bool> {
    let at_the_path = mark.identity.birth.is_some_and(|birth| birth <= packed.modified.0)
        && packed.modified <= mark.modified;
    if packed.packing.is_none() || !at_the_path {
        return Ok(false);
    }
    Ok(matches!(Likeness::of(packed.try_clone()?, mark, b"")?, Likeness::Beginning))
}

/// Whether `packed` is the compressed form of `original`. Times do not prove it: a copy and the truncation of its
/// original fall in one tick of the file system's clock.
pub(super) fn is_packed_form(packed: &Opened, original: &Opened) -> io::Result<bool> {
    if packed.packing.is_none() || !original.past().may_be_packed_as_of(packed.modified) {
        return Ok(false);
    }
    let Some(end) = end_of(packed)? else { return Ok(false) };
    let same_size = end.position == original.size_now();
    Ok(same_size && matches!(Likeness::of(original.try_clone()?, &end, b"")?, Likeness::Whole(_)))
}

/// Where reading will stand at the end of a file; `None` if it cannot be unpacked.
pub(super) fn end_of(opened: &Opened) -> io::Result<Option<Mark>> {
    let end = OpenFile::end_of(opened.try_clone()?);
    if opened.packing.is_some() { Ok(end.ok()) } else { end.map(Some) }
}
