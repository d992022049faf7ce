//! Reads what is written to standard input or a named pipe.
//!
//! A pipe gives its bytes once. They stay in it until there is room in the store, so that a writer waits rather
//! than loses; what was read and not yet stored when the process is killed is gone, one read's worth at most.

mod worker;

use std::path::PathBuf;

use taffrail_record::{Checkpoint, Timestamp};

use self::worker::Worker;
use crate::source_thread::SourceThread;
use crate::{Error, Limits, Sink, SourceKind, SourceState, SourceStatus, source_name};

/// The name of the source that is standard input.
pub const STDIN: &str = "stdin";

/// What is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PipePlace {
    /// Standard input, until it ends.
    Stdin,
    /// The named pipe at this path, as its writers come and go. Where nothing is yet, it is waited for.
    Fifo(PathBuf),
}

impl PipePlace {
    /// The source's name: `stdin`, or the pipe's absolute path.
    pub fn source(&self) -> String {
        match self {
            Self::Stdin => STDIN.to_owned(),
            Self::Fifo(path) => source_name(path),
        }
    }
}

/// What a [`Pipe`] reads.
#[derive(Clone, Debug)]
pub struct PipeConfig {
    /// What is read.
    pub place: PipePlace,
    /// Limits of lines; of a batch, one read's bytes are the limit.
    pub limits: Limits,
}

/// Reads a pipe until it is stopped, or standard input ends. `checkpoint` is what the store holds for the source: offsets
/// go on from there.
///
/// # Errors
/// [`Error::Thread`] where the system gives no thread.
pub fn read_pipe(
    config: PipeConfig,
    checkpoint: Option<&Checkpoint>,
    sink: Box<dyn Sink>,
    clock: fn() -> Timestamp,
) -> Result<SourceThread, Error> {
    let (offset, lines) = checkpoint.map_or((0, 0), |checkpoint| (checkpoint.offset, checkpoint.lines));
    let kind = match &config.place {
        PipePlace::Stdin => SourceKind::Stdin,
        PipePlace::Fifo(_) => SourceKind::Fifo,
    };
    let status = SourceStatus {
        offset,
        size: offset,
        lines,
        ..SourceStatus::new(config.place.source(), kind, SourceState::Missing)
    };
    SourceThread::spawn(status, move |post| {
        // Whoever stops it knows.
        let _ = Worker::new(config, offset, lines, post, sink, clock).run();
    })
}

#[cfg(test)]
mod tests;
