//! The listener: accepts connections, bounds their number and patience, and stops them in order.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::limits::Limits;
use crate::router;
use crate::run::App;
use crate::services::Services;

/// Bytes of a request's head, above the query string's own limit.
const HEAD_BYTES: usize = 64 << 10;
/// Silence after which a peer is asked whether it is there, how often, and how often in vain.
const SILENCE: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// Connections that wait to be accepted: all clients of a stream may come back at once. The system may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// Pause after a connection could not be accepted for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program has the address.
    #[error(
        "{address} is in use by another program (`ss -ltnp` shows which); stop it or choose another address with --listen"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// Ports below 1024 belong to root.
    #[error("{address} is for root only; choose a port from 1024 on with --listen")]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// This machine does not have the address.
    #[error(
        "this machine has no address {address}; choose 127.0.0.1 or one that `ip address` shows with --listen"
    )]
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

/// Takes the address; connections wait until [`Server::run`].
pub async fn bind(address: SocketAddr) -> Result<Server, Error> {
    let listener = listen(address)?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    Ok(Server { listener, address })
}

/// Takes an address.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    listener(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::InUse { address },
        io::ErrorKind::PermissionDenied => Error::Denied { address },
        io::ErrorKind::AddrNotAvailable => Error::NotHere { address },
        _ => Error::Listen { address, source },
    })
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // After a restart the address is free at once, though old connections still fade.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener that has its address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// The address, with the port that was chosen where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`; then live streams end, open requests get a few seconds, and it
    /// returns.
    pub async fn run(self, services: Services, shutdown: impl Future<Output = ()>) {
        let app = Arc::new(App::new(services));
        let service = TowerToHyperService::new(router::build(&app));
        let limits = app.services.limits.clone();
        let until = async {
            shutdown.await;
            app.stop();
        };
        let connection = |socket| {
            let (app, service) = (Arc::clone(&app), service.clone());
            async move { serve_connection(socket, service, &app.services.limits, app.stopping()).await }
        };
        accept_all(self.listener, limits.connections, until, connection, limits.drain_time).await;
    }
}

/// Serves connections, so many at a time, until `shutdown`; then the open ones get `drain_time`.
pub(crate) async fn accept_all<F>(
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
    loop {
        // Waiting for a seat before accepting leaves the rest in the kernel's bounded queue.
        let accepted = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (accept(&listener).await, seat)
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

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                keep_alive(&socket);
                // Without it single entries wait for acknowledgements; if it fails they only come later.
                let _ = socket.set_nodelay(true);
                return socket;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
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

/// Answers the requests of one connection; once `stopping` resolves, the open one only.
pub(crate) async fn serve_connection<I, S>(
    socket: I,
    service: S,
    limits: &Limits,
    stopping: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
{
    serve_until_taken(socket, service, limits, stopping, pending::<Infallible>()).await;
}

/// The same, until `taken` resolves: then the connection is given back, and what resolved. The request that is open then is
/// left without an answer, for whoever takes the connection.
pub(crate) async fn serve_until_taken<I, S, T>(
    socket: I,
    service: S,
    limits: &Limits,
    stopping: impl Future<Output = ()>,
    taken: impl Future<Output = T>,
) -> Option<(I, T)>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
{
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(HEAD_BYTES + limits.query_bytes)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let (mut stopping, mut taken) = (pin!(stopping), pin!(taken));
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            biased;
            // First, so that answers to earlier requests are written.
            ended = &mut connection => break ended,
            taken = &mut taken => {
                return connection.into_parts().map(|parts| (parts.io.into_inner(), taken));
            }
            () = &mut stopping, if !is_stopping => {
                is_stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
    None
}
