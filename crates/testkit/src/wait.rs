//! Waiting for something to become true, with an end.

use std::time::{Duration, Instant};

/// How long to rest after the first look; longer after each.
const REST: Duration = Duration::from_millis(2);
/// The longest rest: who waits long must not keep busy what is waited for.
const MAX_REST: Duration = Duration::from_millis(100);

/// Looks at `condition` until it holds or `deadline` has passed, and says whether it held. It is looked at
/// once more at the end, so a slow machine fails only where the thing is really missing.
#[must_use]
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let (end, mut rest) = (Instant::now() + deadline, REST);
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(rest);
        rest = (rest + rest / 8).min(MAX_REST);
    }
    condition()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_becomes_true() {
        let mut looks = 0;
        let seen = wait_until(Duration::from_secs(10), || {
            looks += 1;
            looks == 3
        });
        assert!(seen);
        assert_eq!(looks, 3);
    }

    #[test]
    fn gives_up_at_the_deadline_after_at_least_one_look() {
        let mut looks = 0;
        assert!(!wait_until(Duration::ZERO, || {
            looks += 1;
            false
        }));
        assert_eq!(looks, 1);
    }
}
