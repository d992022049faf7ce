//! Counts: over time and severity, and of the most frequent values.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;
use taffrail_record::{Severity, Timestamp};
use taffrail_store::Snapshot;
use taffrail_store::engine::{
    Control, FACET_VALUES_MAX, Facet, FacetRequest, HISTOGRAM_BUCKETS_MAX, Histogram, HistogramRequest,
    QueryError, TimeRange, Work,
};
use taffrail_store::hit::{AttributeValue, rest_members};
use taffrail_store::schema;
use taffrail_store::segment::{Segment, attribute_column};

use crate::condition::Condition;
use crate::rows::Rows;
use crate::scan::Scan;

const SECOND: i64 = Timestamp::SECOND;
/// Widths of buckets that people read easily, in nanoseconds.
const ROUND_INTERVALS: [i64; 26] = [
    1_000_000,
    10_000_000,
    100_000_000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    60 * SECOND,
    120 * SECOND,
    300 * SECOND,
    600 * SECOND,
    900 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    7_200 * SECOND,
    10_800 * SECOND,
    21_600 * SECOND,
    43_200 * SECOND,
    86_400 * SECOND,
    2 * 86_400 * SECOND,
    7 * 86_400 * SECOND,
    30 * 86_400 * SECOND,
    90 * 86_400 * SECOND,
    365 * 86_400 * SECOND,
];
/// Distinct values that are counted for one facet; rarer ones that come later are left out.
const DISTINCT_MAX: usize = 100_000;

/// Counts by time and severity.
pub fn histogram(
    snapshot: &Snapshot,
    request: &HistogramRequest,
    control: &Control,
) -> Result<Histogram, QueryError> {
    let started = Instant::now();
    let Some((oldest, newest)) = snapshot.time_bounds() else { return Ok(Histogram::default()) };
    let range = TimeRange {
        since: if request.range.since == TimeRange::ALL.since { oldest } else { request.range.since },
        until: if request.range.until == TimeRange::ALL.until {
            Timestamp(newest.0.saturating_add(1))
        } else {
            request.range.until
        },
    };
    if request.range.since > request.range.until {
        return Err(QueryError::Invalid(
            "the time range ends before it starts; swap since and until".to_owned(),
        ));
    }
    if range.since >= range.until {
        // An open end lies where the records end, and the asked range beyond.
        return Ok(Histogram::default());
    }
    let buckets = Buckets::new(range, request)?;
    let scan = Scan::new(&request.filter, range)?;
    let mut histogram = Histogram {
        start: Timestamp(buckets.start),
        interval_ns: buckets.interval,
        buckets: vec![[0; 6]; buckets.count],
        work: Work::default(),
    };
    let (summed, read) = buckets.split(snapshot, &scan);
    for segment in summed {
        buckets.add_summary(&segment, &scan.condition, &mut histogram.buckets);
        histogram.work.granules_pruned += segment.granules().len() as u64;
    }
    let mut work = histogram.work;
    let states = scan.fold(
        &read,
        &[schema::SEVERITY_NUMBER],
        control,
        &mut work,
        |counts: &mut Vec<[u64; 6]>, batch, found| {
            counts.resize(buckets.count, [0; 6]);
            let rows = Rows::new(batch);
            for row in found.set_indices() {
                if let Some(bucket) = buckets.of(rows.time(row)) {
                    counts[bucket][usize::from(rows.severity(row).number() - 1) / 4] += 1;
                }
            }
        },
    )?;
    for counts in states {
        for (sum, count) in histogram.buckets.iter_mut().zip(counts) {
            sum.iter_mut().zip(count).for_each(|(sum, count)| *sum += count);
        }
    }
    histogram.work = Work { elapsed: started.elapsed(), ..work };
    Ok(histogram)
}

struct Buckets {
    start: i64,
    interval: i64,
    count: usize,
}

