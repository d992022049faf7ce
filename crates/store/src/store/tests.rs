//! The store's promises: what was appended is there once, whatever happens in between.

mod faults;
mod full;
mod harness;

use std::path::Path;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use fs_err as fs;
use taffrail_record::{
    Attribute, AttributeKind, Checkpoint, Gap, GapReason, LogBatch, LogRecord, RawBatch, RawLine, Severity,
    Span, Timestamp,
};
use taffrail_testkit::wait_until;

use super::append::{Append, Receipt};
use super::{Access, Limits, Recovered, Snapshot, Store};
use crate::engine::GapTotal;
use crate::error::Error;
use crate::index::word::Words;
use crate::schema;
use crate::segment::Columns;
use crate::wal;

const SOURCE: &str = "/var/log/a.log";

/// Lines `first..first + count` of the source, one a second.
fn raw(first: u64, count: u64) -> RawBatch {
    raw_of(SOURCE, Timestamp(7), first, count)
}

fn raw_of(source: &str, observed: Timestamp, first: u64, count: u64) -> RawBatch {
    let mut bytes = Vec::new();
    let mut lines = Vec::new();
    for number in first..first + count {
        let start = bytes.len();
        bytes.extend_from_slice(line(number).as_bytes());
        lines.push(RawLine {
            span: Span::new(start, bytes.len()),
            offset: number * 100,
            newline: true,
            joined: false,
        });
        bytes.push(b'\n');
    }
    let checkpoint = Checkpoint {
        offset: (first + count) * 100,
        lines: first + count,
        state: format!("at {}", first + count),
    };
    RawBatch { source: source.into(), observed, bytes, lines, header: None, gaps: Vec::new(), checkpoint }
}

fn line(number: u64) -> String {
    format!("line number {number} of some length")
}

/// A parser for tests: every line is its body, its number an attribute of every third.
fn parse(raw: RawBatch, _: &str) -> LogBatch {
    let mut batch = LogBatch::new(raw.bytes);
    let source = batch.source(&raw.source).unwrap();
    let layout = batch.layout("{body}").unwrap();
    let number_key = batch.key("number").unwrap();
    for line in &raw.lines {
        let number = line.offset / 100;
        if number.is_multiple_of(3) {
            let value = batch.push_text(number.to_string().as_bytes()).unwrap();
            batch.push_attribute(Attribute { key: number_key, kind: AttributeKind::Integer, value });
        }
        batch.push(LogRecord {
            timestamp: Timestamp(number as i64 * 1_000_000_000),
            observed: raw.observed,
            offset: line.offset,
            raw: line.span,
            body: line.span,
            node: Span::default(),
            service: Span::default(),
            layout,
            source,
            severity: Severity::INFO,
        });
    }
    batch
}

fn open(directory: &Path, limits: Limits) -> (Store, Recovered) {
    Store::open(directory, Access::Write, limits, &mut parse).unwrap()
}

fn append(store: &Store, raw: RawBatch) -> Receipt {
    let frame = wal::Frame::new(&raw, "note");
    let (checkpoint, gaps) = (raw.checkpoint.clone(), raw.gaps.clone());
    store.append(Append { frame, batch: parse(raw, ""), source: SOURCE, checkpoint, gaps }).unwrap()
}

fn batches(snapshot: &Snapshot) -> Vec<RecordBatch> {
    let mut all: Vec<RecordBatch> = snapshot.memory.iter().map(|batch| batch.as_ref().clone()).collect();
    for segment in snapshot.segments.iter() {
        for row_group in 0..segment.row_groups() {
            let wanted = vec![true; segment.granules_of(row_group).len()];
            all.extend(segment.read(row_group, &wanted, &Columns::All).unwrap().map(Result::unwrap));
        }
    }
    all
}

