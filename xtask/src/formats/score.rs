//! How many of the lines became what they should.

use std::fmt;

/// One figure.
#[derive(Debug)]
pub(super) struct Score {
    what: String,
    right: usize,
    all: usize,
    must: f64,
    aim: f64,
    /// The lines that did not, and why.
    pub(super) misses: Vec<String>,
}

impl Score {
    pub(super) fn new(what: impl Into<String>, must: f64, aim: f64) -> Self {
        Self { what: what.into(), right: 0, all: 0, must, aim, misses: Vec::new() }
    }

    /// Counts a line; `miss` says what is wrong with it.
    pub(super) fn count(&mut self, right: bool, miss: impl FnOnce() -> String) {
        self.all += 1;
        if right {
            self.right += 1;
        } else {
            self.misses.push(miss());
        }
    }

    /// Whether the must is reached.
    pub(super) fn holds(&self) -> bool {
        self.share() >= self.must
    }

    #[expect(clippy::cast_precision_loss, reason = "no data set has so many lines that it shows")]
    fn share(&self) -> f64 {
        if self.all == 0 { 0.0 } else { self.right as f64 * 100.0 / self.all as f64 }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.share();
        let verdict = match share {
            _ if share >= self.aim => "PASS, aim",
            _ if share >= self.must => "PASS",
            _ => "FAIL",
        };
        write!(
            f,
            "{:<34} {:>6} {share:>6.2}% {:>6}% {:>6}% {verdict}",
            self.what, self.all, self.must, self.aim
        )
    }
}
