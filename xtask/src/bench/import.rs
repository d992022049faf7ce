//! `taffrail import` of the corpus against `zstd -1 -T1` of it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fs_err as fs;

use super::figure::{Figure, Report, Unit, mib};
use super::process::{Cost, cost, median};
use super::{Setting, folder_bytes};

/// Imports into empty data directories, reports the medians and returns the last of the directories.
pub(super) fn measure(setting: &Setting, imports: u16, report: &mut Report) -> Result<PathBuf> {
    let data = setting.scratch.join("data");
    let mut costs = Vec::new();
    for _ in 0..imports {
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        costs.push(import(setting, &data)?);
    }
    let taken = &setting.yardsticks;
    let cpu = median(&costs.iter().map(|cost| cost.cpu).collect::<Vec<_>>());
    let wall = median(&costs.iter().map(|cost| cost.wall).collect::<Vec<_>>());
    let peak = costs.iter().map(|cost| cost.peak_memory_bytes).max().unwrap_or(0);
    report.figures.extend([
        Figure::times("import CPU / zstd -1 CPU", [4.0, 2.0], cpu, taken.zstd_cpu),
        Figure::times("import wall / zstd -1 wall", [3.0, 1.2], wall, taken.zstd_wall),
        Figure::sizes("bytes on disk / zstd -1 file", [1.1, 0.8], folder_bytes(&data)?, taken.zstd_bytes),
        Figure::absolute("peak memory of import", [300.0, 150.0], mib(peak), Unit::MiB),
    ]);
    report.note("corpus", format!("{} lines, {:.1} MiB", taken.lines, mib(taken.bytes)));
    Ok(data)
}

fn import(setting: &Setting, data: &std::path::Path) -> Result<Cost> {
    let log = setting.scratch.join("import.out");
    let output = fs::File::create(&log)?.into_parts().0;
    let mut command = Command::new(&setting.binary);
    command.arg("import").arg("--data").arg(data).arg(&setting.corpus);
    command.stdout(Stdio::from(output.try_clone()?)).stderr(Stdio::from(output));
    cost(&mut command).with_context(|| fs::read_to_string(&log).unwrap_or_default())
}
