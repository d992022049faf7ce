//! Where the stream goes on when the path no longer leads to the same content: renamed, copied, compressed or
//! rotated several times before anyone looked.

use super::*;
use crate::refusal::open_rotated;
use crate::rotated::{self, Rotated};

/// Times that a directory is listed again because rotation went on meanwhile.
const MAX_LISTINGS: usize = 8;
/// Rotated files that are looked into for what was read.
const MAX_PROBES: usize = 64;

impl Tail {
    /// Finds the file of `mark` again: at its path, under another name beside it, as a copy, or not at all.
    pub(super) fn unpark(&mut self, mark: &Mark, now: Now) -> Result<bool, Error> {
        let found = match refusal::open(&self.path) {
            // Of a file of which nothing was read, the same inode proves nothing: if it was written to, it may have been
            // copied and truncated.
            Ok(opened)
                if opened.identity.may_be(&mark.identity)
                    && (mark.position > 0 || opened.modified == mark.modified) =>
            {
                let Opened { file, identity, size, modified, packing } = opened;
                match OpenFile::resume(file, identity, mark)? {
                    Ok(file) => {
                        self.resume(file, mark, now);
                        return Ok(true);
                    }
                    Err(file) => Ok(Opened { file, identity, size, modified, packing }),
                }
            }
            other => other,
        };
        let elsewhere = match self.renamed(mark)? {
            None => self.copied(mark, b"")?,
            renamed => renamed,
        };
        if let Some((path, file)) = elsewhere {
            info!("{} goes on in {}, where rotation has put it", self.source, path.display());
            self.resume(file, mark, now);
            return Ok(true);
        }
        match found {
            Ok(_) if self.is_archive => {
                self.cutter.lose(mark.base + mark.size, now.observed, &mut self.lost);
                self.front = Front::None;
                self.closed(Closed::Refused(ARCHIVED.to_owned()))
            }
            Ok(opened) => {
                self.replaced(mark, opened, now)?;
                self.open_front(now)
            }
            Err(closed) => self.closed(closed),
        }
    }

    /// Something stands at the path again after it was empty for long; others may have come and gone in between.
    pub(super) fn start_after_previous(&mut self, opened: Opened) -> io::Result<()> {
        let Some(Past { identity, modified }) = self.previous.newest() else { return Ok(()) };
        let (base, none) = (self.cutter.offset, Fingerprint::EMPTY);
        let previous = self.previous;
        let mark = Mark {
            identity,
            base,
            position: 0,
            size: 0,
            skip: None,
            modified,
            prefix: none,
            edge: none,
            previous,
        };
        self.line_up(&identity, &mark, opened)?;
        Ok(())
    }

    /// The content of `mark` is gone; `opened` stands in its place, and perhaps others in between.
    fn replaced(&mut self, mark: &Mark, opened: Opened, now: Now) -> io::Result<()> {
        let identity = opened.identity;
        let same = identity.may_be(&mark.identity);
        let missed = self.line_up(&mark.identity, mark, opened)?;
        self.front = Front::None;
        self.previous = mark.previous;
        self.left.retain(|left| !left.identity.is(&identity));
        // What nothing was read of is the first of those, or the same file still.
        if mark.position > 0 || !missed && !same {
            warn!("{} was replaced or truncated while it was not open: its new content is read", self.source);
            self.cutter.skip = mark.skip;
            self.cutter.lose(mark.base + mark.size, now.observed, &mut self.lost);
            self.rotations += 1;
        }
        Ok(())
    }

    /// The same file under another name.
    fn renamed(&self, mark: &Mark) -> io::Result<Option<(PathBuf, OpenFile)>> {
        let Some(path) = rotated::find(&self.path, &mark.identity)? else { return Ok(None) };
        let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
        let Some(opened) = open_rotated(&path, &Identity::of(&metadata))? else { return Ok(None) };
        Ok(resumed(opened, mark)?.map(|file| (path, file)))
    }

