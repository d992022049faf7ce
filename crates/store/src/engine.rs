//! The seam between what asks (HTTP, command line) and what answers: the trait [`Engine`] and its vocabulary.
//!
//! All calls block; a caller on an async runtime moves them to a blocking thread. Every call takes a
//! [`Control`] and gives up within a fraction of a second once it is cancelled or past its deadline.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use taffrail_record::Timestamp;

use crate::StoredGap;
use crate::filter::Filter;
use crate::hit::Hit;

/// Answers questions about the stored records.
pub trait Engine: Send + Sync {
    /// Reads an expression of the search language; the empty expression is [`Filter::All`].
    fn parse(&self, expression: &str) -> Result<Filter, QueryError>;

    /// The newest matching records, newest first (or oldest first, see [`SearchRequest::order`]).
    fn search(&self, request: &SearchRequest, control: &Control) -> Result<SearchPage, QueryError>;

    /// Matching records in the order in which they arrived, the first of them first.
    fn arrivals(&self, request: &ArrivalsRequest<'_>, control: &Control) -> Result<Arrivals, QueryError>;

    /// Counts of matching records by time and severity.
    fn histogram(&self, request: &HistogramRequest, control: &Control) -> Result<Histogram, QueryError>;

    /// The most frequent values of fields among the matching records.
    fn facets(&self, request: &FacetRequest, control: &Control) -> Result<Vec<Facet>, QueryError>;

    /// The lines right before and after one line of a source, by offset.
    fn context(&self, request: &ContextRequest, control: &Control) -> Result<Context, QueryError>;

    /// Hands the raw lines of a source to `sink` in the order of their offsets, each with its newline where
    /// it had one: the bytes that were read. `Ok(false)` if the source is unknown.
    fn export_raw(
        &self,
        source: &str,
        control: &Control,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<bool, QueryError>;

    /// Runs one read-only SQL statement. `sink` gets the schema once, then batches of rows; `Break` ends
    /// the query without an error.
    fn sql(&self, statement: &str, control: &Control, sink: &mut dyn SqlSink) -> Result<(), QueryError>;

    /// A test for batches of new records, for live streams.
    fn matcher(&self, filter: &Filter) -> Result<Box<dyn Matcher>, QueryError>;

    /// What is stored.
    fn stats(&self) -> Result<Stats, QueryError>;

    /// What could not be read.
    fn gaps(&self) -> Result<Gaps, QueryError>;

    /// How storing gets on with the disk; cheap enough to be asked all the time.
    fn disk(&self) -> DiskStatus {
        DiskStatus::default()
    }
}

/// A place in the order in which records arrive: records of one batch share the time of reading, and are of one source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Arrival {
    /// When the record was read: see [`crate::Receipt::arrived`].
    pub observed: Timestamp,
    /// Its first byte's offset in the source.
    pub offset: u64,
}

impl Arrival {
    /// After all records that were read at `observed`.
    pub const fn end_of(observed: Timestamp) -> Self {
        Self { observed, offset: u64::MAX }
    }

    /// The place before this one.
    #[must_use]
    pub fn before(self) -> Self {
        match self.offset.checked_sub(1) {
            Some(offset) => Self { offset, ..self },
            None => Self::end_of(Timestamp(self.observed.0.saturating_sub(1))),
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.observed.0, self.offset)
    }
}

/// A text that stands for no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoArrival;

impl FromStr for Arrival {
    type Err = NoArrival;

    fn from_str(text: &str) -> Result<Self, NoArrival> {
        // The time may be before 1970 and begin with a minus.
        let (observed, offset) = text.trim().rsplit_once('-').ok_or(NoArrival)?;
        let observed = observed.parse().map(Timestamp).map_err(|_| NoArrival)?;
        Ok(Self { observed, offset: offset.parse().map_err(|_| NoArrival)? })
    }
}

/// Asks for records in the order in which they arrived.
pub struct ArrivalsRequest<'a> {
    /// The first place that counts.
    pub from: Arrival,
    /// What they must match.
    pub filter: &'a Filter,
    /// Whether a source's records count.
    pub wants: &'a (dyn Fn(&str) -> bool + Sync),
    /// Records in the answer; at least 1.
    pub limit: usize,
    /// Time after which the answer is what was found so far, if that is a step.
    pub patience: Duration,
}

impl ArrivalsRequest<'static> {
    /// Asks for nothing but where the store stands: all that arrives from now on comes after [`Arrivals::until`].
    pub fn end() -> Self {
        let from = Arrival::end_of(Timestamp(i64::MAX));
        Self { from, filter: &Filter::All, wants: &|_| false, limit: 1, patience: Duration::MAX }
    }
}

