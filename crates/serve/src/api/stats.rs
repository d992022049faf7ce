//! `GET /api/v1/stats`: what is stored, and by whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use taffrail_record::Timestamp;
use taffrail_store::engine::DiskStatus;

use crate::api::rfc3339;
use crate::error::ApiError;
use crate::run::App;

/// What is stored and who stores it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StatsAnswer {
    /// Records stored.
    pub records: u64,
    /// Of these, records that are not in a segment yet.
    pub records_in_memory: u64,
    /// Sealed files.
    pub segments: u64,
    /// Their bytes, indexes included.
    pub segment_bytes: u64,
    /// Bytes of the WAL.
    pub wal_bytes: u64,
    /// Bytes of the original lines.
    pub raw_bytes: u64,
    /// Bytes that could not be read; the table `gaps` has them.
    pub gap_bytes: u64,
    /// Time of the oldest record, RFC 3339.
    pub oldest: Option<String>,
    /// Time of the newest record, RFC 3339.
    pub newest: Option<String>,
    /// Distinct sources.
    pub sources: u64,
    /// Records by level, as the lines spell it.
    pub levels: BTreeMap<String, u64>,
    /// Live streams that are open.
    pub subscribers: u64,
    /// The program's version.
    pub version: String,
    /// Where records are stored.
    pub data_dir: String,
    /// When the program started, RFC 3339.
    pub started: String,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Days that records are kept; 0: for ever.
    pub retention_days: u32,
    /// How storing gets on with the disk.
    pub disk: DiskAnswer,
}

/// How storing gets on with the disk.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiskAnswer {
    /// `ok`, `full` or `failing`; with the last two nothing is stored, until they end by themselves.
    pub state: String,
    /// Since when it is full or fails, RFC 3339.
    pub since: Option<String>,
    /// Bytes that must become free, if it is full.
    pub needed_bytes: u64,
    /// What the system said.
    pub error: Option<String>,
    /// Records that were deleted because the disk was full, since the store was made.
    pub dropped_records: u64,
    /// Bytes of their files.
    pub dropped_bytes: u64,
}

impl DiskAnswer {
    pub(crate) fn new(status: DiskStatus) -> Self {
        let state = match &status.trouble {
            None => "ok",
            Some(trouble) if trouble.full => "full",
            Some(_) => "failing",
        };
        Self {
            state: state.to_owned(),
            since: status.trouble.as_ref().map(|trouble| rfc3339(trouble.since)),
            needed_bytes: status.trouble.as_ref().map_or(0, |trouble| trouble.needed_bytes),
            error: status.trouble.map(|trouble| trouble.cause),
            dropped_records: status.dropped_records,
            dropped_bytes: status.dropped_bytes,
        }
    }

    /// In one line; `None` if there is nothing to say.
    pub(crate) fn message(&self) -> Option<String> {
        let since = self.since.as_deref()?;
        let error = self.error.as_deref().unwrap_or_default();
        Some(match self.state.as_str() {
            "full" => format!(
                "disk full since {since}, {} bytes needed: free some space, storing then goes on by itself",
                self.needed_bytes
            ),
            _ => format!("disk failing since {since}: {error}"),
        })
    }
}

pub(crate) async fn stats(State(app): State<Arc<App>>) -> Result<Json<StatsAnswer>, ApiError> {
    let stats = app.query(|engine, _| engine.stats()).await?;
    let info = &app.services.info;
    let uptime = (app.services.clock)().0.saturating_sub(info.started.0) / Timestamp::SECOND;
    let mut levels = BTreeMap::new();
    let mut sources: Vec<&str> = stats.groups.iter().map(|group| group.source.as_str()).collect();
    for group in &stats.groups {
        *levels.entry(group.level.clone()).or_default() += group.records;
    }
    sources.sort_unstable();
    sources.dedup();
    Ok(Json(StatsAnswer {
        records: stats.records,
        records_in_memory: stats.records_in_memory,
        segments: stats.segments,
        segment_bytes: stats.segment_bytes,
        wal_bytes: stats.wal_bytes,
        raw_bytes: stats.raw_bytes,
        gap_bytes: stats.gap_bytes,
        oldest: stats.oldest.map(rfc3339),
        newest: stats.newest.map(rfc3339),
        sources: sources.len() as u64,
        levels,
        subscribers: app.services.live.subscribers() as u64,
        version: info.version.clone(),
        data_dir: info.data_dir.display().to_string(),
        started: rfc3339(info.started),
        uptime_seconds: u64::try_from(uptime).unwrap_or_default(),
        retention_days: info.retention_days,
        disk: DiskAnswer::new(stats.disk),
    }))
}
