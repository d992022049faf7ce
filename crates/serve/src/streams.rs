//! Streams: views of followed files for whoever connects, in LogWisp's forms.
//!
//! Lines come from the pipeline that stores them ([`Feed`]), are encoded once, written to whoever takes them at once
//! ([`outlet`]), and stand in a ring that all others read at a pace of their own ([`ring`], [`client`]). Each stream listens on
//! ports of its own: events over HTTP ([`http`]), lines of JSON over TCP ([`tcp`]).

mod client;
mod config;
mod entry;
mod feed;
mod follow;
mod form;
mod guard;
mod heartbeat;
mod http;
mod json;
mod outlet;
mod overview;
mod past;
mod place;
mod ring;
mod routed;
mod seat;
mod selection;
mod socket;
mod status;
mod tcp;
mod watchers;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use taffrail_http::listener::{self, Error};
use taffrail_record::Timestamp;
use taffrail_store::engine::{Engine, QueryError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::config::Opened;
pub use self::config::{
    AddressRange, BUFFER_DEFAULT, Heartbeat, HttpConfig, LimitBy, RateLimit, Rule, SelectionConfig,
    StreamConfig, Target, TcpConfig,
};
pub use self::feed::{Feed, Lines};
use self::guard::Guard;
use self::heartbeat::Moment;
use self::outlet::Outlets;
pub use self::overview::Overview;
pub(crate) use self::overview::Standing;
use self::past::{Page, Past};
use self::place::Place;
use self::ring::Ring;
use self::routed::Routed;
use self::seat::{Seat, Seats, Transport};
use self::selection::Selection;
use self::watchers::Watchers;
use crate::access::Access;
use crate::audit::Audit;
use crate::mistake::Mistake;
use crate::tls::Tls;

/// Clients of one port at a time; more wait to be accepted.
const CLIENTS_MAX: usize = 8192;
/// Time that clients get at most to catch up between the parts of a burst, and how often is looked whether they have. Only
/// while what waits to be shown costs no more than so many bytes: who is slower than what comes must not hold up the others.
const BEHIND_TIME: Duration = Duration::from_millis(20);
const BEHIND_PAUSE: Duration = Duration::from_millis(1);
const BACKLOG_CALM: usize = 32 << 20;
/// Time that clients get to take what was written to them when the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// One stream, while it is served.
#[derive(Debug)]
pub(crate) struct Stream {
    config: StreamConfig,
    ring: Arc<Ring>,
    /// Entries that were stored and that nobody was shown.
    dropped: AtomicU64,
    /// Of these, those that nobody was told of yet.
    untold: AtomicU64,
    /// Entries that single clients were too slow for.
    missed: AtomicU64,
    watchers: Watchers,
    /// When the last entry was read; 0: none was.
    last_entry: AtomicI64,
    /// Of event streams, of WebSockets, of TCP.
    http_clients: AtomicUsize,
    socket_clients: AtomicUsize,
    tcp_clients: AtomicUsize,
    seats: Seats,
    outlets: Outlets,
    /// To all clients together.
    sent_entries: AtomicU64,
    sent_bytes: AtomicU64,
    http_guard: Arc<Guard>,
    tcp_guard: Arc<Guard>,
    access: Access,
    selection: Arc<Selection>,
    http_tls: Option<Tls>,
    tcp_tls: Option<Tls>,
    started: Instant,
    /// The same by the clock.
    since: Timestamp,
    clock: fn() -> Timestamp,
    past: Arc<Past>,
    /// What all costs that waits to be shown, of all streams, in bytes.
    backlog: Arc<AtomicUsize>,
}

impl Stream {
    /// All that it shows comes after `floor`.
    ///
    /// # Errors
    /// All certificates, keys and passwords that cannot be used.
    fn open(
        config: StreamConfig,
        clock: fn() -> Timestamp,
        past: &Arc<Past>,
        floor: Place,
        audit: &Audit,
        backlog: &Arc<AtomicUsize>,
    ) -> Result<Self, Vec<Mistake>> {
        let Opened { access, http_tls, tcp_tls } = Opened::of(&config)?;
        let (http, tcp) = (config.http.as_ref(), config.tcp.as_ref());
        let buffers = [http.map(|http| http.buffer), tcp.map(|tcp| tcp.buffer)];
        let capacity = buffers.into_iter().flatten().max().unwrap_or(1);
        let guard = |server, limit| Guard::new(&config, server, limit, audit);
        let http_guard = guard("http", http.and_then(|http| http.limit.as_ref()));
        let tcp_guard = guard("tcp", tcp.and_then(|tcp| tcp.limit.as_ref()));
        let wrong = |error| vec![Mistake::new("filter", error)];
        let selection = Arc::new(Selection::open(&config.selection, past.engine()).map_err(wrong)?);
        Ok(Self {
            access,
            selection,
            http_tls,
            tcp_tls,
            ring: Ring::new(capacity, floor),
            config,
            dropped: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            watchers: Watchers::default(),
            last_entry: AtomicI64::new(0),
            http_clients: AtomicUsize::new(0),
            socket_clients: AtomicUsize::new(0),
            tcp_clients: AtomicUsize::new(0),
            seats: Seats::default(),
            outlets: Outlets::default(),
            sent_entries: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            http_guard,
            tcp_guard,
            started: Instant::now(),
            since: clock(),
            clock,
            past: Arc::clone(past),
            backlog: Arc::clone(backlog),
        })
    }

    /// Entries before a place are shown to nobody.
    fn lose(&self, entries: u64, until: Place) {
        self.ring.miss(until);
        self.dropped.fetch_add(entries, Ordering::Relaxed);
        self.untold.fetch_add(entries, Ordering::Relaxed);
    }

    /// Hands entries to all who watch; after them what was lost, where that was not said yet. Waits for those who are slow as
    /// long as `has_time`.
    async fn publish(&self, mut entries: Vec<entry::Entry>, has_time: impl Fn() -> bool) {
        let lost = self.untold.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("{lost} entries were dropped: they came faster than they can be shown");
            entries.push(entry::Entry::notice("WARN", &message, &self.config.name, (self.clock)()));
        }
        // Of very many only a part at a time: a burst overruns nobody who keeps up otherwise.
        let capacity = self.ring.capacity();
        let mut parts = entries.chunks(capacity.div_ceil(2)).peekable();
        while let Some(part) = parts.next() {
            let from = self.ring.published();
            self.ring.publish(part.iter().cloned());
            self.outlets.pour(from, part).await;
            let until = Instant::now() + BEHIND_TIME;
            let may_wait = || {
                let is_calm = self.backlog.load(Ordering::Relaxed) < BACKLOG_CALM;
                is_calm
                    && has_time()
                    && Instant::now() < until
                    && self.seats.are_behind(from, capacity as u64)
            };
            while parts.peek().is_some() && may_wait() {
                sleep(BEHIND_PAUSE).await;
            }
        }
    }

    /// Whoever watches.
    fn clients(&self) -> usize {
        let all = [&self.http_clients, &self.socket_clients, &self.tcp_clients];
        all.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// What it showed after a place, the next of it.
    async fn page(self: Arc<Self>, after: Place) -> Result<Arc<Page>, QueryError> {
        self.past.page(&self.config, &self.selection, after).await
    }

    /// How things stand for clients that watch so.
    fn moment(&self, transport: Transport) -> Moment {
        Moment {
            now: (self.clock)(),
            clients: transport.count(self).load(Ordering::Relaxed),
            uptime: self.started.elapsed(),
        }
    }

    /// What a client finds that comes back after so long that entries may have been deleted meanwhile.
    fn deletion(&self) -> entry::Entry {
        let message = "entries may be missing here: the oldest were deleted before this client came back";
        entry::Entry::notice("WARN", message, &self.config.name, (self.clock)())
    }

    /// What a client finds in the place of entries that it was too slow for.
    fn gap(&self, missed: u64) -> entry::Entry {
        self.missed.fetch_add(missed, Ordering::Relaxed);
        let message = format!("{missed} entries were dropped: this client reads too slowly");
        entry::Entry::notice("WARN", &message, &self.config.name, (self.clock)())
    }
}

/// The streams that are served.
pub struct Streams {
    streams: Vec<Arc<Stream>>,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// A stream that is not there.
#[derive(Debug)]
pub struct Refused {
    /// The stream's name.
    pub stream: String,
    /// Why: all that is wrong with its files, or the port that it cannot have.
    pub error: String,
}

/// A stream, and where it listens.
struct Listening {
    stream: Arc<Stream>,
    http: Option<TcpListener>,
    tcp: Option<TcpListener>,
}

impl Listening {
    /// Listens on both ports of a stream or on none: half a stream would look like one that works. `ports` are those that
    /// are listened on for HTTP; a router's answers for all streams that have it.
    fn of(stream: Stream, is_router: bool, ports: &mut Vec<u16>) -> Result<Self, Error> {
        let stream = Arc::new(stream);
        let port = stream.config.http.as_ref().map(|http| http.port);
        let own = port.filter(|port| !is_router || !ports.contains(port));
        let http = own.map(listener::listen_everywhere).transpose()?;
        let tcp = stream.config.tcp.as_ref().map(|tcp| listener::listen_everywhere(tcp.port)).transpose()?;
        ports.extend(own);
        Ok(Self { stream, http, tcp })
    }
}

impl Streams {
    /// Listens for all of them, on all addresses of the machine; those that cannot are given back, and the others go on.
    /// `is_router`: every port for HTTP answers for all streams, by their names.
    /// Must be called inside of a runtime.
    ///
    /// # Errors
    /// If no thread can be started, or the store does not answer.
    pub async fn start(
        configs: Vec<StreamConfig>,
        is_router: bool,
        clock: fn() -> Timestamp,
        engine: Arc<dyn Engine>,
        audit: &Audit,
    ) -> std::io::Result<(Self, Feed, Vec<Refused>)> {
        let past = Arc::new(Past::new(engine));
        let floor = past.end().map_err(std::io::Error::other)?;
        let (mut all, mut refused, mut ports) = (Vec::new(), Vec::new(), Vec::new());
        let backlog = Arc::<AtomicUsize>::default();
        for config in configs {
            let name = config.name.clone();
            let opened = Stream::open(config, clock, &past, floor, audit, &backlog).map_err(Mistake::list);
            let listen =
                |stream| Listening::of(stream, is_router, &mut ports).map_err(|error| error.to_string());
            match opened.and_then(listen) {
                Ok(listening) => all.push(listening),
                Err(error) => refused.push(Refused { stream: name, error }),
            }
        }
        let streams: Vec<_> = all.iter().map(|listening| Arc::clone(&listening.stream)).collect();
        let feed = Feed::spawn(streams.clone(), backlog)?;
        let routed = is_router.then(|| Routed::new(streams.clone()));
        let mut served = Self { streams, stopping: watch::Sender::new(false), tasks: JoinSet::new() };
        all.into_iter().for_each(|listening| served.serve(listening, routed.as_ref()));
        Ok((served, feed, refused))
    }

    fn serve(&mut self, Listening { stream, http, tcp }: Listening, routed: Option<&Arc<Routed>>) {
        if let Some(listener) = http {
            let (stream, stopping) = (Arc::clone(&stream), self.stopping.subscribe());
            self.tasks.spawn(http::serve(listener, stream, routed.cloned(), stopping));
        }
        if let Some(listener) = tcp {
            self.tasks.spawn(tcp::serve(listener, stream, self.stopping.subscribe()));
        }
    }

    /// To see how they stand.
    pub fn overview(&self) -> Overview {
        Overview::of(&self.streams)
    }

    /// Says good-bye to all clients.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        let streams = self.streams;
        streams.iter().for_each(|stream| stream.ring.end_all());
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN_TIME, ended).await.is_err() {
            tracing::warn!("clients of streams were still there at shutdown and are broken off");
        }
    }
}

/// Resolves once the program ends.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the streams are gone: the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
