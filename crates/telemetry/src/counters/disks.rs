//! The columns of `/proc/diskstats` that samples do not keep.

use std::collections::HashSet;

use super::{Families, Kind};
use crate::roots::{Result, Roots};

/// Column behind the name, name, what it is, and what it is divided by.
const COLUMNS: [(usize, &str, &str, f64); 8] = [
    (1, "node_disk_reads_merged_total", "Reads that were merged with others.", 1.0),
    (5, "node_disk_writes_merged_total", "Writes that were merged with others.", 1.0),
    (11, "node_disk_discards_completed_total", "Discards that are done.", 1.0),
    (12, "node_disk_discards_merged_total", "Discards that were merged with others.", 1.0),
    (13, "node_disk_discarded_sectors_total", "Sectors that were discarded.", 1.0),
    (14, "node_disk_discard_time_seconds_total", "Seconds that discards took, added up.", 1e3),
    (15, "node_disk_flush_requests_total", "Flushes that are done.", 1.0),
    (16, "node_disk_flush_requests_time_seconds_total", "Seconds that flushes took, added up.", 1e3),
];

pub(super) fn add(roots: &Roots, told: &HashSet<&str>, families: &mut Families) -> Result<()> {
    let (_, text) = roots.proc("diskstats")?;
    let devices: Vec<(&str, Vec<f64>)> =
        text.lines().filter_map(device).filter(|(name, _)| told.contains(name)).collect();
    for (at, name, help, unit) in COLUMNS {
        // Older kernels have fewer.
        let of = |(name, columns): &(&str, Vec<f64>)| Some(((*name).to_owned(), columns.get(at)? / unit));
        families.of(name, Kind::Counter, help, "device", devices.iter().filter_map(of));
    }
    Ok(())
}

fn device(line: &str) -> Option<(&str, Vec<f64>)> {
    let mut words = line.split_whitespace().skip(2);
    Some((words.next()?, words.map_while(|word| word.parse().ok()).collect()))
}
