//! A stream's port for TCP: each entry as a line of JSON, to whoever connects. What clients send is not looked at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::http::{beats, next_beat};
use super::ring::Chunk;
use super::{CLIENTS_MAX, Seat, Stream, entry, stopped};
use crate::server;

/// Time that clients get to go once the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Bytes of what a client sends that are thrown away at once.
const THROWN_AWAY: usize = 4096;

/// Serves clients until the program ends.
pub(super) async fn serve(listener: TcpListener, stream: Arc<Stream>, stopping: watch::Receiver<bool>) {
    let mut until = stopping.clone();
    let connection = |socket| {
        let (stream, stopping) = (Arc::clone(&stream), stopping.clone());
        async move { client(socket, &stream, stopping).await }
    };
    server::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, DRAIN_TIME).await;
}

async fn client(socket: TcpStream, stream: &Arc<Stream>, mut stopping: watch::Receiver<bool>) {
    // Without it single entries wait for acknowledgements; if it fails they only come later.
    let _ = socket.set_nodelay(true);
    let Ok(peer) = socket.peer_addr() else { return };
    let (guard, now) = (&stream.tcp_guard, Instant::now());
    // Whoever may not is turned away without a word, as by the original.
    let Ok(_admitted) = guard.admit(peer.ip(), now) else { return };
    if guard.ask(peer.ip(), now).is_err() {
        return;
    }
    let _seat = Seat::take(stream, |stream| &stream.tcp_clients);
    let (incoming, outgoing) = socket.into_split();
    tokio::select! {
        () = stopped(&mut stopping) => {}
        ended = send(outgoing, stream) => tracing::debug!(?ended, "a client of a stream has gone"),
        () = throw_away(incoming) => {}
    }
}

/// Reads what the client sends; ends once the connection breaks. One that only says nothing more still listens.
async fn throw_away(mut incoming: OwnedReadHalf) {
    let mut buffer = [0; THROWN_AWAY];
    loop {
        match incoming.read(&mut buffer).await {
            Ok(0) => std::future::pending().await,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

async fn send(mut outgoing: OwnedWriteHalf, stream: &Stream) -> std::io::Result<()> {
    let Some(config) = &stream.config.tcp else { return Ok(()) };
    let mut reader = stream.ring.reader(config.buffer);
    let mut beats = config.heartbeat.map(|heartbeat| beats(heartbeat.interval));
    loop {
        tokio::select! {
            chunk = reader.next() => match chunk {
                Some(chunk) => outgoing.write_all(&lines(&chunk, stream)).await?,
                None => return Ok(()),
            },
            () = next_beat(&mut beats) => {
                if let Some(heartbeat) = config.heartbeat {
                    let beat = heartbeat.line(&stream.moment(&stream.tcp_clients));
                    outgoing.write_all(beat.as_bytes()).await?;
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
