//! Processes.

use std::collections::BTreeMap;

use serde::Serialize;
use taffrail_record::sample::{self, Sample, percent};

use super::rounded;

#[derive(Serialize)]
pub(super) struct Processes<'a> {
    process_count: u64,
    #[serde(flatten)]
    known: Option<Known<'a>>,
}

/// Missing where no process could be read.
#[derive(Serialize)]
struct Known<'a> {
    top_memory_processes: Vec<Process<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_cpu_processes: Vec<Process<'a>>,
    thread_count: u64,
    process_states: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    name: &'a str,
    memory_percent: f64,
    memory_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

impl<'a> Processes<'a> {
    /// 0 of them where they could not even be counted.
    pub(super) fn of(sample: &'a Sample) -> Self {
        let processes = sample.processes.as_ref();
        let known = processes.filter(|processes| processes.threads > 0);
        Self {
            process_count: processes.map_or(0, |processes| processes.count),
            known: known.map(|processes| Known::of(processes, sample)),
        }
    }
}

impl<'a> Known<'a> {
    fn of(processes: &'a sample::Processes, sample: &Sample) -> Self {
        let total = sample.memory.map_or(0, |memory| memory.total) as f64;
        let tell = |process: &'a sample::Process| Process {
            pid: process.pid,
            name: &process.name,
            memory_percent: rounded(percent(process.memory as f64, total)),
            memory_bytes: process.memory,
            cpu_percent: process.cpu.map(rounded),
            unit: process.unit.as_deref(),
        };
        let states = [
            ("running", processes.running),
            ("sleeping", processes.sleeping),
            ("blocked", processes.blocked),
            ("stopped", processes.stopped),
            ("zombie", processes.zombie),
            ("idle", processes.idle),
        ];
        Self {
            top_memory_processes: processes.top_memory.iter().map(tell).collect(),
            top_cpu_processes: processes.top_cpu.iter().map(tell).collect(),
            thread_count: processes.threads,
            process_states: states.into_iter().collect(),
        }
    }
}
