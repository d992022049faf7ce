//! `GET` and `POST /api/v1/sql`: one read-only statement, its rows as JSON, NDJSON or CSV.

pub(crate) mod cell;
mod rows;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::parameters::{Parameters, milliseconds};
use crate::api::sql::rows::{Format, Rows};
use crate::body;
use crate::error::ApiError;
use crate::run::App;

/// Rows of an answer that asks for no other number.
const ROWS_DEFAULT: usize = 10_000;
/// Says in NDJSON and CSV answers, which have no place of their own for it, that rows are missing.
const TRUNCATED_HEADER: &str = "x-taffrail-truncated";

/// The rows of a statement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SqlAnswer {
    /// The columns.
    pub columns: Vec<SqlColumn>,
    /// The rows, a value a column: timestamps as RFC 3339, bytes as text, lists and structs as JSON.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than were asked for or than an answer may hold.
    pub truncated: bool,
    /// Time that it took.
    pub elapsed_ms: f64,
}

/// A column of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// The JSON body of a `POST`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    query: String,
    format: Option<String>,
    max_rows: Option<usize>,
}

pub(crate) async fn get(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["q", "format", "max_rows"])?;
    let statement = parameters.required("q")?.to_owned();
    let format = format(parameters.text("format"))?;
    let most = parameters.number("max_rows", ROWS_DEFAULT, 1..=app.services.limits.sql_rows)?;
    answer(&app, statement, format, most).await
}

pub(crate) async fn post(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["format", "max_rows"])?;
    let limit = app.services.limits.sql_rows;
    let body = body::read(&app, &headers, body).await?;
    let request: Request = serde_json::from_slice(&body.bytes).map_err(|error| {
        ApiError::invalid(format!(r#"the body must be JSON such as {{"query":"SELECT 1"}}: {error}"#))
    })?;
    let most = match request.max_rows {
        Some(rows) if !(1..=limit).contains(&rows) => {
            return Err(ApiError::invalid(format!(
                "max_rows={rows} must be a whole number from 1 to {limit}"
            )));
        }
        Some(rows) => rows,
        None => parameters.number("max_rows", ROWS_DEFAULT, 1..=limit)?,
    };
    let format = format(request.format.as_deref().or(parameters.text("format")))?;
    answer(&app, request.query, format, most).await
}

fn format(text: Option<&str>) -> Result<Format, ApiError> {
    match text {
        None | Some("json") => Ok(Format::Json),
        Some("ndjson") => Ok(Format::Ndjson),
        Some("csv") => Ok(Format::Csv),
        Some(other) => Err(ApiError::invalid(format!("format={other} must be json, ndjson or csv"))),
    }
}

async fn answer(app: &App, statement: String, format: Format, most: usize) -> Result<Response, ApiError> {
    if statement.trim().is_empty() {
        return Err(ApiError::invalid("the statement is empty; write one such as SELECT count(*) FROM logs"));
    }
    let bytes_most = app.services.limits.sql_bytes;
    let started = Instant::now();
    let rows = app
        .query(move |engine, control| {
            let mut rows = Rows::new(format, most, bytes_most);
            engine.sql(&statement, control, &mut rows)?;
            Ok(rows)
        })
        .await?;
    let content_type = match format {
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let truncated = if rows.truncated() { "true" } else { "false" };
    let headers = [(CONTENT_TYPE.as_str(), content_type), (TRUNCATED_HEADER, truncated)];
    Ok((headers, rows.into_answer(milliseconds(started.elapsed()))).into_response())
}
