//! Logly's tables: rows of this machine once a minute, and what they come to by the hour and the day.
//!
//! Hours and days are those of UTC, each is written once it is over, and those that were missed are made up for. The counters of
//! the network come to what went through it, a restart of the machine included; what its own sums are is said in its pages, not
//! in its code.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use taffrail_record::{Civil, Timestamp};

use super::History;
use crate::engine::TimeRange;
use crate::error::Result;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Tables whose rows are deleted when they are too old. The aggregates stay.
pub(super) const ROWS: [&str; 2] = ["system_metrics", "network_metrics"];
/// The hour that is rolled up next, in seconds: a key of `state`.
const NEXT: &str = "logly_next_hour";
/// Hours that are made up for at a time.
const HOURS_MAX: i64 = 31 * 24;

/// A row of `system_metrics`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the names of Logly's columns, which its pages explain")]
pub struct SystemRow {
    pub cpu_percent: Option<f64>,
    pub cpu_count: Option<u64>,
    pub memory_total: Option<u64>,
    pub memory_available: Option<u64>,
    pub memory_percent: Option<f64>,
    pub disk_total: Option<u64>,
    pub disk_used: Option<u64>,
    pub disk_percent: Option<f64>,
    pub disk_read_bytes: Option<u64>,
    pub disk_write_bytes: Option<u64>,
    pub load: Option<[f64; 3]>,
}

/// What went through the network, in the order of Logly's columns: bytes sent and received, packets sent and received, packets
/// that were wrong in and out, packets dropped in and out.
pub type Counters = [u64; 8];

/// A row of `network_metrics`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names of Logly's columns, which its pages explain")]
pub struct NetworkRow {
    /// They only fall when the machine was started anew; `None`: they could not be read.
    pub counters: Option<Counters>,
    pub connections_established: Option<u64>,
    pub connections_listen: Option<u64>,
    pub connections_time_wait: Option<u64>,
}

/// Log records of a span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogCounts {
    /// All of them.
    pub events: u64,
    /// Of these, logins that failed.
    pub failed_logins: u64,
    /// Addresses that were banned.
    pub bans: u64,
    /// Errors, without what is worse.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
}

/// Who was in the log records of a span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogActors {
    /// Different addresses that were banned.
    pub banned_ips: u64,
    /// Different users whose login failed.
    pub failed_users: u64,
}

/// Tells about the log records of a span of time; `None` where they cannot be asked at the moment.
pub trait Logs {
    /// How many there were.
    fn counts(&self, range: TimeRange) -> Option<LogCounts>;
    /// Who was in them.
    fn actors(&self, range: TimeRange) -> Option<LogActors>;
}

impl History {
    /// Adds a row to each of Logly's tables.
    pub fn insert_rows(&self, now: Timestamp, system: &SystemRow, network: &NetworkRow) -> Result<()> {
        let seconds = now.0.div_euclid(Timestamp::SECOND);
        let whole = |value: Option<u64>| value.map(|value| value as i64);
        let counter = |at: usize| network.counters.map(|counters| counters[at] as i64);
        self.on(|connection| {
            let transaction = connection.transaction()?;
            let [one, five, fifteen] = system.load.map_or([None; 3], |load| load.map(Some));
            transaction.execute(
                "INSERT INTO system_metrics (timestamp, cpu_percent, cpu_count, memory_total, memory_available,
                    memory_percent, disk_total, disk_used, disk_percent, disk_read_bytes, disk_write_bytes,
                    load_1min, load_5min, load_15min)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                params![
                    seconds,
                    system.cpu_percent,
                    whole(system.cpu_count),
                    whole(system.memory_total),
                    whole(system.memory_available),
                    system.memory_percent,
                    whole(system.disk_total),
                    whole(system.disk_used),
                    system.disk_percent,
                    whole(system.disk_read_bytes),
                    whole(system.disk_write_bytes),
                    one,
                    five,
                    fifteen
                ],
            )?;
            transaction.execute(
                "INSERT INTO network_metrics (timestamp, bytes_sent, bytes_recv, packets_sent, packets_recv,
                    errors_in, errors_out, drops_in, drops_out, connections_established, connections_listen,
                    connections_time_wait)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    seconds,
                    counter(0),
                    counter(1),
                    counter(2),
                    counter(3),
                    counter(4),
                    counter(5),
                    counter(6),
                    counter(7),
                    whole(network.connections_established),
                    whole(network.connections_listen),
                    whole(network.connections_time_wait)
                ],
            )?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// The counters that were written last, and when; `None`: there are none.
    pub fn last_counters(&self) -> Result<Option<(Timestamp, Counters)>> {
        self.on(|connection| {
            let found = connection.query_row(
                "SELECT timestamp, bytes_sent, bytes_recv, packets_sent, packets_recv, errors_in, errors_out, drops_in,
                    drops_out
                 FROM network_metrics WHERE bytes_sent IS NOT NULL ORDER BY id DESC LIMIT 1",
                [],
                |row| {
                    let mut counters = [0; 8];
                    for (at, counter) in counters.iter_mut().enumerate() {
                        *counter = row.get::<_, Option<i64>>(at + 1)?.unwrap_or(0) as u64;
                    }
                    let seconds: i64 = row.get(0)?;
                    Ok((Timestamp(seconds.saturating_mul(Timestamp::SECOND)), counters))
                },
            );
            Ok(found.optional()?)
        })
    }

