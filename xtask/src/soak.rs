//! `cargo xtask soak`: the real program over files, disks and kills that nobody planned, against an oracle that
//! knows every line ever written.
//!
//! A round starts with a fresh data directory and fresh files, does some dozens of random steps, and then looks
//! whether every line is stored exactly once and in order. Each round has a seed; `--seed` repeats it.

mod action;
mod driver;
mod model;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use fs_err as fs;
use taffrail_testkit::Scratch;

use crate::workspace;
use action::{Action, FILES, Planner};
use driver::Driver;

/// The disk that is filled.
const DISK: &str = "size=64m";
/// Set where this process has mounts of its own.
const OWN_MOUNTS: &str = "SOAK_OWN_MOUNTS";

/// `cargo xtask soak`
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long to go on; a round that has begun is finished
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Seed of the first round, the following ones count up; without it, the clock's
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds at most
    #[arg(long)]
    rounds: Option<u64>,
    /// Steps of a round
    #[arg(long, default_value_t = 40)]
    steps: usize,
    /// Program to drive; without it, one is built
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Build the debug program in place of the release program
    #[arg(long, conflicts_with = "binary")]
    debug: bool,
    /// Leave a step out (as the summary calls it), while a known defect is open; may be repeated
    #[arg(long)]
    skip: Vec<String>,
}

/// What was done so far.
#[derive(Default, Debug)]
struct Tally {
    rounds: u64,
    steps: u64,
    lines: u64,
    by_name: BTreeMap<String, u64>,
}

/// Goes on until the time is over or a round fails; says whether none did.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let binary = match &arguments.binary {
        Some(path) => fs::canonicalize(path)?,
        None => workspace::build(if arguments.debug { "dev" } else { "release" })?,
    };
    take_own_mounts();
    let scratch = Scratch::new()?;
    let (program, can_lock) = under_permissions(&binary, &scratch)?;
    let can_fill = std::env::var_os(OWN_MOUNTS).is_some();
    let mut skip = arguments.skip.clone();
    if !can_fill {
        eprintln!("soak: no disk is filled: that needs `unshare` and the right to mount");
    }
    if !can_lock {
        eprintln!("soak: no permissions are taken away: root without `setpriv` reads all");
        skip.push("lock".to_owned());
    }
    let first = arguments.seed.unwrap_or_else(clock_seed);
    let started = Instant::now();
    let end = Duration::from_secs(arguments.minutes * 60);
    let mut tally = Tally::default();
    while tally.rounds == 0 || started.elapsed() < end {
        if arguments.rounds.is_some_and(|most| tally.rounds >= most) {
            break;
        }
        let seed = first.wrapping_add(tally.rounds);
        let mut planner = Planner::new(seed, can_fill, &skip);
        let done =
            round(&program, &mut planner, arguments.steps, &mut tally, end.saturating_sub(started.elapsed()));
        clear_progress();
        if let Err(failure) = done {
            let again = again(arguments);
            let round = tally.rounds;
            say(&format!(
                "{failure}\nround {round} failed; again: cargo xtask soak --rounds 1 --seed {seed}{again}\n"
            ));
            return Ok(false);
        }
    }
    say(&summary(&tally, first, started.elapsed()));
    Ok(true)
}

