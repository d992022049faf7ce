//! A child process and what it cost: CPU, time on the wall, memory.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use wait4::Wait4;

/// What one run of a program cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// User and system time of the process and the children it waited for.
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    pub(super) peak_memory_bytes: u64,
}

/// Runs `command` to its end; fails where it does.
pub(super) fn cost(command: &mut Command) -> Result<Cost> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("start {name}: is it installed?"))?;
    let (cost, status) = wait(child, start)?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(cost)
}

/// Runs `command`, which prints one number, and returns it too. `grep` that finds nothing ends with 1.
pub(super) fn count(command: &mut Command) -> Result<(u64, Cost)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {name}: is it installed?"))?;
    let printed = std::io::read_to_string(child.stdout.take().context("no pipe")?)?;
    let (cost, status) = wait(child, start)?;
    ensure!(matches!(status.code(), Some(0 | 1)), "{name} ended with {status}");
    let number = printed.trim().parse().with_context(|| format!("{name} printed {printed:?}"))?;
    Ok((number, cost))
}

fn wait(child: Child, start: Instant) -> Result<(Cost, ExitStatus)> {
    let used = child.wait4()?;
    let cost = Cost {
        cpu: used.rusage.utime + used.rusage.stime,
        wall: start.elapsed(),
        peak_memory_bytes: used.rusage.maxrss,
    };
    Ok((cost, used.status))
}

/// A line of `/proc/PID/status` that counts kilobytes, in bytes.
pub(super) fn status_bytes(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes =
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("no {name} in the status of process {pid}"))? * 1024)
}

/// User and system time of a process so far, of all its threads.
pub(super) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = fields_of_stat(&stat).with_context(|| format!("cannot read the stat of process {pid}"))?;
    // As proc(5) counts them: utime is field 14, stime 15; the state, field 3, is the first here.
    let ticks: Option<u64> =
        fields.get(11..13).and_then(|both| both.iter().map(|text| text.parse::<u64>().ok()).sum());
    let ticks = ticks.with_context(|| format!("no times in the stat of process {pid}"))?;
    Ok(Duration::from_secs(ticks) / ticks_per_second()?)
}

/// Whether a process has ended and was not waited for yet.
pub(super) fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    fields_of_stat(&stat).is_some_and(|fields| fields.first() == Some(&"Z"))
}

/// What comes after the name of the program, which may hold anything.
fn fields_of_stat(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

fn ticks_per_second() -> Result<u32> {
    let output = Command::new("getconf").arg("CLK_TCK").output().context("start getconf")?;
    String::from_utf8_lossy(&output.stdout).trim().parse().context("getconf CLK_TCK gives no number")
}

/// The middle of `values`, which are not empty: for an even count the upper of the two.
pub(super) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The value that `percent` of `values` do not exceed.
pub(super) fn percentile<T: Copy + PartialOrd>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("no measurement is NaN"));
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_cpu_memory_and_failure() {
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let cost = cost(Command::new("sh").args(["-c", busy])).unwrap();
        assert!(cost.cpu > Duration::from_millis(5), "{cost:?}");
        assert!(cost.wall >= cost.cpu / 2 && cost.peak_memory_bytes > 100_000, "{cost:?}");
        assert!(super::cost(Command::new("sh").args(["-c", "exit 3"])).is_err());
        assert!(super::cost(&mut Command::new("no-such-program")).is_err());
    }

    #[test]
    fn reads_a_count() {
        assert_eq!(count(Command::new("sh").args(["-c", "echo 42"])).unwrap().0, 42);
        assert_eq!(count(Command::new("sh").args(["-c", "echo 0; exit 1"])).unwrap().0, 0);
        assert!(count(Command::new("sh").args(["-c", "echo nothing"])).is_err());
        assert!(count(Command::new("sh").args(["-c", "echo 1; exit 2"])).is_err());
    }

    #[test]
    fn reads_our_own_memory() {
        let peak = status_bytes(std::process::id(), "VmHWM:").unwrap();
        assert!(peak >= 500_000, "{peak}");
        assert!(status_bytes(std::process::id(), "VmNothing:").is_err());
    }

    #[test]
    fn reads_the_cpu_of_a_process_that_has_ended() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let mut child = Command::new("sh").args(["-c", busy]).spawn().unwrap();
        assert!(taffrail_testkit::wait_until(Duration::from_secs(60), || is_zombie(child.id())));
        let cpu = cpu(child.id()).unwrap();
        child.wait().unwrap();
        assert!((Duration::from_millis(10)..Duration::from_secs(60)).contains(&cpu), "{cpu:?}");
        assert!(!is_zombie(std::process::id()));
    }

    #[test]
    fn finds_the_middle_and_the_end() {
        assert_eq!(median(&[3, 1, 2]), 2);
        assert_eq!(median(&[1.5]), 1.5);
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 99), 100);
        assert_eq!(percentile(&hundred, 0), 1);
    }
}
