//! Logly's rows of a sample.

use taffrail_record::Sample;
use taffrail_record::sample::{CpuTimes, percent};
use taffrail_store::history::logly::{NetworkRow, SystemRow};

/// The rows of a sample; its share of the processors is over the time since the one before, else over its own.
pub(super) fn rows(before: Option<&Sample>, sample: &Sample) -> (SystemRow, NetworkRow) {
    (system(before, sample), network(sample))
}

fn system(before: Option<&Sample>, sample: &Sample) -> SystemRow {
    let times = |sample: &Sample| sample.cpu.as_ref().map(|cpu| cpu.total.times);
    let since = before.and_then(times).zip(times(sample));
    let own = || {
        let shares = sample.cpu.as_ref()?.total.shares?;
        // As Logly counts: waiting for a disk is no idleness, and what the host took away is left out.
        Some(rounded(100.0 - percent(shares.idle, 100.0 - shares.steal)))
    };
    let root = sample.mounts.iter().find(|mount| mount.path == "/").and_then(|mount| mount.usage);
    // Logly's: all that others than root may not use counts as used.
    let used = root.map(|usage| usage.total.saturating_sub(usage.available));
    let physical = || sample.disks.iter().filter(|disk| disk.is_physical);
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
        disk_read_bytes: Some(physical().map(|disk| disk.counters.read_bytes).sum()),
        disk_write_bytes: Some(physical().map(|disk| disk.counters.written_bytes).sum()),
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

fn network(sample: &Sample) -> NetworkRow {
    let mut row = NetworkRow::default();
    for interface in sample.interfaces.iter().filter(|interface| interface.name != "lo") {
        row.bytes_sent += interface.sent.bytes;
        row.bytes_recv += interface.received.bytes;
        row.packets_sent += interface.sent.packets;
        row.packets_recv += interface.received.packets;
        row.errors_in += interface.received.errors;
        row.errors_out += interface.sent.errors;
        row.drops_in += interface.received.drops;
        row.drops_out += interface.sent.drops;
    }
    let sockets = |state| sample.sockets.as_ref().map(|sockets| sockets.in_state(state));
    row.connections_established = sockets("established");
    row.connections_listen = sockets("listen");
    row.connections_time_wait = sockets("time_wait");
    row
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