/// Every stored line's number, sorted; checks each body and attribute on the way.
fn numbers(store: &Store) -> Vec<u64> {
    let mut numbers = Vec::new();
    for batch in batches(&store.snapshot().unwrap()) {
        let offsets = batch.column_by_name(schema::OFFSET).unwrap().as_primitive::<Int64Type>();
        let bodies = batch.column_by_name(schema::BODY).unwrap().as_string_view();
        for row in 0..batch.num_rows() {
            let number = offsets.value(row) as u64 / 100;
            assert_eq!(bodies.value(row), line(number));
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers
}

fn expect(store: &Store, count: u64) {
    assert_eq!(numbers(store), (0..count).collect::<Vec<_>>());
    let checkpoint = &store.checkpoints().unwrap()[0];
    assert_eq!((checkpoint.0.as_str(), checkpoint.1.offset), (SOURCE, count * 100));
}

#[test]
fn appended_records_survive_reopening_without_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    append(&store, raw(0, 10)).wait().unwrap();
    append(&store, raw(10, 5_000));
    expect(&store, 5_010);
    drop(store);
    let (store, recovered) = open(directory.path(), Limits::default());
    assert_eq!((recovered.replayed, recovered.reports.len()), (5_010, 0));
    expect(&store, 5_010);
    store.flush().unwrap();
    expect(&store, 5_010);
    drop(store);
    let (store, recovered) = open(directory.path(), Limits::default());
    assert_eq!(recovered.replayed, 0);
    assert_eq!(store.stats().unwrap().segments, 1);
    expect(&store, 5_010);
}

#[test]
fn full_memtables_become_segments_and_small_segments_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits { memtable_bytes: 256 << 10, ..Limits::default() });
    let mut count = 0;
    for _ in 0..400 {
        append(&store, raw(count, 50));
        count += 50;
    }
    store.flush().unwrap();
    expect(&store, count);
    drop(store);
    let (store, _) = open(directory.path(), Limits::default());
    append(&store, raw(count, 50));
    store.flush().unwrap();
    expect(&store, count + 50);
    let stats = store.stats().unwrap();
    assert_eq!((stats.records, stats.records_in_memory), (count + 50, 0));
    assert!(stats.segments < 30, "{} segments", stats.segments);
}

#[test]
fn large_row_groups_are_merged_as_they_are() {
    const ROWS: u64 = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    for segment in 0..8 {
        append(&store, raw(segment * ROWS, ROWS));
        store.flush().unwrap();
    }
    let merged = wait_until(Duration::from_secs(30), || store.stats().unwrap().segments == 1);
    assert!(merged, "{} segments", store.stats().unwrap().segments);
    drop(store);
    let (store, _) = open(directory.path(), Limits::default());
    expect(&store, 8 * ROWS);
    let snapshot = store.snapshot().unwrap();
    let segment = &snapshot.segments[0];
    assert_eq!(segment.row_groups(), 8, "made anew they would be four");
    assert_eq!((segment.meta.min_timestamp, segment.meta.rows), (0, 8 * ROWS));
    // The filters stand with their row groups: a number is found where it is, and hardly elsewhere.
    let mut hashes = Vec::new();
    Words::default().hashes(b"123456", |hash| hashes.push(hash));
    let possible = |group| segment.index.granules_with(group, &hashes).unwrap();
    let hits: Vec<usize> = (0..8).map(|group| possible(group).iter().filter(|hit| **hit).count()).collect();
    assert!(possible(4)[0], "{hits:?}");
    assert!(hits.iter().sum::<usize>() < 8, "{hits:?}");
    // Single pages are found, too.
    let rows = segment.read_rows(4, &[3_456], &Columns::All).unwrap().next().unwrap().unwrap();
    let body = rows.column_by_name(schema::BODY).unwrap().as_string_view().value(0).to_owned();
    assert_eq!(body, line(4 * ROWS + 3_456));
}

#[test]
fn attributes_come_back_from_segments() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    append(&store, raw(0, 100));
    store.flush().unwrap();
    for batch in batches(&store.snapshot().unwrap()) {
        let numbers = batch.column_by_name(schema::ATTRIBUTES).unwrap().as_struct().column(0).clone();
        let numbers = numbers.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let want = row.is_multiple_of(3).then_some(row as i64);
            assert_eq!(numbers.iter().nth(row).flatten(), want);
        }
    }
}

#[test]
fn a_second_writer_is_refused_by_name_and_pid() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, _) = open(directory.path(), Limits::default());
    let second = Store::open(directory.path(), Access::Write, Limits::default(), &mut parse).map(|_| ());
    let Err(Error::InUse { holder, .. }) = second else { panic!("{second:?}") };
    assert!(holder.contains(&format!("(pid {})", std::process::id())), "{holder}");
}

#[test]
fn a_reader_sees_everything_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Store::open(directory.path(), Access::Read, Limits::default(), &mut parse).map(|_| ());
    assert!(matches!(missing, Err(Error::Missing(_))), "{missing:?}");
    let (store, _) = open(directory.path(), Limits::default());
    append(&store, raw(0, 100));
    store.flush().unwrap();
    append(&store, raw(100, 100));
    drop(store);
    for _ in 0..2 {
        let (reader, recovered) =
            Store::open(directory.path(), Access::Read, Limits::default(), &mut parse).unwrap();
        assert_eq!(recovered.replayed, 100);
        expect(&reader, 200);
    }
}

