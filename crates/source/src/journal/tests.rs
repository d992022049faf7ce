//! Real journal files, read by the real `journalctl`.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs_err as fs;
use taffrail_record::{Checkpoint, RawBatch, Timestamp};
use taffrail_testkit::{JournalEntry, append_journal, wait_until};

use super::*;
use crate::Stopped;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a source handed over, as a store keeps it.
#[derive(Clone, Default)]
struct Stored {
    batches: Arc<Mutex<Vec<RawBatch>>>,
}

impl Stored {
    fn sink(&self) -> Box<dyn Sink> {
        let batches = Arc::clone(&self.batches);
        Box::new(move |batch: RawBatch| {
            batches.lock().unwrap().push(batch);
            Ok(())
        })
    }

    fn lines(&self) -> Vec<String> {
        let batches = self.batches.lock().unwrap();
        let lines = batches.iter().flat_map(|batch| {
            batch.lines.iter().map(|line| String::from_utf8(line.span.of(&batch.bytes).to_vec()).unwrap())
        });
        lines.collect()
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.batches.lock().unwrap().last().map(|batch| batch.checkpoint.clone())
    }

    fn gaps(&self) -> Vec<(u64, u64)> {
        let batches = self.batches.lock().unwrap();
        batches.iter().flat_map(|batch| batch.gaps.iter().map(|gap| (gap.start, gap.end))).collect()
    }

    /// The messages, of the form `N` or `...N`.
    fn messages(&self) -> Vec<String> {
        self.lines().iter().map(|line| field(line, "MESSAGE").unwrap_or_default()).collect()
    }

    /// Every line stands where the one before and the gaps ended.
    #[track_caller]
    fn assert_offsets(&self) {
        let batches = self.batches.lock().unwrap();
        let mut parts: Vec<(u64, u64)> = Vec::new();
        for batch in batches.iter() {
            parts.extend(batch.gaps.iter().map(|gap| (gap.start, gap.end)));
            parts.extend(
                batch.lines.iter().map(|line| {
                    (line.offset, line.offset + u64::from(line.span.len) + u64::from(line.newline))
                }),
            );
        }
        parts.sort_unstable();
        assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0), "{parts:?}");
    }
}

/// A text field of a JSON line.
fn field(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// Every entry is newer than this source.
fn clock() -> Timestamp {
    Timestamp(1_000_000_000)
}

fn config(place: &Path) -> JournalConfig {
    let place = JournalPlace::of_paths(&[place.display().to_string()]);
    JournalConfig { place, ..JournalConfig::default() }
}

fn start(config: &JournalConfig, stored: &Stored) -> SourceThread {
    follow_journal(config.clone(), stored.checkpoint().as_ref(), stored.sink(), clock).unwrap()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn write(path: &Path, range: std::ops::Range<u64>) {
    append_journal(path, range.map(|number| JournalEntry::new(number, number.to_string()))).unwrap();
}

#[track_caller]
fn has(stored: &Stored, journal: &SourceThread, want: &[String]) {
    let all = wait_until(PATIENCE, || stored.messages().len() >= want.len());
    assert!(all, "{:?} of {want:?}: {:?}", stored.messages(), journal.status());
    assert_eq!(stored.messages(), want);
    stored.assert_offsets();
}

#[test]
fn every_entry_comes_once_over_boots_rotations_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (config, stored) = (config(dir.path()), Stored::default());
    let journal = start(&config, &stored);
    assert!(wait_until(PATIENCE, || journal.status().state == SourceState::Missing));
    write(&path("system.journal"), 0..10);
    has(&stored, &journal, &numbers(0..10));
    let boot = |number: u64| JournalEntry::new(number, number.to_string()).with("_BOOT_ID", "2".repeat(32));
    append_journal(&path("system.journal"), (10..20).map(boot)).unwrap();
    has(&stored, &journal, &numbers(0..20));
    fs::rename(path("system.journal"), path("system@1.journal")).unwrap();
    write(&path("system.journal"), 20..30);
    has(&stored, &journal, &numbers(0..30));
    journal.stop();
    // While nobody reads: more entries, another rotation, and what was read is vacuumed.
    write(&path("system.journal"), 30..40);
    fs::rename(path("system.journal"), path("system@2.journal")).unwrap();
    write(&path("system.journal"), 40..50);
    fs::remove_file(path("system@1.journal")).unwrap();
    let journal = start(&config, &stored);
    has(&stored, &journal, &numbers(0..50));
    write(&path("system.journal"), 50..60);
    has(&stored, &journal, &numbers(0..60));
    assert_eq!(stored.gaps(), []);
    assert!(wait_until(PATIENCE, || journal.status().lines == 60));
    let status = journal.status();
    assert_eq!((status.state, status.offset), (SourceState::Following, stored.checkpoint().unwrap().offset));
}

#[test]
fn files_of_a_glob_are_followed_through_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write(&path("other.journal"), 100..101);
    let (config, stored) = (config(&path("x*.journal")), Stored::default());
    let journal = start(&config, &stored);
    for round in 0..3u64 {
        write(&path("x.journal"), round * 10..round * 10 + 5);
        has(&stored, &journal, &numbers(0..round * 10 + 5));
        fs::rename(path("x.journal"), path(&format!("x@{round}.journal"))).unwrap();
        write(&path("x.journal"), round * 10 + 5..round * 10 + 10);
        has(&stored, &journal, &numbers(0..round * 10 + 10));
    }
    assert_eq!(stored.gaps(), []);
}

