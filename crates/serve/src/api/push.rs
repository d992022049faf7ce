//! `POST /api/v1/logs`: lines that are pushed, answered once they are durable.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::api::parameters::Parameters;
use crate::body;
use crate::error::ApiError;
use crate::run::App;
use crate::services::Push;

/// Bytes of a source's or a service's name.
const NAME_MAX: usize = 128;

/// Pushed lines are stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PushAnswer {
    /// Records that the lines became.
    pub records: u64,
    /// Always true: the answer comes after the fsync.
    pub durable: bool,
}

pub(crate) async fn push(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PushAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["source", "service"])?;
    let source = format!("http:{}", name(&parameters, "source")?.unwrap_or("push"));
    let service = name(&parameters, "service")?.map(str::to_owned);
    let body = body::read(&app, &headers, body).await?;
    let mut records = 0;
    if !body.bytes.is_empty() {
        records = app.push(Push { source, service, node: None, bytes: body.bytes }).await?.records;
    }
    Ok(Json(PushAnswer { records, durable: true }))
}

fn name<'a>(parameters: &'a Parameters, key: &str) -> Result<Option<&'a str>, ApiError> {
    match parameters.text(key) {
        Some(name) if name.len() > NAME_MAX || name.chars().any(char::is_control) => Err(ApiError::invalid(
            format!("{key} must be at most {NAME_MAX} bytes without control characters"),
        )),
        name => Ok(name),
    }
}
