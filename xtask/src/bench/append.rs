//! How long a line takes from being appended to a followed file until a query finds it.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use fs_err as fs;
use taffrail_testkit::{Daemon, wait_until};

use super::checks::Checks;
use super::figure::{Figure, Report, Unit};
use super::process::percentile;
use super::questions::record_count;
use crate::corpus;

const LINES_PER_SECOND: u32 = 1000;
const SECONDS: u32 = 20;
/// A new line is looked for this often.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// A line that is not found by then counts with this time and fails the figure.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The newest line that is in the file, and since when.
type Newest = Mutex<Option<(u32, Instant)>>;

pub(super) fn measure(daemon: &Daemon, log: &Path, report: &mut Report, checks: &mut Checks) -> Result<()> {
    let newest = Newest::default();
    let ended = AtomicBool::new(false);
    let (written, sampled) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let written = append_lines(log, &newest);
            ended.store(true, Ordering::SeqCst);
            written
        });
        let sampled = sample(daemon, &newest, &ended);
        (writer.join().expect("the writer does not panic"), sampled)
    });
    written.context("append")?;
    let times = sampled?;
    let found_all = wait_until(GIVE_UP, || is_found(daemon, LINES_PER_SECOND * SECONDS - 1).unwrap_or(false));
    checks.add("the last appended line is found", format!("{} samples", times.len()), found_all);
    let ms = |percent| percentile(&times, percent).as_secs_f64() * 1000.0;
    report.note("appended -> found, p50", format!("{:.1} ms", ms(50)));
    let name = "appended -> found by a query, p99";
    report.figures.push(Figure::absolute(name, [1000.0, 50.0], ms(99), Unit::Milliseconds));
    Ok(())
}

fn append_lines(log: &Path, newest: &Newest) -> Result<()> {
    let mut file = fs::OpenOptions::new().append(true).open(log)?;
    let start = Instant::now();
    for number in 0..LINES_PER_SECOND * SECONDS {
        let due = start + Duration::from_secs(1) * number / LINES_PER_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let line = corpus::stamped(u64::try_from(now)?, &format!("appended {} to the log", token(number)));
        file.write_all(line.as_bytes())?;
        *newest.lock().expect("no holder panics") = Some((number, Instant::now()));
    }
    Ok(())
}

/// A word that no other line holds.
fn token(number: u32) -> String {
    format!("bench5f1c{number:06}")
}

fn sample(daemon: &Daemon, newest: &Newest, ended: &AtomicBool) -> Result<Vec<Duration>> {
    let mut client = daemon.client();
    let mut times = Vec::new();
    while !ended.load(Ordering::SeqCst) {
        let round = Instant::now();
        let Some((number, written)) = *newest.lock().expect("no holder panics") else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let target = target(number);
        while record_count(&client.get(&target)?.json()?) == 0 && written.elapsed() < GIVE_UP {
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(written.elapsed());
        std::thread::sleep((round + SAMPLE_EVERY).saturating_duration_since(Instant::now()));
    }
    anyhow::ensure!(!times.is_empty(), "no line was sampled");
    Ok(times)
}

fn target(number: u32) -> String {
    format!("/api/v1/search?q={}&limit=1", token(number))
}

fn is_found(daemon: &Daemon, number: u32) -> Result<bool> {
    Ok(record_count(&daemon.get(&target(number))?.json()?) == 1)
}
