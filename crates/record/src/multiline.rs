//! Which lines of a source are one record: whoever cuts the lines asks, whoever understands them answers.

use std::fmt::Debug;
use std::sync::Arc;

/// Says which lines belong together. Lines of one source that follow each other only; there is one for each source.
pub trait Multiline: Debug + Send + Sync {
    /// Whether `line` goes on with the record of the lines before it. `record` are these, the newlines between them
    /// included, without the last one.
    fn goes_on(&mut self, record: &[u8], line: &[u8]) -> bool;

    /// Whether `record` looks as if more of it were to come, so that it is worth waiting for a moment.
    fn is_open(&mut self, record: &[u8]) -> bool;

    /// The next lines stand under this header; see [`crate::header`]. Said again whenever it is another one.
    fn under(&mut self, _header: Option<&Arc<str>>) {}

    /// The same for another source, of which nothing is known yet.
    fn fresh(&self) -> Box<dyn Multiline>;
}
