//! The history of machines, in `taffrail.db`: their samples, what they come to by the hour and the day, and the tables that
//! Logly's users know.
//!
//! It writes over a connection of its own and reads over others, so that whoever reads a month of it holds up nothing that is
//! written. What it writes is not synced one by
//! one: a power cut costs the samples of the last seconds, and nothing else.

pub mod logly;
mod nodes;
mod readers;
mod rollup;
mod samples;
mod schema;
mod tables;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use taffrail_record::{Figures, Timestamp};

pub use self::nodes::{NODES_MAX, Node, Seen};
use self::readers::Readers;
pub use self::rollup::Kept;
pub use self::samples::{Aggregate, ENVELOPE_BYTES_MAX, Points, PointsRequest, Series, put_right};
pub(crate) use self::schema::create;
pub use self::tables::{Cell, Column, Kind, RowPlace, Rows, RowsRequest, Table, tables};
use crate::error::Result;

/// How long one waits for the other connection's commit.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sample as it is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredSample {
    /// The machine.
    pub node: String,
    /// When.
    pub time: Timestamp,
    /// What is kept as columns.
    pub figures: Figures,
    /// All of it, as JSON.
    pub envelope: String,
}

/// The history of machines. Each call blocks while it reads or writes.
#[derive(Debug)]
pub struct History {
    /// What is asked; `None`: nothing is there. Closed first: whoever only reads cannot put SQLite's log away.
    readers: Option<Readers>,
    /// What writes; `None`: nothing is kept.
    connection: Mutex<Option<Connection>>,
}

impl History {
    /// Of a catalog that is there and has the tables.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(Self { connection: Mutex::new(Some(connection)), readers: Some(Readers::new(path)) })
    }

    /// The same, to be read; empty where a catalog is of a version without the tables.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        let find = "SELECT count(*) FROM sqlite_master WHERE name = 'telemetry'";
        let has_tables = connection.query_row(find, [], |row| row.get::<_, i64>(0))? > 0;
        let readers = has_tables.then(|| Readers::new(path));
        Ok(Self { connection: Mutex::new(has_tables.then_some(connection)), readers })
    }

    /// Of no store: nothing is in it, and nothing stays.
    pub fn none() -> Self {
        Self { connection: Mutex::new(None), readers: None }
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the connection that writes; where there is none, nothing is there.
    fn on<T: Default>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        self.connection().as_mut().map_or_else(|| Ok(T::default()), work)
    }

    /// Asks on a connection that only reads; where there is none, nothing is there.
    fn ask<T: Default>(&self, question: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.readers
            .as_ref()
            .map_or_else(|| Ok(T::default()), |readers| readers.ask(|connection| question(connection)))
    }
}

#[cfg(test)]
mod tests;
