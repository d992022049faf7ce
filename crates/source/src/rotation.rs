//! Rotations, as they are told to whoever takes lines.

use std::fmt;

/// What showed that the content of a path is another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotationSign {
    /// Another file stands at the path, or none.
    Replaced,
    /// The file was truncated or written anew.
    Truncated,
}

impl fmt::Display for RotationSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "inode change",
            Self::Truncated => "size decrease",
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
