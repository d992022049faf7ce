//! `GET /api/v1/nodes`: the machines that send something here, and whether they still do.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use taffrail_record::Timestamp;
use taffrail_store::engine::QueryError;
use taffrail_store::history::Node;

use crate::api::rfc3339;
use crate::error::ApiError;
use crate::run::App;

/// A machine that was silent for longer than this is said to be.
pub(crate) const SILENT_AFTER: i64 = 180 * Timestamp::SECOND;

/// The machines.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// By name.
    pub nodes: Vec<NodeAnswer>,
}

/// A machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeAnswer {
    /// Its name.
    pub node: String,
    /// What sends: `agent`, `resolvix`.
    pub kind: String,
    /// Its version; empty where it says none.
    pub version: String,
    /// The address that it sends from.
    pub address: String,
    /// When it first sent something, RFC 3339.
    pub first_seen: String,
    /// When it last did.
    pub last_seen: String,
    /// Seconds since then.
    pub silent_seconds: f64,
    /// Whether that is longer than a machine is silent that is well.
    pub is_silent: bool,
    /// Seconds that the newest of what it sent was old when it sent it; null where it does not say so.
    pub lag_seconds: Option<f64>,
    /// Seconds that its clock, and the way from there, are behind the clock here; less than nothing: ahead. Null where it does
    /// not say what time it has.
    pub clock_skew_seconds: Option<f64>,
    /// Lines received from it.
    pub lines: u64,
    /// Samples received from it.
    pub samples: u64,
}

impl NodeAnswer {
    /// A machine as it is now.
    pub fn new(node: Node, now: Timestamp) -> Self {
        let silent = now.0.saturating_sub(node.last_seen.0).max(0);
        let seconds = |nanoseconds: i64| nanoseconds as f64 / Timestamp::SECOND as f64;
        Self {
            node: node.node,
            kind: node.kind,
            version: node.version,
            address: node.address,
            first_seen: rfc3339(node.first_seen),
            last_seen: rfc3339(node.last_seen),
            silent_seconds: seconds(silent),
            is_silent: silent > SILENT_AFTER,
            lag_seconds: node.lag.map(seconds),
            clock_skew_seconds: node.clock_skew.map(seconds),
            lines: node.lines,
            samples: node.samples,
        }
    }
}

pub(crate) async fn nodes(State(app): State<Arc<App>>) -> Result<Json<NodesAnswer>, ApiError> {
    let known = app.nodes().clone();
    app.look(move |services| {
        known.flush();
        let nodes = services.machines.history.nodes();
        let now = (services.clock)();
        let nodes = nodes.map_err(|error| QueryError::Store(error.to_string()))?;
        Ok(Json(NodesAnswer { nodes: nodes.into_iter().map(|node| NodeAnswer::new(node, now)).collect() }))
    })
    .await
}
