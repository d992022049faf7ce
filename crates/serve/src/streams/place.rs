//! A line's place in the order in which lines arrived: what the ids of events say, so that a client that was away can
//! say where it was.

use std::fmt;
use std::str::FromStr;

use taffrail_store::engine::{Arrival, NoArrival};

/// A place among all lines that are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    /// The record's.
    pub(super) arrival: Arrival,
    /// Which of its lines, from 1 on; 0: before them.
    pub(super) line: u32,
}

impl Place {
    /// Before the record at `arrival`.
    pub(super) const fn before(arrival: Arrival) -> Self {
        Self { arrival, line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.arrival, self.line)
    }
}

impl FromStr for Place {
    type Err = NoArrival;

    fn from_str(text: &str) -> Result<Self, NoArrival> {
        let (arrival, line) = text.trim().rsplit_once('-').ok_or(NoArrival)?;
        Ok(Self { arrival: arrival.parse()?, line: line.parse().map_err(|_| NoArrival)? })
    }
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;

    use super::*;

    #[test]
    fn places_come_back_from_their_text() {
        for (observed, offset, line) in [(1_793_491_200_120_000_000, 4_711, 1), (-5, 0, 7), (0, u64::MAX, 0)]
        {
            let place = Place { arrival: Arrival { observed: Timestamp(observed), offset }, line };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "1", "1-2", "1-2-x", "a-2-3", "1--2", "1-2-99999999999", "1_793", "-"] {
            assert_eq!(text.parse::<Place>(), Err(NoArrival), "{text}");
        }
    }
}