impl Buckets {
    fn new(range: TimeRange, request: &HistogramRequest) -> Result<Self, QueryError> {
        let wanted = request.buckets.clamp(1, HISTOGRAM_BUCKETS_MAX) as i64;
        let width = range.until.0.saturating_sub(range.since.0).max(1);
        let interval = match request.interval_ns {
            Some(interval) if interval <= 0 => {
                return Err(QueryError::Invalid(
                    "the interval of a histogram must be longer than nothing".to_owned(),
                ));
            }
            Some(interval) => interval,
            None => {
                let fits = ROUND_INTERVALS.into_iter().find(|interval| width / interval < wanted);
                fits.unwrap_or_else(|| (width / wanted).max(ROUND_INTERVALS[25]))
            }
        };
        let first = range.since.0.div_euclid(interval);
        let last = (range.until.0.saturating_sub(1)).max(range.since.0).div_euclid(interval);
        let count = last - first + 1;
        if count > HISTOGRAM_BUCKETS_MAX as i64 {
            return Err(QueryError::Invalid(format!(
                "{count} buckets are more than {HISTOGRAM_BUCKETS_MAX}; use a wider interval or a narrower time range"
            )));
        }
        Ok(Self { start: first * interval, interval, count: count as usize })
    }

    fn of(&self, time: i64) -> Option<usize> {
        let bucket = (time - self.start).div_euclid(self.interval);
        usize::try_from(bucket).ok().filter(|bucket| *bucket < self.count)
    }

    /// The segments whose summaries answer, and what has to be read.
    fn split(&self, snapshot: &Snapshot, scan: &Scan) -> (Vec<std::sync::Arc<Segment>>, Snapshot) {
        let by_severity = matches!(scan.condition, Condition::All | Condition::Severities(_));
        let (summed, read): (Vec<_>, Vec<_>) = snapshot.segments.iter().cloned().partition(|segment| {
            let unit = segment.index.footer.summary.times.unit_ns;
            let whole = scan.range.since.0 <= segment.meta.min_timestamp
                && segment.meta.max_timestamp < scan.range.until.0;
            by_severity && whole && self.interval % unit == 0 && whole_names(&scan.condition)
        });
        (
            summed,
            Snapshot { segments: std::sync::Arc::new(read), memory: snapshot.memory.clone(), ..*snapshot },
        )
    }

    fn add_summary(&self, segment: &Segment, condition: &Condition, counts: &mut [[u64; 6]]) {
        let times = &segment.index.footer.summary.times;
        for (bucket, by_name) in &times.buckets {
            let Some(target) = self.of(bucket * times.unit_ns) else { continue };
            for (name, count) in by_name.iter().enumerate().filter(|(name, _)| has_name(condition, *name)) {
                counts[target][name] += count;
            }
        }
    }
}

/// Whether a severity condition takes each name whole or not at all, as summaries count by name.
fn whole_names(condition: &Condition) -> bool {
    match condition {
        Condition::Severities(mask) => (0..6).all(|name| {
            let bits = mask >> (name * 4 + 1) & 0b1111;
            bits == 0 || bits == 0b1111
        }),
        _ => true,
    }
}

fn has_name(condition: &Condition, name: usize) -> bool {
    match condition {
        Condition::Severities(mask) => mask >> (name * 4 + 1) & 1 == 1,
        _ => true,
    }
}

/// The most frequent values of the asked fields.
pub fn facets(
    snapshot: &Snapshot,
    request: &FacetRequest,
    control: &Control,
) -> Result<Vec<Facet>, QueryError> {
    let scan = Scan::new(&request.filter, request.range)?;
    let columns: Vec<String> = request.fields.iter().map(|field| column_of(field)).collect();
    let mut more: Vec<&str> = columns.iter().map(String::as_str).collect();
    if columns.iter().any(|column| column.starts_with(schema::ATTRIBUTES)) {
        more.push(schema::ATTRIBUTES_REST);
    }
    let count = |counts: &mut Counts, batch: &RecordBatch, found: &BooleanBuffer| {
        counts.resize_with(request.fields.len(), Default::default);
        for (field, counts) in request.fields.iter().zip(counts) {
            count_values(batch, field, found, counts);
        }
    };
    let (summed, read) = match scan.condition {
        Condition::All => split_for_facets(snapshot, &scan, &request.fields),
        _ => (Vec::new(), snapshot.clone()),
    };
    let mut states: Vec<Counts> = scan.fold(&read, &more, control, &mut Work::default(), count)?;
    states.push(summed.iter().fold(
        vec![BTreeMap::new(); request.fields.len()],
        |mut counts: Counts, segment| {
            for (field, counts) in request.fields.iter().zip(&mut counts) {
                add_summary(segment, field, counts);
            }
            counts
        },
    ));
    let mut total: Counts = vec![BTreeMap::new(); request.fields.len()];
    for state in states {
        for (total, counts) in total.iter_mut().zip(state) {
            for (value, count) in counts {
                *total.entry(value).or_default() += count;
            }
        }
    }
    let values = request.values.min(FACET_VALUES_MAX);
    Ok(request.fields.iter().zip(total).map(|(field, counts)| top(field, counts, values)).collect())
}

