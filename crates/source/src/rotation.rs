//! Rotations, as they are told to whoever takes lines.

use std::fmt;

use crate::open_file::Seen;

/// What showed that the content of a path is another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotationSign {
    /// Another file stands at the path, or none.
    Replaced,
    /// The file was truncated or written anew.
    Truncated,
    /// The file was written anew at the same size or less, and was last written to before it was seen last.
    TimeReset,
    /// Reading stands far behind the file's end.
    BeyondEnd,
}

/// How far reading may stand behind a file's end without a sign.
const BEYOND_BYTES: u64 = 1024;

impl RotationSign {
    /// What showed that a file holds something else, of which so much was read: the first that applies.
    pub(crate) fn of_same_file(before: Seen, position: u64, now: Seen) -> Self {
        if now.size < before.size {
            Self::Truncated
        } else if now.modified < before.modified && now.size == before.size {
            Self::TimeReset
        } else if position > now.size.saturating_add(BEYOND_BYTES) {
            Self::BeyondEnd
        } else {
            // Only its content shows it: it was truncated, and has grown since.
            Self::Truncated
        }
    }
}

impl fmt::Display for RotationSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "inode change",
            Self::Truncated => "size decrease",
            Self::TimeReset => "modification time reset",
            Self::BeyondEnd => "position beyond file size",
        })
    }
}

/// Rotations of a source since it is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotations {
    /// How many there were.
    pub count: u64,
    /// How the last one showed.
    pub last: RotationSign,
}

impl Default for Rotations {
    fn default() -> Self {
        Self { count: 0, last: RotationSign::Replaced }
    }
}

impl Rotations {
    pub(crate) fn add(&mut self, sign: RotationSign) {
        *self = Self { count: self.count + 1, last: sign };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_record::Timestamp;

    #[test]
    fn the_first_sign_that_applies_is_told() {
        let seen = |size, time| Seen { size, modified: Timestamp(time) };
        for (position, now, expected) in [
            (5_000, seen(4_999, 5), "size decrease"),
            (5_000, seen(10, 20), "size decrease"),
            (5_000, seen(5_000, 9), "modification time reset"),
            (7_000, seen(5_000, 9), "modification time reset"),
            (7_000, seen(5_000, 20), "position beyond file size"),
            (6_024, seen(5_000, 20), "size decrease"),
            (5_000, seen(6_000, 5), "size decrease"),
        ] {
            let sign = RotationSign::of_same_file(seen(5_000, 10), position, now);
            assert_eq!(sign.to_string(), expected, "{position} {now:?}");
        }
        assert_eq!(RotationSign::Replaced.to_string(), "inode change");
    }
}
