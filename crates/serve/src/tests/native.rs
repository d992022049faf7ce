//! The native API's successes, and that its description is complete.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use taffrail_record::Severity;
use taffrail_store::engine::{DiskStatus, DiskTrouble};

use super::fake::{Fake, NOW, get, get_text, hit, post, read, send};
use crate::api::{
    ContextAnswer, FacetsAnswer, HistogramAnswer, Record, SearchAnswer, SqlAnswer, StatsAnswer,
};
use crate::services::Services;

fn filled() -> (Arc<Fake>, Services) {
    let fake = Arc::new(Fake::default());
    fake.fill(["one", "two error", "three"].map(|body| hit(body, Severity::INFO)));
    fake.hits.lock().unwrap()[1].severity = Severity::ERROR;
    let services = fake.services();
    (fake, services)
}

async fn answer<T: serde::de::DeserializeOwned>(services: &Services, path: &str) -> T {
    let (status, json) = get(services, path).await;
    assert_eq!(status, 200, "{path} {json}");
    serde_json::from_value(json).unwrap()
}

fn bodies(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.body.as_str()).collect()
}

#[tokio::test]
async fn search_answers_page_by_page() {
    let (_fake, services) = filled();
    let first: SearchAnswer = answer(&services, "/api/v1/search?limit=2").await;
    assert_eq!(bodies(&first.records), ["three", "two error"]);
    let next = first.next.unwrap();
    let second: SearchAnswer = answer(&services, &format!("/api/v1/search?limit=2&after={next}")).await;
    assert_eq!((bodies(&second.records), second.next), (vec!["one"], None));
    let (_, json) = get(&services, "/api/v1/search?q=error&order=asc&raw=true").await;
    assert_eq!(
        json["records"],
        json!([{
            "timestamp": "2026-11-01T00:00:01.006000000Z",
            "observed_timestamp": "2026-11-01T00:00:00.006000000Z",
            "severity": "ERROR",
            "node": "web-06",
            "source": "/var/log/app.log",
            "offset": 10,
            "service": "app",
            "body": "two error",
            "attributes": {},
            "raw": "two error",
        }])
    );
    for (query, want) in [
        ("limit=0", vec![]),
        ("since=2026-11-01T00:00:01.006Z", vec!["three", "two error"]),
        ("until=2026-11-01T00:00:01.006", vec!["one"]),
        ("since=1h&until=now", vec![]),
        ("order=asc", vec!["one", "two error", "three"]),
    ] {
        let page: SearchAnswer = answer(&services, &format!("/api/v1/search?{query}")).await;
        assert_eq!(bodies(&page.records), want, "{query}");
    }
}

#[tokio::test]
async fn histogram_facets_and_context_answer() {
    let (_fake, services) = filled();
    let histogram: HistogramAnswer = answer(&services, "/api/v1/histogram?interval=1m").await;
    assert_eq!((histogram.interval_ms, histogram.buckets), (60_000.0, vec![[0, 0, 2, 0, 1, 0]]));
    assert_eq!(histogram.severities[3..], ["WARNING", "ERROR", "CRITICAL"]);
    let histogram: HistogramAnswer = answer(&services, "/api/v1/histogram?q=error").await;
    assert_eq!((histogram.interval_ms, histogram.buckets), (100_000.0, vec![[0, 0, 0, 0, 1, 0]]));
    let facets: FacetsAnswer = answer(&services, "/api/v1/facets?fields=service,%20pid&values=5").await;
    let fields: Vec<_> = facets.facets.iter().map(|facet| facet.field.as_str()).collect();
    assert_eq!(fields, ["service", "pid"]);
    assert_eq!(
        (facets.facets[0].values[0].value.as_str(), facets.facets[0].values[0].count),
        ("5 at most", 3)
    );
    let facets: FacetsAnswer = answer(&services, "/api/v1/facets").await;
    assert_eq!(facets.facets.len(), 4);
    let context: ContextAnswer =
        answer(&services, "/api/v1/context?source=/var/log/app.log&offset=10&after=0").await;
    assert_eq!((bodies(&context.before), context.after.len()), (vec!["one"], 0));
    assert_eq!(context.record.unwrap().body, "two error");
    let nowhere: ContextAnswer = answer(&services, "/api/v1/context?source=x&offset=7").await;
    assert_eq!(nowhere.record, None);
}

