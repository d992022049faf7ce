//! What Resolvix' agents send to a central server: `POST /logs`, `/telemetry` and `/api/system_info`, one object, an array, or
//! one object a line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};
use taffrail_record::Timestamp;
use taffrail_store::history::{ENVELOPE_BYTES_MAX, StoredSample};

use crate::api::Sender;
use crate::api::parse_time;
use crate::body;
use crate::error::ApiError;
use crate::leveredge::Refusal;
use crate::nodes::{Arrived, NAME_BYTES_MAX};
use crate::run::App;
use crate::services::Push;

/// What the inventory of a machine is called.
const SYSTEM_INFO: &str = "system_info";
/// Longest path that a line names.
const PATH_BYTES_MAX: usize = 4_096;

/// A line as it is stored: all that its sender says of it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    application: &'a str,
}

/// Lines of one file of one machine, to be stored.
type Files = BTreeMap<(String, String), (Vec<u8>, u64)>;

pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    sender: Option<Extension<Sender>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let files = read(&app, &headers, body, lines).await?;
    let mut received = 0;
    let mut of_nodes = BTreeMap::<String, u64>::new();
    for ((node, path), (bytes, lines)) in files {
        let source = format!("{node}:{path}");
        app.push(Push { source, service: Some(service(&path)), node: Some(node.clone()), bytes }).await?;
        received += lines;
        *of_nodes.entry(node).or_default() += lines;
    }
    app.note(sender, move |nodes, address| {
        for (node, lines) in &of_nodes {
            let arrived = Arrived { lines: *lines, ..of_resolvix(node) };
            nodes.note(&arrived, address);
        }
    })
    .await?;
    Ok(Json(json!({ "status": "ok", "received": received })))
}

pub(crate) async fn telemetry(
    State(app): State<Arc<App>>,
    sender: Option<Extension<Sender>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let samples = read(&app, &headers, body, |bytes| {
        values(bytes)?.iter().map(|value| sample(&value.to_string(), None)).collect::<Result<Vec<_>, _>>()
    });
    let samples = samples.await?;
    let received = samples.len();
    let nodes: Vec<(String, Timestamp)> =
        samples.iter().map(|sample| (sample.node.clone(), sample.time)).collect();
    app.keep(samples).await?;
    app.note(sender, move |known, address| {
        for (node, time) in &nodes {
            let arrived = Arrived { sent: Some(*time), samples: 1, ..of_resolvix(node) };
            known.note(&arrived, address);
        }
    })
    .await?;
    Ok(Json(json!({ "status": "ok", "received": received })))
}

/// What a machine is, as the installer tells it: a record of that machine.
pub(crate) async fn system_info(
    State(app): State<Arc<App>>,
    sender: Option<Extension<Sender>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let machines = read(&app, &headers, body, |bytes| {
        values(bytes)?.into_iter().map(|value| Ok((machine(&value)?, value))).collect::<Result<Vec<_>, _>>()
    });
    for (node, value) in machines.await? {
        let (source, bytes) = (format!("{node}:{SYSTEM_INFO}"), format!("{value}\n").into_bytes());
        app.push(Push { source, service: Some(SYSTEM_INFO.to_owned()), node: Some(node.clone()), bytes })
            .await?;
        app.note(sender, move |nodes, address| {
            let arrived = Arrived { lines: 1, ..of_resolvix(&node) };
            nodes.note(&arrived, address);
        })
        .await?;
    }
    Ok(Json(json!({ "status": "ok" })))
}

/// Something of a machine of Resolvix.
fn of_resolvix(node: &str) -> Arrived<'_> {
    Arrived {
        node,
        kind: "resolvix",
        version: "",
        sent: None,
        newest: None,
        lines: 0,
        samples: 0,
        spool: None,
    }
}

/// The name of a machine that tells what it is: its address, as its agent is called; without a network its own.
fn machine(value: &Value) -> Result<String, String> {
    let address = text(value, "IP_address", NAME_BYTES_MAX)?;
    let is_none = address.parse::<IpAddr>().is_err();
    Ok(if is_none { text(value, "Hostname", NAME_BYTES_MAX)? } else { address }.to_owned())
}

/// What a body says, read by a thread that may block.
async fn read<T: Send + 'static>(
    app: &Arc<App>,
    headers: &HeaderMap,
    body: Body,
    parse: impl FnOnce(&[u8]) -> Result<T, String> + Send + 'static,
) -> Result<T, ApiError> {
    let body = body::read(app, headers, body).await?;
    let job = tokio::task::spawn_blocking(move || parse(&body.bytes));
    job.await.map_err(|error| ApiError::internal(&error.to_string()))?.map_err(ApiError::invalid)
}

/// An envelope as it is kept. A machine that sends for itself has its own name.
pub(crate) fn sample(envelope: &str, node: Option<&str>) -> Result<StoredSample, String> {
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(format!("a sample has at most {ENVELOPE_BYTES_MAX} bytes"));
    }
    let value: Value = serde_json::from_str(envelope).map_err(|error| format!("no JSON: {error}"))?;
    if !value.get("metrics").is_some_and(Value::is_object) {
        return Err("a sample has an object `metrics`".to_owned());
    }
    let node = match node {
        Some(node) => node,
        None => text(&value, "node_id", NAME_BYTES_MAX)?,
    };
    let timestamp = value.get("timestamp").and_then(Value::as_str).unwrap_or_default();
    // A time that is relative to now is none of a sample.
    let time = parse_time(timestamp, Timestamp(0)).ok().filter(|_| timestamp.contains('T'));
    let time = time.ok_or("a sample has a `timestamp` such as 2024-01-15T10:30:45Z")?;
    let figures = taffrail_telemetry::figures(&value);
    Ok(StoredSample { node: node.to_owned(), time, figures, envelope: value.to_string() })
}

/// One object, an array of them, or one a line.
fn values(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let stream = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let all = stream.collect::<Result<Vec<_>, _>>().map_err(|error| format!("no JSON: {error}"))?;
    let all: Vec<Value> = match <[Value; 1]>::try_from(all) {
        Ok([Value::Array(values)]) => values,
        Ok([one]) => vec![one],
        Err(all) => all,
    };
    if all.is_empty() {
        return Err("the body is empty; it is an object, an array of them, or one a line".to_owned());
    }
    match all.iter().position(|value| !value.is_object()) {
        Some(at) => Err(format!("part {} is no object", at + 1)),
        None => Ok(all),
    }
}

fn lines(bytes: &[u8]) -> Result<Files, String> {
    let mut files = Files::new();
    for value in values(bytes)? {
        let line =
            value.get("log_line").and_then(Value::as_str).ok_or("`log_line` is missing, or no text")?;
        let of = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let stored = Line {
            timestamp: of("timestamp"),
            level: of("severity"),
            message: line,
            application: of("application"),
        };
        let node = text(&value, "system_ip", NAME_BYTES_MAX)?;
        let path = text(&value, "log_path", PATH_BYTES_MAX)?;
        let (bytes, count) = files.entry((node.to_owned(), path.to_owned())).or_default();
        serde_json::to_writer(&mut *bytes, &stored).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        *count += 1;
    }
    Ok(files)
}

/// A member that is a name.
fn text<'a>(value: &'a Value, key: &str, bytes_max: usize) -> Result<&'a str, String> {
    let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
    match text.is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        true => Err(format!("`{key}` must be a text of 1 to {bytes_max} bytes")),
        false => Ok(text),
    }
}

/// The service of a file's lines: its name without what comes behind a dot.
fn service(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name).to_owned()
}
