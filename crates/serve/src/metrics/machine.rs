//! The machine's families: the names, labels and units of node_exporter where it has them, so that its dashboards work.

use taffrail_record::sample::{Core, CpuTimes, Disk, Interface, Sample, TCP_STATES, Traffic, told};

use taffrail_telemetry::counters::{self, Family};

use super::exposition::{Exposition, Kind};

/// All that a sample says.
pub(super) fn machine(out: &mut Exposition, sample: &Sample) {
    name(out);
    processors(out, sample);
    memory(out, sample);
    filesystems(out, sample);
    disks(out, &told(&sample.disks));
    interfaces(out, &told(&sample.interfaces));
    sockets(out, sample);
    processes(out, sample);
    system(out, sample);
}

/// What the kernel counts beyond that.
pub(super) fn counters(out: &mut Exposition, families: &[Family]) {
    for Family { name, kind, help, values } in families {
        let kind = match kind {
            counters::Kind::Counter => Kind::Counter,
            counters::Kind::Gauge => Kind::Gauge,
            counters::Kind::Untyped => Kind::Untyped,
        };
        let mut family = out.metric(name, kind, help);
        for (labels, value) in values {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            family.value(&labels, *value);
        }
    }
}

fn name(out: &mut Exposition) {
    let name = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    out.metric("node_uname_info", Kind::Gauge, "What the kernel calls itself and the machine; always 1.")
        .value(
            &[
                ("domainname", &text(name.domainname())),
                ("machine", &text(name.machine())),
                ("nodename", &text(name.nodename())),
                ("release", &text(name.release())),
                ("sysname", &text(name.sysname())),
                ("version", &text(name.version())),
            ],
            1.0,
        );
}

fn processors(out: &mut Exposition, sample: &Sample) {
    if let Some(cpu) = &sample.cpu {
        let mut seconds = out.metric(
            "node_cpu_seconds_total",
            Kind::Counter,
            "Seconds that a processor has spent, by mode.",
        );
        for core in &cpu.cores {
            for (mode, time) in modes(core) {
                seconds.value(&[("cpu", &core.number.to_string()), ("mode", mode)], time as f64 / 1e3);
            }
        }
        let mut guest = out.metric(
            "node_cpu_guest_seconds_total",
            Kind::Counter,
            "Seconds that a processor has spent for virtual machines; they are in `user` and `nice` too.",
        );
        for core in &cpu.cores {
            for (mode, time) in [("user", core.times.guest), ("nice", core.times.guest_nice)] {
                guest.value(&[("cpu", &core.number.to_string()), ("mode", mode)], time as f64 / 1e3);
            }
        }
    }
    if let Some(load) = sample.load {
        for (name, load) in ["node_load1", "node_load5", "node_load15"].into_iter().zip(load) {
            out.metric(name, Kind::Gauge, "Tasks that run or want to, on average over so many minutes.")
                .value(&[], load);
        }
    }
    let pressure = &sample.pressure;
    for (name, help, stall) in [
        (
            "node_pressure_cpu_waiting_seconds_total",
            "Seconds that some task waited for a processor.",
            pressure.cpu,
        ),
        (
            "node_pressure_memory_waiting_seconds_total",
            "Seconds that some task waited for memory.",
            pressure.memory,
        ),
        (
            "node_pressure_memory_stalled_seconds_total",
            "Seconds that all tasks waited for memory.",
            pressure.memory_full,
        ),
        ("node_pressure_io_waiting_seconds_total", "Seconds that some task waited for a disk.", pressure.io),
        (
            "node_pressure_io_stalled_seconds_total",
            "Seconds that all tasks waited for a disk.",
            pressure.io_full,
        ),
    ] {
        if let Some(stall) = stall {
            out.metric(name, Kind::Counter, help).value(&[], stall.total.as_secs_f64());
        }
    }
}

