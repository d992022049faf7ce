//! All streams on every port, by their names: LogWisp's router mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{Stream, status};

/// The path of the status of all.
pub(super) const GLOBAL_STATUS: &str = "/status";

/// The streams, by name.
#[derive(Debug)]
pub(super) struct Routed {
    streams: Vec<Arc<Stream>>,
    requests: AtomicU64,
    failed: AtomicU64,
    started: Instant,
}

impl Routed {
    pub(super) fn new(streams: Vec<Arc<Stream>>) -> Arc<Self> {
        let (requests, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { streams, requests, failed, started: Instant::now() })
    }

    /// All of them.
    pub(super) fn streams(&self) -> &[Arc<Stream>] {
        &self.streams
    }

    /// A request came.
    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The stream that a path begins with, and the rest of the path. Names are whole parts of paths: `/app2` is none of
    /// the stream `app`.
    pub(super) fn find<'a>(&self, path: &'a str) -> Option<(&Arc<Stream>, &'a str)> {
        let rest = |stream: &Stream| {
            let rest = path.strip_prefix('/')?.strip_prefix(stream.config.name.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let found = self.streams.iter().filter_map(|stream| Some((stream, rest(stream)?)));
        // Of names with slashes in them the longest counts.
        found.min_by_key(|(_, rest)| rest.len())
    }

    pub(super) fn not_found(&self, path: &str, told: &[Arc<Stream>]) -> String {
        self.failed.fetch_add(1, Ordering::Relaxed);
        json!({
            "error": "Not Found",
            "requested_path": path,
            "available_routes": routes(told),
            "hint": "Use /status for global router status",
        })
        .to_string()
    }

    pub(super) fn not_available(&self, stream: &Stream) -> String {
        self.failed.fetch_add(1, Ordering::Relaxed);
        json!({"error": "Stream HTTP server not available", "stream": stream.config.name}).to_string()
    }

    /// How all streams stand, asked at a port: there are so many, and these are `told` of.
    pub(super) fn status(&self, port: u16, told: &[Arc<Stream>]) -> String {
        let streams = told.iter().map(|stream| (stream.config.name.clone(), of_stream(stream)));
        let requests = self.requests.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        json!({
            "service": "LogWisp Router",
            "version": status::VERSION,
            "port": port,
            "total_streams": self.streams.len(),
            "streams": streams.collect::<Map<String, Value>>(),
            "endpoints": {"global_status": GLOBAL_STATUS},
            "router": {
                "uptime_seconds": self.started.elapsed().as_secs(),
                "total_requests": requests,
                "routed_requests": requests.saturating_sub(failed),
                "failed_requests": failed,
                "total_routes": routes(told).len(),
            },
        })
        .to_string()
    }
}

/// What is there, as a client's mistake is answered.
fn routes(told: &[Arc<Stream>]) -> Vec<String> {
    let mut routes = vec![format!("{GLOBAL_STATUS} (global status)")];
    for stream in told {
        let name = &stream.config.name;
        if let Some(http) = &stream.config.http {
            routes.push(format!("/{name}{} (stream: {name})", http.stream_path));
            routes.push(format!("/{name}{} (status: {name})", http.status_path));
        }
    }
    routes
}

fn of_stream(stream: &Stream) -> Value {
    let prefix = format!("/{}", stream.config.name);
    let mut told = json!({"path_prefix": prefix, "stats": status::stats(stream)});
    if let Some(http) = &stream.config.http {
        told["config"] = json!({"stream_path": http.stream_path, "status_path": http.status_path});
        let (events, status) =
            (format!("{prefix}{}", http.stream_path), format!("{prefix}{}", http.status_path));
        told["routing"] = json!({"path_prefix": prefix, "endpoints": {"stream": events, "status": status}});
    }
    told
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;

    use super::*;
    use crate::audit::Audit;
    use crate::streams::StreamConfig;
    use crate::streams::past::Past;
    use crate::tests::fake::Fake;

    #[test]
    fn names_are_whole_parts_of_paths() {
        let stream = |name: &str| {
            let config = StreamConfig { name: name.to_owned(), ..StreamConfig::default() };
            let past = Arc::new(Past::new(Arc::new(Fake::default())));
            let floor = past.end().unwrap();
            Arc::new(
                Stream::open(config, || Timestamp(0), &past, floor, &Audit::default(), &Arc::default())
                    .unwrap(),
            )
        };
        let routed = Routed::new(vec![stream("app"), stream("app2"), stream("app/db")]);
        for (path, want) in [
            ("/app/stream", Some(("app", "/stream"))),
            ("/app2/stream", Some(("app2", "/stream"))),
            ("/app/db/stream", Some(("app/db", "/stream"))),
            ("/app", Some(("app", ""))),
            ("/app3/stream", None),
            ("app/stream", None),
            ("/", None),
        ] {
            let found = routed.find(path).map(|(stream, rest)| (stream.config.name.as_str(), rest));
            assert_eq!(found, want, "{path}");
        }
    }
}
