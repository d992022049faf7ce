//! Where lines come from: follows files through growth, rotation, truncation and restarts without losing one.
//!
//! Owns: discovery, file identity, cutting bytes into lines, checkpoints' content. Depends on: record.
//! Never: parses a line, stores anything, runs async code. Start reading at [`Tail`], which follows one path;
//! [`Follower`] is the thin thread around many of them. [`Journal`] and [`Pipe`] are sources that are no files.

mod config;
mod cut;
mod discover;
mod error;
mod fault;
mod follower;
mod identity;
mod journal;
mod mark;
mod open_file;
mod own_thread;
mod packing;
mod pattern;
mod pipe;
mod reader;
mod refusal;
mod rotated;
mod status;
mod tail;
mod watch;
mod watchdog;

pub use config::{Config, Limits, StartAt};
pub use discover::{Discovery, discover};
pub use error::{Error, Stopped};
pub use follower::{Follower, Sink};
pub use identity::Identity;
pub use journal::{Journal, JournalConfig, JournalPlace};
pub use packing::{MAGIC_BYTES, Packing};
pub use pattern::source_name;
pub use pipe::{Pipe, PipeConfig, PipePlace, STDIN};
pub use reader::{Fill, Reading, read_lines};
pub use status::{SourceKind, SourceState, SourceStatus, StoppedAt};
pub use tail::{Now, Tail};
pub use watchdog::{Behind, Glance, Watchdog};
