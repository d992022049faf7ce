//! The engine against a plain reading of the same records: whatever is pruned, skipped or summed up, the
//! answer is the one that looking at every record gives.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::util::display::array_value_to_string;
use taffrail_parse::{Context as ParseContext, Parser};
use taffrail_record::{Checkpoint, FIGURES, LogBatch, RawBatch, RawLine, Span, Timestamp};
use taffrail_store::engine::*;
use taffrail_store::filter::Filter;
use taffrail_store::history::StoredSample;
use taffrail_store::hit::Hit;
use taffrail_store::{Access, Append, Limits, Store, wal};

use super::StoreEngine;

const SOURCES: [&str; 2] = ["/var/log/app.log", "/var/log/web.log"];
const LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];

struct World {
    engine: StoreEngine,
    lines: BTreeMap<&'static str, Vec<u8>>,
    _directory: tempfile::TempDir,
}

fn parse(raw: RawBatch, _: &str) -> LogBatch {
    let context = ParseContext { service: "default".into(), node: "here".into(), offset_minutes: 0 };
    Parser::new(context).parse(raw)
}

/// A stream of pseudo-random numbers, the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn line(random: &mut Random, number: u64) -> String {
    // Time mostly goes forward, sometimes back, sometimes stands still.
    let seconds = number / 3 + random.below(5) * 20;
    let time = format!("2026-11-01T{:02}:{:02}:{:02}Z", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let level = LEVELS[random.below(5) as usize];
    let (user, id, status) = (random.below(7), random.below(100_000), 200 + random.below(4) * 100);
    match random.below(4) {
        0 => format!(
            r#"{{"time":"{time}","level":"{level}","service":"shop","msg":"user{user} bought thing-{id:05x}","status":{status},"user":"user{user}"}}"#
        ),
        1 => format!(
            "{time} node{user} sshd[{id}]: Failed password for user{user} from 10.0.0.{user} port {id}"
        ),
        2 => format!("{time} node{user} kernel: Out of memory: killed process {id} (java)"),
        _ => format!(
            "{time} - {} - AGENT_{user} - request {id:05x} took {status} ms, error: none",
            level.to_uppercase()
        ),
    }
}

fn world(lines: u64, per_batch: u64, flush_every: u64) -> World {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path(), Access::Write, Limits::default(), &mut parse).unwrap();
    let mut random = Random(42);
    let mut texts: BTreeMap<&'static str, Vec<u8>> =
        SOURCES.into_iter().map(|source| (source, Vec::new())).collect();
    let mut number = 0;
    while number < lines {
        let source = SOURCES[random.below(2) as usize];
        let stream = texts.get_mut(source).unwrap();
        let start = stream.len();
        let mut raw_lines = Vec::new();
        for _ in 0..per_batch {
            let at = stream.len();
            stream.extend_from_slice(line(&mut random, number).as_bytes());
            raw_lines.push(RawLine {
                span: Span::new(at - start, stream.len() - start),
                offset: at as u64,
                newline: true,
                joined: false,
            });
            stream.push(b'\n');
            number += 1;
        }
        let raw = RawBatch {
            source: source.into(),
            observed: Timestamp(1_800_000_000_000_000_000),
            bytes: stream[start..].to_vec(),
            lines: raw_lines,
            header: None,
            gaps: Vec::new(),
            checkpoint: Checkpoint { offset: stream.len() as u64, lines: number, state: String::new() },
        };
        let (frame, checkpoint) = (wal::Frame::new(&raw, ""), raw.checkpoint.clone());
        store.append(Append { frame, batch: parse(raw, ""), source, checkpoint, gaps: Vec::new() }).unwrap();
        if number.is_multiple_of(flush_every) {
            store.flush().unwrap();
        }
    }
    World {
        engine: StoreEngine::new(Arc::new(store), 64 << 20).unwrap(),
        lines: texts,
        _directory: directory,
    }
}

fn control() -> Control {
    Control::with_limit(Duration::from_secs(60))
}