#[test]
fn entries_that_are_gone_before_they_were_read_are_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (config, stored) = (config(dir.path()), Stored::default());
    write(&path("system.journal"), 0..10);
    let journal = start(&config, &stored);
    has(&stored, &journal, &numbers(0..10));
    journal.stop();
    write(&path("system.journal"), 10..25);
    // One sequence of entries goes through files, as with journald.
    fs::copy(path("system.journal"), path("old.journal")).unwrap();
    fs::remove_file(path("system.journal")).unwrap();
    fs::remove_file(path("old.journal")).unwrap();
    write(&path("system.journal"), 25..30);
    let journal = start(&config, &stored);
    let want: Vec<String> = numbers(0..10).into_iter().chain(numbers(25..30)).collect();
    has(&stored, &journal, &want);
    assert_eq!(stored.gaps().len(), 1, "{:?}", stored.gaps());
    let told = || journal.status().last_error.is_some_and(|error| error.contains("removed from the journal"));
    assert!(wait_until(PATIENCE, told), "{:?}", journal.status());
}

#[test]
fn an_entry_is_kept_whole_whatever_it_holds_and_reads_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let long = "long ".repeat(20_000);
    let entries = [
        JournalEntry::new(0, "two\nlines"),
        JournalEntry::new(1, b"bytes \xff\xfe\0 end"),
        JournalEntry::new(2, "twice").and("TAG", "a").and("TAG", "b").and("TAG", b"\xff"),
        JournalEntry::new(3, &long),
        JournalEntry::new(4, "\"__CURSOR\":\"s=no\""),
        JournalEntry::new(5, "quote \" \u{e9} \t\\"),
    ];
    append_journal(&dir.path().join("x.journal"), entries).unwrap();
    let config = config(dir.path());
    let read = || {
        let stored = Stored::default();
        let journal = start(&config, &stored);
        assert!(wait_until(PATIENCE, || stored.lines().len() >= 6), "{:?}", journal.status());
        stored.assert_offsets();
        stored.lines()
    };
    let lines = read();
    for (line, part) in lines.iter().zip([
        r#""MESSAGE":"two\nlines""#,
        r#""MESSAGE":[98,121,116,101,115,32,255,254,0,32,101,110,100]"#,
        r#""TAG":["a","b",[255]]"#,
        &long,
        r#""MESSAGE":"\"__CURSOR\":\"s=no\"""#,
        r#""MESSAGE":"quote \" é \t\\""#,
    ]) {
        assert!(line.contains(part), "{part} in {line}");
        assert!(line.starts_with("{\"MESSAGE\":") && line.ends_with('}'), "in order: {line}");
    }
    assert_eq!(read(), lines, "journalctl writes fields in random order");
}

