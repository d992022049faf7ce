//! What Logly's aggregates say of the log records of a span of time, asked of the store.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use taffrail_record::Timestamp;
use taffrail_store::engine::{
    Control, Engine, FACET_VALUES_MAX, FacetRequest, HistogramRequest, QueryError, TimeRange,
};
use taffrail_store::history::logly::{LogActors, LogCounts, Logs};

/// Logins that failed, in the words of the SSH daemon; newer ones have another name for who says it.
const FAILED_LOGINS: &str = r#"(service:sshd OR service:sshd-session) "Failed password for""#;
/// Addresses that fail2ban bans; those that it bans again after its restart were counted before.
const BANS: &str = "service:fail2ban.actions Ban -Restore";
/// Values of a field that are told from each other; of more, so many are counted.
const DIFFERENT_MAX: usize = 100_000;
/// Spans of time that are asked for them: no shorter ones than this, and no more of them.
const SPAN_MIN: i64 = Timestamp::SECOND;
const SPANS_MAX: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// The stored log records.
pub(super) struct StoredLogs<'a> {
    pub engine: &'a dyn Engine,
}

impl StoredLogs<'_> {
    /// By severity.
    fn severities(&self, expression: &str, range: TimeRange) -> Result<[u64; 6], QueryError> {
        let filter = self.engine.parse(expression)?;
        let interval_ns = Some(range.until.0.saturating_sub(range.since.0));
        let request = HistogramRequest { filter, range, interval_ns, buckets: 1 };
        let histogram = self.engine.histogram(&request, &Control::with_limit(PATIENCE))?;
        let mut sums = [0; 6];
        for bucket in histogram.buckets {
            sums.iter_mut().zip(bucket).for_each(|(sum, count)| *sum += count);
        }
        Ok(sums)
    }

    fn count(&self, expression: &str, range: TimeRange) -> Result<u64, QueryError> {
        Ok(self.severities(expression, range)?.iter().sum())
    }

    fn different(&self, expression: &str, field: &str, range: TimeRange) -> Result<u64, QueryError> {
        different(range, |range| {
            let filter = self.engine.parse(expression)?;
            let request =
                FacetRequest { filter, range, fields: vec![field.to_owned()], values: FACET_VALUES_MAX };
            let facets = self.engine.facets(&request, &Control::with_limit(PATIENCE))?;
            let truncated = facets.iter().any(|facet| facet.truncated);
            let values = facets.into_iter().flat_map(|facet| facet.values).map(|(value, _)| value);
            Ok((values.collect(), truncated))
        })
    }

    fn ask<T>(&self, asked: Result<T, QueryError>) -> Option<T> {
        asked.inspect_err(|error| tracing::warn!("the hour's records cannot be counted now: {error}")).ok()
    }
}

/// How many different values there are in a span of time. `ask` gives some of them, and whether there are more: then each half of
/// the span is asked.
fn different(
    range: TimeRange,
    mut ask: impl FnMut(TimeRange) -> Result<(Vec<String>, bool), QueryError>,
) -> Result<u64, QueryError> {
    // By hash: a value may be long.
    let (hasher, mut known) = (RandomState::new(), HashSet::new());
    let (mut left, mut asked) = (vec![range], 0);
    while let Some(range) = left.pop().filter(|_| known.len() < DIFFERENT_MAX && asked < SPANS_MAX) {
        asked += 1;
        let (values, has_more) = ask(range)?;
        known.extend(values.iter().map(|value| hasher.hash_one(value)));
        let length = range.until.0.saturating_sub(range.since.0);
        if has_more && length > SPAN_MIN {
            let middle = Timestamp(range.since.0 + length / 2);
            left.extend([
                TimeRange { since: middle, until: range.until },
                TimeRange { since: range.since, until: middle },
            ]);
        }
    }
    Ok(known.len().min(DIFFERENT_MAX) as u64)
}

impl Logs for StoredLogs<'_> {
    fn counts(&self, range: TimeRange) -> Option<LogCounts> {
        let counts = || {
            let all = self.severities("", range)?;
            Ok(LogCounts {
                events: all.iter().sum(),
                failed_logins: self.count(FAILED_LOGINS, range)?,
                bans: self.count(BANS, range)?,
                errors: all[4],
                warnings: all[3],
            })
        };
        self.ask(counts())
    }

    fn actors(&self, range: TimeRange) -> Option<LogActors> {
        let actors = || {
            Ok(LogActors {
                banned_ips: self.different(BANS, "client_ip", range)?,
                failed_users: self.different(FAILED_LOGINS, "user", range)?,
            })
        };
        self.ask(actors())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400 * Timestamp::SECOND;

    /// Counts values of which there is one at each of the rising times, an answer having a thousand at most.
    fn count(times: &[i64], value: fn(i64) -> String) -> (u64, usize) {
        let mut asked = 0;
        let found = different(TimeRange { since: Timestamp(0), until: Timestamp(DAY) }, |range| {
            asked += 1;
            let at = |end: Timestamp| times.partition_point(|time| *time < end.0);
            let of_range = times[at(range.since)..at(range.until)].iter().map(|time| value(*time));
            let mut all: Vec<String> = of_range.collect::<HashSet<_>>().into_iter().collect();
            let has_more = all.len() > FACET_VALUES_MAX;
            all.truncate(FACET_VALUES_MAX);
            Ok((all, has_more))
        });
        (found.unwrap(), asked)
    }

    #[test]
    fn values_are_counted_beyond_what_one_answer_has() {
        let each = |count: i64| (0..count).map(|number| DAY / count * number).collect::<Vec<_>>();
        assert_eq!(count(&[], |time| time.to_string()), (0, 1));
        assert_eq!(count(&each(1_000), |time| time.to_string()), (1_000, 1));
        assert_eq!(count(&each(20_000), |time| time.to_string()).0, 20_000);
        // The same ones all day.
        assert_eq!(count(&each(20_000), |time| (time / 4_320_000_000 % 1_500).to_string()).0, 1_500);
        // More than are told from each other; and more in a moment than anyone can ask for.
        let (found, asked) = count(&each(150_000), |time| time.to_string());
        assert!(found == DIFFERENT_MAX as u64 && asked < SPANS_MAX, "{found} {asked}");
        let moment: Vec<i64> = (0..5_000).collect();
        let (found, asked) = count(&moment, |time| time.to_string());
        assert!((1_000..5_000).contains(&found) && asked < 100, "{found} {asked}");
    }

    #[test]
    fn what_cannot_be_asked_is_not_counted() {
        let mut answers = [Ok((vec!["a".to_owned()], true)), Err(QueryError::TimedOut)].into_iter();
        let range = TimeRange { since: Timestamp(0), until: Timestamp(DAY) };
        assert!(different(range, |_| answers.next().unwrap()).is_err());
    }
}
