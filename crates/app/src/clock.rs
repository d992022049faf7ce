//! What time it is: read here and nowhere else, and handed on.

use taffrail_record::Timestamp;

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let nanoseconds = i64::try_from(jiff::Timestamp::now().as_nanosecond());
    Timestamp(nanoseconds.expect("the clock stands before the year 2262"))
}
