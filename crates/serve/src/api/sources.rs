//! `GET /api/v1/sources`: what is followed, how far it is read, and what could not be read.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use taffrail_store::StoredGap;
use taffrail_store::engine::{GapTotal, Gaps};

use crate::api::parameters::Parameters;
use crate::api::rfc3339;
use crate::error::ApiError;
use crate::run::App;

/// Sources that one answer has at most.
pub const SOURCES_LIMIT_MAX: usize = 100_000;
/// Sources that one answer has where nothing is said.
const SOURCES_LIMIT: usize = 10_000;

/// What is followed, and what is missing of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SourcesAnswer {
    /// The sources that were asked for.
    pub sources: Vec<Source>,
    /// How many there are in all of what was asked for.
    pub total: u64,
    /// The gaps of all sources that are stored, also of those that are followed no more.
    pub gaps: GapsAnswer,
}

/// What a source is doing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    /// Its name: a path, or a listener's name.
    pub source: String,
    /// What it is: `file`, `journal`, `stdin` or `fifo`.
    pub kind: String,
    /// What it is doing, one word: `following`, `missing`, `refused`, `ended` or `failed`.
    pub state: String,
    /// Its path, where it has one.
    pub path: Option<String>,
    /// Which file is read, if one is.
    pub identity: Option<FileIdentity>,
    /// Offset after the last byte that was read, in everything ever read under this name.
    pub offset: u64,
    /// The same in the file that is read.
    pub position: u64,
    /// Bytes of the file at its path, as far as known.
    pub size: u64,
    /// Bytes that are not stored yet, an unfinished last line included.
    pub lag_bytes: u64,
    /// Seconds since when there are bytes that were not read; 0 if there are none.
    pub lag_seconds: f64,
    /// Bytes of an unfinished last line, which wait for its newline.
    pub held_bytes: u64,
    /// Lines read since it was first seen; each is a record.
    pub records: u64,
    /// The format that its lines are in, as far as most of the last few hundred have shown; it is tried first.
    #[serde(default)]
    pub format: Option<String>,
    /// How dates as `03/04/2026` are read: `month-first`, or `day-first` where lines have shown that or the config says it.
    #[serde(default)]
    pub dates: String,
    /// The formats that its lines were in since the program started, the most frequent first.
    #[serde(default)]
    pub formats: Vec<SeenFormat>,
    /// Times its file was replaced or truncated since the program started.
    pub rotations: u64,
    /// When something was last read, RFC 3339.
    pub last_read: Option<String>,
    /// Why it cannot be read, and the way out; or what last kept it from being read.
    pub error: Option<String>,
    /// What could not be read of it.
    pub gaps: SourceGaps,
    /// Whether its file holds unread bytes and reading does not move on.
    pub stalled: bool,
    /// Since when, RFC 3339.
    pub stalled_since: Option<String>,
}

/// A format that lines of a source were in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SeenFormat {
    /// Its name, as `taffrail explain` says it.
    pub format: String,
    /// Records in it.
    pub records: u64,
}

/// Which file it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// When it was created, RFC 3339, where the file system records it.
    pub birth: Option<String>,
}

/// What could not be read of a source, since it was first seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SourceGaps {
    /// How many gaps.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why the newest is missing.
    pub newest_reason: Option<String>,
    /// When the newest was noticed, RFC 3339.
    pub newest: Option<String>,
}

/// All gaps.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GapsAnswer {
    /// Sums by reason, most bytes first.
    pub by_reason: Vec<GapReasonSum>,
    /// The newest gaps, newest first, at most ten; the table `gaps` has all.
    pub newest: Vec<GapAnswer>,
}

/// Gaps for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GapReasonSum {
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A gap.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GapAnswer {
    /// The source.
    pub source: String,
    /// Offset of the first missing byte.
    pub start_offset: u64,
    /// Offset after the last missing byte.
    pub end_offset: u64,
    /// When it was noticed, RFC 3339.
    pub observed: String,
    /// Why.
    pub reason: String,
}

