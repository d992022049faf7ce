//! What belongs to the machine as a whole: how long it runs, open files, entropy, temperatures.

use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;
use procfs_core::{FromRead as _, LoadAverage, Uptime};

use crate::roots::{Error, Result, Roots, text};

/// Sensors that are read.
const SENSORS_MAX: usize = 64;

pub(super) fn load(roots: &Roots) -> Result<[f64; 3]> {
    let (path, text) = roots.proc("loadavg")?;
    let load = LoadAverage::from_read(text.as_bytes()).map_err(|_| Error::Format(path))?;
    Ok([load.one, load.five, load.fifteen].map(|load| (f64::from(load) * 100.0).round() / 100.0))
}

pub(super) fn uptime(roots: &Roots) -> Option<Duration> {
    let (_, text) = roots.proc("uptime").ok()?;
    Uptime::from_read(text.as_bytes()).ok().map(|uptime| uptime.uptime_duration())
}

/// Open files, and how many there may be.
pub(super) fn files(roots: &Roots) -> Option<(u64, u64)> {
    let (_, text) = roots.proc("sys/fs/file-nr").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.nth(1)??))
}

pub(super) fn entropy(roots: &Roots) -> Option<u64> {
    roots.proc("sys/kernel/random/entropy_avail").ok()?.1.trim().parse().ok()
}

/// A sensor of temperature: its name and its file.
pub(super) type Sensor = (String, PathBuf);

/// All sensors: of the chips, else of the thermal zones.
pub(super) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let list = |folder: PathBuf| {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort_unstable();
        paths
    };
    let mut sensors = Vec::new();
    for chip in list(roots.sys.join("class/hwmon")) {
        let name = roots.sys(chip.join("name")).unwrap_or_default();
        for file in list(chip) {
            let input = file.file_name().and_then(|name| name.to_str()?.strip_suffix("_input"));
            if let Some(input) = input.filter(|input| input.starts_with("temp")) {
                let label = roots.sys(file.with_file_name(format!("{input}_label")));
                sensors.push((format!("{name} {}", label.as_deref().unwrap_or(input)), file));
            }
        }
    }
    if sensors.is_empty() {
        for zone in list(roots.sys.join("class/thermal")) {
            if let Some(kind) = roots.sys(zone.join("type")) {
                sensors.push((kind, zone.join("temp")));
            }
        }
    }
    sensors.truncate(SENSORS_MAX);
    sensors
}

/// What the sensors say, in degrees Celsius; those that say nothing are left out.
pub(super) fn temperatures(sensors: &[Sensor]) -> Vec<(String, f64)> {
    let read = |(name, path): &Sensor| {
        let thousandths: f64 = text(path).ok()?.trim().parse().ok()?;
        Some((name.clone(), thousandths / 1_000.0))
    };
    sensors.iter().filter_map(read).collect()
}
