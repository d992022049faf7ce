//! Memory: `/proc/meminfo`, `/proc/pressure/*`; what a container may use: its cgroup.

use std::time::Duration;

use procfs_core::{CpuPressure, FromRead as _, IoPressure, Meminfo, MemoryPressure, PressureRecord};
use taffrail_record::sample::{Limits, Memory, Pressure, Stall};

use crate::roots::{Error, Result, Roots};

pub(super) fn read(roots: &Roots) -> Result<Memory> {
    let (path, text) = roots.proc("meminfo")?;
    let info = Meminfo::from_read(text.as_bytes()).map_err(|_| Error::Format(path))?;
    let reclaimable = info.s_reclaimable.unwrap_or(0);
    Ok(Memory {
        total: info.mem_total,
        // Kernels before 3.14 do not say it.
        available: info.mem_available.unwrap_or(info.mem_free + info.buffers + info.cached + reclaimable),
        free: info.mem_free,
        buffers: info.buffers,
        cached: info.cached,
        reclaimable,
        dirty: info.dirty,
        writeback: info.writeback,
        active: info.active,
        inactive: info.inactive,
        mapped: info.mapped,
        anonymous: info.anon_pages.unwrap_or(0),
        shared: info.shmem.unwrap_or(0),
        slab: info.slab,
        page_tables: info.page_tables.unwrap_or(0),
        kernel_stacks: info.kernel_stack.unwrap_or(0),
        committed: info.committed_as,
        commit_limit: info.commit_limit.unwrap_or(0),
        swap_total: info.swap_total,
        swap_free: info.swap_free,
        swap_cached: info.swap_cached,
    })
}

/// Kernels that do not count it have no such files.
pub(super) fn pressure(roots: &Roots) -> Pressure {
    let text = |name: &str| roots.proc(&format!("pressure/{name}")).ok().map(|(_, text)| text);
    let cpu = text("cpu").and_then(|text| CpuPressure::from_read(text.as_bytes()).ok());
    let memory = text("memory").and_then(|text| MemoryPressure::from_read(text.as_bytes()).ok());
    let io = text("io").and_then(|text| IoPressure::from_read(text.as_bytes()).ok());
    Pressure {
        cpu: cpu.as_ref().map(|cpu| stall(&cpu.some)),
        memory: memory.as_ref().map(|memory| stall(&memory.some)),
        memory_full: memory.as_ref().map(|memory| stall(&memory.full)),
        io: io.as_ref().map(|io| stall(&io.some)),
        io_full: io.as_ref().map(|io| stall(&io.full)),
    }
}

fn stall(record: &PressureRecord) -> Stall {
    Stall { share: f64::from(record.avg10), total: Duration::from_micros(record.total) }
}

/// What a container may use. At its root a machine's own cgroup has no such files, or a limit that means none.
pub(super) fn limits(roots: &Roots) -> Option<Limits> {
    let file = |name: &str| roots.sys(format!("fs/cgroup/{name}"));
    let number = |name: &str| file(name)?.parse::<u64>().ok();
    let bytes = number("memory.max").or_else(|| number("memory/memory.limit_in_bytes"));
    let quota = file("cpu.max").and_then(|text| {
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    let quota_v1 = || Some(number("cpu/cpu.cfs_quota_us")? as f64 / number("cpu/cpu.cfs_period_us")? as f64);
    let limits = Limits {
        // Version 1 writes the largest whole page for none.
        memory: bytes.filter(|bytes| *bytes < 1 << 62),
        cpus: quota.or_else(quota_v1).filter(|cpus| cpus.is_finite() && *cpus > 0.0),
        tasks: number("pids.max").or_else(|| number("pids/pids.max")),
    };
    (limits != Limits::default()).then_some(limits)
}

/// A container's memory: what its cgroup says of it, where that is less than the machine has.
pub(super) fn within(limits: &Limits, memory: Memory, roots: &Roots) -> Memory {
    let Some(total) = limits.memory.filter(|limit| *limit < memory.total) else { return memory };
    let version_1 = roots.sys("fs/cgroup/memory.max").is_none();
    let file = |name| roots.sys(format!("fs/cgroup/{name}")).and_then(|text| text.parse::<u64>().ok());
    let (usage, stat) = match version_1 {
        false => (file("memory.current"), "memory.stat"),
        true => (file("memory/memory.usage_in_bytes"), "memory/memory.stat"),
    };
    let stat = crate::roots::text(&roots.sys.join("fs/cgroup").join(stat)).unwrap_or_default();
    let of = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
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
