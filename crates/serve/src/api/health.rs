//! `GET /api/v1/health`: whether the program does what it is there for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::api::nodes::NodeAnswer;
use crate::api::stats::DiskAnswer;
use crate::error::ApiError;
use crate::run::App;
use crate::services::{Health, Services};

/// Seconds after which a machine that is silent is taken to be gone for good.
const FORGOTTEN_AFTER: f64 = 7.0 * 86_400.0;
/// Seconds that a clock may be off.
const CLOCK_OFF: f64 = 30.0;
/// Problems, and warnings, that one answer names.
const NAMED_MAX: usize = 100;

/// How the program is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HealthAnswer {
    /// `ok`, or `failing` when lines are not read that are there.
    pub status: String,
    /// The program's version.
    pub version: String,
    /// What makes it fail, at most 100.
    pub problems: Vec<Problem>,
    /// What somebody should know and perhaps wants so, at most 100.
    pub warnings: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Problem {
    /// The source it is about; the data directory, if nothing can be stored.
    pub source: String,
    /// What is wrong and the way out.
    pub what: String,
    /// Since when, RFC 3339, where it is known.
    pub since: Option<String>,
}

impl HealthAnswer {
    /// Of the program that answers with these services: its sources and its disk.
    pub(crate) fn of(services: &Services) -> Self {
        let mut health = services.sources.health();
        let disk = DiskAnswer::new(services.engine.disk());
        if let Some(what) = disk.message() {
            let source = services.info.data_dir.display().to_string();
            health.problems.insert(0, Problem { source, what, since: disk.since });
        }
        health.warnings.extend(of_nodes(services));
        Self::new(health, &services.info.version)
    }

    /// For a program of this version.
    pub fn new(mut health: Health, version: &str) -> Self {
        health.problems.truncate(NAMED_MAX);
        health.warnings.truncate(NAMED_MAX);
        let status = if health.problems.is_empty() { "ok" } else { "failing" };
        let Health { problems, warnings } = health;
        Self { status: status.to_owned(), version: version.to_owned(), problems, warnings }
    }

    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What is wrong with machines that send something here: they do not any more, which is no news after long, or their clock is
/// wrong.
fn of_nodes(services: &Services) -> Vec<Problem> {
    let now = (services.clock)();
    let nodes = services.machines.history.nodes().unwrap_or_default().into_iter();
    let nodes = nodes.map(|node| NodeAnswer::new(node, now));
    let problem = |node: NodeAnswer| {
        let skew = node.clock_skew_seconds.unwrap_or_default();
        let (what, since) = if node.is_silent {
            let what =
                "this machine sends nothing any more; look whether its agent runs and reaches this server";
            (what.to_owned(), Some(node.last_seen))
        } else {
            let (seconds, where_to) = (skew.abs().round(), if skew < 0.0 { "ahead" } else { "behind" });
            (
                format!(
                    "the clock of this machine is {seconds} seconds {where_to}; look at its time service"
                ),
                None,
            )
        };
        Problem { source: node.node, what, since }
    };
    let is_off = |node: &NodeAnswer| node.clock_skew_seconds.is_some_and(|skew| skew.abs() > CLOCK_OFF);
    let is_news = |node: &NodeAnswer| {
        if node.is_silent { node.silent_seconds < FORGOTTEN_AFTER } else { is_off(node) }
    };
    nodes.filter(is_news).map(problem).collect()
}

fn clash(node: String) -> Problem {
    let what = "several agents have this name, and their lines may be mixed and doubled; give each its own with `node`, \
                and each its own spool";
    Problem { source: node, what: what.to_owned(), since: None }
}

pub(crate) async fn health(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let clashes = app.nodes().clashes();
    let mut answer = app.look(|services| Ok(HealthAnswer::of(services))).await?;
    answer.warnings.extend(clashes.into_iter().take(NAMED_MAX).map(clash));
    let status = if answer.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(answer)).into_response())
}
