//! Follows everything that a set of patterns means, on one thread.

mod worker;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use taffrail_record::{Checkpoint, RawBatch, Timestamp};

use self::worker::Worker;
use crate::pattern::Patterns;
use crate::{Config, Error, Rotations, SourceStatus, Stopped};

/// Where batches go.
pub trait Sink: Send {
    /// Takes a batch; blocks while the queue is full, for the file is the buffer.
    ///
    /// # Errors
    /// [`Stopped`] if the pipeline takes no more; following ends.
    fn send(&mut self, batch: RawBatch) -> Result<(), Stopped>;

    /// A file was rotated: what is sent of it from now on stood after that, but for a last line without a newline. `rotations`
    /// counts this one.
    fn rotated(&mut self, source: &str, rotations: Rotations) {
        let _ = (source, rotations);
    }

    /// A file is read from now on, or no more: it is gone, or cannot be read. Told before the first of its lines is sent.
    fn following(&mut self, source: &str, is_followed: bool) {
        let _ = (source, is_followed);
    }
}

impl<F: FnMut(RawBatch) -> Result<(), Stopped> + Send> Sink for F {
    fn send(&mut self, batch: RawBatch) -> Result<(), Stopped> {
        self(batch)
    }
}

/// Follows files until it is stopped or dropped.
#[derive(Debug)]
pub struct Follower {
    patterns: Vec<String>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner both see.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    wake: OwnedFd,
    board: Mutex<BTreeMap<String, SourceStatus>>,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, BTreeMap<String, SourceStatus>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// Starts the thread `source`. `checkpoints` are what the store holds, by the source's name.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a pattern that is no glob, [`Error::Thread`] where the system gives no thread.
    pub fn spawn(
        config: Config,
        checkpoints: Vec<(String, Checkpoint)>,
        sink: Box<dyn Sink>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, Error> {
        let patterns = Patterns::new(&config.patterns, &config.exclude)?;
        let names = config.patterns.clone();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = wake.map_err(|error| Error::Thread(io::Error::from(error)))?;
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), wake, board: Mutex::default() });
        let worker = Worker::new(config, patterns, checkpoints, Arc::clone(&shared), sink, clock);
        let builder = std::thread::Builder::new().name("source".to_owned());
        let thread = builder.spawn(move || worker.run()).map_err(Error::Thread)?;
        Ok(Self { patterns: names, shared, thread: Some(thread) })
    }

    /// Every source, by name, refused ones included.
    pub fn status(&self) -> Vec<SourceStatus> {
        self.shared.board().values().cloned().collect()
    }

    /// The first `count` sources whose names come after `after`.
    pub fn status_after(&self, after: Option<&str>, count: usize) -> Vec<SourceStatus> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let board = self.shared.board();
        board
            .range::<str, _>((start, Bound::Unbounded))
            .take(count)
            .map(|(_, status)| status.clone())
            .collect()
    }

    /// What it was told to follow.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether the thread still reads; it ends when the sink says [`Stopped`].
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Reads nothing more, and waits until the thread has ended. A `send` that blocks must be let go by its queue.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // A full counter has woken it already.
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic there was our bug and has been printed; stopping goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
