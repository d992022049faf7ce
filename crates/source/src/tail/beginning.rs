//! Where the reading of an existing file begins when only its end is wanted.

use memchr::memchr;

use super::last_line_end;
use crate::open_file::read_exactly;
use crate::refusal::Opened;
use crate::{Error, StartAt};

/// A place in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The first byte of a line.
    Line(u64),
    /// Amid a line that is longer than the limit: what is left of it is passed over, as a gap.
    Amid(u64),
}

/// Where `start_at` is in the file.
pub(super) fn place(opened: &Opened, start_at: StartAt, max_line_bytes: usize) -> Result<Place, Error> {
    match start_at {
        StartAt::Last(bytes) if bytes < opened.size => {
            line_after(opened, opened.size - bytes, max_line_bytes)
        }
        StartAt::Beginning | StartAt::Last(_) => Ok(Place::Line(0)),
        StartAt::End => last_line_end(opened, max_line_bytes).map(Place::Line),
    }
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
