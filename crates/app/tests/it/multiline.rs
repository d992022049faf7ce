//! Records of several lines: one each, whatever comes between their lines, and every byte of them comes back.

use std::thread::sleep;
use std::time::Duration;

use fs_err as fs;

use crate::program::{Site, count, eventually};

const READY: &str = "2026-11-01 00:00:00,123 INFO ready\n";
const ERROR: &str =
    "2026-11-01 00:00:01,123 ERROR cannot serve\njava.io.IOException: closed\n\tat a.B.c(B.java:1)\n";
const REST: &str = "\tat a.B.main(B.java:2)\nCaused by: java.net.SocketException: reset\n\t... 1 more\n";
const NEXT: &str = "2026-11-01 00:00:02,123 INFO next\n";
const ALL: &str = "SELECT count(*) FROM logs";

fn trace() -> String {
    format!("{ERROR}{REST}").trim_end().trim_start_matches("2026-11-01 00:00:01,123 ERROR ").to_owned()
}

fn exported(site: &Site) -> String {
    String::from_utf8(site.export(&site.source("logs/a.log"))).unwrap()
}

#[test]
fn a_trace_that_comes_in_pieces_is_one_record() {
    let site = Site::new();
    site.write("logs/a.log", READY);
    let daemon = site.daemon();
    eventually("storing what needs no waiting", || count(&daemon, ALL) == 1);
    site.append("logs/a.log", ERROR);
    sleep(Duration::from_millis(100));
    assert_eq!(count(&daemon, ALL), 1, "it may go on");
    site.append("logs/a.log", REST);
    eventually("storing the trace though nothing follows", || count(&daemon, ALL) == 2);
    site.append("logs/a.log", NEXT);
    eventually("storing what follows", || count(&daemon, ALL) == 3);
    assert!(daemon.stop().unwrap().success());
    assert_eq!(site.bodies("severity:error"), [trace()]);
    assert_eq!(exported(&site), fs::read_to_string(site.path("logs/a.log")).unwrap());
    // One import makes the same of it.
    let other = Site::new();
    other.write("logs/a.log", fs::read(site.path("logs/a.log")).unwrap());
    let said = other.run(&["import", other.path("logs/a.log").to_str().unwrap()]).expect(0).text();
    assert!(said.starts_with("8 lines in 3 records, "), "{said}");
    assert_eq!(other.bodies(""), site.bodies(""));
}

#[test]
fn a_trace_goes_on_in_the_next_file() {
    let site = Site::new();
    site.write("logs/a.log", READY);
    let daemon = site.daemon();
    eventually("storing what needs no waiting", || count(&daemon, ALL) == 1);
    site.append("logs/a.log", ERROR);
    fs::rename(site.path("logs/a.log"), site.path("logs/a.log.1")).unwrap();
    site.write("logs/a.log", format!("{REST}{NEXT}"));
    eventually("storing all", || count(&daemon, ALL) == 3);
    assert!(daemon.stop().unwrap().success());
    assert_eq!(exported(&site), format!("{READY}{ERROR}{REST}{NEXT}"));
}

#[test]
fn a_trace_that_is_held_survives_a_kill() {
    let site = Site::new();
    site.write("logs/a.log", format!("{READY}{ERROR}"));
    let daemon = site.daemon();
    eventually("storing what needs no waiting", || count(&daemon, ALL) == 1);
    daemon.kill9().unwrap();
    site.append("logs/a.log", format!("{REST}{NEXT}"));
    let daemon = site.daemon();
    eventually("storing all", || count(&daemon, ALL) == 3);
    assert!(daemon.stop().unwrap().success());
    assert_eq!(exported(&site), format!("{READY}{ERROR}{REST}{NEXT}"));
}

#[test]
fn a_source_says_which_lines_are_one_record() {
    for (choice, records) in [("off", 5), ("^(BEGIN|END)", 2), ("auto", 4)] {
        let site = Site::new();
        site.write("logs/a.log", "BEGIN 1\nplain\n indented\nend\nEND\n");
        let config = format!("[[source]]\npath = [\"{{logs}}\"]\nmultiline = \"{choice}\"\n");
        let daemon = site.daemon_with(&config);
        eventually(choice, || count(&daemon, ALL) == records);
        assert!(daemon.stop().unwrap().success());
        assert_eq!(exported(&site), fs::read_to_string(site.path("logs/a.log")).unwrap());
    }
}
