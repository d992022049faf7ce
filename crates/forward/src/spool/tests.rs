//! The spool against a list: whatever is put in comes out, in order, once, through restarts, cuts and want of space; and what was
//! dropped is said.

use std::time::Duration;

use fs_err as fs;
use proptest::prelude::*;
use taffrail_record::{Checkpoint, RawBatch, RawLine, Span, Timestamp};

use super::{Dropped, Spool, segment};
use crate::entry::{Content, Entry};

const NOW: fn() -> Timestamp = || Timestamp(1_793_491_200_000_000_000);
const NO_TIME: Duration = Duration::ZERO;
const MUCH: u64 = 1 << 30;

/// Lines `first..first + count` of a source, eight bytes each.
fn batch(source: &str, first: u64, count: u64) -> RawBatch {
    let bytes: String = (first..first + count).map(|number| format!("{number:07}\n")).collect();
    let line = |at: u64| RawLine {
        span: Span::new(at as usize * 8, at as usize * 8 + 7),
        offset: (first + at) * 8,
        newline: true,
        joined: false,
    };
    RawBatch {
        source: source.into(),
        observed: NOW(),
        bytes: bytes.into_bytes(),
        lines: (0..count).map(line).collect(),
        header: None,
        gaps: Vec::new(),
        checkpoint: Checkpoint { offset: (first + count) * 8, lines: first + count, state: "x".to_owned() },
    }
}

/// The numbers of the lines in an entry.
fn numbers(entry: &Entry) -> Vec<u64> {
    match entry.content().unwrap() {
        Content::Lines(batch, note) => {
            assert_eq!(note, "note");
            let number =
                |line: &RawLine| std::str::from_utf8(line.span.of(&batch.bytes)).unwrap().parse().unwrap();
            batch.lines.iter().map(number).collect()
        }
        _ => Vec::new(),
    }
}

fn open(folder: &std::path::Path, bytes: u64, targets: &[&str]) -> Spool {
    let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
    Spool::open(folder, bytes, &targets, NOW).unwrap()
}

fn all(reader: &mut super::Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let some = reader.next(4_096, NO_TIME).unwrap();
        if some.is_empty() {
            return entries;
        }
        entries.extend(some);
    }
}

#[test]
fn two_targets_read_in_their_own_time_and_files_go_when_both_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1 << 20, &["a", "b"]);
    for number in 0..1_500 {
        spool.put(&batch("/x.log", number * 100, 100), "note").unwrap();
    }
    let files = || segment::numbers(folder.path()).unwrap().len();
    let before = files();
    assert!(before > 1, "{before}");
    for target in ["a", "b"] {
        let entries = all(&mut spool.reader(target));
        let found: Vec<u64> = entries.iter().flat_map(numbers).collect();
        assert_eq!(found, (0..150_000).collect::<Vec<_>>());
        spool.done(target, entries.last().unwrap().sequence).unwrap();
        assert_eq!(files(), if target == "a" { before } else { 1 });
    }
    assert_eq!(spool.fill().entries, 0);
    // The place in the source outlives its files.
    drop(spool);
    let spool = open(folder.path(), 1 << 20, &["a", "b"]);
    assert_eq!(spool.checkpoints(), [("/x.log".to_owned(), batch("", 149_900, 100).checkpoint)]);
    assert!(all(&mut spool.reader("a")).is_empty());
    spool.put(&batch("/x.log", 150_000, 1), "note").unwrap();
    assert_eq!(all(&mut spool.reader("b")).iter().flat_map(numbers).collect::<Vec<_>>(), [150_000]);
}

