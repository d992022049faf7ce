//! Lines as they are: formats of one's own, other encodings, and secrets that nobody may read later.

use serde_json::json;

use crate::program::{Site, count, eventually, found, source};

const SHOP: &str = r#"
name = "shop"
grok = ['^%{TIMESTAMP_ISO8601:time} shop\[%{INT:order}\] %{LOGLEVEL:level} %{GREEDYDATA:message}$']
[[samples]]
line = "2026-11-01 00:00:00 shop[7] ERROR no stock"
time = "2026-11-01T00:00:00Z"
severity = "ERROR"
body = "no stock"
attributes = { order = 7 }
"#;

#[test]
fn formats_of_ones_own_are_checked_used_and_shown() {
    let site = Site::new();
    site.write("formats/shop.toml", SHOP);
    let config = "[[source]]\npath = '{logs}'\n[[format]]\nname = 'till'\nregex = ['^till (?P<till>\\d+): (?P<message>.*)$']\n";
    let daemon = site.daemon_with(config);
    site.append("logs/a.log", "2026-11-01 00:00:00 shop[7] ERROR no stock\ntill 3: open\nwhat is this\n");
    eventually("storing three lines", || count(&daemon, "SELECT count(*) FROM logs") == 3);
    assert_eq!(found(&daemon, "order=7").len(), 1);
    assert_eq!(found(&daemon, "till=3").len(), 1);
    let formats = || source(&daemon, &site.path("logs/a.log")).map(|told| told["formats"].clone());
    eventually("formats of the source", || {
        let all = formats().unwrap_or_default();
        let named = |name: &str| {
            all.as_array().is_some_and(|all| all.contains(&json!({"format": name, "records": 1})))
        };
        named("shop") && named("till") && named("plain")
    });
    drop(daemon);
    site.write("formats/shop.toml", SHOP.replace("order = 7", "order = 8"));
    let config = site.path("taffrail.toml");
    let checked = site.run(&["check", "-c", config.to_str().unwrap()]).expect(2);
    assert!(checked.text().contains("of the format `shop`: .order is 7, not 8"), "{}", checked.text());
    site.write("formats/shop.toml", SHOP.replace("%{INT", "%{INTS"));
    let refused = site.run(&["-c", config.to_str().unwrap(), "status"]).expect(64);
    assert!(refused.err.contains("`%{INTS}` is unknown"), "{}", refused.err);
}

#[test]
fn a_source_keeps_to_the_format_that_it_is_given() {
    let site = Site::new();
    let daemon = site.daemon_with("[[source]]\npath = '{logs}'\nformat = 'json'\n");
    site.append("logs/a.log", "{\"level\":\"error\",\"msg\":\"x\"}\n2026-11-01T00:00:00Z web app[1]: y\n");
    eventually("storing both", || count(&daemon, "SELECT count(*) FROM logs") == 2);
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs WHERE service = 'app'"), 0);
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs WHERE severity = 'ERROR'"), 1);
    daemon.kill9().unwrap();
    let daemon = site.daemon_with("[[source]]\npath = '{logs}'\nformat = 'json'\n");
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs WHERE service = 'app'"), 0, "replayed as read");
    drop(daemon);
    site.write("taffrail.toml", "[[source]]\npath = '/nowhere'\nformat = 'jsn'\n");
    let config = site.path("taffrail.toml");
    let checked = site.run(&["check", "-c", config.to_str().unwrap()]).expect(2);
    assert!(checked.text().contains("no format is named `jsn`; did you mean `json`?"), "{}", checked.text());
}

