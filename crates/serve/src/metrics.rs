//! `GET /metrics`: the program's own figures, and the machine's, in the text format that Prometheus reads.

mod exposition;
mod machine;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use taffrail_http::connection;
use taffrail_http::window::Totals;
use taffrail_record::Timestamp;
use taffrail_store::engine::{GapTotal, Stats};
use taffrail_store::history::Node;

use self::exposition::{Exposition, Kind};
use crate::api::{HealthAnswer, Source};
use crate::error::ApiError;
use crate::leveredge::Refusal;
use crate::run::App;
use crate::services::{Info, Services};
use crate::streams::{Overview, Standing};

/// Sources that have series of their own; the others share one.
const SOURCES_MAX: usize = 1_000;
/// The label of what the others share.
const OTHER: &str = "other";
/// Every state of a source: one that no source is in has a zero, not a hole.
const STATES: [&str; 5] = ["ended", "failed", "following", "missing", "refused"];

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let text = text(&app).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn text(app: &App) -> Result<String, ApiError> {
    app.look(move |services| {
        let mut out = Exposition::default();
        let health = HealthAnswer::of(services);
        program(&mut out, &services.info, &health);
        of_watchers(&mut out, services);
        of_connections(&mut out);
        let sources = services.sources.sources();
        let labels = Labels::of(&sources);
        of_sources(&mut out, &sources, &labels);
        of_gaps(&mut out, &services.engine.gaps()?.totals, &labels);
        store(&mut out, &services.engine.stats()?);
        of_streams(&mut out, &services.streams);
        of_nodes(&mut out, &services.machines.history.nodes().unwrap_or_default());
        if let Some(machine) = &services.machines.machine {
            let sample = machine.read();
            machine::machine(&mut out, &sample);
            machine::counters(&mut out, &machine.counters(&sample));
        }
        Ok(out.finish())
    })
    .await
}

fn program(out: &mut Exposition, info: &Info, health: &HealthAnswer) {
    out.metric("taffrail_build_info", Kind::Gauge, "The running version; always 1.")
        .value(&[("version", &info.version)], 1.0);
    out.metric("taffrail_start_time_seconds", Kind::Gauge, "When the program started, since 1970.")
        .value(&[], seconds(info.started));
    out.metric("taffrail_healthy", Kind::Gauge, "1 while /api/v1/health answers ok, else 0.")
        .value(&[], f64::from(u8::from(health.is_ok())));
    out.metric("taffrail_health_problems", Kind::Gauge, "Problems that /api/v1/health names.")
        .value(&[], health.problems.len() as f64);
    out.metric("taffrail_health_warnings", Kind::Gauge, "Warnings that /api/v1/health names.")
        .value(&[], health.warnings.len() as f64);
}

/// Those who watch live, but for the streams' clients.
fn of_watchers(out: &mut Exposition, services: &Services) {
    let tails = services.live.totals();
    out.metric("taffrail_live_subscribers", Kind::Gauge, "Live tails that are open.")
        .value(&[], tails.readers as f64);
    let all = [("tail", tails), ("resolvix", (services.live_lines)())];
    let mut family = |name: &'static str, kind, help: &'static str, value: fn(&Totals) -> u64| {
        let mut family = out.metric(name, kind, help);
        for (kind, totals) in &all {
            family.value(&[("kind", kind)], value(totals) as f64);
        }
    };
    let help = "Who watches live: tails of the API, and Resolvix' clients.";
    family("taffrail_live_clients", Kind::Gauge, help, |totals| totals.readers as u64);
    let help = "Records that were handed to those who watch live, matching or not.";
    family("taffrail_live_records_total", Kind::Counter, help, |totals| totals.given);
    let help = "Records that those who watch live were too slow for, matching or not.";
    family("taffrail_live_missed_total", Kind::Counter, help, |totals| totals.missed);
}

fn of_connections(out: &mut Exposition) {
    let help = "Connections that were broken off: what came was no request or too much, or too slow.";
    let mut family = out.metric("taffrail_http_refused_total", Kind::Counter, help);
    for (reason, count) in connection::refused() {
        family.value(&[("reason", reason)], count as f64);
    }
}

