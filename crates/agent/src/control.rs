//! The control API: whether the machine is well, and commands to it, as Resolvix' clients ask.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use taffrail_http::connection::{self, Bounds};
use taffrail_http::listener;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::live::Live;

/// Connections at a time; more wait to be accepted.
const CLIENTS_MAX: usize = 128;
/// Time that open requests get when the program ends.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Methods that a browser's script may use.
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// The control API, while it listens.
pub struct Control {
    live: Live,
    stopping: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Control {
    /// Listens. Must be called inside of a runtime.
    ///
    /// # Errors
    /// If somebody else has the address.
    pub fn start(address: SocketAddr, live: Live) -> Result<Self, listener::Error> {
        let listener = listener::listen(address)?;
        let stopping = watch::Sender::new(false);
        let listening = tokio::spawn(serve(listener, live.clone(), stopping.subscribe()));
        Ok(Self { live, stopping, listening })
    }

    /// Answers no more, and closes what commands have opened.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.live.close().await;
        // It ends by itself; if it has failed, it has ended.
        let _ = self.listening.await;
    }
}

/// The address by which other machines reach this one, as its clients know it; `None` without a network.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only says where it would be sent from.
    socket.connect("8.8.8.8:80").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

async fn serve(listener: TcpListener, live: Live, stopping: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router(live));
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
fn router(live: Live) -> Router {
    Router::new()
        .route("/health", get(health).options(preflight))
        .route("/status", get(status).options(preflight))
        .route("/control", post(control).options(preflight))
        .fallback(|| async { failed(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async {
            failed(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        })
        .layer(middleware::map_response(for_everyone))
        .with_state(live)
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

async fn health(State(live): State<Live>) -> Json<Value> {
    Json(json!({"status": "ok", "node_id": live.config().node, "telemetry_enabled": false}))
}

async fn status(State(live): State<Live>) -> Json<Value> {
    let is_open = live.is_open();
    let config = live.config();
    Json(json!({
        "node_id": config.node,
        "log_file": config.files.join(","),
        "livelogs": {
            "running": is_open,
            "pid": is_open.then(std::process::id),
            "ws_port": config.address.port(),
        },
        "telemetry": {"running": false, "pid": null, "ws_port": null, "interval": null},
    }))
}

async fn control(State(live): State<Live>, body: Bytes) -> Response {
    // The type that the client gives it does not matter.
    let command = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(members)) => command(&members).to_owned(),
        // The original's own codes for these two.
        Ok(_) => return failed(StatusCode::INTERNAL_SERVER_ERROR, "not_an_object"),
        Err(error) => return failed(StatusCode::BAD_REQUEST, &format!("invalid_json: {error}")),
    };
    match command.as_str() {
        "start_livelogs" => match live.open() {
            Ok(()) => {
                let pid = std::process::id().to_string();
                Json(json!({"status": "started", "pid": pid, "ws_port": live.config().address.port()}))
                    .into_response()
            }
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        "stop_livelogs" if live.close().await => Json(json!({"status": "stopped"})).into_response(),
        "stop_livelogs" => failed(StatusCode::BAD_REQUEST, "no_active_process"),
        "get_telemetry" => {
            (StatusCode::BAD_REQUEST, Json(json!({"status": "telemetry_disabled"}))).into_response()
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({"status": "unknown_command"}))).into_response(),
    }
}

fn command(members: &Map<String, Value>) -> &str {
    members.get("command").and_then(Value::as_str).unwrap_or_default()
}

fn failed(code: StatusCode, detail: &str) -> Response {
    (code, Json(json!({"status": "error", "detail": detail}))).into_response()
}