    /// Rolls up the hours and days that are over, each once, those that were missed too. Nothing is held up while `logs` is asked.
    pub fn roll_up_rows(&self, now: Timestamp, logs: &dyn Logs) -> Result<()> {
        let this_hour = floor(now.0.div_euclid(Timestamp::SECOND), HOUR);
        let Some(first) = self.on(|connection| first_hour(connection))? else { return Ok(()) };
        for hour in (first.max(this_hour - HOURS_MAX * HOUR)..this_hour).step_by(HOUR as usize) {
            let Some(counts) = logs.counts(range(hour, HOUR)) else { return Ok(()) };
            let ends_day = floor(hour + HOUR, DAY) == hour + HOUR;
            let day = hour + HOUR - DAY;
            let actors = if ends_day { logs.actors(range(day, DAY)) } else { None };
            if ends_day && actors.is_none() {
                return Ok(());
            }
            self.on(|connection| {
                let transaction = connection.transaction()?;
                roll_up_hour(&transaction, hour, counts)?;
                if let Some(actors) = actors {
                    roll_up_day(&transaction, day, actors)?;
                }
                transaction
                    .execute("INSERT OR REPLACE INTO state VALUES (?1, ?2)", params![NEXT, hour + HOUR])?;
                transaction.commit()?;
                Ok(())
            })?;
        }
        Ok(())
    }
}

const fn floor(seconds: i64, width: i64) -> i64 {
    seconds.div_euclid(width) * width
}

fn range(since: i64, seconds: i64) -> TimeRange {
    let time = |seconds: i64| Timestamp(seconds.saturating_mul(Timestamp::SECOND));
    TimeRange { since: time(since), until: time(since + seconds) }
}

/// The hour that is to be rolled up next: after the last one, else that of the first row.
fn first_hour(connection: &Connection) -> Result<Option<i64>> {
    let next: Option<i64> = connection
        .query_row("SELECT value FROM state WHERE key = ?1", [NEXT], |row| row.get(0))
        .optional()?;
    let oldest =
        |table| connection.query_row(&format!("SELECT min(timestamp) FROM {table}"), [], |row| row.get(0));
    let rows: [Option<i64>; 2] = [oldest(ROWS[0])?, oldest(ROWS[1])?];
    Ok(next.or_else(|| rows.into_iter().flatten().min().map(|oldest| floor(oldest, HOUR))))
}

