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

/// Answers the requests of one connection; once `stopping` resolves, the open one only.
pub async fn serve<I, S>(socket: I, service: S, bounds: Bounds, stopping: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Unpin,
{
    serve_until_taken(socket, service, bounds, stopping, pending::<Infallible>()).await;
}

/// The same, until `taken` resolves: then the connection is given back, and what resolved. The request that is open then is
/// left without an answer, for whoever takes the connection.
pub async fn serve_until_taken<I, S, T>(
    socket: I,
    service: S,
    bounds: Bounds,
    stopping: impl Future<Output = ()>,
    taken: impl Future<Output = T>,
) -> Option<(I, T)>
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
