//! `GET /api/v1/histogram`: matching records by time and severity.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use taffrail_record::Severity;
use taffrail_store::engine::{HISTOGRAM_BUCKETS_MAX, HistogramRequest};

use crate::api::parameters::{Parameters, milliseconds};
use crate::api::{parse_duration, rfc3339};
use crate::error::ApiError;
use crate::run::App;

/// Counts over time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HistogramAnswer {
    /// Start of the first bucket, RFC 3339.
    pub start: String,
    /// Width of a bucket; 0 if there is no record.
    pub interval_ms: f64,
    /// What the counts of a bucket are of: the six severities, mildest first.
    pub severities: Vec<String>,
    /// Per bucket, a count a severity.
    pub buckets: Vec<[u64; 6]>,
    /// Time that it took.
    pub elapsed_ms: f64,
}

pub(crate) async fn histogram(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<HistogramAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["q", "since", "until", "buckets", "interval"])?;
    let range = parameters.range((app.services.clock)())?;
    let buckets = parameters.number("buckets", 100, 1..=HISTOGRAM_BUCKETS_MAX)?;
    let interval_ns = parameters.text("interval").map(interval).transpose()?;
    let expression = parameters.text("q").unwrap_or_default().to_owned();
    app.query(move |engine, control| {
        let filter = engine.parse(&expression)?;
        let histogram =
            engine.histogram(&HistogramRequest { filter, range, interval_ns, buckets }, control)?;
        Ok(Json(HistogramAnswer {
            start: rfc3339(histogram.start),
            interval_ms: histogram.interval_ns as f64 / 1e6,
            severities: Severity::NAMES.map(str::to_owned).to_vec(),
            buckets: histogram.buckets,
            elapsed_ms: milliseconds(histogram.work.elapsed),
        }))
    })
    .await
}

fn interval(text: &str) -> Result<i64, ApiError> {
    match parse_duration(text) {
        Ok(0) => Err(ApiError::invalid("interval must be longer than nothing")),
        Ok(width) => Ok(width),
        Err(message) => Err(ApiError::invalid(format!("interval: {message}"))),
    }
}
