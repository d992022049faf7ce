//! The network of a machine: interfaces and sockets.

use super::Device;

/// A network interface.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// What it has received.
    pub received: Traffic,
    /// What it has sent.
    pub sent: Traffic,
    /// What it was doing.
    pub rates: Option<InterfaceRates>,
}

impl Device for Interface {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_used(&self) -> bool {
        self.received.packets + self.sent.packets > 0
    }
}

/// What went through an interface in one direction since it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were wrong.
    pub errors: u64,
    /// Packets that there was no room for.
    pub drops: u64,
}

/// What went through an interface, a second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct InterfaceRates {
    /// Bytes received.
    pub received_bytes: f64,
    /// Bytes sent.
    pub sent_bytes: f64,
    /// Packets received.
    pub received_packets: f64,
    /// Packets sent.
    pub sent_packets: f64,
}

/// Sockets of IPv4 and IPv6. What is told of them by state and port may be up to a minute old where there are very many, or the
/// machine has very much memory; how many there are, wait for their end and are of UDP never is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sockets {
    /// All of them, TCP and UDP.
    pub count: u64,
    /// TCP sockets by state, by the kernel's number for it less one: see [`TCP_STATES`].
    pub tcp: [u64; TCP_STATES.len()],
    /// UDP sockets.
    pub udp: u64,
    /// Of these, those of IPv6.
    pub udp6: u64,
    /// Ports that are listened on, rising, each once: TCP.
    pub listening_tcp: Vec<u16>,
    /// And UDP: ports that are bound and not connected.
    pub listening_udp: Vec<u16>,
}

/// The states of a TCP socket in the order of their numbers.
pub const TCP_STATES: [&str; 12] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
];

impl Sockets {
    /// TCP sockets in a state of [`TCP_STATES`].
    pub fn in_state(&self, name: &str) -> u64 {
        TCP_STATES.iter().zip(self.tcp).find(|(state, _)| **state == name).map_or(0, |(_, count)| count)
    }
}