#[tokio::test]
async fn sql_answers_in_three_forms_and_says_what_is_missing() {
    let (_fake, mut services) = filled();
    let path = "/api/v1/sql?q=SELECT%20n";
    let rows: SqlAnswer = answer(&services, path).await;
    assert_eq!(rows.rows, [[json!(0), json!("a,\"b\"")], [json!(1), Value::Null], [json!(2), json!("<c>")]]);
    assert_eq!((rows.columns[1].name.as_str(), rows.columns[0].data_type.as_str()), ("t", "Int64"));
    assert!(!rows.truncated);
    let (_, headers, csv) = get_text(&services, &format!("{path}&format=csv&max_rows=2")).await;
    assert_eq!(csv, "n,t\n0,\"a,\"\"b\"\"\"\n1,\n");
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(headers["x-taffrail-truncated"], "true");
    let (_, headers, lines) = get_text(&services, &format!("{path}&format=ndjson")).await;
    assert_eq!(lines.lines().next(), Some(r#"{"n":0,"t":"a,\"b\""}"#));
    assert_eq!(headers["x-taffrail-truncated"], "false");
    let body = r#"{"query":"SELECT endless","max_rows":7}"#;
    let (status, json) = post(&services, "/api/v1/sql", body).await;
    assert_eq!((status, json["rows"].as_array().unwrap().len(), &json["truncated"]), (200, 7, &json!(true)));
    services.limits.sql_bytes = 100;
    let (_, json) = post(&services, "/api/v1/sql", r#"{"query":"SELECT endless"}"#).await;
    assert_eq!((json["rows"].as_array().unwrap().len() < 20, &json["truncated"]), (true, &json!(true)));
}

#[tokio::test]
async fn pushed_lines_are_stored_before_the_answer() {
    let (fake, services) = filled();
    let pushed = |path: &str, body: &str| Request::post(path).body(Body::from(body.to_owned())).unwrap();
    let request = pushed("/api/v1/logs?source=nginx&service=edge", "a\nb\n\nc");
    let (status, _, text) = read(send(&services, request).await).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, r#"{"records":4,"durable":true}"#));
    let push = fake.pushes.lock().unwrap().remove(0);
    assert_eq!((push.source.as_str(), push.service.as_deref()), ("http:nginx", Some("edge")));
    assert_eq!(push.bytes, b"a\nb\n\nc");
    let (_, _, text) = read(send(&services, pushed("/api/v1/logs", "")).await).await;
    assert_eq!(text, r#"{"records":0,"durable":true}"#);
    assert!(fake.pushes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_program_tells_what_it_holds() {
    let (_fake, services) = filled();
    let stats: StatsAnswer = answer(&services, "/api/v1/stats").await;
    assert_eq!((stats.records, stats.sources, stats.uptime_seconds), (3, 1, 5));
    assert_eq!(stats.levels, [("ERROR".to_owned(), 1), ("INFO".to_owned(), 2)].into());
    assert_eq!(stats.newest.as_deref(), Some("2026-11-01T00:00:02.006000000Z"));
    let (_, sources) = get(&services, "/api/v1/sources").await;
    assert_eq!(sources["sources"][0]["source"], "/var/log/app.log");
    let healthy = json!({"status": "ok", "version": "0.1.0", "problems": [], "warnings": []});
    assert_eq!(get(&services, "/api/v1/health").await, (200, healthy));
}

#[tokio::test]
async fn a_full_disk_is_told_with_what_it_takes() {
    let (fake, services) = filled();
    let trouble = DiskTrouble { since: NOW, full: true, needed_bytes: 4_711, cause: "no space".to_owned() };
    *fake.disk.lock().unwrap() = DiskStatus { trouble: Some(trouble), dropped_records: 3, dropped_bytes: 77 };
    let stats: StatsAnswer = answer(&services, "/api/v1/stats").await;
    let since = stats.disk.since.clone().unwrap();
    assert_eq!((stats.disk.state.as_str(), stats.disk.needed_bytes), ("full", 4_711));
    assert_eq!((stats.disk.dropped_records, stats.disk.dropped_bytes), (3, 77));
    let (_, _, health) = get_text(&services, "/api/v1/health").await;
    assert!(health.contains(&format!("disk full since {since}, 4711 bytes needed")), "{health}");
}

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let (_fake, services) = filled();
    let (status, headers, text) = get_text(&services, "/").await;
    assert!(status.is_success() && text.contains("Taffrail"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("script-src"), "{policy}");
    let (_, headers, _) = get_text(&services, "/api/v1/health").await;
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

/// Every route stands in one of the two documents with its methods, and everything there is a route.
#[tokio::test]
async fn the_documents_describe_every_route() {
    let (_fake, services) = filled();
    let mut described = Vec::new();
    for path in ["/api/v1/openapi.json", "/openapi.json"] {
        let (_, document) = get(&services, path).await;
        for (path, operations) in document["paths"].as_object().unwrap() {
            described
                .extend(operations.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())));
        }
    }
    let mut routed = Vec::new();
    for (path, _) in crate::router::routes() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let request = Request::builder().method(method.clone()).uri(path.replace(['{', '}'], ""));
            let response = send(&services, request.body(Body::empty()).unwrap()).await;
            if response.status() != 405 {
                routed.push((path.to_owned(), method.as_str().to_lowercase()));
            }
        }
    }
    described.sort();
    routed.sort();
    assert_eq!(described, routed);
}
