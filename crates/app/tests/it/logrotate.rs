//! The real logrotate under a program that goes on logging: every line once, in order, in every setting.
//!
//! `ROTATIONS` and `ROTATED_LINES_PER_SECOND` make the trials harder; `cargo xtask bench --only rotate` runs the
//! full measure, 30 rotations at 50,000 lines a second, with the release program.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fs_err as fs;
use taffrail_testkit::{Daemon, Ledger, LineWriter, Logrotate, Reopens, numbered_line, wait_until};

use crate::program::{PATIENCE, Site, count, eventually, source};

/// What an unoptimised daemon can do while others run beside it.
const ROTATIONS: u64 = 12;
const LINES_PER_SECOND: u64 = 10_000;
/// From one rotation to the next.
const LINES_PER_ROTATION: u64 = 3_000;
/// Longest time to read what is left at the end.
const READ: Duration = Duration::from_secs(60);
const LOG: &str = "logs/app.log";
/// Names that differ from second to second.
const DATED: &str = "create\ndateext\ndateformat -%Y%m%d-%H%M%S";

/// What logrotate runs once the file is renamed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// The writer is told, and reopens when it likes.
    Reopen,
    /// The writer has reopened when this returns.
    Reopened,
    /// Nothing: the file stays the same.
    Nothing,
    /// The writer rests from before the copy until after the truncation.
    Rest,
}

/// What a trial ended with.
struct Outcome {
    site: Site,
    /// The stored bytes of the log.
    stored: Vec<u8>,
    ledger: Ledger,
    /// Bytes that are told as lost.
    gap_bytes: u64,
}

/// A writer, its file, and what rotates it.
struct Trial {
    site: Site,
    writer: LineWriter,
    rotate: Logrotate,
    rotated_at: u64,
}

impl Trial {
    fn new(directives: &str, tells: Tells, reopens: Reopens) -> Self {
        let site = Site::new();
        let log = site.path(LOG);
        let writer = LineWriter::start(
            &log,
            &site.path("asks"),
            wished("ROTATED_LINES_PER_SECOND", LINES_PER_SECOND),
            reopens,
        );
        let writer = writer.unwrap();
        let scripts = match tells {
            Tells::Reopen => format!("postrotate\n{}\nendscript", writer.reopen_script()),
            Tells::Reopened => format!("postrotate\n{}\nendscript", writer.reopen_and_wait_script()),
            Tells::Nothing => String::new(),
            Tells::Rest => {
                let [hold, go] = [writer.hold_script(), writer.go_script()];
                format!("prerotate\n{hold}\nendscript\npostrotate\n{go}\nendscript")
            }
        };
        let rotate = Logrotate::new(&site.path("rotate"), &log, &format!("{directives}\n{scripts}")).unwrap();
        Self { site, writer, rotate, rotated_at: 0 }
    }

    /// Rotates `times` times, each when enough lines were written.
    #[track_caller]
    fn rotate(&mut self, times: u64) {
        for _ in 0..times {
            self.writer.wait_for(self.rotated_at + LINES_PER_ROTATION).unwrap();
            self.rotate.force().unwrap();
            self.rotated_at = self.writer.written();
        }
    }

    /// The same with names that hold the second: never two in the same.
    fn rotate_dated(&mut self, times: u64) {
        for _ in 0..times {
            let now = second();
            eventually("the next second", || second() > now);
            self.rotate(1);
        }
    }

    /// The daemon has stored something: what is rotated away before anyone ever saw it is nobody's.
    #[track_caller]
    fn has_begun(&self, daemon: &Daemon) {
        eventually("storing the first lines", || count(daemon, "SELECT count(*) FROM logs") > 0);
    }

