//! The machines that send to a hub: which of them are silent, whose clock is wrong, which share a name; and what the agents of
//! Resolvix send, packed in any way.

use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use taffrail_testkit::Daemon;

use crate::control::curl;
use crate::program::{Site, count, eventually, python_or_skip};

const HUB: &str = "[telemetry]\nenabled = false\n[[source]]\npath = '/nowhere/x.log'\n";

/// Says that a machine is there, as its agent does; its clock is so many seconds behind.
fn say(hub: &Daemon, node: &str, spool: &str, behind: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let header = |name: &str, value: &str| format!("taffrail-{name}: {value}");
    let headers = [
        header("node", node),
        header("spool", spool),
        header("time", &(now - behind * 1_000_000_000).to_string()),
    ];
    let url = format!("http://{}/api/v1/agent/entries", hub.address());
    let mut arguments = vec!["--data-binary", ""];
    headers.iter().for_each(|header| arguments.extend(["--header", header]));
    let (code, answer) = curl(&[&arguments[..], &[&url]].concat());
    assert_eq!((code, &answer["taken"]), (200, &0.into()), "{answer}");
}

/// What health warns of, by machine.
fn warnings(hub: &Daemon) -> Vec<(String, String)> {
    let health = hub.get("/api/v1/health").unwrap().json().unwrap();
    assert_eq!(health["status"], "ok", "{health}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    health["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["source"]), text(&one["what"])))
        .collect()
}

#[test]
fn machines_that_are_silent_or_wrong_about_the_time_or_their_name_are_warned_of() {
    let site = Site::new();
    let hub = site.daemon_with(HUB);
    say(&hub, "right", "a", 0);
    say(&hub, "slow", "b", 100);
    say(&hub, "fast", "c", -100);
    for spool in ["d", "e", "d"] {
        say(&hub, "shared", spool, 0);
    }
    let nodes = hub.get("/api/v1/nodes").unwrap().json().unwrap();
    let skew = |at: usize| nodes["nodes"][at]["clock_skew_seconds"].as_f64().unwrap().round();
    assert_eq!([skew(0), skew(1), skew(2), skew(3)], [-100.0, 0.0, 0.0, 100.0], "{nodes}");
    let found = warnings(&hub);
    let of = |node: &str| {
        found.iter().filter(|(of, _)| of == node).map(|(_, what)| what.as_str()).collect::<Vec<_>>()
    };
    assert!(of("slow")[0].contains("is 100 seconds behind"), "{found:?}");
    assert!(of("fast")[0].contains("is 100 seconds ahead"), "{found:?}");
    assert!(of("shared")[0].contains("several agents have this name"), "{found:?}");
    assert_eq!((of("right").len(), found.len()), (0, 3), "{found:?}");
    assert!(hub.stop().unwrap().success());

    const TEST: &str =
        "agent::nodes::machines_that_are_silent_or_wrong_about_the_time_or_their_name_are_warned_of";
    let Some(python) = python_or_skip(TEST) else { return };
    // As if the first had been silent for ten minutes, and the last for weeks.
    let script = "import sqlite3, sys\ndatabase = sqlite3.connect(sys.argv[1])\n\
        database.execute(\"UPDATE nodes SET last_seen = last_seen - 600 * 1000000000 WHERE node = 'right'\")\n\
        database.execute(\"UPDATE nodes SET last_seen = last_seen - 2000000 * 1000000000 WHERE node = 'slow'\")\n\
        database.commit()";
    let changed = Command::new(python).args(["-c", script]).arg(site.data().join("taffrail.db")).status();
    assert!(changed.unwrap().success());
    let hub = site.daemon_with(HUB);
    let found = warnings(&hub);
    let silent: Vec<&str> = found
        .iter()
        .filter(|(_, what)| what.contains("sends nothing any more"))
        .map(|(node, _)| node.as_str())
        .collect();
    assert_eq!(silent, ["right"], "{found:?}");
    let metrics = hub.get("/metrics").unwrap().text();
    let seen = metrics
        .lines()
        .find(|line| line.starts_with("taffrail_node_last_seen_timestamp_seconds{node=\"right\""));
    assert!(seen.is_some(), "{metrics}");
}

#[test]
fn what_agents_of_resolvix_send_may_be_packed() {
    let site = Site::new();
    let hub = site.daemon_with(HUB);
    let line = |number: usize| {
        json!({"timestamp": "2024-01-15T10:30:45Z", "system_ip": "192.0.2.9", "log_path": "/var/log/app.log",
               "application": "app", "log_line": format!("line {number} failed"), "severity": "critical"})
        .to_string()
    };
    let sample = |second: usize| {
        json!({"timestamp": format!("2024-01-15T10:30:{second:02}Z"), "node_id": "192.0.2.9",
               "metrics": {"cpu": {"cpu_usage_percent": 45.5}}})
        .to_string()
    };
    for (number, (encoding, packer)) in [("gzip", "gzip"), ("zstd", "zstd")].into_iter().enumerate() {
        for (path, body) in [
            ("/logs", format!("{}\n{}\n", line(2 * number), line(2 * number + 1))),
            ("/telemetry", format!("{}\n{}\n", sample(2 * number), sample(2 * number + 1))),
        ] {
            let plain = site.write("body", body);
            let packed = Command::new(packer).arg("-c").arg(&plain).stderr(Stdio::null()).output();
            let packed =
                packed.unwrap_or_else(|error| panic!("{packer}: {error}; scripts/setup test installs it"));
            let file = site.write("body.packed", packed.stdout);
            let (code, answer) = curl(&[
                "--header",
                &format!("Content-Encoding: {encoding}"),
                "--data-binary",
                &format!("@{}", file.display()),
                &format!("http://{}{path}", hub.address()),
            ]);
            assert_eq!((code, &answer["received"]), (200, &2.into()), "{path} {encoding}: {answer}");
        }
    }
    eventually("four lines", || count(&hub, "SELECT count(*) FROM logs WHERE node = '192.0.2.9'") == 4);
    let rows = hub
        .sql("SELECT body, lower(severity), service, source, CAST(timestamp AS VARCHAR) FROM logs ORDER BY body LIMIT 1")
        .unwrap();
    assert_eq!(
        rows[0][..4],
        ["line 0 failed", "critical", "app", "192.0.2.9:/var/log/app.log"].map(Value::from),
        "{rows:?}"
    );
    assert!(rows[0][4].as_str().unwrap().starts_with("2024-01-15T10:30:45"), "{rows:?}");
    assert_eq!(
        count(
            &hub,
            "SELECT count(*) FROM telemetry WHERE node_id = '192.0.2.9' AND cpu_usage_percent = 45.5"
        ),
        4
    );
}