#[test]
fn secrets_reach_no_file_and_exports_say_so() {
    let site = Site::new();
    let config = "[redact]\nrules = ['keys', 'cards']\npatterns = ['pin=(?P<secret>[0-9]+)']\n[[source]]\npath = '{logs}'\n";
    let daemon = site.daemon_with(config);
    site.append(
        "logs/a.log",
        "login password=correcthorse ok\ncard 4111 1111 1111 1111\npin=90210 pin=1\nplain\n",
    );
    eventually("storing four lines", || count(&daemon, "SELECT count(*) FROM logs") == 4);
    assert_eq!(found(&daemon, "correcthorse").len(), 0);
    // What the write-ahead log holds must be clean, too.
    daemon.kill9().unwrap();
    let holds = |secret: &str| {
        walk(&site.data()).iter().any(|file| {
            let bytes = fs_err::read(file).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    assert!(holds("plain"), "the test looks into the right files");
    for secret in ["correcthorse", "4111", "90210"] {
        assert!(!holds(secret), "{secret}");
    }
    let exported = site.run(&["export", "raw", "--source", &site.source("logs/a.log")]).expect(0);
    assert_eq!(
        exported.text(),
        "login password=[redacted]** ok\ncard [redacted]*********\npin=***** pin=*\nplain\n"
    );
    assert!(exported.err.contains("was never stored"), "{}", exported.err);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn other_encodings_are_readable_and_exported_as_they_were() {
    let site = Site::new();
    let utf16: Vec<u8> = "\u{feff}2026-11-01 00:00:00 ERROR gr\u{fc}n\r\n2026-11-01 00:00:01 INFO zwei\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin =
        b"2026-11-01 00:00:02 WARN Stra\xdfe\n\x1b[32m2026-11-01 00:00:03\x1b[0m \x1b[31mERROR\x1b[0m rot\n";
    site.write("logs/wide.log", &utf16);
    site.write("logs/latin.log", latin);
    let daemon = site.daemon();
    for query in ["gr\u{fc}n severity:error", "zwei", "Stra\u{df}e severity:warning", "rot severity:error"] {
        eventually(query, || found(&daemon, query).len() == 1);
    }
    drop(daemon);
    // The second byte of the last newline is the beginning of a line that is not there yet.
    assert_eq!(site.export(&site.source("logs/wide.log")), utf16[..utf16.len() - 1]);
    assert_eq!(site.export(&site.source("logs/latin.log")), latin);
}

#[test]
fn lines_stand_under_the_header_of_their_file() {
    let site = Site::new();
    let config = "[[source]]\npath = '{logs}'\n";
    let daemon = site.daemon_with(config);
    site.append("logs/csv.log", "time,level,message,user_id\n2026-11-01T00:00:00Z,error,\"slow, again\",7\n");
    let head = "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip cs-method sc-status\n";
    site.append("logs/iis.log", format!("{head}2026-11-01 00:00:01 192.0.2.1 GET 503\n"));
    eventually("storing five lines", || count(&daemon, "SELECT count(*) FROM logs") == 5);
    assert_eq!(found(&daemon, "user_id=7").len(), 1);
    assert_eq!(found(&daemon, "status>=500").len(), 1);
    // What the write-ahead log gives back stands under the same header.
    daemon.kill9().unwrap();
    let daemon = site.daemon_with(config);
    assert_eq!(found(&daemon, "user_id=7").len(), 1);
    // And so does what is read on in the middle of a file; until another header comes.
    site.append("logs/csv.log", "2026-11-01T00:00:02Z,info,done,8\n");
    let other = "#Fields: date time sc-status time-taken\n2026-11-01 00:00:04 404 15\n";
    site.append("logs/iis.log", format!("2026-11-01 00:00:03 192.0.2.2 GET 500\n{other}"));
    eventually("reading on", || found(&daemon, "duration_ms=15").len() == 1);
    eventually("storing nine lines", || count(&daemon, "SELECT count(*) FROM logs") == 9);
    assert_eq!(found(&daemon, "user_id=8 done").len(), 1);
    assert_eq!(found(&daemon, "client_ip=192.0.2.2 status=500").len(), 1);
    site.append("logs/iis.log", "2026-11-01 00:00:05 500 16\n");
    eventually("the new columns", || found(&daemon, "duration_ms=16 status=500").len() == 1);
    let exported = site.run(&[
        "-c",
        site.path("taffrail.toml").to_str().unwrap(),
        "explain",
        "--json",
        "--file",
        site.path("logs/csv.log").to_str().unwrap(),
    ]);
    assert!(exported.expect(0).text().contains(r#""user_id":8"#));
}

/// The third of April or the fourth of March: other lines of the file tell, wherever its lines are parsed.
#[test]
fn the_lines_of_a_source_tell_how_its_dates_are_read() {
    let site = Site::new();
    let lines: String =
        [3, 4, 13, 5].map(|day| format!("{day:02}/04/2021 10:00:00 INFO day {day}\n")).concat();
    let aprils = |sql: &dyn Fn(&str) -> u64| {
        assert_eq!(sql("SELECT count(*) FROM logs WHERE CAST(timestamp AS VARCHAR) LIKE '2021-04-%'"), 4);
    };
    let explained = site.write("explained.log", &lines);
    let told =
        site.run(&["explain", "--json", "--zone", "UTC", "--file", explained.to_str().unwrap()]).expect(0);
    assert!(told.text().lines().all(|line| line.contains("\"2021-04-")), "{}", told.text());
    site.run(&["import", explained.to_str().unwrap()]).expect(0);
    let config = "[[source]]\npath = '{logs}'\nzone = 'UTC'\n";
    let daemon = site.daemon_with(config);
    let imported = "source LIKE '%explained.log'";
    aprils(&|sql| count(&daemon, &format!("{sql} AND {imported}")));
    site.append("logs/a.log", &lines);
    eventually("storing four lines", || count(&daemon, "SELECT count(*) FROM logs") == 8);
    site.append("logs/a.log", "06/04/2021 10:00:00 INFO a batch of its own\n");
    eventually("storing one more", || count(&daemon, "SELECT count(*) FROM logs") == 9);
    let followed =
        |daemon: &_, sql: &str| count(daemon, &format!("{sql} AND NOT {imported} AND body LIKE '%day%'"));
    let own =
        "SELECT count(*) FROM logs WHERE body LIKE '%own' AND CAST(timestamp AS VARCHAR) LIKE '2021-04-06%'";
    aprils(&|sql| followed(&daemon, sql));
    assert_eq!(count(&daemon, own), 1);
    let told = source(&daemon, &site.path("logs/a.log")).unwrap();
    assert_eq!(
        (told["format"].as_str(), told["dates"].as_str()),
        (Some("stamped"), Some("day-first")),
        "{told}"
    );
    daemon.kill9().unwrap();
    let daemon = site.daemon_with(config);
    aprils(&|sql| followed(&daemon, sql));
    assert_eq!(count(&daemon, own), 1, "replayed as read");
}
