//! `run --demo`: lively made-up traffic in files of its own, for machines that have nothing to show.
//!
//! A [`World`] invents lines for a span of time, the same ones for the same seed; a thread writes them.
//! Addresses and names are from the ranges that are reserved for documentation.

mod auth;
mod database;
mod files;
mod kernel;
mod random;
mod shop;
mod web;
mod worker;
mod world;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use taffrail_record::Timestamp;

use crate::clock::now;
use crate::config::{SourceConfig, ZoneChoice};
use files::Files;
use world::{TICK_NS, World};

/// How far back the invented history starts.
const HISTORY_NS: i64 = 15 * 60 * Timestamp::SECOND;
/// After a longer pause (the machine slept) what happened in between stays untold.
const PAUSE_MAX_NS: i64 = 60 * Timestamp::SECOND;
/// How long writing rests after a failure.
const REST: Duration = Duration::from_secs(5);

/// The running demo; ends when dropped.
pub(crate) struct Demo {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Demo {
    /// Where the demo of a data directory writes.
    pub(crate) fn dir(data_dir: &Path) -> PathBuf {
        data_dir.join("demo")
    }

    /// What to follow to see it.
    pub(crate) fn source(data_dir: &Path) -> SourceConfig {
        let paths = vec![Self::dir(data_dir).join("*.log").display().to_string()];
        SourceConfig { paths, zone: ZoneChoice::Offset(0), ..SourceConfig::with_defaults() }
    }

    /// Writes 15 minutes of history (less if an earlier demo wrote some of it) and then goes on live, in a thread.
    ///
    /// # Errors
    /// The demo directory or a file in it cannot be written.
    pub(crate) fn start(data_dir: &Path, seed: u64) -> anyhow::Result<Self> {
        let mut files = Files::open(&Self::dir(data_dir)).context("open the demo's files")?;
        let now = now();
        let start = files.last_written().unwrap_or_default().max(Timestamp(now.0 - HISTORY_NS));
        let mut world = World::new(seed ^ start.0.unsigned_abs(), start);
        write_until(&mut world, &mut files, now).context("write the demo's history")?;
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new().name("demo".to_owned());
        let thread =
            thread.spawn(move || live(&mut world, &mut files, &stopped)).context("start the demo")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The thread sees its channel close.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A demo that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

fn live(world: &mut World, files: &mut Files, stopped: &Receiver<()>) {
    let tick = Duration::from_nanos(TICK_NS.unsigned_abs());
    let mut pause = tick;
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let now = now();
        if now.0 - world.now().0 > PAUSE_MAX_NS {
            world.skip_to(now);
        }
        pause = match write_until(world, files, now) {
            Ok(()) => tick,
            Err(error) => {
                tracing::warn!("the demo cannot write: {error}; it tries again");
                REST
            }
        };
    }
}

fn write_until(world: &mut World, files: &mut Files, end: Timestamp) -> std::io::Result<()> {
    while world.now() < end {
        files.write(&world.tick())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