fn request(filter: Filter) -> SearchRequest {
    SearchRequest {
        filter,
        range: TimeRange::ALL,
        limit: SEARCH_LIMIT_MAX,
        skip: 0,
        after: None,
        order: Order::NewestFirst,
    }
}

impl World {
    /// Every record, newest first, by a search that cannot prune; `test` picks by looking at each.
    fn plain(&self, test: impl Fn(&Hit) -> bool) -> Vec<Hit> {
        let page = self.engine.search(&request(Filter::All), &control()).unwrap();
        assert_eq!(page.next, None);
        page.hits.into_iter().filter(|hit| test(hit)).collect()
    }

    fn search(&self, expression: &str) -> Vec<Hit> {
        let filter = self.engine.parse(expression).unwrap();
        self.engine.search(&request(filter), &control()).unwrap().hits
    }
}

fn text(hit: &Hit, key: &str) -> String {
    match hit.attribute(key) {
        Some(taffrail_store::hit::AttributeValue::Text(text)) => text.clone(),
        Some(taffrail_store::hit::AttributeValue::Integer(number)) => number.to_string(),
        None => String::new(),
    }
}

type Test = fn(&Hit) -> bool;

const EXPRESSIONS: [(&str, Test); 14] = [
    ("password", |hit| hit.body.contains("password")),
    ("\"out of memory\"", |hit| hit.body.contains("Out of memory")),
    ("user3", |hit| {
        hit.body.split(|c: char| !c.is_alphanumeric()).any(|word| word == "user3")
            || text(hit, "user") == "user3"
    }),
    ("severity>=error", |hit| hit.severity.number() >= 17),
    ("service:sshd", |hit| hit.service == "sshd"),
    ("service:SHOP status:500", |hit| hit.service == "shop" && text(hit, "status") == "500"),
    ("status>=400", |hit| text(hit, "status").parse().is_ok_and(|status: i64| status >= 400)),
    ("node:node2 OR node:node4", |hit| hit.node == "node2" || hit.node == "node4"),
    ("-password -memory", |hit| !hit.body.contains("password") && !hit.body.contains("memory")),
    ("/for user[12] from/", |hit| hit.body.contains("for user1 from") || hit.body.contains("for user2 from")),
    ("*assw*", |hit| hit.body.contains("assw")),
    ("source:/var/log/web.log kernel", |hit| hit.source == "/var/log/web.log" && hit.service == "kernel"),
    ("user:*", |hit| !text(hit, "user").is_empty()),
    ("no_such_word_anywhere", |_| false),
];

