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
    /// How old, in nanoseconds, the newest of what it sent was when it sent it.
    pub lag: Option<i64>,
    /// Nanoseconds that its clock, and the way from there, are behind the clock here; less than nothing: ahead.
    pub clock_skew: Option<i64>,
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
    /// How old the newest in it was when it was sent, in nanoseconds; `None`: as before.
    pub lag: Option<i64>,
    /// Nanoseconds from the time that it was sent at, by its sender's clock, until it came; `None`: as before.
    pub clock_skew: Option<i64>,
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
                    "INSERT INTO nodes SELECT ?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
                     WHERE ?10 OR EXISTS (SELECT 1 FROM nodes WHERE node = ?1)
                     ON CONFLICT (node) DO UPDATE SET last_seen = max(last_seen, ?2), lag = coalesce(?3, lag),
                        clock_skew = coalesce(?4, clock_skew), kind = ?5,
                        version = CASE ?6 WHEN '' THEN version ELSE ?6 END, address = ?7,
                        lines = lines + ?8, samples = samples + ?9",
                )?;
                for one in seen {
                    statement.execute(params![
                        one.node,
                        one.at.0,
                        one.lag,
                        one.clock_skew,
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
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT node, first_seen, last_seen, lag, clock_skew, kind, version, address, lines, samples
                 FROM nodes ORDER BY node",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Node {
                    node: row.get(0)?,
                    first_seen: Timestamp(row.get(1)?),
                    last_seen: Timestamp(row.get(2)?),
                    lag: row.get(3)?,
                    clock_skew: row.get(4)?,
                    kind: row.get(5)?,
                    version: row.get(6)?,
                    address: row.get(7)?,
                    lines: row.get::<_, i64>(8)? as u64,
                    samples: row.get::<_, i64>(9)? as u64,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
