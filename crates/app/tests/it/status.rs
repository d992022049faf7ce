//! What the program says about itself: sources, gaps, health, metrics; running and not.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde_json::Value;
use taffrail_testkit::{Daemon, Samples};

use crate::program::{BINARY, Site, count, eventually, source};

/// What `taffrail sources --json` says of one source.
#[track_caller]
fn told(site: &Site, name: &str) -> Value {
    let mut all = site.run(&["sources", "--json", name]).expect(0).json();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[track_caller]
fn scrape(daemon: &Daemon) -> Samples {
    let answer = daemon.get("/metrics").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    Samples::parse(&answer.text()).unwrap()
}

/// Every line fits a terminal of 80 columns.
#[track_caller]
fn assert_fits(text: &str) {
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_rotated_file_is_told_with_its_place_and_identity() {
    let site = Site::new();
    site.write("logs/a.log", "one\ntwo\n");
    let daemon = site.daemon();
    eventually("reading the first file", || count(&daemon, "SELECT count(*) FROM logs") == 2);
    fs::rename(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
    site.write("logs/a.log", "three\nunfinished");
    eventually("reading the next", || count(&daemon, "SELECT count(*) FROM logs") == 3);
    eventually("telling of the rotation", || told(&site, "a.log")["rotations"] == 1);
    let a = told(&site, "a.log");
    let metadata = fs::metadata(site.path("logs/a.log")).unwrap();
    assert_eq!((&a["kind"], &a["state"], &a["path"]), (&"file".into(), &"following".into(), &a["source"]));
    assert_eq!(a["identity"]["inode"], metadata.ino());
    assert_eq!(a["identity"]["dev"], metadata.dev());
    for (field, want) in
        [("offset", 14), ("position", 6), ("size", 16), ("lag_bytes", 10), ("held_bytes", 10), ("records", 3)]
    {
        assert_eq!(a[field], want, "{field} of {a}");
    }
    assert_eq!(
        (&a["lag_seconds"], &a["stalled"]),
        (&0.0.into(), &false.into()),
        "a line that waits is no lag"
    );
    let samples = scrape(&daemon);
    let of_a = |name: &str| samples.value(name, &[("source", &site.source("logs/a.log"))]);
    assert_eq!(of_a("taffrail_source_offset_bytes"), Some(14.0));
    assert_eq!(of_a("taffrail_source_rotations_total"), Some(1.0));
    assert_eq!(of_a("taffrail_source_lag_bytes"), Some(10.0));
    assert_eq!(samples.value("taffrail_store_records", &[]), Some(3.0));
    let table = site.run(&["sources"]).expect(0).text();
    assert!(table.starts_with("STATE") && table.contains("following") && table.contains("a.log"), "{table}");
    assert_fits(&table);
    assert_eq!(site.run(&["sources", "no-such-source"]).expect(1).text(), "");
}

#[test]
fn what_was_destroyed_is_seen_everywhere_and_after_the_end() {
    let site = Site::new();
    let config = "max_line = \"1 KiB\"\n[[source]]\npath = \"{logs}\"";
    site.write("logs/cut.log", "one\nunfinished");
    site.write("logs/long.log", format!("{}\n", "x".repeat(3_000)));
    let daemon = site.daemon_with(config);
    eventually("reading both", || count(&daemon, "SELECT count(*) FROM logs") == 2);
    assert!(daemon.stop().unwrap().success());
    // What stood behind the newline was never handed over, and is gone now.
    site.write("logs/cut.log", "new\n");
    let daemon = site.daemon_with(config);
    eventually("reading the new content", || count(&daemon, "SELECT count(*) FROM logs") == 3);
    let assert_gaps = || {
        let cut = told(&site, "cut.log");
        assert_eq!((&cut["gaps"]["count"], &cut["gaps"]["bytes"]), (&1.into(), &10.into()), "{cut}");
        assert_eq!(cut["gaps"]["newest_reason"], "truncated before read");
        let long = told(&site, "long.log");
        assert_eq!(
            (&long["gaps"]["bytes"], &long["gaps"]["newest_reason"]),
            (&1977.into(), &"oversize".into())
        );
    };
    assert_gaps();
    let (samples, cut) = (scrape(&daemon), site.source("logs/cut.log"));
    let labels = [("source", cut.as_str()), ("reason", "truncated before read")];
    assert_eq!(samples.value("taffrail_source_gap_bytes_total", &labels), Some(10.0));
    assert_eq!(samples.value("taffrail_source_gaps_total", &labels), Some(1.0));
    let status = site.run(&["status"]).expect(0).text();
    for part in [
        "runs as pid",
        "3 records",
        "2 following",
        "gaps      1.9 KiB in 1 gap: oversize\n          10 B in 1 gap: truncated before read\n",
        "health    all is well\n",
    ] {
        assert!(status.contains(part), "{part} in\n{status}");
    }
    assert_fits(&status);
    assert!(daemon.stop().unwrap().success());
    assert_gaps();
    assert_eq!(told(&site, "cut.log")["state"], "not running");
    let status = site.run(&["status"]).expect(1).text();
    assert!(status.contains("not running") && status.contains("10 B in 1 gap"), "{status}");
    let json = site.run(&["status", "--json"]).expect(1).json();
    assert_eq!((&json[0]["running"], &json[0]["records"]), (&false.into(), &3.into()));
}

#[test]
fn without_a_store_there_is_nothing_to_tell() {
    let site = Site::new();
    for command in ["status", "sources"] {
        let ran = site.run(&[command]).expect(2);
        assert!(ran.err.contains("data"), "{}", ran.err);
    }
}

/// The program without root's right to read everything, should the test run as root.
fn unprivileged(site: &Site) -> PathBuf {
    if !rustix::process::geteuid().is_root() {
        return BINARY.into();
    }
    let drop = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all";
    let script = site.write("taffrail", format!("#!/bin/sh\nexec {drop} '{BINARY}' \"$@\"\n"));
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
fn a_file_that_grows_unread_turns_the_health_red_and_back() {
    let site = Site::new();
    site.write("logs/a.log", "one\n");
    site.write("logs/b.log", "other\n");
    let config = site.config("[health]\nstall_after = \"1s\"\n[[source]]\npath = \"{logs}\"");
    let daemon = Daemon::builder(unprivileged(&site), site.data()).arg("-c").arg(config).start().unwrap();
    eventually("reading", || count(&daemon, "SELECT count(*) FROM logs") == 2);
    let health = || daemon.get("/api/v1/health").unwrap();
    assert_eq!(health().status, 200, "{}", health().text());
    fs::rename(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
    let mut options = fs::OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o000).open(site.path("logs/a.log")).unwrap();
    eventually("red health", || {
        writeln!(file, "unread").unwrap();
        health().status == 503
    });
    let answer = health().json().unwrap();
    assert_eq!((&answer["status"], answer["problems"].as_array().unwrap().len()), (&"failing".into(), 1));
    let problem = &answer["problems"][0];
    assert_eq!(problem["source"], site.source("logs/a.log").as_str());
    assert!(problem["what"].as_str().unwrap().contains("Permission denied"), "{answer}");
    assert!(problem["since"].is_string(), "{answer}");
    let a = source(&daemon, &site.path("logs/a.log")).unwrap();
    assert_eq!((&a["state"], &a["stalled"]), (&"failed".into(), &true.into()), "{a}");
    assert!(a["lag_bytes"].as_u64().unwrap() > 0 && a["lag_seconds"].as_f64().unwrap() >= 1.0, "{a}");
    let samples = scrape(&daemon);
    let stalled = |name: &str| {
        samples.value("taffrail_source_stalled", &[("source", &site.source(&format!("logs/{name}")))])
    };
    assert_eq!(samples.value("taffrail_healthy", &[]), Some(0.0));
    assert_eq!((stalled("a.log"), stalled("b.log")), (Some(1.0), Some(0.0)));
    let status = site.run(&["status"]).expect(1).text();
    assert!(status.contains("problem   ") && status.contains("1 stalled"), "{status}");
    assert_fits(&status);
    let table = site.run(&["sources"]).expect(0).text();
    assert!(table.contains("stalled"), "{table}");
    assert_fits(&table);
    assert_eq!(daemon.get("/health").unwrap().status, 200, "the compatible one stays");
    fs::set_permissions(site.path("logs/a.log"), Permissions::from_mode(0o644)).unwrap();
    eventually("green health", || health().status == 200);
    eventually("reading what waited", || {
        count(&daemon, "SELECT count(*) FROM logs WHERE body = 'unread'") > 0
    });
    site.run(&["status"]).expect(0);
    assert_eq!(count(&daemon, "SELECT count(*) FROM gaps"), 0);
}
