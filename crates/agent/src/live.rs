//! Live lines over a WebSocket of their own, which the control API opens and closes: each line that is appended from then on
//! is a frame, as Resolvix' clients read it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Utf8Bytes, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde::Serialize;
use taffrail_forward::{Message, line};
use taffrail_http::websocket::{self, Seats, Told};
use taffrail_http::window::{Next, Piece, Reader, Totals, Window};
use taffrail_record::{RawBatch, Timestamp};
use tokio::net::TcpListener;

use crate::door::{self, Door, OpenError};

/// Lines, and bytes of them, that clients may lag by; they are told of those that they missed.
const BUFFER: usize = 16 << 10;
const BUFFER_BYTES: usize = 32 << 20;
/// Frames, and about so many bytes of them, that are written at once.
const FRAMES: usize = 256;
const FRAMES_BYTES: usize = 1 << 20;
/// Clients at a time; more are turned away.
const CLIENTS_MAX: usize = 512;

/// Where and what is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveConfig {
    /// Where it listens while it is open.
    pub address: SocketAddr,
    /// The machine's name for clients.
    pub node: String,
    /// What is shown, as clients are told: files, patterns, `journal`.
    pub files: Vec<String>,
    /// Whether all lines are shown; else those of the files by these names.
    pub shows_all: bool,
    /// Minutes that times without a zone are east of UTC.
    pub offset_minutes: i16,
}

/// The live lines of a machine.
#[derive(Clone)]
pub struct Live {
    config: Arc<LiveConfig>,
    clock: fn() -> Timestamp,
    door: Arc<Door<Window<Utf8Bytes>>>,
    seats: Seats,
}

/// Frames of lines that are about to be stored.
#[derive(Debug, Default)]
pub struct Frames(Vec<Utf8Bytes>);

impl Live {
    /// Closed.
    pub fn new(config: LiveConfig, clock: fn() -> Timestamp) -> Self {
        Self { config: Arc::new(config), clock, door: Arc::default(), seats: Seats::new(CLIENTS_MAX) }
    }

    /// Where and what is shown.
    pub fn config(&self) -> &LiveConfig {
        &self.config
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.door.is_open()
    }

    /// How those who watch stand, in lines; since it was opened.
    pub fn totals(&self) -> Totals {
        self.door.look(Window::totals).unwrap_or_default()
    }

    /// Listens. Must be called inside of a runtime.
    ///
    /// # Errors
    /// If it is open, or somebody else has its address.
    pub fn open(&self) -> Result<(), OpenError> {
        self.door.open(self.config.address, Window::new(BUFFER, BUFFER_BYTES), |listener| {
            tokio::spawn(serve(listener, self.clone()))
        })
    }

    /// Says good-bye to all clients and frees the address; false if it was not open.
    pub async fn close(&self) -> bool {
        self.door.close().await
    }

    /// The frames of a batch that is about to be stored; none if nobody watches, or its source is not shown.
    pub fn frames(&self, batch: &RawBatch) -> Frames {
        let is_watched = self.door.look(|frames| frames.readers() > 0).unwrap_or(false);
        let LiveConfig { files, shows_all, .. } = &*self.config;
        if !is_watched || !shows_all && files.iter().all(|file| **file != *batch.source) {
            return Frames::default();
        }
        let records = batch.lines.iter().map(|line| line.span.of(&batch.bytes));
        let lines = records.flat_map(|record| record.split(|byte| *byte == b'\n'));
        Frames(lines.map(|line| self.frame(&batch.source, line)).collect())
    }

    /// Shows lines that are stored now. Never waits.
    pub fn show(&self, frames: Frames) {
        if frames.0.is_empty() {
            return;
        }
        let piece = |frame: Utf8Bytes| Piece { bytes: frame.len(), count: 1, value: frame };
        self.door.look(|open| open.tell(frames.0.into_iter().map(piece)));
    }

    fn frame(&self, source: &str, line: &[u8]) -> Utf8Bytes {
        let message = Message::of(source, line);
        let LiveConfig { node, offset_minutes, .. } = &*self.config;
        let timestamp = message.timestamp((self.clock)(), *offset_minutes);
        json(&Frame { kind: "live_log", node_id: node, timestamp, log: &message.text(), dropped: None })
    }

    /// What a client finds in the place of lines that it was too slow for.
    fn gap(&self, missed: u64) -> Utf8Bytes {
        let log = format!("{missed} lines were dropped: this client reads too slowly");
        let timestamp = line::timestamp("", (self.clock)(), 0);
        json(&Frame { kind: "gap", node_id: &self.config.node, timestamp, log: &log, dropped: Some(missed) })
    }

    fn subscribe(&self) -> Option<Reader<Utf8Bytes>> {
        self.door.look(|frames| frames.reader(CLIENTS_MAX)).flatten()
    }
}

/// The keys in their order.
#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    node_id: &'a str,
    timestamp: String,
    log: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

fn json(frame: &Frame<'_>) -> Utf8Bytes {
    serde_json::to_string(frame).unwrap_or_default().into()
}

async fn serve(listener: TcpListener, live: Live) {
    door::serve(listener, Router::new().fallback(upgrade).with_state(live), CLIENTS_MAX).await;
}

async fn upgrade(State(live): State<Live>, upgrade: WebSocketUpgrade) -> Response {
    let (Some(frames), Some(seat)) = (live.subscribe(), live.seats.take()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no live lines, or too many who watch").into_response();
    };
    websocket::bounded(upgrade).on_upgrade(|socket| async move {
        let _seat = seat;
        let told = stream::unfold((live, frames), |(live, mut frames)| async {
            Some((next(&live, &mut frames).await, (live, frames)))
        });
        let ended = websocket::serve(socket, told).await;
        tracing::debug!(?ended, "a client of live lines has gone");
    })
}

async fn next(live: &Live, frames: &mut Reader<Utf8Bytes>) -> Told {
    match frames.next().await {
        Next::Piece(first) => {
            let (mut bytes, mut some) = (first.len(), vec![first]);
            while some.len() < FRAMES
                && bytes < FRAMES_BYTES
                && let Some(next) = frames.try_next()
            {
                match next {
                    Next::Piece(frame) => {
                        bytes += frame.len();
                        some.push(frame);
                    }
                    Next::Missed(missed) => some.push(live.gap(missed)),
                    Next::Closed => break,
                }
            }
            Told::Frames(some)
        }
        Next::Missed(missed) => Told::Frames(vec![live.gap(missed)]),
        Next::Closed => Told::GoodBye(CloseFrame { code: close_code::AWAY, reason: "stopped".into() }),
    }
}
