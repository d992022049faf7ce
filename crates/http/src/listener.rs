//! The listener: takes an address, accepts connections, bounds their number, and stops them in order.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Silence after which a peer is asked whether it is there, how often, and how often in vain.
const SILENCE: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// Connections that wait to be accepted: all clients of a stream may come back at once. The system may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// Pause after a connection could not be accepted for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often it is said that none can be accepted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program has the address.
    #[error(
        "{address} is in use by another program (`ss -ltnp` shows which); stop it or choose another address"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// Ports below 1024 belong to root.
    #[error("{address} is for root only; choose a port from 1024 on")]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// This machine does not have the address.
    #[error("this machine has no address {address}; choose 127.0.0.1 or one that `ip address` shows")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Something else.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Takes an address. Must be called inside of a runtime.
///
/// # Errors
/// For people: who has it, or what to do.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    listener(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::InUse { address },
        io::ErrorKind::PermissionDenied => Error::Denied { address },
        io::ErrorKind::AddrNotAvailable => Error::NotHere { address },
        _ => Error::Listen { address, source },
    })
}

/// Takes a port on all addresses of the machine, of IPv6 and of IPv4. Must be called inside of a runtime. Peers of IPv4 have
/// addresses of IPv6 then: see [`IpAddr::to_canonical`](std::net::IpAddr::to_canonical).
///
/// # Errors
/// As those of [`listen`].
pub fn listen_everywhere(port: u16) -> Result<TcpListener, Error> {
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match listener(all) {
        Ok(listener) => Ok(listener),
        // A system without IPv6; or the port is taken: the other address says so as people know it.
        Err(_) => listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // After a restart the address is free at once, though old connections still fade.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves connections, so many at a time, until `shutdown`; then the open ones get `drain_time`.
pub async fn accept_all<F>(
    listener: TcpListener,
    most: usize,
    shutdown: impl Future<Output = ()>,
    connection: impl Fn(TcpStream) -> F,
    drain_time: Duration,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let seats = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut told = None;
    loop {
        // Waiting for a seat before accepting leaves the rest in the kernel's bounded queue.
        let accepted = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (accept(&listener, &mut told).await, seat)
        };
        let (socket, seat) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let connection = connection(socket);
        connections.spawn(async move {
            connection.await;
            drop(seat);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(drain_time, drained).await.is_err() {
        tracing::warn!("requests were still open at shutdown and are broken off");
    }
}

async fn accept(listener: &TcpListener, told: &mut Option<Instant>) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                keep_alive(&socket);
                // Without it single entries wait for acknowledgements; if it fails they only come later.
                let _ = socket.set_nodelay(true);
                return socket;
            }
            Err(error) => {
                // Out of descriptors, say: as long as that lasts, each attempt fails.
                let now = Instant::now();
                if told.is_none_or(|told| now - told >= TELL_EVERY) {
                    *told = Some(now);
                    tracing::warn!(%error, "connections cannot be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Lets the system find out whether a silent peer is still there: one that lost its power says nothing.
fn keep_alive(socket: &TcpStream) {
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE_EVERY).with_retries(PROBES);
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "a connection is not probed");
    }
}
