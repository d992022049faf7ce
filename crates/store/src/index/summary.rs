//! What a segment holds in total, so that counts over everything need not read it.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt8Type};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use taffrail_record::Severity;

use crate::engine::Group;
use crate::schema;

/// Widths of the time buckets, in nanoseconds; the finest that needs at most [`BUCKETS_MAX`].
const UNITS: [i64; 4] = [60_000_000_000, 3_600_000_000_000, 86_400_000_000_000, 365 * 86_400_000_000_000];
/// Time buckets of one summary.
const BUCKETS_MAX: usize = 4_096;
/// Groups of one summary; what comes after counts under empty names.
const GROUPS_MAX: usize = 4_096;
/// Nodes of one summary; what comes after counts under the empty name.
const NODES_MAX: usize = 4_096;
const DAY_NS: i64 = 86_400_000_000_000;

/// Counts over all records of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Counts by time and severity.
    pub times: TimeCounts,
    /// Counts by day, source, service and level; see [`Group`].
    pub groups: Vec<(i32, String, String, String, u64)>,
    /// Counts by node.
    pub nodes: BTreeMap<String, u64>,
}

/// Counts by time bucket and severity name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeCounts {
    /// Width of a bucket in nanoseconds.
    pub unit_ns: i64,
    /// By bucket number since 1970.
    pub buckets: BTreeMap<i64, [u64; 6]>,
}

impl Default for TimeCounts {
    fn default() -> Self {
        Self { unit_ns: UNITS[0], buckets: BTreeMap::new() }
    }
}

impl TimeCounts {
    fn add(&mut self, bucket: i64, counts: &[u64; 6]) {
        let sum = self.buckets.entry(bucket).or_default();
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
        if self.buckets.len() > BUCKETS_MAX
            && let Some(unit) = UNITS.iter().find(|unit| **unit > self.unit_ns)
        {
            self.coarsen(*unit);
        }
    }

    fn coarsen(&mut self, unit_ns: i64) {
        if unit_ns <= self.unit_ns {
            return;
        }
        let fine = std::mem::take(self);
        self.unit_ns = unit_ns;
        for (bucket, counts) in fine.buckets {
            self.add((bucket * fine.unit_ns).div_euclid(unit_ns), &counts);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.coarsen(other.unit_ns);
        for (bucket, counts) in &other.buckets {
            self.add((bucket * other.unit_ns).div_euclid(self.unit_ns), counts);
        }
    }
}

impl Summary {
    /// Of some records.
    pub fn of(batch: &RecordBatch) -> Self {
        let mut counter = Counter::default();
        counter.count(batch);
        counter.finish()
    }

    /// Adds the counts of other records.
    pub fn merge(&mut self, other: &Self) {
        self.times.merge(&other.times);
        let mut groups: HashMap<(i32, String, String, String), u64> = self
            .groups
            .drain(..)
            .map(|(day, source, service, level, n)| ((day, source, service, level), n))
            .collect();
        for (day, source, service, level, records) in &other.groups {
            let key = (*day, source.clone(), service.clone(), level.clone());
            let key = if groups.len() < GROUPS_MAX || groups.contains_key(&key) {
                key
            } else {
                (*day, String::new(), String::new(), level.clone())
            };
            *groups.entry(key).or_default() += records;
        }
        self.groups = sorted(groups);
        for (node, records) in &other.nodes {
            let known = self.nodes.len() < NODES_MAX || self.nodes.contains_key(node);
            *self.nodes.entry(if known { node.clone() } else { String::new() }).or_default() += records;
        }
    }

    /// The groups in the engine's terms.
    pub fn engine_groups(&self) -> impl Iterator<Item = Group> + '_ {
        self.groups.iter().map(|(day, source, service, level, records)| Group {
            day: *day,
            source: source.clone(),
            service: service.clone(),
            level: level.clone(),
            records: *records,
        })
    }
}

fn sorted(groups: HashMap<(i32, String, String, String), u64>) -> Vec<(i32, String, String, String, u64)> {
    let mut list: Vec<_> = groups
        .into_iter()
        .map(|((day, source, service, level), n)| (day, source, service, level, n))
        .collect();
    list.sort_unstable();
    list
}

