//! A stream's port for HTTP: events at one path, the status at another.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::config::HttpConfig;
use super::guard::{Admitted, Refusal};
use super::place::Place;
use super::ring::{Chunk, Reader};
use super::routed::{GLOBAL_STATUS, Routed};
use super::{CLIENTS_MAX, Stream, entry, status, stopped};
use crate::limits::Limits;
use crate::server;

/// What the handlers of a port share.
struct Port {
    /// The stream that has the port.
    stream: Arc<Stream>,
    /// All streams, where each port answers for all.
    routed: Option<Arc<Routed>>,
    stopping: watch::Receiver<bool>,
}

/// Answers until the program ends.
pub(super) async fn serve(
    listener: TcpListener,
    stream: Arc<Stream>,
    routed: Option<Arc<Routed>>,
    stopping: watch::Receiver<bool>,
) {
    let port = Port { stream, routed, stopping: stopping.clone() };
    let port = Arc::new(port);
    let limits = Limits { connections: CLIENTS_MAX, ..Limits::default() };
    let mut until = stopping.clone();
    let connection = |socket| {
        let (port, limits, mut stopping) = (Arc::clone(&port), limits.clone(), stopping.clone());
        async move {
            let client = client(&port, &socket);
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&port, &client, &request);
                async { Ok::<_, Infallible>(answer) }
            });
            server::serve_connection(socket, service, &limits, stopped(&mut stopping)).await;
        }
    };
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, limits.drain_time).await;
}

/// Who is connected: its address, if it may stay.
type Peer = Option<(IpAddr, Result<Admitted, Refusal>)>;

fn client(port: &Port, socket: &TcpStream) -> Peer {
    let address = socket.peer_addr().ok()?.ip();
    Some((address, port.stream.http_guard.admit(address, Instant::now())))
}

/// The refusal of somebody who may not come, or not so often.
fn refusal(port: &Port, peer: &Peer) -> Option<Response> {
    let guard = &port.stream.http_guard;
    let Some((address, admitted)) = peer else { return Some(StatusCode::FORBIDDEN.into_response()) };
    let refused = match admitted {
        Ok(_) => guard.ask(*address, Instant::now()).err(),
        Err(refusal) => Some(*refusal),
    }?;
    let limit = guard.limit.as_ref();
    let code = limit.and_then(|limit| StatusCode::from_u16(limit.code).ok());
    let code = code.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let message = limit.map(|limit| limit.message.as_str()).filter(|message| !message.is_empty());
    Some(match refused {
        Refusal::Address => json(StatusCode::FORBIDDEN, status::refused("Forbidden")),
        Refusal::Rate => json(code, status::refused(message.unwrap_or("Rate limit exceeded"))),
        Refusal::Connections => json(code, status::refused("Connection limit exceeded")),
    })
}

fn answer<B>(port: &Port, peer: &Peer, request: &Request<B>) -> Response {
    if let Some(refusal) = refusal(port, peer) {
        return refusal;
    }
    let (path, after) = (request.uri().path(), after(request));
    if let Some(routed) = &port.routed
        && let Some(answer) = route(port, routed, path, after)
    {
        return answer;
    }
    let Some(config) = &port.stream.config.http else { return StatusCode::NOT_FOUND.into_response() };
    match path {
        path if path == config.stream_path => events(&port.stream, config, &port.stopping, after),
        path if path == config.status_path => json(StatusCode::OK, status::of(&port.stream, config, false)),
        path => {
            let told = port.routed.as_ref().map(|routed| routed.not_found(path));
            json(StatusCode::NOT_FOUND, told.unwrap_or_else(|| status::not_found(config)))
        }
    }
}

/// The last entry that a client has: browsers say it by themselves when they connect again, others may in the address.
fn after<B>(request: &Request<B>) -> Option<Place> {
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let parameter = || {
        let pairs = form_urlencoded::parse(request.uri().query()?.as_bytes());
        pairs.into_iter().find(|(name, _)| name == "last_event_id").map(|(_, value)| value.into_owned())
    };
    header.map(str::to_owned).or_else(parameter)?.parse().ok()
}

