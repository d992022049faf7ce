//! Block devices: `/proc/diskstats` and `/sys/block`.

use std::collections::HashMap;
use std::time::Duration;

use fs_err as fs;
use procfs_core::{DiskStats, FromRead as _};
use taffrail_record::sample::{Disk, DiskCounters, DiskRates, percent};

use crate::roots::{Error, Result, Roots};

/// The kernel counts in sectors of this many bytes, whatever those of the device are.
const SECTOR: u64 = 512;

/// What is known of the devices: they are looked up once.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<String, Device>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Device {
    Partition,
    /// It does its work by others: a mapping, a mirror, a file, memory.
    Virtual,
    Physical,
}

impl Device {
    fn of(name: &str, roots: &Roots) -> Self {
        let folder = roots.sys.join("block").join(name.replace('/', "!"));
        if !folder.is_dir() {
            return Self::Partition;
        }
        let has_others =
            fs::read_dir(folder.join("slaves")).is_ok_and(|mut entries| entries.next().is_some());
        let is_made = ["loop", "ram", "zram", "dm-", "md"].iter().any(|prefix| name.starts_with(prefix));
        if has_others || is_made { Self::Virtual } else { Self::Physical }
    }
}

/// All block devices but partitions, and those that never did anything.
pub(super) fn read(roots: &Roots, known: &mut Devices) -> Result<Vec<Disk>> {
    let (path, text) = roots.proc("diskstats")?;
    let DiskStats(all) = DiskStats::from_read(text.as_bytes()).map_err(|_| Error::Format(path))?;
    // Devices that have gone may come back as others.
    if known.0.len() > 2 * all.len() + 64 {
        known.0.clear();
    }
    let mut disks = Vec::new();
    for stat in all {
        let is_used = stat.reads + stat.writes > 0;
        let device = *known.0.entry(stat.name.clone()).or_insert_with(|| Device::of(&stat.name, roots));
        if device == Device::Partition || !is_used {
            continue;
        }
        let counters = DiskCounters {
            reads: stat.reads,
            read_bytes: stat.sectors_read.saturating_mul(SECTOR),
            read_ms: stat.time_reading,
            writes: stat.writes,
            written_bytes: stat.sectors_written.saturating_mul(SECTOR),
            write_ms: stat.time_writing,
            busy_ms: stat.time_in_progress,
            weighted_ms: stat.weighted_time_in_progress,
            in_progress: stat.in_progress,
        };
        disks.push(Disk { name: stat.name, is_physical: device == Device::Physical, counters, rates: None });
    }
    Ok(disks)
}

/// What a device was doing between two readings; `None` if it is another one.
pub(crate) fn rates(before: &DiskCounters, after: &DiskCounters, over: Duration) -> Option<DiskRates> {
    let seconds = over.as_secs_f64();
    let since = |of: fn(&DiskCounters) -> u64| Some(of(after).checked_sub(of(before))? as f64);
    let (reads, writes) = (since(|counters| counters.reads)?, since(|counters| counters.writes)?);
    let waited = since(|counters| counters.read_ms + counters.write_ms)?;
    let busy = since(|counters| counters.busy_ms)?;
    Some(DiskRates {
        reads: reads / seconds,
        read_bytes: since(|counters| counters.read_bytes)? / seconds,
        writes: writes / seconds,
        written_bytes: since(|counters| counters.written_bytes)? / seconds,
        wait_ms: if reads + writes > 0.0 { waited / (reads + writes) } else { 0.0 },
        utilisation: percent(busy, seconds * 1_000.0).min(100.0),
    })
}
