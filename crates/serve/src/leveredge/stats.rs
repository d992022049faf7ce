//! `GET /health`, `/api/agents`, `/api/stats`: what is alive, who wrote, how much is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use taffrail_record::{Civil, Timestamp};
use taffrail_store::engine::Stats;

use crate::leveredge::{Refusal, agent, entry};
use crate::run::App;

pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    let info = &app.services.info;
    Json(json!({
        "status": "healthy",
        "service": "log-aggregator",
        "timestamp": entry::time((app.services.clock)()),
        "aggregated_dir": info.data_dir.display().to_string(),
        "retention_days": info.retention_days,
    }))
}

pub(crate) async fn agents(State(app): State<Arc<App>>) -> Result<Json<Value>, Refusal> {
    let stats = app.query(|engine, _| engine.stats()).await?;
    let names: BTreeSet<String> =
        stats.groups.iter().map(|group| agent::name(&group.source, &group.service)).collect();
    Ok(Json(json!({ "agents": names })))
}

pub(crate) async fn stats(State(app): State<Arc<App>>) -> Result<Json<Value>, Refusal> {
    let stats = app.query(|engine, _| engine.stats()).await?;
    Ok(Json(summary(&stats)))
}

/// The original counts files, one a day. Here a day's size is its share of all bytes by its count.
fn summary(stats: &Stats) -> Value {
    let mut by_level: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_agent: BTreeMap<String, u64> = BTreeMap::new();
    let mut by_day: BTreeMap<i32, u64> = BTreeMap::new();
    for group in &stats.groups {
        let level = if group.level.is_empty() { "UNKNOWN" } else { &group.level };
        *by_level.entry(level).or_default() += group.records;
        *by_agent.entry(agent::name(&group.source, &group.service)).or_default() += group.records;
        *by_day.entry(group.day).or_default() += group.records;
    }
    let total: u64 = by_day.values().sum();
    let bytes = u128::from(stats.segment_bytes + stats.wal_bytes);
    let file = |(day, count): (&i32, &u64)| {
        let size = bytes * u128::from(*count) / u128::from(total.max(1));
        json!({ "name": format!("{}.log", date(*day)), "size_bytes": size as u64, "count": count })
    };
    let files: Vec<Value> = by_day.iter().map(file).collect();
    json!({ "total_logs": total, "by_level": by_level, "by_agent": by_agent, "log_files": files })
}

fn date(day: i32) -> String {
    let midnight = Timestamp(i64::from(day).saturating_mul(86_400 * Timestamp::SECOND));
    let civil = Civil::from_timestamp(midnight, 0);
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}
