//! Files as they are on real machines: rotated, replaced, gone, no files at all.

use std::os::unix::fs::symlink;
use std::process::Command;

use fs_err as fs;
use taffrail_testkit::Daemon;

use crate::program::{Site, assert_alive, count, eventually, found, source};

#[track_caller]
fn has(daemon: &Daemon, lines: u64) {
    eventually(&format!("storing {lines} lines"), || count(daemon, "SELECT count(*) FROM logs") == lines);
}

/// Every line once, whatever its source.
#[track_caller]
fn assert_bodies(site: &Site, daemon: Daemon, want: &[String]) {
    assert!(daemon.stop().unwrap().success());
    let mut got = site.bodies("");
    got.sort();
    let mut want = want.to_vec();
    want.sort();
    assert_eq!(got, want);
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("line {number:04}")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn rename_rotation_loses_and_doubles_nothing() {
    let site = Site::new();
    let all = numbered(0..50);
    site.write("logs/a.log", text(&all[..10]));
    let daemon = site.daemon();
    has(&daemon, 10);
    for round in 1..4 {
        let from = round * 10;
        fs::rename(site.path("logs/a.log"), site.path(&format!("logs/a.log.{round}"))).unwrap();
        // The writer goes on with the old file until it is told.
        site.append(&format!("logs/a.log.{round}"), text(&all[from..from + 5]));
        site.write("logs/a.log", text(&all[from + 5..from + 10]));
        has(&daemon, from as u64 + 10);
    }
    site.append("logs/a.log", text(&all[40..]));
    has(&daemon, 50);
    assert_bodies(&site, daemon, &all);
}

#[test]
fn rotation_while_stopped_loses_and_doubles_nothing() {
    let site = Site::new();
    let all = numbered(0..30);
    site.write("logs/a.log", text(&all[..10]));
    let daemon = site.daemon();
    has(&daemon, 10);
    assert!(daemon.stop().unwrap().success());
    site.append("logs/a.log", text(&all[10..15]));
    fs::rename(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
    site.write("logs/a.log", text(&all[15..25]));
    let daemon = site.daemon();
    has(&daemon, 25);
    site.append("logs/a.log", text(&all[25..]));
    has(&daemon, 30);
    assert_bodies(&site, daemon, &all);
}

#[test]
fn copytruncate_after_all_was_read_loses_and_doubles_nothing() {
    let site = Site::new();
    let all = numbered(0..40);
    site.write("logs/a.log", text(&all[..10]));
    let daemon = site.daemon();
    has(&daemon, 10);
    for from in [10, 20, 30] {
        fs::copy(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
        let file = fs::OpenOptions::new().write(true).open(site.path("logs/a.log")).unwrap();
        file.set_len(0).unwrap();
        site.append("logs/a.log", text(&all[from..from + 10]));
        has(&daemon, from as u64 + 10);
    }
    assert!(daemon.sql("SELECT * FROM gaps").unwrap().is_empty());
    assert_bodies(&site, daemon, &all);
}

#[test]
fn delete_and_create_loses_and_doubles_nothing() {
    let site = Site::new();
    let all = numbered(0..30);
    site.write("logs/a.log", text(&all[..10]));
    let daemon = site.daemon();
    has(&daemon, 10);
    fs::remove_file(site.path("logs/a.log")).unwrap();
    eventually("seeing that it is gone", || {
        source(&daemon, &site.path("logs/a.log")).is_none_or(|source| source["state"] != "following")
    });
    site.write("logs/a.log", text(&all[10..20]));
    has(&daemon, 20);
    // At once, so that the inode is likely to be the same.
    fs::remove_file(site.path("logs/a.log")).unwrap();
    site.write("logs/a.log", text(&all[20..]));
    has(&daemon, 30);
    assert_bodies(&site, daemon, &all);
}

#[test]
fn what_is_no_log_file_is_refused_with_a_reason() {
    let site = Site::new();
    let fifo = site.path("logs/fifo.log");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::create_dir(site.path("logs/folder.log")).unwrap();
    let binary: Vec<u8> =
        (0..8_192_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    site.write("logs/binary.log", binary);
    symlink("/dev/zero", site.path("logs/device.log")).unwrap();
    symlink("/no/such/target", site.path("logs/dangling.log")).unwrap();
    site.write("logs/good.log", "good\n");
    let daemon = site.daemon();
    eventually("reading the good file", || found(&daemon, "good").len() == 1);
    for (name, word) in
        [("fifo", "FIFO"), ("folder", "directory"), ("binary", "binary"), ("device", "device")]
    {
        let path = site.path(&format!("logs/{name}.log"));
        let told = source(&daemon, &path);
        let told =
            told.unwrap_or_else(|| panic!("{name}: {}", daemon.get("/api/v1/sources").unwrap().text()));
        assert_eq!(told["state"], "refused", "{told}");
        assert!(told["error"].as_str().unwrap().contains(word), "{name}: {told}");
    }
    site.append("logs/good.log", "more\n");
    eventually("reading on", || found(&daemon, "more").len() == 1);
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs"), 2);
    assert_alive(&daemon, "files that are none");
}

#[test]
fn a_file_that_vanishes_is_told_and_stays_stored() {
    let site = Site::new();
    site.write("logs/a.log", "here\n");
    site.write("logs/b.log", "other\n");
    let daemon = site.daemon();
    has(&daemon, 2);
    fs::remove_file(site.path("logs/a.log")).unwrap();
    eventually("telling that it is gone", || {
        source(&daemon, &site.path("logs/a.log")).is_none_or(|source| source["state"] == "missing")
    });
    site.append("logs/b.log", "more\n");
    has(&daemon, 3);
    assert_eq!(found(&daemon, "here"), ["here"]);
}

#[test]
fn odd_content_of_one_file_stops_no_other() {
    let site = Site::new();
    let long = "y".repeat(3 << 20);
    site.write("logs/long.log", format!("{long}\nafter the long line\n"));
    site.write("logs/bytes.log", b"\xff\xff\xff\n\xc3(\nlast of bytes\n");
    site.write("logs/endless.log", "z".repeat(2 << 20));
    site.write("logs/empty.log", "");
    site.write("logs/good.log", "good\n");
    let daemon = site.daemon();
    eventually("reading all", || {
        found(&daemon, "good OR \"after the long line\" OR \"last of bytes\"").len() == 3
    });
    let gaps = daemon.sql("SELECT source, end_offset - start_offset FROM gaps ORDER BY 2").unwrap();
    let of_long: Vec<_> = gaps.iter().filter(|gap| gap[0] == site.source("logs/long.log").as_str()).collect();
    assert_eq!(of_long.len(), 1, "{gaps:?}");
    // The newline belongs to the line.
    assert_eq!(of_long[0][1], (2 << 20) + 1, "{gaps:?}");
    site.append("logs/empty.log", "not empty now\n");
    eventually("reading what was empty", || found(&daemon, "\"not empty now\"").len() == 1);
}

#[test]
fn a_file_that_appears_later_is_followed_and_a_partial_line_waits() {
    let site = Site::new();
    let daemon = site.daemon();
    site.write("logs/new.log", "first\nhalf a ");
    has(&daemon, 1);
    site.append("logs/new.log", "line\n");
    has(&daemon, 2);
    assert_eq!(found(&daemon, "half"), ["half a line"]);
}
