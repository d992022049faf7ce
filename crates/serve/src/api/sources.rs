//! `GET /api/v1/sources`: what is followed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::api::Source;
use crate::error::ApiError;
use crate::run::App;

/// What is followed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SourcesAnswer {
    /// Every source.
    pub sources: Vec<Source>,
}

pub(crate) async fn sources(State(app): State<Arc<App>>) -> Result<Json<SourcesAnswer>, ApiError> {
    let sources = Arc::clone(&app.services.sources);
    let job = tokio::task::spawn_blocking(move || sources.sources());
    let sources = job.await.map_err(|error| ApiError::internal(&error.to_string()))?;
    Ok(Json(SourcesAnswer { sources }))
}
