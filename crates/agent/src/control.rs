//! The control API: whether the machine is well, and commands to it, as Resolvix' clients ask.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use taffrail_forward::{Fill, Spool, Standing, Target};
use taffrail_http::connection::{self, Bounds};
use taffrail_http::listener;
use taffrail_record::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{RESOLVIX_INTERVAL, TELEMETRY_PORT};
use crate::door::OpenError;
use crate::live::Live;
use crate::running::now;
use crate::telemetry::{Telemetry, TelemetryConfig};

/// Connections at a time; more wait to be accepted.
const CLIENTS_MAX: usize = 512;
/// Time that open requests get when the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// So long it is told that lines were lost.
const LOSS_TOLD: Duration = Duration::from_secs(600);
/// Methods that a browser's script may use.
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// The control API, while it listens.
pub struct Control {
    clients: Clients,
    stopping: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Control {
    /// Listens. Must be called inside of a runtime.
    ///
    /// # Errors
    /// If somebody else has the address.
    pub fn start(address: SocketAddr, clients: Clients) -> Result<Self, listener::Error> {
        let listener = listener::listen(address)?;
        let stopping = watch::Sender::new(false);
        let listening = tokio::spawn(serve(listener, clients.clone(), stopping.subscribe()));
        Ok(Self { clients, stopping, listening })
    }

    /// Answers no more, and closes what commands have opened.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.clients.live.close().await;
        if let Some(telemetry) = &self.clients.telemetry {
            telemetry.close().await;
        }
        // It ends by itself; if it has failed, it has ended.
        let _ = self.listening.await;
    }
}

/// What clients find behind the commands.
#[derive(Clone)]
pub struct Clients {
    /// The live lines.
    pub live: Live,
    /// What the machine is doing; `None`: that is told to nobody.
    pub telemetry: Option<Telemetry>,
    /// Whom it sends to, once it does.
    pub targets: Arc<OnceLock<Sending>>,
}

/// What an agent sends, and what it would.
pub struct Sending {
    /// Whom it sends to.
    pub targets: Vec<Target>,
    /// Where that waits; `None`: nobody is sent to.
    pub spool: Option<Spool>,
    /// The port of the samples, as it is configured.
    pub telemetry_port: u16,
    /// The seconds between two samples, as they are configured.
    pub interval_seconds: u32,
}

async fn serve(listener: TcpListener, clients: Clients, stopping: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router(clients));
    let bounds = Bounds::default();
    let connection = |socket| {
        let (service, mut stopping) = (service.clone(), stopping.clone());
        async move { connection::serve(socket, service, bounds, stopped(&mut stopping)).await }
    };
    let mut until = stopping.clone();
    listener::accept_all(listener, CLIENTS_MAX, stopped(&mut until), connection, DRAIN_TIME).await;
}

