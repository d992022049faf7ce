//! Fuzzing: seeds out of the formats' samples, and one run of cargo-fuzz a target.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use fs_err as fs;

use crate::workspace;

/// The targets, as `fuzz/Cargo.toml` has them.
const TARGETS: [&str; 4] = ["parse_line", "parse_timestamp", "own_format", "redact"];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Targets; default: all, one after the other
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each goes on
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// Whether no target found anything.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let root = workspace::root();
    let all = || TARGETS.map(str::to_owned).to_vec();
    let targets = if arguments.targets.is_empty() { all() } else { arguments.targets.clone() };
    let mut clean = true;
    for target in targets {
        let seeds = seed(root, &target)?;
        eprintln!("fuzz: {target}, {} minutes, {seeds} seeds", arguments.minutes);
        let status = Command::new("rustup")
            .current_dir(root.join("fuzz"))
            .args(["run", "nightly", "cargo", "fuzz", "run", &target, "--"])
            .arg(format!("-max_total_time={}", arguments.minutes * 60))
            .args(["-max_len=8192", "-timeout=5", "-rss_limit_mb=1024"])
            .status()
            .context("cannot run cargo-fuzz; `cargo install cargo-fuzz` and a nightly compiler are needed")?;
        clean &= status.success();
    }
    Ok(clean)
}

/// Writes what a target begins with; how many there are.
fn seed(root: &Path, target: &str) -> Result<usize> {
    let corpus = root.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let mut seeds = 0;
    for entry in fs::read_dir(root.join("formats"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if target == "own_format" {
            fs::write(corpus.join(&name), &text)?;
            seeds += 1;
            continue;
        }
        let format: toml::Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let samples = format.get("samples").and_then(toml::Value::as_array);
        for (index, sample) in samples.into_iter().flatten().enumerate() {
            if let Some(line) = sample.get("line").and_then(toml::Value::as_str) {
                fs::write(corpus.join(format!("{name}-{index}")), line)?;
                seeds += 1;
            }
        }
    }
    Ok(seeds)
}
