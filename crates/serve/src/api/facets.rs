//! `GET /api/v1/facets`: the most frequent values of fields among the matching records.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use taffrail_store::engine::{FACET_VALUES_MAX, Facet, FacetRequest};

use crate::api::parameters::{Parameters, milliseconds};
use crate::error::ApiError;
use crate::run::App;

/// Fields that one request may name.
const FIELDS_MAX: usize = 32;

/// The most frequent values.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FacetsAnswer {
    /// One a field, in the order they were asked for.
    pub facets: Vec<FacetAnswer>,
    /// Time that it took.
    pub elapsed_ms: f64,
}

/// The most frequent values of one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FacetAnswer {
    /// The field.
    pub field: String,
    /// Most frequent first.
    pub values: Vec<ValueCount>,
    /// Whether there were more values.
    pub truncated: bool,
}

/// A value and how many records have it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// Records that have it.
    pub count: u64,
}

impl From<Facet> for FacetAnswer {
    fn from(facet: Facet) -> Self {
        let values = facet.values.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
        Self { field: facet.field, values, truncated: facet.truncated }
    }
}

pub(crate) async fn facets(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<FacetsAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["q", "since", "until", "fields", "values"])?;
    let range = parameters.range((app.services.clock)())?;
    let values = parameters.number("values", 20, 1..=FACET_VALUES_MAX)?;
    let names = parameters.text("fields").unwrap_or("severity,service,node,source").split(',');
    let fields: Vec<String> =
        names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        return Err(ApiError::invalid(format!("fields must name 1 to {FIELDS_MAX} fields, with commas")));
    }
    let expression = parameters.text("q").unwrap_or_default().to_owned();
    app.query(move |engine, control| {
        let started = Instant::now();
        let filter = engine.parse(&expression)?;
        let facets = engine.facets(&FacetRequest { filter, range, fields, values }, control)?;
        let facets = facets.into_iter().map(FacetAnswer::from).collect();
        Ok(Json(FacetsAnswer { facets, elapsed_ms: milliseconds(started.elapsed()) }))
    })
    .await
}
