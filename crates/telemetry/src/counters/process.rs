//! This program, under the names that all programs have in Prometheus.

use fs_err as fs;
use rustix::process::{Resource, getrlimit};
use taffrail_record::Timestamp;

use super::{Families, Kind};
use crate::roots::{Error, Result, Roots};

/// Fields of `/proc/self/stat` behind the program's name; `proc_pid_stat(5)` counts from 1 and has two before.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const STARTED: usize = 19;
const VIRTUAL_BYTES: usize = 20;
const RESIDENT_PAGES: usize = 21;

pub(super) fn add(roots: &Roots, booted: Option<Timestamp>, families: &mut Families) -> Result<()> {
    let (path, text) = roots.proc("self/stat")?;
    let (_, rest) = text.rsplit_once(") ").ok_or_else(|| Error::Format(path.clone()))?;
    let fields: Vec<f64> = rest.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect();
    let field = |at: usize| fields.get(at).copied().ok_or_else(|| Error::Format(path.clone()));
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut gauge = |name: &str, help, value| families.one(name, Kind::Gauge, help, value);
    gauge("process_virtual_memory_bytes", "Virtual memory of this program.", field(VIRTUAL_BYTES)?);
    let pages = field(RESIDENT_PAGES)? * rustix::param::page_size() as f64;
    gauge("process_resident_memory_bytes", "Memory of this program.", pages);
    if let Some(booted) = booted {
        let started = booted.0 as f64 / 1e9 + field(STARTED)? / ticks;
        gauge("process_start_time_seconds", "When this program was started, since 1970.", started);
    }
    let most = |resource| getrlimit(resource).current.unwrap_or(u64::MAX) as f64;
    gauge("process_max_fds", "Files that this program may have open.", most(Resource::Nofile));
    gauge("process_virtual_memory_max_bytes", "Virtual memory that it may have.", most(Resource::As));
    let open = fs::read_dir(roots.proc.join("self/fd"))?.count();
    gauge("process_open_fds", "Files that this program has open.", open as f64);
    let busy = (field(USER_TICKS)? + field(SYSTEM_TICKS)?) / ticks;
    families.one("process_cpu_seconds_total", Kind::Counter, "Processor time of this program.", busy);
    Ok(())
}