#[test]
fn a_long_entry_keeps_its_beginning_and_is_not_read_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    let stored = Stored::default();
    let mut config = config(dir.path());
    config.limits.max_line_bytes = 4096;
    append_journal(&path, [JournalEntry::new(0, "x".repeat(100_000)), JournalEntry::new(1, "1")]).unwrap();
    let journal = start(&config, &stored);
    assert!(wait_until(PATIENCE, || stored.lines().len() == 2));
    journal.stop();
    write(&path, 2..3);
    let journal = start(&config, &stored);
    assert!(wait_until(PATIENCE, || stored.lines().len() == 3));
    drop(journal);
    assert_eq!(stored.messages()[1..], ["1", "2"]);
    let (start, end) = stored.gaps()[0];
    assert_eq!((stored.gaps().len(), start), (1, 4096));
    assert!((96_000..98_000).contains(&(end - start)), "{start} {end}");
    stored.assert_offsets();
}

#[test]
fn a_killed_journalctl_is_started_again_and_a_stopped_pipeline_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, 0..500);
    let config =
        JournalConfig { limits: Limits { batch_bytes: 4096, ..Limits::default() }, ..config(dir.path()) };
    let stored = Stored::default();
    // The pipeline takes a few batches each time, then the process is as good as dead.
    while stored.messages().len() < 500 {
        let left = AtomicUsize::new(5);
        let mut sink = stored.sink();
        let stops = move |batch: RawBatch| {
            let left = left.fetch_sub(1, Ordering::Relaxed);
            if left == 0 { Err(Stopped) } else { sink.send(batch) }
        };
        let before = stored.messages().len();
        let checkpoint = stored.checkpoint();
        let journal = follow_journal(config.clone(), checkpoint.as_ref(), Box::new(stops), clock).unwrap();
        assert!(wait_until(PATIENCE, || !journal.is_running() || stored.messages().len() == 500));
        assert!(stored.messages().len() > before);
    }
    assert_eq!(stored.messages(), numbers(0..500));
    let journal = start(&config, &stored);
    for round in 0..3u64 {
        let (from, until) = (500 + round * 20, 520 + round * 20);
        write(&path, from..from + 10);
        kill_journalctl(dir.path());
        write(&path, from + 10..until);
        has(&stored, &journal, &numbers(0..until));
    }
    assert_eq!(stored.gaps(), []);
}

/// Kills the `journalctl` that reads this directory.
fn kill_journalctl(directory: &Path) {
    let directory = directory.display().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if command.starts_with("journalctl\0") && command.contains(&directory) {
            let pid = entry.file_name().into_string().unwrap();
            // It may have ended since.
            let _ = std::process::Command::new("kill").args(["-9", &pid]).output();
        }
    }
}

#[test]
fn filters_and_the_start_are_kept_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    let of = |number: u64, unit: &str, identifier: &str, priority: &str| {
        JournalEntry::new(number, number.to_string())
            .with("_SYSTEMD_UNIT", unit)
            .with("SYSLOG_IDENTIFIER", identifier)
            .with("PRIORITY", priority)
    };
    let base = JournalConfig { start_at: StartAt::End, ..config(dir.path()) };
    let units = JournalConfig { units: vec!["a.service".into(), "b.service".into()], ..base.clone() };
    let urgent = JournalConfig { identifiers: vec!["y".into()], priority: Some(4), ..base.clone() };
    append_journal(&path, [of(0, "a.service", "y", "3")]).unwrap();
    let stores = [&base, &units, &urgent].map(|config| {
        let stored = Stored::default();
        let journal = start(config, &stored);
        assert!(wait_until(PATIENCE, || stored.checkpoint().is_some()), "{:?}", journal.status());
        (config, stored)
    });
    append_journal(
        &path,
        [
            of(1, "a.service", "x", "6"),
            of(2, "c.service", "y", "4"),
            of(3, "b.service", "y", "7"),
            of(4, "a.service", "y", "0"),
        ],
    )
    .unwrap();
    for ((config, stored), want) in
        stores.iter().zip([&["1", "2", "3", "4"][..], &["1", "3", "4"], &["2", "4"]])
    {
        let journal = start(config, stored);
        assert!(wait_until(PATIENCE, || stored.messages().len() >= want.len()), "{:?}", journal.status());
        assert_eq!(stored.messages(), want);
        assert_eq!(stored.gaps(), [], "{want:?}");
    }
    // Another filter than before is no reason to see a gap.
    let (_, stored) = &stores[0];
    let narrower = JournalConfig { units: vec!["c.service".into()], ..base.clone() };
    append_journal(&path, [of(5, "c.service", "x", "6")]).unwrap();
    let journal = start(&narrower, stored);
    assert!(wait_until(PATIENCE, || stored.messages().last().is_some_and(|last| last == "5")));
    drop(journal);
    assert_eq!(stored.gaps(), []);
}

