//! What a stream says about itself at its status path, as LogWisp's clients read it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use taffrail_record::Timestamp;

use super::config::{Heartbeat, HttpConfig, LimitBy};
use super::guard::Guard;
use super::{Stream, entry};

/// The version of LogWisp whose bodies these are.
pub(super) const VERSION: &str = "3.0.0";

/// The status of a stream, asked at its own port or by its name.
pub(super) fn of(stream: &Stream, http: &HttpConfig, is_routed: bool) -> String {
    let heartbeat = http.heartbeat.as_ref();
    json!({
        "service": "LogWisp",
        "version": VERSION,
        "server": {
            "type": "http",
            "port": http.port,
            "active_clients": stream.http_clients.load(Ordering::Relaxed)
                + stream.socket_clients.load(Ordering::Relaxed),
            "buffer_size": http.buffer,
            "uptime_seconds": stream.started.elapsed().as_secs(),
            "mode": {"standalone": !is_routed, "router": is_routed},
        },
        "endpoints": {"stream": http.stream_path, "status": http.status_path},
        "features": {
            "heartbeat": {
                "enabled": heartbeat.is_some(),
                "interval": heartbeat.map_or(0, |heartbeat| heartbeat.interval.as_secs()),
                "format": heartbeat.map_or("", Heartbeat::format),
            },
            "ssl": {"enabled": http.tls.is_some()},
            "rate_limit": rate_limit(&stream.http_guard),
        },
        "monitor": monitor(stream),
        "watchers": stream.watchers.watched(),
        "clients": stream.seats.sitting(stream.ring.published()),
    })
    .to_string()
}

fn monitor(stream: &Stream) -> Value {
    json!({
        "active_watchers": stream.watchers.count(),
        "total_entries": stream.ring.published(),
        "dropped_entries": stream.dropped.load(Ordering::Relaxed),
        "missed_entries": stream.missed.load(Ordering::Relaxed),
        "sent_entries": stream.sent_entries.load(Ordering::Relaxed),
        "sent_bytes": stream.sent_bytes.load(Ordering::Relaxed),
    })
}

/// What the original's router tells of a stream; its own names of members among ours.
pub(super) fn stats(stream: &Stream) -> Value {
    let last = Timestamp(stream.last_entry.load(Ordering::Relaxed));
    let last = if last == Timestamp(0) { "0001-01-01T00:00:00Z".to_owned() } else { entry::time(last) };
    let mut monitor = monitor(stream);
    for (theirs, ours) in [
        ("ActiveWatchers", "active_watchers"),
        ("TotalEntries", "total_entries"),
        ("DroppedEntries", "dropped_entries"),
    ] {
        monitor[theirs] = monitor[ours].clone();
    }
    monitor["StartTime"] = entry::time(stream.since).into();
    monitor["LastEntryTime"] = last.into();
    let uptime = stream.started.elapsed().as_secs();
    let mut told = json!({"name": stream.config.name, "uptime_seconds": uptime, "monitor": monitor});
    if let Some(tcp) = &stream.config.tcp {
        let connections = stream.tcp_clients.load(Ordering::Relaxed);
        told["tcp"] = json!({"enabled": true, "port": tcp.port, "connections": connections});
    }
    if let Some(http) = &stream.config.http {
        let connections =
            stream.http_clients.load(Ordering::Relaxed) + stream.socket_clients.load(Ordering::Relaxed);
        told["http"] = json!({
            "enabled": true,
            "port": http.port,
            "connections": connections,
            "stream_path": http.stream_path,
            "status_path": http.status_path,
        });
    }
    told
}

fn rate_limit(guard: &Guard) -> Value {
    let Some(limit) = &guard.limit else { return json!({"enabled": false}) };
    let (addresses, connections) = guard.known();
    let by = if limit.by == LimitBy::Everybody { "global" } else { "ip" };
    json!({
        "enabled": true,
        "total_requests": guard.requests.load(Ordering::Relaxed),
        "blocked_requests": guard.refused.load(Ordering::Relaxed),
        "active_ips": addresses,
        "total_connections": connections,
        "config": {"requests_per_second": limit.per_second, "burst_size": limit.burst, "limit_by": by},
    })
}

/// The answer to whoever is turned away.
pub(super) fn refused(error: &str) -> String {
    json!({"error": error, "retry_after": "60"}).to_string()
}

/// The answer to whoever may not come, however long it waits.
pub(super) fn forbidden() -> String {
    json!({"error": "Forbidden"}).to_string()
}

/// The answer to whoever does not say who it is, or not rightly.
pub(super) fn unauthorized() -> String {
    json!({"error": "Unauthorized"}).to_string()
}

/// The answer to whoever asks for a WebSocket in a wrong way.
pub(super) fn no_socket(error: &dyn std::fmt::Display) -> String {
    json!({"error": "Bad Request", "message": error.to_string()}).to_string()
}

/// The answer at any other path.
pub(super) fn not_found(http: &HttpConfig) -> String {
    let HttpConfig { stream_path, status_path, .. } = http;
    let message = format!("Available endpoints: {stream_path} (SSE stream), {status_path} (status)");
    json!({"error": "Not Found", "message": message}).to_string()
}
