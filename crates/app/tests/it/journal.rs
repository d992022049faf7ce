//! journald's journal, in real files that the real `journalctl` reads.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::Value;
use taffrail_testkit::{Daemon, JournalEntry, append_journal};

use crate::program::{BINARY, Random, Site, count, eventually};

/// A site with a folder of journal files.
struct Journals {
    site: Site,
}

impl Journals {
    fn new() -> Self {
        let site = Site::new();
        fs::create_dir(site.path("journal")).unwrap();
        Self { site }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path("journal").join(name)
    }

    fn source(&self) -> String {
        format!("journal:{}", self.site.source("journal"))
    }

    fn append(&self, numbers: std::ops::Range<u64>) {
        let entries = numbers.map(|number| JournalEntry::new(number, format!("entry {number}")));
        append_journal(&self.path("system.journal"), entries).unwrap();
    }

    fn builder(&self) -> taffrail_testkit::DaemonBuilder {
        let text = format!("[[source]]\ntype = \"journal\"\npath = \"{}\"\n", self.site.source("journal"));
        Daemon::builder(BINARY, self.site.data()).arg("-c").arg(self.site.config(&text))
    }

    #[track_caller]
    fn daemon(&self) -> Daemon {
        self.builder().start().unwrap()
    }

    /// What the daemon says of its journal.
    fn told(&self, daemon: &Daemon) -> Value {
        let answer = daemon.get("/api/v1/sources").unwrap().json().unwrap();
        let sources = answer["sources"].as_array().unwrap();
        sources.iter().find(|told| told["source"] == self.source().as_str()).cloned().unwrap_or_default()
    }
}

#[track_caller]
fn has(daemon: &Daemon, entries: u64) {
    eventually(&format!("storing {entries} entries"), || {
        count(daemon, "SELECT count(*) FROM logs") == entries
    });
}

#[test]
fn every_entry_is_stored_once_through_kills_and_rotations() {
    let journals = Journals::new();
    let mut random = Random::new(62);
    let mut written = 0;
    for round in 0..8u64 {
        let daemon = journals.daemon();
        for _ in 0..random.between(1, 4) {
            let entries = random.between(1, 400);
            journals.append(written..written + entries);
            written += entries;
            if random.between(0, 2) == 0 {
                let rotated = journals.path(&format!("system@{round}-{written}.journal"));
                fs::rename(journals.path("system.journal"), rotated).unwrap();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(random.between(0, 300)));
        daemon.kill9().unwrap();
        // And while nobody reads.
        journals.append(written..written + 5);
        written += 5;
    }
    let daemon = journals.daemon();
    has(&daemon, written);
    assert_eq!(count(&daemon, "SELECT count(*) FROM gaps"), 0);
    assert!(daemon.stop().unwrap().success());
    let want: Vec<String> = (0..written).map(|number| format!("entry {number}")).collect();
    assert_eq!(journals.site.bodies(""), want);
    let exported = journals.site.export(&journals.source());
    let lines: Vec<Value> =
        exported.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let exported: Vec<&str> = lines.iter().map(|line| line["MESSAGE"].as_str().unwrap()).collect();
    assert_eq!(exported, want);
}

#[test]
fn an_entry_is_a_record_of_its_program_whatever_it_holds() {
    let journals = Journals::new();
    let entries = [
        JournalEntry::new(0, "two\nlines").with("PRIORITY", "3").with("CODE_LINE", "17"),
        JournalEntry::new(1, b"caf\xe9 \x1b[31mred"),
        JournalEntry::new(2, "no identifier").with("SYSLOG_IDENTIFIER", "").with("MY_FIELD", "mine"),
        JournalEntry::new(3, "sent earlier").with("_SOURCE_REALTIME_TIMESTAMP", "1793491200000500"),
        JournalEntry::new(4, "x".repeat(3 << 20)),
    ];
    append_journal(&journals.path("system.journal"), entries).unwrap();
    let daemon = journals.daemon();
    has(&daemon, 5);
    let rows = daemon
        .sql(
            "SELECT body, severity, node, service, attributes.pid, attributes.unit, attributes.code_line, \
             CAST(timestamp AS VARCHAR) FROM logs WHERE length(body) < 100 ORDER BY \"offset\"",
        )
        .unwrap();
    let want = [
        ("two\nlines", "ERROR", "app", "2026-11-01T00:00:00"),
        ("caf\u{fffd} \u{1b}[31mred", "INFO", "app", "2026-11-01T00:00:00.001"),
        ("no identifier", "INFO", "app", "2026-11-01T00:00:00.002"),
        ("sent earlier", "INFO", "app", "2026-11-01T00:00:00.000500"),
    ];
    for (row, (body, severity, service, time)) in rows.iter().zip(want) {
        assert_eq!(row[..4], [body.into(), severity.into(), "web-1".into(), Value::from(service)], "{row:?}");
        assert_eq!((&row[4], &row[5]), (&4130.into(), &"app.service".into()), "{row:?}");
        assert!(row[7].as_str().unwrap().starts_with(time), "{row:?}");
    }
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(rows[0][6], 17);
    let gaps = daemon.sql("SELECT reason FROM gaps").unwrap();
    assert_eq!(gaps, [["oversize"]], "the long entry keeps its beginning");
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs WHERE attributes['MY_FIELD'] = 'mine'"), 1);
}

#[test]
fn entries_removed_before_they_were_read_are_a_gap_and_said() {
    let journals = Journals::new();
    journals.append(0..10);
    let daemon = journals.daemon();
    has(&daemon, 10);
    assert!(daemon.stop().unwrap().success());
    fs::remove_file(journals.path("system.journal")).unwrap();
    journals.append(20..30);
    let daemon = journals.daemon();
    has(&daemon, 20);
    eventually("counting the gap", || count(&daemon, "SELECT count(*) FROM gaps") == 1);
    let told = journals.told(&daemon);
    assert_eq!(told["state"], "following", "{told}");
    assert!(told["error"].as_str().unwrap().contains("removed from the journal"), "{told}");
}

#[test]
fn without_journalctl_or_a_journal_the_daemon_runs_and_says_so() {
    let journals = Journals::new();
    let daemon = journals.daemon();
    eventually("waiting for a journal", || journals.told(&daemon)["state"] == "missing");
    assert!(daemon.stdout().contains("nothing yet, waits for it"), "{}", daemon.stdout());
    drop(daemon);
    journals.append(0..3);
    let daemon = journals.builder().env("PATH", "/nonexistent").start().unwrap();
    eventually("missing journalctl", || {
        let told = journals.told(&daemon);
        told["state"] == "failed" && told["error"].as_str().is_some_and(|error| error.contains("not in PATH"))
    });
    assert!(daemon.stdout().contains("`journalctl` is not in PATH"), "{}", daemon.stdout());
}
