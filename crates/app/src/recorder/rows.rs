//! Logly's rows of samples.

use std::collections::HashMap;

use taffrail_record::sample::{CpuTimes, Interface, percent};
use taffrail_record::{Sample, Timestamp};
use taffrail_store::history::logly::{Counters, NetworkRow, SystemRow};

/// The rows of a machine's samples.
///
/// Logly's counters of the network are sums over the interfaces, which fall when one goes. These do not: they grow by what each
/// interface has since the sample before, and begin with the sums, or go on where the last row had stopped. They fall only where
/// the machine was started since that row.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Of the sample that the last row was of.
    times: Option<CpuTimes>,
    /// Of each interface in the last sample that had any, by name.
    interfaces: HashMap<String, Counters>,
    /// `None`: there was no such sample.
    counters: Option<Counters>,
}

impl Rows {
    /// Adds what went through the network until this sample. `last` gives the counters of the last row that was written, and when
    /// that was; it is asked once, and again where it fails.
    pub(super) fn add<E>(
        &mut self,
        sample: &Sample,
        last: impl FnOnce() -> Result<Option<(Timestamp, Counters)>, E>,
    ) -> Result<(), E> {
        // There always is one: they could not be read.
        if sample.interfaces.is_empty() {
            return Ok(());
        }
        let now = interfaces(sample);
        match &mut self.counters {
            None => self.counters = Some(beginning(last()?, sample)),
            Some(counters) => {
                for (name, after) in &now {
                    add(counters, since(self.interfaces.get(name), after));
                }
            }
        }
        self.interfaces = now;
        Ok(())
    }

    /// The rows of a sample that was added. The share of the processors is over the time since the last row, else since the
    /// sample before.
    pub(super) fn of(&mut self, sample: &Sample) -> (SystemRow, NetworkRow) {
        let times = sample.cpu.as_ref().map(|cpu| cpu.total.times);
        let system = system(self.times, sample);
        self.times = times.or(self.times);
        (system, network(self.counters.filter(|_| !sample.interfaces.is_empty()), sample))
    }
}

fn system(before: Option<CpuTimes>, sample: &Sample) -> SystemRow {
    let since = before.zip(sample.cpu.as_ref().map(|cpu| cpu.total.times));
    let own = || {
        let shares = sample.cpu.as_ref()?.total.shares?;
        // As Logly counts: waiting for a disk is no idleness, and what the host took away is left out.
        Some(rounded(100.0 - percent(shares.idle, 100.0 - shares.steal)))
    };
    let root = sample.mounts.iter().find(|mount| mount.path == "/").and_then(|mount| mount.usage);
    // Logly's: all that others than root may not use counts as used.
    let used = root.map(|usage| usage.total.saturating_sub(usage.available));
    let physical = || sample.disks.iter().filter(|disk| disk.is_physical).map(|disk| disk.counters);
    let has_disks = !sample.disks.is_empty();
    let memory = sample.memory;
    SystemRow {
        cpu_percent: since.and_then(|(before, after)| busy(&before, &after)).or_else(own),
        cpu_count: sample.cpu.as_ref().map(|cpu| cpu.cores.len() as u64),
        memory_total: memory.map(|memory| memory.total),
        memory_available: memory.map(|memory| memory.available),
        memory_percent: memory.map(|memory| rounded(percent(memory.used() as f64, memory.total as f64))),
        disk_total: root.map(|usage| usage.total),
        disk_used: used,
        disk_percent: root.zip(used).map(|(usage, used)| rounded(percent(used as f64, usage.total as f64))),
        disk_read_bytes: has_disks.then(|| physical().map(|counters| counters.read_bytes).sum()),
        disk_write_bytes: has_disks.then(|| physical().map(|counters| counters.written_bytes).sum()),
        load: sample.load,
    }
}

/// As Logly counts: the first seven fields of the kernel's line.
fn busy(before: &CpuTimes, after: &CpuTimes) -> Option<f64> {
    let total = |times: &CpuTimes| {
        times.user + times.nice + times.system + times.idle + times.iowait + times.irq + times.softirq
    };
    let all = total(after).checked_sub(total(before)).filter(|all| *all > 0)?;
    let idle = after.idle.saturating_sub(before.idle);
    Some(rounded(100.0 - percent(idle as f64, all as f64)))
}

