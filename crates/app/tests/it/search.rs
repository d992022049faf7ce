//! The same question has the same answer with and without a daemon, in the words and codes that are promised.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Site, count, eventually};

const LINES: &str = r#"Nov 20 10:00:01 web-1 sshd[12]: Failed password for root from 10.0.0.1 port 22 ssh2
Nov 20 10:00:02 web-1 sshd[12]: Accepted publickey for deploy from 10.0.0.2 port 22 ssh2
{"time":"2026-11-20T10:00:03.123456789Z","level":"error","msg":"payment declined","service":"shop","amount":250,"user":{"name":"anna"}}
{"time":"2026-11-20T10:00:04Z","level":"info","msg":"payment accepted","service":"shop","amount":90}
2026-11-20T10:00:05.500000+01:00 db-1 postgres[77]: no route to host "replica"
2026-11-20 10:00:06 - CRITICAL - WORKER - out of memory
2026-11-20 10:00:07 | WARNING | WORKER | queue is filling
10.1.2.3 - - [20/Nov/2026:10:00:08 +0000] "GET /cart HTTP/1.1" 500 123 "-" "curl/8"
10.1.2.4 - - [20/Nov/2026:10:00:09 +0000] "GET /healthz HTTP/1.1" 200 2 "-" "probe"
time=2026-11-20T10:00:10Z level=warn msg="slow timeout reached" took=1500
"#;

const CONFIG: &str = "[[source]]\npath = [\"{logs}\"]\nzone = \"UTC\"\n";

fn site() -> Site {
    let site = Site::new();
    let path = site.write("logs/mixed.log", LINES);
    let config = site.config(CONFIG);
    site.run(&["import", "-c", config.to_str().unwrap(), path.to_str().unwrap()]).expect(0);
    site
}

/// Expressions, and by a word of each which lines they find, oldest first.
const EXPRESSIONS: [(&str, &[&str]); 31] = [
    ("payment", &["declined", "accepted"]),
    ("PAYMENT declined", &["declined"]),
    ("pay", &[]),
    ("pay*", &["declined", "accepted"]),
    ("*clin*", &["declined"]),
    ("\"no route\"", &["route"]),
    ("\"route no\"", &[]),
    ("/time(d )?out/", &["timeout"]),
    ("/^payment (declined|lost)$/", &["declined"]),
    ("payment -declined", &["accepted"]),
    ("payment NOT declined", &["accepted"]),
    ("declined OR timeout", &["declined", "timeout"]),
    ("(declined OR accepted) service:shop", &["declined", "accepted"]),
    ("declined OR accepted -payment", &["publickey", "declined"]),
    ("service:sshd", &["Failed", "publickey"]),
    ("service:sshd -root", &["publickey"]),
    ("service:(postgres OR WORKER)", &["route", "memory", "filling"]),
    ("service:post*", &["route"]),
    ("node:web-1", &["Failed", "publickey"]),
    ("severity:critical", &["memory"]),
    ("severity>=error", &["declined", "memory", "500"]),
    ("severity>=error -payment", &["memory", "500"]),
    ("status:500", &["500"]),
    ("status>=200", &["500", "healthz"]),
    ("status<500", &["healthz"]),
    ("amount>100", &["declined"]),
    ("amount<=250 amount>90", &["declined"]),
    ("user.name:anna", &["declined"]),
    ("took:*", &["timeout"]),
    ("body:/queue/", &["filling"]),
    ("nosuchword", &[]),
];

/// Every question of this file, answered.
fn answers(site: &Site) -> Vec<(i32, String)> {
    let mut questions: Vec<Vec<&str>> = EXPRESSIONS
        .iter()
        .map(|(expression, _)| vec!["search", "--json", "--raw", "--", expression])
        .collect();
    questions.extend([
        vec!["search", "--json", "-n", "3"],
        vec!["search", "--json", "-n", "3", "--oldest-first"],
        vec!["search", "--since", "2026-11-20T10:00:03Z", "--until", "2026-11-20T10:00:06Z"],
        vec!["search", "("],
        vec!["search", "/(/"],
        vec!["sql", "SELECT severity, count(*) AS n FROM logs GROUP BY severity ORDER BY severity"],
        vec![
            "sql",
            "--format",
            "csv",
            "SELECT timestamp, service, body FROM logs ORDER BY timestamp, \"offset\"",
        ],
        vec![
            "sql",
            "--format",
            "json",
            "SELECT attributes['amount'] AS a FROM logs WHERE service = 'shop' ORDER BY 1",
        ],
        vec!["sql", "SELECT body FROM logs WHERE body = 'nothing is this'"],
        vec!["sql", "SELECT nothing FROM logs"],
        vec!["export", "raw", "--source", "/no/such"],
    ]);
    let source = site.source("logs/mixed.log");
    questions.push(vec!["export", "raw", "--source", &source]);
    questions.iter().map(|question| site.run(question)).map(|ran| (ran.code, ran.text() + &ran.err)).collect()
}

