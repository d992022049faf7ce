//! What samples come to by the hour and by the day, UTC; and how long all of it is kept.
//!
//! An hour is rolled up once it is over; after downtime, rolling up goes on where it had stopped. The hour of a sample that comes
//! late (from a machine that was cut off) is noted, of that machine alone, and rolled up again: no clock that is wrong makes
//! others wait, or hides what they came to.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use taffrail_record::{FIGURES, Timestamp};

use super::schema::ROLLUPS;
use super::{History, logly};
use crate::error::Result;

pub(super) const HOUR: i64 = 3_600 * Timestamp::SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// Up to when all is rolled up but for what came late: a key of `state`.
const ROLLED: &str = "telemetry_rolled";
/// Hours of machines that are rolled up again in one transaction, and transactions of one call: others wait for the connection
/// between them. What is left is next.
const AGAIN: usize = 100;
const AGAIN_TRANSACTIONS: usize = 100;

/// How long the parts of the history are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Samples.
    pub samples: Duration,
    /// What they come to by the hour, and Logly's rows.
    pub hours: Duration,
}

/// Notes a sample that is new: its hour is rolled up again if that was done. There are never more notes than samples.
pub(super) fn touch(
    transaction: &Transaction<'_>,
    node: &str,
    time: Timestamp,
    rolled: Timestamp,
) -> Result<()> {
    if time < rolled {
        let mut statement =
            transaction.prepare_cached("INSERT OR IGNORE INTO telemetry_late VALUES (?1, ?2)")?;
        statement.execute(params![node, floor(time.0, HOUR)])?;
    }
    Ok(())
}

/// Up to when all is rolled up but for what came late.
pub(super) fn until(connection: &Connection) -> Result<Timestamp> {
    let value: Option<i64> = connection
        .query_row("SELECT value FROM state WHERE key = ?1", [ROLLED], |row| row.get(0))
        .optional()?;
    Ok(Timestamp(value.unwrap_or(i64::MIN)))
}

impl History {
    /// Rolls up the hours and days that are over, those that samples came late for, and deletes what is too old.
    pub fn maintain(&self, now: Timestamp, kept: Kept) -> Result<()> {
        self.on(|connection| roll_up(connection, now, kept))?;
        for _ in 0..AGAIN_TRANSACTIONS {
            if self.on(|connection| roll_up_again(connection, now, kept))? < AGAIN {
                break;
            }
        }
        self.on(|connection| {
            let transaction = connection.transaction()?;
            expire(&transaction, now, kept)?;
            transaction.commit()?;
            Ok(())
        })
    }
}

/// Rolls up what is over and was not.
fn roll_up(connection: &mut Connection, now: Timestamp, kept: Kept) -> Result<()> {
    let oldest = ago(now, kept.samples);
    let this_hour = floor(now.0, HOUR);
    let begin = until(connection)?.0.max(floor(oldest.0, HOUR));
    // Also where the clock here was ahead.
    if begin == this_hour {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    if begin < this_hour {
        hours(&transaction, begin, this_hour, oldest.0)?;
        days(&transaction, floor(begin, DAY), floor(this_hour, DAY), None)?;
    }
    transaction.execute("INSERT OR REPLACE INTO state VALUES (?1, ?2)", params![ROLLED, this_hour])?;
    transaction.commit()?;
    Ok(())
}

/// Rolls up some of the hours that samples came late for, and gives how many. Of the hour in which the oldest sample is, the first
/// may be deleted: it stays as it was when they were there.
fn roll_up_again(connection: &mut Connection, now: Timestamp, kept: Kept) -> Result<usize> {
    let (whole, this_hour) = (ceiling(ago(now, kept.samples).0, HOUR), floor(now.0, HOUR));
    let transaction = connection.transaction()?;
    let late = late(&transaction, whole, this_hour)?;
    let mut touched = BTreeSet::new();
    for (node, hour) in &late {
        hours_of(&transaction, "REPLACE", *hour, *hour + HOUR, Some(node))?;
        transaction
            .execute("DELETE FROM telemetry_late WHERE node = ?1 AND hour = ?2", params![node, hour])?;
        touched.insert((node, floor(*hour, DAY)));
    }
    // A day that is not over is rolled up when it is.
    for (node, day) in touched.into_iter().filter(|(_, day)| day + DAY <= this_hour) {
        days(&transaction, day, day + DAY, Some(node))?;
    }
    transaction.commit()?;
    Ok(late.len())
}

fn late(transaction: &Transaction<'_>, since: i64, until: i64) -> Result<Vec<(String, i64)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT node, hour FROM telemetry_late WHERE hour >= ?1 AND hour < ?2 ORDER BY node, hour LIMIT ?3",
    )?;
    let rows =
        statement.query_map(params![since, until, AGAIN as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age))
}