#[test]
fn a_full_spool_gives_up_the_oldest_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 256 << 10, &["slow", "quick"]);
    let (mut slow, mut quick) = (spool.reader("slow"), spool.reader("quick"));
    let mut seen = Vec::new();
    for number in 0..2_000 {
        spool.put(&batch("/x.log", number * 50, 50), "note").unwrap();
        let entries = all(&mut quick);
        seen.extend(entries.iter().flat_map(numbers));
        spool.done("quick", entries.last().unwrap().sequence).unwrap();
    }
    assert_eq!(seen, (0..100_000).collect::<Vec<_>>(), "who keeps up has all of it");
    let fill = spool.fill();
    assert!(fill.bytes <= 256 << 10 && fill.dropped.lines > 0, "{fill:?}");
    let entries = all(&mut slow);
    let found: Vec<u64> = entries.iter().flat_map(numbers).collect();
    assert_eq!(found.len() as u64 + fill.dropped.lines, 100_000);
    assert!(found.is_sorted() && found.last() == Some(&99_999));
    // The losses say which bytes are missing: all before the first that is there.
    let mut missing = Vec::new();
    for entry in &entries {
        if let Some(Content::Loss { entries, batch }) = entry.content() {
            assert!(slow.has_missed(entries) && !quick.has_missed(entries));
            missing.extend(batch.gaps.iter().map(|gap| (gap.start, gap.end)));
        }
    }
    let end = missing.iter().map(|(_, end)| *end).max().unwrap();
    assert_eq!(end, found[0] * 8);
}

#[test]
fn a_torn_end_is_left_and_its_numbers_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MUCH, &["a"]);
    for number in 0..10 {
        spool.put(&batch("/x.log", number, 1), "note").unwrap();
    }
    spool.done("a", 9).unwrap();
    drop(spool);
    let path = segment::path(folder.path(), 1);
    let bytes = fs::read(&path).unwrap();
    // The power went before the last two were on the disk, though the target has one of them.
    let mut keep = 0;
    for _ in 0..8 {
        keep = bytes.len() - Entry::read(&bytes[keep..]).unwrap().1.len();
    }
    fs::write(&path, &bytes[..keep + 5]).unwrap();
    let spool = open(folder.path(), MUCH, &["a"]);
    assert_eq!(spool.checkpoints()[0].1.lines, 8);
    // They are read from the source again.
    spool.put(&batch("/x.log", 8, 1), "note").unwrap();
    spool.put(&batch("/x.log", 9, 1), "note").unwrap();
    let found: Vec<u64> = all(&mut spool.reader("a")).iter().flat_map(numbers).collect();
    assert_eq!(found, [8, 9]);
}

#[test]
fn samples_go_with_the_lines_and_names_stay() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MUCH, &["a"]);
    spool.put(&batch("/x.log", 0, 3), "note").unwrap();
    spool.put_sample("{\"node_id\":\"web-1\"}").unwrap();
    let id = spool.id().to_owned();
    let entries = all(&mut spool.reader("a"));
    assert_eq!(numbers(&entries[0]), [0, 1, 2]);
    assert!(matches!(entries[1].content(), Some(Content::Sample(text)) if text.contains("web-1")));
    assert_eq!((entries[0].lines, spool.fill().dropped), (3, Dropped::default()));
    let error = Spool::open(folder.path(), MUCH, &[], NOW).unwrap_err();
    assert!(error.to_string().contains("another agent"), "{error}");
    drop(spool);
    assert_eq!(open(folder.path(), MUCH, &["a"]).id(), id);
}

/// What a power cut leaves: of each file what was synced.
fn cut_the_power(spool: Spool, folder: &std::path::Path) {
    let segments = spool.shared.state().segments.clone();
    drop(spool);
    for file in segments {
        let path = segment::path(folder, file.first);
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(file.synced).unwrap();
    }
}

