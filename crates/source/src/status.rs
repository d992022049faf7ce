//! What people are told about a source, while it is read and from its stored checkpoint.

use std::path::PathBuf;

use taffrail_record::{Checkpoint, Timestamp};

use crate::identity::Identity;
use crate::mark::Resume;

/// What lines come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SourceKind {
    /// A file that is followed through rotation.
    File,
    /// The journal of systemd.
    Journal,
    /// Standard input.
    Stdin,
    /// A named pipe.
    Fifo,
}

impl SourceKind {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journal => "journal",
            Self::Stdin => "stdin",
            Self::Fifo => "fifo",
        }
    }
}

/// How a source is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceState {
    /// Its file is there and is read.
    Following,
    /// Nothing is at its path; it is followed again when something appears.
    Missing,
    /// What is at its path is not to be followed, with the reason.
    Refused(String),
    /// It has come to its end: nothing more will be read.
    Ended,
    /// The system does not let us read it, with its words; tried again at every scan.
    Failed(String),
}

/// A source as it stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceStatus {
    /// Its name: the absolute path of a file.
    pub source: String,
    /// What it is.
    pub kind: SourceKind,
    /// How it is doing.
    pub state: SourceState,
    /// Its path, where it has one.
    pub path: Option<PathBuf>,
    /// Which file is read now, if there is one.
    pub identity: Option<Identity>,
    /// Offset after the last byte that was handed over, in everything ever read under this name.
    pub offset: u64,
    /// The same in the file that is read now.
    pub position: u64,
    /// Bytes of the file at its path.
    pub size: u64,
    /// Bytes that are there but not handed over, an unfinished last line included.
    pub lag_bytes: u64,
    /// Of these, bytes of an unfinished last line: they were read and wait for their newline.
    pub held_bytes: u64,
    /// Since when there are bytes that were not even read.
    pub behind_since: Option<Timestamp>,
    /// Lines handed over since the source was first seen.
    pub lines: u64,
    /// Times the file was replaced or truncated since start.
    pub rotations: u64,
    /// When lines were last handed over.
    pub last_read: Option<Timestamp>,
    /// The last failure, though it may be over.
    pub last_error: Option<String>,
}

impl SourceStatus {
    /// A source of which nothing was read yet.
    pub fn new(source: String, kind: SourceKind, state: SourceState) -> Self {
        Self {
            source,
            kind,
            state,
            path: None,
            identity: None,
            offset: 0,
            position: 0,
            size: 0,
            lag_bytes: 0,
            held_bytes: 0,
            behind_since: None,
            lines: 0,
            rotations: 0,
            last_read: None,
            last_error: None,
        }
    }
}

/// Where reading stopped in a source's file, as its stored checkpoint tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoppedAt {
    /// The file.
    pub identity: Identity,
    /// Position in it after what was handed over.
    pub position: u64,
    /// The largest size it was seen to have.
    pub size: u64,
}

impl StoppedAt {
    /// `None` for a source that is between two files, is no file, or whose checkpoint is not understood.
    pub fn of(checkpoint: &Checkpoint) -> Option<Self> {
        match Resume::decode(checkpoint) {
            Resume::In(mark) => {
                Some(Self { identity: mark.identity, position: mark.position, size: mark.size })
            }
            Resume::Between(_) | Resume::Unknown => None,
        }
    }
}
