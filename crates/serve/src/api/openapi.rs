//! `GET /api/v1/openapi.json`: the native API, described. Kept by hand beside the routes it describes.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub(crate) const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}
