//! A stream over WebSocket, at its path with `/ws` behind it: each entry a text frame, its JSON as over TCP.
//!
//! With `?ids=true` a frame is `{"id": "...", "entry": {...}}`, so that a client can come back with `?last_event_id=`. What
//! clients send is not looked at.

use std::sync::Arc;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Utf8Bytes, WebSocketUpgrade, close_code};
use axum::http::request;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tokio::sync::watch;
use tokio::time::Interval;

use super::config::HttpConfig;
use super::entry::Entry;
use super::follow::{Follow, Step};
use super::http::{Peer, beats, next_beat};
use super::place::Place;
use super::{Seat, Stream, Transport};
use crate::websocket::{self, Told};

/// What is behind the stream's path.
pub(super) const SUFFIX: &str = "/ws";

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
        Ok(upgrade) => websocket::bounded(upgrade),
        Err(rejection) => return rejection.into_response(),
    };
    let (stream, stopping) = (Arc::clone(stream), stopping.clone());
    upgrade.on_upgrade(move |socket| async move {
        let _peer = peer;
        let Some(config) = stream.config.http.clone() else { return };
        let client = Client {
            follow: Follow::new(&stream, config.buffer, ask.after, &stopping),
            beats: config.heartbeat.map(|heartbeat| beats(heartbeat.interval)),
            with_ids: ask.with_ids,
            seat: Seat::take(&stream, Transport::Socket),
            config,
            stream,
        };
        let told = stream::unfold(client, |mut client| async { Some((client.next().await, client)) });
        let ended = websocket::serve(socket, told).await;
        tracing::debug!(?ended, "a client of a stream has gone");
    })
}

/// What one client needs.
struct Client {
    stream: Arc<Stream>,
    config: HttpConfig,
    follow: Follow,
    beats: Option<Interval>,
    with_ids: bool,
    seat: Seat,
}

impl Client {
    async fn next(&mut self) -> Told {
        tokio::select! {
            step = self.follow.next() => match step {
                Step::Entries(chunk) => {
                    let gap = (chunk.missed > 0).then(|| self.stream.gap(chunk.missed));
                    let frames = gap.iter().chain(&chunk.entries).map(|entry| self.frame(entry));
                    let frames: Vec<Utf8Bytes> = frames.collect();
                    self.seat.sends(&chunk, frames.iter().map(|frame| frame.as_str().len()).sum());
                    Told::Frames(frames)
                }
                Step::Failed => {
                    Told::GoodBye(CloseFrame { code: close_code::AGAIN, reason: "try again".into() })
                }
                Step::Stopping => {
                    Told::GoodBye(CloseFrame { code: close_code::AWAY, reason: "server_shutdown".into() })
                }
            },
            () = next_beat(&mut self.beats) => {
                let moment = || self.stream.moment(&self.stream.socket_clients);
                let beat = self.config.heartbeat.map(|heartbeat| heartbeat.json(&moment()).into());
                Told::Frames(beat.into_iter().collect())
            }
        }
    }

    fn frame(&self, entry: &Entry) -> Utf8Bytes {
        let json = Utf8Bytes::try_from(entry.json()).unwrap_or_default();
        match entry.place() {
            Some(place) if self.with_ids => format!(r#"{{"id":"{place}","entry":{}}}"#, json.as_str()).into(),
            _ if self.with_ids => format!(r#"{{"entry":{}}}"#, json.as_str()).into(),
            _ => json,
        }
    }
}
