//! `GET /api/v1/context`: the lines right before and after one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use taffrail_store::engine::{CONTEXT_LINES_MAX, ContextRequest};
use taffrail_store::hit::Hit;

use crate::api::Record;
use crate::api::parameters::Parameters;
use crate::error::ApiError;
use crate::run::App;

/// The neighbourhood of a line, each part by rising offset.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContextAnswer {
    /// The lines before.
    pub before: Vec<Record>,
    /// The line itself; `None` if it is not stored.
    pub record: Option<Record>,
    /// The lines after.
    pub after: Vec<Record>,
}

pub(crate) async fn context(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ContextAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["source", "offset", "before", "after", "raw"])?;
    let source = parameters.required("source")?.to_owned();
    let offset = parameters.required("offset")?;
    let offset = offset
        .parse()
        .map_err(|_| ApiError::invalid(format!("offset={offset} must be a whole number, 0 or more")))?;
    let before = parameters.number("before", 10, 0..=CONTEXT_LINES_MAX)?;
    let after = parameters.number("after", 10, 0..=CONTEXT_LINES_MAX)?;
    let with_raw = parameters.flag("raw")?;
    app.query(move |engine, control| {
        let context = engine.context(&ContextRequest { source, offset, before, after }, control)?;
        let records = |hits: &[Hit]| hits.iter().map(|hit| Record::from_hit(hit, with_raw)).collect();
        Ok(Json(ContextAnswer {
            before: records(&context.before),
            record: context.target.as_ref().map(|hit| Record::from_hit(hit, with_raw)),
            after: records(&context.after),
        }))
    })
    .await
}
