//! Many files in one glob: how long until all their lines are stored, and how much memory that takes.

use std::time::Instant;

use anyhow::Result;
use taffrail_testkit::Daemon;

use super::{Following, Report, scratch, stored, write_files};
use crate::bench::figure::{Figure, Unit, mib};
use crate::bench::process;

const FILES: usize = 20_000;

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let (_scratch, folder) = scratch(following)?;
    let pattern = write_files(&folder.join("logs"), FILES)?;
    let started = Instant::now();
    let daemon = Daemon::builder(&following.binary, folder.join("data")).arg(&pattern).start()?;
    stored(&daemon, FILES as u64)?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = process::status_bytes(daemon.pid(), "VmHWM:")?;
    daemon.stop()?;
    report.figures.extend([
        Figure::absolute("20,000 files start, all lines stored", [10.0, 3.0], seconds, Unit::Seconds),
        Figure::absolute("20,000 files start, peak memory", [200.0, 100.0], mib(peak), Unit::MiB),
    ]);
    Ok(())
}
