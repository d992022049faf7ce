//! The parameters of a request to the native API: read, checked, named in every complaint.

use std::ops::RangeInclusive;

use taffrail_record::Timestamp;
use taffrail_store::engine::TimeRange;

use crate::api::parse_time;
use crate::error::ApiError;

/// The query string, decoded.
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads a query string that may name `known` parameters only.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let pairs: Vec<_> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let there = known.join(", ");
                return Err(ApiError::invalid(format!(
                    "there is no parameter {name:?} here; there are {there}"
                )));
            }
            if pairs[..at].iter().any(|(before, _)| before == name) {
                return Err(ApiError::invalid(format!(
                    "the parameter {name:?} is given twice; give it once"
                )));
            }
        }
        Ok(Self { pairs })
    }

    /// A parameter's value; an empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::invalid(format!("{name} is missing")))
    }

    /// A whole number in `range`.
    pub(crate) fn number(
        &self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            ApiError::invalid(format!("{name}={text} must be a whole number from {least} to {most}"))
        })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(text) => Err(ApiError::invalid(format!("{name}={text} must be true or false"))),
        }
    }

    /// `since` and `until`.
    pub(crate) fn range(&self, now: Timestamp) -> Result<TimeRange, ApiError> {
        let time = |name: &str, default| match self.text(name) {
            Some(text) => {
                parse_time(text, now).map_err(|message| ApiError::invalid(format!("{name}: {message}")))
            }
            None => Ok(default),
        };
        let all = TimeRange::ALL;
        let range = TimeRange { since: time("since", all.since)?, until: time("until", all.until)? };
        if range.since > range.until {
            return Err(ApiError::invalid("since is later than until; swap them"));
        }
        Ok(range)
    }
}

/// A duration in milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
