//! Questions about stored records, and their answers.
//!
//! Owns: the search language, index pruning, search, counts, SQL. Depends on: record, store, DataFusion (named
//! here only). Never: writes to the store, knows HTTP. Start reading at [`StoreEngine`].

mod aggregate;
mod attribute;
mod condition;
mod engine;
pub mod grammar;
mod prune;
mod rows;
mod scan;
mod search;
mod source_lines;
pub mod sql;
mod text;

pub use engine::StoreEngine;