/// Resolves once the program ends.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the control is gone: the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// The routes.
fn router(clients: Clients) -> Router {
    Router::new()
        .route("/health", get(health).options(preflight))
        .route("/status", get(status).options(preflight))
        .route("/control", post(control).options(preflight))
        .fallback(|| async { failed(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async {
            failed(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        })
        .layer(middleware::map_response(for_everyone))
        .with_state(clients)
}

/// Lets scripts of all pages read the answer, as the original does.
async fn for_everyone(mut response: Response) -> Response {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What a browser asks before a script may.
async fn preflight(asked: HeaderMap) -> Response {
    const REQUESTED: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;
    let headers = asked.get(REQUESTED).cloned().unwrap_or(HeaderValue::from_static("content-type"));
    let answer =
        [(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS), (header::ACCESS_CONTROL_ALLOW_HEADERS, headers)];
    answer.into_response()
}

/// One that cannot send says so, and why: what is to be sent waits. So does one that cannot keep it, or has just lost lines.
async fn health(State(Clients { live, telemetry, targets }): State<Clients>) -> Response {
    let sending = targets.get();
    let standings: Vec<Standing> =
        sending.iter().flat_map(|sending| &sending.targets).map(Target::standing).collect();
    let fill = sending.and_then(|sending| sending.spool.as_ref()).map(Spool::fill);
    let is_well = is_well(&standings, fill.as_ref(), now());
    let mut answer = json!({
        "status": if is_well { "ok" } else { "degraded" },
        "node_id": live.config().node,
        "telemetry_enabled": telemetry.is_some(),
    });
    if let (Some(answer), false) = (answer.as_object_mut(), standings.is_empty()) {
        let tell = |target: &Standing| {
            json!({"url": target.url, "failing": target.failing, "lines": target.lines,
                   "samples": target.samples, "refused": target.refused})
        };
        answer.insert("targets".to_owned(), standings.iter().map(tell).collect());
        if let Some(fill) = fill {
            let told =
                json!({"dropped": fill.dropped.lines, "waiting": fill.entries, "failing": fill.failing});
            answer.insert("spool".to_owned(), told);
        }
    }
    let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(answer)).into_response()
}

/// Whether all is sent or kept, and nothing was lost a while ago.
fn is_well(standings: &[Standing], fill: Option<&Fill>, now: Timestamp) -> bool {
    let is_recent =
        |at: Option<Timestamp>| at.is_some_and(|at| u128::from(now.0.abs_diff(at.0)) < LOSS_TOLD.as_nanos());
    standings.iter().all(|target| target.failing.is_none() && !is_recent(target.refused_at))
        && fill.is_none_or(|fill| fill.failing.is_none() && !is_recent(fill.dropped_at))
}

async fn status(State(Clients { live, telemetry, targets }): State<Clients>) -> Json<Value> {
    let config = live.config();
    let pid = |is_open: bool| is_open.then(std::process::id);
    // Clients want numbers, also where nothing is measured.
    let (port, interval) = match (&telemetry, targets.get()) {
        (Some(telemetry), _) => {
            let TelemetryConfig { address, interval, .. } = telemetry.config();
            (address.port(), interval.as_secs())
        }
        (None, Some(sending)) => (sending.telemetry_port, sending.interval_seconds.into()),
        (None, None) => (TELEMETRY_PORT, RESOLVIX_INTERVAL.into()),
    };
    let is_open = telemetry.as_ref().is_some_and(Telemetry::is_open);
    Json(json!({
        "node_id": config.node,
        "log_file": config.files.join(","),
        "livelogs": {"running": live.is_open(), "pid": pid(live.is_open()), "ws_port": config.address.port()},
        "telemetry": {
            "running": is_open,
            "pid": pid(is_open),
            "ws_port": port,
            "interval": interval,
        },
    }))
}

async fn control(State(clients): State<Clients>, body: Bytes) -> Response {
    // The type that the client gives it does not matter.
    let command = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(members)) => command(&members).to_owned(),
        // The original's own codes for these two.
        Ok(_) => return failed(StatusCode::INTERNAL_SERVER_ERROR, "not_an_object"),
        Err(error) => return failed(StatusCode::BAD_REQUEST, &format!("invalid_json: {error}")),
    };
    let Clients { live, telemetry, .. } = clients;
    match (command.as_str(), telemetry) {
        ("start_livelogs", _) => started(live.open(), live.config().address.port(), None),
        ("stop_livelogs", _) => stopped_or_not(live.close().await),
        ("get_telemetry" | "start_telemetry" | "stop_telemetry", None) => {
            (StatusCode::BAD_REQUEST, Json(json!({"status": "telemetry_disabled"}))).into_response()
        }
        ("get_telemetry", Some(telemetry)) => {
            ([(header::CONTENT_TYPE, "application/json")], telemetry.sample().await).into_response()
        }
        ("start_telemetry", Some(telemetry)) => {
            let TelemetryConfig { address, interval, .. } = telemetry.config();
            started(telemetry.open(), address.port(), Some(interval.as_secs()))
        }
        ("stop_telemetry", Some(telemetry)) => stopped_or_not(telemetry.close().await),
        _ => (StatusCode::BAD_REQUEST, Json(json!({"status": "unknown_command"}))).into_response(),
    }
}

fn started(opened: Result<(), OpenError>, port: u16, interval: Option<u64>) -> Response {
    if let Err(error) = opened {
        return failed(StatusCode::BAD_REQUEST, &error.to_string());
    }
    let mut answer = json!({"status": "started", "pid": std::process::id().to_string(), "ws_port": port});
    if let (Some(answer), Some(interval)) = (answer.as_object_mut(), interval) {
        answer.insert("interval".to_owned(), interval.into());
    }
    Json(answer).into_response()
}

fn stopped_or_not(was_open: bool) -> Response {
    match was_open {
        true => Json(json!({"status": "stopped"})).into_response(),
        false => failed(StatusCode::BAD_REQUEST, "no_active_process"),
    }
}

fn command(members: &Map<String, Value>) -> &str {
    members.get("command").and_then(Value::as_str).unwrap_or_default()
}

fn failed(code: StatusCode, detail: &str) -> Response {
    (code, Json(json!({"status": "error", "detail": detail}))).into_response()
}

#[cfg(test)]
mod tests;
