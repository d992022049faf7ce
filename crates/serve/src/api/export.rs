//! `GET /api/v1/export/raw`: a source's lines, byte for byte.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;

use crate::api::parameters::Parameters;
use crate::error::ApiError;
use crate::run::{App, Export};

pub(crate) async fn export_raw(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["source"])?;
    let mut export = app.export(parameters.required("source")?.to_owned())?;
    // The first bytes decide between an answer and an error.
    let first = export.next().await?;
    let body = Body::from_stream(stream::unfold((first, Some(export)), chunk));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

type Progress = (Option<Bytes>, Option<Export>);

/// The next chunk; an error breaks the connection off, so that a part never looks like the whole.
async fn chunk((ready, export): Progress) -> Option<(Result<Bytes, String>, Progress)> {
    let mut export = export?;
    if let Some(chunk) = ready {
        return Some((Ok(chunk), (None, Some(export))));
    }
    match export.next().await {
        Ok(Some(chunk)) => Some((Ok(chunk), (None, Some(export)))),
        Ok(None) => None,
        Err(error) => Some((Err(error.body.message), (None, None))),
    }
}
