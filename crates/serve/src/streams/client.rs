//! One client's task: greets it, writes what it missed and what it is too slow for, and says good-bye.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use taffrail_record::Timestamp;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf, ReadHalf, split,
};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::config::Heartbeat;
use super::follow::{Follow, Step};
use super::form::Form;
use super::guard::Admitted;
use super::heartbeat::{beats, next_beat};
use super::outlet::{Left, Outlet, cut};
use super::place::Place;
use super::{Seat, Stream, Transport, socket, stopped};

/// Time that a client gets to take what is left when the program ends, and that the end of a connection may take.
const GOOD_BYE_TIME: Duration = Duration::from_secs(1);

/// What a client says.
pub(super) enum Incoming {
    Plain(OwnedReadHalf),
    Sealed(ReadHalf<TlsStream<TcpStream>>),
}

impl AsyncRead for Incoming {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        said: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, said),
            Self::Sealed(socket) => Pin::new(socket).poll_read(context, said),
        }
    }
}

impl Incoming {
    /// Resolves once nobody is there who could listen, though nothing more is said. Who ends TLS does not listen.
    async fn broken(&self) {
        if let Self::Plain(socket) = self {
            // The system probes the connection; an error is what is waited for.
            let _ = socket.ready(Interest::ERROR).await;
        }
    }
}

/// Clocks that are set back make lines arrive so much later than they say, see the store's order of arrivals; in nanoseconds.
const AHEAD_MAX: i64 = 3_600 * Timestamp::SECOND;

/// What a client is written to.
pub(super) enum Wire {
    /// A socket that the stream may write to by itself.
    Plain(OwnedWriteHalf),
    /// Something that wants every byte from the client's task.
    Sealed(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Wire {
    /// To write to it here.
    pub(super) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Plain(socket) => socket,
            Self::Sealed(writer) => writer,
        }
    }
}

/// The two directions of a connection without TLS.
pub(super) fn plain(socket: TcpStream) -> (Wire, Incoming) {
    let (incoming, outgoing) = socket.into_split();
    (Wire::Plain(outgoing), Incoming::Plain(incoming))
}

/// The two directions of a connection with TLS.
pub(super) fn sealed(socket: TlsStream<TcpStream>) -> (Wire, Incoming) {
    let (incoming, outgoing) = split(socket);
    (Wire::Sealed(Box::new(outgoing)), Incoming::Sealed(incoming))
}

/// The same, while entries are written to it.
enum Writer {
    Shared(Arc<Outlet>),
    Own(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Writer {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Shared(outlet) => outlet.write_all(bytes).await,
            Self::Own(writer) => {
                writer.write_all(bytes).await?;
                // What is less than a record is kept back otherwise.
                writer.flush().await
            }
        }
    }
}

/// A client that is let in.
pub(super) struct Client {
    stream: Arc<Stream>,
    form: Form,
    follow: Follow,
    heartbeat: Option<Heartbeat>,
    beats: Option<Interval>,
    /// What it is told first.
    greeting: Bytes,
    /// What is to be written because of something it said.
    answers: Option<mpsc::Receiver<Bytes>>,
    seat: Arc<Seat>,
    /// Its place among the connections of a stream that it watches at the port of another.
    _admitted: Option<Admitted>,
    stopping: watch::Receiver<bool>,
}

/// What wakes the task.
enum Event {
    Step(Step),
    /// The stream does not write to the socket any more.
    Stuck,
    Beat,
    /// Something that it said is to be answered.
    Answer(Bytes),
    Gone,
    Stopping,
}

impl Client {
    /// One that saw the last entry at `after`.
    pub(super) fn new(
        stream: &Arc<Stream>,
        form: Form,
        after: Option<Place>,
        stopping: &watch::Receiver<bool>,
    ) -> Self {
        let transport = form.transport();
        let config = &stream.config;
        let (buffer, heartbeat) = match transport {
            Transport::Tcp => config.tcp.as_ref().map(|tcp| (tcp.buffer, tcp.heartbeat)),
            Transport::Events | Transport::Socket => {
                config.http.as_ref().map(|http| (http.buffer, http.heartbeat))
            }
        }
        .unwrap_or_default();
        let now = (stream.clock)();
        // A place that is not yet: of another store, or of a clock that went wrong. Nothing would come for as long.
        let after = after.filter(|place| place.arrival.observed.0 <= now.0.saturating_add(AHEAD_MAX));
        let place = after.unwrap_or_else(|| stream.ring.end());
        let client = now.0;
        let greeting = config.http.as_ref().map(|http| form.greeting(http, client, place));
        let seat = Arc::new(Seat::take(stream, transport, buffer));
        Self {
            greeting: greeting.unwrap_or_default(),
            form,
            follow: Follow::new(stream, &seat, buffer, after, stopping),
            heartbeat,
            beats: heartbeat.map(|heartbeat| beats(heartbeat.interval)),
            seat,
            stream: Arc::clone(stream),
            stopping: stopping.clone(),
            answers: None,
            _admitted: None,
        }
    }

    /// The same, which holds a place among the connections of its stream.
    pub(super) fn admitted(self, admitted: Option<Admitted>) -> Self {
        Self { _admitted: admitted, ..self }
    }

    /// The same, greeted with the head of the answer to its request.
    pub(super) fn greeted(self, greeting: Bytes) -> Self {
        Self { greeting, ..self }
    }

