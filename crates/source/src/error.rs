//! What can go wrong while following.

use std::io;
use std::path::PathBuf;

/// The pipeline takes no more batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the pipeline has stopped")]
pub struct Stopped;

/// Why a source cannot be read, or following cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pattern is no glob.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Pattern {
        /// As configured.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused to open or look at a file; the text names the path.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// Reading an open file failed; what was read before stands.
    #[error("cannot read {path} at byte {position}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Position in it.
        position: u64,
        /// The system's answer.
        error: io::Error,
    },
    /// The thread could not be started.
    #[error("cannot start the thread that follows files: {0}")]
    Thread(io::Error),
    /// The pipeline stopped while batches were handed over.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
