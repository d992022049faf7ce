//! Where the first file of a stream is begun with: its start, its end, or where an unreadable checkpoint says.

use memchr::{memchr, memrchr};

use super::*;
use crate::positioned::read_exactly;

/// A place in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// The first byte of a line.
    Line(u64),
    /// Amid a line that is longer than the limit: what is left of it is passed over, as a gap.
    Amid(u64),
}

impl Tail {
    /// Begins with the first file of the stream, where `start_at` says.
    pub(super) fn start_first(&mut self, opened: Opened, now: Now) -> Result<bool, Error> {
        if self.cutter.offset == 0 && refusal::is_binary(&opened)? {
            return self.closed(Closed::Refused(refusal::BINARY.to_owned()));
        }
        if self.is_lost {
            return self.start_at_offset(opened, now);
        }
        let place = place(&opened, self.start_at, self.limits.max_line_bytes)?;
        self.start_at = StartAt::Beginning;
        let position = match place {
            Place::Line(0) => return self.start(opened, now),
            Place::Line(position) | Place::Amid(position) => position,
        };
        self.put_front(OpenFile::from_middle(opened, position)?, now);
        self.cutter.offset = position;
        self.cutter.skip = (place == Place::Amid(position)).then_some(position);
        self.unsaved = true;
        Ok(true)
    }

    /// Goes on where a file of the stream's length stands between two lines: what is stored is not read again. Else
    /// the file is read whole.
    fn start_at_offset(&mut self, opened: Opened, now: Now) -> Result<bool, Error> {
        let offset = self.cutter.offset;
        let fits = is_between_lines(&opened, offset)?;
        self.is_lost = false;
        warn!(
            "the checkpoint of {} is not readable: its file is read on {}",
            self.source,
            if fits { "where it was stored to" } else { "from its first byte, for it is another one" }
        );
        if !fits {
            return self.start(opened, now);
        }
        self.put_front(OpenFile::from_middle(opened, offset)?, now);
        self.unsaved = true;
        Ok(true)
    }
}

/// Where `start_at` is in the file.
fn place(opened: &Opened, start_at: StartAt, max_line_bytes: usize) -> Result<Place, Error> {
    match start_at {
        StartAt::Last(bytes) if bytes < opened.size => {
            line_after(opened, opened.size - bytes, max_line_bytes)
        }
        StartAt::Beginning | StartAt::Last(_) => Ok(Place::Line(0)),
        StartAt::End => last_line_end(opened, max_line_bytes).map(Place::Line),
    }
}

/// Whether a line ends right before `offset`.
fn is_between_lines(opened: &Opened, offset: u64) -> Result<bool, Error> {
    if offset == 0 || opened.size < offset {
        return Ok(offset == 0);
    }
    Ok(read_exactly(&opened.file, offset - 1, 1)?.as_deref() == Some(b"\n"))
}

/// The first line that begins at or after `from`; if none does, the last one, which is being written.
fn line_after(opened: &Opened, from: u64, max_line_bytes: usize) -> Result<Place, Error> {
    // The newline right before `from` makes a line begin there.
    let before = from - 1;
    let left = usize::try_from(opened.size - before).unwrap_or(usize::MAX);
    let len = left.min(max_line_bytes.saturating_add(1));
    let head = read_exactly(&opened.file, before, len)?.unwrap_or_default();
    match memchr(b'\n', &head) {
        Some(at) => Ok(Place::Line(before + at as u64 + 1)),
        None if len == left => last_line_end(opened, max_line_bytes).map(Place::Line),
        None => Ok(Place::Amid(from)),
    }
}

/// Position after the last newline: a line that is being written must not lose its beginning.
fn last_line_end(opened: &Opened, max_line_bytes: usize) -> Result<u64, Error> {
    let len = usize::try_from(opened.size).unwrap_or(usize::MAX).min(max_line_bytes);
    let start = opened.size - len as u64;
    let tail = read_exactly(&opened.file, start, len)?.unwrap_or_default();
    Ok(match memrchr(b'\n', &tail) {
        Some(at) => start + at as u64 + 1,
        None if start == 0 => 0,
        None => opened.size,
    })
}
