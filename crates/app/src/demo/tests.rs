//! What the demo invents has the shapes that real programs write, in order, at a bearable rate.

use std::collections::BTreeSet;

use fs_err as fs;
use taffrail_record::Timestamp;

use super::world::{File, Line, TICK_NS, World};
use super::*;

const START: Timestamp = Timestamp(1_793_491_200 * Timestamp::SECOND); // 2026-11-01T00:00:00Z
const TICKS_PER_MINUTE: usize = (60 * Timestamp::SECOND / TICK_NS) as usize;

fn lines(seed: u64, minutes: usize) -> Vec<Line> {
    let mut world = World::new(seed, START);
    (0..minutes * TICKS_PER_MINUTE).flat_map(|_| world.tick()).collect()
}

fn of(file: File, lines: &[Line]) -> Vec<&str> {
    lines.iter().filter(|line| line.file == file).map(|line| line.text.as_str()).collect()
}

#[test]
fn the_same_seed_gives_the_same_lines() {
    assert_eq!(lines(7, 2), lines(7, 2));
    assert_ne!(lines(7, 2), lines(8, 2));
}

#[test]
fn the_rate_is_lively_and_bearable() {
    for seed in 0..5 {
        let mut world = World::new(seed, START);
        let seconds: Vec<usize> = (0..900).map(|_| (0..4).map(|_| world.tick().len()).sum()).collect();
        let mean = seconds.iter().sum::<usize>() as f64 / 900.0;
        assert!((5.0..=30.0).contains(&mean), "{mean} lines/s with seed {seed}");
        assert!(seconds.iter().max().unwrap() > &(2 * mean as usize), "no burst with seed {seed}");
        assert!(seconds.iter().all(|count| *count < 80), "{seconds:?}");
    }
}

#[test]
fn a_quarter_of_an_hour_shows_every_story() {
    for seed in 0..5 {
        let lines = lines(seed, 15);
        let all = |file: File, part: &str| of(file, &lines).iter().filter(|line| line.contains(part)).count();
        for (file, part, least) in [
            (File::Access, "\" 200 ", 1000),
            (File::Access, "\" 404 153 ", 20),
            (File::Access, "\" 503 ", 5),
            (File::Auth, "sshd[", 20),
            (File::Auth, "Failed password for ", 10),
            (File::Auth, "Accepted publickey for ", 3),
            (File::Database, "duration: ", 50),
            (File::Database, "ERROR:  deadlock detected", 1),
            (File::Shop, "\"level\":\"error\"", 3),
            (File::Worker, " - INFO - worker - ", 300),
            (File::Worker, "crashed\n", 2),
            (File::Worker, " - CRITICAL - worker - ", 2),
            (File::Worker, "worker 4.2.1 starting", 2),
            (File::Kernel, " web-06 kernel: [", 20),
        ] {
            assert!(all(file, part) >= least, "{} of {part:?} with seed {seed}", all(file, part));
        }
    }
}

#[test]
fn lines_have_their_programs_shapes() {
    let lines = lines(3, 10);
    for line in of(File::Shop, &lines) {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
    for line in of(File::Auth, &lines) {
        assert!(line.split(' ').next().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(line.split(' ').nth(1) == Some("web-06") && line.contains("]: "), "{line}");
    }
    for line in of(File::Access, &lines) {
        assert_eq!(line.matches('"').count(), 6, "{line}");
        assert!(line.contains(" - - [01/Nov/2026:00:") && line.contains(" +0000] \""), "{line}");
    }
    for line in of(File::Kernel, &lines) {
        assert!(line.starts_with("Nov  1 00:"), "{line}");
    }
    let stack = of(File::Worker, &lines).into_iter().find(|line| line.contains('\n')).unwrap();
    assert!(stack.contains("\n\tat ") || stack.contains("\n  File "), "{stack}");
}

#[test]
fn one_address_attacks_at_a_time() {
    let all = lines(1, 15);
    let failed = of(File::Auth, &all).into_iter().filter(|line| line.contains("Failed password"));
    let addresses: BTreeSet<&str> =
        failed.filter_map(|line| line.split("from ").nth(1)?.split(' ').next()).collect();
    assert!((1..=6).contains(&addresses.len()), "{addresses:?}");
}

#[test]
fn times_rise_within_a_file() {
    let all = lines(2, 10);
    for file in [File::Auth, File::Worker, File::Database] {
        let heads: Vec<&str> = of(file, &all).iter().map(|line| &line[..23]).collect();
        assert!(heads.is_sorted(), "{file:?}");
    }
}

#[test]
fn files_rotate_by_rename_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = Files::with_size(dir.path(), 1_000).unwrap();
    let line = |number: usize| Line { file: File::Auth, text: format!("{number:099}") };
    for number in 0..15 {
        files.write(&[line(number)]).unwrap();
    }
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let numbers: Vec<usize> =
        (read("auth.log.1") + &read("auth.log")).lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (0..15).collect::<Vec<_>>());
    assert_eq!(read("auth.log").lines().count(), 5);
}

#[test]
fn it_starts_with_history_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path(), 1).unwrap();
    let size = || fs::metadata(Demo::dir(dir.path()).join("nginx-access.log")).unwrap().len();
    let history = size();
    assert!(history > 100_000, "{history}");
    drop(demo);
    let stopped = size();
    // What was written is not written again.
    drop(Demo::start(dir.path(), 1).unwrap());
    assert!(size() < stopped + history / 4, "{} after {stopped}", size());
}
