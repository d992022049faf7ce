//! Samples: put in, and asked for by time.

use rusqlite::{Connection, OptionalExtension as _, ToSql, params_from_iter, types::Value};
use taffrail_record::{FIGURES, Timestamp};

use super::rollup::{self, DAY, HOUR};
use super::{History, StoredSample};
use crate::engine::{Control, QueryError, TimeRange};
use crate::error::{Error, Result};

/// An envelope is compressed against this text: most of one is keys, and they are always the same. Whoever changes it
/// changes the version before the bytes, and keeps the old text.
const DICTIONARY: &[u8] = include_bytes!("dictionary.json");
const VERSION: u8 = 1;
const LEVEL: i32 = 3;
/// Longest envelope that is stored or believed.
pub const ENVELOPE_BYTES_MAX: usize = 4 << 20;
/// Points that one answer has at most, over all machines.
pub const POINTS_MAX: usize = 100_000;

/// What becomes of the samples of one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

/// Asks for figures over time.
#[derive(Clone, PartialEq, Debug)]
pub struct PointsRequest<'a> {
    /// Of this machine; `None`: of all.
    pub node: Option<&'a str>,
    /// When.
    pub range: TimeRange,
    /// Width of a point in nanoseconds; points begin at multiples of it. At least 1.
    pub step_ns: i64,
    /// Which, as places in [`FIGURES`].
    pub figures: &'a [usize],
    /// What a point says of its samples.
    pub aggregate: Aggregate,
}

/// Figures over time: of each machine, by name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Points {
    /// The machines.
    pub series: Vec<Series>,
    /// Whether there were more points than an answer may have.
    pub truncated: bool,
}

/// Figures of one machine over time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Series {
    /// The machine.
    pub node: String,
    /// The beginning of each point, rising; steps without a sample are missing.
    pub times: Vec<Timestamp>,
    /// For each figure that was asked for, a value for each point.
    pub values: Vec<Vec<Option<f64>>>,
}

/// How far a machine's clock may be ahead of the clock here.
const AHEAD_MAX: i64 = HOUR;

/// Samples of later than an hour from now are put to now, the last of them, and those before as long before it: their machine's
/// clock is wrong, and they would stay its newest until that time has come. Their envelopes say what they said.
pub fn put_right(samples: &mut [StoredSample], now: Timestamp) {
    let latest = Timestamp(now.0.saturating_add(AHEAD_MAX));
    let ahead = || samples.iter().map(|sample| sample.time).filter(|time| *time > latest);
    let Some(last) = ahead().max() else { return };
    let off = last.0.saturating_sub(now.0);
    for sample in samples.iter_mut().filter(|sample| sample.time > latest) {
        sample.time = Timestamp(sample.time.0.saturating_sub(off));
    }
}

impl History {
    /// Puts samples in; one that is there already stays as it is. Gives how many were new.
    pub fn insert(&self, samples: &[StoredSample]) -> Result<usize> {
        self.on(|connection| {
            let transaction = connection.transaction()?;
            let mut new = 0;
            {
                let columns: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
                let places = vec!["?"; columns.len() + 3].join(", ");
                let statement = format!(
                    "INSERT OR IGNORE INTO telemetry (node, time, {}, envelope) VALUES ({places})",
                    columns.join(", ")
                );
                let mut statement = transaction.prepare_cached(&statement)?;
                let rolled = rollup::until(&transaction)?;
                for sample in samples {
                    if statement.execute(params_from_iter(row(sample)?))? > 0 {
                        new += 1;
                        rollup::touch(&transaction, &sample.node, sample.time, rolled)?;
                    }
                }
            }
            transaction.commit()?;
            Ok(new)
        })
    }

    /// Figures over time. Steps of an hour and more are answered from what samples come to by the hour and the day, which is kept
    /// longer; what was not rolled up yet, from the samples. Samples that came late count in them once they are rolled up.
    pub fn points(
        &self,
        request: &PointsRequest<'_>,
        control: &Control,
    ) -> std::result::Result<Points, QueryError> {
        let Some(readers) = &self.readers else { return Ok(Points::default()) };
        readers.ask_within(control, |connection| {
            let mut points = Points::default();
            let mut from = request.range.since;
            let rolled = rollup::until(connection)?;
            let table = match request.step_ns {
                step if step >= DAY && step % DAY == 0 => Some(("telemetry_daily", DAY)),
                step if step >= HOUR && step % HOUR == 0 => Some(("telemetry_hourly", HOUR)),
                _ => None,
            };
            if let Some((table, width)) = table {
                // Whole steps only: a step is answered from one of the two.
                let edge = rollup::floor(rolled.0, width.max(request.step_ns));
                let until = Timestamp(edge.clamp(from.0, request.range.until.0.max(from.0)));
                collect(connection, table, request, TimeRange { since: from, until }, &mut points)?;
                from = until;
            }
            let range = TimeRange { since: from, until: request.range.until };
            collect(connection, "telemetry", request, range, &mut points)?;
            points.series.sort_by(|a, b| a.node.cmp(&b.node));
            Ok(points)
        })
    }

    /// The newest sample of a machine, or of each, by name.
    pub fn latest(&self, node: Option<&str>) -> Result<Vec<StoredSample>> {
        self.ask(|connection| {
            let columns: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
            // From name to name in the index: one look for each machine, however many samples it has.
            const ALL: &str = "SELECT min(node) FROM telemetry UNION ALL
                SELECT (SELECT min(node) FROM telemetry WHERE node > name) FROM names WHERE name IS NOT NULL";
            let names = if node.is_some() { "VALUES (?1)" } else { ALL };
            let statement = format!(
                "WITH RECURSIVE names (name) AS ({names})
                 SELECT node, time, {}, envelope FROM names JOIN telemetry
                    ON node = name AND time = (SELECT max(time) FROM telemetry WHERE node = name) ORDER BY node",
                columns.join(", ")
            );
            match &node {
                Some(node) => samples(connection, &statement, &[node]),
                None => samples(connection, &statement, &[]),
            }
        })
    }