/// The answer for all streams, or for one by its name; `None` where the path is none of theirs.
fn route(port: &Port, routed: &Routed, path: &str, after: Option<Place>) -> Option<Response> {
    routed.count();
    if path == GLOBAL_STATUS {
        let own = port.stream.config.http.as_ref().map_or(0, |http| http.port);
        return Some(json(StatusCode::OK, routed.status(own)));
    }
    let (stream, rest) = routed.find(path)?;
    let Some(config) = &stream.config.http else {
        return Some(json(StatusCode::SERVICE_UNAVAILABLE, routed.not_available(stream)));
    };
    match rest {
        // The name alone is its events.
        "" | "/" => Some(events(stream, config, &port.stopping, after)),
        rest if rest == config.stream_path => Some(events(stream, config, &port.stopping, after)),
        rest if rest == config.status_path => Some(json(StatusCode::OK, status::of(stream, config, true))),
        _ => None,
    }
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What one client of the events needs.
struct Client {
    stream: Arc<Stream>,
    config: HttpConfig,
    reader: Reader,
    beats: Option<Interval>,
    stopping: watch::Receiver<bool>,
    /// Where it goes on if it loses the connection before the first entry.
    place: Place,
    /// The last entry that it had before it came.
    after: Option<Place>,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    /// What was missed since this place, from the store.
    Behind(Place),
    Entries,
    Over,
}

fn events(
    stream: &Arc<Stream>,
    config: &HttpConfig,
    stopping: &watch::Receiver<bool>,
    after: Option<Place>,
) -> Response {
    let client = Client {
        place: after.unwrap_or_else(|| stream.ring.end()),
        stream: Arc::clone(stream),
        config: config.clone(),
        reader: stream.ring.reader(config.buffer),
        beats: config.heartbeat.map(|heartbeat| beats(heartbeat.interval)),
        stopping: stopping.clone(),
        after,
        stage: Stage::Greeting,
    };
    let seat = OwnedSeat::take(stream);
    let chunks = futures::stream::unfold((client, seat), |(mut client, seat)| async {
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
        stream.http_clients.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(stream))
    }
}

impl Drop for OwnedSeat {
    fn drop(&mut self) {
        self.0.http_clients.fetch_sub(1, Ordering::Relaxed);
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
        if let Stage::Behind(after) = self.stage
            && let Some(bytes) = self.catch_up(after).await
        {
            return Some(bytes);
        }
        match self.stage {
            Stage::Greeting => {
                self.stage = self.after.map_or(Stage::Entries, Stage::Behind);
                Some(self.greeting())
            }
            Stage::Entries => {
                tokio::select! {
                    biased;
                    () = stopped(&mut self.stopping) => Some(self.good_bye()),
                    chunk = self.reader.next() => Some(self.entries(&chunk?)),
                    () = next_beat(&mut self.beats) => {
                        let stream = &self.stream;
                        let beat = self.config.heartbeat?.event(&stream.moment(&stream.http_clients));
                        Some(Bytes::from(beat))
                    }
                }
            }
            Stage::Behind(_) | Stage::Over => None,
        }
    }

    /// Entries from the store, until the rest is in the ring; `None` once it is, or if the store cannot be read.
    async fn catch_up(&mut self, mut after: Place) -> Option<Bytes> {
        loop {
            if let Some(reader) = self.stream.ring.reader_after(after, self.config.buffer) {
                self.reader = reader;
                self.stage = Stage::Entries;
                return None;
            }
            let page = tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return Some(self.good_bye()),
                page = self.stream.page(after) => page,
            };
            match page {
                Ok(page) => {
                    after = page.after;
                    self.stage = Stage::Behind(after);
                    if !page.entries.is_empty() {
                        return Some(self.entries(&Chunk { missed: 0, entries: page.entries }));
                    }
                }
                Err(error) => {
                    // The client comes again and asks for the same.
                    tracing::warn!("the stream `{}` cannot be resumed: {error}", self.stream.config.name);
                    self.stage = Stage::Over;
                    return None;
                }
            }
        }
    }

    fn good_bye(&mut self) -> Bytes {
        self.stage = Stage::Over;
        Bytes::from_static(b"event: disconnect\ndata: {\"reason\":\"server_shutdown\"}\n\n")
    }

    fn greeting(&self) -> Bytes {
        let HttpConfig { buffer, stream_path, status_path, .. } = &self.config;
        let id = (self.stream.clock)().0;
        let mut text = String::from("event: connected\ndata: ");
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            r#"{{"buffer_size":{buffer},"client_id":"{id}","status_path":{},"stream_path":{}}}"#,
            serde_json::Value::from(status_path.as_str()),
            serde_json::Value::from(stream_path.as_str())
        );
        let _ = write!(text, "\nid: {}\n\n", self.place);
        Bytes::from(text)
    }

    fn entries(&self, chunk: &Chunk) -> Bytes {
        let gap = (chunk.missed > 0).then(|| self.stream.gap(chunk.missed));
        let all = || gap.iter().chain(&chunk.entries).map(entry::Entry::event);
        let mut bytes = BytesMut::with_capacity(all().map(<[u8]>::len).sum());
        all().for_each(|event| bytes.extend_from_slice(event));
        bytes.freeze()
    }
}
