//! What the tests and the benchmarks of all crates lean on: a clock moved by hand, a folder that goes away,
//! and the real program, started, asked and killed.
//!
//! Owns: nothing that ships. Depends on: no crate of ours. Never: a dependency outside `[dev-dependencies]`,
//! except in `xtask`. Start reading at [`Daemon`].

mod clock;
mod daemon;
mod http;
mod journal;
mod scratch;
mod wait;

pub use clock::ManualClock;
pub use daemon::{Daemon, DaemonBuilder};
pub use http::{Client, Response, percent_encode};
pub use journal::{JournalEntry, append_journal};
pub use scratch::Scratch;
pub use wait::wait_until;
