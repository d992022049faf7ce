//! How all streams stand at a moment: for the console and for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Stream;

/// The streams that are served, to be looked at.
#[derive(Clone, Default)]
pub struct Overview(Vec<Arc<Stream>>);

/// How one stream stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    pub(crate) name: String,
    /// Files that it shows and that are followed.
    pub(crate) watched: usize,
    /// Entries that were shown.
    pub(crate) entries: u64,
    /// Entries that nobody was shown.
    pub(crate) dropped: u64,
    /// Entries that single clients were too slow for.
    pub(crate) missed: u64,
    /// To all clients together.
    pub(crate) sent_entries: u64,
    pub(crate) sent_bytes: u64,
    /// Who was turned away.
    pub(crate) http_refused: u64,
    pub(crate) tcp_refused: u64,
    pub(crate) http_clients: usize,
    pub(crate) socket_clients: usize,
    pub(crate) tcp_clients: usize,
    /// Entries that the client that lags most was not sent yet.
    pub(crate) lag: u64,
}

impl Overview {
    pub(super) fn of(streams: &[Arc<Stream>]) -> Self {
        Self(streams.to_vec())
    }

    /// Each stream, in the order of the config.
    pub(crate) fn standings(&self) -> impl Iterator<Item = Standing> {
        self.0.iter().map(|stream| Standing {
            name: stream.config.name.clone(),
            watched: stream.watchers.count(),
            entries: stream.ring.published(),
            dropped: stream.dropped.load(Ordering::Relaxed),
            missed: stream.missed.load(Ordering::Relaxed),
            sent_entries: stream.sent_entries.load(Ordering::Relaxed),
            sent_bytes: stream.sent_bytes.load(Ordering::Relaxed),
            http_refused: stream.http_guard.refused.load(Ordering::Relaxed),
            tcp_refused: stream.tcp_guard.refused.load(Ordering::Relaxed),
            http_clients: stream.http_clients.load(Ordering::Relaxed),
            socket_clients: stream.socket_clients.load(Ordering::Relaxed),
            tcp_clients: stream.tcp_clients.load(Ordering::Relaxed),
            lag: stream.seats.lag(stream.ring.published()),
        })
    }

    /// The lines of LogWisp's console, after the time; none without streams.
    pub fn console(&self) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![format!("Active streams: {}", self.0.len())];
        for Standing { name, watched, entries, tcp_clients, http_clients, socket_clients, .. } in
            self.standings()
        {
            let counts = format!("watchers={watched} entries={entries}");
            let http_clients = http_clients + socket_clients;
            lines.push(format!("  {name}: {counts} tcp_conns={tcp_clients} http_conns={http_clients}"));
        }
        lines
    }
}
