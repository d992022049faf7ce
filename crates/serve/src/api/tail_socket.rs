//! `GET /api/v1/tail/ws`: the same as [`super::tail`] over WebSocket, for pages and tools that prefer it.
//!
//! Frames are JSON: `{"type":"start","id":...}` first, then `{"type":"record","id":...,"record":{...}}` and
//! `{"type":"gap","missed":...}`. What clients send is not looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::{SinkExt as _, StreamExt as _, stream};
use serde::Serialize;
use tokio::time::{Instant, interval_at};

use super::tail::{Tail, Told, json, place};
use crate::api::Record;
use crate::error::ApiError;
use crate::run::App;

/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Bytes of a message that a client may send.
const MESSAGE_BYTES: usize = 64 << 10;
/// Memory for what it says, and for what it is told at once.
const READ_BYTES: usize = 2 << 10;
const WRITE_BYTES: usize = 16 << 10;

/// A frame.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Start { id: String },
    Record { id: String, record: &'a Record },
    Gap { missed: u64 },
}

pub(crate) async fn tail_socket(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    // Browsers ask for sockets of others without asking them first.
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = text(ORIGIN)
        .is_none_or(|origin| app.services.hosts.allow_origin(origin, text(HOST).unwrap_or_default()));
    if !is_own {
        let message = "pages of other sites may not watch; see `allowed_hosts`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let tail = Tail::open(app, query.as_deref(), &headers).await?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES);
    Ok(upgrade.on_upgrade(|socket| async {
        let ended = serve(socket, tail).await;
        tracing::debug!(?ended, "a live stream has ended");
    }))
}

async fn serve(socket: WebSocket, tail: Tail) -> Result<(), axum::Error> {
    let (mut outgoing, mut incoming) = socket.split();
    let with_raw = tail.with_raw;
    // What was begun to be read must not be given up when a client says something.
    let all = stream::unfold(tail, |mut tail| async { Some((tail.next().await?, tail)) });
    let mut all = std::pin::pin!(all);
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut is_asked = false;
    loop {
        tokio::select! {
            told = all.next() => match told {
                Some(told) => outgoing.send(Message::Text(frame(&told, with_raw).into())).await?,
                None => {
                    let close = CloseFrame { code: close_code::AWAY, reason: "the daemon stops".into() };
                    return outgoing.send(Message::Close(Some(close))).await;
                }
            },
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

fn frame(told: &Told, with_raw: bool) -> String {
    match told {
        Told::Start(start) => json(&Frame::Start { id: start.to_string() }),
        Told::Record(hit) => {
            let record = Record::from_hit(hit, with_raw);
            json(&Frame::Record { id: place(hit).to_string(), record: &record })
        }
        Told::Gap(missed) => json(&Frame::Gap { missed: *missed }),
    }
}
