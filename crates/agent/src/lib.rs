//! The agent of a machine: what Resolvix's clients find on it.
//!
//! Owns: the control API, the live lines that it opens and closes. Depends on: record, http, axum. Never: stores or searches;
//! both programs mount it. Start reading at [`control`] for what is asked and [`live`] and [`telemetry`] for what is
//! shown.

mod arguments;
mod config;
pub mod control;
mod door;
pub mod live;
mod run;
mod sink;
mod stopping;
pub mod telemetry;

pub use config::own_address;
pub use door::OpenError;
pub use run::run;
pub use stopping::Stopping;
