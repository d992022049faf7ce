//! A stream over WebSocket, at its path with `/ws` behind it: each entry a text frame, its JSON as over TCP.
//!
//! With `?ids=true` a frame is `{"id": "...", "entry": {...}}`, so that a client can come back with `?last_event_id=`. What
//! clients send is not looked at, but that they are there.

use std::future::pending;
use std::io::{self, Read, Write};

use axum::http::request;
use bytes::{Buf as _, Bytes, BytesMut};
use taffrail_http::websocket::{MESSAGE_BYTES, PING_EVERY, READ_BYTES};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};
use tungstenite::handshake::server::{create_response_with_body, write_response};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::client::Incoming;

/// What is behind the stream's path.
pub(super) const SUFFIX: &str = "/ws";

/// The head of the answer to a request to go on as a WebSocket.
///
/// # Errors
/// What is wrong with the request.
pub(super) fn accept(parts: &request::Parts) -> Result<Bytes, tungstenite::Error> {
    let mut request = axum::http::Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    let response = create_response_with_body(&request, || ())?;
    let mut head = Vec::new();
    write_response(&mut head, &response)?;
    Ok(Bytes::from(head))
}

/// Reads what a client says, and asks it now and then whether it is there; what is to be written goes to `answers`. Ends
/// once the client has gone; where it takes its leave, `answers` ends and somebody else ends the connection.
pub(super) async fn listen(mut incoming: Incoming, answers: mpsc::Sender<Bytes>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut tape = Tape::default();
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut is_asked = false;
    loop {
        tokio::select! {
            _ = pings.tick() => {
                // The last one is not answered yet.
                if std::mem::replace(&mut is_asked, true) {
                    return;
                }
                let mut ping = Vec::new();
                // To memory; and a client that takes nothing need not be asked.
                let _ = Frame::ping(Bytes::new()).format(&mut ping);
                let _ = answers.try_send(Bytes::from(ping));
            }
            count = incoming.read_buf(&mut tape.said) => {
                if !count.is_ok_and(|count| count > 0) {
                    return;
                }
                is_asked = false;
                let is_over = listen_to(&mut context, &mut tape);
                if !tape.answers.is_empty() && answers.send(std::mem::take(&mut tape.answers).into()).await.is_err() {
                    return;
                }
                if is_over {
                    drop(answers);
                    return pending().await;
                }
            }
        }
    }
}

/// Reads all that was said, without looking at it; whether the conversation is over.
fn listen_to(context: &mut WebSocketContext, tape: &mut Tape) -> bool {
    loop {
        match context.read(tape) {
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// What was said and is not read yet, and what is to be answered.
#[derive(Default)]
struct Tape {
    said: BytesMut,
    answers: Vec<u8>,
}

impl Read for Tape {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.said.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.said.len());
        self.said.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