fn of_streams(out: &mut Exposition, overview: &Overview) {
    let standings: Vec<Standing> = overview.standings().collect();
    let of = |standing: &Standing| standing.name.clone();
    let mut counter = |name: &'static str, help: &'static str, value: fn(&Standing) -> u64| {
        let mut family = out.metric(name, Kind::Counter, help);
        for standing in &standings {
            family.value(&[("stream", &of(standing))], value(standing) as f64);
        }
    };
    counter("taffrail_stream_entries_total", "Entries that a stream has shown.", |one| one.entries);
    counter(
        "taffrail_stream_dropped_total",
        "Entries that were stored and that a stream did not show.",
        |one| one.dropped,
    );
    counter(
        "taffrail_stream_missed_total",
        "Entries that single clients of a stream were too slow for.",
        |one| one.missed,
    );
    counter("taffrail_stream_sent_total", "Entries that a stream has sent, to all clients.", |one| {
        one.sent_entries
    });
    counter("taffrail_stream_sent_bytes_total", "Bytes that a stream has sent, to all clients.", |one| {
        one.sent_bytes
    });
    let help = "Requests and connections that a stream's ports have turned away.";
    let mut refused = out.metric("taffrail_stream_refused_total", Kind::Counter, help);
    for standing in &standings {
        for (server, count) in [("http", standing.http_refused), ("tcp", standing.tcp_refused)] {
            refused.value(&[("stream", &of(standing)), ("server", server)], count as f64);
        }
    }
    let mut gauge = |name: &'static str, help: &'static str, value: fn(&Standing) -> u64| {
        let mut family = out.metric(name, Kind::Gauge, help);
        for standing in &standings {
            family.value(&[("stream", &of(standing))], value(standing) as f64);
        }
    };
    gauge("taffrail_stream_files", "Files that a stream shows and that are followed.", |one| {
        one.watched as u64
    });
    gauge(
        "taffrail_stream_lag_entries",
        "Entries that the client of a stream that lags most was not sent yet.",
        |one| one.lag,
    );
    let mut clients = out.metric("taffrail_stream_clients", Kind::Gauge, "Clients that watch a stream.");
    for standing in &standings {
        for (transport, count) in [
            ("http", standing.http_clients),
            ("websocket", standing.socket_clients),
            ("tcp", standing.tcp_clients),
        ] {
            clients.value(&[("stream", &of(standing)), ("transport", transport)], count as f64);
        }
    }
}

fn of_nodes(out: &mut Exposition, nodes: &[Node]) {
    type Figure = fn(&Node) -> Option<f64>;
    let figures: [(&'static str, Kind, &'static str, Figure); 5] = [
        (
            "taffrail_node_last_seen_timestamp_seconds",
            Kind::Gauge,
            "When a machine last sent something, since 1970.",
            |node| Some(seconds(node.last_seen)),
        ),
        (
            "taffrail_node_lag_seconds",
            Kind::Gauge,
            "How old the newest of what a machine sent was when it sent it.",
            |node| node.lag.map(|lag| seconds(Timestamp(lag))),
        ),
        (
            "taffrail_node_clock_skew_seconds",
            Kind::Gauge,
            "How far the clock of a machine, and the way from there, are behind the clock here.",
            |node| node.clock_skew.map(|skew| seconds(Timestamp(skew))),
        ),
        ("taffrail_node_lines_total", Kind::Counter, "Lines received from a machine.", |node| {
            Some(node.lines as f64)
        }),
        ("taffrail_node_samples_total", Kind::Counter, "Samples received from a machine.", |node| {
            Some(node.samples as f64)
        }),
    ];
    for (name, kind, help, figure) in figures {
        let mut family = out.metric(name, kind, help);
        for node in nodes.iter().take(SOURCES_MAX) {
            if let Some(value) = figure(node) {
                family.value(&[("node", &node.node)], value);
            }
        }
    }
}

/// Which sources have series of their own.
struct Labels<'a>(HashMap<&'a str, &'a str>);

impl<'a> Labels<'a> {
    /// The first by name: the same ones at every scrape.
    fn of(sources: &'a [Source]) -> Self {
        let mut names: Vec<&str> = sources.iter().map(|source| source.source.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into_iter().take(SOURCES_MAX).map(|name| (name, name)).collect())
    }

    fn get(&self, source: &str) -> &'a str {
        self.0.get(source).copied().unwrap_or(OTHER)
    }
}

/// One figure of every source.
struct Figure {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    of: fn(&Source) -> f64,
    /// How the sources that share a series come together.
    join: fn(f64, f64) -> f64,
}

const fn sum(a: f64, b: f64) -> f64 {
    a + b
}

