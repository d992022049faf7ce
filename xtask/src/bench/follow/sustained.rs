//! CPU that a growing file costs, against `import` of the same lines.

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

/// How fast the file grows: fast, but slow enough to be read in small pieces, as growing files are.
const LINES_PER_SECOND: u32 = 100_000;
/// Lines written at once.
const STEP_LINES: u32 = 200;

/// Both are measured so often, in turn, and the least CPU counts: what else runs on a machine only adds to it.
const ROUNDS: usize = 3;

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let mut least: Option<Costs> = None;
    for _ in 0..ROUNDS {
        let costs = round(following)?;
        report.note("CPU, follow and import", format!("{}, {}", time(costs.followed), time(costs.imported)));
        least = Some(least.map_or(costs, |least| least.min(costs)));
    }
    let Some(Costs { lines, imported, followed }) = least else { return Ok(()) };
    let name = "follow CPU / import CPU, same lines";
    report.figures.push(Figure::times(name, [1.25, 1.0], followed, imported));
    #[expect(clippy::cast_precision_loss, reason = "no count of lines is so large that it shows")]
    let speed = |cpu: Duration| format!("{:.0}", lines as f64 / cpu.as_secs_f64());
    report.note("lines a CPU second, follow and import", format!("{}, {}", speed(followed), speed(imported)));
    Ok(())
}

/// CPU of the same lines.
#[derive(Clone, Copy)]
struct Costs {
    lines: u64,
    imported: Duration,
    followed: Duration,
}

impl Costs {
    fn min(self, other: Self) -> Self {
        let imported = self.imported.min(other.imported);
        Self { imported, followed: self.followed.min(other.followed), ..self }
    }
}

fn round(following: &Following) -> Result<Costs> {
    let (_scratch, folder) = scratch(following)?;
    let imported = import(following, &folder)?;
    let log = folder.join("growing.log");
    fs::write(&log, "")?;
    let daemon = Daemon::builder(&following.binary, folder.join("followed")).arg(&log).start()?;
    let lines = grow(&following.corpus, &log)?;
    read_to(&daemon, &log, fs::metadata(&log)?.len())?;
    Ok(Costs { lines, imported, followed: end(daemon)? })
}

/// CPU of `taffrail import` of the corpus.
fn import(following: &Following, folder: &Path) -> Result<Duration> {
    let mut command = Command::new(&following.binary);
    command.arg("import").arg("--data").arg(folder.join("imported")).arg(&following.corpus);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(process::cost(&mut command)?.cpu)
}

/// Appends the corpus, and gives its lines.
fn grow(corpus: &Path, log: &Path) -> Result<u64> {
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
        let due = start + Duration::from_secs_f64(lines as f64 / f64::from(LINES_PER_SECOND));
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
