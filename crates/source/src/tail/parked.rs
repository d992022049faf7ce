//! Finds a file again that was not held open: at its path, under another name, as a copy, or not at all.

use super::copies::Copy;
use super::*;
use crate::open_file::{Likeness, Seen};
use crate::refusal::open_rotated;
use crate::rotated::{self, MAX_LISTINGS};

impl Tail {
    /// Finds the file of `mark` again: at its path, under another name beside it, as a copy, or not at all.
    pub(super) fn unpark(&mut self, mark: &Mark, now: Now) -> Result<bool, Error> {
        let found = match refusal::open(&self.path) {
            Ok(opened) if opened.identity.may_be(&mark.identity) => match OpenFile::resume(opened, mark)? {
                Ok(file) => {
                    self.resume(file, mark, now);
                    return Ok(true);
                }
                Err(opened) => Ok(opened),
            },
            Ok(opened) if !self.is_archive && self.is_strange(&opened.identity) => Err(Closed::Missing),
            other => other,
        };
        let mut mark = *mark;
        let elsewhere = match self.renamed(&mark)? {
            Some((path, Likeness::Whole(file))) => Some(Copy::Whole(path, file)),
            // It holds something else now, which is one of those that were not read.
            Some(_) => {
                self.forget(&mark.identity);
                mark.identity = Identity::NONE;
                self.copied(&mark, b"", b"")?
            }
            None => self.copied(&mark, b"", b"")?,
        };
        match elsewhere {
            Some(Copy::Whole(path, file)) => {
                if self.told != Some(file.identity) {
                    info!("{} goes on in {}, where rotation has put it", self.source, path.display());
                    self.told = Some(file.identity);
                }
                if !file.identity.may_be(&mark.identity) {
                    self.forget(&mark.identity);
                }
                self.resume(*file, &mark, now);
                return Ok(true);
            }
            Some(Copy::Beginning(past)) => mark.previous.push(past),
            None => {}
        }
        match found {
            Ok(_) if self.is_archive => {
                self.cutter.lose(mark.base + mark.size, now.observed, &mut self.lost);
                self.front = Front::None;
                self.closed(Closed::Refused(ARCHIVED.to_owned()))
            }
            Ok(opened) => {
                self.replaced(&mark, opened, now)?;
                self.open_front(now)
            }
            Err(closed) => {
                // It is nowhere.
                self.displaced = false;
                self.closed(closed)
            }
        }
    }

    /// The content of `mark` is gone; `opened` stands in its place, and perhaps others in between.
    fn replaced(&mut self, mark: &Mark, opened: Opened, now: Now) -> io::Result<()> {
        let identity = opened.identity;
        let (before, now_there) = (
            Seen { size: mark.size, modified: mark.modified },
            Seen { size: opened.size, modified: opened.modified },
        );
        let sign = RotationSign::of_same_file(before, mark.position, now_there);
        let missed = self.line_up(&mark.identity, mark, opened)?;
        self.front = Front::None;
        self.previous = mark.previous;
        // One that was left, and came back, is read on.
        if identity.may_be(&mark.identity) {
            self.forget(&identity);
        }
        // What nothing was read of is the first of those.
        if mark.position > 0 || !missed {
            warn!("{} was replaced or truncated while it was not open: its new content is read", self.source);
            self.cutter.skip = mark.skip;
            self.cutter.lose(mark.base + mark.size, now.observed, &mut self.lost);
            let is_same = identity.may_be(&mark.identity);
            self.rotations.add(if is_same { sign } else { RotationSign::Replaced });
        }
        Ok(())
    }

    /// The same file under another name, and what it has of what was read.
    pub(super) fn renamed(&self, mark: &Mark) -> io::Result<Option<(PathBuf, Likeness)>> {
        // Rotation may give it the next name between two looks.
        for _ in 0..MAX_LISTINGS {
            let Some(path) = rotated::find(&self.path, &mark.identity)? else { return Ok(None) };
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let identity = Identity::of(&metadata);
            if !identity.may_be(&mark.identity) {
                continue;
            }
            if let Some(opened) = open_rotated(&path, &identity)? {
                return Ok(Some((path, Likeness::of(opened, mark, b"")?)));
            }
        }
        Ok(None)
    }
}
