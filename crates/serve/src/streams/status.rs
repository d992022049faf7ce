//! What a stream says about itself at its status path, as LogWisp's clients read it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Stream;
use super::config::{Heartbeat, HttpConfig};

/// The version of LogWisp whose bodies these are.
const VERSION: &str = "3.0.0";

/// The status of a stream that has a port of its own.
pub(super) fn of(stream: &Stream, http: &HttpConfig) -> String {
    let heartbeat = http.heartbeat.as_ref();
    json!({
        "service": "LogWisp",
        "version": VERSION,
        "server": {
            "type": "http",
            "port": http.port,
            "active_clients": stream.http_clients.load(Ordering::Relaxed),
            "buffer_size": http.buffer,
            "uptime_seconds": stream.started.elapsed().as_secs(),
            "mode": {"standalone": true, "router": false},
        },
        "endpoints": {"stream": http.stream_path, "status": http.status_path},
        "features": {
            "heartbeat": {
                "enabled": heartbeat.is_some(),
                "interval": heartbeat.map_or(0, |heartbeat| heartbeat.interval.as_secs()),
                "format": heartbeat.map_or("", Heartbeat::format),
            },
            "ssl": {"enabled": false},
            "rate_limit": {"enabled": false},
        },
        "monitor": monitor(stream),
    })
    .to_string()
}

fn monitor(stream: &Stream) -> Value {
    json!({
        "total_entries": stream.ring.published(),
        "dropped_entries": stream.dropped.load(Ordering::Relaxed),
        "missed_entries": stream.missed.load(Ordering::Relaxed),
    })
}

/// The answer at any other path.
pub(super) fn not_found(http: &HttpConfig) -> String {
    let HttpConfig { stream_path, status_path, .. } = http;
    let message = format!("Available endpoints: {stream_path} (SSE stream), {status_path} (status)");
    json!({"error": "Not Found", "message": message}).to_string()
}
