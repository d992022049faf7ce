//! What belongs to the machine as a whole: how long it runs, open files, entropy, temperatures.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
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

/// All sensors: of the chips, else of the thermal zones. No two have the same name.
pub(super) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let mut sensors = chips(roots);
    if sensors.is_empty() {
        let zones = list(roots.sys.join("class/thermal")).into_iter();
        let is_zone = |path: &PathBuf| file_name(path).is_some_and(|name| name.starts_with("thermal_zone"));
        let sensor = |zone: PathBuf| Some((roots.sys(zone.join("type"))?, zone.join("temp")));
        sensors = zones.filter(is_zone).filter_map(sensor).collect();
    }
    sensors.truncate(SENSORS_MAX);
    number(&mut sensors);
    sensors
}

/// The sensors of the chips. Chips of the same name are told from each other by their devices: `nvme0`, `coretemp.1`.
fn chips(roots: &Roots) -> Vec<Sensor> {
    let chips: Vec<(String, PathBuf)> = list(roots.sys.join("class/hwmon"))
        .into_iter()
        .map(|chip| (roots.sys(chip.join("name")).unwrap_or_default(), chip))
        .collect();
    let mut sensors = Vec::new();
    for (name, chip) in &chips {
        let is_only = chips.iter().filter(|(other, _)| other == name).count() == 1;
        let device = fs::canonicalize(chip.join("device")).ok().filter(|_| !is_only);
        let name = match device.as_deref().and_then(file_name) {
            Some(device) if device.starts_with(name.as_str()) => device.to_owned(),
            Some(device) => format!("{name}-{device}"),
            None => name.clone(),
        };
        for file in list(chip.clone()) {
            let input = file_name(&file).and_then(|name| name.strip_suffix("_input"));
            if let Some(input) = input.filter(|input| input.starts_with("temp")) {
                let label = roots.sys(file.with_file_name(format!("{input}_label")));
                sensors.push((format!("{name} {}", label.as_deref().unwrap_or(input)), file));
            }
        }
    }
    sensors
}

/// Numbers those that have the name of one before.
fn number(sensors: &mut [Sensor]) {
    let mut known: HashSet<String> = HashSet::new();
    for (name, _) in sensors {
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let free = [name.clone()].into_iter().chain(numbered).find(|name| !known.contains(name));
        if let Some(free) = free {
            *name = free;
        }
        known.insert(name.clone());
    }
}

/// What is in a folder, in order.
fn list(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// What the sensors say, in degrees Celsius; those that say nothing are left out.
pub(super) fn temperatures(sensors: &[Sensor]) -> Vec<(String, f64)> {
    let read = |(name, path): &Sensor| {
        let thousandths: f64 = text(path).ok()?.trim().parse().ok()?;
        Some((name.clone(), thousandths / 1_000.0))
    };
    sensors.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the sensors of a machine of such files.
    fn names(files: &[(&str, &str)], devices: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (chip, device) in devices {
            let device = folder.path().join("devices").join(device);
            fs::create_dir_all(&device).unwrap();
            std::os::unix::fs::symlink(device, folder.path().join(chip).join("device")).unwrap();
        }
        let roots = Roots { sys: folder.path().to_owned(), ..Roots::default() };
        let told = temperatures(&sensors(&roots));
        told.into_iter().map(|(name, degrees)| format!("{name}={degrees}")).collect()
    }

    #[test]
    fn no_two_sensors_have_the_same_name() {
        let files = [
            ("class/hwmon/hwmon0/name", "nvme\n"),
            ("class/hwmon/hwmon0/temp1_input", "41500\n"),
            ("class/hwmon/hwmon0/temp1_label", "Composite\n"),
            ("class/hwmon/hwmon1/name", "nvme\n"),
            ("class/hwmon/hwmon1/temp1_input", "42500\n"),
            ("class/hwmon/hwmon1/temp1_label", "Composite\n"),
            ("class/hwmon/hwmon2/name", "k10temp\n"),
            ("class/hwmon/hwmon2/temp1_input", "60000\n"),
            ("class/hwmon/hwmon2/temp2_input", "61000\n"),
            ("class/hwmon/hwmon2/temp2_label", "temp1\n"),
            ("class/hwmon/hwmon3/name", "drivetemp\n"),
            ("class/hwmon/hwmon3/temp1_input", "30000\n"),
            ("class/hwmon/hwmon4/name", "drivetemp\n"),
            ("class/hwmon/hwmon4/temp1_input", "31000\n"),
            ("class/thermal/thermal_zone0/type", "none of these\n"),
        ];
        let devices = [
            ("class/hwmon/hwmon0", "nvme0"),
            ("class/hwmon/hwmon1", "nvme1"),
            ("class/hwmon/hwmon2", "0000:00:18.3"),
            ("class/hwmon/hwmon3", "1:0:0:0"),
        ];
        let want = [
            "nvme0 Composite=41.5",
            "nvme1 Composite=42.5",
            "k10temp temp1=60",
            "k10temp temp1 2=61",
            "drivetemp-1:0:0:0 temp1=30",
            "drivetemp temp1=31",
        ];
        assert_eq!(names(&files, &devices), want);
    }

    #[test]
    fn of_very_many_thermal_devices_only_zones_count() {
        let coolers = (0..SENSORS_MAX).map(|number| format!("class/thermal/cooling_device{number}/type"));
        let coolers: Vec<String> = coolers.collect();
        let mut files: Vec<(&str, &str)> =
            coolers.iter().map(|name| (name.as_str(), "Processor\n")).collect();
        for (name, text) in [
            ("class/thermal/thermal_zone0/type", "acpitz\n"),
            ("class/thermal/thermal_zone0/temp", "27800\n"),
            ("class/thermal/thermal_zone1/type", "acpitz\n"),
            ("class/thermal/thermal_zone1/temp", "29800\n"),
        ] {
            files.push((name, text));
        }
        assert_eq!(names(&files, &[]), ["acpitz=27.8", "acpitz 2=29.8"]);
    }
}
