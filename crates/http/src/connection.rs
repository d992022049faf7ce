//! One connection: its requests answered, within bounds.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
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

/// Why a connection ended before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A request took too long to say what it wants, or nothing was said.
    Slow,
    /// What was said is no request, or too much.
    NoRequest,
    /// The peer has gone.
    Gone,
}

impl Broken {
    fn of(error: &hyper::Error) -> Self {
        match error {
            error if error.is_timeout() => Self::Slow,
            error if error.is_parse() => Self::NoRequest,
            _ => Self::Gone,
        }
    }
}

/// Answers the requests of one connection; once `stopping` resolves, the open one only.
pub async fn serve<I, S>(socket: I, service: S, bounds: Bounds, stopping: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
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
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
{
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
        Broken::of(&error)
    })
}
