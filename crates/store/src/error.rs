//! What can go wrong in the data directory.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

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
    Parquet(#[from] parquet::errors::ParquetError),
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
    /// A write or sync failed before; nothing more is accepted until a restart.
    #[error("the store refuses writes since an earlier failure ({0}); free or repair the disk and restart")]
    Poisoned(String),
    /// A defect of the program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// A damaged file.
    pub fn damaged(path: &Path, what: &dyn Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}
