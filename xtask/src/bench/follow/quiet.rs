//! What files cost that nobody writes to: the daemon against one that follows a single file.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use taffrail_testkit::Daemon;

use super::{Following, Report, scratch, stored, write_files};
use crate::bench::figure::{Figure, Unit, time};
use crate::bench::process;

const FILES: usize = 1_000;
/// Until the start is over.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it is watched doing one.
const WATCHED: Duration = Duration::from_secs(30);

/// What an idle daemon uses.
struct Idle {
    cpu: Duration,
    memory_bytes: u64,
}

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let (_scratch, folder) = scratch(following)?;
    // One file, not none: what following as such needs, code above all, is needed once.
    let one = idle(following, &folder.join("one"), 1)?;
    let quiet = idle(following, &folder.join("quiet"), FILES)?;
    let cpu = quiet.cpu.saturating_sub(one.cpu);
    let bytes = quiet.memory_bytes.saturating_sub(one.memory_bytes);
    let percent = 100.0 * cpu.as_secs_f64() / WATCHED.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "no memory is so large that it shows")]
    let kib_each = bytes as f64 / 1024.0 / FILES as f64;
    report.figures.extend([
        Figure::absolute("1,000 quiet files, of one core", [0.5, 0.1], percent, Unit::Percent),
        Figure::absolute("a quiet file, memory", [8.0, 4.0], kib_each, Unit::KiB),
    ]);
    report.note(
        &format!("idle CPU in {} s, 1 and 1,000 files", WATCHED.as_secs()),
        format!("{}, {}", time(one.cpu), time(quiet.cpu)),
    );
    Ok(())
}

/// Started a second time, so that the lines are on disk and not in its memory.
fn idle(following: &Following, folder: &Path, files: usize) -> Result<Idle> {
    let pattern = write_files(&folder.join("logs"), files)?;
    let start = || Daemon::builder(&following.binary, folder.join("data")).arg(&pattern).start();
    let daemon = start()?;
    stored(&daemon, files as u64)?;
    daemon.stop()?;
    let daemon = start()?;
    stored(&daemon, files as u64)?;
    std::thread::sleep(SETTLE);
    let before = process::cpu(daemon.pid())?;
    std::thread::sleep(WATCHED);
    let cpu = process::cpu(daemon.pid())?.saturating_sub(before);
    let memory_bytes = process::status_bytes(daemon.pid(), "VmRSS:")?;
    daemon.stop()?;
    Ok(Idle { cpu, memory_bytes })
}
