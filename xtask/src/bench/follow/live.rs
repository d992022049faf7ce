//! How long a line takes from being appended to a followed file until a live subscriber has it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use taffrail_testkit::{Daemon, wait_until};

use super::{Following, PATIENCE, Report, scratch};
use crate::bench::calm::Rounds;
use crate::bench::figure::{Check, Figure, Unit};
use crate::bench::process::percentile;
use crate::corpus;

const LINES_PER_SECOND: u32 = 1_000;
const LINES: u32 = 15_000;
/// Before the number of each line.
const MARK: &str = "live5f1c";
/// The stream is silent for no longer than this while lines come.
const SILENCE: Duration = Duration::from_secs(10);

/// When each line was written.
type Written = Mutex<Vec<Instant>>;

/// How often a calm round is tried for.
const TRIES: usize = 4;

/// The number of each line that came, and how late it was.
type Seen = Vec<(u32, Duration)>;

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let rounds = Rounds::take(1, TRIES, || watch(following))?;
    let late = |seen: &Seen, percent| {
        let times: Vec<Duration> = seen.iter().map(|(_, time)| *time).collect();
        percentile(&times, percent).as_secs_f64() * 1000.0
    };
    rounds.note(report, "appended -> live subscriber, p99", |seen| late(seen, 99));
    let seen = rounds.best(|seen| late(seen, 99));
    report.figures.extend([
        Figure::absolute("appended -> live subscriber, p50", [5.0, 3.0], late(seen, 50), Unit::Milliseconds),
        Figure::absolute("appended -> live subscriber, p99", [25.0, 8.0], late(seen, 99), Unit::Milliseconds),
    ]);
    for seen in rounds.all() {
        report.checks.push(Check {
            name: "the live stream has every line once".to_owned(),
            detail: format!("{} of {LINES} lines", seen.len()),
            is_right: seen.iter().map(|(number, _)| *number).eq(0..LINES),
        });
    }
    Ok(())
}

fn watch(following: &Following) -> Result<Seen> {
    let (_scratch, folder) = scratch(following)?;
    let log = folder.join("live.log");
    fs::write(&log, "")?;
    let daemon = Daemon::builder(&following.binary, folder.join("data")).arg(&log).start()?;
    let stream = subscribe(&daemon)?;
    let written = Written::default();
    let seen = std::thread::scope(|scope| {
        let writer = scope.spawn(|| append(&log, &written));
        let seen = receive(stream, &written);
        writer.join().expect("the writer does not panic").and(seen)
    })?;
    daemon.stop()?;
    Ok(seen)
}

fn subscribe(daemon: &Daemon) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(daemon.address())?;
    stream.set_read_timeout(Some(SILENCE))?;
    write!(stream, "GET /api/v1/tail HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.address())?;
    let subscribed = wait_until(PATIENCE, || {
        let stats = daemon.get("/api/v1/stats").and_then(|answer| answer.json());
        stats.is_ok_and(|stats| stats["subscribers"] == 1)
    });
    ensure!(subscribed, "the daemon counts no subscriber");
    Ok(BufReader::new(stream))
}

fn append(log: &Path, written: &Written) -> Result<()> {
    let mut file = fs::OpenOptions::new().append(true).open(log)?;
    let start = Instant::now();
    for number in 0..LINES {
        let due = start + Duration::from_secs(1) * number / LINES_PER_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let line = corpus::stamped(u64::try_from(now)?, &format!("request {MARK}{number:06} served"));
        written.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        file.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Every line's number and how long it took.
fn receive(stream: BufReader<TcpStream>, written: &Written) -> Result<Seen> {
    let mut seen = Vec::new();
    for line in stream.lines() {
        let line = line.context("the live stream")?;
        let now = Instant::now();
        let Some(number) = number(&line) else { continue };
        let at = written.lock().unwrap_or_else(PoisonError::into_inner).get(number as usize).copied();
        seen.push((number, now.saturating_duration_since(at.context("a line that was never written")?)));
        if number + 1 == LINES {
            break;
        }
    }
    ensure!(!seen.is_empty(), "the live stream ended without a line");
    Ok(seen)
}

/// The number of a line in an event; `None` for anything else in the stream.
fn number(line: &str) -> Option<u32> {
    let event = line.strip_prefix("data:")?;
    event.split_once(MARK)?.1.get(..6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_the_number_in_an_event() {
        assert_eq!(super::number(r#"data: {"body":"request live5f1c000042 served"}"#), Some(42));
        assert_eq!(super::number("event: gap"), None);
        assert_eq!(super::number(r#"data: {"skipped":3}"#), None);
    }
}
