//! What it costs to understand a line: our parser alone against `zstd -1` of the same bytes.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setting;
use super::figure::{Figure, Report};
use super::process::median;
use crate::workspace::cargo;

/// Runs of which the median counts.
const RUNS: usize = 3;
/// What the benchmark prints after the number that counts here.
const UNIT: &str = " ns of CPU a byte";

pub(super) fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let runs = (0..RUNS).map(|_| nanoseconds_a_byte(setting)).collect::<Result<Vec<_>>>()?;
    let taken = &setting.yardsticks;
    #[expect(clippy::cast_precision_loss, reason = "no corpus is so large that it shows")]
    let cpu = Duration::from_secs_f64(median(&runs) * taken.bytes as f64 / 1e9);
    report.figures.push(Figure::times("parse CPU / zstd -1 CPU", [1.2, 0.6], cpu, taken.zstd_cpu));
    Ok(())
}

/// Of the parser over the corpus, as its own benchmark tells.
fn nanoseconds_a_byte(setting: &Setting) -> Result<f64> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "--package", "taffrail-parse"]).env("CORPUS", &setting.corpus);
    let output = command.stderr(Stdio::inherit()).output().context("start cargo bench")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "cargo bench ended with {}: {printed}", output.status);
    let number = printed.trim_end().strip_suffix(UNIT).and_then(|text| text.rsplit(' ').next());
    let number = number.and_then(|text| text.parse().ok());
    number.with_context(|| format!("cargo bench does not end with `{UNIT}`: {printed}"))
}