#[test]
fn expressions_find_what_they_mean() {
    let site = site();
    for (expression, words) in EXPRESSIONS {
        let ran = site.run(&["search", "--json", "--raw", "--oldest-first", "--", expression]);
        let lines: Vec<String> =
            ran.json().iter().map(|record| record["raw"].as_str().unwrap().to_owned()).collect();
        let as_wanted =
            lines.len() == words.len() && lines.iter().zip(words).all(|(line, word)| line.contains(word));
        assert!(as_wanted, "{expression}: wanted {words:?}, found {lines:#?}");
        assert_eq!(ran.code, i32::from(words.is_empty()), "{expression}: {}", ran.err);
    }
}

#[test]
fn answers_are_the_same_with_the_daemon_and_without() {
    let site = site();
    let without = answers(&site);
    let daemon = site.daemon_with(CONFIG);
    eventually("the daemon to have all", || count(&daemon, "SELECT count(*) FROM logs") == 10);
    for (with, without) in answers(&site).iter().zip(&without) {
        assert_eq!(with, without);
    }
    assert!(daemon.stop().unwrap().success());
    assert_eq!(answers(&site), without);
}

#[test]
fn json_has_the_promised_names() {
    let site = site();
    let ran = site.run(&["search", "--json", "--raw", "declined"]).expect(0);
    let [record] = &ran.json()[..] else { panic!("{}", ran.text()) };
    let mut record = record.clone();
    let observed = record["observed_timestamp"].take();
    assert!(observed.as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 30), "{observed}");
    let line = LINES.lines().nth(2).unwrap();
    let node = record["node"].take();
    assert_eq!(
        record,
        json!({
            "timestamp": "2026-11-20T10:00:03.123456789Z",
            "observed_timestamp": null,
            "severity": "ERROR",
            "node": null,
            "source": site.source("logs/mixed.log"),
            "offset": LINES.find("{\"time\":\"2026-11-20T10:00:03").unwrap(),
            "service": "shop",
            "body": "payment declined",
            "attributes": record["attributes"].clone(),
            "raw": line,
        })
    );
    assert!(node.is_string());
    assert_eq!(record["attributes"]["amount"], 250);
    assert_eq!(record["attributes"]["user.name"], "anna");
    let names = |text: &str| -> Vec<String> {
        let Value::Object(members) = serde_json::from_str(text).unwrap() else { panic!("{text}") };
        members.keys().cloned().collect()
    };
    let without_raw = site.run(&["search", "--json", "declined"]).expect(0).text();
    assert!(!names(&without_raw).contains(&"raw".to_owned()));
}

#[test]
fn newest_come_first_and_the_limit_holds() {
    let site = site();
    let times = |arguments: &[&str]| -> Vec<String> {
        let records = site.run(arguments).expect(0).json();
        records.iter().map(|record| record["timestamp"].as_str().unwrap().to_owned()).collect()
    };
    let all = times(&["search", "--json"]);
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by(|a, b| a >= b), "{all:?}");
    assert_eq!(times(&["search", "--json", "-n", "4"]), all[..4]);
    let mut oldest = times(&["search", "--json", "--oldest-first"]);
    oldest.reverse();
    assert_eq!(oldest, all);
    // The second that --until names is outside.
    let some = times(&[
        "search",
        "--json",
        "--since",
        "2026-11-20T10:00:03.123456789Z",
        "--until",
        "2026-11-20T10:00:06Z",
    ]);
    assert_eq!(some, ["2026-11-20T10:00:04.000000000Z", "2026-11-20T10:00:03.123456789Z"]);
}

#[test]
fn exit_codes_tell_found_from_nothing_from_failure_from_misuse() {
    let site = site();
    for (arguments, code) in [
        (&["search", "payment"][..], 0),
        (&["search", "nosuchword"], 1),
        (&["sql", "SELECT 1"], 0),
        (&["sql", "SELECT 1 WHERE false"], 1),
        (&["export", "raw", "--source", "/no/such"], 1),
        (&["sql", "SELECT"], 2),
        (&["search", "("], 64),
        (&["search", "--limit", "0"], 64),
        (&["search", "--since", "now", "--until", "1h"], 64),
        (&["search", "--since", "soon"], 64),
        (&["nothing"], 64),
    ] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.text(), ran.err);
    }
    let empty = Site::new();
    let ran = empty.run(&["search", "x"]).expect(2);
    assert!(ran.err.contains(empty.data().to_str().unwrap()), "{}", ran.err);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let site = Site::new();
    let lines: String = (0..20_000).map(|n| format!("line {n} {}\n", "x".repeat(60))).collect();
    let path = site.write("a.log", &lines);
    site.run(&["import", path.to_str().unwrap()]).expect(0);
    let source = site.source("a.log");
    for arguments in [
        &["search", "--limit", "20000", "line"][..],
        &["search", "--json", "--limit", "20000"],
        &["sql", "--format", "csv", "SELECT body FROM logs"],
        &["export", "raw", "--source", &source],
    ] {
        let mut command = site.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = std::io::BufReader::with_capacity(64, child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut first, &mut line).unwrap();
        assert!(!line.is_empty());
        drop(first);
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), err.as_ref()), (Some(0), ""), "{arguments:?}");
    }
}
