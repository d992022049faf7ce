//! How things are: sources with their gaps, health, metrics.

use std::sync::Arc;

use serde_json::json;
use taffrail_record::Timestamp;
use taffrail_store::StoredGap;
use taffrail_store::engine::{GapTotal, Gaps};
use taffrail_testkit::Samples;

use super::fake::{Fake, NOW, get, get_text};
use crate::api::{Problem, Source, SourcesAnswer};
use crate::services::Services;

fn fake() -> (Arc<Fake>, Services) {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    (fake, services)
}

fn total(source: &str, reason: &str, bytes: u64, newest: i64) -> GapTotal {
    let newest = Timestamp(NOW.0 + newest * Timestamp::SECOND);
    GapTotal { source: source.to_owned(), reason: reason.to_owned(), gaps: 2, bytes, newest }
}

fn gaps() -> Gaps {
    let newest = StoredGap {
        source: "/var/log/app.log".to_owned(),
        start: 10,
        end: 17,
        observed: NOW,
        reason: "oversize".to_owned(),
    };
    let totals = vec![
        total("/gone.log", "oversize", 100, 0),
        total("/var/log/app.log", "oversize", 7, 1),
        total("/var/log/app.log", "truncated before read", 5, 2),
    ];
    Gaps { totals, newest: vec![newest] }
}

fn problem(source: &str) -> Problem {
    Problem { source: source.to_owned(), what: "is not read".to_owned(), since: None }
}

#[tokio::test]
async fn sources_come_with_the_gaps_that_are_stored() {
    let (fake, services) = fake();
    *fake.gaps.lock().unwrap() = gaps();
    let (status, json) = get(&services, "/api/v1/sources").await;
    assert_eq!(status, 200);
    let answer: SourcesAnswer = serde_json::from_value(json.clone()).unwrap();
    let of_app = &answer.sources[0].gaps;
    assert_eq!((of_app.count, of_app.bytes), (4, 12));
    assert_eq!(of_app.newest_reason.as_deref(), Some("truncated before read"));
    assert_eq!(of_app.newest.as_deref(), Some("2026-11-01T00:00:02.006000000Z"));
    assert_eq!(
        json["gaps"],
        json!({
            "by_reason": [
                {"reason": "oversize", "count": 4, "bytes": 107},
                {"reason": "truncated before read", "count": 2, "bytes": 5},
            ],
            "newest": [{
                "source": "/var/log/app.log", "start_offset": 10, "end_offset": 17,
                "observed": "2026-11-01T00:00:00.006000000Z", "reason": "oversize",
            }],
        })
    );
}

#[tokio::test]
async fn sources_are_picked_by_name_and_trouble_comes_first() {
    let (fake, services) = fake();
    let source = |name: &str, state: &str, lag_bytes: u64, stalled: bool| Source {
        source: name.to_owned(),
        state: state.to_owned(),
        lag_bytes,
        held_bytes: 5,
        stalled,
        ..Source::default()
    };
    *fake.sources.lock().unwrap() = vec![
        source("/a/refused", "refused", 0, false),
        source("/a/unfinished", "following", 5, false),
        source("/b/behind", "following", 6, false),
        source("/b/failed", "failed", 0, false),
        source("/b/stalled", "following", 9, true),
    ];
    for (query, total, want) in [
        (
            "",
            6,
            vec!["/a/refused", "/a/unfinished", "/b/behind", "/b/failed", "/b/stalled", "/var/log/app.log"],
        ),
        ("?name=/b&order=trouble", 3, vec!["/b/stalled", "/b/failed", "/b/behind"]),
        ("?order=trouble&limit=1", 6, vec!["/b/stalled"]),
        ("?name=/a*d", 2, vec!["/a/refused", "/a/unfinished"]),
        ("?name=none", 0, vec![]),
    ] {
        let (status, json) = get(&services, &format!("/api/v1/sources{query}")).await;
        assert_eq!(status, 200, "{json}");
        let answer: SourcesAnswer = serde_json::from_value(json).unwrap();
        let names: Vec<_> = answer.sources.iter().map(|source| source.source.as_str()).collect();
        assert_eq!((answer.total, names), (total, want), "{query}");
    }
    for query in ["order=size", "limit=100001", "q=x"] {
        let (status, json) = get(&services, &format!("/api/v1/sources?{query}")).await;
        assert_eq!((status, &json["error"]["code"]), (400, &json!("invalid")), "{query}");
    }
}

