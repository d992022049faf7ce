//! What machines are doing: `GET /api/v1/telemetry` (figures over time), `/latest`, `/live`, and `POST /collect`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use taffrail_http::window::Next;
use taffrail_record::{FIGURES, Timestamp};
use taffrail_store::engine::{QueryError, TimeRange};
use taffrail_store::history::{Aggregate, Points, PointsRequest};
use taffrail_telemetry::Sampler;

use crate::api::parameters::Parameters;
use crate::api::{GapNotice, parse_duration, rfc3339};
use crate::error::ApiError;
use crate::run::App;

/// Points of a machine where nobody says a step.
const POINTS: i64 = 300;
/// Steps that are chosen from, in seconds; beyond, whole days.
const STEPS: [i64; 12] = [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400];
/// What is told where nobody says since when.
const SINCE: i64 = 3_600 * Timestamp::SECOND;
/// The time that rates are over where somebody wants a sample now.
const OVER: Duration = Duration::from_secs(1);
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Figures over time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TelemetryAnswer {
    /// Width of a point.
    pub step_seconds: f64,
    /// What a point says of its samples: `mean` or `max`.
    pub aggregate: String,
    /// The machines, by name.
    pub series: Vec<TelemetrySeries>,
    /// Whether there were more points than an answer may have.
    pub truncated: bool,
}

/// Figures of one machine over time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TelemetrySeries {
    /// The machine.
    pub node: String,
    /// The beginning of each point, RFC 3339. Steps without a sample are missing.
    pub times: Vec<String>,
    /// A value for each point, by the figure's name; null where the samples do not say it.
    pub figures: serde_json::Map<String, serde_json::Value>,
}

/// The newest sample of each machine.
#[derive(Debug, Serialize)]
pub struct LatestAnswer {
    /// Samples, by the machine's name.
    pub samples: Vec<Box<RawValue>>,
}

pub(crate) async fn telemetry(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<TelemetryAnswer>, ApiError> {
    let known = ["node", "since", "until", "step", "figures", "aggregate"];
    let parameters = Parameters::read(query.as_deref(), &known)?;
    let now = (app.services.clock)();
    let range = range(&parameters, now)?;
    let step_ns = step(&parameters, range, now, app.services.machines.keep_samples)?;
    let chosen = chosen(&parameters)?;
    let aggregate = match parameters.text("aggregate") {
        None | Some("mean" | "avg") => Aggregate::Mean,
        Some("max") => Aggregate::Max,
        Some(other) => return Err(ApiError::invalid(format!("aggregate={other} must be mean or max"))),
    };
    let node = parameters.text("node").map(str::to_owned);
    let history = Arc::clone(&app.services.machines.history);
    app.query(move |_, control| {
        let request = PointsRequest { node: node.as_deref(), range, step_ns, figures: &chosen, aggregate };
        let points = history.points(&request, control)?;
        Ok(Json(answer(points, &chosen, step_ns, aggregate)))
    })
    .await
}

pub(crate) async fn latest(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<LatestAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["node"])?;
    let node = parameters.text("node").map(str::to_owned);
    let history = Arc::clone(&app.services.machines.history);
    app.query(move |_, _| {
        let samples = history.latest(node.as_deref()).map_err(store)?;
        let raw = samples.into_iter().filter_map(|sample| RawValue::from_string(sample.envelope).ok());
        Ok(Json(LatestAnswer { samples: raw.collect() }))
    })
    .await
}

/// Every sample that comes, of every machine or of one.
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["node"])?;
    let node = parameters.text("node").map(str::to_owned);
    let samples = &app.services.machines.samples;
    let seats = app.services.limits.subscribers;
    let full = || ApiError::busy(format!("{seats} live streams are open already; close one"));
    let reader = samples.reader(seats).ok_or_else(full)?;
    let stopping = Box::pin(app.stopping());
    let events = stream::unfold((reader, node), |(mut samples, node)| async {
        loop {
            let event = match samples.next().await {
                Next::Piece(sample) if node.as_deref().is_none_or(|node| is_of(&sample, node)) => {
                    Event::default().event("sample").data(&*sample)
                }
                Next::Piece(_) => continue,
                Next::Missed(missed) => {
                    let notice =
                        serde_json::to_string(&GapNotice { missed, deleted: false }).unwrap_or_default();
                    Event::default().event("gap").data(notice)
                }
                Next::Closed => return None,
            };
            return Some((Ok::<_, Infallible>(event), (samples, node)));
        }
    });
    let events = events.take_until(stopping);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response())
}

