//! The thread of one pipe.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use taffrail_record::{Checkpoint, RawBatch, Timestamp};
use tracing::{info, warn};

use super::{PipeConfig, PipePlace};
use crate::cut::{Cutter, Found};
use crate::source_thread::Post;
use crate::{Limits, Sink, SourceState, Stopped};

/// What one read takes at most, and so what a kill can cost.
const READ_BYTES: usize = 64 * 1024;
/// After a wake-up, time for more to come: it waits in the pipe, where nothing can happen to it.
const COALESCE: Duration = Duration::from_millis(2);
/// How often the path is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a pipe that is no longer at its path must be quiet before it is left.
const LEFT_GRACE: Duration = Duration::from_secs(5);
/// What is still read when the source is to stop.
const LAST_BYTES: usize = 1 << 20;
/// The checkpoint's state: there is nothing to find again.
const STATE: &str = "pipe v1";

/// An open pipe.
struct Open {
    fd: OwnedFd,
    /// Device and inode; none for standard input.
    inode: Option<(u64, u64)>,
}

/// How a read ended.
enum Got {
    Bytes,
    Nothing,
    End,
}

pub(super) struct Worker {
    place: PipePlace,
    limits: Limits,
    source: Arc<str>,
    post: Arc<Post>,
    sink: Box<dyn Sink>,
    clock: fn() -> Timestamp,
    cutter: Cutter,
    /// The unfinished last line.
    partial: Vec<u8>,
    /// How much of it is known to hold no newline.
    scanned: usize,
    last_bytes: Instant,
}

impl Worker {
    pub(super) fn new(
        config: PipeConfig,
        offset: u64,
        lines: u64,
        post: Arc<Post>,
        sink: Box<dyn Sink>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let limits = config.limits.checked();
        let mut cutter = Cutter::new(&limits);
        (cutter.offset, cutter.lines) = (offset, lines);
        Self {
            source: config.place.source().into(),
            place: config.place,
            limits,
            post,
            sink,
            clock,
            cutter,
            partial: Vec::new(),
            scanned: 0,
            last_bytes: Instant::now(),
        }
    }

    pub(super) fn run(mut self) -> Result<(), Stopped> {
        while !self.post.stopping() {
            match self.open() {
                Ok(pipe) => {
                    self.set(SourceState::Following);
                    info!("reading {}", self.source);
                    self.read(pipe)?;
                    if self.place == PipePlace::Stdin && !self.post.stopping() {
                        self.set(SourceState::Ended);
                        return Ok(());
                    }
                }
                Err(state) => {
                    self.set(state);
                    self.post.wait(&[], LOOK_INTERVAL);
                }
            }
        }
        Ok(())
    }

    fn set(&self, state: SourceState) {
        let mut status = self.post.status();
        if status.state != state
            && let SourceState::Refused(reason) | SourceState::Failed(reason) = &state
        {
            warn!("{}: {reason}", self.source);
            status.last_error = Some(reason.clone());
        }
        status.state = state;
    }