#[test]
fn a_lost_catalog_is_rebuilt_from_the_segments() {
    for damage in ["delete", "overwrite", "truncate"] {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path(), Limits::default());
        append(&store, raw(0, 1_000));
        store.flush().unwrap();
        append(&store, raw(1_000, 1_000));
        store.flush().unwrap();
        append(&store, raw(2_000, 10));
        drop(store);
        let catalog = directory.path().join("taffrail.db");
        match damage {
            "delete" => fs::remove_file(&catalog).unwrap(),
            "overwrite" => fs::write(&catalog, vec![0x5a; 20_000]).unwrap(),
            _ => fs::OpenOptions::new().write(true).open(&catalog).unwrap().set_len(5_000).unwrap(),
        }
        let (store, recovered) = open(directory.path(), Limits::default());
        assert!(damage == "delete" || !recovered.reports.is_empty(), "{damage}");
        expect(&store, 2_010);
        append(&store, raw(2_010, 10));
        expect(&store, 2_020);
    }
}

/// A store of two segments with 500 records each, closed.
fn two_segments() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    for first in [0, 500] {
        append(&store, raw(first, 500));
        store.flush().unwrap();
    }
    directory
}

fn spoil_end(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len();
    bytes[end - 40..].fill(0xff);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_segment_is_set_aside_and_the_rest_is_served() {
    let directory = two_segments();
    spoil_end(&directory.path().join("segments/000000000001.parquet"));
    let (store, recovered) = open(directory.path(), Limits::default());
    assert!(recovered.reports.iter().any(|report| report.contains("500 records")), "{:?}", recovered.reports);
    assert_eq!(numbers(&store), (500..1_000).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(directory.path().join("quarantine")).unwrap().count(), 2);
}

#[test]
fn a_lost_or_damaged_index_is_made_anew() {
    for lost in [true, false] {
        let directory = two_segments();
        let index = directory.path().join("segments/000000000001.idx");
        let before = open(directory.path(), Limits::default()).0.stats().unwrap();
        if lost {
            fs::remove_file(&index).unwrap();
        } else {
            spoil_end(&index);
        }
        let (store, recovered) = open(directory.path(), Limits::default());
        assert!(
            recovered.reports.iter().any(|report| report.contains("made anew")),
            "{:?}",
            recovered.reports
        );
        expect(&store, 1_000);
        let after = store.stats().unwrap();
        assert_eq!((after.groups, after.raw_bytes), (before.groups, before.raw_bytes));
        drop(store);
        assert!(open(directory.path(), Limits::default()).1.reports.is_empty());
    }
}

#[test]
fn old_log_files_do_not_lead_a_source_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    append(&store, raw(0, 10));
    let log = wal::file_path(&directory.path().join("wal"), 1);
    let kept = fs::read(&log).unwrap();
    append(&store, raw(10, 10));
    store.flush().unwrap();
    drop(store);
    // As if the process had ended before it removed the log file, and the catalog were lost, too.
    fs::write(&log, kept).unwrap();
    fs::remove_file(directory.path().join("taffrail.db")).unwrap();
    expect(&open(directory.path(), Limits::default()).0, 20);
}

#[test]
fn a_torn_log_is_read_up_to_its_last_good_frame() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    let log = wal::file_path(&directory.path().join("wal"), 1);
    let ends = [0, 10, 20].map(|first| {
        append(&store, raw(first, 10));
        fs::metadata(&log).unwrap().len() as usize
    });
    drop(store);
    let whole = fs::read(&log).unwrap();
    for cut in [ends[2] - 1, ends[1] + 1, ends[1], ends[1] - 5, ends[0] + 4, 3, 0] {
        fs::write(&log, &whole[..cut]).unwrap();
        let copy = tempfile::tempdir().unwrap();
        for part in ["wal", "segments"] {
            fs::create_dir_all(copy.path().join(part)).unwrap();
        }
        fs::copy(&log, wal::file_path(&copy.path().join("wal"), 1)).unwrap();
        let (store, _) = open(copy.path(), Limits::default());
        let frames = ends.iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(numbers(&store).len() as u64, frames * 10, "cut at {cut}");
        append(&store, raw(frames * 10, 10));
        drop(store);
        let (store, _) = open(copy.path(), Limits::default());
        expect(&store, frames * 10 + 10);
    }
}

#[test]
fn gaps_are_kept_with_their_lines() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    let mut batch = raw(0, 1);
    batch.gaps.push(Gap { start: 40, end: 90, observed: Timestamp(5), reason: GapReason::Oversize });
    append(&store, batch);
    store.flush().unwrap();
    let gap = &store.gaps().unwrap()[0];
    assert_eq!((gap.source.as_str(), gap.start, gap.end, gap.observed.0), (SOURCE, 40, 90, 5));
    assert_eq!(gap.reason, "oversize");
    assert_eq!(store.stats().unwrap().gap_bytes, 50);
}

