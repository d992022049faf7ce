//! What agents send: ours, and those of Resolvix.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use taffrail_forward::entry::Entry;
use taffrail_forward::{ENTRIES_PATH, NODE_HEADER, SPOOL_HEADER};
use taffrail_record::{Checkpoint, RawBatch, RawLine, Span, Timestamp};

use super::fake::{Fake, post, read, send};

#[tokio::test]
async fn lines_and_samples_of_resolvix_come_one_many_or_one_a_line() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let line = |text: &str| {
        json!({"timestamp": "2024-01-15T10:30:45Z", "system_ip": "192.168.1.100", "log_path": "/var/log/syslog",
               "application": "system", "log_line": text, "severity": "error"})
    };
    let all = format!("{}\n{}\n", line("Error: c"), line("Error: d"));
    for (body, received) in
        [(line("Error: a").to_string(), 1), (json!([line("Error: b")]).to_string(), 1), (all, 2)]
    {
        let (status, answer) = post(&services, "/logs", &body).await;
        assert_eq!((status, &answer["received"]), (200, &json!(received)), "{body}");
    }
    assert!(fake.pushes.lock().unwrap().iter().all(|push| push.source == "192.168.1.100:/var/log/syslog"
        && push.node.as_deref() == Some("192.168.1.100")));
    for (body, what) in [
        ("", "empty"),
        ("[]", "empty"),
        ("<html>", "no JSON"),
        ("[1]", "no object"),
        ("{\"log_line\":7}", "log_line"),
        ("{\"log_line\":\"x\"}", "system_ip"),
    ] {
        let (status, answer) = post(&services, "/logs", body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(what), "{body}: {answer}");
    }
    let machine = json!({"IP_address": "192.168.1.100", "Hostname": "web-1", "OS": "Linux"});
    let (status, answer) = post(&services, "/api/system_info", &machine.to_string()).await;
    assert_eq!((status, answer), (200, json!({"status": "ok"})));
    let (status, _) =
        post(&services, "/api/system_info", r#"{"IP_address":"Not Found","Hostname":"web-2"}"#).await;
    assert_eq!(status, 200);
    let sources: Vec<String> =
        fake.pushes.lock().unwrap().iter().rev().take(2).map(|push| push.source.clone()).collect();
    assert_eq!(sources, ["web-2:system_info", "192.168.1.100:system_info"]);
    let (status, answer) = post(&services, "/api/system_info", "{}").await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().contains("IP_address"), "{answer}");
    let sample = json!({"timestamp": "2024-01-15T10:30:45Z", "node_id": "192.168.1.100",
                        "metrics": {"cpu": {"cpu_usage_percent": 45.2}}});
    let (status, answer) = post(&services, "/telemetry", &json!([sample, sample]).to_string()).await;
    assert_eq!((status, &answer["received"]), (200, &json!(2)));
    for (body, what) in [
        ("{\"node_id\":\"x\",\"timestamp\":\"2024-01-15T10:30:45Z\"}", "metrics"),
        ("{\"node_id\":\"x\",\"timestamp\":\"1h\",\"metrics\":{}}", "timestamp"),
        ("{\"timestamp\":\"2024-01-15T10:30:45Z\",\"metrics\":{}}", "node_id"),
    ] {
        let (status, answer) = post(&services, "/telemetry", body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(what), "{body}: {answer}");
    }
}

#[tokio::test]
async fn what_agents_send_is_bounded_when_it_is_unpacked() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let bytes = vec![b' '; 50 << 20];
    let line = RawLine { span: Span::new(0, bytes.len()), offset: 0, newline: false, joined: false };
    let batch = RawBatch {
        source: "/x.log".into(),
        observed: Timestamp(1),
        bytes,
        lines: vec![line],
        header: None,
        gaps: Vec::new(),
        checkpoint: Checkpoint::default(),
    };
    let entry = Entry::of_lines(&batch, "").unwrap();
    let mut body = Vec::new();
    (0..3).for_each(|_| entry.write(&mut body));
    assert!(body.len() < 1 << 20, "{}", body.len());
    let request = Request::post(ENTRIES_PATH).header(NODE_HEADER, "web-1").header(SPOOL_HEADER, "s");
    let (status, _, text) = read(send(&services, request.body(Body::from(body)).unwrap()).await).await;
    assert!(status == 413 && text.contains("too_large"), "{status} {text}");
}
