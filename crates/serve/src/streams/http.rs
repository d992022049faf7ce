//! A stream's port for HTTP: events at one path, the status at another.

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::body;
use hyper::service::service_fn;
use percent_encoding::percent_decode_str;
use taffrail_http::connection::{self, Broken};
use taffrail_http::listener;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;

use super::client::{Client, Incoming, Wire, plain, sealed};
use super::config::HttpConfig;
use super::form::Form;
use super::guard::{Admitted, Guard, Refusal};
use super::place::Place;
use super::routed::{GLOBAL_STATUS, Routed};
use super::{CLIENTS_MAX, Stream, socket, status, stopped};
use crate::hosts::is_of_host;
use crate::limits::Limits;
use crate::tls::Tls;

/// What the handlers of a port share.
struct Port {
    /// The stream that has the port.
    stream: Arc<Stream>,
    /// All streams, where each port answers for all.
    routed: Option<Arc<Routed>>,
    stopping: watch::Receiver<bool>,
}

impl Port {
    /// The streams that whoever was let in here is told of: those that ask for no more than this one.
    fn told(&self) -> Vec<Arc<Stream>> {
        let all = self.routed.iter().flat_map(|routed| routed.streams());
        let asks_no_more = |stream: &&Arc<Stream>| {
            let (own, other) = (&self.stream.config, &stream.config);
            let same_users = stream.access.is_open() || other.access == own.access;
            let same_addresses = (&other.allowed, &other.denied) == (&own.allowed, &own.denied)
                || other.allowed.is_empty() && other.denied.is_empty();
            same_users && same_addresses && is_as_safe(&self.stream, stream)
        };
        all.filter(asks_no_more).cloned().collect()
    }
}

/// Answers until the program ends.
pub(super) async fn serve(
    listener: TcpListener,
    stream: Arc<Stream>,
    routed: Option<Arc<Routed>>,
    stopping: watch::Receiver<bool>,
) {
    let mut until = stopping.clone();
    let port = Arc::new(Port { stream, routed, stopping });
    let limits = Limits { connections: CLIENTS_MAX, ..Limits::default() };
    let connection = |socket| {
        let (port, limits) = (Arc::clone(&port), limits.clone());
        async move { connect(port, socket, &limits).await }
    };
    listener::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, limits.drain_time).await;
}

/// Time that somebody gets for a request who is turned away in any case.
const UNWELCOME_TIME: Duration = Duration::from_secs(2);

/// Answers on one connection.
async fn connect(port: Arc<Port>, socket: TcpStream, limits: &Limits) {
    let Ok(address) = socket.peer_addr().map(|address| address.ip().to_canonical()) else { return };
    let stream = Arc::clone(&port.stream);
    let peer = Peer { address, admitted: stream.http_guard.admit(address, Instant::now()) };
    let is_welcome = peer.admitted.is_ok();
    let peer = Arc::new(peer);
    // In memory of its own, which is given back: most of the time that clients stay they do not ask.
    let client = match &stream.http_tls {
        None => Box::pin(asked(&port, &peer, socket, limits, plain)).await,
        // A handshake is too dear for somebody who is turned away afterwards.
        Some(_) if !is_welcome => return,
        Some(tls) => {
            Box::pin(async {
                let socket = handshake(tls, socket, address, &stream.http_guard).await?;
                asked(&port, &peer, socket, limits, sealed).await
            })
            .await
        }
    };
    if let Some((client, wire, incoming)) = client {
        client.attend(wire, incoming).await;
    }
}

/// Answers the requests of a connection until one is of a client that stays: then the connection is that client's.
async fn asked<I>(
    port: &Arc<Port>,
    peer: &Arc<Peer>,
    socket: I,
    limits: &Limits,
    halves: fn(I) -> (Wire, Incoming),
) -> Option<(Client, Wire, Incoming)>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (takeover, mut taken) = mpsc::channel(1);
    let service = service_fn(move |request: Request<body::Incoming>| {
        let (port, peer, takeover) = (Arc::clone(port), Arc::clone(peer), takeover.clone());
        async move { Ok::<_, Infallible>(answer(&port, &peer, request, &takeover).await) }
    });
    let mut stopping = port.stopping.clone();
    let mut bounds = limits.head();
    if peer.admitted.is_err() {
        bounds.head_time = bounds.head_time.min(UNWELCOME_TIME);
    }
    let taken = async {
        match taken.recv().await {
            Some(client) => client,
            None => pending().await,
        }
    };
    let served = connection::serve_until_taken(socket, service, bounds, stopped(&mut stopping), taken).await;
    let refusal = match served {
        Ok(taken) => {
            let (socket, client) = taken?;
            let (wire, incoming) = halves(socket);
            return Some((client, wire, incoming));
        }
        Err(Broken::NoRequest) => Refusal::NoRequest,
        Err(Broken::Slow) => Refusal::Slow,
        // Who has asked before may rest.
        Err(Broken::Idle | Broken::Gone) => return None,
    };
    port.stream.http_guard.refuse(peer.address, refusal, None, Instant::now());
    None
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