    /// Writes until the client has gone, or the program ends; reads what it says.
    pub(super) async fn attend(mut self, wire: Wire, incoming: Incoming) {
        let mut writer = self.open(wire);
        let mut stopping = self.stopping.clone();
        let over = async {
            stopped(&mut stopping).await;
            sleep(GOOD_BYE_TIME).await;
        };
        let gone = self.listen(incoming);
        tokio::select! {
            ended = self.tell(&mut writer) => tracing::debug!(?ended, "a client of a stream has gone"),
            () = over => {}
            () = gone => {}
        }
        // TLS says good-bye; without it this ends the connection anyway.
        if let Writer::Own(mut writer) = writer {
            let _ = timeout(GOOD_BYE_TIME, writer.shutdown()).await;
        }
    }

    /// Resolves once the client has gone. In memory of its own: few need much.
    fn listen(&mut self, incoming: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.form.transport() {
            Transport::Events => Box::pin(gone(incoming, false)),
            Transport::Tcp => Box::pin(gone(incoming, true)),
            Transport::Socket => {
                let (answering, answers) = mpsc::channel(1);
                self.answers = Some(answers);
                Box::pin(socket::listen(incoming, answering))
            }
        }
    }

    fn open(&self, wire: Wire) -> Writer {
        match wire {
            Wire::Plain(socket) => {
                let outlet = Outlet::new(socket, self.form, Arc::clone(&self.seat));
                self.stream.outlets.add(&outlet);
                Writer::Shared(outlet)
            }
            Wire::Sealed(writer) => Writer::Own(writer),
        }
    }

    async fn tell(&mut self, writer: &mut Writer) -> io::Result<()> {
        writer.write_all(&std::mem::take(&mut self.greeting)).await?;
        let mut is_stopping = false;
        loop {
            let outlet = if is_stopping { None } else { self.fed(writer) };
            let event = self.event(outlet.as_deref()).await;
            self.go_on(writer).await?;
            match event {
                Event::Stopping => is_stopping = true,
                Event::Stuck => {}
                Event::Answer(bytes) => writer.write_all(&bytes).await?,
                Event::Gone => return Ok(()),
                Event::Beat => writer.write_all(&self.beat()).await?,
                Event::Step(Step::Entries(chunk)) => {
                    if chunk.missed > 0 {
                        self.seat.misses(chunk.missed);
                        let gap = self.stream.gap(chunk.missed);
                        writer.write_all(&self.form.entries([&gap].into_iter())).await?;
                    }
                    let before = chunk.next.unwrap_or_default().saturating_sub(chunk.entries.len() as u64);
                    for piece in cut(before, &chunk.entries, self.form) {
                        writer.write_all(&piece.bytes).await?;
                        self.seat.sends(piece.entries, piece.bytes.len(), chunk.next.map(|_| piece.next));
                    }
                }
                Event::Step(Step::Stopping) => return writer.write_all(&self.form.good_bye()).await,
                Event::Step(Step::Failed) => return writer.write_all(&self.form.failure()).await,
            }
        }
    }

    /// Leaves the socket to the stream if the client has everything that was published.
    fn fed(&self, writer: &Writer) -> Option<Arc<Outlet>> {
        let Writer::Shared(outlet) = writer else { return None };
        let next = self.follow.caught_up()?;
        outlet.feed(next, &self.stream.ring).then(|| Arc::clone(outlet))
    }

    async fn event(&mut self, outlet: Option<&Outlet>) -> Event {
        let stuck = async {
            match outlet {
                Some(outlet) => outlet.stuck().await,
                None => pending().await,
            }
        };
        let answer = async {
            match &mut self.answers {
                Some(answers) => answers.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = stuck => Event::Stuck,
            answer = answer => answer.map_or(Event::Gone, Event::Answer),
            step = self.follow.next(), if outlet.is_none() => Event::Step(step),
            () = stopped(&mut self.stopping), if outlet.is_some() => Event::Stopping,
            () = next_beat(&mut self.beats) => Event::Beat,
        }
    }

    /// Takes the socket back, and writes what is left of what the stream wrote.
    async fn go_on(&mut self, writer: &mut Writer) -> io::Result<()> {
        let Writer::Shared(outlet) = writer else { return Ok(()) };
        let Some(Left { rest, next }) = outlet.take() else { return Ok(()) };
        self.follow.go_on(next);
        outlet.write_all(&rest).await
    }

    fn beat(&self) -> Bytes {
        let moment = self.stream.moment(self.form.transport());
        self.heartbeat.map(|heartbeat| self.form.beat(&heartbeat, &moment)).unwrap_or_default()
    }
}

/// Reads what a client says, without looking at it; ends once the connection breaks, or once it says nothing more, unless
/// it `may_listen` on.
async fn gone(mut incoming: Incoming, may_listen: bool) {
    let mut said = [0; 64];
    loop {
        match incoming.read(&mut said).await {
            Ok(0) if may_listen => return incoming.broken().await,
            Ok(1..) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_says_nothing_more_may_listen_until_it_has_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accepted = async || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            (client, plain(socket))
        };
        let (mut client, (_wire, incoming)) = accepted().await;
        client.shutdown().await.unwrap();
        let mut listening = std::pin::pin!(gone(incoming, true));
        assert!(timeout(Duration::from_millis(200), &mut listening).await.is_err(), "it may listen");
        // What the system finds out by its probes, too.
        client.set_zero_linger().unwrap();
        drop(client);
        timeout(Duration::from_secs(10), listening).await.unwrap();
        // Whoever does not listen has gone at once.
        let (mut client, (_wire, incoming)) = accepted().await;
        client.shutdown().await.unwrap();
        timeout(Duration::from_secs(10), gone(incoming, false)).await.unwrap();
    }
}
