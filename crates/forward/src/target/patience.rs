//! How long is waited after a failure, and how often a thing is offered that is refused.

use std::time::Duration;

use taffrail_record::Timestamp;

/// Pauses after failures: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// What a server refuses is offered so often before it is given up.
pub(super) const TRIES: u32 = 3;

/// The patience with one target.
#[derive(Debug)]
pub(super) struct Patience {
    pause: Duration,
    /// Of this entry something was refused so often.
    refused: (u64, u32),
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: PAUSES[0], refused: (0, 0) }
    }
}

impl Patience {
    /// Something was taken.
    pub(super) fn renew(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing has failed since something was taken.
    pub(super) fn is_fresh(&self) -> bool {
        self.pause == PAUSES[0]
    }

    /// Something of an entry was refused; true if that is to be given up.
    pub(super) fn is_over(&mut self, sequence: u64) -> bool {
        let (of, tries) = self.refused;
        let tries = if of == sequence { tries + 1 } else { 1 };
        let is_over = tries >= TRIES;
        self.refused = (sequence, if is_over { 0 } else { tries });
        is_over
    }

    /// How long to wait now: longer from failure to failure, and at least as long as the server asks.
    pub(super) fn wait(&mut self, asked: Option<Duration>, now: Timestamp) -> Duration {
        let wait = jittered(self.pause, now);
        self.pause = (self.pause * 2).min(PAUSES[1]);
        asked.unwrap_or_default().max(wait)
    }
}

/// Half to all of a pause: many agents do not come back at once.
fn jittered(pause: Duration, now: Timestamp) -> Duration {
    let share = now.0.rem_euclid(1_000_003) as f64 / 1_000_003.0;
    pause.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_no_server_makes_them_shorter() {
        let mut patience = Patience::default();
        let mut last = Duration::ZERO;
        for at in 0..20 {
            let wait = patience.wait(Some(Duration::ZERO), Timestamp(0));
            assert!(wait >= PAUSES[0] / 2 && wait >= last && wait <= PAUSES[1], "{at}: {wait:?}");
            last = wait;
        }
        assert_eq!((last, patience.is_fresh()), (PAUSES[1] / 2, false));
        assert_eq!(patience.wait(Some(Duration::from_secs(77)), Timestamp(0)), Duration::from_secs(77));
        patience.renew();
        assert!(patience.is_fresh() && patience.wait(None, Timestamp(1_000_002)) <= PAUSES[0]);
    }

    #[test]
    fn each_thing_is_offered_three_times() {
        let mut patience = Patience::default();
        let offers = [7, 7, 8, 8, 8, 8, 8, 8].map(|sequence| patience.is_over(sequence));
        assert_eq!(offers, [false, false, false, false, true, false, false, true]);
    }
}
