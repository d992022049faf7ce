//! What samples come to by the hour and by the day, UTC; and how long all of it is kept.
//!
//! An hour is rolled up once it is over. Samples that come late (a machine that was cut off) make their hour be rolled up again,
//! as does downtime: rolling up goes on where it had stopped.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use taffrail_record::{FIGURES, Timestamp};

use super::schema::ROLLUPS;
use super::{History, logly};
use crate::error::Result;

pub(super) const HOUR: i64 = 3_600 * Timestamp::SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// Up to when all is rolled up: a key of `state`.
const ROLLED: &str = "telemetry_rolled";

/// How long the parts of the history are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Samples.
    pub samples: Duration,
    /// What they come to by the hour, and Logly's rows.
    pub hours: Duration,
}

/// Rolling up begins again at the hour of this sample at the latest.
pub(super) fn touch(transaction: &Transaction<'_>, time: Timestamp) -> Result<()> {
    let hour = time.0.div_euclid(HOUR) * HOUR;
    transaction.prepare_cached(
        "INSERT INTO state VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = min(value, ?2) WHERE ?2 < value",
    )?
    .execute(params![ROLLED, hour])?;
    Ok(())
}

/// Up to when all is rolled up.
pub(super) fn until(connection: &Connection) -> Result<Timestamp> {
    let value: Option<i64> = connection
        .query_row("SELECT value FROM state WHERE key = ?1", [ROLLED], |row| row.get(0))
        .optional()?;
    Ok(Timestamp(value.unwrap_or(i64::MIN)))
}

impl History {
    /// Rolls up the hours and days that are over, and deletes what is too old.
    pub fn maintain(&self, now: Timestamp, kept: Kept) -> Result<()> {
        self.on(|connection| {
            let oldest = ago(now, kept.samples);
            let rolled = until(connection)?;
            let this_hour = now.0.div_euclid(HOUR) * HOUR;
            let begin = rolled.0.max(oldest.0.div_euclid(HOUR) * HOUR);
            let transaction = connection.transaction()?;
            if rolled.0 > i64::MIN && begin < this_hour {
                hours(&transaction, begin, this_hour, oldest.0)?;
                days(&transaction, begin.div_euclid(DAY) * DAY, this_hour.div_euclid(DAY) * DAY)?;
                transaction
                    .execute("INSERT OR REPLACE INTO state VALUES (?1, ?2)", params![ROLLED, this_hour])?;
            }
            expire(&transaction, now, kept)?;
            transaction.commit()?;
            Ok(())
        })
    }
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age))
}

fn hours(transaction: &Transaction<'_>, since: i64, until: i64, oldest: i64) -> Result<()> {
    let columns = FIGURES.map(|figure| format!("avg({0}), max({0})", figure.name)).join(", ");
    // Of the hour in which the oldest sample is, the first may be deleted: it stays as it was when they were there.
    let whole = ceiling(oldest, HOUR).clamp(since, until);
    for (verb, from, to) in [("IGNORE", since, whole), ("REPLACE", whole, until)] {
        transaction.execute(
            &format!(
                "INSERT OR {verb} INTO telemetry_hourly
                 SELECT node, time - ((time % ?1) + ?1) % ?1 AS hour, count(*), {columns} FROM telemetry
                 WHERE time >= ?2 AND time < ?3 GROUP BY node, hour"
            ),
            params![HOUR, from, to],
        )?;
    }
    Ok(())
}

fn ceiling(time: i64, width: i64) -> i64 {
    time.saturating_add(width - 1).div_euclid(width) * width
}

fn days(transaction: &Transaction<'_>, since: i64, until: i64) -> Result<()> {
    let column = |name: &str| {
        format!(
            "sum(avg_{name} * samples) / sum(CASE WHEN avg_{name} IS NULL THEN 0 ELSE samples END), max(max_{name})"
        )
    };
    let columns = FIGURES.map(|figure| column(figure.name)).join(", ");
    transaction.execute(
        &format!(
            "INSERT OR REPLACE INTO telemetry_daily
             SELECT node, time - ((time % ?1) + ?1) % ?1 AS day, sum(samples), {columns} FROM telemetry_hourly
             WHERE time >= ?2 AND time < ?3 GROUP BY node, day"
        ),
        params![DAY, since, until],
    )?;
    Ok(())
}

fn expire(transaction: &Transaction<'_>, now: Timestamp, kept: Kept) -> Result<()> {
    let (samples, hours) = (ago(now, kept.samples), ago(now, kept.hours));
    transaction.execute("DELETE FROM telemetry WHERE time < ?1", [samples.0])?;
    transaction.execute(&format!("DELETE FROM {} WHERE time < ?1", ROLLUPS[0]), [hours.0])?;
    for table in logly::ROWS {
        let seconds = hours.0.div_euclid(Timestamp::SECOND);
        transaction.execute(&format!("DELETE FROM {table} WHERE timestamp < ?1"), [seconds])?;
    }
    Ok(())
}
