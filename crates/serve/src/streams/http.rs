//! A stream's port for HTTP: events at one path, the status at another.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::config::HttpConfig;
use super::follow::{Follow, Step};
use super::guard::{Admitted, Refusal};
use super::place::Place;
use super::ring::Chunk;
use super::routed::{GLOBAL_STATUS, Routed};
use super::socket::Ask;
use super::{CLIENTS_MAX, Seat, Stream, entry, socket, status, stopped};
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
            let client = Arc::new(client(&port, &socket));
            let service = service_fn(move |request: Request<Incoming>| {
                let (port, client) = (Arc::clone(&port), Arc::clone(&client));
                async move { Ok::<_, Infallible>(answer(&port, &client, request).await) }
            });
            server::serve_connection(socket, service, &limits, stopped(&mut stopping)).await;
        }
    };
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, limits.drain_time).await;
}

/// Who is connected: its address, if it may stay.
pub(super) type Peer = Option<(IpAddr, Result<Admitted, Refusal>)>;

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

async fn answer(port: &Port, peer: &Arc<Peer>, request: Request<Incoming>) -> Response {
    if let Some(refusal) = refusal(port, peer) {
        return refusal;
    }
    let (mut parts, _) = request.into_parts();
    match ask(port, &parts) {
        Asked::Answer(answer) => answer,
        Asked::Events(stream, config, after) => events(&stream, &config, &port.stopping, after),
        Asked::Socket(stream, ask) => {
            socket::upgrade(&mut parts, &stream, ask, Arc::clone(peer), &port.stopping).await
        }
    }
}

/// What is asked for.
enum Asked {
    /// Something that is answered at once.
    Answer(Response),
    Events(Arc<Stream>, HttpConfig, Option<Place>),
    Socket(Arc<Stream>, Ask),
}

fn ask(port: &Port, parts: &Parts) -> Asked {
    let path = parts.uri.path();
    if let Some(routed) = &port.routed
        && let Some(asked) = route(port, routed, parts)
    {
        return asked;
    }
    let Some(config) = &port.stream.config.http else {
        return Asked::Answer(StatusCode::NOT_FOUND.into_response());
    };
    of_stream(&port.stream, config, path, false, parts).unwrap_or_else(|| {
        let told = port.routed.as_ref().map(|routed| routed.not_found(path));
        Asked::Answer(json(StatusCode::NOT_FOUND, told.unwrap_or_else(|| status::not_found(config))))
    })
}

/// What is asked of one stream; `None` where the path is none of its.
fn of_stream(
    stream: &Arc<Stream>,
    config: &HttpConfig,
    path: &str,
    is_routed: bool,
    parts: &Parts,
) -> Option<Asked> {
    if path == config.stream_path {
        return Some(Asked::Events(Arc::clone(stream), config.clone(), after(parts)));
    }
    if path.strip_suffix(socket::SUFFIX) == Some(&config.stream_path) {
        let with_ids = parameter(parts, "ids").is_some_and(|value| value != "false");
        return Some(Asked::Socket(Arc::clone(stream), Ask { after: after(parts), with_ids }));
    }
    let status = || json(StatusCode::OK, status::of(stream, config, is_routed));
    (path == config.status_path).then(|| Asked::Answer(status()))
}

/// The last entry that a client has: browsers say it by themselves when they connect again, others may in the address.
fn after(parts: &Parts) -> Option<Place> {
    let header = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    header.map(str::to_owned).or_else(|| parameter(parts, "last_event_id"))?.parse().ok()
}

/// A parameter in the address.
fn parameter(parts: &Parts, wanted: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// What is asked of all streams, or of one by its name; `None` where the path is none of theirs.
fn route(port: &Port, routed: &Routed, parts: &Parts) -> Option<Asked> {
    routed.count();
    let path = parts.uri.path();
    if path == GLOBAL_STATUS {
        let own = port.stream.config.http.as_ref().map_or(0, |http| http.port);
        return Some(Asked::Answer(json(StatusCode::OK, routed.status(own))));
    }
    let (stream, rest) = routed.find(path)?;
    let Some(config) = &stream.config.http else {
        return Some(Asked::Answer(json(StatusCode::SERVICE_UNAVAILABLE, routed.not_available(stream))));
    };
    // The name alone is its events.
    let rest = if matches!(rest, "" | "/") { &config.stream_path } else { rest };
    of_stream(stream, config, rest, true, parts)
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What one client of the events needs.
struct Client {
    stream: Arc<Stream>,
    config: HttpConfig,
    follow: Follow,
    beats: Option<Interval>,
    /// Where it goes on if it loses the connection before the first entry.
    place: Place,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
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
        follow: Follow::new(stream, config.buffer, after, stopping),
        stream: Arc::clone(stream),
        config: config.clone(),
        beats: config.heartbeat.map(|heartbeat| beats(heartbeat.interval)),
        stage: Stage::Greeting,
    };
    let seat = Seat::take(stream, |stream| &stream.http_clients);
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
                tokio::select! {
                    step = self.follow.next() => match step {
                        Step::Entries(chunk) => Some(self.entries(&chunk)),
                        Step::Failed => None,
                        Step::Stopping => {
                            self.stage = Stage::Over;
                            Some(Bytes::from_static(b"event: disconnect\ndata: {\"reason\":\"server_shutdown\"}\n\n"))
                        }
                    },
                    () = next_beat(&mut self.beats) => {
                        let stream = &self.stream;
                        let beat = self.config.heartbeat?.event(&stream.moment(&stream.http_clients));
                        Some(Bytes::from(beat))
                    }
                }
            }
            Stage::Over => None,
        }
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
