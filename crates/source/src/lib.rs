//! Where lines come from: follows files through growth, rotation, truncation and restarts without losing one.
//!
//! Owns: discovery, file identity, cutting bytes into lines, checkpoints' content. Depends on: record.
//! Never: parses a line, stores anything, runs async code. Start reading at [`Tail`], which follows one path;
//! [`Follower`] is the thin thread around many of them. A [`SourceThread`] reads what is no file: a journal, a pipe.

mod config;
mod cut;
mod discover;
mod error;
mod fault;
mod file_limit;
mod follower;
mod heading;
mod identity;
mod journal;
mod mark;
mod open_file;
mod opened;
mod packing;
mod pattern;
mod pipe;
mod positioned;
mod reader;
mod refusal;
mod rotated;
mod rotation;
mod source_thread;
mod status;
mod tail;
mod watch;
mod watchdog;

pub use config::{Config, Limits, StartAt};
pub use discover::{Discovery, discover};
pub use error::{Error, Stopped};
pub use file_limit::raise_file_limit;
pub use follower::{Follower, Sink};
pub use identity::Identity;
pub use journal::{JournalConfig, JournalPlace, follow_journal};
pub use packing::{MAGIC_BYTES, Packing};
pub use pattern::source_name;
pub use pipe::{PipeConfig, PipePlace, STDIN, read_pipe};
pub use reader::{Fill, Reading, read_lines};
pub use rotation::{RotationSign, Rotations};
pub use source_thread::SourceThread;
pub use status::{SourceKind, SourceState, SourceStatus, StoppedAt};
pub use tail::{Now, Tail};
pub use watchdog::{Behind, Glance, Watchdog};
