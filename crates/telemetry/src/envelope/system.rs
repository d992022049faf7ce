//! The rest of the machine.

use std::collections::BTreeMap;

use serde::Serialize;
use taffrail_record::sample::{Limits, Sample};

use super::rounded;

#[derive(Serialize)]
pub(super) struct System<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entropy_bits: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    temperatures_celsius: BTreeMap<&'a str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_units: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_limits: Option<ContainerLimits>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unread: &'a [String],
}

#[derive(Serialize)]
struct ContainerLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<f64>,
    /// Of what it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent_of_limit: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<u64>,
}

impl<'a> System<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        let system = &sample.system;
        let temperatures = system.temperatures.iter();
        Self {
            uptime_seconds: system.uptime.map(|uptime| uptime.as_secs()),
            open_files: system.files.map(|(open, _)| open),
            open_files_max: system.files.map(|(_, most)| most),
            entropy_bits: system.entropy,
            temperatures_celsius: temperatures
                .map(|(name, value)| (name.as_str(), rounded(*value)))
                .collect(),
            failed_units: system.failed_units.as_deref(),
            container_limits: sample.limits.map(ContainerLimits::of),
            unread: &sample.unread,
        }
    }
}

impl ContainerLimits {
    fn of(limits: Limits) -> Self {
        Self {
            memory_bytes: limits.memory,
            swap_bytes: limits.swap,
            cpus: limits.cpus.map(rounded),
            cpu_percent_of_limit: limits.cpu_share.map(rounded),
            tasks: limits.tasks,
        }
    }
}
