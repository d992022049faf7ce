//! A stream's port for TCP: each entry as a line of JSON, to whoever connects. What clients send is not looked at, but for the
//! first line where they have to say who they are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail_http::listener;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Client, Incoming, Wire, plain, sealed};
use super::form::Form;
use super::http::handshake;
use super::{CLIENTS_MAX, Stream, status, stopped};

/// Time that clients get to go once the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Bytes of what a client sends that are read at once.
const READ_BYTES: usize = 1 << 10;
/// Bytes of the line in which a client says who it is, and the time that it gets for it.
const WORDS_BYTES: u64 = 8 << 10;
const WORDS_TIME: Duration = Duration::from_secs(10);

/// Serves clients until the program ends.
pub(super) async fn serve(listener: TcpListener, stream: Arc<Stream>, stopping: watch::Receiver<bool>) {
    let mut until = stopping.clone();
    let connection = |socket| {
        let (stream, stopping) = (Arc::clone(&stream), stopping.clone());
        async move { client(socket, &stream, stopping).await }
    };
    listener::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, DRAIN_TIME).await;
}

async fn client(socket: TcpStream, stream: &Arc<Stream>, stopping: watch::Receiver<bool>) {
    let Ok(address) = socket.peer_addr().map(|address| address.ip().to_canonical()) else { return };
    let (guard, now) = (&stream.tcp_guard, Instant::now());
    // Whoever may not is turned away without a word, as by the original.
    let Ok(_admitted) = guard.admit(address, now) else { return };
    if guard.ask(address, now).is_err() {
        return;
    }
    let (wire, incoming) = match &stream.tcp_tls {
        None => plain(socket),
        Some(tls) => match Box::pin(handshake(tls, socket, address, guard)).await {
            Some(socket) => sealed(socket),
            None => return,
        },
    };
    attend(wire, incoming, address, stream, &stopping).await;
}

/// Sends entries to a client that is connected, once it has said who it is where that is asked.
async fn attend(
    mut wire: Wire,
    incoming: Incoming,
    address: IpAddr,
    stream: &Arc<Stream>,
    stopping: &watch::Receiver<bool>,
) {
    let mut incoming = BufReader::with_capacity(READ_BYTES, incoming);
    if !stream.access.is_open() {
        let words = words(&mut incoming).await;
        if stream.tcp_guard.identify(&stream.access, words.as_deref(), address).await.is_err() {
            // It may have gone already.
            let _ = wire.writer().write_all(format!("{}\n", status::unauthorized()).as_bytes()).await;
            let _ = wire.writer().shutdown().await;
            return;
        }
    }
    // What it said beyond is not looked at anyway.
    Client::new(stream, Form::Lines, None, stopping).attend(wire, incoming.into_inner()).await;
}

/// The first line of a client: `AUTH `, and what would stand behind `Authorization:` in HTTP. None if it takes too long.
async fn words(incoming: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let mut bounded = incoming.take(WORDS_BYTES);
    timeout(WORDS_TIME, bounded.read_until(b'\n', &mut line)).await.ok()?.ok()?;
    let line = String::from_utf8(line).ok()?;
    let (keyword, words) = line.trim().split_once(' ')?;
    keyword.eq_ignore_ascii_case("auth").then(|| words.trim().to_owned())
}
