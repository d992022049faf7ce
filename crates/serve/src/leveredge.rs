//! The compatible API of the LeverEdge log aggregation system: its paths, parameters, limits and error
//! bodies, answered from the store.

mod agent;
pub(crate) mod document;
mod entry;
mod highlight;
pub(crate) mod ingest;
mod json_error;
pub(crate) mod query;
mod refusal;
pub(crate) mod stats;
mod validation;

pub(crate) use refusal::Refusal;