#[tokio::test]
async fn health_is_red_with_problems_only_and_the_compatible_one_stays() {
    let (fake, services) = fake();
    fake.health.lock().unwrap().warnings = vec![problem("/w")];
    let (status, json) = get(&services, "/api/v1/health").await;
    assert_eq!((status, &json["status"], &json["warnings"][0]["source"]), (200, &json!("ok"), &json!("/w")));
    fake.health.lock().unwrap().problems = vec![problem("/p"); 1_000];
    let (status, json) = get(&services, "/api/v1/health").await;
    assert_eq!((status, &json["status"]), (503, &json!("failing")));
    assert_eq!(json["problems"][0], json!({"source": "/p", "what": "is not read", "since": null}));
    assert_eq!(json["problems"].as_array().unwrap().len(), 100);
    let (status, json) = get(&services, "/health").await;
    assert_eq!((status, &json["status"]), (200, &json!("healthy")));
}

async fn scrape(services: &Services) -> Samples {
    let (status, headers, text) = get_text(services, "/metrics").await;
    assert_eq!(status.as_u16(), 200, "{text}");
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Samples::parse(&text).unwrap()
}

#[tokio::test]
async fn metrics_are_sound_whatever_sources_are_called() {
    let (fake, services) = fake();
    let odd = "/a \"quoted\"\\back\nslash\r{}=,\u{7f}ü";
    *fake.sources.lock().unwrap() =
        vec![Source { source: odd.to_owned(), lag_bytes: 12, stalled: true, ..Source::default() }];
    *fake.gaps.lock().unwrap() = gaps();
    fake.health.lock().unwrap().problems = vec![Problem::default()];
    let samples = scrape(&services).await;
    for (name, labels, want) in [
        ("taffrail_source_lag_bytes", &[("source", odd)][..], 12.0),
        ("taffrail_source_stalled", &[("source", odd)], 1.0),
        ("taffrail_source_stalled", &[("source", "/var/log/app.log")], 0.0),
        ("taffrail_source_gap_bytes_total", &[("source", "/var/log/app.log"), ("reason", "oversize")], 7.0),
        ("taffrail_source_gap_bytes_total", &[("source", "other"), ("reason", "oversize")], 100.0),
        ("taffrail_sources", &[("state", "following")], 1.0),
        ("taffrail_sources", &[("state", "failed")], 0.0),
        ("taffrail_healthy", &[], 0.0),
        ("taffrail_health_problems", &[], 1.0),
        ("taffrail_build_info", &[("version", "0.1.0")], 1.0),
        ("taffrail_store_segment_bytes", &[], 1000.0),
    ] {
        assert_eq!(samples.value(name, labels), Some(want), "{name} {labels:?}");
    }
}

#[tokio::test]
async fn a_thousand_sources_have_series_and_the_rest_shares_one() {
    let (fake, services) = fake();
    let source = |number: u32| Source {
        source: format!("/{number:05}"),
        lag_bytes: 1,
        lag_seconds: f64::from(number),
        ..Source::default()
    };
    *fake.sources.lock().unwrap() = (0..3_000).map(source).collect();
    let samples = scrape(&services).await;
    let lag = |name: &str, source: &str| samples.value(name, &[("source", source)]);
    assert_eq!(lag("taffrail_source_lag_bytes", "/00999"), Some(1.0));
    assert_eq!(lag("taffrail_source_lag_bytes", "/01000"), None);
    assert_eq!(lag("taffrail_source_lag_bytes", "other"), Some(2_000.0));
    assert_eq!(lag("taffrail_source_lag_seconds", "other"), Some(2_999.0));
    assert!(samples.all.len() < 10 * 1_001, "{}", samples.all.len());
}
