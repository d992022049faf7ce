//! A sample: what a machine was doing at a moment, as its kernel tells it.
//!
//! Counters count since the machine started, or since their device came; rates and shares are over the time since the sample
//! before ([`Sample::over`]) and are missing where there was none. What could not be read is missing, and said in
//! [`Sample::unread`]; all else is there.

mod network;

use std::time::Duration;

pub use self::network::{Interface, InterfaceRates, Sockets, TCP_STATES, Traffic};
use crate::Timestamp;

/// A machine at a moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sample {
    /// When.
    pub time: Timestamp,
    /// The time that rates and shares are over; `None`: there are none.
    pub over: Option<Duration>,
    /// Its processors.
    pub cpu: Option<Cpu>,
    /// How many tasks run or want to, over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Its memory.
    pub memory: Option<Memory>,
    /// How long tasks wait for what is short.
    pub pressure: Pressure,
    /// Filesystems that hold files of their own: on devices, on other machines, in memory.
    pub mounts: Vec<Mount>,
    /// Block devices without their partitions: all, so that sums are right. Who lists them lists those that are [`told`].
    pub disks: Vec<Disk>,
    /// Network interfaces, likewise.
    pub interfaces: Vec<Interface>,
    /// Sockets.
    pub sockets: Option<Sockets>,
    /// Processes.
    pub processes: Option<Processes>,
    /// The rest.
    pub system: System,
    /// What a container may use; `None`: it is none, or nothing is limited.
    pub limits: Option<Limits>,
    /// What could not be read, and why; and of what there is too much to be told of.
    pub unread: Vec<String>,
}

/// Devices of a kind that are told of one by one.
pub const TOLD_MAX: usize = 1_000;

/// What does something: of many, those that never did are left out first.
pub trait Device {
    /// Its name.
    fn name(&self) -> &str;
    /// Whether it ever did something.
    fn is_used(&self) -> bool;
}

/// The devices that are told of one by one, by name: [`TOLD_MAX`] of them, those that never did anything last.
pub fn told<T: Device>(devices: &[T]) -> Vec<&T> {
    let mut told: Vec<&T> = devices.iter().collect();
    if told.len() > TOLD_MAX {
        told.sort_by(|a, b| b.is_used().cmp(&a.is_used()).then_with(|| a.name().cmp(b.name())));
        told.truncate(TOLD_MAX);
    }
    told.sort_by(|a, b| a.name().cmp(b.name()));
    told
}

/// Processors.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cpu {
    /// Of all together.
    pub total: Core,
    /// Of each.
    pub cores: Vec<Core>,
    /// Cores without their siblings; `None` where the machine does not tell.
    pub physical: Option<usize>,
}

/// One processor, or all of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Core {
    /// Its number; 0 for all of them.
    pub number: u32,
    /// Time spent so far.
    pub times: CpuTimes,
    /// Where the time went since the sample before.
    pub shares: Option<CpuShares>,
}

/// Time of a processor since the machine started, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the kernel's words, see proc_stat(5)")]
pub struct CpuTimes {
    pub user: u64,
    pub nice: u64,
    pub system: u64,
    pub idle: u64,
    pub iowait: u64,
    pub irq: u64,
    pub softirq: u64,
    pub steal: u64,
    /// Part of `user`.
    pub guest: u64,
    /// Part of `nice`.
    pub guest_nice: u64,
}

/// Where a processor's time went, in percent; they make 100 together.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "as in `CpuTimes`")]
pub struct CpuShares {
    pub user: f64,
    pub nice: f64,
    pub system: f64,
    pub idle: f64,
    pub iowait: f64,
    pub irq: f64,
    pub softirq: f64,
    pub steal: f64,
}

impl CpuShares {
    /// All that was neither idle nor waiting for a disk.
    pub fn busy(&self) -> f64 {
        self.user + self.nice + self.system + self.irq + self.softirq + self.steal
    }
}

/// Memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// All of it: the machine's, or what a container may use.
    pub total: u64,
    /// Free or easily freed.
    pub available: u64,
    /// Used for nothing.
    pub free: u64,
    /// Buffers of block devices.
    pub buffers: u64,
    /// The page cache.
    pub cached: u64,
    /// What of the kernel's own memory can be freed.
    pub reclaimable: u64,
    /// Waiting to be written.
    pub dirty: u64,
    /// Being written.
    pub writeback: u64,
    /// Used not long ago.
    pub active: u64,
    /// Not used for a while.
    pub inactive: u64,
    /// In the page tables of processes, from files.
    pub mapped: u64,
    /// Of no file.
    pub anonymous: u64,
    /// Shared by processes, and of filesystems in memory.
    pub shared: u64,
    /// The kernel's own structures, those that can be freed too.
    pub slab: u64,
    /// Page tables.
    pub page_tables: u64,
    /// Stacks of the kernel.
    pub kernel_stacks: u64,
    /// What was promised to processes.
    pub committed: u64,
    /// What may be promised.
    pub commit_limit: u64,
    /// All of the swap space.
    pub swap_total: u64,
    /// The part of it that is free.
    pub swap_free: u64,
    /// In memory and in the swap space.
    pub swap_cached: u64,
}

impl Memory {
    /// Neither free nor easily freed.
    pub const fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    /// Swap space in use.
    pub const fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }
}

