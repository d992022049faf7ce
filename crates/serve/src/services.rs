//! What the server stands on: the seams that the program fills.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taffrail_http::window::{Piece, Totals, Window};
use taffrail_record::{RawBatch, Sample, Timestamp};
use taffrail_store::History;
use taffrail_store::engine::Engine;
use taffrail_store::history::StoredSample;
use taffrail_telemetry::{Machine, envelope, figures};

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
    /// How Resolvix' clients stand who watch live lines.
    pub live_lines: Arc<dyn Fn() -> Totals + Send + Sync>,
    /// What machines are doing, and were.
    pub machines: Machines,
    /// The time.
    pub clock: fn() -> Timestamp,
    /// Facts that do not change while the program runs.
    pub info: Info,
    /// Who may ask: the names that a request's `Host` may carry.
    pub hosts: Hosts,
    /// What a request may cost.
    pub limits: Limits,
}

/// Machines: this one, and those whose samples come.
#[derive(Clone)]
pub struct Machines {
    /// The name of this one.
    pub node: String,
    /// This one, to be read; `None`: it is not wanted.
    pub machine: Option<Arc<Machine>>,
    /// What they were doing.
    pub history: Arc<History>,
    /// Samples as they come, as JSON.
    pub samples: Window<Arc<str>>,
    /// How long samples are told of one by one; older ones by the hour.
    pub keep_samples: Duration,
}

impl Machines {
    /// Samples, and bytes of them, that watchers may lag behind.
    const LIVE_CAPACITY: usize = 64;
    const LIVE_BYTES: usize = 16 << 20;

    /// With a history, without a machine.
    pub fn new(node: &str, history: Arc<History>, keep_samples: Duration) -> Self {
        let samples = Window::new(Self::LIVE_CAPACITY, Self::LIVE_BYTES);
        Self { node: node.to_owned(), machine: None, history, samples, keep_samples }
    }

    /// Puts a sample of this machine into the history and shows it to those who watch. Gives it as JSON.
    ///
    /// # Errors
    /// If it cannot be stored; it is shown all the same.
    pub fn record(&self, sample: &Sample) -> Result<String, taffrail_store::Error> {
        let envelope = envelope(sample, &self.node);
        let value = serde_json::from_str(&envelope).unwrap_or_default();
        let (node, time, figures) = (self.node.clone(), sample.time, figures(&value));
        self.keep(&[StoredSample { node, time, figures, envelope: envelope.clone() }])?;
        Ok(envelope)
    }

    /// Puts samples into the history and shows them to those who watch.
    ///
    /// # Errors
    /// If they cannot be stored; they are shown all the same.
    pub fn keep(&self, samples: &[StoredSample]) -> Result<(), taffrail_store::Error> {
        let piece = |sample: &StoredSample| {
            let value = Arc::<str>::from(sample.envelope.as_str());
            Piece { bytes: value.len(), count: 1, value }
        };
        if self.samples.readers() > 0 {
            self.samples.tell(samples.iter().map(piece));
        }
        self.history.insert(samples).map(drop)
    }
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

    /// Stores what an agent sends, each line once however often it comes; blocks until all of it is durable.
    fn take(&self, delivery: Delivery) -> Result<Receipt, IngestError>;
}

/// What an agent sends at a time.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The machine that it runs on.
    pub node: String,
    /// The name of its spool: with source and offset it is a line's identity.
    pub spool: String,
    /// Lines and losses; the latter have no lines but gaps. Each with the note on how the lines are to be parsed.
    pub batches: Vec<(RawBatch, String)>,
}

/// Lines that a client pushed together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// The listener's name: `http:leveredge`, `http:NAME`.
    pub source: String,
    /// The service of lines that name none.
    pub service: Option<String>,
    /// The machine of lines that name none; `None`: this one.
    pub node: Option<String>,
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
