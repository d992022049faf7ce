//! The machine as its kernel tells of it, read part by part: what cannot be read is missing, and said.

mod cgroup;
mod cpu;
mod disks;
mod memory;
mod mounts;
mod network;
mod processes;
mod system;
mod units;
mod usage;

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use taffrail_record::Timestamp;
use taffrail_record::sample::{Sample, System, TOLD_MAX};

use self::disks::Devices;
use self::network::Tables;
use self::processes::Files;
pub(crate) use self::processes::{Seen, top_cpu};
use self::system::Sensor;
use self::units::Units;
use self::usage::Usages;
pub(crate) use self::{cgroup::cpu_share, cpu::shares};
pub(crate) use self::{disks::rates as disk_rates, network::rates as interface_rates};
use crate::roots::{Result, Roots};

/// A machine, and what is known of it for good. All who sample it share it.
#[derive(Debug)]
pub struct Machine {
    roots: Roots,
    clock: fn() -> Timestamp,
    physical: Option<usize>,
    sensors: Vec<Sensor>,
    known: Mutex<Known>,
    usages: Usages,
    units: Units,
}

/// What need not be found anew in each reading.
#[derive(Debug, Default)]
struct Known {
    devices: Devices,
    tables: Tables,
    files: Files,
}

/// All that was read at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Without rates.
    pub sample: Sample,
    pub processes: Vec<Seen>,
    pub moment: Instant,
}

impl Machine {
    /// The machine that `roots` tell of.
    pub fn new(roots: Roots, clock: fn() -> Timestamp) -> Self {
        let (physical, sensors) = (cpu::physical(&roots), system::sensors(&roots));
        let usages = Usages::new(usage::ask);
        Self { roots, clock, physical, sensors, known: Mutex::default(), usages, units: Units::default() }
    }

    /// Where it is read from.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Counters and states of this moment, without rates and shares. Takes a few milliseconds; half a second where filesystems
    /// hang.
    pub fn read(&self) -> Sample {
        self.reading(false).sample
    }

    /// A reading. Where `must_be_new`, nothing in it is of a while ago.
    pub(crate) fn reading(&self, must_be_new: bool) -> Reading {
        let roots = &self.roots;
        let mut unread = Vec::new();
        let stat = part(cpu::read(roots), "cpu", &mut unread);
        let mut memory = part(memory::read(roots), "memory", &mut unread);
        let limits = cgroup::limits(roots);
        if let (Some(limits), Some(memory)) = (&limits, &mut memory) {
            *memory = cgroup::within(limits, *memory, roots);
        }
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { devices, tables, files } = known;
        let disks = part(disks::read(roots, devices), "disks", &mut unread).unwrap_or_default();
        let interfaces = part(network::interfaces(roots), "interfaces", &mut unread).unwrap_or_default();
        let sockets = part(tables.sockets(roots, must_be_new), "sockets", &mut unread);
        let (mut mounts, all_mounts) = part(mounts::read(roots), "mounts", &mut unread).unwrap_or_default();
        unread.extend(self.usages.fill(&mut mounts).into_iter().map(|why| format!("mounts: {why}")));
        let forks = stat.as_ref().and_then(|stat| stat.forks);
        let found = part(files.read(roots, forks), "processes", &mut unread);
        let all_processes = found.as_ref().map_or(0, |(processes, _)| processes.count as usize);
        let (processes, seen) = found.map_or((None, Vec::new()), |(mut processes, seen)| {
            processes.top_memory = processes::top_memory(&seen, roots);
            (Some(processes), seen)
        });
        for (name, told, all) in [
            ("disks", TOLD_MAX, disks.len()),
            ("interfaces", TOLD_MAX, interfaces.len()),
            ("mounts", mounts.len(), all_mounts),
            ("processes", seen.len(), all_processes),
        ] {
            if told < all {
                unread.push(format!("{name}: {told} of {all} are told of one by one"));
            }
        }
        let system = System {
            uptime: system::uptime(roots),
            booted: stat.as_ref().and_then(|stat| stat.booted),
            files: system::files(roots),
            entropy: system::entropy(roots),
            context_switches: stat.as_ref().and_then(|stat| stat.context_switches),
            forks: stat.as_ref().and_then(|stat| stat.forks),
            tasks_running: stat.as_ref().and_then(|stat| stat.running),
            tasks_blocked: stat.as_ref().and_then(|stat| stat.blocked),
            temperatures: system::temperatures(&self.sensors),
            failed_units: self.units.failed(),
        };
        let sample = Sample {
            time: (self.clock)(),
            over: None,
            load: part(system::load(roots), "load", &mut unread),
            cpu: stat.map(|stat| taffrail_record::sample::Cpu { physical: self.physical, ..stat.cpu }),
            memory,
            pressure: memory::pressure(roots),
            mounts: mounts.into_iter().map(|one| one.mount).collect(),
            disks,
            interfaces,
            sockets,
            processes,
            system,
            limits,
            unread,
        };
        Reading { sample, processes: seen, moment: Instant::now() }
    }
}

fn part<T>(found: Result<T>, name: impl Display, unread: &mut Vec<String>) -> Option<T> {
    found.map_err(|error| unread.push(format!("{name}: {error}"))).ok()
}