/// Records in the order in which they arrived.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrivals {
    /// The records.
    pub hits: Vec<Hit>,
    /// All that match and come before this place are among them, or come before the place that was asked for.
    pub until: Arrival,
    /// Whether that is where the store stands: there is no more.
    pub is_end: bool,
    /// Whether records have been deleted, for their age or for want of space, that may have been among them.
    pub has_deleted: bool,
}

/// Takes the rows of an SQL statement.
pub trait SqlSink {
    /// The columns; called once, before any rows.
    fn schema(&mut self, schema: &SchemaRef) -> ControlFlow<()>;
    /// Some rows.
    fn rows(&mut self, batch: &RecordBatch) -> ControlFlow<()>;
}

/// Picks the matching records out of a batch.
pub trait Matcher: Send + Sync {
    /// The matching records, in the batch's order.
    fn matches(&self, batch: &RecordBatch) -> Result<Vec<Hit>, QueryError>;
}

/// A span of time: `since` is in it, `until` is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeRange {
    /// First moment inside; default the smallest.
    pub since: Timestamp,
    /// First moment after; default the largest.
    pub until: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { since: Timestamp(i64::MIN), until: Timestamp(i64::MAX) };

    /// Whether `timestamp` lies inside.
    pub fn contains(&self, timestamp: Timestamp) -> bool {
        self.since <= timestamp && timestamp < self.until
    }
}

/// Which end of the result comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By falling (timestamp, source, offset).
    NewestFirst,
    /// By rising (timestamp, source, offset).
    OldestFirst,
}

/// The place of a record in the order of results; a page ends with one and the next starts after it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The record's timestamp.
    pub timestamp: Timestamp,
    /// Its source.
    pub source: String,
    /// Its offset.
    pub offset: u64,
}

/// A request for records.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchRequest {
    /// What must hold.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// Records to answer at most, 0 to [`SEARCH_LIMIT_MAX`].
    pub limit: usize,
    /// Matching records to skip first; `skip + limit` at most [`SEARCH_SKIP_MAX`].
    pub skip: usize,
    /// Start after this record.
    pub after: Option<Cursor>,
    /// Which end first.
    pub order: Order,
}

/// Records that one search answers at most.
pub const SEARCH_LIMIT_MAX: usize = 10_000;
/// Records that one search skips and answers at most; deeper paging goes by cursor.
pub const SEARCH_SKIP_MAX: usize = 1_000_000;

/// The answer to a search.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SearchPage {
    /// The records.
    pub hits: Vec<Hit>,
    /// Where the next page starts; `None` if there is none.
    pub next: Option<Cursor>,
    /// What it took.
    pub work: Work,
}

/// What a query cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Records whose fields were looked at.
    pub records_scanned: u64,
    /// Blocks of records that the index or their time bounds ruled out.
    pub granules_pruned: u64,
    /// Blocks of records that were read.
    pub granules_read: u64,
    /// Time it took.
    pub elapsed: Duration,
}

/// A request for counts over time.
#[derive(Clone, PartialEq, Debug)]
pub struct HistogramRequest {
    /// What must hold.
    pub filter: Filter,
    /// When; an open end is replaced by the first or last record's time.
    pub range: TimeRange,
    /// Width of a bucket in nanoseconds; `None`: a round width that gives about `buckets`.
    pub interval_ns: Option<i64>,
    /// Buckets wanted, 1 to [`HISTOGRAM_BUCKETS_MAX`].
    pub buckets: usize,
}

/// Buckets that one histogram has at most.
pub const HISTOGRAM_BUCKETS_MAX: usize = 10_000;

/// Counts over time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// Start of the first bucket.
    pub start: Timestamp,
    /// Width of a bucket in nanoseconds; 0 if there is no record.
    pub interval_ns: i64,
    /// Per bucket, the counts of TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL.
    pub buckets: Vec<[u64; 6]>,
    /// What it took.
    pub work: Work,
}

/// A request for the most frequent values.
#[derive(Clone, PartialEq, Debug)]
pub struct FacetRequest {
    /// What must hold.
    pub filter: Filter,
    /// When.
    pub range: TimeRange,
    /// `severity`, `service`, `node`, `source` or an attribute's key.
    pub fields: Vec<String>,
    /// Values a field at most, up to [`FACET_VALUES_MAX`].
    pub values: usize,
}

/// Values that one facet answers at most.
pub const FACET_VALUES_MAX: usize = 1_000;

