//! A stream's port for TCP: each entry as a line of JSON, to whoever connects. What clients send is not looked at, but for the
//! first line where they have to say who they are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, split,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::http::{beats, handshake, next_beat};
use super::ring::Chunk;
use super::{CLIENTS_MAX, Seat, Stream, Transport, entry, status, stopped};
use crate::server;

/// Time that clients get to go once the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Time that the end of a connection may take.
const GOOD_BYE_TIME: Duration = Duration::from_millis(500);
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
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, DRAIN_TIME).await;
}

async fn client(socket: TcpStream, stream: &Arc<Stream>, stopping: watch::Receiver<bool>) {
    let Ok(address) = socket.peer_addr().map(|address| address.ip()) else { return };
    let (guard, now) = (&stream.tcp_guard, Instant::now());
    // Whoever may not is turned away without a word, as by the original.
    let Ok(_admitted) = guard.admit(address, now) else { return };
    if guard.ask(address, now).is_err() {
        return;
    }
    match &stream.tcp_tls {
        None => {
            let (incoming, outgoing) = socket.into_split();
            attend(incoming, outgoing, address, stream, stopping).await;
        }
        Some(tls) => {
            if let Some(socket) = handshake(tls, socket, address, guard).await {
                let (incoming, outgoing) = split(socket);
                attend(incoming, outgoing, address, stream, stopping).await;
            }
        }
    }
}

/// Sends entries to a client that is connected, once it has said who it is where that is asked.
async fn attend(
    incoming: impl AsyncRead + Unpin,
    mut outgoing: impl AsyncWrite + Unpin,
    address: IpAddr,
    stream: &Arc<Stream>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut incoming = BufReader::with_capacity(READ_BYTES, incoming);
    if !stream.access.is_open() {
        let words = words(&mut incoming).await;
        if stream.tcp_guard.identify(&stream.access, words.as_deref(), address).await.is_err() {
            // It may have gone already.
            let _ = outgoing.write_all(format!("{}\n", status::unauthorized()).as_bytes()).await;
            let _ = outgoing.shutdown().await;
            return;
        }
    }
    let seat = Seat::take(stream, Transport::Tcp);
    tokio::select! {
        () = stopped(&mut stopping) => {}
        ended = send(&mut outgoing, stream, &seat) => tracing::debug!(?ended, "a client of a stream has gone"),
        () = throw_away(incoming) => {}
    }
    // TLS says good-bye; without it this ends the connection anyway.
    let _ = timeout(GOOD_BYE_TIME, outgoing.shutdown()).await;
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

/// Reads what the client sends; ends once the connection breaks. One that only says nothing more still listens.
async fn throw_away(mut incoming: impl AsyncBufRead + Unpin) {
    loop {
        match incoming.fill_buf().await.map(<[u8]>::len) {
            Ok(0) => std::future::pending().await,
            Ok(count) => incoming.consume(count),
            Err(_) => return,
        }
    }
}

async fn send(outgoing: &mut (impl AsyncWrite + Unpin), stream: &Stream, seat: &Seat) -> std::io::Result<()> {
    let Some(config) = &stream.config.tcp else { return Ok(()) };
    let mut reader = stream.ring.reader(config.buffer);
    let mut beats = config.heartbeat.map(|heartbeat| beats(heartbeat.interval));
    loop {
        tokio::select! {
            chunk = reader.next() => match chunk {
                Some(chunk) => {
                    let lines = lines(&chunk, stream);
                    seat.sends(&chunk, lines.len());
                    outgoing.write_all(&lines).await?;
                    // TLS keeps what is less than a record.
                    outgoing.flush().await?;
                }
                None => return Ok(()),
            },
            () = next_beat(&mut beats) => {
                if let Some(heartbeat) = config.heartbeat {
                    let beat = heartbeat.line(&stream.moment(&stream.tcp_clients));
                    outgoing.write_all(beat.as_bytes()).await?;
                    outgoing.flush().await?;
                }
            }
        }
    }
}

fn lines(chunk: &Chunk, stream: &Stream) -> Vec<u8> {
    let gap = (chunk.missed > 0).then(|| stream.gap(chunk.missed));
    let all = || gap.iter().chain(&chunk.entries).map(entry::Entry::line);
    let mut lines = Vec::with_capacity(all().map(<[u8]>::len).sum());
    all().for_each(|line| lines.extend_from_slice(line));
    lines
}
