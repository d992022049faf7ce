//! Who watches a stream, and how each of them stands.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use serde::Serialize;

use super::Stream;

/// Clients that are told of at a status path, those that lag most.
const TOLD: usize = 100;

/// How a client watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Events,
    Socket,
    Tcp,
}

impl Transport {
    /// As `/metrics` and the status path call it.
    fn name(self) -> &'static str {
        match self {
            Self::Events => "http",
            Self::Socket => "websocket",
            Self::Tcp => "tcp",
        }
    }

    /// How many of a stream's clients watch so.
    pub(super) fn count(self, stream: &Stream) -> &AtomicUsize {
        match self {
            Self::Events => &stream.http_clients,
            Self::Socket => &stream.socket_clients,
            Self::Tcp => &stream.tcp_clients,
        }
    }
}

/// What a client was sent.
#[derive(Debug)]
struct Figures {
    transport: Transport,
    since: Instant,
    entries: AtomicU64,
    bytes: AtomicU64,
    missed: AtomicU64,
    /// How far it is in all that was published.
    next: AtomicU64,
    /// Whether it is given what it missed while it was away.
    is_catching_up: AtomicBool,
    /// Entries that it may lag by.
    buffer: u64,
}

/// The seats of a stream that are taken.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Vec<Weak<Figures>>>);

/// A client's seat; it is given up by dropping it.
pub(super) struct Seat {
    stream: Arc<Stream>,
    figures: Arc<Figures>,
}

impl Seat {
    /// For a client that may lag by `buffer` entries.
    pub(super) fn take(stream: &Arc<Stream>, transport: Transport, buffer: usize) -> Self {
        transport.count(stream).fetch_add(1, Ordering::Relaxed);
        let number = |number: u64| AtomicU64::new(number);
        let figures = Arc::new(Figures {
            transport,
            since: Instant::now(),
            entries: number(0),
            bytes: number(0),
            missed: number(0),
            next: number(stream.ring.published()),
            is_catching_up: AtomicBool::new(false),
            buffer: buffer as u64,
        });
        let mut seats = stream.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Now and then, so that who has gone costs nothing.
        if seats.len() == seats.capacity() {
            seats.retain(|seat| seat.strong_count() > 0);
        }
        seats.push(Arc::downgrade(&figures));
        Self { stream: Arc::clone(stream), figures }
    }

    /// Notes what is sent: so many entries, with which it is so far in all that was published; `None`: they are older.
    pub(super) fn sends(&self, count: u64, bytes: usize, until: Option<u64>) {
        let Figures { entries, bytes: all, next, .. } = &*self.figures;
        entries.fetch_add(count, Ordering::Relaxed);
        all.fetch_add(bytes as u64, Ordering::Relaxed);
        until.map(|until| next.fetch_max(until, Ordering::Relaxed));
        self.stream.sent_entries.fetch_add(count, Ordering::Relaxed);
        self.stream.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes whether what comes next for it comes from the store.
    pub(super) fn catches_up(&self, does: bool) {
        self.figures.is_catching_up.store(does, Ordering::Relaxed);
    }

    /// Notes that it has what it missed, and is so far in all that was published.
    pub(super) fn reaches(&self, next: u64) {
        self.figures.next.fetch_max(next, Ordering::Relaxed);
        self.catches_up(false);
    }

    /// Notes entries that it was too slow for.
    pub(super) fn misses(&self, count: u64) {
        self.figures.missed.fetch_add(count, Ordering::Relaxed);
    }
}

impl Figures {
    /// Entries that it has lost already, and will learn of when it reads on.
    fn overflow(&self, published: u64) -> u64 {
        let lag = published.saturating_sub(self.next.load(Ordering::Relaxed));
        if self.is_catching_up.load(Ordering::Relaxed) { 0 } else { lag.saturating_sub(self.buffer) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let overflow = self.figures.overflow(self.stream.ring.published());
        self.stream.missed.fetch_add(overflow, Ordering::Relaxed);
        self.figures.transport.count(&self.stream).fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a client stands, as the status path tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Sitting {
    transport: &'static str,
    connected_seconds: u64,
    entries: u64,
    bytes: u64,
    dropped_entries: u64,
    /// Entries of those that came while it was there that it was not sent yet.
    lag_entries: u64,
    /// Whether it is given what it missed before that.
    catching_up: bool,
}

impl Seats {
    /// Whether somebody has not all of the first `next` entries yet, and does not lag by more than so many.
    pub(super) fn are_behind(&self, next: u64, lag_max: u64) -> bool {
        let seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lags = seats
            .iter()
            .filter_map(Weak::upgrade)
            // Who gets it from the store anyway is not waited for.
            .filter(|figures| !figures.is_catching_up.load(Ordering::Relaxed))
            .map(|figures| next.saturating_sub(figures.next.load(Ordering::Relaxed)));
        lags.any(|lag| lag > 0 && lag <= lag_max)
    }

    /// How many entries the one that lags most was not sent yet.
    pub(super) fn lag(&self, published: u64) -> u64 {
        let seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = seats.iter().filter_map(Weak::upgrade).map(|figures| figures.next.load(Ordering::Relaxed));
        next.min().map_or(0, |next| published.saturating_sub(next))
    }

    /// Those who lag most.
    pub(super) fn sitting(&self, published: u64) -> Vec<Sitting> {
        let seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let sitting = |figures: Arc<Figures>| Sitting {
            transport: figures.transport.name(),
            connected_seconds: figures.since.elapsed().as_secs(),
            entries: load(&figures.entries),
            bytes: load(&figures.bytes),
            dropped_entries: load(&figures.missed) + figures.overflow(published),
            lag_entries: published.saturating_sub(load(&figures.next)),
            catching_up: figures.is_catching_up.load(Ordering::Relaxed),
        };
        let mut all: Vec<Sitting> = seats.iter().filter_map(Weak::upgrade).map(sitting).collect();
        drop(seats);
        all.sort_by_key(|one| std::cmp::Reverse(one.lag_entries));
        all.truncate(TOLD);
        all
    }
}
