//! Interfaces and sockets.

use std::collections::BTreeMap;

use serde::Serialize;
use taffrail_record::sample::{self, InterfaceRates, Sample, TCP_STATES, Traffic, told};

use super::{MEGABYTE, rounded};

#[derive(Serialize)]
pub(super) struct Network<'a> {
    #[serde(flatten)]
    rates: Option<NetworkRates>,
    #[serde(flatten)]
    counters: Option<Counters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_connections: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    interfaces: BTreeMap<&'a str, Interface>,
    #[serde(flatten)]
    sockets: Option<Sockets<'a>>,
}

/// Sums over all interfaces; missing where they could not be read.
#[derive(Serialize)]
struct Counters {
    packets_sent: u64,
    packets_recv: u64,
    errors_in: u64,
    errors_out: u64,
    drops_in: u64,
    drops_out: u64,
    bytes_sent: u64,
    bytes_recv: u64,
}

/// Sums over all interfaces.
#[derive(Serialize, Default)]
struct NetworkRates {
    bytes_sent_mb_per_sec: f64,
    bytes_recv_mb_per_sec: f64,
    bytes_sent_per_sec: f64,
    bytes_recv_per_sec: f64,
}

#[derive(Serialize)]
struct Interface {
    bytes_sent: u64,
    bytes_recv: u64,
    errors: u64,
    drops: u64,
    #[serde(flatten)]
    rates: Option<InterfaceSpeed>,
}

#[derive(Serialize)]
struct InterfaceSpeed {
    bytes_sent_per_sec: f64,
    bytes_recv_per_sec: f64,
    packets_sent_per_sec: f64,
    packets_recv_per_sec: f64,
}

#[derive(Serialize)]
struct Sockets<'a> {
    /// By state; states that no socket is in are left out.
    tcp_states: BTreeMap<&'static str, u64>,
    udp_sockets: u64,
    listening_ports: &'a [u16],
    listening_udp_ports: &'a [u16],
}

impl<'a> Network<'a> {
    /// `None` where nothing of it could be read.
    pub(super) fn of(sample: &'a Sample) -> Option<Self> {
        // There is one on every machine.
        let has_interfaces = !sample.interfaces.is_empty();
        if !has_interfaces && sample.sockets.is_none() {
            return None;
        }
        let rates = sample.interfaces.iter().filter_map(|one| one.rates);
        let add = |mut sum: NetworkRates, one: InterfaceRates| {
            sum.bytes_sent_per_sec += one.sent_bytes;
            sum.bytes_recv_per_sec += one.received_bytes;
            sum
        };
        let rates =
            rates.fold(None, |sum: Option<NetworkRates>, one| Some(add(sum.unwrap_or_default(), one)));
        Some(Self {
            rates: rates.map(|sum| NetworkRates {
                bytes_sent_mb_per_sec: rounded(sum.bytes_sent_per_sec / MEGABYTE),
                bytes_recv_mb_per_sec: rounded(sum.bytes_recv_per_sec / MEGABYTE),
                bytes_sent_per_sec: rounded(sum.bytes_sent_per_sec),
                bytes_recv_per_sec: rounded(sum.bytes_recv_per_sec),
            }),
            counters: has_interfaces.then(|| Counters::of(&sample.interfaces)),
            active_connections: sample.sockets.as_ref().map(|sockets| sockets.count),
            interfaces: told(&sample.interfaces)
                .into_iter()
                .map(|one| (one.name.as_str(), Interface::of(one)))
                .collect(),
            sockets: sample.sockets.as_ref().map(|sockets| Sockets {
                tcp_states: TCP_STATES.into_iter().zip(sockets.tcp).filter(|(_, count)| *count > 0).collect(),
                udp_sockets: sockets.udp,
                listening_ports: &sockets.listening_tcp,
                listening_udp_ports: &sockets.listening_udp,
            }),
        })
    }
}

impl Counters {
    fn of(interfaces: &[sample::Interface]) -> Self {
        let sum = |of: fn(&sample::Interface) -> u64| interfaces.iter().map(of).sum();
        Self {
            packets_sent: sum(|one| one.sent.packets),
            packets_recv: sum(|one| one.received.packets),
            errors_in: sum(|one| one.received.errors),
            errors_out: sum(|one| one.sent.errors),
            drops_in: sum(|one| one.received.drops),
            drops_out: sum(|one| one.sent.drops),
            bytes_sent: sum(|one| one.sent.bytes),
            bytes_recv: sum(|one| one.received.bytes),
        }
    }
}

impl Interface {
    fn of(interface: &sample::Interface) -> Self {
        let both = |of: fn(&Traffic) -> u64| of(&interface.received) + of(&interface.sent);
        Self {
            bytes_sent: interface.sent.bytes,
            bytes_recv: interface.received.bytes,
            errors: both(|traffic| traffic.errors),
            drops: both(|traffic| traffic.drops),
            rates: interface.rates.map(|rates| InterfaceSpeed {
                bytes_sent_per_sec: rounded(rates.sent_bytes),
                bytes_recv_per_sec: rounded(rates.received_bytes),
                packets_sent_per_sec: rounded(rates.sent_packets),
                packets_recv_per_sec: rounded(rates.received_packets),
            }),
        }
    }
}
