//! Clients of a stream, many at once on one thread.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memchr::memmem::Finder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Of so many clients one never reads.
const STALLED: usize = 10;
/// Of so many entries one is timed.
const TIMED: u32 = 17;
/// How often a WebSocket says that it is there, without being asked; and how (RFC 6455, 5.5.3), masked with zeros.
const SIGN_EVERY: Duration = Duration::from_secs(10);
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
const READ_BYTES: usize = 64 << 10;

/// How a client watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Events,
    Lines,
    Socket,
}

/// How many watch, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    pub(super) events: usize,
    pub(super) lines: usize,
    pub(super) sockets: usize,
}

/// What a client saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// The number after the last line.
    pub(super) next: u32,
    pub(super) is_in_order: bool,
    /// How late some of the lines came.
    pub(super) late: Vec<Duration>,
}

/// What a client found that did not read until all was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caught {
    /// Lines that it was too slow for, as it was told.
    pub(super) missed: u32,
    /// Whether it had all others in order, and was told of each that it did not have.
    pub(super) is_whole: bool,
}

/// Clients that are connected.
pub(super) struct Clients {
    runtime: Runtime,
    sockets: Vec<(Kind, TcpStream)>,
}

impl Clients {
    pub(super) fn connect(crowd: &Crowd, port: impl Fn(Kind) -> u16) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kinds = [(Kind::Events, crowd.events), (Kind::Lines, crowd.lines), (Kind::Socket, crowd.sockets)];
        let all = kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let sockets = runtime.block_on(async {
            let mut sockets = Vec::new();
            for kind in all {
                sockets.push((kind, open(kind, port(kind)).await.context("connect to a stream")?));
            }
            Ok::<_, anyhow::Error>(sockets)
        })?;
        Ok(Self { runtime, sockets })
    }

    pub(super) fn count(&self) -> usize {
        self.sockets.len()
    }

    /// What those saw who read, once they have `lines` or `patience` is over; and what the others find then. A WebSocket that
    /// does not answer is ended meanwhile: of these the others are not.
    pub(super) fn watch(
        self,
        lines: u32,
        start: Instant,
        patience: Duration,
    ) -> Result<(Vec<Seen>, Vec<Caught>)> {
        let Self { runtime, sockets } = self;
        runtime.block_on(async {
            let (mut reading, mut stalled) = (JoinSet::new(), Vec::new());
            for (number, (kind, socket)) in sockets.into_iter().enumerate() {
                match number % STALLED == STALLED - 1 {
                    true => stalled.push((kind, socket)),
                    false => drop(reading.spawn(read(kind, socket, lines, start, patience))),
                }
            }
            let mut seen = Vec::new();
            while let Some(one) = reading.join_next().await {
                seen.push(one?);
            }
            let mut caught = Vec::new();
            for (kind, socket) in stalled {
                if kind != Kind::Socket {
                    caught.push(catch_up(socket, lines, patience).await);
                }
            }
            Ok((seen, caught))
        })
    }
}

async fn open(kind: Kind, port: u16) -> std::io::Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let request = match kind {
        Kind::Lines => return Ok(socket),
        Kind::Events => "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        Kind::Socket => format!("GET /stream/ws HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"),
    };
    socket.write_all(request.as_bytes()).await?;
    Ok(socket)
}

/// Whatever stands around the lines, they are found by their mark: the frames of all kinds hold them as they are.
async fn read(kind: Kind, mut socket: TcpStream, lines: u32, start: Instant, patience: Duration) -> Seen {
    let finder = Finder::new("NUM ");
    let mut next_sign = start.elapsed() + SIGN_EVERY;
    let mut seen = Seen { next: 0, is_in_order: true, late: Vec::new() };
    let mut buffer = Vec::with_capacity(2 * READ_BYTES);
    while seen.next < lines {
        match timeout(patience, socket.read_buf(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => break,
        }
        let now = start.elapsed();
        if kind == Kind::Socket && now >= next_sign {
            next_sign = now + SIGN_EVERY;
            // If it has gone, reading says so.
            let _ = socket.write_all(&PONG).await;
        }
        let mut rest = &buffer[..];
        while let Some(at) = finder.find(rest) {
            let Some((number, written, end)) = numbers(&rest[at..]) else { break };
            seen.is_in_order &= number == seen.next;
            seen.next = number + 1;
            if number % TIMED == 0 {
                seen.late.push(now.saturating_sub(Duration::from_nanos(written)));
            }
            rest = &rest[at + end..];
        }
        // The beginning of a line that is not whole yet.
        let kept = finder.find(rest).map_or(rest.len().min(3), |at| rest.len() - at);
        buffer.drain(..buffer.len() - kept);
    }
    seen
}

/// Reads what is left of `lines`, the last of them at the end, and what is said of the others.
async fn catch_up(mut socket: TcpStream, lines: u32, patience: Duration) -> Caught {
    let last = format!("NUM {} ", lines - 1);
    let last = Finder::new(&last);
    let mut text = Vec::new();
    let mut looked = 0;
    while last.find(&text[looked..]).is_none() {
        looked = text.len().saturating_sub(last.needle().len());
        match timeout(patience, socket.read_buf(&mut text)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => break,
        }
    }
    caught(&text, lines)
}

fn caught(text: &[u8], lines: u32) -> Caught {
    let lost = Finder::new(" entries were dropped");
    let (mut next, mut missed, mut is_whole) = (0, 0, true);
    let mut rest = text;
    while let Some(at) = Finder::new("NUM ").find(rest) {
        let told = lost.find(&rest[..at]).map_or(0, |end| {
            let digits = rest[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&rest[end - digits..end]).unwrap_or_default().parse().unwrap_or(0)
        });
        let Some((number, _, end)) = numbers(&rest[at..]) else { break };
        (next, missed) = (next + told, missed + told);
        is_whole &= number == next;
        next = number + 1;
        rest = &rest[at + end..];
    }
    Caught { missed, is_whole: is_whole && next == lines }
}

/// The number, the time of writing, and where they end; `None` if they are not all there.
fn numbers(line: &[u8]) -> Option<(u32, u64, usize)> {
    let mut end = 4;
    let mut number = || {
        let digits = line[end..].iter().position(|byte| !byte.is_ascii_digit())?;
        let text = std::str::from_utf8(&line[end..end + digits]).ok()?;
        end += digits + 1;
        text.parse::<u64>().ok()
    };
    let (first, second) = (number()?, number()?);
    Some((u32::try_from(first).ok()?, second, end - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_must_be_told() {
        let text = |parts: &[&str]| parts.concat().into_bytes();
        let lost = "data: {\"message\":\"3 entries were dropped: this client reads too slowly\"}\n\n";
        let whole = caught(&text(&["NUM 0 9 x\n", lost, "NUM 4 9 x\nNUM 5 9 x\n"]), 6);
        assert_eq!((whole.missed, whole.is_whole), (3, true));
        for (parts, lines) in [
            (&["NUM 0 9 x\n", "NUM 4 9 x\n"][..], 5),
            (&["NUM 0 9 x\n", lost, "NUM 5 9 x\n"], 6),
            (&["NUM 1 9 x\nNUM 0 9 x\n"], 2),
            (&["NUM 0 9 x\n"], 2),
        ] {
            assert!(!caught(&text(parts), lines).is_whole, "{parts:?}");
        }
    }
}
