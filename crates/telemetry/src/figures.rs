//! The figures of an envelope that are kept as columns. Envelopes come from other programs as well: what is missing in one, or
//! is no number, is missing here, and the units of the original's keys do where ours are not there.

use serde_json::Value;
use taffrail_record::{FIGURES, Figures};

const GIGABYTE: f64 = (1_u64 << 30) as f64;
const MEGABYTE: f64 = (1_u64 << 20) as f64;

/// Where figures stand below `metrics`; more than one place for a name: the first that is there, times the last number.
const PLACES: &[(&str, &[&str], f64)] = &[
    ("cpu_usage_percent", &["cpu", "cpu_usage_percent"], 1.0),
    ("cpu_iowait_percent", &["cpu", "cpu_iowait_percent"], 1.0),
    ("cpu_steal_percent", &["cpu", "cpu_steal_percent"], 1.0),
    ("load_avg_1min", &["cpu", "load_avg_1min"], 1.0),
    ("load_avg_5min", &["cpu", "load_avg_5min"], 1.0),
    ("load_avg_15min", &["cpu", "load_avg_15min"], 1.0),
    ("memory_total_bytes", &["memory", "memory_total_bytes"], 1.0),
    ("memory_total_bytes", &["memory", "memory_total_gb"], GIGABYTE),
    ("memory_available_bytes", &["memory", "memory_available_bytes"], 1.0),
    ("memory_available_bytes", &["memory", "memory_available_gb"], GIGABYTE),
    ("memory_usage_percent", &["memory", "memory_usage_percent"], 1.0),
    ("swap_usage_percent", &["memory", "swap_usage_percent"], 1.0),
    ("disk_usage_percent", &["disk", "disk_usage", "/", "usage_percent"], 1.0),
    ("disk_read_bytes_per_sec", &["disk", "disk_io", "read_bytes_per_sec"], 1.0),
    ("disk_read_bytes_per_sec", &["disk", "disk_io", "read_mb_per_sec"], MEGABYTE),
    ("disk_write_bytes_per_sec", &["disk", "disk_io", "write_bytes_per_sec"], 1.0),
    ("disk_write_bytes_per_sec", &["disk", "disk_io", "write_mb_per_sec"], MEGABYTE),
    ("network_recv_bytes_per_sec", &["network", "bytes_recv_per_sec"], 1.0),
    ("network_recv_bytes_per_sec", &["network", "bytes_recv_mb_per_sec"], MEGABYTE),
    ("network_sent_bytes_per_sec", &["network", "bytes_sent_per_sec"], 1.0),
    ("network_sent_bytes_per_sec", &["network", "bytes_sent_mb_per_sec"], MEGABYTE),
    ("active_connections", &["network", "active_connections"], 1.0),
    ("open_files", &["system", "open_files"], 1.0),
    ("cpu_pressure_percent", &["cpu", "cpu_pressure_percent"], 1.0),
    ("memory_pressure_percent", &["memory", "memory_pressure_percent"], 1.0),
    ("io_pressure_percent", &["disk", "io_pressure_percent"], 1.0),
    ("uptime_seconds", &["system", "uptime_seconds"], 1.0),
];

/// The figures that an envelope says.
pub fn figures(envelope: &Value) -> Figures {
    let Some(metrics) = envelope.get("metrics") else { return Figures::default() };
    FIGURES.map(|figure| match figure.name {
        "disk_utilisation_percent" => {
            let devices = metrics.get("disk")?.get("devices")?.as_object()?.values();
            largest(devices.filter_map(|device| device.get("utilisation_percent")?.as_f64()))
        }
        "temperature_celsius" => {
            let sensors = metrics.get("system")?.get("temperatures_celsius")?.as_object()?.values();
            largest(sensors.filter_map(Value::as_f64))
        }
        // Whoever cannot count them says 0.
        "process_count" => {
            let count = metrics.get("processes")?.get("process_count")?.as_f64()?;
            (count > 0.0).then_some(count)
        }
        "failed_units" => Some(metrics.get("system")?.get("failed_units")?.as_array()?.len() as f64),
        name => PLACES.iter().filter(|(of, ..)| *of == name).find_map(|(_, path, scale)| {
            let found = path.iter().try_fold(metrics, |value, key| value.get(key))?;
            Some(found.as_f64()? * scale)
        }),
    })
}

fn largest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(figures: &Figures, name: &str) -> Option<f64> {
        FIGURES.iter().zip(figures).find(|(figure, _)| figure.name == name).and_then(|(_, value)| *value)
    }

    #[test]
    fn every_figure_has_a_place() {
        let own = ["disk_utilisation_percent", "temperature_celsius", "process_count", "failed_units"];
        for name in FIGURES.map(|figure| figure.name) {
            assert!(own.contains(&name) || PLACES.iter().any(|(of, ..)| *of == name), "{name}");
        }
        for (name, ..) in PLACES {
            assert!(FIGURES.iter().any(|figure| figure.name == *name), "{name}");
        }
    }

    #[test]
    fn the_units_of_others_do_where_ours_are_missing() {
        let envelope = serde_json::json!({"metrics": {
            "cpu": {"cpu_usage_percent": 45.2},
            "memory": {"memory_total_gb": 16.0, "memory_usage_percent": "much"},
            "disk": {"disk_usage": {"/": {"usage_percent": 60}}, "disk_io": {"read_mb_per_sec": 0.5},
                     "devices": {"sda": {"utilisation_percent": 3.5}, "sdb": {"utilisation_percent": 9.25}}},
            "network": {"bytes_recv_per_sec": 10.0, "bytes_recv_mb_per_sec": 3.2},
            "processes": {"process_count": 0},
            "system": {"failed_units": ["a.service", "b.service"]},
        }});
        let figures = figures(&envelope);
        for (name, want) in [
            ("cpu_usage_percent", Some(45.2)),
            ("memory_total_bytes", Some(17_179_869_184.0)),
            ("memory_usage_percent", None),
            ("disk_usage_percent", Some(60.0)),
            ("disk_read_bytes_per_sec", Some(524_288.0)),
            ("disk_utilisation_percent", Some(9.25)),
            ("network_recv_bytes_per_sec", Some(10.0)),
            ("process_count", None),
            ("failed_units", Some(2.0)),
        ] {
            assert_eq!(figure(&figures, name), want, "{name}");
        }
        for odd in ["null", "[]", "3", r#"{"metrics":[]}"#, r#"{"metrics":{"cpu":4}}"#] {
            let odd = serde_json::from_str(odd).unwrap();
            assert_eq!(super::figures(&odd), Figures::default(), "{odd}");
        }
    }
}