/// Answers a request; one of a client that stays by giving it to `takeover`.
async fn answer(
    port: &Port,
    peer: &Arc<Peer>,
    request: Request<body::Incoming>,
    takeover: &mpsc::Sender<Client>,
) -> Response {
    let (parts, _) = request.into_parts();
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let target = target(port, &path);
    let admitted = match authorise(port, target.stream(port), peer, &parts).await {
        Ok(admitted) => admitted,
        Err(refusal) if peer.admitted.is_err() => {
            // Nor does it keep the connection, in which it has no place.
            let answer = refused(target.stream(port), refusal);
            return ([(header::CONNECTION, "close")], answer).into_response();
        }
        Err(refusal) => return refused(target.stream(port), refusal),
    };
    match ask(port, target, &path, &parts) {
        Asked::Answer(answer) => answer,
        Asked::Events(..) if parts.method == Method::HEAD => head_of_events(),
        Asked::Events(stream, after) => {
            let form = if parts.version == Version::HTTP_10 { Form::Events } else { Form::Chunks };
            let client = Client::new(&stream, form, after, &port.stopping);
            give(client.admitted(admitted), takeover).await
        }
        Asked::Socket(stream, _) if is_for_another_site(&stream, &parts) => {
            stream.http_guard.refuse(peer.address, Refusal::Site, None, Instant::now());
            refused(&stream, Refusal::Site)
        }
        Asked::Socket(stream, after) => match socket::accept(&parts) {
            Ok(head) => {
                let with_ids = parameter(&parts, "ids").is_some_and(|value| value != "false");
                let form = if with_ids { Form::FramesWithIds } else { Form::Frames };
                let client = Client::new(&stream, form, after, &port.stopping).greeted(head);
                give(client.admitted(admitted), takeover).await
            }
            Err(error) => json(StatusCode::BAD_REQUEST, status::no_socket(&error)),
        },
    }
}

/// Leaves a client to whoever takes the connection: they answer.
async fn give(client: Client, takeover: &mpsc::Sender<Client>) -> Response {
    // Nobody may be there any more.
    let _ = takeover.send(client).await;
    pending().await
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
/// own: gives the connection's place among those of that stream.
async fn authorise(
    port: &Port,
    stream: &Arc<Stream>,
    peer: &Peer,
    parts: &Parts,
) -> Result<Option<Admitted>, Refusal> {
    if let Err(refusal) = &peer.admitted {
        return Err(*refusal);
    }
    let (guard, now) = (&stream.http_guard, Instant::now());
    guard.ask(peer.address, now)?;
    let mut admitted = None;
    if !Arc::ptr_eq(stream, &port.stream) {
        admitted = Some(guard.admit(peer.address, now)?);
        if !is_as_safe(&port.stream, stream) {
            return Err(guard.refuse(peer.address, Refusal::Elsewhere, None, now));
        }
    }
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|words| words.to_str().ok());
    // Browsers cannot add headers to event streams and WebSockets.
    let words =
        header.map(str::to_owned).or_else(|| Some(format!("Bearer {}", parameter(parts, "access_token")?)));
    guard.identify(&stream.access, words.as_deref(), peer.address).await?;
    Ok(admitted)
}

/// Whether whoever came through the port of `asked` was looked at as closely as at the port of `wanted`.
fn is_as_safe(asked: &Stream, wanted: &Stream) -> bool {
    let tls = |stream: &Stream| stream.config.http.as_ref().and_then(|http| http.tls.clone());
    tls(wanted).is_none_or(|wanted| tls(asked).is_some_and(|asked| asked.is_as_safe_as(&wanted)))
}

/// The answer to somebody who may not come, or not so often.
fn refused(stream: &Stream, refusal: Refusal) -> Response {
    let limit = stream.http_guard.limit.as_ref();
    let code = limit.and_then(|limit| StatusCode::from_u16(limit.code).ok());
    let code = code.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let message = limit.map(|limit| limit.message.as_str()).filter(|message| !message.is_empty());
    match refusal {
        Refusal::Address
        | Refusal::Elsewhere
        | Refusal::Site
        | Refusal::Handshake
        | Refusal::NoRequest
        | Refusal::Slow => json(StatusCode::FORBIDDEN, status::forbidden()),
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

/// Whether a page of another site asks with what a browser knows of its user: browsers ask for sockets without asking first,
/// and the page would read what only the user may. Whoever has a token in the address has it from the user.
fn is_for_another_site(stream: &Stream, parts: &Parts) -> bool {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let tls = stream.config.http.as_ref().and_then(|http| http.tls.as_ref());
    let knows_user = parts.headers.contains_key(header::AUTHORIZATION)
        || tls.is_some_and(|tls| tls.needs_client) && parameter(parts, "access_token").is_none();
    let is_own = |origin| is_of_host(origin, text(header::HOST).unwrap_or_default());
    knows_user && !text(header::ORIGIN).is_none_or(is_own)
}

/// What is asked for.
enum Asked {
    /// Something that is answered at once.
    Answer(Response),
    Events(Arc<Stream>, Option<Place>),
    Socket(Arc<Stream>, Option<Place>),
}

fn ask(port: &Port, target: Target, path: &str, parts: &Parts) -> Asked {
    let found = match (&target, &port.routed) {
        (Target::All, Some(routed)) => {
            let own = port.stream.config.http.as_ref().map_or(0, |http| http.port);
            Some(Asked::Answer(json(StatusCode::OK, routed.status(own, &port.told()))))
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
        let told = port.routed.as_ref().map(|routed| routed.not_found(path, &port.told()));
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
        return Some(Asked::Events(Arc::clone(stream), after(parts)));
    }
    if path.strip_suffix(socket::SUFFIX) == Some(config.stream_path.trim_end_matches('/')) {
        return Some(Asked::Socket(Arc::clone(stream), after(parts)));
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

/// The head alone, for whoever asks for no more.
fn head_of_events() -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], Body::empty())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_stays_needs_little_memory() {
        fn size<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        let task = size(|port, socket, limits: &'static Limits| connect(port, socket, limits));
        assert!(task <= 3 << 10, "{task} bytes");
    }
}
