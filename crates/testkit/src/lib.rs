//! What the tests and the benchmarks of all crates lean on: a clock moved by hand, a folder that goes away,
//! a strict reader of metrics, a program that logs under the real `logrotate`, and the real program, started,
//! asked and killed.
//!
//! Owns: nothing that ships. Depends on: no crate of ours. Never: a dependency outside `[dev-dependencies]`,
//! except in `xtask`. Start reading at [`Daemon`].

mod clock;
mod daemon;
mod exposition;
mod http;
mod journal;
mod line_writer;
mod logrotate;
mod numbered;
mod program;
mod scratch;
mod skip;
mod wait;

pub use clock::ManualClock;
pub use daemon::{Daemon, DaemonBuilder};
pub use exposition::{Sample, Samples};
pub use http::{Client, Response, percent_encode};
pub use journal::{JournalEntry, append_journal};
pub use line_writer::{LineWriter, Reopens};
pub use logrotate::Logrotate;
pub use numbered::{Ledger, numbered_line, numbered_lines};
pub use program::Program;
pub use scratch::Scratch;
pub use skip::skip;
pub use wait::wait_until;