fn network(counters: Option<Counters>, sample: &Sample) -> NetworkRow {
    let sockets = |state| sample.sockets.as_ref().map(|sockets| sockets.in_state(state));
    NetworkRow {
        counters,
        connections_established: sockets("established"),
        connections_listen: sockets("listen"),
        connections_time_wait: sockets("time_wait"),
    }
}

/// As Logly counts: without the one that leads nowhere.
fn interfaces(sample: &Sample) -> HashMap<String, Counters> {
    let others = sample.interfaces.iter().filter(|interface| interface.name != "lo");
    others.map(|interface| (interface.name.clone(), counters(interface))).collect()
}

fn counters(Interface { sent, received, .. }: &Interface) -> Counters {
    [
        sent.bytes,
        received.bytes,
        sent.packets,
        received.packets,
        received.errors,
        sent.errors,
        received.drops,
        sent.drops,
    ]
}

/// What went through an interface since it was seen before; through one that is new or has begun anew: all that it has.
fn since(before: Option<&Counters>, after: &Counters) -> Counters {
    let Some(before) = before else { return *after };
    if before.iter().zip(after).any(|(before, after)| after < before) {
        return *after;
    }
    std::array::from_fn(|at| after[at] - before[at])
}

/// The sums; but after a row of the same run of the machine no less than that had, whatever interfaces have gone meanwhile.
fn beginning(last: Option<(Timestamp, Counters)>, sample: &Sample) -> Counters {
    let mut sums = [0; 8];
    interfaces(sample).values().for_each(|counters| add(&mut sums, *counters));
    let is_of_this_run = |then: Timestamp| sample.system.booted.is_none_or(|booted| booted <= then);
    if let Some((_, last)) = last.filter(|(then, _)| is_of_this_run(*then)) {
        sums.iter_mut().zip(last).for_each(|(sum, last)| *sum = (*sum).max(last));
    }
    sums
}

