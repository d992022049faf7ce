//! Processors.

use serde::Serialize;
use taffrail_record::sample::{self, Core, Sample};

use super::{rounded, stalled};

#[derive(Serialize)]
pub(super) struct Cpu {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_usage_percent: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpu_per_core_percent: Vec<f64>,
    #[serde(flatten)]
    load: Option<Load>,
    cpu_count_logical: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_count_physical: Option<usize>,
    #[serde(flatten)]
    shares: Option<Shares>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_pressure_percent: Option<f64>,
}

#[derive(Serialize)]
struct Load {
    load_avg_1min: f64,
    load_avg_5min: f64,
    load_avg_15min: f64,
}

#[derive(Serialize)]
struct Shares {
    cpu_user_percent: f64,
    cpu_system_percent: f64,
    cpu_iowait_percent: f64,
    cpu_steal_percent: f64,
}

impl Cpu {
    pub(super) fn of(cpu: &sample::Cpu, sample: &Sample) -> Self {
        let busy = |core: &Core| core.shares.map(|shares| rounded(shares.busy()));
        Self {
            cpu_usage_percent: busy(&cpu.total),
            cpu_per_core_percent: cpu.cores.iter().filter_map(busy).collect(),
            load: sample.load.map(|[one, five, fifteen]| Load {
                load_avg_1min: one,
                load_avg_5min: five,
                load_avg_15min: fifteen,
            }),
            cpu_count_logical: cpu.cores.len(),
            cpu_count_physical: cpu.physical,
            shares: cpu.total.shares.map(|shares| Shares {
                cpu_user_percent: rounded(shares.user + shares.nice),
                cpu_system_percent: rounded(shares.system + shares.irq + shares.softirq),
                cpu_iowait_percent: rounded(shares.iowait),
                cpu_steal_percent: rounded(shares.steal),
            }),
            cpu_pressure_percent: stalled(sample.pressure.cpu),
        }
    }
}
