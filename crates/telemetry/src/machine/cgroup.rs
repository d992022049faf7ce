//! What a container may use, and what it uses of it: its cgroup, see the kernel's `cgroup-v2` and `cgroup-v1`.

use std::time::Duration;

use taffrail_record::sample::{Limits, Memory, percent};

use crate::roots::Roots;

/// A number in a file of the cgroup; `None` if there is none: there is no limit, or no such file.
fn number(roots: &Roots, name: &str) -> Option<u64> {
    file(roots, name)?.parse().ok()
}

fn file(roots: &Roots, name: &str) -> Option<String> {
    roots.sys(format!("fs/cgroup/{name}"))
}

/// The number in a line of a file that has many.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn text(roots: &Roots, name: &str) -> String {
    crate::roots::text(&roots.sys.join("fs/cgroup").join(name)).unwrap_or_default()
}

/// What a container may use. At its root a machine's own cgroup has no such files, or a limit that means none.
pub(super) fn limits(roots: &Roots) -> Option<Limits> {
    let number = |name| number(roots, name);
    // Version 1 writes the largest whole page for none.
    let limited = |bytes: &u64| *bytes < 1 << 62;
    let v1 = number("memory/memory.limit_in_bytes");
    let memory = number("memory.max").or(v1).filter(limited);
    // Version 1 limits both together.
    let both = number("memory/memory.memsw.limit_in_bytes").filter(limited);
    let swap = number("memory.swap.max").or_else(|| Some(both?.saturating_sub(memory?)));
    let quota = file(roots, "cpu.max").and_then(|text| {
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    let quota_v1 = || Some(number("cpu/cpu.cfs_quota_us")? as f64 / number("cpu/cpu.cfs_period_us")? as f64);
    let cpus = quota.or_else(quota_v1).filter(|cpus| cpus.is_finite() && *cpus > 0.0);
    let limits = Limits {
        memory,
        swap,
        cpus,
        cpu_time: cpus.and_then(|_| cpu_time(roots)),
        cpu_share: None,
        tasks: number("pids.max").or_else(|| number("pids/pids.max")),
    };
    (limits != Limits::default()).then_some(limits)
}

/// Time of processors that the container has used so far.
fn cpu_time(roots: &Roots) -> Option<Duration> {
    let used = field(&text(roots, "cpu.stat"), "usage_usec").map(Duration::from_micros);
    // Version 1 counts it elsewhere, whose folder may be that of both.
    let nanoseconds =
        || number(roots, "cpuacct/cpuacct.usage").or_else(|| number(roots, "cpu/cpuacct.usage"));
    used.or_else(|| nanoseconds().map(Duration::from_nanos))
}

/// What was used, between two readings, of the processors that may be used, in percent; `None` where nothing is limited.
pub(crate) fn cpu_share(before: &Limits, after: &Limits, over: Duration) -> Option<f64> {
    let used = after.cpu_time?.checked_sub(before.cpu_time?)?;
    Some(percent(used.as_secs_f64(), after.cpus? * over.as_secs_f64()))
}

/// A container's memory: what its cgroup says of it, where that is less than the machine has.
pub(super) fn within(limits: &Limits, mut memory: Memory, roots: &Roots) -> Memory {
    if let Some(limit) = limits.memory.filter(|limit| *limit < memory.total) {
        memory = memory_within(limit, memory, roots);
    }
    if let Some(limit) = limits.swap.filter(|limit| *limit < memory.swap_total) {
        let free = limit.saturating_sub(swap_used(roots));
        (memory.swap_total, memory.swap_free) = (limit, free.min(memory.swap_free));
    }
    memory
}

fn memory_within(total: u64, memory: Memory, roots: &Roots) -> Memory {
    let version_1 = file(roots, "memory.max").is_none();
    let (usage, stat) = match version_1 {
        false => (number(roots, "memory.current"), "memory.stat"),
        true => (number(roots, "memory/memory.usage_in_bytes"), "memory/memory.stat"),
    };
    let stat = text(roots, stat);
    let of = |name: &str| field(&stat, name).unwrap_or(0);
    let (idle, cached) = match version_1 {
        false => (of("inactive_file"), of("file")),
        true => (of("total_inactive_file"), of("total_cache")),
    };
    let used = usage.unwrap_or(0);
    Memory {
        total,
        available: total.saturating_sub(used.saturating_sub(idle)).min(memory.available),
        free: total.saturating_sub(used),
        cached,
        ..memory
    }
}

fn swap_used(roots: &Roots) -> u64 {
    let v1 = || {
        let both = number(roots, "memory/memory.memsw.usage_in_bytes")?;
        Some(both.saturating_sub(number(roots, "memory/memory.usage_in_bytes")?))
    };
    number(roots, "memory.swap.current").or_else(v1).unwrap_or(0)
}
