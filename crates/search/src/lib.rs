//! The search language, and records found and counted by it.
//!
//! Owns: the grammar, index pruning, the scan, search, histogram, facets, context, raw export. Depends on:
//! record, store. Never: names DataFusion, so that what has to be fast is compiled on its own (design D12);
//! writes to the store. Start reading at [`search`].

mod aggregate;
mod arrivals;
mod attribute;
mod condition;
pub mod grammar;
mod matcher;
mod place;
mod prune;
mod rows;
mod scan;
mod search;
mod source_lines;
mod text;
mod value_test;

pub use aggregate::{facets, histogram};
pub use arrivals::arrivals;
pub use matcher::ScanMatcher;
pub use scan::{Part, Scan, store_error};
pub use search::search;
pub use source_lines::{context, export};