#[test]
fn a_power_cut_takes_no_line_that_is_noted_as_read() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1 << 20, &["a"]);
    for number in 0..1_500 {
        spool.put(&batch("/x.log", number * 100, 100), "note").unwrap();
    }
    let done = spool.shared.state().segments[1].last;
    spool.done("a", done).unwrap();
    assert!(!segment::path(folder.path(), 1).exists());
    spool.put(&batch("/x.log", 150_000, 100), "note").unwrap();
    cut_the_power(spool, folder.path());
    let spool = open(folder.path(), 1 << 20, &["a"]);
    let read = spool.checkpoints()[0].1.lines;
    let found: Vec<u64> = all(&mut spool.reader("a")).iter().flat_map(numbers).collect();
    assert_eq!(found, (done * 100..read).collect::<Vec<_>>(), "the rest is read again");
    spool.put(&batch("/x.log", read, 1), "note").unwrap();
}

#[test]
fn a_file_without_a_whole_entry_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MUCH, &["a"]);
    spool.put(&batch("/x.log", 0, 1), "note").unwrap();
    drop(spool);
    for torn in [&b""[..], b"torn"] {
        fs::write(segment::path(folder.path(), 2), torn).unwrap();
        let spool = open(folder.path(), MUCH, &["a"]);
        assert_eq!(spool.fill().entries, 1);
    }
    let spool = open(folder.path(), MUCH, &["a"]);
    spool.put(&batch("/x.log", 1, 1), "note").unwrap();
    assert_eq!(all(&mut spool.reader("a")).iter().flat_map(numbers).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_full_disk_keeps_no_files_that_all_have() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 1 << 20, &["a"]);
    let mut number = 0;
    let mut fill = |spool: &Spool| {
        let before = spool.shared.state().segments.len();
        while spool.shared.state().segments.len() < before + 2 {
            spool.put(&batch("/x.log", number * 100, 100), "note").unwrap();
            number += 1;
        }
    };
    fill(&spool);
    // In its place nothing can be written.
    let place = folder.path().join("checkpoints.json.new");
    fs::create_dir(&place).unwrap();
    let done_but_for = |spool: &Spool, count: u64| {
        let last = spool.shared.state().next - 1;
        spool.done("a", last - count).unwrap();
    };
    done_but_for(&spool, 1);
    assert_eq!(segment::numbers(folder.path()).unwrap().len(), 1);
    assert!(!folder.path().join("checkpoints.json").exists());
    // As soon as there is room, it is noted.
    fs::remove_dir(&place).unwrap();
    done_but_for(&spool, 0);
    let noted = fs::read_to_string(folder.path().join("checkpoints.json")).unwrap();
    assert!(noted.contains("/x.log"), "{noted}");
}

#[test]
fn what_is_added_is_added_though_nothing_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 128 << 10, &["a"]);
    let mut number = 0;
    let mut put = |spool: &Spool| spool.put(&batch("/x.log", number * 50, 50), "note").map(|()| number += 1);
    while spool.shared.state().segments.len() < 2 {
        put(&spool).unwrap();
    }
    let (first, aside) = (segment::path(folder.path(), 1), folder.path().join("aside"));
    fs::rename(&first, &aside).unwrap();
    fs::create_dir(&first).unwrap();
    while spool.fill().bytes <= 128 << 10 {
        put(&spool).unwrap();
    }
    put(&spool).unwrap();
    let fill = spool.fill();
    assert_eq!((fill.dropped, fill.failing), (Dropped::default(), None));
    fs::remove_dir(&first).unwrap();
    fs::rename(&aside, &first).unwrap();

    // The oldest is dropped, but there is no room for the word of it.
    let next = spool.shared.state().next;
    spool.shared.state().tail = None;
    let place = segment::path(folder.path(), next);
    fs::create_dir(&place).unwrap();
    spool.shared.bound(&mut spool.shared.state());
    assert!(spool.fill().dropped.lines > 0 && spool.fill().dropped_at == Some(NOW()));
    put(&spool).unwrap_err();
    assert!(spool.fill().failing.is_some());
    fs::remove_dir(&place).unwrap();
    put(&spool).unwrap();
    assert_eq!(spool.fill().failing, None);
    let mut reader = spool.reader("a");
    let entries = all(&mut reader);
    let found: Vec<u64> = entries.iter().flat_map(numbers).collect();
    assert_eq!(found, (found[0]..number * 50).collect::<Vec<_>>());
    assert_eq!(losses(&entries, &reader), [(0, found[0] * 8)]);
}

