//! The whole router over an engine in memory.

mod agents;
mod compatible;
pub(crate) mod fake;
mod native;
mod refusals;
mod standing;
mod streams;