    /// A copy of what was read, and of what follows it, that rotation made since: whole or compressed.
    /// `partial` is what is known to follow.
    fn copied(&self, mark: &Mark, partial: &[u8]) -> io::Result<Option<(PathBuf, OpenFile)>> {
        if mark.position == 0 && partial.is_empty() {
            return Ok(None);
        }
        let mut files = rotated::files(&self.path)?;
        let past = mark.previous.iter().chain(self.previous.iter());
        let read = files.iter().rposition(|file| past.clone().any(|past| file.was(past)));
        files.drain(..read.map_or(0, |index| index + 1));
        // A copy is made while the original still grows, but little content may be anybody's.
        let known = read.is_some() || mark.edge.len == EDGE_BYTES;
        let candidates = files.into_iter().filter(|file| {
            !file.identity.may_be(&mark.identity)
                && (known || file.is_born_after(mark.modified))
                && (file.packed || file.size >= mark.position)
        });
        for file in candidates.take(MAX_PROBES) {
            let Some(opened) = open_rotated(&file.path, &file.identity)? else { continue };
            let Some(mut copy) = resumed(opened, mark)? else { continue };
            copy.is_static = true;
            if copy.goes_on_with(partial)? {
                return Ok(Some((file.path, copy)));
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
        let (mark, identity) = (file.mark(&self.cutter), file.identity);
        let Some((path, copy)) = self.copied(&mark, file.partial())? else { return Ok(false) };
        info!("{} was truncated: the rest is read from {}", self.source, path.display());
        self.left.retain(|left| !left.identity.is(&identity));
        self.rotations += 1;
        self.resume(copy, &mark, now);
        self.unsaved = true;
        Ok(true)
    }

    /// Copies of what waits to be read next, made before anything of it was read and before it was truncated; and
    /// whatever else was rotated between the file before it and itself.
    pub(super) fn slipped_by(&self, next: &Opened) -> io::Result<Vec<Opened>> {
        let is_last = self.next.is_empty() && next.packing.is_none();
        match self.previous.newest() {
            Some(past) if is_last => self.slipped(&next.past(), past.modified),
            _ => Ok(Vec::new()),
        }
    }

    /// What was rotated, not read, and is older than the content of `own`. If no rotated file is known that was
    /// read: what was written after `modified`.
    fn slipped(&self, own: &Past, modified: Timestamp) -> io::Result<Vec<Opened>> {
        let known = |file: &Rotated| {
            self.left.iter().any(|left| left.identity.is(&file.identity))
                || self.previous.iter().any(|past| file.was(past))
        };
        let missed = hold(&self.path, &|files| {
            let mut missed = after(files, &known, None, modified, &own.identity);
            // It may have been renamed and compressed itself by now; what is younger comes later.
            let own = missed.iter().position(|file| file.was(own));
            missed.truncate(own.unwrap_or(MAX_SUCCESSORS));
            missed.retain(|file| !known(file));
            missed
        })?;
        let mut slipped = Vec::new();
        for (path, missed) in missed {
            let mut copied = missed.packing.is_none() && is_packed(&path);
            for mark in &self.left {
                copied |= is_copy(&path, mark)?;
            }
            if !copied {
                info!("{} goes on in {}, rotated before it was read", self.source, path.display());
                slipped.push(missed);
            }
        }
        Ok(slipped)
    }

    /// Puts `opened` behind what stood at the path after `older` and was rotated away before anyone looked.
    /// Returns whether there was something.
    pub(super) fn line_up(&mut self, older: &Identity, front: &Mark, opened: Opened) -> io::Result<bool> {
        let known = |identity: &Identity| {
            identity.is(&opened.identity)
                || self.next.iter().any(|next| next.identity.is(identity))
                || self.left.iter().any(|left| left.identity.is(identity))
        };
        let room = MAX_SUCCESSORS.saturating_sub(self.next.len() + 1);
        let read: Vec<Identity> = [*older, front.identity].into_iter().chain(self.identities()).collect();
        let is_read = |file: &Rotated| {
            read.iter().any(|identity| file.identity.may_be(identity))
                || front.previous.iter().chain(self.previous.iter()).any(|past| file.was(past))
        };
        let missed = hold(&self.path, &|files| {
            let mut missed = after(files, &is_read, Some(older), front.modified, &opened.identity);
            missed.retain(|file| !known(&file.identity));
            missed.truncate(room);
            missed
        })?;
        let mut held = Vec::new();
        if let Front::Open(file) = &self.front {
            held.extend(file.end_mark()?);
        }
        for next in self.next.iter().filter(|next| next.packing.is_none()) {
            held.push(OpenFile::end_of(&next.file, next.identity)?);
        }
        let mut new = Vec::new();
        for (path, missed) in missed {
            if missed.packing.is_none() && is_packed(&path) {
                warn!("{}: {} cannot be read: only .gz and .zst are", self.source, path.display());
                continue;
            }
            let mut copied = false;
            for mark in self.left.iter().chain([front]).chain(&held) {
                copied |= is_copy(&path, mark)?;
            }
            if !copied {
                info!("{} goes on in {}, rotated before it was read", self.source, path.display());
                new.push(missed);
            }
        }
        let any = !new.is_empty();
        self.next.extend(new);
        self.next.push_back(opened);
        Ok(any)
    }
}

/// The file, if it holds what was read up to `mark`.
fn resumed(opened: Opened, mark: &Mark) -> io::Result<Option<OpenFile>> {
    let Opened { file, identity, packing, .. } = opened;
    Ok(match packing {
        // What does not unpack does not hold it.
        Some(packing) => OpenFile::resume_packed(file, packing, identity, mark).unwrap_or_default(),
        None => OpenFile::resume(file, identity, mark)?.ok(),
    })
}

/// Of rotated files, oldest first, those that stood at the path after what `is_read`, `older` last, and before
/// `newer`.
fn after(
    files: &[Rotated],
    is_read: &dyn Fn(&Rotated) -> bool,
    older: Option<&Identity>,
    modified: Timestamp,
    newer: &Identity,
) -> Vec<Rotated> {
    // Where one of them is found, names tell the order; else only age does.
    if let Some(index) = files.iter().rposition(is_read) {
        return files[index + 1..].to_vec();
    }
    let born = |identity: &Identity| identity.birth.unwrap_or(i64::MIN);
    let between = |file: &&Rotated| {
        file.is_written_after(modified)
            && (file.packed || older.is_none_or(|older| born(&file.identity) >= born(older)))
            && newer.birth.is_none_or(|newer| file.packed || born(&file.identity) <= newer)
    };
    files.iter().filter(between).cloned().collect()
}

/// Opens the files that `choose` takes, and makes sure that rotation did not go on meanwhile.
fn hold(path: &Path, choose: &dyn Fn(&[Rotated]) -> Vec<Rotated>) -> io::Result<Vec<(PathBuf, Opened)>> {
    let identities = |files: &[Rotated]| files.iter().map(|file| file.identity).collect::<Vec<_>>();
    let mut chosen = choose(&rotated::files(path)?);
    for listing in 1.. {
        let mut opened = Vec::new();
        for file in &chosen {
            opened.extend(open_rotated(&file.path, &file.identity)?.map(|held| (file.path.clone(), held)));
        }
        let again = choose(&rotated::files(path)?);
        if identities(&again) == identities(&chosen) || listing == MAX_LISTINGS {
            return Ok(opened);
        }
        chosen = again;
    }
    Ok(Vec::new())
}

/// Whether the file at `path` holds what was read up to `mark`: `logrotate` and people make copies. A short
/// beginning proves nothing, many logs start with the same header; a compressed file of just that is a copy.
fn is_copy(path: &Path, mark: &Mark) -> io::Result<bool> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
    let Some(opened) = open_rotated(path, &Identity::of(&metadata))? else { return Ok(false) };
    let strong = mark.edge.len == EDGE_BYTES;
    if !strong && opened.packing.is_none() {
        return Ok(false);
    }
    match resumed(opened, mark)? {
        Some(mut file) => Ok(strong || file.ends_here()?),
        None => Ok(false),
    }
}

/// Whether a name says that the file is compressed.
fn is_packed(path: &Path) -> bool {
    refusal::refused_name(path).is_some()
}
