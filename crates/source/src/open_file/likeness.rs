//! Whether a file holds what was read: all of it, a beginning of it, or something else.

use std::io;

use super::OpenFile;
use crate::identity::{Fingerprint, PREFIX_BYTES};
use crate::mark::Mark;
use crate::opened::Opened;
use crate::packing::{self, Packing};
use crate::positioned::read_exactly;

/// What a file has of the content that was read up to a mark.
pub(crate) enum Likeness {
    /// All of it: the file stands at the mark.
    Whole(Box<OpenFile>),
    /// A beginning: a copy that was made before the rest was written.
    Beginning,
    None,
}

impl Likeness {
    /// Compares `opened` with what was read up to `mark`. `head` are the first bytes of that, as far as they are
    /// known still: without them a beginning shorter than the mark's prefix cannot be told.
    ///
    /// # Errors
    /// A disk that fails. What does not unpack is like nothing.
    pub(crate) fn of(opened: Opened, mark: &Mark, head: &[u8]) -> io::Result<Self> {
        match opened.packing {
            Some(packing) => Ok(Self::of_packed(opened, packing, mark, head).unwrap_or(Self::None)),
            None => Self::of_plain(opened, mark, head),
        }
    }

    fn of_plain(opened: Opened, mark: &Mark, head: &[u8]) -> io::Result<Self> {
        let size = opened.file.metadata()?.len();
        if size >= mark.position {
            let whole = OpenFile::resume(opened, mark)?;
            return Ok(whole.map_or(Self::None, |file| Self::Whole(Box::new(file))));
        }
        let len = PREFIX_BYTES.min(usize::try_from(size).unwrap_or(PREFIX_BYTES));
        let bytes = read_exactly(&opened.file, 0, len)?.unwrap_or_default();
        Ok(Self::of_beginning(&bytes, mark, head))
    }

    fn of_packed(opened: Opened, packing: Packing, mark: &Mark, head: &[u8]) -> io::Result<Self> {
        let mut open = OpenFile::packed(opened, packing, mark.base)?;
        let Some(packed) = &mut open.packed else { return Ok(Self::None) };
        let passed = packing::pass(&mut packed.reader, mark.position, PREFIX_BYTES, mark.edge.len)?;
        if passed.count < mark.position {
            return Ok(Self::of_beginning(&passed.head, mark, head));
        }
        let head = passed.head.get(..mark.prefix.len).unwrap_or_default().to_vec();
        if Fingerprint::of(&head) != mark.prefix || Fingerprint::of(&passed.edge) != mark.edge {
            return Ok(Self::None);
        }
        let at_mark = open.at(mark.position, head, passed.edge);
        Ok(Self::Whole(Box::new(OpenFile { size: mark.size, ..at_mark })))
    }

    /// `bytes` are the first of a content that is shorter than what was read.
    fn of_beginning(bytes: &[u8], mark: &Mark, head: &[u8]) -> Self {
        let same = match bytes.get(..mark.prefix.len) {
            Some(bytes) => Fingerprint::of(bytes) == mark.prefix,
            None => head.starts_with(bytes),
        };
        if same && !bytes.is_empty() { Self::Beginning } else { Self::None }
    }
}