fn roll_up_hour(connection: &Connection, hour: i64, counts: LogCounts) -> Result<()> {
    let in_hour = params![hour, hour + HOUR];
    let (system_rows, system) = connection.query_row(
        "SELECT count(*), avg(cpu_percent), max(cpu_percent), avg(memory_percent), max(memory_percent),
            avg(disk_percent)
         FROM system_metrics WHERE timestamp >= ?1 AND timestamp < ?2",
        in_hour,
        |row| Ok((row.get::<_, i64>(0)?, figures(row, 1)?)),
    )?;
    let traffic = traffic(connection, hour)?;
    if system_rows == 0 && traffic.is_none() && counts.events == 0 {
        return Ok(());
    }
    let [cpu, cpu_max, memory, memory_max, disk] = system;
    let [sent, received, packets_sent, packets_received] = traffic.map_or([None; 4], |all| all.map(Some));
    connection.execute(
        "INSERT OR REPLACE INTO hourly_aggregates (hour_timestamp, avg_cpu_percent, max_cpu_percent,
            avg_memory_percent, max_memory_percent, avg_disk_percent, total_bytes_sent, total_bytes_recv,
            total_packets_sent, total_packets_recv, log_events_count, failed_login_count, banned_ip_count,
            error_count, warning_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            hour,
            cpu,
            cpu_max,
            memory,
            memory_max,
            disk,
            sent,
            received,
            packets_sent,
            packets_received,
            counts.events as i64,
            counts.failed_logins as i64,
            counts.bans as i64,
            counts.errors as i64,
            counts.warnings as i64
        ],
    )?;
    Ok(())
}

fn figures(row: &Row<'_>, first: usize) -> rusqlite::Result<[Option<f64>; 5]> {
    Ok([row.get(first)?, row.get(first + 1)?, row.get(first + 2)?, row.get(first + 3)?, row.get(first + 4)?])
}

/// What went through the network in an hour: bytes sent and received, packets sent and received. `None` without a row in it.
fn traffic(connection: &Connection, hour: i64) -> Result<Option<[i64; 4]>> {
    let columns = "bytes_sent, bytes_recv, packets_sent, packets_recv";
    let counters = |row: &Row<'_>| -> rusqlite::Result<[i64; 4]> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    };
    let mut before = connection
        .query_row(
            &format!(
                "SELECT {columns} FROM network_metrics WHERE timestamp < ?1 AND bytes_sent IS NOT NULL
                 ORDER BY timestamp DESC, id DESC LIMIT 1"
            ),
            [hour],
            counters,
        )
        .optional()?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM network_metrics
         WHERE timestamp >= ?1 AND timestamp < ?2 AND bytes_sent IS NOT NULL ORDER BY timestamp, id"
    ))?;
    let mut total = None;
    for row in statement.query_map(params![hour, hour + HOUR], counters)? {
        let row = row?;
        let sum: &mut [i64; 4] = total.get_or_insert([0; 4]);
        if let Some(before) = before {
            for (at, sum) in sum.iter_mut().enumerate() {
                // The machine was started anew.
                *sum += if row[at] >= before[at] { row[at] - before[at] } else { row[at] };
            }
        }
        before = Some(row);
    }
    Ok(total)
}

fn roll_up_day(connection: &Connection, day: i64, actors: LogActors) -> Result<()> {
    let date = Civil::from_timestamp(Timestamp(day.saturating_mul(Timestamp::SECOND)), 0);
    let date = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
    connection.execute(
        "INSERT OR REPLACE INTO daily_aggregates (date, avg_cpu_percent, max_cpu_percent, avg_memory_percent,
            max_memory_percent, avg_disk_percent, total_bytes_sent, total_bytes_recv, log_events_count,
            failed_login_count, banned_ip_count, error_count, warning_count, unique_ips_banned,
            unique_users_failed)
         SELECT ?1, avg(avg_cpu_percent), max(max_cpu_percent), avg(avg_memory_percent), max(max_memory_percent),
            avg(avg_disk_percent), sum(total_bytes_sent), sum(total_bytes_recv), sum(log_events_count),
            sum(failed_login_count), sum(banned_ip_count), sum(error_count), sum(warning_count), ?2, ?3
         FROM hourly_aggregates WHERE hour_timestamp >= ?4 AND hour_timestamp < ?5 HAVING count(*) > 0",
        params![date, actors.banned_ips as i64, actors.failed_users as i64, day, day + DAY],
    )?;
    Ok(())
}
