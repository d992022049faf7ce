//! One connection: its requests answered, within bounds.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

/// What the head of a request may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Time that it may take to arrive (default 10 s).
    pub head_time: Duration,
    /// Bytes of it (default 64 KiB).
    pub head_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { head_time: Duration::from_secs(10), head_bytes: 64 << 10 }
    }
}

/// Connections of all listeners that were broken off.
static SLOW: AtomicU64 = AtomicU64::new(0);
static NO_REQUEST: AtomicU64 = AtomicU64::new(0);

/// How many connections of all listeners of the program were broken off, by why.
pub fn refused() -> [(&'static str, u64); 2] {
    [("slow", SLOW.load(Ordering::Relaxed)), ("no_request", NO_REQUEST.load(Ordering::Relaxed))]
}

/// Why a connection ended before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Nothing was said, or the first request took too long.
    Slow,
    /// It rested after a request for longer than it may.
    Idle,
    /// What was said is no request, or too much.
    NoRequest,
    /// The peer has gone.
    Gone,
}

impl Broken {
    fn of(error: &hyper::Error, has_asked: bool) -> Self {
        match error {
            error if error.is_timeout() && has_asked => Self::Idle,
            error if error.is_timeout() => Self::Slow,
            error if error.is_parse() => Self::NoRequest,
            _ => Self::Gone,
        }
    }

    fn count(self) {
        match self {
            Self::Slow => SLOW.fetch_add(1, Ordering::Relaxed),
            Self::NoRequest => NO_REQUEST.fetch_add(1, Ordering::Relaxed),
            Self::Idle | Self::Gone => 0,
        };
    }
}

/// Answers the requests of one connection; once `stopping` resolves, the open one only.
pub async fn serve<I, S>(socket: I, service: S, bounds: Bounds, stopping: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
{
    // It has ended, in whatever way.
    let _ = serve_until_taken(socket, service, bounds, stopping, pending::<Infallible>()).await;
}

/// The same, until `taken` resolves: then the connection is given back, and what resolved. The request that is open then is
/// left without an answer, for whoever takes the connection. `None` if the connection ended in order.
///
/// # Errors
/// Why it did not.
pub async fn serve_until_taken<I, S, T>(
    socket: I,
    service: S,
    bounds: Bounds,
    stopping: impl Future<Output = ()>,
    taken: impl Future<Output = T>,
) -> Result<Option<(I, T)>, Broken>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
{
    let has_asked = Arc::<AtomicBool>::default();
    let asks = Arc::clone(&has_asked);
    let service = service_fn(move |request: Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        service.call(request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(bounds.head_bytes)
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
                return Ok(connection.into_parts().map(|parts| (parts.io.into_inner(), taken)));
            }
            () = &mut stopping, if !is_stopping => {
                is_stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    ended.map(|()| None).map_err(|error| {
        tracing::debug!(%error, "a connection broke off");
        let broken = Broken::of(&error, has_asked.load(Ordering::Relaxed));
        broken.count();
        broken
    })
}
