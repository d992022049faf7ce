//! The figures of a machine that are kept as columns: what its history is asked for most.

/// A figure of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// The name of its column; it ends in its unit.
    pub name: &'static str,
    /// What it says.
    pub doc: &'static str,
}

const fn figure(name: &'static str, doc: &'static str) -> Figure {
    Figure { name, doc }
}

/// All figures, in the order of their columns. A store keeps the names: a new one goes to the end.
pub const FIGURES: [Figure; 25] = [
    figure("cpu_usage_percent", "time of all processors that was neither idle nor waiting for a disk"),
    figure("cpu_iowait_percent", "time of all processors waiting for a disk"),
    figure("cpu_steal_percent", "time of all processors that the host gave to others"),
    figure("load_avg_1min", "tasks that run or want to, over 1 minute"),
    figure("load_avg_5min", "the same over 5 minutes"),
    figure("load_avg_15min", "the same over 15 minutes"),
    figure("memory_total_bytes", "memory of the machine, or of the container"),
    figure("memory_available_bytes", "memory that is free or easily freed"),
    figure("memory_usage_percent", "memory that is neither"),
    figure("swap_usage_percent", "swap space in use"),
    figure("disk_usage_percent", "how full the filesystem at / is"),
    figure("disk_read_bytes_per_sec", "read from all disks"),
    figure("disk_write_bytes_per_sec", "written to all disks"),
    figure("disk_utilisation_percent", "time with anything to do, of the busiest disk"),
    figure("network_recv_bytes_per_sec", "received by all interfaces"),
    figure("network_sent_bytes_per_sec", "sent by all interfaces"),
    figure("active_connections", "TCP and UDP sockets"),
    figure("process_count", "processes"),
    figure("open_files", "open files"),
    figure("temperature_celsius", "the hottest sensor"),
    figure("cpu_pressure_percent", "time that some task waited for a processor, over 10 s"),
    figure("memory_pressure_percent", "the same for memory"),
    figure("io_pressure_percent", "the same for a disk"),
    figure("failed_units", "units of systemd that have failed"),
    figure("uptime_seconds", "how long the machine runs"),
];

/// A value for each of [`FIGURES`]; `None` where a sample does not say it.
pub type Figures = [Option<f64>; FIGURES.len()];
