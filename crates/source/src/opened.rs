//! A file that is held open until its turn to be read comes.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use fs_err::File;
use taffrail_record::Timestamp;

use crate::identity::{Identity, modified};
use crate::mark::Past;
use crate::packing::Packing;

/// A path that can be followed now, opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) identity: Identity,
    pub(crate) size: u64,
    /// When it was last written to before it was opened.
    pub(crate) modified: Timestamp,
    /// How it is compressed: only what was rotated is read then.
    pub(crate) packing: Option<Packing>,
}

impl Opened {
    /// The same open file once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, ..*self })
    }

    /// The same, as it is now.
    pub(crate) fn try_clone_now(&self) -> io::Result<Self> {
        let metadata = self.file.metadata()?;
        Ok(Self { size: metadata.len(), modified: modified(&metadata), ..self.try_clone()? })
    }

    /// Its size as it is now.
    pub(crate) fn size_now(&self) -> u64 {
        self.file.metadata().map_or(self.size, |metadata| metadata.len())
    }

    /// What is remembered of it.
    pub(crate) fn past(&self) -> Past {
        let modified = self.file.metadata().map_or(self.modified, |metadata| modified(&metadata));
        Past { identity: self.identity, modified }
    }

    /// Bytes on the disk that only this descriptor holds.
    pub(crate) fn deleted_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| if metadata.nlink() == 0 { metadata.len() } else { 0 })
    }
}
