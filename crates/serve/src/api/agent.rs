//! `/api/v1/agent/entries`: what agents send, stored as that of their machines, each line once however often it comes.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use taffrail_forward::entry::{Content, Entry};
use taffrail_forward::{NODE_HEADER, SPOOL_HEADER, TIME_HEADER, VERSION_HEADER};
use taffrail_record::Timestamp;
use taffrail_store::history::StoredSample;

use crate::body;
use crate::error::ApiError;
use crate::nodes::{Arrived, NAME_BYTES_MAX};
use crate::resolvix;
use crate::run::App;
use crate::services::Delivery;

/// Bytes that a body may have when its entries are unpacked: that of an agent, and more than the largest entry.
const UNPACKED_MAX: usize = 128 << 20;

/// Who is on the other side of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sender(pub(crate) IpAddr);

/// Entries are taken here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentAnswer {
    /// The version of this program.
    pub taffrail: String,
}

/// Entries are durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntriesAnswer {
    /// Entries that were taken, those that were known among them.
    pub taken: u64,
    /// Lines of them that are new.
    pub records: u64,
}

/// What a body of entries says.
#[derive(Default)]
struct Said {
    entries: u64,
    lines: u64,
    /// The latest reading of a line, or time of a sample.
    newest: Option<Timestamp>,
    delivery: Option<Delivery>,
    samples: Vec<StoredSample>,
}

pub(crate) async fn here(State(app): State<Arc<App>>) -> Json<AgentAnswer> {
    Json(AgentAnswer { taffrail: app.services.info.version.clone() })
}

pub(crate) async fn entries(
    State(app): State<Arc<App>>,
    sender: Option<Extension<Sender>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<EntriesAnswer>, ApiError> {
    let text =
        |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    let node = name(text(NODE_HEADER), NODE_HEADER)?.to_owned();
    let spool = name(text(SPOOL_HEADER), SPOOL_HEADER)?.to_owned();
    let (version, sent) = (text(VERSION_HEADER).to_owned(), text(TIME_HEADER).parse().map(Timestamp).ok());
    let body = body::read(&app, &headers, body).await?;
    let job = tokio::task::spawn_blocking(move || read(&body.bytes, &node, &spool).map(|said| (said, node)));
    let (said, node) = job.await.map_err(|error| ApiError::internal(&error.to_string()))??;
    let (samples, sampled) = (said.samples.len() as u64, said.samples);
    let spool = said.delivery.as_ref().map(|delivery| delivery.spool.clone());
    let records = match said.delivery {
        Some(delivery) if !delivery.batches.is_empty() => app.take(delivery).await?.records,
        _ => 0,
    };
    app.keep(sampled).await?;
    let (lines, newest) = (said.lines, said.newest);
    app.note(sender, move |nodes, address| {
        let (kind, version, spool) = ("agent", version.as_str(), spool.as_deref());
        nodes.note(&Arrived { node: &node, kind, version, sent, newest, lines, samples, spool }, address);
    })
    .await?;
    Ok(Json(EntriesAnswer { taken: said.entries, records }))
}

fn name<'a>(text: &'a str, header: &str) -> Result<&'a str, ApiError> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        let message = format!("the header {header} must be a name of 1 to {NAME_BYTES_MAX} bytes");
        return Err(ApiError::invalid(message));
    }
    Ok(text)
}

fn read(mut bytes: &[u8], node: &str, spool: &str) -> Result<Said, ApiError> {
    let damaged = || ApiError::invalid("the body is damaged, or is not one of entries");
    let mut said = Said::default();
    let (mut batches, mut unpacked) = (Vec::new(), 0);
    while !bytes.is_empty() {
        let (entry, rest) = Entry::read(bytes).ok_or_else(damaged)?;
        bytes = rest;
        unpacked += entry.unpacked_bytes();
        if unpacked > UNPACKED_MAX {
            return Err(ApiError::too_large("the body says too much at once: send fewer entries"));
        }
        said.entries += 1;
        said.lines += u64::from(entry.lines);
        match entry.content().ok_or_else(damaged)? {
            Content::Lines(batch, note) => {
                said.newest = said.newest.max(Some(batch.observed));
                batches.push((batch, note));
            }
            Content::Loss { batch, .. } => batches.push((batch, String::new())),
            Content::Sample(envelope) => {
                let sample = resolvix::sample(&envelope, Some(node)).map_err(ApiError::invalid)?;
                said.newest = said.newest.max(Some(sample.time));
                said.samples.push(sample);
            }
        }
    }
    said.delivery = Some(Delivery { node: node.to_owned(), spool: spool.to_owned(), batches });
    Ok(said)
}
