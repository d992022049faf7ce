//! Memory and what has to do with it: `/proc/meminfo`, `/proc/vmstat`, interrupts, the pool of entropy.

use super::{Families, Kind, number};
use crate::roots::{Result, Roots};

pub(super) fn add(roots: &Roots, families: &mut Families) -> Result<()> {
    let pool = number(roots, "sys/kernel/random/poolsize");
    families.maybe("node_entropy_pool_size_bits", Kind::Gauge, "Bits that the pool of entropy has.", pool);
    let (_, text) = roots.proc("meminfo")?;
    for (name, value) in text.lines().filter_map(field) {
        families.one(name, Kind::Gauge, "The field of /proc/meminfo.", value);
    }
    let (_, text) = roots.proc("stat")?;
    let interrupts =
        text.lines().find_map(|line| line.strip_prefix("intr ")?.split(' ').next()?.parse().ok());
    families.maybe("node_intr_total", Kind::Counter, "Interrupts.", interrupts);
    let (_, text) = roots.proc("vmstat")?;
    let values = text.lines().filter_map(|line| line.split_once(' '));
    for (name, value) in values.filter(|(name, _)| is_wanted(name)) {
        if let Ok(value) = value.trim().parse() {
            families.one(format!("node_vmstat_{name}"), Kind::Untyped, "The field of /proc/vmstat.", value);
        }
    }
    Ok(())
}

/// `Active(anon):  976 kB` is `node_memory_Active_anon_bytes 999424`.
fn field(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.split_once(':')?;
    let mut words = rest.split_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    let name = name.replace('(', "_").replace(')', "");
    match words.next() {
        Some("kB") => Some((format!("node_memory_{name}_bytes"), value * 1024.0)),
        _ => Some((format!("node_memory_{name}"), value)),
    }
}

/// Those of `/proc/vmstat` that node_exporter tells unless it is asked for others.
fn is_wanted(name: &str) -> bool {
    let is_fault = name.starts_with("pg") && name.contains("fault");
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| name.starts_with(start)) || is_fault
}
