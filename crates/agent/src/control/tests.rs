//! What clients are told of an agent, well and ill.

use std::net::Ipv4Addr;

use taffrail_forward::Dropped;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::live::LiveConfig;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn clients(sending: Option<Sending>) -> Clients {
    let live = LiveConfig {
        address: (Ipv4Addr::LOCALHOST, 8755).into(),
        node: "web-1".to_owned(),
        files: vec!["/x.log".to_owned()],
        shows_all: true,
        offset_minutes: 0,
    };
    let targets = sending.map_or_else(OnceLock::new, OnceLock::from);
    Clients { live: Live::new(live, now), telemetry: None, targets: Arc::new(targets) }
}

fn sending(folder: &TempDir) -> Sending {
    let url = "http://127.0.0.1:1".to_owned();
    let spool = Spool::open(folder.path(), 1 << 20, &[url], now).unwrap();
    Sending { targets: Vec::new(), spool: Some(spool), telemetry_port: 9_056, interval_seconds: 7 }
}

fn asked(clients: &Clients) -> (StatusCode, Value) {
    runtime().block_on(async {
        let answer = health(State(clients.clone())).await;
        let code = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    })
}

#[test]
fn numbers_are_told_where_nothing_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (sending, want) in [(None, (8_756, 60)), (Some(sending(&folder)), (9_056, 7))] {
        let Json(told) = runtime().block_on(status(State(clients(sending))));
        let telemetry = &told["telemetry"];
        assert_eq!(
            (&telemetry["ws_port"], &telemetry["interval"]),
            (&want.0.into(), &want.1.into()),
            "{told}"
        );
        assert_eq!((&telemetry["running"], &telemetry["pid"]), (&false.into(), &Value::Null));
    }
}

#[test]
fn one_that_sends_to_nobody_tells_what_the_original_does() {
    let (code, told) = asked(&clients(None));
    assert_eq!(code, StatusCode::OK);
    assert_eq!(told, json!({"status": "ok", "node_id": "web-1", "telemetry_enabled": false}));
}

#[test]
fn a_spool_that_cannot_be_written_is_no_health() {
    let folder = tempfile::tempdir().unwrap();
    let sending = sending(&folder);
    let spool = sending.spool.clone().unwrap();
    let clients = clients(Some(sending));
    assert_eq!(asked(&clients).0, StatusCode::OK);
    // Where its first file would be, nothing can be.
    let place = folder.path().join(format!("{:020}.spool", 1));
    fs_err::create_dir(&place).unwrap();
    spool.put_sample("{}").unwrap_err();
    let (code, told) = asked(&clients);
    assert_eq!((code, &told["status"]), (StatusCode::SERVICE_UNAVAILABLE, &"degraded".into()));
    fs_err::remove_dir(&place).unwrap();
    spool.put_sample("{}").unwrap();
    assert_eq!(asked(&clients).0, StatusCode::OK);
}

#[test]
fn what_was_lost_is_told_for_a_while() {
    let now = Timestamp(1_793_491_200_000_000_000);
    let ago = |minutes: i64| Some(Timestamp(now.0 - minutes * 60_000_000_000));
    let failing = Some("no".to_owned());
    for (failing, refused_at, unwritten, dropped_at, want) in [
        (None, None, None, None, true),
        (failing.clone(), None, None, None, false),
        (None, ago(1), None, None, false),
        (None, ago(11), None, ago(11), true),
        (None, None, failing, None, false),
        (None, None, None, ago(9), false),
    ] {
        let standing = Standing { failing, refused_at, ..Standing::default() };
        let dropped = Dropped { entries: 1, lines: 1 };
        let fill = Fill { failing: unwritten, dropped_at, dropped, ..Fill::default() };
        let told = format!("{standing:?} {fill:?}");
        assert_eq!(is_well(&[standing], Some(&fill), now), want, "{told}");
    }
}
