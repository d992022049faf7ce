//! `GET /api/v1/search`: the matching records, page by page.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use taffrail_record::Timestamp;
use taffrail_store::engine::{Cursor, Order, SEARCH_LIMIT_MAX, SearchRequest};

use crate::api::Record;
use crate::api::parameters::{Parameters, milliseconds};
use crate::error::ApiError;
use crate::run::App;

/// Matching records.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SearchAnswer {
    /// The records.
    pub records: Vec<Record>,
    /// What `after` takes to get the next page; `None` if there is none.
    pub next: Option<String>,
    /// Time that the search took.
    pub elapsed_ms: f64,
    /// Records whose fields were looked at.
    pub scanned: u64,
}

pub(crate) async fn search(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<SearchAnswer>, ApiError> {
    let known = ["q", "since", "until", "limit", "order", "after", "raw"];
    let parameters = Parameters::read(query.as_deref(), &known)?;
    let range = parameters.range((app.services.clock)())?;
    let limit = parameters.number("limit", 100, 0..=SEARCH_LIMIT_MAX)?;
    let order = match parameters.text("order") {
        None | Some("desc") => Order::NewestFirst,
        Some("asc") => Order::OldestFirst,
        Some(text) => return Err(ApiError::invalid(format!("order={text} must be desc or asc"))),
    };
    let after = parameters.text("after").map(|text| read_cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let with_raw = parameters.flag("raw")?;
    let expression = parameters.text("q").unwrap_or_default().to_owned();
    app.query(move |engine, control| {
        let filter = engine.parse(&expression)?;
        let page = engine.search(&SearchRequest { filter, range, limit, skip: 0, after, order }, control)?;
        Ok(Json(SearchAnswer {
            records: page.hits.iter().map(|hit| Record::from_hit(hit, with_raw)).collect(),
            next: page.next.as_ref().map(cursor),
            elapsed_ms: milliseconds(page.work.elapsed),
            scanned: page.work.records_scanned,
        }))
    })
    .await
}

/// A cursor as opaque text that needs no escaping anywhere.
pub(crate) fn cursor(cursor: &Cursor) -> String {
    let mut text = format!("{}_{}_", cursor.timestamp.0, cursor.offset);
    for byte in cursor.source.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn read_cursor(text: &str) -> Option<Cursor> {
    let mut parts = text.splitn(3, '_');
    let timestamp = Timestamp(parts.next()?.parse().ok()?);
    let offset = parts.next()?.parse().ok()?;
    let digits = parts.next()?.as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let source = String::from_utf8(pairs.map(byte).collect::<Option<_>>()?).ok()?;
    Some(Cursor { timestamp, source, offset })
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("after is no cursor; take it from the field next of the page before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_whole() {
        for source in ["", "/var/log/a b_é.log"] {
            let given = Cursor { timestamp: Timestamp(-5), source: source.to_owned(), offset: u64::MAX };
            assert_eq!(read_cursor(&cursor(&given)), Some(given));
        }
        for bad in ["", "1_2", "1_2_3", "x_2_", "1_2_zz", "1_2_ff", "1_-2_"] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