fn say(text: &str) {
    // A reader that closed the pipe has seen what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The arguments that a repetition needs to be the same.
fn again(arguments: &Arguments) -> String {
    let mut out = format!(" --steps {}", arguments.steps);
    arguments.skip.iter().for_each(|name| out.push_str(&format!(" --skip {name}")));
    match &arguments.binary {
        Some(path) => out.push_str(&format!(" --binary {}", path.display())),
        None if arguments.debug => out.push_str(" --debug"),
        None => {}
    }
    out
}

/// One round; an error tells the steps and what was wrong after them.
fn round(
    program: &Path,
    planner: &mut Planner,
    steps: usize,
    tally: &mut Tally,
    left: Duration,
) -> Result<(), String> {
    tally.rounds += 1;
    let mut taken: Vec<Action> = Vec::new();
    let mut driver = Driver::new(program, planner.random.clone()).map_err(|err| format!("{err:#}"))?;
    let mut walk = || -> Result<()> {
        if planner.fills {
            driver.mount(DISK)?;
        }
        driver.start_daemon()?;
        let mut step = |driver: &mut Driver, action: Action| {
            taken.push(action);
            tally.steps += 1;
            *tally.by_name.entry(action.name()).or_default() += 1;
            progress(tally, action, left);
            driver.act(action).with_context(|| format!("step {}, {action}", taken.len()))
        };
        let mut first = (0..FILES).map(Action::Settle);
        first.try_for_each(|action| step(&mut driver, action))?;
        for _ in 0..steps {
            planner.next().into_iter().try_for_each(|action| step(&mut driver, action))?;
        }
        planner.last().into_iter().try_for_each(|action| step(&mut driver, action))?;
        driver.check()
    };
    let done = walk();
    tally.lines += driver.lines();
    done.map_err(|error| {
        let numbered = taken.iter().enumerate().map(|(at, action)| format!("{:4} {action}\n", at + 1));
        format!("{}{error:#}\n{}", numbered.collect::<String>(), driver.describe())
    })
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

/// Starts this program once more with mounts that nobody else sees and that are gone with it; where that is not
/// allowed, goes on without.
fn take_own_mounts() {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return;
    }
    let unshare: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["--mount"],
        false => &["--user", "--map-root-user", "--mount"],
    };
    let try_it = "mount -t tmpfs taffrail-soak /mnt";
    let tried =
        Command::new("unshare").args(unshare).args(["sh", "-c", try_it]).stderr(Stdio::null()).status();
    if let (true, Ok(own)) = (tried.is_ok_and(|status| status.success()), std::env::current_exe()) {
        let mut command = Command::new("unshare");
        command.args(unshare).arg("--").arg(own).args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "1");
        // Comes back only where it fails.
        let _ = command.exec();
    }
}

/// The program, started so that permissions bind it, though root starts it; and whether they do.
fn under_permissions(binary: &Path, scratch: &Scratch) -> Result<(PathBuf, bool)> {
    if !rustix::process::geteuid().is_root() {
        return Ok((binary.to_owned(), true));
    }
    let setpriv = "setpriv --bounding-set=-dac_override,-dac_read_search --";
    let tried = Command::new("sh").args(["-c", &format!("{setpriv} true")]).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return Ok((binary.to_owned(), false));
    }
    let text = format!("#!/bin/sh\nexec {setpriv} '{}' \"$@\"\n", binary.display());
    let script = scratch.write("program", text)?;
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok((script, true))
}

/// On a terminal, one line that is written over and over.
fn progress(tally: &Tally, action: Action, left: Duration) {
    if std::io::stderr().is_terminal() {
        let left = left.as_secs();
        let text = format!("round {}, step {}: {action}", tally.rounds, tally.steps);
        eprint!("\r\x1b[K{text:.60}  {}:{:02} left", left / 60, left % 60);
        let _ = std::io::stderr().flush();
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

fn summary(tally: &Tally, first: u64, taken: Duration) -> String {
    let Tally { rounds, steps, lines, by_name } = tally;
    let mut out = String::from("step               times\n");
    for (name, times) in by_name {
        out.push_str(&format!("{name:<16}  {times:>6}\n"));
    }
    let last = first.wrapping_add(rounds.saturating_sub(1));
    let minutes = taken.as_secs_f64() / 60.0;
    out.push_str(&format!(
        "\n{rounds} rounds (seeds {first} to {last}), {steps} steps, {minutes:.1} minutes\n\
         {lines} lines: lost 0, doubled 0, out of order 0, but for what `gaps` tells\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_fits_a_terminal() {
        let by_name = BTreeMap::from([("append".to_owned(), 12), ("truncate-unread".to_owned(), 3)]);
        let tally = Tally { rounds: 2, steps: 15, lines: 4_000_000_000, by_name };
        let text = summary(&tally, 1_795_000_000, Duration::from_secs(90));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("append                12\ntruncate-unread        3\n"), "{text}");
        assert!(text.contains("2 rounds (seeds 1795000000 to 1795000001), 15 steps, 1.5 minutes"), "{text}");
    }
}
