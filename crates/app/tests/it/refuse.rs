//! Bad input: a clear message that names the thing, the right status, and a daemon that lives.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taffrail_testkit::{Client, Daemon, percent_encode};

use crate::program::{Site, assert_alive, found};

#[test]
fn a_second_process_is_refused_by_name_and_pid() {
    let site = Site::new();
    let daemon = site.daemon();
    let path = site.write("a.log", "a\n");
    for arguments in
        [&["run", "--listen", "127.0.0.1:0", "nothing/*.log"][..], &["import", path.to_str().unwrap()]]
    {
        let ran = site.run(arguments).expect(2);
        let pid = format!("pid {}", daemon.pid());
        for word in [pid.as_str(), "taffrail run", site.data().to_str().unwrap()] {
            assert!(ran.err.contains(word), "{arguments:?} does not say {word:?}: {}", ran.err);
        }
    }
    assert_alive(&daemon, "a second process");
}

#[test]
fn a_port_in_use_is_named() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = site.run(&["run", "--listen", &address, "nothing/*.log"]).expect(2);
    assert!(ran.err.contains(&address) && ran.err.contains("--listen"), "{}", ran.err);
}

#[test]
fn a_data_directory_that_is_none_is_named() {
    let site = Site::new();
    site.write("data", "a file");
    let path = site.write("a.log", "a\n");
    for arguments in [
        &["run", "--listen", "127.0.0.1:0", "nothing/*.log"][..],
        &["import", path.to_str().unwrap()],
        &["search", "a"],
    ] {
        let ran = site.run(arguments).expect(2);
        assert!(ran.err.contains(site.data().to_str().unwrap()), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    assert_eq!(fs_err::read(site.data()).unwrap(), b"a file");
    // A folder inside that is in the way.
    let site = Site::new();
    site.write("data/segments", "a file");
    let ran = site.run(&["run", "--listen", "127.0.0.1:0", "nothing/*.log"]).expect(2);
    assert!(ran.err.contains("data/segments"), "{}", ran.err);
}

#[test]
fn a_wrong_config_is_refused_with_its_line() {
    let site = Site::new();
    for (text, words) in [
        ("listne = \"127.0.0.1:0\"\n", &["taffrail.toml:1", "listne", "listen"][..]),
        ("\n[retention]\nmax_agee = \"3d\"\n", &[":3", "max_agee", "max_age"]),
        ("listen = 8062\n", &[":1", "listen"]),
        ("[memory]\nmemtable = true\n", &[":2", "memory.memtable"]),
        ("[memory]\nmemtable = \"1 KiB\"\n", &["1 MiB"]),
        ("node = \"a\"\nnode = \"b\"\n", &[":2", "node"]),
        ("[query]\n[query]\n", &[":2", "query"]),
        ("node = \n", &[":1"]),
        ("[[source]]\npath = []\n", &["path"]),
        ("[[source]]\nzone = \"UTC\"\n", &["path"]),
    ] {
        let config = site.config(text);
        for (command, code) in [("run", 64), ("check", 2)] {
            let ran = site.run(&[command, "-c", config.to_str().unwrap()]).expect(code);
            let said = format!("{}{}", ran.text(), ran.err);
            for word in words {
                assert!(said.contains(word), "{text:?} with {command} does not say {word:?}: {said}");
            }
        }
    }
    let ran = site.run(&["run", "-c", "/no/such.toml"]);
    assert!(ran.code != 0 && ran.err.contains("/no/such.toml"), "{}", ran.err);
}

#[test]
fn an_open_address_needs_allow_anonymous() {
    let site = Site::new();
    let ran = site.run(&["run", "--listen", "0.0.0.0:0", "nothing/*.log"]).expect(64);
    assert!(ran.err.contains("allow_anonymous"), "{}", ran.err);
}

fn sql(daemon: &Daemon, statement: &str) -> (u16, Value, Duration) {
    let started = Instant::now();
    let body = json!({ "query": statement }).to_string();
    let answer = daemon.post("/api/v1/sql", "application/json", body).unwrap();
    (answer.status, answer.json().unwrap(), started.elapsed())
}

/// A daemon with a thousand lines and a time limit of two seconds.
fn short_of_time(site: &Site) -> Daemon {
    let lines: String = (0..1_000).map(|n| format!("line {n} of a thousand\n")).collect();
    let path = site.write("logs/a.log", lines);
    site.run(&["import", path.to_str().unwrap()]).expect(0);
    site.daemon_with("[query]\ntimeout = \"2s\"\n\n[[source]]\npath = [\"{logs}\"]\n")
}

#[test]
fn sql_that_is_wrong_or_writes_is_refused() {
    let site = Site::new();
    let daemon = short_of_time(&site);
    let copied = site.path("copied.csv");
    let copy = format!("COPY (SELECT 1) TO '{}'", copied.display());
    let external =
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{}'", site.path("logs").display());
    for statement in [
        "SELECT",
        "SELECT nothing FROM logs",
        "SELECT * FROM nothing",
        "SELECT 1; SELECT 2",
        "",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        &external,
        "DROP TABLE logs",
        "INSERT INTO gaps SELECT * FROM gaps",
        "DELETE FROM logs",
        "UPDATE logs SET body = ''",
        &copy,
        "SET datafusion.execution.batch_size = 1",
        "PREPARE p AS SELECT 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT abs(body, 3) FROM logs",
        "SELECT CAST(body AS INT) FROM logs",
    ] {
        let (status, answer, _) = sql(&daemon, statement);
        assert_eq!(status, 400, "{statement}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("panicked"), "{statement}: {message}");
        assert_alive(&daemon, statement);
    }
    assert!(!copied.exists());
    assert_eq!(sql(&daemon, "SELECT count(*) FROM logs").1["rows"][0][0], 1_000);
}

#[test]
fn a_billion_rows_are_cut_or_refused_in_time() {
    let site = Site::new();
    let daemon = short_of_time(&site);
    for statement in [
        "SELECT a.body FROM logs a, logs b, logs c",
        "SELECT count(*) FROM logs a, logs b, logs c WHERE a.body < b.body OR b.body < c.body OR a.body = c.body",
        "SELECT a.body || b.body || c.body AS x FROM logs a, logs b, logs c ORDER BY x",
        "SELECT a.body, b.body, c.body, count(*) FROM logs a, logs b, logs c GROUP BY 1, 2, 3",
        "SELECT * FROM generate_series(1, 1000000000000) ORDER BY 1 DESC",
    ] {
        let (status, answer, took) = sql(&daemon, statement);
        let cut = status == 200 && answer["truncated"] == true;
        let counted = status == 200 && answer["rows"].as_array().is_some_and(|rows| rows.len() == 1);
        assert!(cut || counted || [400, 413, 504].contains(&status), "{statement}: {status} {answer}");
        assert!(took < Duration::from_secs(10), "{statement}: {status} after {took:?}");
        assert_alive(&daemon, statement);
    }
    let ran = site.run(&["sql", "--format", "csv", "SELECT a.body FROM logs a, logs b, logs c"]).expect(2);
    assert!(ran.err.contains("LIMIT") || ran.err.contains("time limit"), "{}", ran.err);
    // No statement goes on behind the scenes: four more are answered at once.
    for _ in 0..4 {
        let (status, answer, took) = sql(&daemon, "SELECT count(*) FROM logs");
        assert_eq!((status, &answer["rows"][0][0]), (200, &json!(1_000)));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn expressions_that_are_wrong_or_explode_are_refused_in_time() {
    let site = Site::new();
    let daemon = short_of_time(&site);
    let deep = format!("{}a{}", "(".repeat(2_000), ")".repeat(2_000));
    let long = "a".repeat(20_000);
    for (expression, statuses) in [
        ("/(a{1000}){1000}/", &[400][..]),
        ("/((((a{100}){100}){100}){100})/", &[400]),
        ("/(/", &[400]),
        ("/(?=x)/", &[400]),
        ("(", &[400]),
        (")", &[400]),
        ("\"open", &[400]),
        ("severity>=loud", &[400]),
        (&deep, &[400]),
        (&long, &[414]),
        ("/(x+x+)+y/", &[200]),
        ("/(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a-z]$/", &[200, 504]),
    ] {
        let shown: String = expression.chars().take(40).collect();
        let started = Instant::now();
        let answer = daemon.get(&format!("/api/v1/search?q={}", percent_encode(expression))).unwrap();
        assert!(statuses.contains(&answer.status), "{shown}: {} {}", answer.status, answer.text());
        assert!(started.elapsed() < Duration::from_secs(10), "{shown}: {:?}", started.elapsed());
        if answer.status == 400 {
            let answer = answer.json().unwrap();
            assert!(!answer["error"]["message"].as_str().unwrap().is_empty(), "{shown}");
        }
        let compatible = daemon.get(&format!("/api/logs/search?q={}", percent_encode(expression))).unwrap();
        assert!([200, 414, 504].contains(&compatible.status), "{shown}: {}", compatible.text());
        assert_alive(&daemon, &shown);
    }
}

#[test]
fn limits_and_ranges_are_checked_on_both_apis() {
    let site = Site::new();
    let daemon = short_of_time(&site);
    for (target, status, word) in [
        ("/api/v1/search?limit=0", 200, "records"),
        ("/api/v1/search?limit=1001", 200, "records"),
        ("/api/v1/search?limit=-1", 400, "limit=-1"),
        ("/api/v1/search?limit=abc", 400, "limit=abc"),
        ("/api/v1/search?limit=99999999999999999999", 400, "limit="),
        ("/api/v1/search?limt=5", 400, "limt"),
        ("/api/v1/search?since=2026-11-02&until=2026-11-01", 400, "swap"),
        ("/api/v1/search?since=soon", 400, "since"),
        ("/api/v1/histogram?since=2026-11-02&until=2026-11-01", 400, "swap"),
        ("/api/v1/export/raw", 400, "source"),
        ("/api/v1/export/raw?source=/no/such", 404, "sources"),
        ("/api/v1/nothing", 404, "openapi"),
        ("/api/logs?limit=0", 200, "\"count\":0"),
        ("/api/logs?limit=-1", 200, "\"count\":0"),
        ("/api/logs?limit=1000", 200, "\"count\":1000"),
        ("/api/logs?limit=1001", 422, "less_than_equal"),
        ("/api/logs?limit=abc", 422, "int_parsing"),
        ("/api/logs/search?q=line&limit=1001", 422, "less_than_equal"),
        ("/api/logs?start_time=2026-11-02&end_time=2026-11-01", 200, "\"count\":0"),
    ] {
        let answer = daemon.get(target).unwrap();
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(answer.text().contains(word), "{target}: {}", answer.text());
        assert_alive(&daemon, target);
    }
}

#[test]
fn bodies_that_are_none_are_refused() {
    let site = Site::new();
    let daemon = site.daemon();
    let json = "application/json";
    for (target, body, status) in [
        ("/api/logs", "no json", 422),
        ("/api/logs", "", 422),
        ("/api/logs", "[]", 422),
        ("/api/logs", "[{\"message\":\"x\"}]", 422),
        ("/api/logs", "\"x\"", 422),
        ("/api/logs", "{\"message\":5}", 422),
        ("/api/logs", "{", 422),
        ("/api/v1/sql", "no json", 400),
        ("/api/v1/sql", "[]", 400),
        ("/api/v1/sql", "{\"query\":1}", 400),
        ("/api/v1/sql", "", 400),
    ] {
        let answer = daemon.post(target, json, body).unwrap();
        assert_eq!(answer.status, status, "{target} {body}: {}", answer.text());
        assert!(answer.json().is_ok(), "{target} {body}");
        assert_alive(&daemon, body);
    }
    let nested = format!(
        "{{\"message\":\"deep\",\"metadata\":{{\"a\":{}{}}}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let answer = daemon.post("/api/logs", json, nested).unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_alive(&daemon, "deep nesting");
    assert!(found(&daemon, "").is_empty(), "something of it was stored");
}

#[test]
fn a_body_of_100_mib_is_413_and_gzip_is_read() {
    let site = Site::new();
    let daemon = site.daemon();
    let mut body = b"{\"message\":\"".to_vec();
    body.resize(100 << 20, b'x');
    body.extend_from_slice(b"\"}");
    for target in ["/api/logs", "/api/v1/logs", "/api/v1/sql"] {
        let answer = daemon.post(target, "application/json", &body).unwrap();
        assert_eq!(answer.status, 413, "{target}: {}", answer.text());
        assert_alive(&daemon, "100 MiB");
    }
    let zip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let mut client = Client::new(daemon.address());
    let bomb = zip(&body);
    for (packed, status) in [(zip(b"{\"message\":\"packed\"}"), 200), (b"no gzip".to_vec(), 400), (bomb, 413)]
    {
        let answer = client.request("POST", "/api/logs", &headers, &packed).unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_alive(&daemon, "gzip");
    }
    assert_eq!(found(&daemon, ""), ["packed"]);
}

#[test]
fn wrong_usage_is_64_and_help_is_not() {
    let site = Site::new();
    for arguments in [
        &["serch"][..],
        &["search", "--limit", "abc"],
        &["search", "--limit", "-1"],
        &["search", "--limit", "0"],
        &["sql"],
        &["import"],
        &["export", "raw"],
        &["run", "--listen", "nowhere"],
        &["sql", "--format", "xml", "SELECT 1"],
        &["import", "--source", "one", "a", "b"],
    ] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, 64, "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty() && ran.out.is_empty());
    }
    assert!(site.run(&["--help"]).expect(0).text().contains("import"));
}