impl SourcesAnswer {
    /// Puts the gaps that the store knows to their sources.
    pub fn new(mut sources: Vec<Source>, gaps: &Gaps) -> Self {
        let mut of_source: HashMap<&str, (SourceGaps, i64)> = HashMap::new();
        for total in &gaps.totals {
            let (sum, newest) = of_source.entry(&total.source).or_insert((SourceGaps::default(), i64::MIN));
            sum.count += total.gaps;
            sum.bytes += total.bytes;
            if total.newest.0 > *newest {
                *newest = total.newest.0;
                sum.newest_reason = Some(total.reason.clone());
                sum.newest = Some(rfc3339(total.newest));
            }
        }
        for source in &mut sources {
            if let Some((sum, _)) = of_source.remove(source.source.as_str()) {
                source.gaps = sum;
            }
        }
        let total = sources.len() as u64;
        Self { sources, total, gaps: GapsAnswer::from(gaps) }
    }
}

/// Whether a source's name has `pattern` in it, where `*` stands for anything.
pub fn is_named(pattern: &str, name: &str) -> bool {
    let mut rest = name;
    pattern.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// What somebody looks for first comes first.
fn rank(source: &Source) -> u8 {
    match source.state.as_str() {
        _ if source.stalled => 0,
        "failed" => 1,
        "missing" => 4,
        "refused" | "ended" => 5,
        _ if source.lag_bytes > source.held_bytes => 2,
        _ => 3,
    }
}

impl From<&Gaps> for GapsAnswer {
    fn from(gaps: &Gaps) -> Self {
        let mut by_reason: Vec<GapReasonSum> = Vec::new();
        for GapTotal { reason, gaps, bytes, .. } in &gaps.totals {
            match by_reason.iter_mut().find(|sum| sum.reason == *reason) {
                Some(sum) => {
                    sum.count += gaps;
                    sum.bytes += bytes;
                }
                None => by_reason.push(GapReasonSum { reason: reason.clone(), count: *gaps, bytes: *bytes }),
            }
        }
        by_reason.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.reason.cmp(&b.reason)));
        Self { by_reason, newest: gaps.newest.iter().map(GapAnswer::from).collect() }
    }
}

impl From<&StoredGap> for GapAnswer {
    fn from(gap: &StoredGap) -> Self {
        Self {
            source: gap.source.clone(),
            start_offset: gap.start,
            end_offset: gap.end,
            observed: rfc3339(gap.observed),
            reason: gap.reason.clone(),
        }
    }
}

pub(crate) async fn sources(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<SourcesAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["name", "limit", "order"])?;
    let name = parameters.text("name").unwrap_or_default().to_owned();
    let limit = parameters.number("limit", SOURCES_LIMIT, 0..=SOURCES_LIMIT_MAX)?;
    let trouble_first = match parameters.text("order") {
        None | Some("name") => false,
        Some("trouble") => true,
        Some(other) => return Err(ApiError::invalid(format!("order={other} must be name or trouble"))),
    };
    let answer = app.look(move |services| {
        let mut sources = services.sources.sources();
        sources.retain(|source| is_named(&name, &source.source));
        if trouble_first {
            sources.sort_by_key(rank);
        }
        let total = sources.len() as u64;
        sources.truncate(limit);
        Ok(SourcesAnswer { total, ..SourcesAnswer::new(sources, &services.engine.gaps()?) })
    });
    Ok(Json(answer.await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_parts_of_names() {
        for (pattern, name, want) in [
            ("", "/a", true),
            ("log", "/var/log/x", true),
            ("*.log", "/x.log", true),
            ("/var*x", "/var/log/x.1", true),
            ("x*var", "/var/log/x", false),
            ("Log", "/var/log/x", false),
        ] {
            assert_eq!(is_named(pattern, name), want, "{pattern} {name}");
        }
    }
}
