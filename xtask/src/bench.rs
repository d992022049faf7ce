//! `cargo xtask bench`: every figure beside a yardstick that was taken in the same run on the same bytes.
//!
//! Absolute times on shared machines mean nothing, so `zstd -1 -T1` and `grep` run over the same file and the
//! table shows ratios. Answers are checked while they are timed: a fast wrong answer fails the run.

mod agent;
mod append;
mod calm;
mod checks;
mod cold;
mod figure;
mod follow;
mod import;
mod parse;
mod process;
mod questions;
mod streams;
mod yardstick;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fs_err as fs;
use taffrail_testkit::{Daemon, Scratch};

use crate::{corpus, workspace};
use checks::Checks;
use figure::{Figure, Report, Unit, mib};
use follow::Following;
use yardstick::Yardsticks;

/// How long the daemon is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);

/// Lines of the corpus where only following is measured.
const FOLLOW_LINES: u64 = 1_000_000;

/// `cargo xtask bench`
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Log file to measure with; without it, a corpus of our own is made (and kept in the cache)
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Lines of the corpus that is made
    #[arg(long, default_value_t = 4_000_000, conflicts_with = "corpus")]
    lines: u64,
    /// Program to measure; without it, the release program is built
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Write the results here, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Imports to take the median of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    imports: u16,
    /// Measure only this; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Lines of the long run that memory is measured over
    #[arg(long, default_value_t = 10_000_000)]
    long_run_lines: u64,
    /// Measure only how long a cold `make run` takes until the page answers
    #[arg(long)]
    cold: bool,
}

/// What can be measured by itself.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Import, questions, memory of the daemon, appended lines found by a query
    Store,
    /// All that follow
    Follow,
    /// CPU and memory of 1,000 quiet files
    Quiet,
    /// 20,000 files in one glob
    Start,
    /// From an append to a live subscriber
    Live,
    /// CPU of a growing file against import
    Sustained,
    /// The real logrotate under 50,000 lines a second
    Rotate,
    /// Memory over millions of lines
    Memory,
    /// Streams under many clients
    Streams,
    /// The slim agent
    Agent,
}

impl Part {
    const FOLLOW: [Self; 6] =
        [Self::Quiet, Self::Start, Self::Live, Self::Sustained, Self::Rotate, Self::Memory];

    /// Those that are asked for, or all.
    fn wanted(only: &[Self]) -> Vec<Self> {
        let follow = only.is_empty() || only.contains(&Self::Follow);
        let mut parts: Vec<Self> = only.iter().copied().filter(|part| *part != Self::Follow).collect();
        parts.extend(only.is_empty().then_some(Self::Store));
        parts.extend(only.is_empty().then_some(Self::Streams));
        parts.extend(only.is_empty().then_some(Self::Agent));
        parts.extend(Self::FOLLOW.iter().filter(|_| follow));
        parts
    }
}

/// What all measurements need to know.
#[derive(Debug)]
struct Setting {
    binary: PathBuf,
    corpus: PathBuf,
    scratch: Scratch,
    yardsticks: Yardsticks,
}

/// Measures, prints the table, and says whether every must was reached.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut report = Report::default();
    if arguments.cold {
        report.figures.push(cold::measure(&workspace::cache_dir()?.join("bench"))?);
    } else {
        let wanted = Part::wanted(&arguments.only);
        let following = following(arguments, &wanted)?;
        if wanted.contains(&Part::Store) {
            measure(&prepare(&following)?, arguments.imports, &mut report)?;
        }
        follow::measure(&following, &wanted, &mut report)?;
        if wanted.contains(&Part::Streams) {
            say("streams under many clients");
            streams::measure(&following, &mut report)?;
        }
        if wanted.contains(&Part::Agent) {
            say("the slim agent");
            agent::measure(&following, &mut report)?;
        }
    }
    report.print();
    if let Some(path) = &arguments.json {
        fs::write(path, report.json().to_string() + "\n")?;
    }
    Ok(report.is_reached())
}

/// Finds the program and the corpus, or makes them. What needs no corpus gets along with a small one.
fn following(arguments: &Arguments, wanted: &[Part]) -> Result<Following> {
    let folder = workspace::cache_dir()?.join("bench");
    let lines = match wanted.contains(&Part::Store) {
        true => arguments.lines,
        false => arguments.lines.min(FOLLOW_LINES),
    };
    let corpus = match &arguments.corpus {
        Some(path) => path.clone(),
        None => {
            let path = folder.join(format!("corpus-{lines}.log"));
            say(&format!("corpus: {lines} lines of our own kind in {}", path.display()));
            corpus::ensure(&path, lines)?;
            path
        }
    };
    let corpus = fs::canonicalize(&corpus)?;
    let binary = match &arguments.binary {
        Some(path) => fs::canonicalize(path)?,
        None => workspace::build("release")?,
    };
    Ok(Following { binary, folder, corpus, long_run_lines: arguments.long_run_lines })
}

fn prepare(following: &Following) -> Result<Setting> {
    let Following { binary, folder, corpus, .. } = following;
    let scratch = Scratch::inside(folder)?;
    say("yardsticks: zstd, grep");
    let yardsticks = Yardsticks::take(corpus, scratch.path())?;
    Ok(Setting { binary: binary.clone(), corpus: corpus.clone(), scratch, yardsticks })
}

fn measure(setting: &Setting, imports: u16, report: &mut Report) -> Result<()> {
    let mut checks = Checks::default();
    say(&format!("import: {imports} times"));
    let data = import::measure(setting, imports, report)?;
    say("the parser alone");
    parse::measure(setting, report)?;
    say("questions over HTTP");
    let followed = setting.scratch.write("followed.log", "")?;
    let daemon =
        Daemon::builder(&setting.binary, &data).arg(&followed).start().context("start the daemon")?;
    let idle = idle_memory(&daemon)?;
    questions::measure(setting, &daemon, report, &mut checks)?;
    let idle_after_questions = idle_memory(&daemon)?;
    report.figures.push(Figure::absolute("memory of the idle daemon", [80.0, 40.0], mib(idle), Unit::MiB));
    report.note("memory, idle after the questions", format!("{:.1} MiB", mib(idle_after_questions)));
    say("append at 1,000 lines a second");
    append::measure(&daemon, &followed, report, &mut checks)?;
    report.note("memory, peak of the daemon", format!("{:.1} MiB", mib(peak_memory(&daemon)?)));
    daemon.stop()?;
    say("export, compared byte by byte");
    checks.export(setting, &data)?;
    report.checks.extend(checks.done);
    Ok(())
}

fn idle_memory(daemon: &Daemon) -> Result<u64> {
    std::thread::sleep(IDLE);
    process::status_bytes(daemon.pid(), "VmRSS:")
}

fn peak_memory(daemon: &Daemon) -> Result<u64> {
    process::status_bytes(daemon.pid(), "VmHWM:")
}

fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// Lines of a file.
fn count_lines(path: &Path) -> Result<u64> {
    Ok(yardstick::count_lines(path)?.0)
}

/// Bytes of all files below `folder`.
fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        if entry.file_type().is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
