//! Why a request has no answer, as the native API says it.

use std::convert::Infallible;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use serde::{Deserialize, Serialize};
use taffrail_store::engine::QueryError;

use crate::services::IngestError;

/// The body of every answer of the native API that is not a success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// `syntax`, `invalid`, `not_found`, `method_not_allowed`, `too_large`, `timed_out`, `sql`, `store`,
    /// `disk_full`, `busy`, `forbidden` or `internal`.
    pub code: String,
    /// For people: what is wrong and the way out.
    pub message: String,
    /// Byte position in the expression, for `syntax`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
}

/// A request's failure on its way to its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
    /// When the same request may succeed.
    pub(crate) retry_after: Option<RetryAfter>,
}

/// The header `Retry-After`, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RetryAfter(u32);

impl RetryAfter {
    /// A program that starts again, or a disk that hiccups.
    const SOON: Self = Self(1);
    /// Somebody has to make room.
    const DISK_FULL: Self = Self(10);
}

impl IntoResponseParts for RetryAfter {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.headers_mut().insert(RETRY_AFTER, self.0.into());
        Ok(parts)
    }
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let body = ErrorBody { code: code.to_owned(), message: message.into(), position: None };
        Self { status, body, retry_after: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// A bug of ours: the cause goes to the log, not to the client.
    pub(crate) fn internal(cause: &str) -> Self {
        tracing::error!(cause, "a request failed inside the program");
        let message = "the program failed inside while answering; its log says where";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        let mut answer = match &error {
            QueryError::Syntax { .. } => Self::new(StatusCode::BAD_REQUEST, "syntax", message),
            QueryError::Invalid(_) => Self::invalid(message),
            QueryError::Sql(_) => Self::new(StatusCode::BAD_REQUEST, "sql", message),
            QueryError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            QueryError::TimedOut => Self::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", message),
            QueryError::Cancelled => Self::busy(message),
            QueryError::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", message),
            _ => Self::internal(&message),
        };
        if let QueryError::Syntax { position, .. } = error {
            answer.body.position = Some(position);
        }
        answer
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let (code, retry_after) = match error {
            IngestError::Full(_) => ("disk_full", RetryAfter::DISK_FULL),
            IngestError::Refused(_) | IngestError::Stopped => ("store", RetryAfter::SOON),
        };
        // Not 507: shippers give a batch up on it that they would send again on 503.
        let answer = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string());
        Self { retry_after: Some(retry_after), ..answer }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, self.retry_after, Json(ErrorAnswer { error: self.body })).into_response()
    }
}
