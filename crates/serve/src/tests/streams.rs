//! What lasts: live streams, exports, requests that are given up, the listener.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures::StreamExt as _;
use serde_json::Value;
use taffrail_record::Severity;
use taffrail_store::engine::Arrival;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::fake::{Fake, batch, get, get_text, hit, send};
use crate::api::{GapNotice, Record};
use crate::services::Services;

/// The next server-sent event: its kind and data.
async fn event(stream: &mut BodyDataStream) -> (String, String) {
    let bytes = timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    (field("event: ").to_owned(), field("data: ").to_owned())
}

async fn open(services: &Services, path: &str) -> BodyDataStream {
    let response = send(services, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn a_live_stream_gets_what_matches_and_a_gap_where_it_was_too_slow() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let mut stream = open(&services, "/api/v1/tail?q=error").await;
    // Where it stands.
    assert_eq!(event(&mut stream).await, (String::new(), String::new()));
    // The hub holds two batches; the first and second are missed.
    for bodies in [&["error 1", "fine"][..], &["error 2"], &["error 3", "x"], &["error 4"]] {
        services.live.publish(batch(bodies));
    }
    let (kind, data) = event(&mut stream).await;
    assert_eq!(kind, "gap");
    assert_eq!(serde_json::from_str::<GapNotice>(&data).unwrap(), GapNotice { missed: 3, deleted: false });
    for want in ["error 3", "error 4"] {
        let (kind, data) = event(&mut stream).await;
        let record: Record = serde_json::from_str(&data).unwrap();
        assert_eq!((kind.as_str(), record.body.as_str()), ("record", want));
    }
    services.live.publish(batch(&["error 5"]));
    assert!(event(&mut stream).await.1.contains("error 5"));
    drop(stream);
    until(|| !services.live.has_subscribers()).await;
}

#[tokio::test]
async fn a_live_stream_shows_as_many_a_second_as_it_is_asked_to() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let mut stream = open(&services, "/api/v1/tail?rate=2").await;
    assert_eq!(event(&mut stream).await, (String::new(), String::new()));
    services.live.publish(batch(&["1", "2", "3", "4"]));
    for want in ["1", "2"] {
        assert!(event(&mut stream).await.1.contains(&format!("\"body\":\"{want}\"")));
    }
    assert!(timeout(Duration::from_millis(100), stream.next()).await.is_err(), "the rest is left out");
    sleep(Duration::from_millis(950)).await;
    services.live.publish(batch(&["5", "6", "7"]));
    let (kind, data) = event(&mut stream).await;
    assert_eq!((kind.as_str(), data.as_str()), ("sampled", r#"{"matched":4,"shown":2}"#));
    for want in ["5", "7"] {
        let (_, data) = event(&mut stream).await;
        assert!(data.contains(&format!("\"body\":\"{want}\"")), "{data}");
    }
    let (status, _) = get(&services, "/api/v1/tail?rate=0").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn live_streams_are_bounded_in_number_and_show_signs_of_life() {
    let fake = Arc::new(Fake::default());
    let mut services = fake.services();
    services.limits.subscribers = 1;
    services.limits.heartbeat = Duration::from_millis(5);
    let mut stream = open(&services, "/api/v1/tail").await;
    let (status, json) = get(&services, "/api/v1/tail").await;
    assert_eq!((status, json["error"]["code"].as_str()), (503, Some("busy")));
    assert_eq!(event(&mut stream).await.1, "", "where it stands");
    let beat = stream.next().await.unwrap().unwrap();
    assert!(beat.starts_with(b":"), "{beat:?}");
}

#[tokio::test]
async fn a_live_stream_says_how_far_it_is_and_what_it_left_out_though_nothing_comes() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let mut stream = open(&services, "/api/v1/tail?q=error&rate=1").await;
    assert_eq!(event(&mut stream).await.1, "", "where it stands");
    let other = batch(&["fine", "well"]);
    let place = Arrival::end_of(taffrail_store::observed(&other).unwrap());
    services.live.publish(other);
    let told = stream.next().await.unwrap().unwrap();
    assert_eq!(told, format!("id: {place}\n\n"));
    services.live.publish(batch(&["error 1", "error 2", "error 3"]));
    assert!(event(&mut stream).await.1.contains("error 1"));
    let (kind, data) = event(&mut stream).await;
    assert_eq!((kind.as_str(), data.as_str()), ("sampled", r#"{"matched":3,"shown":1}"#));
}

#[tokio::test]
async fn who_takes_nothing_gives_up_the_seat() {
    let fake = Arc::new(Fake::default());
    let mut services = fake.services();
    services.limits.stall_time = Duration::from_millis(20);
    let mut stream = open(&services, "/api/v1/tail").await;
    services.live.publish(batch(&["1", "2", "3"]));
    until(|| !services.live.has_subscribers()).await;
    assert_eq!(event(&mut stream).await.1, "", "where it stands");
    assert!(stream.next().await.is_none(), "it is to come again");
}

#[tokio::test]
async fn exports_give_the_bytes_and_never_a_part_for_the_whole() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let long = "x".repeat(200 << 10);
    fake.fill([hit("one", Severity::INFO), hit(&long, Severity::INFO), hit("é\u{0}", Severity::INFO)]);
    let (_, headers, text) = get_text(&services, "/api/v1/export/raw?source=/var/log/app.log").await;
    assert_eq!(text, format!("one\n{long}\né\0\n"));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(get_text(&services, "/api/v1/export/raw?source=empty").await.2, "");
    let mut broken = open(&services, "/api/v1/export/raw?source=broken").await;
    let mut last = Ok(());
    while let Some(chunk) = broken.next().await {
        last = chunk.map(drop);
    }
    assert!(last.is_err());
}

async fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "it does not happen");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn queries_that_nobody_waits_for_end_and_free_their_place() {
    let fake = Arc::new(Fake::default());
    let mut services = fake.services();
    services.limits.queries = 1;
    services.limits.waiting = 0;
    let router = crate::router(services);
    let ask = |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        tokio::spawn(tower::ServiceExt::oneshot(router.clone(), request))
    };
    let given_up = ask("/api/v1/search?q=wait");
    until(|| fake.running.load(Ordering::SeqCst) == 1).await;
    assert_eq!(ask("/api/v1/search").await.unwrap().unwrap().status(), 503);
    given_up.abort();
    until(|| fake.cancelled.load(Ordering::SeqCst) == 1).await;
    let started = Instant::now();
    while ask("/api/v1/search").await.unwrap().unwrap().status() != 200 {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_query_past_its_time_is_ended() {
    let fake = Arc::new(Fake::default());
    let mut services = fake.services();
    services.limits.query_time = Duration::from_millis(10);
    let (status, json) = get(&services, "/api/v1/search?q=wait").await;
    assert_eq!((status, json["error"]["code"].as_str()), (504, Some("timed_out")));
}

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

async fn start(services: Services) -> Running {
    let server = crate::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(services, async {
        let _ = stopped.await;
    }));
    Running { address, stop, ended }
}

impl Running {
    fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_ends_its_query_and_its_export() {
    let fake = Arc::new(Fake::default());
    let running = start(fake.services()).await;
    let paths = ["/api/v1/search?q=wait", "/api/v1/export/raw?source=endless"];
    for (index, path) in paths.into_iter().enumerate() {
        let client = running.connect(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        until(|| fake.running.load(Ordering::SeqCst) == index + 1).await;
        drop(client);
        until(|| fake.cancelled.load(Ordering::SeqCst) == index + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_live_streams_and_returns() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    let running = start(services.clone()).await;
    let mut client = running.connect("GET /api/v1/tail HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let idle = running.connect("");
    until(|| services.live.has_subscribers()).await;
    running.stop.send(()).unwrap();
    timeout(Duration::from_secs(4), running.ended).await.unwrap().unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("0\r\n\r\n"), "{text}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_arrive_is_given_up() {
    let fake = Arc::new(Fake::default());
    let mut services = fake.services();
    services.limits.head_time = Duration::from_millis(20);
    let running = start(services).await;
    let mut slow = running.connect("GET /health HTTP/1.1\r\nHost: local");
    let read = tokio::task::spawn_blocking(move || slow.read_to_end(&mut Vec::new()));
    assert!(read.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_way_out() {
    let first = crate::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = crate::bind(first.address()).await.unwrap_err().to_string();
    assert!(error.contains(&first.address().to_string()) && error.contains("choose another"), "{error}");
    let error = crate::bind("203.0.113.9:80".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("203.0.113.9"), "{error}");
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let fake = Arc::new(Fake::default());
    let services = fake.services();
    for _ in 0..services.limits.queries + 1 {
        assert_eq!(get(&services, "/api/v1/search?q=panic").await.0, 500);
    }
    let (status, json) = get(&services, "/api/v1/search").await;
    assert_eq!((status, &json["next"]), (200, &Value::Null));
}