/// How long tasks waited for what is short, where the kernel counts it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pressure {
    /// Some task waited for a processor.
    pub cpu: Option<Stall>,
    /// Some task waited for memory.
    pub memory: Option<Stall>,
    /// All tasks waited for memory.
    pub memory_full: Option<Stall>,
    /// Some task waited for a disk.
    pub io: Option<Stall>,
    /// All tasks waited for a disk.
    pub io_full: Option<Stall>,
}

/// Waiting, as the kernel counts it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Stall {
    /// The share of the last 10 seconds, in percent.
    pub share: f64,
    /// Since the machine started.
    pub total: Duration,
}

/// A filesystem.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// What is mounted: `/dev/sda1`, `server:/export`.
    pub device: String,
    /// Its type: `ext4`.
    pub kind: String,
    /// Where its files are.
    pub place: Place,
    /// Whether it is mounted for reading only.
    pub is_read_only: bool,
    /// How full it is; `None`: it did not answer in time, or may not be asked.
    pub usage: Option<Usage>,
}

/// Where the files of a filesystem are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// On a device of the machine.
    #[default]
    Device,
    /// On another machine.
    Network,
    /// In memory.
    Memory,
}

/// How full a filesystem is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes of it.
    pub total: u64,
    /// Free bytes.
    pub free: u64,
    /// Of these, what others than root may use.
    pub available: u64,
    /// How many files it can have; 0 where that has no limit.
    pub inodes: u64,
    /// How many more.
    pub inodes_free: u64,
}

impl Usage {
    /// Bytes in use.
    pub const fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// How full it is for others than root, in percent, as `df` says it.
    pub fn percent(&self) -> f64 {
        percent(self.used() as f64, (self.used() + self.available) as f64)
    }

    /// Files in use, in percent.
    pub fn inodes_percent(&self) -> f64 {
        percent(self.inodes.saturating_sub(self.inodes_free) as f64, self.inodes as f64)
    }
}

/// A block device.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Disk {
    /// Its name: `nvme0n1`.
    pub name: String,
    /// Whether what it does is done by no other of these: not a mapping, a mirror, a file or memory.
    pub is_physical: bool,
    /// What it has done.
    pub counters: DiskCounters,
    /// What it was doing.
    pub rates: Option<DiskRates>,
}

impl Device for Disk {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_used(&self) -> bool {
        self.counters.reads + self.counters.writes > 0
    }
}

/// What a block device has done since it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskCounters {
    /// Reads that are done.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Milliseconds that reads took, added up.
    pub read_ms: u64,
    /// Writes that are done.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Milliseconds that writes took, added up.
    pub write_ms: u64,
    /// Milliseconds with anything to do.
    pub busy_ms: u64,
    /// Milliseconds times what was to do.
    pub weighted_ms: u64,
    /// What is to do now.
    pub in_progress: u64,
}

/// What a block device was doing, a second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct DiskRates {
    /// Reads.
    pub reads: f64,
    /// Bytes read.
    pub read_bytes: f64,
    /// Writes.
    pub writes: f64,
    /// Bytes written.
    pub written_bytes: f64,
    /// Milliseconds that a read or write took on average.
    pub wait_ms: f64,
    /// Time with anything to do, in percent.
    pub utilisation: f64,
}

/// Processes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Processes {
    /// How many there are.
    pub count: u64,
    /// Running or ready to.
    pub running: u64,
    /// Waiting, and can be woken.
    pub sleeping: u64,
    /// Waiting for a disk or the like.
    pub blocked: u64,
    /// Stopped by somebody.
    pub stopped: u64,
    /// Ended, and nobody has asked how.
    pub zombie: u64,
    /// Kernel threads that wait for work.
    pub idle: u64,
    /// Their threads.
    pub threads: u64,
    /// Those that hold most memory, the largest first.
    pub top_memory: Vec<Process>,
    /// Those that used most of the processors, the busiest first; none without a sample before.
    pub top_cpu: Vec<Process>,
}

/// A process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, of at most 15 bytes.
    pub name: String,
    /// The systemd unit or cgroup that it belongs to; `None` where that may not be read.
    pub unit: Option<String>,
    /// Bytes of memory that it holds.
    pub memory: u64,
    /// Its share of one processor, in percent.
    pub cpu: Option<f64>,
}

/// The rest of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct System {
    /// How long it runs.
    pub uptime: Option<Duration>,
    /// When it was started.
    pub booted: Option<Timestamp>,
    /// Open files, and how many there may be.
    pub files: Option<(u64, u64)>,
    /// Bits of entropy that the kernel has.
    pub entropy: Option<u64>,
    /// Context switches so far.
    pub context_switches: Option<u64>,
    /// Processes made so far.
    pub forks: Option<u64>,
    /// Tasks, threads too, that run or are ready to.
    pub tasks_running: Option<u64>,
    /// Tasks that wait for a disk or the like.
    pub tasks_blocked: Option<u64>,
    /// Temperatures in degrees Celsius, by sensor.
    pub temperatures: Vec<(String, f64)>,
    /// Units of systemd that have failed; `None` where it does not run.
    pub failed_units: Option<Vec<String>>,
}

/// What a container may use.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of swap space.
    pub swap: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// Time of processors that it has used so far; only where that is limited.
    pub cpu_time: Option<Duration>,
    /// What it used of the processors that it may use since the sample before, in percent.
    pub cpu_share: Option<f64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// How many percent of `whole` a part is; 0 of nothing.
pub fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}
