//! Samples with rates. Each consumer has a sampler of its own, with its own reading before: none disturbs another's rates.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use taffrail_record::sample::{Cpu, Disk, Interface, Sample};

use crate::machine::{self, Machine, Reading};

/// Rates over less than this are noise: the kernel counts processors in hundredths of a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// Samples a machine, for one consumer.
#[derive(Debug)]
pub struct Sampler {
    machine: Arc<Machine>,
    before: Reading,
}

impl Sampler {
    /// Rates count from now on.
    pub fn new(machine: Arc<Machine>) -> Self {
        let before = machine.reading(false);
        Self { machine, before }
    }

    /// A sample of a machine whose rates are over the next `over`: for those who ask once. Blocks for so long.
    pub fn sample_over(machine: &Arc<Machine>, over: Duration) -> Sample {
        let mut sampler = Self::new(Arc::clone(machine));
        thread::sleep(over);
        sampler.sample_of(machine.reading(true))
    }

    /// A sample whose rates are over the time since the one before, or since the sampler was made.
    pub fn sample(&mut self) -> Sample {
        self.sample_of(self.machine.reading(false))
    }

    fn sample_of(&mut self, after: Reading) -> Sample {
        let over = after.moment.saturating_duration_since(self.before.moment);
        let mut sample = after.sample.clone();
        if over < SHORTEST {
            return sample;
        }
        sample.over = Some(over);
        let before = &self.before.sample;
        if let (Some(before), Some(after)) = (&before.cpu, &mut sample.cpu) {
            share(before, after);
        }
        if let (Some(before), Some(after)) = (&before.limits, &mut sample.limits) {
            after.cpu_share = machine::cpu_share(before, after, over);
        }
        rate_disks(&before.disks, &mut sample.disks, over);
        rate_interfaces(&before.interfaces, &mut sample.interfaces, over);
        if let Some(processes) = &mut sample.processes {
            let roots = self.machine.roots();
            processes.top_cpu = machine::top_cpu(&self.before.processes, &after.processes, over, roots);
        }
        self.before = after;
        sample
    }
}

fn share(before: &Cpu, after: &mut Cpu) {
    after.total.shares = machine::shares(&before.total.times, &after.total.times);
    let times: HashMap<_, _> = before.cores.iter().map(|core| (core.number, &core.times)).collect();
    for core in &mut after.cores {
        core.shares = times.get(&core.number).and_then(|times| machine::shares(times, &core.times));
    }
}

fn rate_disks(before: &[Disk], after: &mut [Disk], over: Duration) {
    let counters: HashMap<_, _> = before.iter().map(|disk| (disk.name.as_str(), &disk.counters)).collect();
    for disk in after {
        let before = counters.get(disk.name.as_str());
        disk.rates = before.and_then(|before| machine::disk_rates(before, &disk.counters, over));
    }
}

fn rate_interfaces(before: &[Interface], after: &mut [Interface], over: Duration) {
    let known: HashMap<_, _> = before.iter().map(|one| (one.name.as_str(), one)).collect();
    for interface in after {
        let before = known.get(interface.name.as_str());
        interface.rates = before.and_then(|before| machine::interface_rates(before, interface, over));
    }
}
