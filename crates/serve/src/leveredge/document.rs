//! `GET /openapi.json`, `/docs`, `/redoc`: the compatible API, described.

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};

pub(crate) const DOCUMENT: &str = include_str!("openapi.json");
const PAGE: &str = include_str!("docs.html");

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

pub(crate) async fn page() -> Html<&'static str> {
    Html(PAGE)
}
