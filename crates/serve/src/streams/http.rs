//! A stream's port for HTTP: events at one path, the status at another.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_rustls::server::TlsStream;

use super::config::HttpConfig;
use super::follow::{Follow, Step};
use super::guard::{Admitted, Guard, Refusal};
use super::place::Place;
use super::ring::Chunk;
use super::routed::{GLOBAL_STATUS, Routed};
use super::socket::Ask;
use super::{CLIENTS_MAX, Seat, Stream, Transport, entry, socket, status, stopped};
use crate::access::AccessConfig;
use crate::limits::Limits;
use crate::server;
use crate::tls::Tls;

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
        let (port, limits, stopping) = (Arc::clone(&port), limits.clone(), stopping.clone());
        async move { connect(port, socket, &limits, stopping).await }
    };
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, limits.drain_time).await;
}

/// Answers on one connection.
async fn connect(port: Arc<Port>, socket: TcpStream, limits: &Limits, mut stopping: watch::Receiver<bool>) {
    let Ok(address) = socket.peer_addr().map(|address| address.ip()) else { return };
    let stream = Arc::clone(&port.stream);
    let peer = Peer { address, admitted: stream.http_guard.admit(address, Instant::now()) };
    let is_welcome = peer.admitted.is_ok();
    let peer = Arc::new(peer);
    let service = service_fn(move |request: Request<Incoming>| {
        let (port, peer) = (Arc::clone(&port), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(answer(&port, &peer, request).await) }
    });
    let stopping = stopped(&mut stopping);
    match &stream.http_tls {
        None => server::serve_connection(socket, service, limits, stopping).await,
        // A handshake is too dear for somebody who is turned away afterwards.
        Some(_) if !is_welcome => {}
        Some(tls) => {
            if let Some(socket) = handshake(tls, socket, address, &stream.http_guard).await {
                server::serve_connection(socket, service, limits, stopping).await;
            }
        }
    }
}

/// Speaks TLS with a client, or turns it away.
pub(super) async fn handshake(
    tls: &Tls,
    socket: TcpStream,
    address: IpAddr,
    guard: &Guard,
) -> Option<TlsStream<TcpStream>> {
    match tls.accept(socket).await {
        Ok(socket) => Some(socket),
        Err(error) => {
            guard.refuse(address, Refusal::Handshake, Some(error.to_string()), Instant::now());
            None
        }
    }
}

/// Who is connected; held as long as the connection is used.
pub(super) struct Peer {
    address: IpAddr,
    admitted: Result<Admitted, Refusal>,
}

async fn answer(port: &Port, peer: &Arc<Peer>, request: Request<Incoming>) -> Response {
    let (mut parts, _) = request.into_parts();
    let target = target(port, parts.uri.path());
    if let Err(refusal) = authorise(port, target.stream(port), peer, &parts).await {
        return refused(target.stream(port), refusal);
    }
    match ask(port, target, &parts) {
        Asked::Answer(answer) => answer,
        Asked::Events(stream, config, after) => events(&stream, &config, &port.stopping, after),
        Asked::Socket(stream, ask) => {
            socket::upgrade(&mut parts, &stream, ask, Arc::clone(peer), &port.stopping).await
        }
    }
}

/// What a path is about.
enum Target {
    /// The port's own stream.
    Own,
    /// All streams.
    All,
    /// A stream by its name, and the path behind that.
    Named(Arc<Stream>, String),
}

impl Target {
    fn stream<'a>(&'a self, port: &'a Port) -> &'a Arc<Stream> {
        match self {
            Self::Own | Self::All => &port.stream,
            Self::Named(stream, _) => stream,
        }
    }
}

fn target(port: &Port, path: &str) -> Target {
    let Some(routed) = &port.routed else { return Target::Own };
    routed.count();
    if path == GLOBAL_STATUS {
        return Target::All;
    }
    routed.find(path).map_or(Target::Own, |(stream, rest)| Target::Named(Arc::clone(stream), rest.to_owned()))
}