#[test]
fn every_expression_finds_what_a_look_at_every_record_finds() {
    for (per_batch, flush_every) in [(50, 1_000), (400, 4_000), (5_000, 20_000)] {
        let world = world(9_600.min(flush_every * 2), per_batch, flush_every);
        for (expression, test) in EXPRESSIONS {
            let (got, want) = (world.search(expression), world.plain(test));
            assert_eq!(got.len(), want.len(), "{expression}");
            assert_eq!(got, want, "{expression}");
        }
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let world = world(4_000, 100, 1_000);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut want = world.plain(|hit| hit.severity.number() >= 17);
        if order == Order::OldestFirst {
            want.reverse();
        }
        let filter = world.engine.parse("severity>=error").unwrap();
        let mut got = Vec::new();
        let mut after = None;
        loop {
            let request = SearchRequest { limit: 37, after, order, ..request(filter.clone()) };
            let page = world.engine.search(&request, &control()).unwrap();
            got.extend(page.hits);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(got, want, "{order:?}");
        let skipped = SearchRequest { limit: 10, skip: 25, order, ..request(filter) };
        assert_eq!(world.engine.search(&skipped, &control()).unwrap().hits, want[25..35]);
    }
}

#[test]
fn counts_are_the_sums_of_the_records() {
    let world = world(6_000, 200, 2_000);
    let bounds = world.plain(|_| true);
    let (newest, oldest) = (bounds[0].timestamp, bounds[bounds.len() - 1].timestamp);
    let middle = Timestamp(oldest.0 + (newest.0 - oldest.0) / 2);
    for range in [
        TimeRange::ALL,
        TimeRange { since: middle, ..TimeRange::ALL },
        TimeRange { until: middle, ..TimeRange::ALL },
    ] {
        for (expression, test) in EXPRESSIONS {
            let filter = world.engine.parse(expression).unwrap();
            let want = world.plain(|hit| range.contains(hit.timestamp) && test(hit));
            let request = HistogramRequest {
                filter: filter.clone(),
                range,
                interval_ns: Some(60_000_000_000),
                buckets: 1,
            };
            let histogram = world.engine.histogram(&request, &control()).unwrap();
            let mut expected = vec![[0; 6]; histogram.buckets.len()];
            for hit in &want {
                let bucket = (hit.timestamp.0 - histogram.start.0) / histogram.interval_ns;
                expected[bucket as usize][usize::from(hit.severity.number() - 1) / 4] += 1;
            }
            assert_eq!(histogram.buckets, expected, "{expression} {range:?}");
            let fields: Vec<String> =
                ["severity", "service", "node", "source", "user"].map(str::to_owned).into();
            let facets = world
                .engine
                .facets(&FacetRequest { filter, range, fields, values: 1_000 }, &control())
                .unwrap();
            for facet in facets {
                let mut counts = BTreeMap::new();
                for hit in &want {
                    let value = match facet.field.as_str() {
                        "severity" => hit.severity.name().to_owned(),
                        "service" => hit.service.clone(),
                        "node" => hit.node.clone(),
                        "source" => hit.source.clone(),
                        key => text(hit, key),
                    };
                    if !value.is_empty() {
                        *counts.entry(value).or_insert(0) += 1;
                    }
                }
                assert_eq!(
                    facet.values.into_iter().collect::<BTreeMap<_, _>>(),
                    counts,
                    "{} of {expression}",
                    facet.field
                );
            }
        }
    }
}

#[test]
fn a_word_that_is_nowhere_reads_nothing() {
    let world = world(40_000, 5_000, 20_000);
    let filter = world.engine.parse("needle-5f1c9e77a2").unwrap();
    let page = world.engine.search(&request(filter), &control()).unwrap();
    assert!(page.hits.is_empty());
    assert!(page.work.granules_read <= 1, "{:?}", page.work);
    assert!(page.work.granules_pruned >= 4, "{:?}", page.work);
}

#[test]
fn raw_lines_come_back_byte_for_byte_and_in_order() {
    let world = world(5_000, 100, 1_500);
    for (source, want) in &world.lines {
        let mut got = Vec::new();
        let found = world.engine.export_raw(source, &control(), &mut |line| {
            got.extend_from_slice(line);
            ControlFlow::Continue(())
        });
        assert!(found.unwrap());
        assert!(got == *want, "{source}: {} bytes for {}", got.len(), want.len());
    }
    assert!(!world.engine.export_raw("/nowhere", &control(), &mut |_| ControlFlow::Continue(())).unwrap());
}

#[test]
fn context_is_the_neighbourhood_in_the_source() {
    let world = world(3_000, 100, 1_000);
    let mut all = world.plain(|hit| hit.source == SOURCES[0]);
    all.sort_by_key(|hit| hit.offset);
    for at in [0, 1, 700, all.len() - 1] {
        let request =
            ContextRequest { source: SOURCES[0].to_owned(), offset: all[at].offset, before: 5, after: 3 };
        let context = world.engine.context(&request, &control()).unwrap();
        assert_eq!(context.target.as_ref(), Some(&all[at]));
        assert_eq!(context.before, all[at.saturating_sub(5)..at]);
        assert_eq!(context.after, all[at + 1..(at + 4).min(all.len())]);
    }
}

#[derive(Default)]
struct Rows(Vec<RecordBatch>);

impl SqlSink for Rows {
    fn schema(&mut self, _: &SchemaRef) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn rows(&mut self, batch: &RecordBatch) -> ControlFlow<()> {
        self.0.push(batch.clone());
        ControlFlow::Continue(())
    }
}

fn sql(world: &World, statement: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let mut rows = Rows::default();
    world.engine.sql(statement, &control(), &mut rows).map(|()| rows.0)
}

#[test]
fn sql_counts_what_search_finds() {
    let world = world(6_000, 200, 2_000);
    for (condition, test) in [
        ("true", (|_| true) as Test),
        ("severity = 'ERROR'", |hit| hit.severity.name() == "ERROR"),
        ("severity_number >= 17", |hit| hit.severity.number() >= 17),
        ("service = 'sshd' AND body LIKE '%password for user3%'", |hit| {
            hit.service == "sshd" && hit.body.contains("password for user3")
        }),
        ("timestamp >= '2026-11-01T00:20:00Z'", |hit| hit.timestamp.0 >= 1_793_492_400_000_000_000),
        ("attributes['status'] >= 400", |hit| {
            text(hit, "status").parse().is_ok_and(|status: i64| status >= 400)
        }),
        ("node IN ('node1', 'node2')", |hit| hit.node == "node1" || hit.node == "node2"),
        ("severity = 'nonsense'", |_| false),
    ] {
        let batches = sql(&world, &format!("SELECT count(*) FROM logs WHERE {condition}")).unwrap();
        let count = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(count as usize, world.plain(test).len(), "{condition}");
    }
}

#[test]
fn sql_only_reads() {
    let world = world(200, 100, 1_000);
    for statement in [
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO logs SELECT * FROM logs",
        "DELETE FROM logs",
        "DROP TABLE logs",
        "COPY logs TO '/dev/null'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "SELEC 1",
        "SELECT nope FROM logs",
        "SELECT * FROM '/etc/passwd'",
        "",
    ] {
        let answer = sql(&world, statement);
        assert!(matches!(answer, Err(QueryError::Sql(_))), "{statement}: {answer:?}");
    }
    let error = sql(&world, "SELECT * FROM telemetry_hourli").unwrap_err().to_string();
    assert_eq!(error, "table 'telemetry_hourli' not found");
    assert_eq!(
        sql(&world, "SELECT * FROM gaps").unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(),
        0
    );
}

#[test]
fn a_query_ends_when_it_is_told_to() {
    let world = world(2_000, 100, 1_000);
    let cross = "SELECT count(*) FROM logs a, logs b, logs c WHERE a.body < b.body AND b.body < c.body";
    let late = Control::with_limit(Duration::from_millis(200));
    let start = std::time::Instant::now();
    let answer = world.engine.sql(cross, &late, &mut Rows::default());
    assert!(matches!(answer, Err(QueryError::TimedOut | QueryError::TooLarge(_))), "{answer:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let cancelled = control();
    cancelled.cancel();
    let answer = world.engine.search(&request(Filter::All), &cancelled);
    assert!(matches!(answer, Err(QueryError::Cancelled)), "{answer:?}");
}

/// All pages from a place on, and where the last one ends.
fn arrived(world: &World, from: Arrival, filter: &Filter, source: &str, limit: usize) -> (Vec<Hit>, Arrival) {
    let (all, end, _) = arrived_within(world, from, filter, source, limit, Duration::MAX);
    (all, end)
}

/// The same, how many there were, and with pages of what is found within a time.
fn arrived_within(
    world: &World,
    from: Arrival,
    filter: &Filter,
    source: &str,
    limit: usize,
    patience: Duration,
) -> (Vec<Hit>, Arrival, usize) {
    let wants = |name: &str| source.is_empty() || name == source;
    let (mut all, mut from, mut pages) = (Vec::new(), from, 0);
    loop {
        let request = ArrivalsRequest { from, filter, wants: &wants, limit, patience };
        let Arrivals { hits, until, is_end, .. } = world.engine.arrivals(&request, &control()).unwrap();
        assert!(hits.len() <= limit && (until > from || is_end && until == from), "{until:?}");
        (from, pages) = (until, pages + 1);
        all.extend(hits);
        if is_end {
            return (all, from, pages);
        }
    }
}

#[test]
fn arrivals_come_in_the_order_of_the_batches_and_go_on_anywhere() {
    // In segments, in memory as columns, and in the batch that grows.
    let world = world(6_000, 40, 2_400);
    let start = Arrival { observed: Timestamp(i64::MIN), offset: 0 };
    let (all, end) = arrived(&world, start, &Filter::All, "", 70);
    assert_eq!(all.len(), 6_000);
    let place = |hit: &Hit| Arrival { observed: hit.observed, offset: hit.offset };
    assert!(all.is_sorted_by(|a, b| place(a) < place(b)));
    // Who has no time gets it in steps.
    let (in_steps, same_end, steps) = arrived_within(&world, start, &Filter::All, "", 7_000, Duration::ZERO);
    assert!(in_steps == all && same_end == end && steps > 2, "{steps} steps");
    for batch in all.chunks(40) {
        assert!(batch.iter().all(|hit| hit.observed == batch[0].observed && hit.source == batch[0].source));
    }
    assert!(end > place(all.last().unwrap()));
    for at in [0, 39, 40, 2_399, 2_400, 5_999] {
        let (rest, _) = arrived(&world, place(&all[at]), &Filter::All, "", 1_000);
        assert_eq!(rest, all[at..], "from {at}");
    }
    assert_eq!(arrived(&world, end, &Filter::All, "", 10), (Vec::new(), end));
    let filter = world.engine.parse("sshd status>=0 OR severity>=error").unwrap();
    let wanted: Vec<Hit> = world.plain(|_| true).into_iter().filter(|hit| hit.source == SOURCES[1]).collect();
    let matches = world.engine.search(&request(filter.clone()), &control()).unwrap().hits;
    let (some, _) = arrived(&world, start, &filter, SOURCES[1], 7);
    assert_eq!(some.len(), matches.iter().filter(|hit| wanted.contains(hit)).count());
    assert!(!some.is_empty() && some.iter().all(|hit| matches.contains(hit)));
}

#[test]
fn samples_are_a_table_whose_times_are_looked_up() {
    let world = world(10, 10, 10);
    let second = Timestamp::SECOND;
    let start = 1_793_491_200 * second;
    // More than two pages, of two machines.
    let samples: Vec<StoredSample> = (0..10_000)
        .map(|number| {
            let mut figures = [None; FIGURES.len()];
            figures[0] = (number % 2 == 0).then_some(number as f64 / 100.0);
            let node = if number % 4 == 0 { "192.168.1.100" } else { "web-2" }.to_owned();
            let envelope = format!("{{\"number\":{number}}}");
            StoredSample { node, time: Timestamp(start + number * second), figures, envelope }
        })
        .collect();
    world.engine.store.history().insert(&samples).unwrap();
    let count = |condition: &str| {
        let batches = sql(&world, &format!("SELECT count(*) FROM telemetry {condition}")).unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    };
    assert_eq!(count(""), 10_000);
    assert_eq!(count("WHERE node_id = '192.168.1.100'"), 2_500);
    assert_eq!(count("WHERE cpu_usage_percent IS NULL"), 5_000);
    assert_eq!(count("WHERE time >= '2026-11-01T00:01:40Z' AND time < '2026-11-01T00:03:20Z'"), 100);
    assert_eq!(count("WHERE time BETWEEN '2026-11-01T00:00:00Z' AND '2026-11-01T00:00:09Z'"), 10);
    assert_eq!(count("WHERE metrics LIKE '%:9999}'"), 1);
    // The statement of the page of Resolvix.
    let batches =
        sql(&world, "SELECT time, cpu_usage_percent FROM telemetry WHERE node_id = '192.168.1.100'").unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2_500);
    // The name of a machine is looked up, whichever way it stands there; and so are all tables.
    assert_eq!(count("WHERE 'web-2' = node_id AND time < '2026-11-01T00:00:08Z'"), 6);
    let known = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    let batches = sql(&world, known).unwrap();
    let name = |batch: &RecordBatch, row| array_value_to_string(batch.column(0), row).unwrap();
    let names: Vec<String> =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| name(batch, row))).collect();
    assert_eq!(
        names,
        [
            "daily_aggregates",
            "gaps",
            "hourly_aggregates",
            "logs",
            "network_metrics",
            "nodes",
            "system_metrics",
            "telemetry",
            "telemetry_daily",
            "telemetry_hourly",
        ]
    );
}