    /// Ends the writer, waits until all is read, ends the daemon, and gives what became of the lines.
    #[track_caller]
    fn finish(self, daemon: Daemon) -> Outcome {
        self.writer.wait_for(self.rotated_at + LINES_PER_ROTATION).unwrap();
        let Self { site, writer, .. } = self;
        let written = writer.stop().unwrap();
        let last = numbered_line(written - 1);
        let last = format!("SELECT count(*) FROM logs WHERE body = '{}'", last.trim_end());
        let started = Instant::now();
        let read = wait_until(READ, || daemon.sql(&last).is_ok_and(|rows| rows[0][0] == 1));
        println!("{written} lines; read to the last one {:?} after it was written", started.elapsed());
        let standing = source(&daemon, &site.path(LOG));
        assert!(
            read,
            "line {} of {LOG} is not stored after {READ:?}: {standing:?}\n{}",
            written - 1,
            daemon.stderr()
        );
        settle(&daemon);
        let stderr = daemon.stderr();
        assert!(daemon.stop().unwrap().success());
        let stored = site.export(&site.source(LOG));
        let ledger = Ledger::of(&stored, written);
        println!("{ledger}\n{stderr}");
        let count = site.sql("SELECT count(*) AS n FROM logs")[0]["n"].as_u64().unwrap();
        let known = ledger.whole + ledger.begun + ledger.doubled + ledger.foreign;
        assert_eq!(count, known, "something is stored under another name:\n{ledger}");
        let gaps = site.sql("SELECT end_offset - start_offset AS bytes FROM gaps");
        let gap_bytes = gaps.iter().map(|gap| gap["bytes"].as_u64().unwrap()).sum();
        Outcome { site, stored, ledger, gap_bytes }
    }

    #[track_caller]
    fn finish_whole(self, daemon: Daemon) {
        let Outcome { ledger, gap_bytes, .. } = self.finish(daemon);
        assert!(ledger.is_whole(), "{ledger}");
        assert_eq!(gap_bytes, 0, "nothing is missing");
    }
}

fn wished<T: std::str::FromStr<Err: Display>>(variable: &str, default: T) -> T {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|err| panic!("{variable}={text}: {err}")))
}

fn rotations() -> u64 {
    wished("ROTATIONS", ROTATIONS)
}

