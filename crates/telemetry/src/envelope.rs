//! A sample as it leaves the program: the JSON that Resolvix' clients and central servers read, with more keys beside theirs.
//!
//! Theirs have their units: gigabytes of 1024³ bytes, megabytes of 1024² bytes, percent; numbers with a fraction have two decimals.
//! Ours say their unit in their name, and byte counts are whole. A section that could not be read is missing (of processes theirs
//! is a count of 0), and so are rates where there was no sample before.

mod cpu;
mod disk;
mod memory;
mod network;
mod processes;
mod system;

use serde::Serialize;
use taffrail_record::sample::{Sample, Stall};
use taffrail_record::{TimeFormat, Zone};

use self::cpu::Cpu;
use self::disk::Disk;
use self::memory::Memory;
use self::network::Network;
use self::processes::Processes;
use self::system::System;

const GIGABYTE: f64 = (1_u64 << 30) as f64;
const MEGABYTE: f64 = (1_u64 << 20) as f64;

/// A sample of a node as JSON text.
pub fn envelope(sample: &Sample, node: &str) -> String {
    serde_json::to_string(&Envelope::of(sample, node)).unwrap_or_default()
}

#[derive(Serialize)]
struct Envelope<'a> {
    timestamp: String,
    node_id: &'a str,
    metrics: Metrics<'a>,
}

impl<'a> Envelope<'a> {
    fn of(sample: &'a Sample, node: &'a str) -> Self {
        let mut timestamp = Vec::with_capacity(32);
        let zone = Zone::Zulu;
        TimeFormat::Iso { date: b'-', between: b'T', mark: b'.', digits: 6, zone }
            .render(sample.time, &mut timestamp);
        Self {
            timestamp: String::from_utf8(timestamp).unwrap_or_default(),
            node_id: node,
            metrics: Metrics {
                interval_seconds: sample.over.map(|over| rounded(over.as_secs_f64())),
                cpu: sample.cpu.as_ref().map(|cpu| Cpu::of(cpu, sample)),
                memory: sample.memory.as_ref().map(|memory| Memory::of(memory, sample)),
                disk: Disk::of(sample),
                network: Network::of(sample),
                processes: Processes::of(sample),
                system: System::of(sample),
            },
        }
    }
}

#[derive(Serialize)]
struct Metrics<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    disk: Disk<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network<'a>>,
    processes: Processes<'a>,
    system: System<'a>,
}

fn stalled(stall: Option<Stall>) -> Option<f64> {
    stall.map(|stall| rounded(stall.share))
}

pub(crate) fn gigabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / GIGABYTE)
}

/// Two decimals. Whatever is no number is none.
pub(crate) fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 100.0).round() / 100.0 } else { 0.0 }
}
