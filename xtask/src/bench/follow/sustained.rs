//! CPU that a growing file costs, against `import` of the same lines.
//!
//! Sustained is: as fast as it goes, as an import does. A file that grows slowly is read in short bursts, for which a core
//! that slept is slow and cold at first: no import pays that. What it costs at such a pace is told beside it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fs_err as fs;
use taffrail_testkit::{Daemon, wait_until};

use super::{Following, PATIENCE, Report, read_to, scratch};
use crate::bench::figure::{Figure, time};
use crate::bench::process;

/// Lines a second, faster than any file can be read.
const SUSTAINED: u32 = 5_000_000;
/// A pace that leaves a machine idle most of the time: lines come in small pieces.
const SLOW: u32 = 100_000;
/// Lines written at once.
const STEP_LINES: u32 = 200;
/// Both are measured so often, in turn, and the least CPU counts: what else runs on a machine only adds to it.
const ROUNDS: usize = 7;

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let (mut imports, mut follows, mut lines) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        imports.push(import(following)?);
        let (count, cpu) = follow(following, SUSTAINED)?;
        follows.push(cpu);
        lines = count;
    }
    let least = |all: &[Duration]| all.iter().min().copied().unwrap_or_default();
    let (imported, followed) = (least(&imports), least(&follows));
    let name = "follow CPU / import CPU, same lines";
    report.figures.push(Figure::times(name, [1.25, 1.0], followed, imported));
    let times = |all: &[Duration]| all.iter().copied().map(time).collect::<Vec<_>>().join(", ");
    report.note("CPU of the follows", times(&follows));
    report.note("CPU of the imports", times(&imports));
    let (_, slowly) = follow(following, SLOW)?;
    report.note(&format!("CPU of a follow at {SLOW} lines a second"), time(slowly));
    #[expect(clippy::cast_precision_loss, reason = "no count of lines is so large that it shows")]
    let speed = |cpu: Duration| format!("{:.0}", lines as f64 / cpu.as_secs_f64());
    report.note("lines a CPU second, follow and import", format!("{}, {}", speed(followed), speed(imported)));
    Ok(())
}

/// Lines, and the CPU of a daemon that follows a file which grows by so many lines a second.
fn follow(following: &Following, lines_per_second: u32) -> Result<(u64, Duration)> {
    let (_scratch, folder) = scratch(following)?;
    let log = folder.join("growing.log");
    fs::write(&log, "")?;
    let daemon = Daemon::builder(&following.binary, folder.join("followed")).arg(&log).start()?;
    let lines = grow(&following.corpus, &log, lines_per_second)?;
    read_to(&daemon, &log, fs::metadata(&log)?.len())?;
    Ok((lines, end(daemon)?))
}

/// CPU of `taffrail import` of the corpus.
fn import(following: &Following) -> Result<Duration> {
    let (_scratch, folder) = scratch(following)?;
    let mut command = Command::new(&following.binary);
    command.arg("import").arg("--data").arg(folder.join("imported")).arg(&following.corpus);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(process::cost(&mut command)?.cpu)
}

/// Appends the corpus, and gives its lines.
fn grow(corpus: &Path, log: &Path, lines_per_second: u32) -> Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, fs::File::open(corpus)?);
    let mut file = fs::OpenOptions::new().append(true).open(log)?;
    let (mut step, mut lines) = (Vec::new(), 0);
    let start = Instant::now();
    loop {
        step.clear();
        let mut count = 0;
        while count < STEP_LINES && reader.read_until(b'\n', &mut step)? > 0 {
            count += 1;
        }
        if count == 0 {
            return Ok(lines);
        }
        file.write_all(&step)?;
        lines += u64::from(count);
        let due = start + Duration::from_secs_f64(lines as f64 / f64::from(lines_per_second));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Ends the daemon, and gives all its CPU: what it read last is stored when it ends, as an import does.
fn end(daemon: Daemon) -> Result<Duration> {
    daemon.terminate()?;
    // Nobody has waited for it yet, so the system still knows.
    let ended = wait_until(PATIENCE, || process::is_zombie(daemon.pid()));
    ensure!(ended, "the daemon did not end: {}", daemon.stderr());
    process::cpu(daemon.pid())
}