#[test]
fn gaps_are_summed_once_wherever_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    let gap = |start, end, observed, reason| Gap { start, end, observed: Timestamp(observed), reason };
    let put = |first, gaps: &[Gap]| {
        let mut batch = raw(first, 1);
        batch.gaps.extend_from_slice(gaps);
        append(&store, batch);
    };
    let sums = |newest| {
        let gaps = store.gap_sums(newest).unwrap();
        let sum = |total: &GapTotal| (total.reason.clone(), total.gaps, total.bytes, total.newest.0);
        let newest: Vec<_> = gaps.newest.iter().map(|gap| gap.observed.0).collect();
        (gaps.totals.iter().map(sum).collect::<Vec<_>>(), newest)
    };
    let oversize = |gaps, bytes, newest| ("oversize".to_owned(), gaps, bytes, newest);
    assert_eq!(sums(10), (vec![], vec![]));
    let first = gap(40, 90, 5, GapReason::Oversize);
    put(0, &[first.clone(), gap(90, 91, 7, GapReason::Decode)]);
    let decode = ("decode".to_owned(), 1, 1, 7);
    assert_eq!(sums(10), (vec![decode.clone(), oversize(1, 50, 5)], vec![7, 5]));
    store.flush().unwrap();
    assert_eq!(sums(10), (vec![decode.clone(), oversize(1, 50, 5)], vec![7, 5]), "sealed");
    put(1, &[first, gap(100, 200, 9, GapReason::Oversize)]);
    assert_eq!(sums(2), (vec![decode, oversize(2, 150, 9)], vec![9, 7]), "one of them is known");
    assert_eq!(store.stats().unwrap().gap_bytes, 151);
}

#[test]
fn retention_removes_the_oldest_segments_and_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: Some(1), max_age: Some(Duration::from_secs(1)), ..Limits::default() };
    let (store, _) = open(directory.path(), limits);
    append(&store, raw(0, 100));
    store.flush().unwrap();
    let files = || fs::read_dir(directory.path().join("segments")).unwrap().count();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while files() > 0 && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(files(), 0);
    assert_eq!(store.stats().unwrap().records, 0);
    assert_eq!(store.checkpoints().unwrap()[0].1.offset, 10_000, "what was removed is not read again");
    // Whoever asks for what was there learns it, also after a restart.
    let deleted = store.snapshot().unwrap().deleted;
    assert!(deleted.is_some());
    drop(store);
    let (store, _) = open(directory.path(), Limits::default());
    assert_eq!(store.snapshot().unwrap().deleted, deleted);
    append(&store, raw(100, 100));
    store.flush().unwrap();
    assert_eq!(store.snapshot().unwrap().deleted, deleted, "what is added changes nothing");
}

#[test]
fn a_bulk_import_commits_with_its_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Limits::default());
    let bulk = store.bulk();
    for first in [0, 1_000] {
        let raw = raw(first, 1_000);
        let checkpoint = raw.checkpoint.clone();
        bulk.append(bulk.encode(vec![parse(raw, "")]).unwrap(), SOURCE, checkpoint, Vec::new()).unwrap();
    }
    bulk.finish().unwrap();
    expect(&store, 2_000);
    drop(store);
    expect(&open(directory.path(), Limits::default()).0, 2_000);
}

#[test]
fn batches_arrive_one_after_the_other_whatever_the_clock_says() {
    let directory = tempfile::tempdir().unwrap();
    let now = 1_800_000_000_000_000_000;
    let hour = 3_600 * 1_000_000_000;
    // The clock stands still, goes back a little, goes on, and is set back by ten years.
    let clock =
        [now, now, now - 5, now - hour / 2, now + 10, now + 10, now - 87_600 * hour, now - 87_600 * hour];
    let expected = [0, 1, 2, 3, 10, 11, -87_600 * hour, -87_600 * hour + 1].map(|after| now + after);
    let mut arrived = Vec::new();
    for (number, observed) in (0..).zip(clock) {
        let (store, _) = open(directory.path(), Limits::default());
        arrived.push(append(&store, raw_of(SOURCE, Timestamp(observed), number, 1)).arrived().0);
        if number % 3 == 2 {
            store.flush().unwrap();
        }
        assert_eq!(store.snapshot().unwrap().arrived.0, arrived[arrived.len() - 1]);
    }
    assert_eq!(arrived, expected);
    let (store, _) = open(directory.path(), Limits::default());
    let snapshot = store.snapshot().unwrap();
    let mut observed = Vec::new();
    for batch in batches(&snapshot) {
        let times = |index: usize| batch.column(index).as_primitive::<TimestampNanosecondType>().values();
        observed.extend(times(1).iter().copied());
    }
    observed.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(observed, arrived, "from segments and from the log");
}
