//! The data directory: everything that Taffrail keeps is written and read here.
//!
//! Owns: WAL, memtable, segments, word index, catalog, the history of machines, compaction, retention. Depends on: record, arrow,
//! parquet, SQLite. Never: parses a line, knows a query language, uses an async runtime.
//! Start reading at [`Store`]; [`engine`] is the seam to `query` and `serve`.

mod align;
mod catalog;
mod columns;
mod compaction;
mod disk;
pub mod engine;
mod error;
pub mod filter;
pub mod history;
pub mod hit;
pub mod index;
mod json;
pub mod lock;
mod memtable;
pub mod schema;
pub mod segment;
mod store;
pub mod wal;

pub use catalog::StoredGap;
pub use columns::{from_batch, observe, observed};
pub use error::{Error, Result};
pub use history::History;
pub use store::append::{Append, Receipt, Refused};
pub use store::bulk::{Bulk, Encoded};
pub use store::{Access, Decode, Limits, Recovered, Snapshot, Store};