fn add(sum: &mut Counters, more: Counters) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use taffrail_record::sample::{Core, Cpu, CpuShares, Disk, DiskCounters, Mount, Sockets, Traffic, Usage};

    use super::*;

    /// When the machine was started.
    const BOOTED: i64 = 1_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * Timestamp::SECOND)
    }

    /// A sample with interfaces that have sent so many bytes, and received twice as many.
    fn sample(sent: &[(&str, u64)]) -> Sample {
        let traffic = |bytes| Traffic { bytes, packets: bytes / 10, ..Traffic::default() };
        let interfaces = sent.iter().map(|(name, bytes)| Interface {
            name: (*name).to_owned(),
            sent: traffic(*bytes),
            received: traffic(2 * bytes),
            rates: None,
        });
        let mut sample = Sample { interfaces: interfaces.collect(), ..Sample::default() };
        sample.system.booted = Some(at(BOOTED));
        sample
    }

    fn none() -> Result<Option<(Timestamp, Counters)>, Infallible> {
        Ok(None)
    }

    /// Bytes that the rows say were sent and received.
    fn bytes(rows: &mut Rows, sample: &Sample) -> Option<(u64, u64)> {
        let Ok(()) = rows.add(sample, none);
        rows.of(sample).1.counters.map(|counters| (counters[0], counters[1]))
    }

    #[test]
    fn interfaces_that_come_and_go_are_no_traffic_of_others() {
        let mut rows = Rows::default();
        for (sent, want) in [
            (&[("eth0", 1_000), ("lo", 77), ("veth1", 500)][..], Some(1_500)),
            (&[("eth0", 1_010), ("lo", 99), ("veth1", 600)], Some(1_610)),
            // It went, and all that it ever did with it.
            (&[("eth0", 1_030), ("lo", 99)], Some(1_630)),
            // Nobody could read them.
            (&[], None),
            (&[("eth0", 1_050), ("lo", 99)], Some(1_650)),
            // One is new, and then another one of its name.
            (&[("eth0", 1_050), ("veth2", 40)], Some(1_690)),
            (&[("eth0", 1_050), ("veth2", 30)], Some(1_720)),
            // None but the one that leads nowhere.
            (&[("lo", 100)], Some(1_720)),
        ] {
            assert_eq!(bytes(&mut rows, &sample(sent)), want.map(|sent| (sent, 2 * sent)), "{sent:?}");
        }
    }

    #[test]
    fn what_comes_and_goes_between_two_rows_counts() {
        let mut rows = Rows::default();
        for sent in [&[("eth0", 10)][..], &[("eth0", 20), ("veth1", 400)], &[("eth0", 30), ("veth1", 500)]] {
            let Ok(()) = rows.add(&sample(sent), none);
        }
        assert_eq!(bytes(&mut rows, &sample(&[("eth0", 40)])), Some((540, 1_080)));
    }

    #[test]
    fn a_restart_of_the_program_is_none_of_the_machine() {
        // Seconds of the last row, and what it had; what the interfaces have now; what the first row says.
        for (then, had, now, want) in [
            // More: it went through while nobody looked.
            (BOOTED + 60, 1_000, 1_200, 1_200),
            // Less, because an interface has gone.
            (BOOTED + 60, 1_000, 300, 1_000),
            (BOOTED, 1_000, 300, 1_000),
            // The machine was started since.
            (BOOTED - 60, 1_000, 300, 300),
        ] {
            let (mut rows, first) = (Rows::default(), sample(&[("eth0", now)]));
            let last = Some((at(then), [had; 8]));
            let Ok(()) = rows.add(&first, || Ok::<_, Infallible>(last));
            assert_eq!(rows.of(&first).1.counters.unwrap()[0], want, "{then} {had} {now}");
            let later = bytes(&mut rows, &sample(&[("eth0", now + 7)]));
            assert_eq!(later.unwrap().0, want + 7, "{then} {had} {now}");
        }
        // Where nobody knows when that was.
        let mut unknown = sample(&[("eth0", 300)]);
        unknown.system.booted = None;
        let mut rows = Rows::default();
        // The table could not be read at first: it is asked again, and nothing is said meanwhile.
        assert_eq!(rows.add(&unknown, || Err("locked")), Err("locked"));
        assert_eq!(rows.of(&unknown).1.counters, None);
        assert_eq!(rows.add(&unknown, || Ok::<_, &str>(Some((at(1), [1_000; 8])))), Ok(()));
        assert_eq!(rows.of(&unknown).1.counters, Some([1_000; 8]));
    }

    #[test]
    fn figures_are_as_logly_counts_them() {
        let times = |user, idle, iowait, steal| CpuTimes { user, idle, iowait, steal, ..CpuTimes::default() };
        let shares = CpuShares { user: 20.0, idle: 60.0, steal: 20.0, ..CpuShares::default() };
        let mut sample = sample(&[("eth0", 1)]);
        let total = Core { number: 0, times: times(100, 1_000, 0, 500), shares: Some(shares) };
        sample.cpu = Some(Cpu { total: total.clone(), cores: vec![total], physical: None });
        let usage = Usage { total: 1_000, free: 500, available: 400, ..Usage::default() };
        let mount = |path: &str, usage| Mount { path: path.to_owned(), usage, ..Mount::default() };
        sample.mounts = vec![mount("/", Some(usage)), mount("/srv", Some(Usage::default()))];
        let disk = |is_physical, read_bytes| Disk {
            is_physical,
            counters: DiskCounters { read_bytes, written_bytes: 2 * read_bytes, ..DiskCounters::default() },
            ..Disk::default()
        };
        sample.disks = vec![disk(true, 10), disk(false, 100), disk(true, 5)];
        let mut sockets = Sockets::default();
        (sockets.tcp[0], sockets.tcp[5], sockets.tcp[9]) = (4, 3, 2);
        sample.sockets = Some(sockets);
        let mut rows = Rows::default();
        let (system, network) = rows.of(&sample);
        // 20 of 80: without a row before, and without what the host took away.
        assert_eq!((system.cpu_percent, system.cpu_count), (Some(25.0), Some(1)));
        assert_eq!((system.disk_total, system.disk_used), (Some(1_000), Some(600)));
        assert_eq!(system.disk_percent, Some(60.0));
        assert_eq!((system.disk_read_bytes, system.disk_write_bytes), (Some(15), Some(30)));
        let connections =
            [network.connections_established, network.connections_time_wait, network.connections_listen];
        assert_eq!(connections, [Some(4), Some(3), Some(2)]);
        // 30 of 60 since then: waiting for a disk is no idleness.
        sample.cpu.as_mut().unwrap().total.times = times(110, 1_030, 20, 900);
        assert_eq!(rows.of(&sample).0.cpu_percent, Some(50.0));
        // What could not be read is said to be nothing by nobody.
        let (system, network) = rows.of(&Sample::default());
        assert_eq!((system, network), (SystemRow::default(), NetworkRow::default()));
    }
}
