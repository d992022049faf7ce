//! What all WebSockets of the server have in common: bounds, and whether the other side is still there.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use futures::{SinkExt as _, Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval_at, timeout};
use tungstenite::error::ProtocolError;

/// How often a client is asked whether it is there.
pub const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take nothing.
const STALLED: Duration = Duration::from_secs(30);
/// Bytes of a message that a client may send.
pub const MESSAGE_BYTES: usize = 64 << 10;
/// Memory for what it says.
pub const READ_BYTES: usize = 2 << 10;
/// Memory for what it is told at once.
const WRITE_BYTES: usize = 16 << 10;

/// What a client is told next.
pub enum Told {
    /// Text frames.
    Frames(Vec<Utf8Bytes>),
    /// Nothing more will come.
    GoodBye(CloseFrame),
}

/// The same upgrade, within bounds.
pub fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
}

/// Clients at a time. A listener counts connections only until they are upgraded.
#[derive(Clone, Debug)]
pub struct Seats(Arc<Semaphore>);

impl Seats {
    /// For so many.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// A seat, to be held as long as the client is there; `None` if all are taken.
    pub fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// What a client is told that made a mistake (RFC 6455, section 7.4.1); `None` where nobody is there to be told.
fn mistake(error: &axum::Error) -> Option<u16> {
    match error.source()?.downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some(close_code::PROTOCOL),
        tungstenite::Error::Utf8(_) => Some(close_code::INVALID),
        tungstenite::Error::Capacity(_) => Some(close_code::SIZE),
        _ => None,
    }
}

/// A client that takes nothing for too long has gone.
async fn in_time(writing: impl Future<Output = Result<(), axum::Error>>) -> Result<(), axum::Error> {
    match timeout(STALLED, writing).await {
        Ok(written) => written,
        Err(_) => Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}

/// Tells a client all of `told`, until it goes, answers no more, or `told` says good-bye or ends. What is awaited of `told`
/// is never given up because the client says something.
///
/// # Errors
/// A connection that breaks, or a client that does not speak WebSocket.
pub async fn serve(socket: WebSocket, told: impl Stream<Item = Told>) -> Result<(), axum::Error> {
    converse(socket, told, |_| {}).await
}

/// The same, and `heard` gets every text that the client says. It must not block.
///
/// # Errors
/// As those of [`serve`].
pub async fn converse(
    socket: WebSocket,
    told: impl Stream<Item = Told>,
    mut heard: impl FnMut(&str),
) -> Result<(), axum::Error> {
    let (mut outgoing, mut incoming) = socket.split();
    let mut told = std::pin::pin!(told);
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut is_asked = false;
    loop {
        tokio::select! {
            next = told.next() => match next {
                Some(Told::Frames(frames)) => {
                    for frame in frames {
                        in_time(outgoing.feed(Message::Text(frame))).await?;
                    }
                    in_time(outgoing.flush()).await?;
                }
                Some(Told::GoodBye(close)) => return in_time(outgoing.send(Message::Close(Some(close)))).await,
                None => return Ok(()),
            },
            _ = pings.tick() => {
                // The last one is not answered yet.
                if std::mem::replace(&mut is_asked, true) {
                    return Ok(());
                }
                in_time(outgoing.send(Message::Ping(bytes::Bytes::new()))).await?;
            }
            message = incoming.next() => match message {
                None => return Ok(()),
                // It is answered in kind: the answer waits to be written.
                Some(Ok(Message::Close(_))) => return in_time(outgoing.close()).await,
                Some(Err(error)) => {
                    if let Some(code) = mistake(&error) {
                        let close = CloseFrame { code, reason: Utf8Bytes::from_static("") };
                        in_time(outgoing.send(Message::Close(Some(close)))).await?;
                    }
                    return Err(error);
                }
                Some(Ok(message)) => {
                    // Whatever it says, it is there.
                    is_asked = false;
                    if let Message::Text(text) = message {
                        heard(&text);
                    }
                }
            },
        }
    }
}
