//! The agent of a machine: it follows its logs, measures it, sends both, and answers Resolvix's clients.
//!
//! Owns: the agent's arguments and file, its way from source to spool, and the control API with the live lines and samples
//! that it opens and closes, which both programs mount. Depends on: source, forward, telemetry, http. Never: parses, stores
//! or searches. Start reading at [`run()`] for the agent, and at [`control`] for what is asked.

mod arguments;
mod config;
pub mod control;
mod door;
mod followers;
pub mod live;
mod run;
mod running;
mod sink;
mod stopping;
pub mod telemetry;
mod unit;

pub use config::own_address;
pub use door::OpenError;
pub use run::run;
pub use stopping::Stopping;
