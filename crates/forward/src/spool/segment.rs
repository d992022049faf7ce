//! A file of a spool.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::entry::{Entry, HEAD, head};

const SUFFIX: &str = ".spool";

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// Number of its first entry.
    pub first: u64,
    /// Number of its last entry; one less than the first if there is none.
    pub last: u64,
    /// Its bytes up to the end of the last entry.
    pub bytes: u64,
    /// Of these so many are safe from a power cut, as far as is known.
    pub synced: u64,
    /// Whether there is something after the last entry.
    pub is_damaged: bool,
}

impl Segment {
    /// One that is made now.
    pub(super) const fn empty(first: u64) -> Self {
        Self { first, last: first - 1, bytes: 0, synced: 0, is_damaged: false }
    }

    /// Whether there is no entry in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.last < self.first
    }

    /// Reads a file up to its first bad entry.
    pub(super) fn open(folder: &Path, first: u64, each: &mut dyn FnMut(&Entry)) -> std::io::Result<Self> {
        let file = fs::File::open(path(folder, first))?;
        let size = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let mut segment = Self::empty(first);
        while let Some(entry) = next(&mut reader, size - segment.bytes)? {
            if entry.sequence != segment.last + 1 {
                break;
            }
            segment.last = entry.sequence;
            segment.bytes += entry.bytes() as u64;
            each(&entry);
        }
        segment.is_damaged = segment.bytes < size;
        Ok(segment)
    }
}

/// The next entry; `None` if there is no whole one.
pub(super) fn next(reader: &mut impl std::io::Read, left: u64) -> std::io::Result<Option<Entry>> {
    if left < HEAD as u64 {
        return Ok(None);
    }
    let mut start = [0; HEAD];
    reader.read_exact(&mut start)?;
    let Some((length, checksum)) = head(&start).filter(|(length, _)| (HEAD + length) as u64 <= left) else {
        return Ok(None);
    };
    let mut rest = Vec::with_capacity(length);
    reader.take(length as u64).read_to_end(&mut rest)?;
    Ok(Entry::of_rest(&rest, checksum))
}

/// The path of the file whose first entry has this number.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The first numbers of all files, rising.
pub(super) fn numbers(folder: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u64>().ok());
        numbers.extend(number.filter(|number| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
