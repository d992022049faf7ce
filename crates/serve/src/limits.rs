//! What a request may cost: every bound of the server, by name, with its default.

use std::time::Duration;

use taffrail_http::connection::Bounds;

/// The bounds of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a request's body, after gzip is undone (default 16 MiB).
    pub body_bytes: usize,
    /// Bytes of a request's query string (default 16 KiB).
    pub query_bytes: usize,
    /// Time that a body may take to arrive (default 30 s), beside a second for each 4 KiB of it.
    pub body_time: Duration,
    /// Time that a query may take (default 30 s).
    pub query_time: Duration,
    /// Time that an export may take (default 1 h).
    pub export_time: Duration,
    /// Time that the reader of an export or a live stream may let it stand still (default 60 s).
    pub stall_time: Duration,
    /// Queries that run at a time (default 4).
    pub queries: usize,
    /// Queries that wait for their turn; more are refused (default 64).
    pub waiting: usize,
    /// Exports that run at a time; more are refused (default 2).
    pub exports: usize,
    /// Rows that an SQL answer can ask for (default 1,000,000).
    pub sql_rows: usize,
    /// Bytes of an SQL answer (default 32 MiB); one that would be larger is cut and says so.
    pub sql_bytes: usize,
    /// Live streams at a time (default 64).
    pub subscribers: usize,
    /// Time between the signs of life of a live stream (default 15 s).
    pub heartbeat: Duration,
    /// Connections at a time; more wait to be accepted (default 512).
    pub connections: usize,
    /// Time that a request's head may take to arrive (default 10 s).
    pub head_time: Duration,
    /// Time that open requests get at shutdown (default 5 s).
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            query_bytes: 16 << 10,
            body_time: Duration::from_secs(30),
            query_time: Duration::from_secs(30),
            export_time: Duration::from_secs(3600),
            stall_time: Duration::from_secs(60),
            queries: 4,
            waiting: 64,
            exports: 2,
            sql_rows: 1_000_000,
            sql_bytes: 32 << 20,
            subscribers: 64,
            heartbeat: Duration::from_secs(15),
            connections: 512,
            head_time: Bounds::default().head_time,
            drain_time: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// What the head of a request may cost.
    pub(crate) fn head(&self) -> Bounds {
        Bounds { head_time: self.head_time, head_bytes: Bounds::default().head_bytes + self.query_bytes }
    }
}
