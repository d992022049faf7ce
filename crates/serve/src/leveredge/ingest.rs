//! `POST /api/logs`: one entry, answered once it is durable.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::body;
use crate::error::ApiError;
use crate::leveredge::validation::{entry_errors, error};
use crate::leveredge::{Refusal, entry, json_error};
use crate::run::App;
use crate::services::Push;

/// The source of posted entries.
const SOURCE: &str = "http:leveredge";

/// A posted entry as its line has it: the original's keys in the original's order.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    agent: &'a str,
    message: &'a str,
    source: Option<&'a str>,
    metadata: Option<&'a Map<String, Value>>,
}

pub(crate) async fn ingest(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let body = body::read(&app, &headers, body).await?;
    let is_json = is_json(&headers);
    let now = entry::time((app.services.clock)());
    // Sixteen MiB of JSON take longer than a runtime thread may stand still.
    let job = tokio::task::spawn_blocking(move || line(&body.bytes, is_json, &now));
    let (bytes, timestamp) = job.await.map_err(|error| ApiError::internal(&error.to_string()))??;
    app.push(Push { source: SOURCE.to_owned(), service: None, node: None, bytes }).await?;
    Ok(Json(json!({ "status": "ingested", "timestamp": timestamp })))
}

/// Whether the body is to be read as JSON: it says so, or says nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The line to store and the entry's timestamp.
fn line(body: &[u8], is_json: bool, now: &str) -> Result<(Vec<u8>, String), Refusal> {
    let body = read(body, is_json)?;
    let errors = entry_errors(&body);
    if !errors.is_empty() {
        return Err(Refusal::invalid(errors));
    }
    let text = |field| body.get(field).and_then(Value::as_str);
    let timestamp = text("timestamp").unwrap_or(now);
    let line = Line {
        timestamp,
        level: text("level").unwrap_or("INFO"),
        agent: text("agent").unwrap_or("unknown"),
        message: text("message").unwrap_or_default(),
        source: text("source"),
        metadata: body.get("metadata").and_then(Value::as_object),
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|error| ApiError::internal(&error.to_string()))?;
    bytes.push(b'\n');
    Ok((bytes, timestamp.to_owned()))
}

/// The body as an object.
fn read(body: &[u8], is_json: bool) -> Result<Map<String, Value>, Refusal> {
    let at_body = [json!("body")];
    let missing = || Refusal::invalid(vec![error("missing", &at_body, "Field required", &Value::Null)]);
    if body.is_empty() {
        return Err(missing());
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(Refusal::text(StatusCode::BAD_REQUEST, "There was an error parsing the body"));
    };
    let value = if is_json {
        serde_json::from_str(text).map_err(|error| malformed(text, &error))?
    } else {
        Value::from(text)
    };
    match value {
        Value::Object(body) => Ok(body),
        Value::Null => Err(missing()),
        other => {
            let message = "Input should be a valid dictionary or object to extract fields from";
            Err(Refusal::invalid(vec![error("model_attributes_type", &at_body, message, &other)]))
        }
    }
}

fn malformed(text: &str, cause: &serde_json::Error) -> Refusal {
    let cause = cause.to_string();
    let (message, position) = json_error::find(text).unwrap_or((&cause, 0));
    let location = [json!("body"), json!(position)];
    let mut error = error("json_invalid", &location, "JSON decode error", &json!({}));
    error["ctx"] = json!({ "error": message });
    Refusal::invalid(vec![error])
}
