//! The word index of a segment: which granules may hold a word, asked before any Parquet is read.
//!
//! A granule is [`GRANULE_ROWS`] consecutive rows. Each has a Bloom filter of its words. The filters of a row
//! group are stored bucket by bucket, so that one word is answered for all granules of the group by reading
//! one short run of bytes ([`filter`]). Beside them stand each granule's bounds and the segment's
//! summary ([`file`]).

pub mod file;
pub mod filter;
pub mod summary;
pub mod word;

/// Rows of a granule: the unit that a query reads or skips.
pub const GRANULE_ROWS: usize = 8_192;

/// Rows of a full row group.
pub const ROW_GROUP_ROWS: usize = 8 * GRANULE_ROWS;