/// The stretches that a reader is told it has missed.
fn losses(entries: &[Entry], reader: &super::Reader) -> Vec<(u64, u64)> {
    let mut losses = Vec::new();
    for entry in entries {
        if let Some(Content::Loss { entries, batch }) = entry.content()
            && reader.has_missed(entries)
        {
            losses.extend(batch.gaps.iter().map(|gap| (gap.start, gap.end)));
        }
    }
    losses
}

#[test]
fn what_was_missed_before_a_restart_is_told_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 256 << 10, &["a", "b"]);
    let mut number = 0;
    while spool.fill().dropped.lines == 0 {
        spool.put(&batch("/x.log", number * 50, 50), "note").unwrap();
        number += 1;
    }
    // It has what is left of the lines, but has not come to the loss.
    let mut reader = spool.reader("a");
    let first = reader.next(1, NO_TIME).unwrap();
    reader.done(first[0].sequence).unwrap();
    drop((reader, spool));
    let spool = open(folder.path(), 256 << 10, &["a", "b"]);
    let mut reader = spool.reader("a");
    let entries = all(&mut reader);
    assert_eq!(losses(&entries, &reader), [(0, numbers(&first[0])[0] * 8)]);
}

#[test]
fn a_body_is_no_larger_than_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), MUCH, &["a"]);
    for number in 0..20 {
        spool.put(&batch("/x.log", number * 10, if number == 7 { 500 } else { 10 }), "note").unwrap();
    }
    let mut reader = spool.reader("a");
    let (mut sequence, mut most) = (0, 0);
    loop {
        let entries = reader.next(400, NO_TIME).unwrap();
        let bytes: usize = entries.iter().map(Entry::bytes).sum();
        assert!(bytes <= 400 || entries.len() == 1, "{bytes} bytes in {}", entries.len());
        most = most.max(entries.len());
        for entry in &entries {
            sequence += 1;
            assert_eq!(entry.sequence, sequence);
        }
        if entries.is_empty() {
            break;
        }
    }
    assert!(sequence == 20 && most > 1, "{sequence} {most}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    Read,
    Done,
    Reopen,
}

proptest! {
    #[test]
    fn whatever_happens_each_line_comes_once_and_in_order(steps in prop::collection::vec(
        prop_oneof![(1u64..400).prop_map(Step::Put), Just(Step::Read), Just(Step::Done), Just(Step::Reopen)], 1..80)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path(), MUCH, &["a"]);
        let mut reader = spool.reader("a");
        let (mut put, mut read, mut kept, mut last) = (0, Vec::new(), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Put(count) => {
                    spool.put(&batch("/x.log", put, count), "note").unwrap();
                    put += count;
                }
                Step::Read => {
                    for entry in reader.next(2_000, NO_TIME).unwrap() {
                        read.extend(numbers(&entry));
                        last = entry.sequence;
                    }
                }
                Step::Done if last > 0 => {
                    spool.done("a", last).unwrap();
                    kept.append(&mut read);
                }
                Step::Done => {}
                Step::Reopen => {
                    drop((reader, spool));
                    spool = open(folder.path(), MUCH, &["a"]);
                    reader = spool.reader("a");
                    // What was not noted as done comes again.
                    read.clear();
                    last = 0;
                    let at = spool.checkpoints().first().map_or(0, |(_, checkpoint)| checkpoint.lines);
                    prop_assert_eq!(at, put);
                }
            }
        }
        read.extend(all(&mut reader).iter().flat_map(numbers));
        kept.append(&mut read);
        prop_assert_eq!(kept, (0..put).collect::<Vec<_>>());
    }
}
