//! Which records of a live stream are shown, where they come faster than their reader wants.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Time over which the rate is kept.
const WINDOW: Duration = Duration::from_secs(1);

/// The data of a `sampled` event: of what came within about a second, so much was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SampledNotice {
    /// Records that matched.
    pub matched: u64,
    /// Of these, those that were shown.
    pub shown: u64,
}

/// Takes so many records a second, spread evenly over those that come: each second as the one before suggests.
#[derive(Debug)]
pub(super) struct Sampler {
    per_second: u64,
    began: Instant,
    matched: u64,
    shown: u64,
    /// One of so many is shown.
    each: u64,
}

impl Sampler {
    pub(super) fn new(per_second: u64, now: Instant) -> Self {
        Self { per_second: per_second.max(1), began: now, matched: 0, shown: 0, each: 1 }
    }

    /// What became of the second that is over, if a record was left out of it. To be asked before each record.
    pub(super) fn notice(&mut self, now: Instant) -> Option<SampledNotice> {
        if now.saturating_duration_since(self.began) < WINDOW {
            return None;
        }
        let (matched, shown) = (self.matched, self.shown);
        self.each = matched.div_ceil(self.per_second).max(1);
        (self.began, self.matched, self.shown) = (now, 0, 0);
        (shown < matched).then_some(SampledNotice { matched, shown })
    }

    /// How long it is until something is to be said of what was left out; `None`: nothing was.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let has_left_out = self.shown < self.matched;
        has_left_out.then(|| WINDOW.saturating_sub(now.saturating_duration_since(self.began)))
    }

    /// Whether the next record is shown.
    pub(super) fn takes(&mut self) -> bool {
        let is_next = self.matched.is_multiple_of(self.each) && self.shown < self.per_second;
        self.matched += 1;
        self.shown += u64::from(is_next);
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_spread_over_what_comes() {
        let start = Instant::now();
        let mut sampler = Sampler::new(10, start);
        let mut second = |number: u32, records: usize| {
            let notice = sampler.notice(start + WINDOW * number);
            let taken: Vec<usize> = (0..records).filter(|_| sampler.takes()).collect();
            (notice.map(|notice| (notice.matched, notice.shown)), taken.len(), taken.last().copied())
        };
        assert_eq!(second(0, 8), (None, 8, Some(7)));
        assert_eq!(second(1, 100), (None, 10, Some(9)), "the first of them, while nothing is known");
        assert_eq!(second(2, 100), (Some((100, 10)), 10, Some(90)));
        assert_eq!(second(3, 50), (Some((100, 10)), 5, Some(40)));
        assert_eq!(second(4, 8), (Some((50, 5)), 2, Some(5)));
        assert_eq!(second(5, 8), (Some((8, 2)), 8, Some(7)));
        assert_eq!(second(6, 0), (None, 0, None));
    }
}
