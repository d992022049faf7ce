//! `GET /api/logs`, `/api/logs/search`, `/api/logs/agent/{agent_name}`: entries by event time, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde_json::{Map, Value, json};
use taffrail_record::Timestamp;
use taffrail_store::engine::{
    Control, Cursor, Engine, Order, QueryError, SEARCH_SKIP_MAX, SearchRequest, TimeRange,
};
use taffrail_store::filter::Filter;
use taffrail_store::hit::Hit;

use crate::api::calendar_ns;
use crate::leveredge::highlight::Pattern;
use crate::leveredge::validation::{LIMIT_MAX, Query};
use crate::leveredge::{Refusal, agent, entry};
use crate::run::App;

/// Entries that one step skips; deeper paging goes by several.
const STEP: usize = SEARCH_SKIP_MAX - LIMIT_MAX as usize;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let wanted = Wanted::read(Query::read(query.as_deref()))?;
    let (limit, offset) = (wanted.limit, wanted.offset);
    let logs = app.query(move |engine, control| wanted.entries(engine, control, &Filter::All)).await?;
    let count = logs.len();
    Ok(Json(json!({ "logs": logs, "count": count, "limit": limit, "offset": offset })))
}

pub(crate) async fn of_agent(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let mut wanted = Wanted::read(Query::read(query.as_deref()))?;
    wanted.agent = Some(name.clone());
    let logs = app.query(move |engine, control| wanted.entries(engine, control, &Filter::All)).await?;
    let count = logs.len();
    Ok(Json(json!({ "agent": name, "logs": logs, "count": count })))
}

pub(crate) async fn search(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let mut query = Query::read(query.as_deref());
    let text = query.required("q");
    let wanted = Wanted::read(query)?;
    let pattern = Pattern::new(&text);
    let results = app
        .query(move |engine, control| {
            let mut entries = match wanted.entries(engine, control, &pattern.filter()) {
                Err(QueryError::Syntax { .. } | QueryError::Invalid(_)) => {
                    wanted.entries(engine, control, &pattern.literal())?
                }
                other => other?,
            };
            for entry in &mut entries {
                let marks = pattern.marks(entry);
                entry.insert("_highlights".to_owned(), Value::from(marks));
            }
            Ok(entries)
        })
        .await?;
    let count = results.len();
    Ok(Json(json!({ "query": text, "results": results, "count": count })))
}

/// Which entries.
struct Wanted {
    agent: Option<String>,
    level: Option<String>,
    range: TimeRange,
    limit: i64,
    offset: i64,
}

impl Wanted {
    fn read(mut query: Query) -> Result<Self, Refusal> {
        let (limit, offset) = (query.limit(), query.offset());
        let agent = query.word("agent").map(str::to_owned);
        let level = query.word("level").map(str::to_owned);
        let all = TimeRange::ALL;
        // What is no time is ignored, as the original does.
        let since = query.word("start_time").and_then(time).unwrap_or(all.since);
        // The end is inside.
        let until =
            query.word("end_time").and_then(time).map_or(all.until, |t| Timestamp(t.0.saturating_add(1)));
        let errors = query.into_errors();
        if !errors.is_empty() {
            return Err(Refusal::invalid(errors));
        }
        Ok(Self { agent, level, range: TimeRange { since, until }, limit, offset })
    }

    fn entries(
        &self,
        engine: &dyn Engine,
        control: &Control,
        condition: &Filter,
    ) -> Result<Vec<Map<String, Value>>, QueryError> {
        let Some(limit) = usize::try_from(self.limit).ok().filter(|limit| *limit > 0) else {
            return Ok(Vec::new());
        };
        // No error to the original: nothing lies in between.
        if self.range.since >= self.range.until {
            return Ok(Vec::new());
        }
        let mut filter = condition.clone();
        if let Some(level) = &self.level {
            filter = filter.and(agent::level_filter(level));
        }
        if let Some(agent) = &self.agent {
            filter = filter.and(agent::filter(&engine.stats()?, agent));
        }
        let page = |limit, skip, after| {
            let (filter, range, order) = (filter.clone(), self.range, Order::NewestFirst);
            engine.search(&SearchRequest { filter, range, limit, skip, after, order }, control)
        };
        let mut skip = usize::try_from(self.offset).unwrap_or_default();
        let mut after = None;
        while skip > STEP {
            let Some(last) = page(1, STEP - 1, after)?.hits.pop() else { return Ok(Vec::new()) };
            after = Some(place(last));
            skip -= STEP;
        }
        Ok(page(limit, skip, after)?.hits.iter().map(entry::from_hit).collect())
    }
}

fn place(hit: Hit) -> Cursor {
    Cursor { timestamp: hit.timestamp, source: hit.source, offset: hit.offset }
}

/// A time; before and after what a timestamp holds it is the first or the last.
fn time(text: &str) -> Option<Timestamp> {
    let nanoseconds = calendar_ns(text)?;
    Some(Timestamp(nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64))
}