type Counts = Vec<BTreeMap<String, u64>>;

/// Segments that lie whole in the range and whose summaries list all asked fields.
fn split_for_facets(
    snapshot: &Snapshot,
    scan: &Scan,
    fields: &[String],
) -> (Vec<std::sync::Arc<Segment>>, Snapshot) {
    let listed =
        fields.iter().all(|field| matches!(field.as_str(), "severity" | "service" | "node" | "source"));
    let (summed, read): (Vec<_>, Vec<_>) = snapshot.segments.iter().cloned().partition(|segment| {
        let whole = scan.range.since.0 <= segment.meta.min_timestamp
            && segment.meta.max_timestamp < scan.range.until.0;
        listed && whole
    });
    (summed, Snapshot { segments: std::sync::Arc::new(read), memory: snapshot.memory.clone(), ..*snapshot })
}

fn add_summary(segment: &Segment, field: &str, counts: &mut BTreeMap<String, u64>) {
    let summary = &segment.index.footer.summary;
    match field {
        "node" => {
            summary.nodes.iter().for_each(|(node, count)| *counts.entry(node.clone()).or_default() += count)
        }
        "severity" => {
            for by_name in summary.times.buckets.values() {
                for (name, count) in Severity::NAMES.iter().zip(by_name).filter(|(_, count)| **count > 0) {
                    *counts.entry((*name).to_owned()).or_default() += count;
                }
            }
        }
        _ => {
            for (_, source, service, _, count) in &summary.groups {
                let value = if field == "service" { service } else { source };
                *counts.entry(value.clone()).or_default() += count;
            }
        }
    }
}

fn column_of(field: &str) -> String {
    match field {
        "severity" => schema::SEVERITY_NUMBER.to_owned(),
        schema::NODE | schema::SOURCE | schema::SERVICE => field.to_owned(),
        key => attribute_column(key),
    }
}

fn count_values(batch: &RecordBatch, field: &str, found: &BooleanBuffer, counts: &mut BTreeMap<String, u64>) {
    let mut add = |value: &str| {
        if let Some(count) = counts.get_mut(value) {
            *count += 1;
        } else if counts.len() < DISTINCT_MAX {
            counts.insert(value.to_owned(), 1);
        }
    };
    if field == "severity" {
        let rows = Rows::new(batch);
        return found.set_indices().for_each(|row| add(rows.severity(row).name()));
    }
    let attributes = batch.column_by_name(schema::ATTRIBUTES).map(|column| column.as_struct());
    let column = match field {
        schema::NODE | schema::SOURCE | schema::SERVICE => batch.column_by_name(field),
        key => attributes.and_then(|attributes| attributes.column_by_name(key)),
    };
    if let Some(texts) = column.and_then(|column| column.as_string_view_opt()) {
        found.set_indices().filter(|row| texts.is_valid(*row)).for_each(|row| add(texts.value(row)));
    } else if let Some(numbers) = column.and_then(|column| column.as_primitive_opt::<Int64Type>()) {
        found
            .set_indices()
            .filter(|row| numbers.is_valid(*row))
            .for_each(|row| add(&numbers.value(row).to_string()));
    }
    let rest = batch.column_by_name(schema::ATTRIBUTES_REST).and_then(|column| column.as_string_view_opt());
    if let Some(rest) = rest.filter(|rest| rest.null_count() < rest.len()) {
        for row in found.set_indices().filter(|row| rest.is_valid(*row)) {
            for (_, value) in rest_members(rest.value(row)).iter().filter(|(key, _)| key == field) {
                match value {
                    AttributeValue::Text(text) => add(text),
                    AttributeValue::Integer(number) => add(&number.to_string()),
                }
            }
        }
    }
}

fn top(field: &str, counts: BTreeMap<String, u64>, values: usize) -> Facet {
    let mut list: Vec<(String, u64)> = counts.into_iter().filter(|(value, _)| !value.is_empty()).collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let truncated = list.len() > values;
    list.truncate(values);
    Facet { field: field.to_owned(), values: list, truncated }
}