static FIGURES: [Figure; 8] = [
    Figure {
        name: "taffrail_source_offset_bytes",
        kind: Kind::Gauge,
        help: "Offset after the last byte that was read, rotated files included.",
        of: |source| source.offset as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_position_bytes",
        kind: Kind::Gauge,
        help: "The same in the file that is read now.",
        of: |source| source.position as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_size_bytes",
        kind: Kind::Gauge,
        help: "Bytes of the file at the path of the source.",
        of: |source| source.size as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_lag_bytes",
        kind: Kind::Gauge,
        help: "Bytes that are not stored yet, an unfinished last line included.",
        of: |source| source.lag_bytes as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_lag_seconds",
        kind: Kind::Gauge,
        help: "Seconds since when there are bytes that were not read; the largest where sources share a series.",
        of: |source| source.lag_seconds,
        join: f64::max,
    },
    Figure {
        name: "taffrail_source_lines_total",
        kind: Kind::Counter,
        help: "Lines read since the source was first seen.",
        of: |source| source.records as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_rotations_total",
        kind: Kind::Counter,
        help: "Times the file was replaced or truncated since the program started.",
        of: |source| source.rotations as f64,
        join: sum,
    },
    Figure {
        name: "taffrail_source_stalled",
        kind: Kind::Gauge,
        help: "1 while the file holds unread bytes and reading does not move on, else 0; else their number.",
        of: |source| f64::from(u8::from(source.stalled)),
        join: sum,
    },
];

fn of_sources(out: &mut Exposition, sources: &[Source], labels: &Labels<'_>) {
    let mut states: BTreeMap<&str, f64> = STATES.map(|state| (state, 0.0)).into();
    for source in sources {
        *states.entry(&source.state).or_default() += 1.0;
    }
    let mut family = out.metric("taffrail_sources", Kind::Gauge, "Sources by what they are doing.");
    for (state, count) in states {
        family.value(&[("state", state)], count);
    }
    for figure in &FIGURES {
        let mut values: BTreeMap<&str, f64> = BTreeMap::new();
        for source in sources {
            let value = (figure.of)(source);
            let joined = values.entry(labels.get(&source.source)).or_insert(0.0);
            *joined = (figure.join)(*joined, value);
        }
        let mut family = out.metric(figure.name, figure.kind, figure.help);
        for (source, value) in values {
            family.value(&[("source", source)], value);
        }
    }
}

fn of_gaps(out: &mut Exposition, totals: &[GapTotal], labels: &Labels<'_>) {
    let mut sums: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for total in totals {
        let (gaps, bytes) = sums.entry((labels.get(&total.source), &total.reason)).or_default();
        *gaps += total.gaps;
        *bytes += total.bytes;
    }
    let help = "Bytes that could not be read, since the source was first seen.";
    let mut family = out.metric("taffrail_source_gap_bytes_total", Kind::Counter, help);
    for ((source, reason), (_, bytes)) in &sums {
        family.value(&[("source", source), ("reason", reason)], *bytes as f64);
    }
    let help = "Rows of the table `gaps`.";
    let mut family = out.metric("taffrail_source_gaps_total", Kind::Counter, help);
    for ((source, reason), (gaps, _)) in &sums {
        family.value(&[("source", source), ("reason", reason)], *gaps as f64);
    }
}

fn store(out: &mut Exposition, stats: &Stats) {
    for (name, help, value) in [
        ("taffrail_store_records", "Records that are stored.", stats.records),
        (
            "taffrail_store_records_in_memory",
            "Of these, records that are in no segment yet.",
            stats.records_in_memory,
        ),
        ("taffrail_store_segments", "Sealed files.", stats.segments),
        ("taffrail_store_segment_bytes", "Bytes of sealed files and their indexes.", stats.segment_bytes),
        ("taffrail_store_wal_bytes", "Bytes of the write-ahead log.", stats.wal_bytes),
        ("taffrail_store_raw_bytes", "Bytes of the original lines that are stored.", stats.raw_bytes),
    ] {
        out.metric(name, Kind::Gauge, help).value(&[], value as f64);
    }
    for (name, help, time) in [
        (
            "taffrail_store_oldest_record_timestamp_seconds",
            "Time of the oldest record, since 1970.",
            stats.oldest,
        ),
        (
            "taffrail_store_newest_record_timestamp_seconds",
            "Time of the newest record, since 1970.",
            stats.newest,
        ),
    ] {
        if let Some(time) = time {
            out.metric(name, Kind::Gauge, help).value(&[], seconds(time));
        }
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / Timestamp::SECOND as f64
}
