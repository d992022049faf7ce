//! A moment in time as the whole program counts it.

/// Nanoseconds since 1970-01-01T00:00:00 UTC; years 1678 to 2261.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Nanoseconds in a second.
    pub const SECOND: i64 = 1_000_000_000;

    /// From whole seconds and the nanoseconds after them; `None` where 64 bits do not reach.
    pub fn from_seconds(seconds: i64, nanoseconds: u32) -> Option<Self> {
        seconds.checked_mul(Self::SECOND)?.checked_add(i64::from(nanoseconds)).map(Self)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }
}
