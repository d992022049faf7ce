//! Error bodies in FastAPI's form: `{"detail": ...}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::{ApiError, RetryAfter};

/// An answer that is not a success.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    detail: Value,
    retry_after: Option<RetryAfter>,
}

impl Refusal {
    pub(crate) fn text(status: StatusCode, detail: &str) -> Self {
        Self { status, detail: Value::from(detail), retry_after: None }
    }

    /// 422 with a list of what is wrong.
    pub(crate) fn invalid(errors: Vec<Value>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { status, detail: Value::from(errors), retry_after: None }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let detail = Value::from(error.body.message);
        Self { status: error.status, detail, retry_after: error.retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.retry_after, Json(json!({ "detail": self.detail }))).into_response()
    }
}
