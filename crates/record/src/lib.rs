//! The vocabulary of Taffrail: what a log record, a batch of them, a severity and a checkpoint are.
//!
//! Owns: the types that every other crate speaks. Depends on: std only. Never: I/O, a clock, serialisation.
//! Start reading at [`LogBatch`]; [`layout`] explains how the original line stays recoverable for free.

mod attribute;
mod batch;
mod civil;
mod figure;
mod gap;
pub mod header;
pub mod layout;
mod multiline;
mod raw;
pub mod sample;
mod severity;
mod time_format;
mod timestamp;

pub use attribute::{Attribute, AttributeKind};
pub use batch::{BatchFull, LogBatch, LogRecord};
pub use civil::Civil;
pub use figure::{FIGURES, Figure, Figures};
pub use gap::{Gap, GapReason};
pub use multiline::Multiline;
pub use raw::{Checkpoint, RawBatch, RawLine, Span};
pub use sample::Sample;
pub use severity::Severity;
pub use time_format::{TimeFormat, Zone};
pub use timestamp::Timestamp;
