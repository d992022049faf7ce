//! The network: `/proc/net/dev`, and the tables of sockets `/proc/net/{tcp,udp}{,6}`.

use std::time::{Duration, Instant};

use procfs_core::FromRead as _;
use procfs_core::net::InterfaceDeviceStatus;
use taffrail_record::sample::{Interface, InterfaceRates, Sockets, Traffic};

use crate::roots::{Error, Result, Roots};

/// Ports that are told of.
const PORTS_MAX: usize = 1_024;
/// The kernel's numbers for a TCP socket that waits for its end, for one that listens, and for a UDP socket that is not connected.
const TIME_WAIT: usize = 0x06;
const LISTEN: usize = 0x0a;
const UNCONNECTED: usize = 0x07;

/// All interfaces, by name.
pub(super) fn interfaces(roots: &Roots) -> Result<Vec<Interface>> {
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
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(interfaces)
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
    /// Sockets of both protocols and families, as they are; or, unless they must be new, as they were a while ago but for the
    /// sums that the kernel keeps.
    pub(super) fn sockets(&mut self, roots: &Roots, must_be_new: bool) -> Result<Sockets> {
        let known = self.0.as_ref().filter(|table| table.read.elapsed() < (table.cost * SHARE).min(OLDEST));
        if let Some(table) = known.filter(|_| !must_be_new) {
            let sockets = table.sockets.clone();
            return Ok(match sums(roots) {
                Some(sums) => with_sums(sockets, sums),
                None => sockets,
            });
        }
        let read = Instant::now();
        let sockets = sockets(roots)?;
        self.0 = Some(Table { read, cost: read.elapsed(), sockets: sockets.clone() });
        Ok(sockets)
    }
}

fn with_sums(mut sockets: Sockets, sums: Sums) -> Sockets {
    sockets.count = sums.tcp + sums.time_wait + sums.udp;
    sockets.tcp[TIME_WAIT - 1] = sums.time_wait;
    (sockets.udp, sockets.udp6) = (sums.udp, sums.udp6);
    sockets
}

/// Sums that the kernel keeps.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// TCP sockets, without those that wait for their end.
    tcp: u64,
    /// TCP sockets that wait for their end.
    time_wait: u64,
    /// UDP sockets of both families, and of IPv6.
    udp: u64,
    udp6: u64,
}

/// See `proc_pid_net(5)` on `sockstat`.
fn sums(roots: &Roots) -> Option<Sums> {
    let texts = ["net/sockstat", "net/sockstat6"].map(|name| roots.proc(name).map(|(_, text)| text));
    let [first, second] = texts;
    let text = first.ok()? + &second.unwrap_or_default();
    let (mut sums, mut udp4) = (Sums::default(), 0);
    for (kind, rest) in text.lines().filter_map(|line| line.split_once(": ")) {
        let words: Vec<&str> = rest.split(' ').collect();
        for pair in words.chunks_exact(2) {
            let sum = match (kind, pair[0]) {
                ("TCP" | "TCP6", "inuse") => &mut sums.tcp,
                // Of both families.
                ("TCP", "tw") => &mut sums.time_wait,
                ("UDP", "inuse") => &mut udp4,
                ("UDP6", "inuse") => &mut sums.udp6,
                _ => continue,
            };
            *sum += pair[1].parse::<u64>().ok()?;
        }
    }
    sums.udp = udp4 + sums.udp6;
    Some(sums)
}

/// A machine without IPv6 has no tables of it.
fn sockets(roots: &Roots) -> Result<Sockets> {
    let mut sockets = Sockets::default();
    let mut tcp = |line: &str| {
        let Some((port, state)) = entry(line) else { return };
        if let Some(count) = state.checked_sub(1).and_then(|at| sockets.tcp.get_mut(at)) {
            *count += 1;
        }
        if state == LISTEN {
            sockets.listening_tcp.push(port);
        }
    };
    roots.each_line("net/tcp", &mut tcp)?;
    let _: Result<()> = roots.each_line("net/tcp6", &mut tcp);
    let (mut udp4, mut udp6) = (0, 0);
    let mut udp = |line: &str, count: &mut u64| {
        let Some((port, state)) = entry(line) else { return };
        *count += 1;
        if state == UNCONNECTED {
            sockets.listening_udp.push(port);
        }
    };
    let _: Result<()> = roots.each_line("net/udp", |line| udp(line, &mut udp4));
    let _: Result<()> = roots.each_line("net/udp6", |line| udp(line, &mut udp6));
    (sockets.udp, sockets.udp6) = (udp4 + udp6, udp6);
    sockets.count = sockets.tcp.iter().sum::<u64>() + sockets.udp;
    for ports in [&mut sockets.listening_tcp, &mut sockets.listening_udp] {
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(PORTS_MAX);
    }
    Ok(sockets)
}

/// The local port and the state of a socket: the second and fourth word of a line of a table, hexadecimal; `None` for its head.
fn entry(line: &str) -> Option<(u16, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (_, port) = words.nth(1)?.rsplit_once(':')?;
    let state = words.nth(1)?;
    Some((u16::from_str_radix(port, 16).ok()?, usize::from_str_radix(state, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_both_families_count() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("net")).unwrap();
        let table = |states: &[&str]| -> String {
            let lines = states.iter().enumerate();
            let lines =
                lines.map(|(at, state)| format!("{at}: 0100007F:{:04X} 00000000:0000 {state}\n", 53 + at));
            "sl local_address rem_address st\n".to_owned() + &lines.collect::<String>()
        };
        for (name, states) in
            [("tcp", &["0A", "01"][..]), ("tcp6", &["06"]), ("udp", &["07", "01"]), ("udp6", &["07"])]
        {
            fs_err::write(folder.path().join("net").join(name), table(states)).unwrap();
        }
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        let found = sockets(&roots).unwrap();
        assert_eq!((found.count, found.udp, found.udp6), (6, 3, 1));
        assert_eq!((found.in_state("listen"), found.in_state("time_wait")), (1, 1));
        assert_eq!((found.listening_tcp, found.listening_udp), (vec![53], vec![53]));
    }
}
