//! The network: `/proc/net/dev`, and the tables of sockets `/proc/net/{tcp,udp}{,6}`.

use std::time::{Duration, Instant};

use procfs_core::FromRead as _;
use procfs_core::net::InterfaceDeviceStatus;
use taffrail_record::sample::{Interface, InterfaceRates, Sockets, Traffic};

use crate::roots::{Error, Result, Roots};

/// Interfaces that are told of; those with traffic come first.
const INTERFACES_MAX: usize = 1_000;
/// Ports that are told of.
const PORTS_MAX: usize = 1_024;
/// The kernel's number for a TCP socket that listens, and for a UDP socket that is not connected.
const LISTEN: usize = 0x0a;
const UNCONNECTED: usize = 0x07;

/// The interfaces by name, and how many more there are.
pub(super) fn interfaces(roots: &Roots) -> Result<(Vec<Interface>, usize)> {
    let (path, text) = roots.proc("net/dev")?;
    let InterfaceDeviceStatus(all) =
        InterfaceDeviceStatus::from_read(text.as_bytes()).map_err(|_| Error::Format(path))?;
    let mut interfaces: Vec<Interface> = all
        .into_values()
        .map(|device| Interface {
            name: device.name,
            received: Traffic {
                bytes: device.recv_bytes,
                packets: device.recv_packets,
                errors: device.recv_errs,
                drops: device.recv_drop,
            },
            sent: Traffic {
                bytes: device.sent_bytes,
                packets: device.sent_packets,
                errors: device.sent_errs,
                drops: device.sent_drop,
            },
            rates: None,
        })
        .collect();
    let skipped = interfaces.len().saturating_sub(INTERFACES_MAX);
    if skipped > 0 {
        interfaces.sort_by(|a, b| {
            let is_quiet = |one: &Interface| one.received.packets + one.sent.packets == 0;
            is_quiet(a).cmp(&is_quiet(b)).then_with(|| a.name.cmp(&b.name))
        });
        interfaces.truncate(INTERFACES_MAX);
    }
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((interfaces, skipped))
}

/// What went through an interface between two readings; `None` if it is another one.
pub(crate) fn rates(before: &Interface, after: &Interface, over: Duration) -> Option<InterfaceRates> {
    let rate = |after: u64, before: u64| Some(after.checked_sub(before)? as f64 / over.as_secs_f64());
    Some(InterfaceRates {
        received_bytes: rate(after.received.bytes, before.received.bytes)?,
        sent_bytes: rate(after.sent.bytes, before.sent.bytes)?,
        received_packets: rate(after.received.packets, before.received.packets)?,
        sent_packets: rate(after.sent.packets, before.sent.packets)?,
    })
}

/// The tables of sockets. The kernel looks through all of its hash tables for each, full or empty, which takes milliseconds on a
/// large machine: they are read anew when that costs no more than a share of a processor, or after a while.
#[derive(Debug, Default)]
pub(super) struct Tables(Option<Table>);

#[derive(Debug)]
struct Table {
    read: Instant,
    cost: Duration,
    sockets: Sockets,
}

/// The share is one of so many, and the while is so long.
const SHARE: u32 = 10_000;
const OLDEST: Duration = Duration::from_secs(60);

impl Tables {
    /// Sockets of both protocols and families, as they are, or but for their count as they were a while ago unless they must be
    /// new.
    pub(super) fn sockets(&mut self, roots: &Roots, must_be_new: bool) -> Result<Sockets> {
        let known = self.0.as_ref().filter(|table| table.read.elapsed() < (table.cost * SHARE).min(OLDEST));
        if let Some(table) = known.filter(|_| !must_be_new) {
            let sockets = table.sockets.clone();
            return Ok(Sockets { count: count(roots).unwrap_or(sockets.count), ..sockets });
        }
        let read = Instant::now();
        let sockets = sockets(roots)?;
        self.0 = Some(Table { read, cost: read.elapsed(), sockets: sockets.clone() });
        Ok(sockets)
    }
}

/// All sockets: the sums that the kernel keeps, see `proc_pid_net(5)` on `sockstat`.
fn count(roots: &Roots) -> Option<u64> {
    let texts = ["net/sockstat", "net/sockstat6"].map(|name| roots.proc(name).map(|(_, text)| text));
    let [first, second] = texts;
    let text = first.ok()? + &second.unwrap_or_default();
    let of_line = |line: &str| -> Option<u64> {
        let (kind, rest) = line.split_once(": ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let figures = words.chunks_exact(2).filter(|pair| match kind {
            "TCP" => pair[0] == "inuse" || pair[0] == "tw",
            "TCP6" | "UDP" | "UDP6" => pair[0] == "inuse",
            _ => false,
        });
        Some(figures.filter_map(|pair| pair[1].parse::<u64>().ok()).sum())
    };
    Some(text.lines().filter_map(of_line).sum())
}

/// A machine without IPv6 has no tables of it.
fn sockets(roots: &Roots) -> Result<Sockets> {
    let mut sockets = Sockets::default();
    let (_, tcp) = roots.proc("net/tcp")?;
    let rest = ["net/tcp6", "net/udp", "net/udp6"].map(|name| roots.proc(name).ok().map(|(_, text)| text));
    let [tcp6, udp, udp6] = &rest;
    for table in [Some(&tcp), tcp6.as_ref()].into_iter().flatten() {
        for (port, state) in entries(table) {
            if let Some(count) = state.checked_sub(1).and_then(|at| sockets.tcp.get_mut(at)) {
                *count += 1;
            }
            if state == LISTEN {
                sockets.listening_tcp.push(port);
            }
        }
    }
    for table in [udp, udp6].into_iter().flatten() {
        for (port, state) in entries(table) {
            sockets.udp += 1;
            if state == UNCONNECTED {
                sockets.listening_udp.push(port);
            }
        }
    }
    sockets.count = sockets.tcp.iter().sum::<u64>() + sockets.udp;
    for ports in [&mut sockets.listening_tcp, &mut sockets.listening_udp] {
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(PORTS_MAX);
    }
    Ok(sockets)
}

/// The local port and the state of each socket of a table: the second and fourth word of a line, hexadecimal.
fn entries(table: &str) -> impl Iterator<Item = (u16, usize)> {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (_, port) = words.nth(1)?.rsplit_once(':')?;
        let state = words.nth(1)?;
        Some((u16::from_str_radix(port, 16).ok()?, usize::from_str_radix(state, 16).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn of_ten_thousand_interfaces_those_with_traffic_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        fs_err::create_dir(folder.path().join("net")).unwrap();
        let mut text = "Inter-|   Receive\n face |bytes\n".to_owned();
        for number in 0..10_000 {
            let packets = u32::from(number >= 9_990);
            writeln!(text, "veth{number:05}: 0 {packets} 0 0 0 0 0 0 0 0 0 0 0 0 0 0").unwrap();
        }
        fs_err::write(folder.path().join("net/dev"), text).unwrap();
        let (interfaces, skipped) = interfaces(&roots).unwrap();
        assert_eq!((interfaces.len(), skipped), (1_000, 9_000));
        let names = [0, 989, 990, 999].map(|at| interfaces[at].name.as_str());
        assert_eq!(names, ["veth00000", "veth00989", "veth09990", "veth09999"]);
    }
}
