//! The machines that have sent something: when last, how much, and how their clocks go.

use rusqlite::params;
use taffrail_record::Timestamp;

use super::History;
use crate::error::Result;

/// Machines that are remembered; whoever sends more than so many names is told no more of.
pub const NODES_MAX: usize = 10_000;

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// When it first sent something.
    pub first_seen: Timestamp,
    /// When it last did.
    pub last_seen: Timestamp,
    /// The latest time of what it has sent.
    pub last_time: Timestamp,
    /// What sends: `agent`, `resolvix`, `self`.
    pub kind: String,
    /// Its version; empty where it says none.
    pub version: String,
    /// The address that it sends from.
    pub address: String,
    /// Lines received from it.
    pub lines: u64,
    /// Samples received from it.
    pub samples: u64,
}

/// Something that a machine has sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Its name.
    pub node: String,
    /// When it came.
    pub at: Timestamp,
    /// The latest time in it.
    pub time: Timestamp,
    /// What sends.
    pub kind: String,
    /// Its version; empty: as before.
    pub version: String,
    /// Where it came from.
    pub address: String,
    /// Lines in it.
    pub lines: u64,
    /// Samples in it.
    pub samples: u64,
}

impl History {
    /// Notes what machines have sent.
    pub fn note_nodes(&self, seen: &[Seen]) -> Result<()> {
        self.on(|connection| {
            let transaction = connection.transaction()?;
            let known: i64 = transaction.query_row("SELECT count(*) FROM nodes", [], |row| row.get(0))?;
            let is_full = known as usize >= NODES_MAX;
            {
                let mut statement = transaction.prepare_cached(
                    "INSERT INTO nodes SELECT ?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8
                     WHERE ?9 OR EXISTS (SELECT 1 FROM nodes WHERE node = ?1)
                     ON CONFLICT (node) DO UPDATE SET last_seen = max(last_seen, ?2), last_time = max(last_time, ?3),
                        kind = ?4, version = CASE ?5 WHEN '' THEN version ELSE ?5 END, address = ?6,
                        lines = lines + ?7, samples = samples + ?8",
                )?;
                for one in seen {
                    statement.execute(params![
                        one.node,
                        one.at.0,
                        one.time.0,
                        one.kind,
                        one.version,
                        one.address,
                        one.lines as i64,
                        one.samples as i64,
                        !is_full
                    ])?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// All machines, by name.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        self.on(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT node, first_seen, last_seen, last_time, kind, version, address, lines, samples
                 FROM nodes ORDER BY node",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Node {
                    node: row.get(0)?,
                    first_seen: Timestamp(row.get(1)?),
                    last_seen: Timestamp(row.get(2)?),
                    last_time: Timestamp(row.get(3)?),
                    kind: row.get(4)?,
                    version: row.get(5)?,
                    address: row.get(6)?,
                    lines: row.get::<_, i64>(7)? as u64,
                    samples: row.get::<_, i64>(8)? as u64,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
