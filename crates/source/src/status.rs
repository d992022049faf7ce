//! What people are told about a source.

use taffrail_record::Timestamp;

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
    /// Its name: the absolute path.
    pub source: String,
    /// How it is doing.
    pub state: SourceState,
    /// Offset after the last byte that was handed over, in everything ever read under this name.
    pub offset: u64,
    /// Bytes of the file at its path.
    pub size: u64,
    /// Bytes that are there but not handed over, an unfinished last line included.
    pub lag_bytes: u64,
    /// Lines handed over since the source was first seen.
    pub lines: u64,
    /// Times the file was replaced or truncated since start.
    pub rotations: u64,
    /// When lines were last handed over.
    pub last_read: Option<Timestamp>,
    /// The last failure, though it may be over.
    pub last_error: Option<String>,
    /// The file's identity as text; empty if there is none.
    pub identity: String,
}
