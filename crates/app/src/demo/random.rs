//! Numbers that look random and are the same for the same seed.

/// A xorshift64* generator; good enough to invent traffic.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        // All zeros is the one state that it never leaves.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from `low` on, below `high`.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 16) % (high - low).max(1)
    }

    /// True this many times in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.range(0, 1000) < per_mille
    }

    /// One of the items.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.range(0, items.len() as u64) as usize]
    }

    /// How often something happens whose mean is `milli` / 1000: that number, rounded by chance.
    pub(super) fn count(&mut self, milli: u64) -> u64 {
        milli / 1000 + u64::from(self.chance(milli % 1000))
    }

    /// Milliseconds as latencies are: mostly near `usual`, now and then much more.
    pub(super) fn latency(&mut self, usual: u64) -> u64 {
        let base = self.range(usual / 2, usual * 2);
        if self.chance(30) { base * self.range(3, 12) } else { base }
    }
}
