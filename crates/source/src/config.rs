//! What is followed, and every limit that following keeps to.

use std::sync::Arc;
use std::time::Duration;

use taffrail_record::Multiline;

/// Where an existing file is read from when it has no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StartAt {
    /// From its first byte.
    #[default]
    Beginning,
    /// From its last line's end: only what is appended from now on. Files that appear later are read whole.
    End,
    /// From the first line that starts in its last bytes, so many; from the last line if none starts there.
    /// Files that appear later are read whole.
    Last(u64),
}

/// What a [`crate::Follower`] follows.
#[derive(Clone, Debug)]
pub struct Config {
    /// Paths and globs (`**`, `*`, `?`, `[..]`, `{a,b}`); relative ones start at the current directory.
    pub patterns: Vec<String>,
    /// Paths and globs that are never followed, nor is anything below them.
    pub exclude: Vec<String>,
    /// Where files that exist at start and have no checkpoint are read from. Default: the beginning.
    pub start_at: StartAt,
    /// Files followed at most. Default 50,000.
    pub max_files: usize,
    /// Bytes of deleted files that are held open until they are read; above it the largest are given up, and become
    /// gaps. Default 1 GiB.
    pub max_deleted_bytes: u64,
    /// How often files are looked at where inotify cannot watch them. Default 250 ms.
    pub poll_interval: Duration,
    /// Limits of each file.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            max_files: 50_000,
            max_deleted_bytes: 1 << 30,
            poll_interval: Duration::from_millis(250),
            limits: Limits::default(),
        }
    }
}

/// Limits of one source.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A longer line keeps its first bytes; the rest becomes a gap. Lines that would make a longer record become the
    /// next one. Default 1 MiB, at most 1 GiB.
    pub max_line_bytes: usize,
    /// Says which lines are one record. Default: each line is one.
    pub multiline: Option<Arc<dyn Multiline>>,
    /// Lines of a record at most; more become the next one. Default 1,000.
    pub max_record_lines: u32,
    /// How long a record that may go on waits for more. Default 500 ms.
    pub multiline_timeout: Duration,
    /// Bytes read at once. Default 1 MiB, at most 1 GiB.
    pub batch_bytes: usize,
    /// After this time an unfinished last line is handed over as it is. Default: it is held until completed.
    pub partial_line_timeout: Option<Duration>,
    /// How long a replaced file must be quiet, once its successor has content, before it counts as finished: writers go
    /// on with the old file until they are told. Its successor waits no longer than that for one that is not quiet, which
    /// is read on beside it. Default 500 ms.
    pub rotation_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line_bytes: 1 << 20,
            multiline: None,
            max_record_lines: 1_000,
            multiline_timeout: Duration::from_millis(500),
            batch_bytes: 1 << 20,
            partial_line_timeout: None,
            rotation_grace: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// The same limits, within what a batch's 32-bit arena can hold.
    pub(crate) fn checked(mut self) -> Self {
        self.max_line_bytes = self.max_line_bytes.clamp(1, 1 << 30);
        self.batch_bytes = self.batch_bytes.clamp(1, 1 << 30);
        self
    }
}
