//! Connections that only read: whoever asks waits neither for what is written nor for others who ask.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::PATIENCE;
use crate::engine::{Control, QueryError};
use crate::error::Result;

/// Connections that are kept for the next who asks.
const IDLE_MAX: usize = 2;
/// Steps of SQLite's machine after which a question looks whether it is to end: some microseconds each thousand.
const STEPS: i32 = 10_000;

/// Connections to a catalog.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Of a catalog that is there. The first question opens it.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    /// Asks on a connection of its own.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.map_or_else(|| self.open(), Ok)?;
        let answer = question(&mut connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }

    /// The same, until `control` says that it is to end.
    pub(super) fn ask_within<T>(
        &self,
        control: &Control,
        question: impl FnOnce(&Connection) -> Result<T>,
    ) -> std::result::Result<T, QueryError> {
        control.check()?;
        let watched = control.clone();
        let answer = self.ask(|connection| {
            connection.progress_handler(STEPS, Some(move || watched.check().is_err()))?;
            let answer = question(connection);
            connection.progress_handler(0, None::<fn() -> bool>)?;
            answer
        });
        answer.map_err(|error| match control.check() {
            Err(ended) => ended,
            Ok(()) => QueryError::Store(error.to_string()),
        })
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }
}
