//! How long to wait for more once something came: reading every line by itself costs more than it gives, and many lines
//! cost less together.

use std::time::Duration;

/// After a wake-up while little comes.
const REST: Duration = Duration::from_millis(1);
/// The longest wait while much comes; who watches live sees that late.
const MAX_REST: Duration = Duration::from_millis(96);
/// So many bytes for each millisecond of the last wait are much.
const MUCH: usize = 2 << 10;

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
        let much = std::mem::take(&mut self.bytes) >= MUCH * self.rest.as_millis() as usize;
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
        let rests = [1, 2, 4, 8, 16, 32, 64, 96, 95, 1, 1].map(|much| rest(much * MUCH));
        assert_eq!(rests, [2, 4, 8, 16, 32, 64, 96, 96, 1, 2, 1]);
    }
}
