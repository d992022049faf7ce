//! A clock that only moves when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Nanoseconds since 1970-01-01 UTC that stand still until they are moved; clones share the same hands.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now_ns: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `now_ns`.
    pub fn new(now_ns: i64) -> Self {
        Self { now_ns: Arc::new(AtomicI64::new(now_ns)) }
    }

    /// What the clock shows.
    pub fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::SeqCst)
    }

    /// Moves the clock forward and returns what it shows then; stops at the end of time instead of wrapping.
    pub fn advance(&self, by: Duration) -> i64 {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let before = self
            .now_ns
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by_ns)))
            .unwrap_or_else(|now| now);
        before.saturating_add(by_ns)
    }

    /// Sets the clock, backwards too: machines do that.
    pub fn set(&self, now_ns: i64) {
        self.now_ns.store(now_ns, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_by_hand_and_for_all_clones() {
        let clock = ManualClock::new(1_000);
        let same = clock.clone();
        assert_eq!(clock.now_ns(), 1_000);
        assert_eq!(same.advance(Duration::from_nanos(5)), 1_005);
        assert_eq!(clock.now_ns(), 1_005);
        clock.set(7);
        assert_eq!(same.now_ns(), 7);
    }

    #[test]
    fn stops_at_the_end_of_time() {
        let clock = ManualClock::new(i64::MAX - 1);
        assert_eq!(clock.advance(Duration::MAX), i64::MAX);
        assert_eq!(clock.now_ns(), i64::MAX);
    }
}