    fn open(&self) -> Result<Open, SourceState> {
        let opened = match &self.place {
            PipePlace::Stdin => io::stdin().as_fd().try_clone_to_owned().map(|fd| Open { fd, inode: None }),
            PipePlace::Fifo(path) => open_fifo(path),
        };
        opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => SourceState::Missing,
            ErrorKind::InvalidInput => {
                SourceState::Refused("is no named pipe any more: start again".to_owned())
            }
            _ => SourceState::Failed(error.to_string()),
        })
    }

    /// Reads until the end of the pipe, or until it is to stop.
    fn read(&mut self, mut pipe: Open) -> Result<(), Stopped> {
        let mut look_at = Instant::now() + LOOK_INTERVAL;
        let mut full = false;
        self.last_bytes = Instant::now();
        while !self.post.stopping() {
            let now = Instant::now();
            if now >= look_at {
                look_at = now + LOOK_INTERVAL;
                if self.is_left(&pipe) {
                    return self.finish_line();
                }
            }
            let wait = self.finish_late(now)?.min(look_at.saturating_duration_since(now));
            if !full {
                if !self.post.wait(&[pipe.fd.as_fd()], wait) {
                    continue;
                }
                self.post.wait(&[], COALESCE);
            }
            let before = self.cutter.offset + self.partial.len() as u64;
            match self.read_once(&pipe)? {
                Got::Bytes | Got::Nothing => {}
                Got::End => {
                    self.finish_line()?;
                    // The next is opened before this one is closed: what is written meanwhile is kept.
                    match &self.place {
                        PipePlace::Stdin => return Ok(()),
                        PipePlace::Fifo(_) => match self.open() {
                            Ok(next) => pipe = next,
                            Err(_) => return Ok(()),
                        },
                    }
                }
            }
            full = self.cutter.offset + self.partial.len() as u64 - before >= READ_BYTES as u64;
        }
        self.read_last(&pipe)
    }

    /// Takes what stands in the pipe: nobody else will.
    fn read_last(&mut self, pipe: &Open) -> Result<(), Stopped> {
        let mut count = 0;
        while count < LAST_BYTES && self.post.wait(&[pipe.fd.as_fd()], Duration::ZERO) {
            match self.read_once(pipe)? {
                Got::Bytes => count += READ_BYTES,
                Got::Nothing | Got::End => break,
            }
        }
        self.finish_line()
    }

    /// Reads once and hands over the records that are complete.
    fn read_once(&mut self, pipe: &Open) -> Result<Got, Stopped> {
        let scanned = self.scanned;
        let mut arena = std::mem::take(&mut self.partial);
        let start = arena.len();
        arena.resize(start + READ_BYTES, 0);
        let result = rustix::io::read(&pipe.fd, &mut arena[start..]);
        arena.truncate(start + result.unwrap_or(0));
        if !matches!(result, Ok(1..)) {
            self.partial = arena;
            return Ok(match result {
                Err(Errno::AGAIN | Errno::INTR) => Got::Nothing,
                Ok(_) => Got::End,
                Err(error) => {
                    self.set(SourceState::Failed(format!("cannot read {}: {error}", self.source)));
                    Got::End
                }
            });
        }
        self.last_bytes = Instant::now();
        let observed = (self.clock)();
        let more = arena.len() - start == READ_BYTES;
        let mut found = Found::default();
        let rest = self.cutter.cut(&arena, 0, scanned, more, observed, &mut found);
        if found.lines.is_empty() && rest == 0 {
            // The line goes on: read on behind it instead of copying it.
            self.scanned = arena.len();
            self.partial = arena;
            return Ok(Got::Bytes);
        }
        self.partial = arena[rest..].to_vec();
        self.scanned = self.partial.len();
        self.hand_over(arena, found, observed)?;
        Ok(Got::Bytes)
    }

    /// Hands over what was held and has waited long enough; how long the rest may wait.
    fn finish_late(&mut self, now: Instant) -> Result<Duration, Stopped> {
        let quiet = now.duration_since(self.last_bytes);
        let mut wait = LOOK_INTERVAL;
        if self.cutter.holds_lines() {
            let left = self.limits.multiline_timeout.saturating_sub(quiet);
            if left.is_zero() {
                self.finish_lines()?;
            } else {
                wait = wait.min(left);
            }
        }
        if let Some(timeout) = self.limits.partial_line_timeout.filter(|_| !self.partial.is_empty()) {
            let left = timeout.saturating_sub(quiet);
            if left.is_zero() {
                self.finish_line()?;
            } else {
                wait = wait.min(left);
            }
        }
        Ok(wait)
    }

    /// The record that was held ends with the lines that are there.
    fn finish_lines(&mut self) -> Result<(), Stopped> {
        let mut arena = std::mem::take(&mut self.partial);
        let mut found = Found::default();
        let rest = self.cutter.finish_lines(0, &mut found);
        self.partial = arena.split_off(rest);
        self.scanned = self.partial.len();
        self.hand_over(arena, found, (self.clock)())
    }

    /// The unfinished line is handed over as it is: its writer is gone.
    fn finish_line(&mut self) -> Result<(), Stopped> {
        let arena = std::mem::take(&mut self.partial);
        self.scanned = 0;
        let observed = (self.clock)();
        let mut found = Found::default();
        self.cutter.finish(&arena, 0, observed, &mut found);
        self.hand_over(arena, found, observed)
    }

    fn hand_over(&mut self, bytes: Vec<u8>, found: Found, observed: Timestamp) -> Result<(), Stopped> {
        if found.lines.is_empty() && found.gaps.is_empty() {
            return Ok(());
        }
        let (offset, lines) = (self.cutter.offset, self.cutter.lines);
        let batch = RawBatch {
            source: Arc::clone(&self.source),
            observed,
            bytes,
            lines: found.lines,
            header: None,
            gaps: found.gaps,
            checkpoint: Checkpoint { offset, lines, state: STATE.to_owned() },
        };
        // What is read but not taken shows, as long as it lasts.
        self.post.status().lag_bytes = batch.bytes.len() as u64;
        self.sink.send(batch)?;
        let mut status = self.post.status();
        status.lag_bytes = 0;
        (status.offset, status.size, status.lines) = (offset, offset, lines);
        status.last_read = Some(observed);
        Ok(())
    }

    /// Whether another pipe, or nothing, has come to stand at the path, and this one is done.
    fn is_left(&self, pipe: &Open) -> bool {
        let (PipePlace::Fifo(path), Some(inode)) = (&self.place, pipe.inode) else { return false };
        let here = fs::metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == inode);
        !here && self.last_bytes.elapsed() > LEFT_GRACE
    }
}

/// Opens a named pipe; waits for no writer. `InvalidInput` if something else is there.
fn open_fifo(path: &Path) -> io::Result<Open> {
    let no_fifo = || io::Error::from(ErrorKind::InvalidInput);
    let found = fs::metadata(path)?;
    if !found.file_type().is_fifo() {
        return Err(no_fifo());
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.file_type().is_fifo() {
        return Err(no_fifo());
    }
    Ok(Open { fd: file.into_parts().0.into(), inode: Some((metadata.dev(), metadata.ino())) })
}
