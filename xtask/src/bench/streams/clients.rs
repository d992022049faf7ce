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

    /// What those saw who read, once they have `lines` or `patience` is over.
    pub(super) fn watch(self, lines: u32, start: Instant, patience: Duration) -> Result<Vec<Seen>> {
        let Self { runtime, sockets } = self;
        runtime.block_on(async {
            let (mut reading, mut stalled) = (JoinSet::new(), Vec::new());
            for (number, (kind, socket)) in sockets.into_iter().enumerate() {
                match number % STALLED == STALLED - 1 {
                    true => stalled.push(socket),
                    false => drop(reading.spawn(read(kind, socket, lines, start, patience))),
                }
            }
            let mut seen = Vec::new();
            while let Some(one) = reading.join_next().await {
                seen.push(one?);
            }
            Ok(seen)
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