/// Takes a sample of this machine now, keeps it and answers it.
pub(crate) async fn collect(State(app): State<Arc<App>>) -> Result<Json<Box<RawValue>>, ApiError> {
    let machines = app.services.machines.clone();
    let Some(machine) = machines.machine.clone() else {
        return Err(ApiError::not_found(
            "this program takes no samples; `telemetry.enabled` is false".to_owned(),
        ));
    };
    app.query(move |_, _| {
        let text = machines.record(&Sampler::sample_over(&machine, OVER)).map_err(store)?;
        RawValue::from_string(text).map(Json).map_err(|error| QueryError::Store(error.to_string()))
    })
    .await
}

/// Without a look at all of it: the name stands before anything that a machine can choose.
fn is_of(envelope: &str, node: &str) -> bool {
    #[derive(Deserialize)]
    struct Named {
        node_id: String,
    }
    serde_json::from_str::<Named>(envelope).is_ok_and(|named| named.node_id == node)
}

fn range(parameters: &Parameters, now: Timestamp) -> Result<TimeRange, ApiError> {
    let asked = parameters.range(now)?;
    let until = if parameters.text("until").is_some() { asked.until } else { now };
    let since = if parameters.text("since").is_some() {
        asked.since
    } else {
        Timestamp(until.0.saturating_sub(SINCE))
    };
    Ok(TimeRange { since, until })
}

/// The step that is asked for, else one that gives some hundred points; of what is told by the hour only, an hour at least.
fn step(
    parameters: &Parameters,
    range: TimeRange,
    now: Timestamp,
    keep_samples: Duration,
) -> Result<i64, ApiError> {
    if let Some(text) = parameters.text("step") {
        let step = parse_duration(text).map_err(|message| ApiError::invalid(format!("step: {message}")))?;
        return if step > 0 { Ok(step) } else { Err(ApiError::invalid("step must be longer than nothing")) };
    }
    let span = range.until.0.saturating_sub(range.since.0);
    let kept = i64::try_from(keep_samples.as_nanos()).unwrap_or(i64::MAX);
    let is_old = range.since.0 < now.0.saturating_sub(kept);
    let least = if is_old { 3_600 } else { 0 };
    let day = 86_400;
    let chosen = STEPS.into_iter().find(|step| *step >= least && span / (step * Timestamp::SECOND) <= POINTS);
    let days = || (span / (day * Timestamp::SECOND) / POINTS + 1) * day;
    Ok(chosen.unwrap_or_else(days) * Timestamp::SECOND)
}

/// The figures that are asked for, as places; all where nobody says.
fn chosen(parameters: &Parameters) -> Result<Vec<usize>, ApiError> {
    let Some(names) = parameters.text("figures") else { return Ok((0..FIGURES.len()).collect()) };
    let place = |name: &str| {
        FIGURES.iter().position(|figure| figure.name == name).ok_or_else(|| {
            let known = FIGURES.map(|figure| figure.name).join(", ");
            ApiError::invalid(format!("figures: there is no {name:?}; there are {known}"))
        })
    };
    names.split(',').map(|name| place(name.trim())).collect()
}

fn answer(points: Points, chosen: &[usize], step_ns: i64, aggregate: Aggregate) -> TelemetryAnswer {
    let named = |values: Vec<Vec<Option<f64>>>| {
        let names = chosen.iter().filter_map(|at| FIGURES.get(*at)).map(|figure| figure.name.to_owned());
        names.zip(values.into_iter().map(serde_json::Value::from)).collect()
    };
    let series = points.series.into_iter().map(|series| TelemetrySeries {
        node: series.node,
        times: series.times.into_iter().map(rfc3339).collect(),
        figures: named(series.values),
    });
    TelemetryAnswer {
        step_seconds: step_ns as f64 / Timestamp::SECOND as f64,
        aggregate: match aggregate {
            Aggregate::Mean => "mean",
            Aggregate::Max => "max",
        }
        .to_owned(),
        series: series.collect(),
        truncated: points.truncated,
    }
}

fn store(error: taffrail_store::Error) -> QueryError {
    QueryError::Store(error.to_string())
}