/// The most frequent values of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facet {
    /// The field.
    pub field: String,
    /// Values and their counts, most frequent first, then by value.
    pub values: Vec<(String, u64)>,
    /// Whether there were more values than were asked for.
    pub truncated: bool,
}

/// A request for the neighbourhood of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextRequest {
    /// The line's source.
    pub source: String,
    /// The line's offset.
    pub offset: u64,
    /// Lines before it, at most [`CONTEXT_LINES_MAX`].
    pub before: usize,
    /// Lines after it, at most [`CONTEXT_LINES_MAX`].
    pub after: usize,
}

/// Lines that one context answers at most on each side.
pub const CONTEXT_LINES_MAX: usize = 1_000;

/// The neighbourhood of a line, each part by rising offset.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context {
    /// The lines before.
    pub before: Vec<Hit>,
    /// The line itself, if it is stored.
    pub target: Option<Hit>,
    /// The lines after.
    pub after: Vec<Hit>,
}

/// What is stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stats {
    /// Records in segments and in memory.
    pub records: u64,
    /// Records that are only in the WAL and in memory so far.
    pub records_in_memory: u64,
    /// Sealed files.
    pub segments: u64,
    /// Bytes of sealed files, their indexes included.
    pub segment_bytes: u64,
    /// Bytes of the WAL.
    pub wal_bytes: u64,
    /// Bytes of the original lines that are stored.
    pub raw_bytes: u64,
    /// Time of the oldest record.
    pub oldest: Option<Timestamp>,
    /// Time of the newest record.
    pub newest: Option<Timestamp>,
    /// Counts by (UTC day as days since 1970, source, service, level as spelled), unordered.
    pub groups: Vec<Group>,
    /// Bytes that could not be read, see the `gaps` table.
    pub gap_bytes: u64,
    /// How storing gets on with the disk.
    pub disk: DiskStatus,
}

/// How storing gets on with the disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DiskStatus {
    /// What keeps it from storing; `None`: nothing.
    pub trouble: Option<DiskTrouble>,
    /// Records that were deleted because the disk was full, since the store was made.
    pub dropped_records: u64,
    /// Bytes of their files.
    pub dropped_bytes: u64,
}

/// Why nothing is stored at the moment; it ends by itself when the disk has space and works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskTrouble {
    /// When it began.
    pub since: Timestamp,
    /// There is no space; else the disk fails.
    pub full: bool,
    /// Bytes that must become free, if it is full.
    pub needed_bytes: u64,
    /// What the system said.
    pub cause: String,
}

/// Records that share day, source, service and level.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Group {
    /// UTC day of the timestamp, days since 1970-01-01.
    pub day: i32,
    /// The source.
    pub source: String,
    /// The service.
    pub service: String,
    /// The level as the lines spell it.
    pub level: String,
    /// How many.
    pub records: u64,
}

/// What could not be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gaps {
    /// Sums by source and reason, in their order.
    pub totals: Vec<GapTotal>,
    /// The latest gaps, newest first, at most [`GAPS_NEWEST`].
    pub newest: Vec<StoredGap>,
}

/// Gaps that are told one by one.
pub const GAPS_NEWEST: usize = 10;

/// Gaps of one source for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GapTotal {
    /// The source.
    pub source: String,
    /// The name of a [`taffrail_record::GapReason`].
    pub reason: String,
    /// How many.
    pub gaps: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last was noticed.
    pub newest: Timestamp,
}

/// Ends a query from outside: by its deadline or by hand.
#[derive(Clone, Debug)]
pub struct Control {
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Control {
    /// A control whose query may take `limit`.
    pub fn with_limit(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit, cancelled: Arc::default() }
    }

    /// Ends the query at its next check. Clones share this.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// `Err` once the query is to end.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.deadline { Err(QueryError::TimedOut) } else { Ok(()) }
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The expression is not of the search language.
    #[error("{message}")]
    Syntax {
        /// What is wrong and what would be right.
        message: String,
        /// Byte position in the expression.
        position: usize,
    },
    /// A parameter is out of its range.
    #[error("{0}")]
    Invalid(String),
    /// The SQL statement is wrong, or not one that reads.
    #[error("{0}")]
    Sql(String),
    /// It took longer than its limit.
    #[error("the query took longer than its time limit; narrow the time range or the search")]
    TimedOut,
    /// Who asked has gone.
    #[error("the query was cancelled")]
    Cancelled,
    /// It needs more memory than a query may use.
    #[error("the query needs more memory than a query may use: {0}")]
    TooLarge(String),
    /// The store cannot be read.
    #[error("{0}")]
    Store(String),
}
