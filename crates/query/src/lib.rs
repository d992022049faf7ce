//! Questions about stored records, and their answers.
//!
//! Owns: the engine that answers everything about a store, and SQL. Depends on: record, store, search, DataFusion
//! (named here only). Never: writes to the store, knows HTTP. Start reading at [`StoreEngine`].

mod engine;
pub mod sql;

pub use engine::StoreEngine;
pub use taffrail_search::grammar::parse;