/// The second as programs see it, whose clock may be some ticks behind.
fn second() -> u64 {
    (SystemTime::now() - Duration::from_millis(50)).duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Nothing more is stored: what would come twice has come by then.
fn settle(daemon: &Daemon) {
    let lines = || count(daemon, "SELECT count(*) FROM logs");
    let (mut stored, mut since) = (lines(), Instant::now());
    let quiet = wait_until(PATIENCE, || {
        let now = lines();
        if now != stored {
            (stored, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    });
    assert!(quiet, "lines keep coming though nobody writes: {stored}");
}

/// The daemon follows all the time.
#[track_caller]
fn rotated_live(directives: &str, tells: Tells, reopens: Reopens) {
    let mut trial = Trial::new(directives, tells, reopens);
    let daemon = trial.site.daemon();
    trial.has_begun(&daemon);
    trial.rotate(rotations());
    trial.finish_whole(daemon);
}

/// The daemon is down during every second handful of rotations.
#[track_caller]
fn rotated_while_down(directives: &str, tells: Tells, end: fn(Daemon)) {
    let reopens =
        if matches!(tells, Tells::Reopen | Tells::Reopened) { Reopens::AtOnce } else { Reopens::Never };
    let dated = directives.contains("dateext");
    let mut trial = Trial::new(directives, tells, reopens);
    let mut daemon = trial.site.daemon();
    trial.has_begun(&daemon);
    let rotate = if dated { Trial::rotate_dated } else { Trial::rotate };
    for handful in [1, 2, 3, 4] {
        rotate(&mut trial, 1);
        end(daemon);
        rotate(&mut trial, handful);
        daemon = trial.site.daemon();
    }
    trial.finish_whole(daemon);
}

fn stopped(daemon: Daemon) {
    assert!(daemon.stop().unwrap().success());
}

fn killed(daemon: Daemon) {
    daemon.kill9().unwrap();
}

#[test]
fn create_loses_and_doubles_nothing() {
    rotated_live("create", Tells::Reopen, Reopens::AtOnce);
}

#[test]
fn a_writer_that_reopens_late_loses_and_doubles_nothing() {
    rotated_live("nocreate", Tells::Reopen, Reopens::After(Duration::from_millis(150)));
}

#[test]
fn compress_loses_and_doubles_nothing() {
    rotated_live("create\ncompress", Tells::Reopened, Reopens::AtOnce);
}

#[test]
fn compress_under_a_writer_that_reopens_late_loses_and_doubles_nothing() {
    // What it writes after gzip has read the file is only in the file without a name.
    rotated_live("create\ncompress", Tells::Reopen, Reopens::After(Duration::from_millis(150)));
}

#[test]
fn delaycompress_loses_and_doubles_nothing() {
    rotated_live("create\ncompress\ndelaycompress", Tells::Reopen, Reopens::After(Duration::from_millis(50)));
}

#[test]
fn dateext_loses_and_doubles_nothing() {
    let mut trial = Trial::new(DATED, Tells::Reopen, Reopens::AtOnce);
    let daemon = trial.site.daemon();
    trial.has_begun(&daemon);
    trial.rotate_dated(rotations());
    trial.finish_whole(daemon);
}

#[test]
fn dateext_with_delaycompress_loses_and_doubles_nothing() {
    let directives = "nocreate\ndateext\ndateformat .%s\ncompress\ndelaycompress";
    let mut trial = Trial::new(directives, Tells::Reopen, Reopens::After(Duration::from_millis(50)));
    let daemon = trial.site.daemon();
    trial.has_begun(&daemon);
    trial.rotate_dated(rotations());
    trial.finish_whole(daemon);
}

#[test]
fn rotated_files_that_the_pattern_means_too_are_not_read_twice() {
    let mut trial = Trial::new("create", Tells::Reopen, Reopens::AtOnce);
    let pattern = trial.site.path("logs/*");
    let daemon = Daemon::builder(crate::program::BINARY, trial.site.data()).arg(pattern).start().unwrap();
    trial.has_begun(&daemon);
    trial.rotate(rotations());
    trial.finish_whole(daemon);
}

#[test]
fn copytruncate_under_a_writer_that_rests_loses_and_doubles_nothing() {
    rotated_live("copytruncate", Tells::Rest, Reopens::Never);
}

#[test]
fn copytruncate_with_compress_loses_and_doubles_nothing() {
    rotated_live("copytruncate\ncompress", Tells::Rest, Reopens::Never);
}

#[test]
fn copytruncate_loses_only_what_was_destroyed() {
    let mut trial = Trial::new("copytruncate", Tells::Nothing, Reopens::Never);
    let daemon = trial.site.daemon();
    trial.has_begun(&daemon);
    trial.rotate(rotations());
    let Outcome { site, stored, ledger, gap_bytes } = trial.finish(daemon);
    assert_eq!((ledger.doubled, ledger.foreign), (0, 0), "{ledger}");
    // What was written after logrotate had copied and before it truncated is nowhere; of that, what the daemon
    // has neither read nor seen the size of can be told by nobody.
    assert!(gap_bytes <= ledger.lost_bytes, "{gap_bytes} bytes are told as lost: {ledger}");
    let stored = numbers(&stored);
    for file in fs::read_dir(site.path("logs")).unwrap() {
        let path = file.unwrap().path();
        let missing = numbers(&fs::read(&path).unwrap()).difference(&stored).count();
        assert_eq!(missing, 0, "lines that {} holds are not stored: {ledger}", path.display());
    }
}

/// The numbers of the whole lines in `bytes`.
fn numbers(bytes: &[u8]) -> BTreeSet<u64> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.starts_with(b"line "));
    lines.filter_map(|line| std::str::from_utf8(line.get(5..15)?).ok()?.parse().ok()).collect()
}

#[test]
fn create_while_stopped_loses_and_doubles_nothing() {
    rotated_while_down("create", Tells::Reopen, stopped);
}

#[test]
fn create_while_killed_loses_and_doubles_nothing() {
    rotated_while_down("create", Tells::Reopen, killed);
}

#[test]
fn dateext_while_killed_loses_and_doubles_nothing() {
    rotated_while_down(DATED, Tells::Reopen, killed);
}

#[test]
fn compress_while_stopped_loses_and_doubles_nothing() {
    rotated_while_down("create\ncompress", Tells::Reopened, stopped);
}

#[test]
fn compress_while_killed_loses_and_doubles_nothing() {
    rotated_while_down("create\ncompress", Tells::Reopened, killed);
}

#[test]
fn delaycompress_while_killed_loses_and_doubles_nothing() {
    rotated_while_down("create\ncompress\ndelaycompress", Tells::Reopened, killed);
}

#[test]
fn zstd_while_stopped_loses_and_doubles_nothing() {
    let zstd = "create\ncompress\ncompresscmd /usr/bin/zstd\nuncompresscmd /usr/bin/unzstd\ncompressext .zst\ncompressoptions -q --rm";
    rotated_while_down(zstd, Tells::Reopened, stopped);
}

#[test]
fn dateext_with_compress_while_stopped_loses_and_doubles_nothing() {
    rotated_while_down(&format!("{DATED}\ncompress"), Tells::Reopened, stopped);
}

#[test]
fn copytruncate_while_stopped_loses_and_doubles_nothing() {
    rotated_while_down("copytruncate", Tells::Rest, stopped);
}

#[test]
fn copytruncate_with_compress_while_killed_loses_and_doubles_nothing() {
    rotated_while_down("copytruncate\ncompress", Tells::Rest, killed);
}
