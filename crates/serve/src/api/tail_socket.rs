//! `GET /api/v1/tail/ws`: the same as [`super::tail`] over WebSocket, for pages and tools that prefer it.
//!
//! Frames are JSON: `{"type":"start","id":...}` first, then `{"type":"record","id":...,"record":{...}}`,
//! `{"type":"gap","missed":...}`, `{"type":"sampled","matched":...,"shown":...}`, and `{"type":"place","id":...}` now and then
//! where nothing matches. What clients send is not looked at.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::{StreamExt as _, stream};
use serde::Serialize;

use super::tail::{GapNotice, Tail, Told, json, place};
use crate::api::Record;
use crate::api::sampling::SampledNotice;
use crate::error::ApiError;
use crate::run::App;
use taffrail_http::websocket;

/// A frame.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Start {
        id: String,
    },
    Place {
        id: String,
    },
    Record {
        id: String,
        record: &'a Record,
    },
    Gap {
        missed: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
    },
    Sampled {
        matched: u64,
        shown: u64,
    },
}

pub(crate) async fn tail_socket(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    // Browsers ask for sockets of others without asking them first.
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = text(ORIGIN)
        .is_none_or(|origin| app.services.hosts.allow_origin(origin, text(HOST).unwrap_or_default()));
    if !is_own {
        let message = "pages of other sites may not watch; see `allowed_hosts`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let tail = Tail::open(app, query.as_deref(), &headers).await?;
    let with_raw = tail.with_raw;
    let frames = stream::unfold(tail, move |mut tail| async move {
        let told = tail.next().await?;
        Some((websocket::Told::Frames(vec![frame(&told, with_raw).into()]), tail))
    });
    let close = CloseFrame { code: close_code::AWAY, reason: "the daemon stops".into() };
    let told = frames.chain(stream::once(async { websocket::Told::GoodBye(close) }));
    Ok(websocket::bounded(upgrade).on_upgrade(|socket| async {
        let ended = websocket::serve(socket, told).await;
        tracing::debug!(?ended, "a live stream has ended");
    }))
}

fn frame(told: &Told, with_raw: bool) -> String {
    match told {
        Told::Start(place) => json(&Frame::Start { id: place.to_string() }),
        Told::Place(place) => json(&Frame::Place { id: place.to_string() }),
        Told::Record(hit) => {
            let record = Record::from_hit(hit, with_raw);
            json(&Frame::Record { id: place(hit).to_string(), record: &record })
        }
        Told::Gap(GapNotice { missed, deleted }) => json(&Frame::Gap { missed: *missed, deleted: *deleted }),
        Told::Sampled(SampledNotice { matched, shown }) => {
            json(&Frame::Sampled { matched: *matched, shown: *shown })
        }
    }
}
