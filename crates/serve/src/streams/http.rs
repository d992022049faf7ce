//! A stream's port for HTTP: events at one path, the status at another.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::config::HttpConfig;
use super::ring::{Chunk, Reader};
use super::{CLIENTS_MAX, Seat, Stream, entry, status, stopped};
use crate::limits::Limits;
use crate::server;

/// What the handlers share.
struct Port {
    stream: Arc<Stream>,
    config: HttpConfig,
    stopping: watch::Receiver<bool>,
}

/// Answers until the program ends.
pub(super) async fn serve(listener: TcpListener, stream: Arc<Stream>, stopping: watch::Receiver<bool>) {
    let Some(config) = stream.config.http.clone() else { return };
    let port = Port { stream, config, stopping: stopping.clone() };
    let router = Router::new().fallback(answer).with_state(Arc::new(port));
    let service = TowerToHyperService::new(router);
    let limits = Limits { connections: CLIENTS_MAX, ..Limits::default() };
    let mut until = stopping.clone();
    let connection = |socket| {
        let (service, limits, mut stopping) = (service.clone(), limits.clone(), stopping.clone());
        async move { server::serve_connection(socket, service, &limits, stopped(&mut stopping)).await }
    };
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, limits.drain_time).await;
}

async fn answer(State(port): State<Arc<Port>>, uri: Uri) -> Response {
    match uri.path() {
        path if path == port.config.stream_path => events(&port),
        path if path == port.config.status_path => {
            json(StatusCode::OK, status::of(&port.stream, &port.config))
        }
        _ => json(StatusCode::NOT_FOUND, status::not_found(&port.config)),
    }
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What one client of the events needs.
struct Client {
    port: Arc<Port>,
    reader: Reader,
    beats: Option<Interval>,
    stopping: watch::Receiver<bool>,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Entries,
    Over,
}

fn events(port: &Arc<Port>) -> Response {
    let reader = port.stream.ring.reader(port.config.buffer);
    let beats = port.config.heartbeat.map(|heartbeat| beats(heartbeat.interval));
    let client = Client {
        port: Arc::clone(port),
        reader,
        beats,
        stopping: port.stopping.clone(),
        stage: Stage::Greeting,
    };
    let seat = OwnedSeat::take(&port.stream);
    let chunks = stream::unfold((client, seat), |(mut client, seat)| async {
        let chunk = client.next().await?;
        Some((Ok::<_, Infallible>(chunk), (client, seat)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONNECTION, "keep-alive"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

/// A seat that lives as long as the answer.
struct OwnedSeat(Arc<Stream>);

impl OwnedSeat {
    fn take(stream: &Arc<Stream>) -> Self {
        std::mem::forget(Seat::take(&stream.http_clients));
        Self(Arc::clone(stream))
    }
}

impl Drop for OwnedSeat {
    fn drop(&mut self) {
        drop(Seat(&self.0.http_clients));
    }
}

/// A beat each `interval`, the first after one.
pub(super) fn beats(interval: Duration) -> Interval {
    let mut beats = interval_at(tokio::time::Instant::now() + interval, interval);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// The next beat; never, without any.
pub(super) async fn next_beat(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => drop(beats.tick().await),
        None => std::future::pending().await,
    }
}

impl Client {
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Greeting => {
                self.stage = Stage::Entries;
                Some(self.greeting())
            }
            Stage::Entries => {
                let Port { stream, config, .. } = &*self.port;
                tokio::select! {
                    biased;
                    () = stopped(&mut self.stopping) => {
                        self.stage = Stage::Over;
                        Some(Bytes::from_static(b"event: disconnect\ndata: {\"reason\":\"server_shutdown\"}\n\n"))
                    }
                    chunk = self.reader.next() => Some(self.entries(&chunk?)),
                    () = next_beat(&mut self.beats) => {
                        let beat = config.heartbeat?.event(&stream.standing(&stream.http_clients));
                        Some(Bytes::from(beat))
                    }
                }
            }
            Stage::Over => None,
        }
    }

    fn greeting(&self) -> Bytes {
        let HttpConfig { buffer, stream_path, status_path, .. } = &self.port.config;
        let id = (self.port.stream.clock)().0;
        let mut text = String::from("event: connected\ndata: ");
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            r#"{{"buffer_size":{buffer},"client_id":"{id}","status_path":{},"stream_path":{}}}"#,
            serde_json::Value::from(status_path.as_str()),
            serde_json::Value::from(stream_path.as_str())
        );
        text.push_str("\n\n");
        Bytes::from(text)
    }

    fn entries(&self, chunk: &Chunk) -> Bytes {
        let gap = (chunk.missed > 0).then(|| self.port.stream.gap(chunk.missed));
        let all = || gap.iter().chain(&chunk.entries).map(entry::Entry::event);
        let mut bytes = BytesMut::with_capacity(all().map(<[u8]>::len).sum());
        all().for_each(|event| bytes.extend_from_slice(event));
        bytes.freeze()
    }
}
