//! Between an agent and who it sends to.
//!
//! Owns: the spool (a queue on the disk), entries on disk and wire, the threads that send to targets, what Resolvix' central
//! servers are told. Depends on: record, frame. Never: reads a log file, stores or searches. Start reading at [`Spool`] for what
//! is kept, at [`Target`] for how it is sent, at [`entry`] for the bytes.

pub mod entry;
pub mod line;
mod message;
mod peer;
mod resolvix;
mod spool;
mod target;

pub use message::{Message, keep_errors};
pub use peer::{Access, Unusable};
pub use resolvix::payload;
pub use spool::{Dropped, Fill, Reader, Spool};
pub use target::{Lines, Protocol, Standing, Target, TargetConfig};

/// The name of the journal as a source, or what it begins with before a colon. Files have absolute paths.
pub const JOURNAL: &str = "journal";

/// Where a hub takes entries, and says that it does.
pub const ENTRIES_PATH: &str = "/api/v1/agent/entries";
/// The headers of entries: who sends, with what, out of which spool, and when.
pub const NODE_HEADER: &str = "taffrail-node";
/// The sender's version.
pub const VERSION_HEADER: &str = "taffrail-version";
/// The spool's name.
pub const SPOOL_HEADER: &str = "taffrail-spool";
/// The sender's time, in nanoseconds since 1970.
pub const TIME_HEADER: &str = "taffrail-time";
