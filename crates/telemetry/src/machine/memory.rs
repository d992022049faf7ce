//! Memory: `/proc/meminfo`, `/proc/pressure/*`.

use std::time::Duration;

use procfs_core::{CpuPressure, FromRead as _, IoPressure, Meminfo, MemoryPressure, PressureRecord};
use taffrail_record::sample::{Memory, Pressure, Stall};

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
