//! A stream over WebSocket, at its path with `/ws` behind it: each entry a text frame, its JSON as over TCP.
//!
//! With `?ids=true` a frame is `{"id": "...", "entry": {...}}`, so that a client can come back with `?last_event_id=`. What
//! clients send is not looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::request;
use axum::response::{IntoResponse as _, Response};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use super::config::HttpConfig;
use super::entry::Entry;
use super::follow::{Follow, Step};
use super::http::{Peer, beats, next_beat};
use super::place::Place;
use super::{Seat, Stream};

/// What is behind the stream's path.
pub(super) const SUFFIX: &str = "/ws";
/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Bytes of a message that a client may send.
const MESSAGE_BYTES: usize = 64 << 10;
/// Memory for what it says, and for what it is told at once.
const READ_BYTES: usize = 2 << 10;
const WRITE_BYTES: usize = 16 << 10;

/// What a client asks for.
pub(super) struct Ask {
    pub(super) after: Option<Place>,
    pub(super) with_ids: bool,
}

/// Answers a request to go on as a WebSocket. `peer` is held as long as the client stays.
pub(super) async fn upgrade(
    parts: &mut request::Parts,
    stream: &Arc<Stream>,
    ask: Ask,
    peer: Arc<Peer>,
    stopping: &watch::Receiver<bool>,
) -> Response {
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(MESSAGE_BYTES)
            .max_frame_size(MESSAGE_BYTES)
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(WRITE_BYTES),
        Err(rejection) => return rejection.into_response(),
    };
    let (stream, stopping) = (Arc::clone(stream), stopping.clone());
    upgrade.on_upgrade(move |socket| async move {
        let _peer = peer;
        let _seat = Seat::take(&stream, |stream| &stream.socket_clients);
        if let Some(config) = stream.config.http.clone() {
            let ended = serve(socket, &stream, &config, &ask, &stopping).await;
            tracing::debug!(?ended, "a client of a stream has gone");
        }
    })
}

async fn serve(
    socket: WebSocket,
    stream: &Arc<Stream>,
    config: &HttpConfig,
    ask: &Ask,
    stopping: &watch::Receiver<bool>,
) -> Result<(), axum::Error> {
    let (mut outgoing, mut incoming) = socket.split();
    let mut follow = Follow::new(stream, config.buffer, ask.after, stopping);
    let mut beats = config.heartbeat.map(|heartbeat| beats(heartbeat.interval));
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut is_asked = false;
    loop {
        tokio::select! {
            step = follow.next() => match step {
                Step::Entries(chunk) => {
                    let gap = (chunk.missed > 0).then(|| stream.gap(chunk.missed));
                    for entry in gap.iter().chain(&chunk.entries) {
                        outgoing.feed(Message::Text(frame(entry, ask.with_ids))).await?;
                    }
                    outgoing.flush().await?;
                }
                step => return outgoing.send(Message::Close(Some(good_bye(&step)))).await,
            },
            () = next_beat(&mut beats) => {
                if let Some(heartbeat) = config.heartbeat {
                    let beat = heartbeat.json(&stream.moment(&stream.socket_clients));
                    outgoing.send(Message::Text(beat.into())).await?;
                }
            }
            _ = pings.tick() => {
                // The last one is not answered yet.
                if std::mem::replace(&mut is_asked, true) {
                    return Ok(());
                }
                outgoing.send(Message::Ping(bytes::Bytes::new())).await?;
            }
            message = incoming.next() => match message {
                None | Some(Ok(Message::Close(_))) => return Ok(()),
                Some(Err(error)) => return Err(error),
                // Whatever it says, it is there.
                Some(Ok(_)) => is_asked = false,
            },
        }
    }
}

fn frame(entry: &Entry, with_ids: bool) -> Utf8Bytes {
    let json = Utf8Bytes::try_from(entry.json()).unwrap_or_default();
    match entry.place() {
        Some(place) if with_ids => format!(r#"{{"id":"{place}","entry":{}}}"#, json.as_str()).into(),
        _ if with_ids => format!(r#"{{"entry":{}}}"#, json.as_str()).into(),
        _ => json,
    }
}

fn good_bye(step: &Step) -> CloseFrame {
    match step {
        Step::Failed => CloseFrame { code: close_code::AGAIN, reason: "try again".into() },
        _ => CloseFrame { code: close_code::AWAY, reason: "server_shutdown".into() },
    }
}
