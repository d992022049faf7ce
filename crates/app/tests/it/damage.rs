//! Whatever is damaged on the disk, the daemon starts, says what was set aside, and has all the rest once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err as fs;
use taffrail_testkit::Daemon;

use crate::program::{Site, assert_alive, count, eventually, source};

const LOG: &str = "logs/a.log";
const PUSHES: usize = 5;

fn lines(numbers: Range<usize>) -> String {
    numbers.map(|number| format!("2026-11-20T10:00:00Z web-1 app[7]: number {number}\n")).collect()
}

/// A store with lines 0..1000 and 1000..2000 in a segment each, 2000..2500 and five posts in the WAL.
fn site() -> Site {
    let site = Site::new();
    for numbers in [0..1_000, 1_000..2_000] {
        let end = numbers.end as u64;
        site.append(LOG, lines(numbers));
        let daemon = site.daemon();
        eventually("storing", || count(&daemon, "SELECT count(*) FROM logs") == end);
        assert!(daemon.stop().unwrap().success());
    }
    let daemon = site.daemon();
    site.append(LOG, lines(2_000..2_500));
    eventually("storing", || count(&daemon, "SELECT count(*) FROM logs") == 2_500);
    for number in 0..PUSHES {
        let answer = daemon
            .post("/api/logs", "application/json", format!("{{\"message\":\"post {number}\"}}"))
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    daemon.kill9().unwrap();
    assert_eq!(files(&site, "segments", "parquet").len(), 2);
    site
}

fn files(site: &Site, folder: &str, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(site.data().join(folder)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| extension.is_empty() || path.extension().is_some_and(|known| known == extension));
    found.sort();
    found
}

/// The WAL file that holds something.
fn wal(site: &Site) -> PathBuf {
    let mut found = files(site, "wal", "wal");
    found.retain(|path| fs::metadata(path).unwrap().len() > 0);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Each number of the followed file and how often it is stored.
fn stored(daemon: &Daemon) -> BTreeMap<usize, usize> {
    let rows = daemon.sql("SELECT body FROM logs WHERE service = 'app'").unwrap();
    let mut stored = BTreeMap::new();
    for row in rows {
        let body = row[0].as_str().unwrap();
        let number = body.strip_prefix("number ").unwrap_or_else(|| panic!("{body}")).parse().unwrap();
        *stored.entry(number).or_default() += 1;
    }
    stored
}

/// Starts on the damage: `lost` numbers may be missing, all others and the posts are there once, and following
/// goes on. `said`: a word of the report and whether something is in quarantine.
fn recovers(site: &Site, what: &str, lost: Range<usize>, posts: usize, said: Option<&str>) {
    let daemon = site.daemon();
    let out = daemon.stdout();
    match said {
        Some(word) => {
            assert!(out.lines().any(|line| line.contains("damaged") && line.contains(word)), "{what}: {out}")
        }
        None => assert!(!out.contains("damaged"), "{what}: {out}"),
    }
    assert_alive(&daemon, what);
    site.append(LOG, lines(2_500..2_600));
    let size = fs::metadata(site.path(LOG)).unwrap().len();
    eventually(&format!("{what}: reading on"), || {
        source(&daemon, &site.path(LOG)).is_some_and(|source| source["offset"] == size)
    });
    let stored = stored(&daemon);
    for number in (0..2_600).filter(|number| !lost.contains(number)) {
        let times = stored.get(&number).copied().unwrap_or(0);
        assert_eq!(
            times,
            1,
            "{what}: number {number} is stored {times} times; {} are\n{out}{}",
            stored.len(),
            daemon.stderr()
        );
    }
    assert!(stored.values().all(|times| *times == 1), "{what}: doubled");
    let pushed = count(&daemon, "SELECT count(*) FROM logs WHERE source = 'http:leveredge'");
    assert_eq!(pushed, posts as u64, "{what}");
    assert!(daemon.stop().unwrap().success(), "{what}");
    // What was set aside stays aside, and is told of once.
    let daemon = site.daemon();
    assert!(!daemon.stdout().contains("damaged"), "{what}, second start: {}", daemon.stdout());
    assert_eq!(self::stored(&daemon), stored, "{what}, second start");
}

fn quarantined(site: &Site, word: &str) {
    let held = files(site, "quarantine", "");
    assert!(held.iter().any(|path| path.to_string_lossy().contains(word)), "{word}: {held:?}");
}

#[test]
fn an_overwritten_catalog_is_rebuilt() {
    let site = site();
    // Its own log may hold a good copy of the page.
    for name in ["data/taffrail.db", "data/taffrail.db-wal"].map(|name| site.path(name)) {
        if name.exists() {
            change(&name, |bytes| bytes.iter_mut().take(100).for_each(|byte| *byte = 0x5a));
        }
    }
    recovers(&site, "overwritten catalog", 0..0, PUSHES, Some("taffrail.db"));
    quarantined(&site, "taffrail.db");
}

#[test]
fn a_truncated_catalog_is_rebuilt() {
    let site = site();
    change(&site.path("data/taffrail.db"), |bytes| bytes.truncate(bytes.len() / 2));
    recovers(&site, "truncated catalog", 0..0, PUSHES, Some("taffrail.db"));
    quarantined(&site, "taffrail.db");
}

#[test]
fn an_emptied_catalog_is_rebuilt() {
    let site = site();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(site.path(&format!("data/taffrail.db{suffix}")));
    }
    fs::write(site.path("data/taffrail.db"), b"").unwrap();
    recovers(&site, "emptied catalog", 0..0, PUSHES, Some("taffrail.db"));
}

#[test]
fn a_deleted_catalog_is_rebuilt() {
    let site = site();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(site.path(&format!("data/taffrail.db{suffix}")));
    }
    recovers(&site, "deleted catalog", 0..0, PUSHES, Some("taffrail.db"));
}

