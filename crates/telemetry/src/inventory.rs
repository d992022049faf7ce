//! What a machine is: the JSON that the installer of Resolvix sends to `/api/system_info` once.

use std::net::IpAddr;

use serde::Serialize;
use taffrail_record::sample::{Mount, Usage};

use crate::envelope::{gigabytes, rounded};
use crate::machine::Machine;
use crate::roots::Roots;

/// The keys are those of the original.
#[derive(Serialize)]
struct Inventory {
    #[serde(rename = "OS")]
    os: String,
    #[serde(rename = "OS_Version")]
    version: String,
    #[serde(rename = "OS_Release")]
    release: String,
    #[serde(rename = "Hostname")]
    hostname: String,
    #[serde(rename = "Machine_Architecture")]
    architecture: &'static str,
    #[serde(rename = "MAC_address")]
    mac: String,
    #[serde(rename = "IP_address")]
    address: String,
    #[serde(rename = "Total_RAM_GB")]
    memory: f64,
    #[serde(rename = "Total_Disk_GB")]
    disk: f64,
    #[serde(rename = "Disk_Used_GB")]
    disk_used: f64,
    #[serde(rename = "Disk_Free_GB")]
    disk_free: f64,
    #[serde(rename = "Disk_Usage_Percentage")]
    disk_percent: f64,
    #[serde(rename = "CPU_Physical_Core")]
    cores: Option<usize>,
    #[serde(rename = "CPU_logical_Core")]
    processors: Option<usize>,
}

/// What a machine is, as JSON text: its system, its first network interface, its memory, its root filesystem, its processors.
/// `address` is the one that others reach it by. What is not known is empty, zero or null.
pub fn inventory(machine: &Machine, address: Option<IpAddr>) -> String {
    let roots = machine.roots();
    let sample = machine.read();
    let kernel = |name: &str| {
        let text = roots.proc(&format!("sys/kernel/{name}")).map(|(_, text)| text).unwrap_or_default();
        text.trim().to_owned()
    };
    let root = sample.mounts.iter().find(|mount| mount.path == "/").and_then(|Mount { usage, .. }| *usage);
    let of_root = |bytes: fn(&Usage) -> u64| root.as_ref().map_or(0.0, |usage| gigabytes(bytes(usage)));
    let cpu = sample.cpu.as_ref();
    let inventory = Inventory {
        os: kernel("ostype"),
        version: kernel("version"),
        release: kernel("osrelease"),
        hostname: kernel("hostname"),
        architecture: std::env::consts::ARCH,
        mac: mac(roots).unwrap_or_default(),
        // The original's word.
        address: address.map_or_else(|| "Not Found".to_owned(), |address| address.to_string()),
        memory: sample.memory.map_or(0.0, |memory| gigabytes(memory.total)),
        disk: of_root(|usage| usage.total),
        disk_used: of_root(Usage::used),
        disk_free: of_root(|usage| usage.available),
        disk_percent: root.as_ref().map_or(0.0, |usage| rounded(usage.percent())),
        cores: cpu.and_then(|cpu| cpu.physical),
        processors: cpu.map(|cpu| cpu.cores.len()),
    };
    serde_json::to_string(&inventory).unwrap_or_default()
}

/// The hardware address of the first interface that has one.
fn mac(roots: &Roots) -> Option<String> {
    let entries = fs_err::read_dir(roots.sys.join("class/net")).ok()?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let address = |name| roots.sys(std::path::Path::new("class/net").join(name).join("address"));
    names
        .into_iter()
        .filter_map(address)
        .find(|address| address.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0'))
}
