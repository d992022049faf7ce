//! What the server stands on: the seams that the program fills.

use std::path::PathBuf;
use std::sync::Arc;

use taffrail_record::Timestamp;
use taffrail_store::engine::Engine;

use crate::api::{Problem, Source};
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::live::LiveHub;
use crate::streams::Overview;

/// Everything that requests are answered from.
#[derive(Clone)]
pub struct Services {
    /// Answers questions about stored records.
    pub engine: Arc<dyn Engine>,
    /// Stores pushed lines.
    pub ingest: Arc<dyn Ingest>,
    /// Tells what is followed.
    pub sources: Arc<dyn Sources>,
    /// New records, as they come.
    pub live: LiveHub,
    /// The streams that are served.
    pub streams: Overview,
    /// The time.
    pub clock: fn() -> Timestamp,
    /// Facts that do not change while the program runs.
    pub info: Info,
    /// Who may ask: the names that a request's `Host` may carry.
    pub hosts: Hosts,
    /// What a request may cost.
    pub limits: Limits,
}

/// Facts that do not change while the program runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Info {
    /// The program's version.
    pub version: String,
    /// Where records are stored.
    pub data_dir: PathBuf,
    /// When the program started.
    pub started: Timestamp,
    /// Days that records are kept; 0: for ever.
    pub retention_days: u32,
}

/// Takes pushed lines.
pub trait Ingest: Send + Sync {
    /// Stores the lines; blocks until they are durable (fsync) and visible to queries.
    fn push(&self, push: Push) -> Result<Receipt, IngestError>;
}

/// Lines that a client pushed together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// The listener's name: `http:leveredge`, `http:NAME`.
    pub source: String,
    /// The service of lines that name none.
    pub service: Option<String>,
    /// The lines, each but the last with its newline.
    pub bytes: Vec<u8>,
}

/// What became of pushed lines: they are durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// Records stored.
    pub records: u64,
}

/// Why pushed lines were not stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IngestError {
    /// There is no space; there will be, or somebody makes some.
    #[error("{0}")]
    Full(String),
    /// The store takes nothing: a write or sync failed.
    #[error("{0}")]
    Refused(String),
    /// The program is shutting down.
    #[error("the program is shutting down; send it again in a moment")]
    Stopped,
}

/// Tells what is followed.
pub trait Sources: Send + Sync {
    /// Every source, by name; without its gaps, which the store knows.
    fn sources(&self) -> Vec<Source>;

    /// What is wrong.
    fn health(&self) -> Health;
}

/// What is wrong, the worst first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Lines are there and are not read.
    pub problems: Vec<Problem>,
    /// What somebody should know and perhaps wants so.
    pub warnings: Vec<Problem>,
}