/// Codes for the texts of a column, so that groups are counted by number.
#[derive(Default)]
struct Codes<'a> {
    codes: HashMap<&'a str, u32>,
    list: Vec<&'a str>,
}

impl<'a> Codes<'a> {
    fn of(&mut self, text: &'a str) -> u32 {
        *self.codes.entry(text).or_insert_with(|| {
            self.list.push(text);
            self.list.len() as u32 - 1
        })
    }
}

#[derive(Default)]
struct Counter {
    summary: Summary,
}

impl Counter {
    fn count(&mut self, batch: &RecordBatch) {
        let text = |name: &str| batch.column_by_name(name).map(|column| column.as_string_view().clone());
        let (Some(sources), Some(services), Some(nodes)) =
            (text(schema::SOURCE), text(schema::SERVICE), text(schema::NODE))
        else {
            return;
        };
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let severities = batch.column(2).as_primitive::<UInt8Type>();
        let levels = level_column(batch);
        let (mut source_codes, mut service_codes) = (Codes::default(), Codes::default());
        let (mut node_codes, mut level_codes) = (Codes::default(), Codes::default());
        let mut groups: HashMap<(i32, u32, u32, u32), u64> = HashMap::new();
        let mut node_counts: Vec<u64> = Vec::new();
        let mut minute = (i64::MIN, [0u64; 6]);
        for row in 0..batch.num_rows() {
            let severity = Severity::new(severities.value(row)).unwrap_or(Severity::INFO);
            let bucket = times.value(row).div_euclid(UNITS[0]);
            if bucket != minute.0 {
                self.flush_minute(&minute);
                minute = (bucket, [0; 6]);
            }
            minute.1[usize::from(severity.number() - 1) / 4] += 1;
            let level = match &levels {
                Some(levels) if levels.is_valid(row) => levels.value(row),
                _ => severity.name(),
            };
            let day = bucket.div_euclid(DAY_NS / UNITS[0]) as i32;
            let key = (
                day,
                source_codes.of(sources.value(row)),
                service_codes.of(services.value(row)),
                level_codes.of(level),
            );
            *groups.entry(key).or_default() += 1;
            let node = node_codes.of(nodes.value(row)) as usize;
            if node >= node_counts.len() {
                node_counts.resize(node + 1, 0);
            }
            node_counts[node] += 1;
        }
        self.flush_minute(&minute);
        let named = groups.into_iter().map(|((day, source, service, level), records)| {
            let name = |codes: &Codes<'_>, code: u32| codes.list[code as usize].to_owned();
            (
                day,
                name(&source_codes, source),
                name(&service_codes, service),
                name(&level_codes, level),
                records,
            )
        });
        let nodes =
            node_codes.list.iter().zip(&node_counts).map(|(node, n)| ((*node).to_owned(), *n)).collect();
        self.summary.merge(&Summary { times: TimeCounts::default(), groups: named.collect(), nodes });
    }

    fn flush_minute(&mut self, (bucket, counts): &(i64, [u64; 6])) {
        if *bucket != i64::MIN {
            let unit = self.summary.times.unit_ns;
            self.summary.times.add((bucket * UNITS[0]).div_euclid(unit), counts);
        }
    }

    fn finish(self) -> Summary {
        self.summary
    }
}

/// The attribute `level` where it is text.
fn level_column(batch: &RecordBatch) -> Option<StringViewArray> {
    let column = batch.column_by_name(schema::ATTRIBUTES)?.as_struct().column_by_name("level")?.clone();
    column.as_string_view_opt().cloned()
}

/// Smallest and largest of a column of offsets.
pub(super) fn offset_bounds(batch: &RecordBatch) -> (i64, i64) {
    let offsets = batch.column(5).as_primitive::<Int64Type>().values();
    let min = offsets.iter().min().copied().unwrap_or(0);
    (min, offsets.iter().max().copied().unwrap_or(0))
}