/// As node_exporter has them: time of virtual machines is in `user` and `nice`.
fn modes(core: &Core) -> [(&'static str, u64); 8] {
    let CpuTimes { user, nice, system, idle, iowait, irq, softirq, steal, .. } = core.times;
    [
        ("idle", idle),
        ("iowait", iowait),
        ("irq", irq),
        ("nice", nice),
        ("softirq", softirq),
        ("steal", steal),
        ("system", system),
        ("user", user),
    ]
}

fn memory(out: &mut Exposition, sample: &Sample) {
    let Some(memory) = &sample.memory else { return };
    for (name, bytes) in [
        ("node_memory_MemTotal_bytes", memory.total),
        ("node_memory_MemFree_bytes", memory.free),
        ("node_memory_MemAvailable_bytes", memory.available),
        ("node_memory_Buffers_bytes", memory.buffers),
        ("node_memory_Cached_bytes", memory.cached),
        ("node_memory_SReclaimable_bytes", memory.reclaimable),
        ("node_memory_Dirty_bytes", memory.dirty),
        ("node_memory_Writeback_bytes", memory.writeback),
        ("node_memory_Active_bytes", memory.active),
        ("node_memory_Inactive_bytes", memory.inactive),
        ("node_memory_Mapped_bytes", memory.mapped),
        ("node_memory_AnonPages_bytes", memory.anonymous),
        ("node_memory_Shmem_bytes", memory.shared),
        ("node_memory_Slab_bytes", memory.slab),
        ("node_memory_SUnreclaim_bytes", memory.slab.saturating_sub(memory.reclaimable)),
        ("node_memory_PageTables_bytes", memory.page_tables),
        ("node_memory_KernelStack_bytes", memory.kernel_stacks),
        ("node_memory_Committed_AS_bytes", memory.committed),
        ("node_memory_CommitLimit_bytes", memory.commit_limit),
        ("node_memory_SwapTotal_bytes", memory.swap_total),
        ("node_memory_SwapFree_bytes", memory.swap_free),
        ("node_memory_SwapCached_bytes", memory.swap_cached),
    ] {
        out.metric(name, Kind::Gauge, "The field of /proc/meminfo, in bytes.").value(&[], bytes as f64);
    }
}

fn filesystems(out: &mut Exposition, sample: &Sample) {
    type Figure = fn(&taffrail_record::sample::Usage) -> u64;
    let figures: [(&'static str, &'static str, Figure); 5] = [
        ("node_filesystem_size_bytes", "Bytes of a filesystem.", |usage| usage.total),
        ("node_filesystem_free_bytes", "Free bytes of a filesystem.", |usage| usage.free),
        ("node_filesystem_avail_bytes", "Bytes of a filesystem that others than root may use.", |usage| {
            usage.available
        }),
        ("node_filesystem_files", "Files that a filesystem can have.", |usage| usage.inodes),
        ("node_filesystem_files_free", "Files that a filesystem can have more.", |usage| usage.inodes_free),
    ];
    for (name, help, figure) in figures {
        let mut family = out.metric(name, Kind::Gauge, help);
        for mount in &sample.mounts {
            if let Some(usage) = &mount.usage {
                family.value(&labels(mount), figure(usage) as f64);
            }
        }
    }
    let help = "1 where a filesystem is mounted for reading only.";
    let mut family = out.metric("node_filesystem_readonly", Kind::Gauge, help);
    for mount in &sample.mounts {
        family.value(&labels(mount), f64::from(u8::from(mount.is_read_only)));
    }
    let help = "1 where a filesystem does not say how full it is.";
    let mut family = out.metric("node_filesystem_device_error", Kind::Gauge, help);
    for mount in &sample.mounts {
        family.value(&labels(mount), f64::from(u8::from(mount.usage.is_none())));
    }
}

fn labels(mount: &taffrail_record::sample::Mount) -> [(&'static str, &str); 3] {
    [("device", &mount.device), ("fstype", &mount.kind), ("mountpoint", &mount.path)]
}

fn disks(out: &mut Exposition, disks: &[&Disk]) {
    type Figure = fn(&Disk) -> f64;
    let figures: [(&'static str, Kind, &'static str, Figure); 9] = [
        ("node_disk_reads_completed_total", Kind::Counter, "Reads that are done.", |disk| {
            disk.counters.reads as f64
        }),
        ("node_disk_read_bytes_total", Kind::Counter, "Bytes read.", |disk| disk.counters.read_bytes as f64),
        ("node_disk_read_time_seconds_total", Kind::Counter, "Seconds that reads took, added up.", |disk| {
            disk.counters.read_ms as f64 / 1e3
        }),
        ("node_disk_writes_completed_total", Kind::Counter, "Writes that are done.", |disk| {
            disk.counters.writes as f64
        }),
        ("node_disk_written_bytes_total", Kind::Counter, "Bytes written.", |disk| {
            disk.counters.written_bytes as f64
        }),
        (
            "node_disk_write_time_seconds_total",
            Kind::Counter,
            "Seconds that writes took, added up.",
            |disk| disk.counters.write_ms as f64 / 1e3,
        ),
        ("node_disk_io_now", Kind::Gauge, "Reads and writes that are not done.", |disk| {
            disk.counters.in_progress as f64
        }),
        ("node_disk_io_time_seconds_total", Kind::Counter, "Seconds with anything to do.", |disk| {
            disk.counters.busy_ms as f64 / 1e3
        }),
        (
            "node_disk_io_time_weighted_seconds_total",
            Kind::Counter,
            "Seconds times what was to do.",
            |disk| disk.counters.weighted_ms as f64 / 1e3,
        ),
    ];
    for (name, kind, help, figure) in figures {
        let mut family = out.metric(name, kind, help);
        for disk in disks {
            family.value(&[("device", &disk.name)], figure(disk));
        }
    }
}

fn interfaces(out: &mut Exposition, interfaces: &[&Interface]) {
    type Figure = fn(&Traffic) -> u64;
    let figures: [([&'static str; 2], &'static str, Figure); 4] = [
        (
            ["node_network_receive_bytes_total", "node_network_transmit_bytes_total"],
            "Bytes that went through an interface.",
            |traffic| traffic.bytes,
        ),
        (
            ["node_network_receive_packets_total", "node_network_transmit_packets_total"],
            "Packets that went through an interface.",
            |traffic| traffic.packets,
        ),
        (
            ["node_network_receive_errs_total", "node_network_transmit_errs_total"],
            "Packets that were wrong.",
            |traffic| traffic.errors,
        ),
        (
            ["node_network_receive_drop_total", "node_network_transmit_drop_total"],
            "Packets that there was no room for.",
            |traffic| traffic.drops,
        ),
    ];
    for (names, help, figure) in figures {
        for (at, name) in names.into_iter().enumerate() {
            let mut family = out.metric(name, Kind::Counter, help);
            for interface in interfaces {
                let traffic = if at == 0 { &interface.received } else { &interface.sent };
                family.value(&[("device", &interface.name)], figure(traffic) as f64);
            }
        }
    }
}

fn sockets(out: &mut Exposition, sample: &Sample) {
    let Some(sockets) = &sample.sockets else { return };
    let mut states = out.metric("node_tcp_connection_states", Kind::Gauge, "TCP sockets, by state.");
    for (state, count) in TCP_STATES.iter().zip(sockets.tcp) {
        states.value(&[("state", state)], count as f64);
    }
}

fn processes(out: &mut Exposition, sample: &Sample) {
    let Some(processes) = &sample.processes else { return };
    for (name, help, count) in [
        ("node_processes_pids", "Processes.", processes.count),
        ("node_processes_threads", "Threads.", processes.threads),
    ] {
        out.metric(name, Kind::Gauge, help).value(&[], count as f64);
    }
    let mut states = out.metric("node_processes_state", Kind::Gauge, "Processes, by state.");
    for (state, count) in [
        ("R", processes.running),
        ("S", processes.sleeping),
        ("D", processes.blocked),
        ("T", processes.stopped),
        ("Z", processes.zombie),
        ("I", processes.idle),
    ] {
        states.value(&[("state", state)], count as f64);
    }
}

fn system(out: &mut Exposition, sample: &Sample) {
    let system = &sample.system;
    let seconds = |time: taffrail_record::Timestamp| super::seconds(time);
    for (name, kind, help, value) in [
        ("node_time_seconds", Kind::Gauge, "The time, since 1970.", Some(seconds(sample.time))),
        (
            "node_boot_time_seconds",
            Kind::Gauge,
            "When the machine was started, since 1970.",
            system.booted.map(seconds),
        ),
        (
            "node_context_switches_total",
            Kind::Counter,
            "Context switches.",
            system.context_switches.map(|count| count as f64),
        ),
        (
            "node_forks_total",
            Kind::Counter,
            "Processes that were made.",
            system.forks.map(|count| count as f64),
        ),
        (
            "node_procs_running",
            Kind::Gauge,
            "Tasks, threads too, that run or are ready to.",
            system.tasks_running.map(|count| count as f64),
        ),
        (
            "node_procs_blocked",
            Kind::Gauge,
            "Tasks that wait for a disk or the like.",
            system.tasks_blocked.map(|count| count as f64),
        ),
        ("node_filefd_allocated", Kind::Gauge, "Open files.", system.files.map(|(open, _)| open as f64)),
        (
            "node_filefd_maximum",
            Kind::Gauge,
            "Files that may be open.",
            system.files.map(|(_, most)| most as f64),
        ),
        (
            "node_entropy_available_bits",
            Kind::Gauge,
            "Bits of entropy that the kernel has.",
            system.entropy.map(|bits| bits as f64),
        ),
    ] {
        if let Some(value) = value {
            out.metric(name, kind, help).value(&[], value);
        }
    }
    let mut temperatures =
        out.metric("node_hwmon_temp_celsius", Kind::Gauge, "What a sensor says, in degrees Celsius.");
    for (sensor, degrees) in &system.temperatures {
        let (chip, sensor) = sensor.split_once(' ').unwrap_or(("", sensor));
        temperatures.value(&[("chip", chip), ("sensor", sensor)], *degrees);
    }
    let help = "1 for a unit of systemd in this state; only units that have failed are told of.";
    let mut units = out.metric("node_systemd_unit_state", Kind::Gauge, help);
    for unit in system.failed_units.iter().flatten() {
        units.value(&[("name", unit), ("state", "failed")], 1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use taffrail_record::sample::{Memory, Processes, System};

    use super::*;

    #[test]
    fn names_of_node_exporter_mean_what_they_mean_there() {
        let temperatures =
            ["nvme0 Composite", "nvme1 Composite", "acpitz", "acpitz 2"].map(|name| (name.to_owned(), 40.0));
        let sample = Sample {
            memory: Some(Memory { slab: 50, reclaimable: 20, ..Memory::default() }),
            processes: Some(Processes { running: 1, blocked: 1, ..Processes::default() }),
            system: System {
                tasks_running: Some(9),
                tasks_blocked: Some(8),
                temperatures: temperatures.into(),
                ..System::default()
            },
            ..Sample::default()
        };
        let mut out = Exposition::default();
        machine(&mut out, &sample);
        let text = out.finish();
        for line in [
            "node_procs_running 9",
            "node_procs_blocked 8",
            "node_processes_state{state=\"R\"} 1",
            "node_memory_SUnreclaim_bytes 30",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        let names = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' '));
        let names: Vec<&str> = names.map(|pair| pair.unwrap().0).collect();
        let different: HashSet<&&str> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{text}");
    }
}
