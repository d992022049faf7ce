//! Memory.

use serde::Serialize;
use taffrail_record::sample::{self, Sample, percent};

use super::{gigabytes, rounded, stalled};

#[derive(Serialize)]
pub(super) struct Memory {
    memory_total_gb: f64,
    memory_used_gb: f64,
    memory_available_gb: f64,
    memory_usage_percent: f64,
    swap_total_gb: f64,
    swap_used_gb: f64,
    swap_usage_percent: f64,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    memory_free_bytes: u64,
    memory_cached_bytes: u64,
    memory_buffers_bytes: u64,
    memory_dirty_bytes: u64,
    swap_total_bytes: u64,
    swap_free_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_pressure_percent: Option<f64>,
}

impl Memory {
    pub(super) fn of(memory: &sample::Memory, sample: &Sample) -> Self {
        Self {
            memory_total_gb: gigabytes(memory.total),
            memory_used_gb: gigabytes(memory.used()),
            memory_available_gb: gigabytes(memory.available),
            memory_usage_percent: rounded(percent(memory.used() as f64, memory.total as f64)),
            swap_total_gb: gigabytes(memory.swap_total),
            swap_used_gb: gigabytes(memory.swap_used()),
            swap_usage_percent: rounded(percent(memory.swap_used() as f64, memory.swap_total as f64)),
            memory_total_bytes: memory.total,
            memory_available_bytes: memory.available,
            memory_free_bytes: memory.free,
            memory_cached_bytes: memory.cached,
            memory_buffers_bytes: memory.buffers,
            memory_dirty_bytes: memory.dirty,
            swap_total_bytes: memory.swap_total,
            swap_free_bytes: memory.swap_free,
            memory_pressure_percent: stalled(sample.pressure.memory),
        }
    }
}
