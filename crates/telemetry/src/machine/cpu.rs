//! Processors: `/proc/stat`, see `proc_stat(5)`.

use std::collections::HashSet;

use fs_err as fs;
use taffrail_record::Timestamp;
use taffrail_record::sample::{Core, Cpu, CpuShares, CpuTimes, percent};

use crate::roots::{Error, Result, Roots};

/// What `/proc/stat` says.
#[derive(Default)]
pub(super) struct Stat {
    pub cpu: Cpu,
    pub context_switches: Option<u64>,
    pub forks: Option<u64>,
    /// Tasks, not processes.
    pub running: Option<u64>,
    pub blocked: Option<u64>,
    pub booted: Option<Timestamp>,
}

pub(super) fn read(roots: &Roots) -> Result<Stat> {
    let (path, text) = roots.proc("stat")?;
    let tick_ms = 1_000 / rustix::param::clock_ticks_per_second().max(1);
    let mut stat = Stat::default();
    let mut has_total = false;
    for line in text.lines() {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let first = || rest.trim().parse::<u64>().ok();
        match (name, name.strip_prefix("cpu")) {
            ("cpu", _) => {
                has_total = true;
                stat.cpu.total.times = times(rest, tick_ms);
            }
            (_, Some(number)) => {
                let Ok(number) = number.parse() else { continue };
                stat.cpu.cores.push(Core { number, times: times(rest, tick_ms), shares: None });
            }
            ("ctxt", _) => stat.context_switches = first(),
            ("processes", _) => stat.forks = first(),
            ("procs_running", _) => stat.running = first(),
            ("procs_blocked", _) => stat.blocked = first(),
            ("btime", _) => {
                let seconds = first().and_then(|seconds| i64::try_from(seconds).ok());
                stat.booted = seconds.and_then(|seconds| Timestamp::from_seconds(seconds, 0));
            }
            _ => {}
        }
    }
    if has_total { Ok(stat) } else { Err(Error::Format(path)) }
}

/// Kernels that count less leave the last ones out.
fn times(numbers: &str, tick_ms: u64) -> CpuTimes {
    let mut numbers = numbers.split_ascii_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0).saturating_mul(tick_ms);
    CpuTimes {
        user: next(),
        nice: next(),
        system: next(),
        idle: next(),
        iowait: next(),
        irq: next(),
        softirq: next(),
        steal: next(),
        guest: next(),
        guest_nice: next(),
    }
}

/// Cores without their siblings.
pub(super) fn physical(roots: &Roots) -> Option<usize> {
    let folders = fs::read_dir(roots.sys.join("devices/system/cpu")).ok()?;
    let siblings = folders.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.strip_prefix("cpu")?;
        number.parse::<u32>().ok()?;
        let list = |name| roots.sys(path.join("topology").join(name));
        list("core_cpus_list").or_else(|| list("thread_siblings_list"))
    });
    Some(siblings.collect::<HashSet<_>>().len()).filter(|count| *count > 0)
}

/// Where the time went between two readings; `None` if none went by.
pub(crate) fn shares(before: &CpuTimes, after: &CpuTimes) -> Option<CpuShares> {
    // `iowait` and `idle` of a processor may go back a little.
    let since = |of: fn(&CpuTimes) -> u64| of(after).saturating_sub(of(before)) as f64;
    let all: [f64; 8] = [
        since(|times| times.user),
        since(|times| times.nice),
        since(|times| times.system),
        since(|times| times.idle),
        since(|times| times.iowait),
        since(|times| times.irq),
        since(|times| times.softirq),
        since(|times| times.steal),
    ];
    let total: f64 = all.iter().sum();
    let [user, nice, system, idle, iowait, irq, softirq, steal] = all.map(|part| percent(part, total));
    (total > 0.0).then_some(CpuShares { user, nice, system, idle, iowait, irq, softirq, steal })
}