#[test]
fn a_segment_with_a_damaged_footer_is_set_aside() {
    let site = site();
    change(&files(&site, "segments", "parquet")[0], |bytes| {
        let end = bytes.len();
        bytes[end - 60..].fill(0x5a);
    });
    recovers(&site, "segment footer", 0..1_000, PUSHES, Some("segments"));
    quarantined(&site, ".parquet");
}

#[test]
fn a_truncated_segment_is_set_aside() {
    let site = site();
    change(&files(&site, "segments", "parquet")[1], |bytes| bytes.truncate(bytes.len() / 2));
    recovers(&site, "truncated segment", 1_000..2_000, PUSHES, Some("segments"));
    quarantined(&site, ".parquet");
}

#[test]
fn a_segment_without_its_index_is_indexed_again() {
    let site = site();
    fs::remove_file(&files(&site, "segments", "idx")[0]).unwrap();
    recovers(&site, "deleted index", 0..0, PUSHES, Some("made anew"));
}

#[test]
fn an_index_with_a_damaged_footer_is_made_anew() {
    let site = site();
    change(&files(&site, "segments", "idx")[0], |bytes| {
        let end = bytes.len();
        bytes[end - 40..].fill(0x5a);
    });
    recovers(&site, "index footer", 0..0, PUSHES, Some("made anew"));
    quarantined(&site, "idx");
}

#[test]
fn flipped_bytes_inside_a_segment_harm_no_other() {
    let site = site();
    change(&files(&site, "segments", "parquet")[0], |bytes| {
        let middle = bytes.len() / 3;
        bytes[middle..middle + 400].fill(0x5a);
    });
    let daemon = site.daemon();
    let answer = daemon.get("/api/v1/search?limit=1000").unwrap();
    let all =
        answer.status == 200 || !answer.json().unwrap()["error"]["message"].as_str().unwrap().is_empty();
    assert!(all, "{}", answer.text());
    assert_alive(&daemon, "a damaged page");
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

#[test]
fn garbage_after_the_wal_is_skipped() {
    let site = site();
    change(&wal(&site), |bytes| {
        bytes.extend((0..5_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8))
    });
    recovers(&site, "garbage after the WAL", 0..0, PUSHES, None);
}

#[test]
fn an_unfinished_write_is_no_damage_at_any_later_start() {
    let site = site();
    let torn = wal(&site);
    change(&torn, |bytes| bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 5]));
    for _ in 0..2 {
        site.daemon().kill9().unwrap();
    }
    recovers(&site, "an unfinished write", 0..0, PUSHES, None);
}

#[test]
fn a_wal_whose_tail_became_zeroes_is_read_up_to_there() {
    let site = site();
    // The posts are the last frames; the last one goes.
    change(&wal(&site), |bytes| {
        let end = bytes.len();
        bytes[end - 20..].fill(0);
    });
    recovers(&site, "zeroes at the WAL's tail", 0..0, PUSHES - 1, None);
}

#[test]
fn a_wal_of_zeroes_costs_only_what_was_posted() {
    let site = site();
    change(&wal(&site), |bytes| bytes.fill(0));
    // The followed lines are read again from their file.
    recovers(&site, "a WAL of zeroes", 0..0, 0, None);
}