fn hours(transaction: &Transaction<'_>, since: i64, until: i64, oldest: i64) -> Result<()> {
    // Of the hour in which the oldest sample is, the first may be deleted: it stays as it was when they were there.
    let whole = ceiling(oldest, HOUR).clamp(since, until);
    hours_of(transaction, "IGNORE", since, whole, None)?;
    hours_of(transaction, "REPLACE", whole, until, None)
}

/// Rolls up hours of a machine, or of all.
fn hours_of(
    transaction: &Transaction<'_>,
    verb: &str,
    since: i64,
    until: i64,
    node: Option<&str>,
) -> Result<()> {
    let columns = FIGURES.map(|figure| format!("avg({0}), max({0})", figure.name)).join(", ");
    let of_node = if node.is_some() { "node = ?4 AND" } else { "?4 IS NULL AND" };
    let statement = format!(
        "INSERT OR {verb} INTO telemetry_hourly
         SELECT node, time - ((time % ?1) + ?1) % ?1 AS hour, count(*), {columns} FROM telemetry
         WHERE {of_node} time >= ?2 AND time < ?3 GROUP BY node, hour"
    );
    transaction.prepare_cached(&statement)?.execute(params![HOUR, since, until, node])?;
    Ok(())
}

pub(super) fn floor(time: i64, width: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(width))
}

fn ceiling(time: i64, width: i64) -> i64 {
    floor(time.saturating_add(width - 1), width)
}

/// Rolls up days of a machine, or of all.
fn days(transaction: &Transaction<'_>, since: i64, until: i64, node: Option<&str>) -> Result<()> {
    let column = |name: &str| {
        format!(
            "sum(avg_{name} * samples) / sum(CASE WHEN avg_{name} IS NULL THEN 0 ELSE samples END), max(max_{name})"
        )
    };
    let columns = FIGURES.map(|figure| column(figure.name)).join(", ");
    let of_node = if node.is_some() { "node = ?4 AND" } else { "?4 IS NULL AND" };
    let statement = format!(
        "INSERT OR REPLACE INTO telemetry_daily
         SELECT node, time - ((time % ?1) + ?1) % ?1 AS day, sum(samples), {columns} FROM telemetry_hourly
         WHERE {of_node} time >= ?2 AND time < ?3 GROUP BY node, day"
    );
    transaction.prepare_cached(&statement)?.execute(params![DAY, since, until, node])?;
    Ok(())
}

fn expire(transaction: &Transaction<'_>, now: Timestamp, kept: Kept) -> Result<()> {
    let (samples, hours) = (ago(now, kept.samples), ago(now, kept.hours));
    transaction.execute("DELETE FROM telemetry WHERE time < ?1", [samples.0])?;
    transaction.execute("DELETE FROM telemetry_late WHERE hour < ?1", [ceiling(samples.0, HOUR)])?;
    transaction.execute(&format!("DELETE FROM {} WHERE time < ?1", ROLLUPS[0]), [hours.0])?;
    for table in logly::ROWS {
        let seconds = hours.0.div_euclid(Timestamp::SECOND);
        transaction.execute(&format!("DELETE FROM {table} WHERE timestamp < ?1"), [seconds])?;
    }
    Ok(())
}
