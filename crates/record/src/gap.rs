//! What could not be read, counted: D3's loss ledger.

use crate::Timestamp;

/// Bytes of a source that are not in the store, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Offset in the source of the first missing byte.
    pub start: u64,
    /// Offset after the last missing byte.
    pub end: u64,
    /// When it was noticed.
    pub observed: Timestamp,
    /// Why it is missing.
    pub reason: GapReason,
}

/// Why bytes are missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum GapReason {
    /// The file was cut shorter or deleted before these bytes were read.
    TruncatedBeforeRead,
    /// The rest of a line that is longer than the limit.
    Oversize,
    /// A producer ran ahead of a bounded buffer.
    Overrun,
    /// Compressed bytes that do not decode.
    Decode,
    /// Stored bytes that were found damaged.
    Damaged,
    /// What a hub did not take from an agent, however often it was offered.
    Refused,
}

impl GapReason {
    /// The name in the `gaps` table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruncatedBeforeRead => "truncated before read",
            Self::Oversize => "oversize",
            Self::Overrun => "overrun",
            Self::Decode => "decode",
            Self::Damaged => "damaged",
            Self::Refused => "refused",
        }
    }
}