#[test]
fn damage_is_said_and_counted_though_journalctl_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, 0..3000);
    let mut bytes = fs::read(&path).unwrap();
    let entries = entry_objects(&bytes);
    assert_eq!(entries.len(), 3000);
    for at in &entries[2000..2100] {
        bytes[*at..*at + 64].fill(0xff);
    }
    fs::write(&path, bytes).unwrap();
    let stored = Stored::default();
    let journal = start(&config(dir.path()), &stored);
    let read = wait_until(PATIENCE, || stored.messages().last().is_some_and(|last| last == "2999"));
    assert!(read, "{:?} {:?} {:?}", stored.messages().len(), journal.status(), stored.gaps());
    let want: Vec<String> = numbers(0..2000).into_iter().chain(numbers(2100..3000)).collect();
    has(&stored, &journal, &want);
    let gaps = stored.gaps();
    assert_eq!((gaps.len(), gaps[0].1 - gaps[0].0), (1, 100), "one byte for each entry: {gaps:?}");
    assert!(journal.status().last_error.is_some());
    drop(journal);
    // Right behind the damage journalctl finds no entry by its cursor; it must be read from the oldest on.
    let line =
        stored.lines().into_iter().find(|line| field(line, "MESSAGE").is_some_and(|text| text == "2102"));
    let cursor = Cursor::new(&field(&line.unwrap(), "__CURSOR").unwrap()).unwrap();
    let mark = cursor::Mark { cursor, filter: config(dir.path()).filter_hash(), since_us: 0 };
    let behind = Checkpoint { offset: 7, lines: 7, state: mark.encode() };
    let later = Stored::default();
    let journal = follow_journal(config(dir.path()), Some(&behind), later.sink(), clock).unwrap();
    has(&later, &journal, &numbers(2103..3000));
    assert_eq!(later.gaps(), []);
    drop(journal);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let journal = start(&config(dir.path()), &stored);
    assert!(
        wait_until(PATIENCE, || journal.status().last_error.is_some_and(|error| error.contains("truncated"))),
        "{:?}",
        journal.status()
    );
}

/// Where the entries stand in a journal file; <https://systemd.io/JOURNAL_FILE_FORMAT/>.
fn entry_objects(file: &[u8]) -> Vec<usize> {
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let (mut at, tail) = (number(88), number(136));
    let mut entries = Vec::new();
    while at <= tail {
        entries.extend((file[at] == 3).then_some(at));
        at += number(at + 8).next_multiple_of(8);
    }
    entries
}

#[test]
fn a_missing_journalctl_is_said_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("x.journal"), 0..1);
    let stored = Stored::default();
    let journal = start(&JournalConfig { program: "no-journalctl".into(), ..config(dir.path()) }, &stored);
    let told =
        || journal.status().last_error.is_some_and(|error| error.contains("`no-journalctl` is not in PATH"));
    assert!(wait_until(PATIENCE, told), "{:?}", journal.status());
    journal.stop();
}
