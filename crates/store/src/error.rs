//! What can go wrong in the data directory.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// SQLite could not read its file: the medium is damaged.
const SQLITE_IOERR_READS: [i32; 2] =
    [rusqlite::ffi::SQLITE_IOERR_READ, rusqlite::ffi::SQLITE_IOERR_SHORT_READ];

/// A result of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; the text names the path.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Columns cannot be built or converted.
    #[error("columns: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A segment cannot be written.
    #[error("segment: {0}")]
    Parquet(#[from] ParquetError),
    /// The catalog refused.
    #[error("catalog: {0}")]
    Catalog(#[from] rusqlite::Error),
    /// A file does not hold what was written to it.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Another process has the data directory.
    #[error("{path} is in use by {holder}; stop that process, or choose another directory with --data")]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Name and process id.
        holder: String,
    },
    /// Written by a newer version.
    #[error("{path} was written by a newer version of taffrail (layout {found}, this one reads {known})")]
    TooNew {
        /// The data directory.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program reads.
        known: i64,
    },
    /// There is no store here.
    #[error(
        "{0} holds no taffrail data; run `taffrail run` or `taffrail import` first, or name it with --data"
    )]
    Missing(PathBuf),
    /// There is no space for what is to be stored; it is taken once there is.
    #[error(
        "the disk under {path} is full: {needed_bytes} bytes are needed; free some space, storing then goes on by itself"
    )]
    Full {
        /// The data directory.
        path: PathBuf,
        /// What storing needs to go on.
        needed_bytes: u64,
    },
    /// The disk cannot be written to; what is to be stored is taken once it can.
    #[error(
        "the disk under {path} fails: {cause}; repair it or make it writable, storing then goes on by itself"
    )]
    Failing {
        /// The data directory.
        path: PathBuf,
        /// What failed.
        cause: String,
    },
    /// A defect of the program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// Whether there was not enough space.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io(error) => is_full(error),
            Self::Parquet(ParquetError::External(error)) => error.downcast_ref().is_some_and(is_full),
            Self::Catalog(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether the same may succeed later, without a restart: the disk is full, or fails.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Failing { .. } | Self::Io(_) | Self::Catalog(_))
    }

    /// Whether the catalog failed for what is around it: no space, no permission, held by another program.
    pub(crate) fn is_of_surroundings(&self) -> bool {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly,
            SystemIoFailure,
        };
        let Self::Catalog(error) = self else { return false };
        match error.sqlite_error() {
            Some(error) if error.code == SystemIoFailure => {
                !SQLITE_IOERR_READS.contains(&error.extended_code)
            }
            Some(error) => matches!(
                error.code,
                CannotOpen
                    | DatabaseBusy
                    | DatabaseLocked
                    | DiskFull
                    | OutOfMemory
                    | PermissionDenied
                    | ReadOnly
            ),
            None => false,
        }
    }

    /// Whether the system could not give what a file holds, so that nothing is known of it.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Io(error) if is_of_system(error))
    }

    /// A damaged file.
    pub fn damaged(path: &Path, what: &dyn Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}

/// No space, no quota, or no larger file: all end when somebody makes room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Whether a call to the system failed, for another reason than that there is no such file.
fn is_of_system(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(std::error::Error::source).and_then(|cause| cause.downcast_ref());
    match inner {
        Some(inner) => is_of_system(inner),
        None => error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound,
    }
}