/// Whether a request about a stream may be answered. A stream that is asked at the port of another is protected as at its
/// own.
async fn authorise(port: &Port, stream: &Arc<Stream>, peer: &Peer, parts: &Parts) -> Result<(), Refusal> {
    if let Err(refusal) = &peer.admitted {
        return Err(*refusal);
    }
    let (guard, now) = (&stream.http_guard, Instant::now());
    guard.ask(peer.address, now)?;
    if !Arc::ptr_eq(stream, &port.stream) {
        guard.permits(peer.address, now)?;
        let needs_tls = stream.http_tls.is_some() && port.stream.http_tls.is_none();
        if needs_tls || stream.config.access == AccessConfig::Certificate {
            return Err(guard.refuse(peer.address, Refusal::Elsewhere, None, now));
        }
    }
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|words| words.to_str().ok());
    // Browsers cannot add headers to event streams and WebSockets.
    let words =
        header.map(str::to_owned).or_else(|| Some(format!("Bearer {}", parameter(parts, "access_token")?)));
    guard.identify(&stream.access, words.as_deref(), peer.address).await
}

/// The answer to somebody who may not come, or not so often.
fn refused(stream: &Stream, refusal: Refusal) -> Response {
    let limit = stream.http_guard.limit.as_ref();
    let code = limit.and_then(|limit| StatusCode::from_u16(limit.code).ok());
    let code = code.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let message = limit.map(|limit| limit.message.as_str()).filter(|message| !message.is_empty());
    match refusal {
        Refusal::Address | Refusal::Elsewhere | Refusal::Handshake => {
            json(StatusCode::FORBIDDEN, status::refused("Forbidden"))
        }
        Refusal::Rate => json(code, status::refused(message.unwrap_or("Rate limit exceeded"))),
        Refusal::Connections => json(code, status::refused("Connection limit exceeded")),
        Refusal::Failures => json(StatusCode::TOO_MANY_REQUESTS, status::refused("Too many failed attempts")),
        Refusal::Unnamed | Refusal::Credentials => {
            let answer = json(StatusCode::UNAUTHORIZED, status::unauthorized());
            let challenge = stream.access.challenge().and_then(|text| HeaderValue::from_str(&text).ok());
            match challenge {
                Some(challenge) => ([(header::WWW_AUTHENTICATE, challenge)], answer).into_response(),
                None => answer,
            }
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

fn ask(port: &Port, target: Target, parts: &Parts) -> Asked {
    let path = parts.uri.path();
    let found = match (&target, &port.routed) {
        (Target::All, Some(routed)) => {
            let own = port.stream.config.http.as_ref().map_or(0, |http| http.port);
            Some(Asked::Answer(json(StatusCode::OK, routed.status(own))))
        }
        (Target::Named(stream, rest), Some(routed)) => match &stream.config.http {
            None => Some(Asked::Answer(json(StatusCode::SERVICE_UNAVAILABLE, routed.not_available(stream)))),
            Some(config) => {
                // The name alone is its events.
                let rest = if matches!(rest.as_str(), "" | "/") { &config.stream_path } else { rest };
                of_stream(stream, config, rest, true, parts)
            }
        },
        _ => None,
    };
    let Some(config) = &port.stream.config.http else {
        return found.unwrap_or_else(|| Asked::Answer(StatusCode::NOT_FOUND.into_response()));
    };
    let own = || match target {
        Target::Named(..) => None,
        _ => of_stream(&port.stream, config, path, false, parts),
    };
    found.or_else(own).unwrap_or_else(|| {
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
    seat: Seat,
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
        seat: Seat::take(stream, Transport::Events),
    };
    let chunks = futures::stream::unfold(client, |mut client| async {
        let chunk = client.next().await?;
        Some((Ok::<_, Infallible>(chunk), client))
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
        let events = entry::events(gap.iter().chain(&chunk.entries));
        self.seat.sends(chunk, events.len());
        events
    }
}