    /// How many samples there are, and the time of the oldest.
    pub fn extent(&self) -> Result<(u64, Option<Timestamp>)> {
        self.ask(|connection| {
            let counts = connection.query_row("SELECT count(*), min(time) FROM telemetry", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
            });
            let (count, oldest) = counts.optional()?.unwrap_or_default();
            Ok((count as u64, oldest.map(Timestamp)))
        })
    }
}

fn row(sample: &StoredSample) -> Result<Vec<Value>> {
    let mut row = vec![Value::Text(sample.node.clone()), Value::Integer(sample.time.0)];
    row.extend(sample.figures.iter().map(|figure| figure.map_or(Value::Null, Value::Real)));
    row.push(Value::Blob(pack(&sample.envelope)?));
    Ok(row)
}

fn pack(envelope: &str) -> Result<Vec<u8>> {
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(Error::Internal("a sample is larger than it may be"));
    }
    let mut packed = vec![VERSION];
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, DICTIONARY)?;
    packed.extend(compressor.compress(envelope.as_bytes())?);
    Ok(packed)
}

/// What cannot be read is as if it said nothing: the figures are still there.
pub(super) fn unpack(packed: &[u8]) -> String {
    if packed.is_empty() {
        return String::new();
    }
    let text = match packed.split_first() {
        Some((&VERSION, bytes)) => zstd::bulk::Decompressor::with_dictionary(DICTIONARY)
            .and_then(|mut decompressor| decompressor.decompress(bytes, ENVELOPE_BYTES_MAX))
            .ok(),
        _ => None,
    };
    text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_else(|| "{}".to_owned())
}

fn samples(connection: &Connection, statement: &str, values: &[&dyn ToSql]) -> Result<Vec<StoredSample>> {
    let mut statement = connection.prepare_cached(statement)?;
    let rows = statement.query_map(values, |row| {
        let mut figures = [None; FIGURES.len()];
        for (at, figure) in figures.iter_mut().enumerate() {
            *figure = row.get(at + 2)?;
        }
        let envelope: Option<Vec<u8>> = row.get(FIGURES.len() + 2)?;
        let envelope = unpack(envelope.as_deref().unwrap_or_default());
        Ok(StoredSample { node: row.get(0)?, time: Timestamp(row.get(1)?), figures, envelope })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds the points of one table.
fn collect(
    connection: &Connection,
    table: &str,
    request: &PointsRequest<'_>,
    range: TimeRange,
    points: &mut Points,
) -> Result<()> {
    if range.since >= range.until {
        return Ok(());
    }
    let is_raw = table == "telemetry";
    let columns = request.figures.iter().filter_map(|at| FIGURES.get(*at)).map(|figure| {
        let name = figure.name;
        match (request.aggregate, is_raw) {
            (Aggregate::Mean, true) => format!("avg({name})"),
            (Aggregate::Max, true) => format!("max({name})"),
            (Aggregate::Mean, false) => format!(
                "sum(avg_{name} * samples) / sum(CASE WHEN avg_{name} IS NULL THEN 0 ELSE samples END)"
            ),
            (Aggregate::Max, false) => format!("max(max_{name})"),
        }
    });
    let columns: String = columns.map(|column| format!(", {column}")).collect();
    // Division rounds to zero, and a remainder has the sign of what is divided: times before 1970 are stepped from below.
    let statement = format!(
        "SELECT node, time - ((time % ?1) + ?1) % ?1 AS step {columns} FROM {table}
         WHERE time >= ?2 AND time < ?3 AND (?4 IS NULL OR node = ?4) GROUP BY node, step ORDER BY node, step
         LIMIT ?5"
    );
    let taken: usize = points.series.iter().map(|series| series.times.len()).sum();
    let left = POINTS_MAX - taken.min(POINTS_MAX);
    let mut statement = connection.prepare_cached(&statement)?;
    let mut rows = statement.query(rusqlite::params![
        request.step_ns,
        range.since.0,
        range.until.0,
        request.node,
        left as i64 + 1
    ])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count > left {
            points.truncated = true;
            break;
        }
        let series = series_of(points, row.get(0)?, request.figures.len());
        series.times.push(Timestamp(row.get(1)?));
        for (at, values) in series.values.iter_mut().enumerate() {
            values.push(row.get(at + 2)?);
        }
    }
    Ok(())
}

fn series_of(points: &mut Points, node: String, figures: usize) -> &mut Series {
    let at = points.series.iter().rposition(|series| series.node == node).unwrap_or_else(|| {
        points.series.push(Series { node, times: Vec::new(), values: vec![Vec::new(); figures] });
        points.series.len() - 1
    });
    &mut points.series[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_come_back_and_damage_says_nothing() {
        let text = r#"{"timestamp":"2026-11-01T00:00:00Z","node_id":"web-1","metrics":{"cpu":{"cpu_usage_percent":12.5}}}"#;
        let packed = pack(text).unwrap();
        assert!(packed.len() < text.len(), "{}", packed.len());
        assert_eq!(unpack(&packed), text);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            // Whatever comes, it is no panic.
            let _ = unpack(&damaged);
        }
        assert_eq!(unpack(&[]), "");
        assert!(pack(&"x".repeat(ENVELOPE_BYTES_MAX + 1)).is_err());
    }
}
