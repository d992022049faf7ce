//! Filesystems and block devices.

use std::collections::BTreeMap;

use serde::Serialize;
use taffrail_record::sample::{self, Place, Sample, told};

use super::{MEGABYTE, gigabytes, rounded, stalled};

#[derive(Serialize)]
pub(super) struct Disk<'a> {
    /// By the place where they are mounted.
    disk_usage: BTreeMap<&'a str, Usage<'a>>,
    /// Missing where no disk could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_io: Option<DiskIo>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    devices: BTreeMap<&'a str, Device>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_pressure_percent: Option<f64>,
}

#[derive(Serialize)]
struct Usage<'a> {
    total_gb: f64,
    used_gb: f64,
    free_gb: f64,
    usage_percent: f64,
    device: &'a str,
    fstype: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    network: bool,
    total_bytes: u64,
    used_bytes: u64,
    free_bytes: u64,
    inodes: u64,
    inodes_usage_percent: f64,
}

/// Sums over devices that do their work themselves. The rates are missing in the first sample, as in the original's.
#[derive(Serialize, Default)]
struct DiskIo {
    #[serde(flatten)]
    rates: Option<DiskIoRates>,
    read_count: u64,
    write_count: u64,
}

#[derive(Serialize, Default)]
struct DiskIoRates {
    read_mb_per_sec: f64,
    write_mb_per_sec: f64,
    read_bytes_per_sec: f64,
    write_bytes_per_sec: f64,
}

#[derive(Serialize)]
struct Device {
    read_bytes: u64,
    written_bytes: u64,
    reads: u64,
    writes: u64,
    #[serde(flatten)]
    rates: Option<DeviceRates>,
}

#[derive(Serialize)]
struct DeviceRates {
    read_bytes_per_sec: f64,
    write_bytes_per_sec: f64,
    reads_per_sec: f64,
    writes_per_sec: f64,
    wait_ms: f64,
    utilisation_percent: f64,
}

impl<'a> Disk<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        let usage = sample.mounts.iter().filter(|mount| mount.place != Place::Memory).filter_map(|mount| {
            let usage = mount.usage?;
            let told = Usage {
                total_gb: gigabytes(usage.total),
                used_gb: gigabytes(usage.used()),
                free_gb: gigabytes(usage.available),
                usage_percent: rounded(usage.percent()),
                device: &mount.device,
                fstype: &mount.kind,
                read_only: mount.is_read_only,
                network: mount.place == Place::Network,
                total_bytes: usage.total,
                used_bytes: usage.used(),
                free_bytes: usage.available,
                inodes: usage.inodes,
                inodes_usage_percent: rounded(usage.inodes_percent()),
            };
            Some((mount.path.as_str(), told))
        });
        let devices = told(&sample.disks).into_iter().map(|disk| (disk.name.as_str(), Device::of(disk)));
        Self {
            disk_usage: usage.collect(),
            disk_io: (!sample.disks.is_empty()).then(|| DiskIo::of(&sample.disks)),
            devices: devices.collect(),
            io_pressure_percent: stalled(sample.pressure.io),
        }
    }
}

impl DiskIo {
    fn of(disks: &[sample::Disk]) -> Self {
        let mut disk_io = Self::default();
        for disk in disks.iter().filter(|disk| disk.is_physical) {
            disk_io.read_count += disk.counters.reads;
            disk_io.write_count += disk.counters.writes;
            if let Some(rates) = &disk.rates {
                let sum = disk_io.rates.get_or_insert_default();
                sum.read_bytes_per_sec += rates.read_bytes;
                sum.write_bytes_per_sec += rates.written_bytes;
            }
        }
        if let Some(sum) = &mut disk_io.rates {
            sum.read_mb_per_sec = rounded(sum.read_bytes_per_sec / MEGABYTE);
            sum.write_mb_per_sec = rounded(sum.write_bytes_per_sec / MEGABYTE);
            sum.read_bytes_per_sec = rounded(sum.read_bytes_per_sec);
            sum.write_bytes_per_sec = rounded(sum.write_bytes_per_sec);
        }
        disk_io
    }
}

impl Device {
    fn of(disk: &sample::Disk) -> Self {
        Self {
            read_bytes: disk.counters.read_bytes,
            written_bytes: disk.counters.written_bytes,
            reads: disk.counters.reads,
            writes: disk.counters.writes,
            rates: disk.rates.map(|rates| DeviceRates {
                read_bytes_per_sec: rounded(rates.read_bytes),
                write_bytes_per_sec: rounded(rates.written_bytes),
                reads_per_sec: rounded(rates.reads),
                writes_per_sec: rounded(rates.writes),
                wait_ms: rounded(rates.wait_ms),
                utilisation_percent: rounded(rates.utilisation),
            }),
        }
    }
}
