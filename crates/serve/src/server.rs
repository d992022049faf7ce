//! The server of UI and API: takes its address, answers until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;
use taffrail_http::connection;
use taffrail_http::listener::{self, Error};
use tokio::net::{TcpListener, TcpStream};

use crate::api::Sender;
use crate::router;
use crate::run::App;
use crate::services::Services;

/// Takes the address; connections wait until [`Server::run`].
pub async fn bind(address: SocketAddr) -> Result<Server, Error> {
    let listener = listener::listen(address)?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    Ok(Server { listener, address })
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
        let connection = |socket: TcpStream| {
            let (app, service) = (Arc::clone(&app), service.clone());
            let sender = socket.peer_addr().ok().map(|address| Sender(address.ip()));
            let service = service_fn(move |mut request: Request<Incoming>| {
                sender.map(|sender| request.extensions_mut().insert(sender));
                service.call(request)
            });
            async move { connection::serve(socket, service, app.services.limits.head(), app.stopping()).await }
        };
        listener::accept_all(self.listener, limits.connections, until, connection, limits.drain_time).await;
        app.flush().await;
    }
}
