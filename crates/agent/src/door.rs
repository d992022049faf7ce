//! A listener that commands open and close, and what is told through it while it is open.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use taffrail_http::connection::{self, Bounds};
use taffrail_http::listener;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Time that clients get to go.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A listener that may be open; `T` is what whoever comes in is served from. When it is dropped, clients learn that it ends.
pub(crate) struct Door<T>(Mutex<Option<(T, JoinHandle<()>)>>);

impl<T> Default for Door<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// Why it was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is open.
    #[error("already_running")]
    Open,
    /// Its address cannot be listened on.
    #[error("spawn_error: {0}")]
    Listen(#[from] listener::Error),
}

impl<T> Door<T> {
    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_some()
    }

    /// Listens. Must be called inside of a runtime.
    pub(crate) fn open(
        &self,
        address: SocketAddr,
        served: T,
        serve: impl FnOnce(TcpListener) -> JoinHandle<()>,
    ) -> Result<(), OpenError> {
        let mut open = self.state();
        if open.is_some() {
            return Err(OpenError::Open);
        }
        *open = Some((served, serve(listener::listen(address)?)));
        Ok(())
    }

    /// Says good-bye to all clients and frees the address; false if it was not open.
    pub(crate) async fn close(&self) -> bool {
        let Some((served, listening)) = self.state().take() else { return false };
        // Clients learn it by this.
        drop(served);
        listening.abort();
        // Aborted is what was wanted; after that the address is free.
        let _ = listening.await;
        true
    }

    /// Looks at what is served, if it is open.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.state().as_ref().map(|(served, _)| look(served))
    }

    fn state(&self) -> MutexGuard<'_, Option<(T, JoinHandle<()>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener, router: Router, clients: usize) {
    let service = TowerToHyperService::new(router);
    let bounds = Bounds::default();
    let connection = |socket| {
        let service = service.clone();
        async move { connection::serve(socket, service, bounds, std::future::pending()).await }
    };
    listener::accept_all(listener, clients, std::future::pending(), connection, DRAIN_TIME).await;
}
