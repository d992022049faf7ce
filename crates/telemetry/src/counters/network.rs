//! The network: `/proc/net/{dev,snmp,snmp6,netstat,sockstat,sockstat6,softnet_stat,arp}`, connections that are tracked, and what
//! `/sys/class/net` says of interfaces.

use std::collections::BTreeMap;

use super::{Families, Kind, number};
use crate::roots::{Result, Roots};

/// Columns of `/proc/net/dev`.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];
/// The column of `/proc/net/arp` with the interface.
const DEVICE: usize = 5;
const STATISTIC: &str = "The statistic of the kernel's network.";

pub(super) fn add(roots: &Roots, told: &[&str], families: &mut Families) -> Result<()> {
    properties(roots, told, families);
    for (name, file) in [("entries", "count"), ("entries_limit", "max")] {
        let value = number(roots, &format!("sys/net/netfilter/nf_conntrack_{file}"));
        families.maybe(
            &format!("node_nf_conntrack_{name}"),
            Kind::Gauge,
            "Connections that are tracked.",
            value,
        );
    }
    traffic(roots, told, families)?;
    neighbours(roots, families)?;
    softnet(roots, families)?;
    for file in ["net/sockstat", "net/sockstat6"] {
        // Without IPv6 there is no second.
        if let Ok((_, text)) = roots.proc(file) {
            text.lines().for_each(|line| sockets(line, families));
        }
    }
    if let Ok((_, text)) = roots.proc("net/snmp6") {
        text.lines().filter_map(statistic6).for_each(|(name, value)| statistics(name, value, families));
    }
    for file in ["net/snmp", "net/netstat"] {
        let (_, text) = roots.proc(file)?;
        paired(&text).for_each(|(name, value)| statistics(name, value, families));
    }
    Ok(())
}

/// What went through interfaces.
fn traffic(roots: &Roots, told: &[&str], families: &mut Families) -> Result<()> {
    let (_, text) = roots.proc("net/dev")?;
    let device = |line: &str| {
        let (name, columns) = line.split_once(':')?;
        let columns: Vec<f64> = columns.split_whitespace().map_while(|word| word.parse().ok()).collect();
        Some((name.trim().to_owned(), columns))
    };
    let devices: BTreeMap<String, Vec<f64>> = text.lines().filter_map(device).collect();
    for (at, column) in COLUMNS.into_iter().enumerate() {
        let of = |name: &&str| Some(((*name).to_owned(), *devices.get(*name)?.get(at)?));
        let name = format!("node_network_{column}_total");
        families.of(name, Kind::Counter, STATISTIC, "device", told.iter().filter_map(of));
    }
    Ok(())
}

/// What interfaces are.
fn properties(roots: &Roots, told: &[&str], families: &mut Families) {
    let text = |name: &str, file: &str| roots.sys(format!("class/net/{name}/{file}"));
    let number = |name: &str, file: &str| text(name, file)?.parse::<f64>().ok();
    let mut gauge = |name: &str, help, value: &dyn Fn(&str) -> Option<f64>| {
        let of = |interface: &&str| Some(((*interface).to_owned(), value(interface)?));
        families.of(format!("node_network_{name}"), Kind::Gauge, help, "device", told.iter().filter_map(of));
    };
    let is_up = |name: &str| Some(f64::from(u8::from(text(name, "operstate")? == "up")));
    gauge("up", "1 where an interface is up.", &is_up);
    gauge("carrier", "1 where an interface has a link.", &|name| number(name, "carrier"));
    gauge("mtu_bytes", "Bytes of the largest packet.", &|name| number(name, "mtu"));
    // In millions of bits; less than nothing where it is not known.
    gauge("speed_bytes", "Bytes a second that an interface can carry.", &|name| {
        Some(number(name, "speed")? * 1e6 / 8.0)
    });
    let dropped = |name: &&str| {
        let count = number(name, "statistics/rx_nohandler")?;
        Some(((*name).to_owned(), count))
    };
    let name = "node_network_receive_nohandler_total";
    families.of(name, Kind::Counter, STATISTIC, "device", told.iter().filter_map(dropped));
}

