//! The data directory: everything that Taffrail keeps is written and read here.
//!
//! Owns: WAL, memtable, segments, word index, catalog, compaction, retention. Depends on: record, arrow,
//! parquet, SQLite. Never: parses a line, knows a query language, uses an async runtime.
//! Start reading at [`engine`] for the seam to `query` and `serve`.

pub mod engine;
pub mod filter;
pub mod hit;
