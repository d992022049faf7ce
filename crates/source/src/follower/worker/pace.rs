//! How long to wait for more once something came: reading every line by itself costs more than it gives, and many lines
//! cost less together.

use std::time::Duration;

/// After a wake-up while little comes.
const REST: Duration = Duration::from_millis(2);
/// The longest wait while much comes; who watches live sees that late.
const MAX_REST: Duration = Duration::from_millis(16);
/// So many bytes between two waits are much.
const MUCH: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Pace {
    rest: Duration,
    /// Bytes since the last wait.
    bytes: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { rest: REST, bytes: 0 }
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The time for the next wait: twice the last while much comes.
    pub(super) fn rest(&mut self) -> Duration {
        let much = std::mem::take(&mut self.bytes) >= MUCH;
        self.rest = if much { (self.rest * 2).min(MAX_REST) } else { REST };
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_while_much_comes() {
        let mut pace = Pace::new();
        let mut rest = |bytes| {
            pace.read(bytes);
            pace.rest().as_millis()
        };
        let rests = [100, MUCH, MUCH, MUCH, MUCH, 100, 0].map(&mut rest);
        assert_eq!(rests, [2, 4, 8, 16, 16, 2, 2]);
    }
}
