//! What Logly's aggregates say of the log records of a span of time, asked of the store.

use std::time::Duration;

use taffrail_store::engine::{
    Control, Engine, FACET_VALUES_MAX, FacetRequest, HistogramRequest, QueryError, TimeRange,
};
use taffrail_store::history::logly::{LogActors, LogCounts, Logs};

/// Logins that failed, in the words of the SSH daemon; newer ones have another name for who says it.
const FAILED_LOGINS: &str = r#"(service:sshd OR service:sshd-session) "Failed password for""#;
/// Addresses that fail2ban bans; those that it bans again after its restart were counted before.
const BANS: &str = "service:fail2ban.actions Ban -Restore";
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
        let filter = self.engine.parse(expression)?;
        let fields = vec![field.to_owned()];
        let request = FacetRequest { filter, range, fields, values: FACET_VALUES_MAX };
        let facets = self.engine.facets(&request, &Control::with_limit(PATIENCE))?;
        Ok(facets.iter().map(|facet| facet.values.len() as u64).sum())
    }

    fn ask<T>(&self, asked: Result<T, QueryError>) -> Option<T> {
        asked.inspect_err(|error| tracing::warn!("the hour's records cannot be counted now: {error}")).ok()
    }
}

impl Logs for StoredLogs<'_> {
    fn counts(&self, range: TimeRange) -> Option<LogCounts> {
        let counts = || {
            let all = self.severities("", range)?;
            Ok(LogCounts {
                events: all.iter().sum(),
                failed_logins: self.count(FAILED_LOGINS, range)?,
                bans: self.count(BANS, range)?,
                errors: all[4] + all[5],
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
