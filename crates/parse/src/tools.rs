//! What all formats need to read a line, kept between lines for its allocations.

use crate::clock::Clock;
use crate::formats::{Columns, Preferred};
use crate::member::Members;
use crate::pattern::Found;

/// The clock, and room for what is found.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) clock: Clock,
    pub(crate) members: Members,
    pub(crate) found: Found<'static>,
    /// What the header says that the lines stand under.
    pub(crate) columns: Columns,
    /// The format that the source's lines are in, as far as seen.
    pub(crate) preferred: Option<Preferred>,
}

impl Tools {
    /// For lines whose times are in this zone, in minutes east of UTC, where they name none.
    pub(crate) fn new(offset_minutes: i16) -> Self {
        Self {
            clock: Clock::new(offset_minutes),
            members: Members::default(),
            found: Found::default(),
            columns: Columns::default(),
            preferred: None,
        }
    }
}