/// Neighbours that are known, by interface.
fn neighbours(roots: &Roots, families: &mut Families) -> Result<()> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    let mut is_head = true;
    roots.each_line("net/arp", |line| {
        if !std::mem::take(&mut is_head)
            && let Some(device) = line.split_whitespace().nth(DEVICE)
        {
            *counts.entry(device.to_owned()).or_default() += 1.0;
        }
    })?;
    families.of("node_arp_entries", Kind::Gauge, "Neighbours that are known.", "device", counts);
    Ok(())
}

/// What processors did with packets that came.
fn softnet(roots: &Roots, families: &mut Families) -> Result<()> {
    let (_, text) = roots.proc("net/softnet_stat")?;
    let rows: Vec<Vec<u64>> = text
        .lines()
        .map(|line| line.split_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok()).collect())
        .collect();
    for (at, what) in ["processed", "dropped", "times_squeezed"].into_iter().enumerate() {
        let of = |(line, row): (usize, &Vec<u64>)| {
            // Newer kernels say whose it is: processors may be missing.
            let processor = row.get(12).copied().unwrap_or(line as u64);
            Some((processor.to_string(), *row.get(at)? as f64))
        };
        let name = format!("node_softnet_{what}_total");
        families.of(name, Kind::Counter, STATISTIC, "cpu", rows.iter().enumerate().filter_map(of));
    }
    Ok(())
}

/// `TCP: inuse 5 orphan 0 tw 1 alloc 7 mem 2`
fn sockets(line: &str, families: &mut Families) {
    let Some((protocol, rest)) = line.split_once(": ") else { return };
    let words: Vec<&str> = rest.split_whitespace().collect();
    for pair in words.chunks_exact(2) {
        let Ok(value) = pair[1].parse::<f64>() else { continue };
        let name = format!("node_sockstat_{protocol}_{}", pair[0]);
        if pair[0] == "mem" {
            let bytes = value * rustix::param::page_size() as f64;
            families.one(format!("{name}_bytes"), Kind::Gauge, "Memory of sockets.", bytes);
        }
        families.one(name, Kind::Gauge, "Sockets, by protocol and what they are.", value);
    }
}

/// Names and numbers of tables that have them in two lines: `Tcp: InSegs OutSegs` and `Tcp: 5 7`.
fn paired(text: &str) -> impl Iterator<Item = (String, f64)> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.chunks_exact(2).filter_map(|pair| {
        let ((protocol, names), (other, values)) = (pair[0].split_once(": ")?, pair[1].split_once(": ")?);
        (protocol == other).then(|| (protocol.to_owned(), names.to_owned(), values.to_owned()))
    });
    let pairs: Vec<_> = pairs.collect();
    pairs.into_iter().flat_map(|(protocol, names, values)| {
        let named = names.split_whitespace().zip(values.split_whitespace());
        let all: Vec<_> = named
            .filter_map(|(name, value)| Some((format!("{protocol}_{name}"), value.parse().ok()?)))
            .collect();
        all
    })
}

/// `Ip6InOctets  5`
fn statistic6(line: &str) -> Option<(String, f64)> {
    let mut words = line.split_whitespace();
    let (name, value) = (words.next()?, words.next()?.parse().ok()?);
    let (protocol, rest) = name.split_once('6')?;
    Some((format!("{protocol}6_{rest}"), value))
}

/// Those that node_exporter tells unless it is asked for others.
fn statistics(name: String, value: f64, families: &mut Families) {
    if is_wanted(&name) {
        families.one(format!("node_netstat_{name}"), Kind::Untyped, STATISTIC, value);
    }
}

fn is_wanted(name: &str) -> bool {
    let Some((protocol, what)) = name.split_once('_') else { return false };
    matches!(what, "InErrors" | "InErrs")
        || match protocol {
            "Ip" => what == "Forwarding",
            "Ip6" | "IpExt" => matches!(what, "InOctets" | "OutOctets"),
            "Icmp" | "Icmp6" => matches!(what, "InMsgs" | "OutMsgs"),
            "TcpExt" => {
                let is_known = ["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"].contains(&what);
                is_known || what.starts_with("Listen") || what.starts_with("Syncookies")
            }
            "Tcp" => {
                ["ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab"]
                    .contains(&what)
            }
            "Udp" | "Udp6" => {
                ["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"].contains(&what)
            }
            _ => false,
        }
}
