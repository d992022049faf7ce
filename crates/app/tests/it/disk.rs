//! A full disk is a state: questions are answered, what cannot be stored waits in its file, and when there is space
//! the daemon goes on by itself. Where it fills the disk itself, the oldest goes.
//!
//! The disks are small ones in memory; mounting them takes root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use serde_json::Value;
use taffrail_testkit::{Daemon, wait_until};

use crate::program::{BINARY, PATIENCE, Random, Site, count, eventually, found};
use crate::small_disk::SmallDisk;

/// Longest wait for a whole disk to be written by an unoptimised daemon.
const LONG: Duration = Duration::from_secs(180);
const LOG: &str = "logs/a.log";
const CONFIG: &str = "[memory]\nmemtable = \"1 MiB\"\n\n[[source]]\npath = [\"{logs}\"]\nzone = \"UTC\"\n";

fn start(site: &Site, config: &Path) -> Daemon {
    Daemon::builder(BINARY, site.data()).arg("-c").arg(config).start().unwrap()
}

fn disk_of(daemon: &Daemon) -> Value {
    daemon.get("/api/v1/stats").unwrap().json().unwrap()["disk"].clone()
}

fn stored(daemon: &Daemon) -> u64 {
    count(daemon, "SELECT count(*) FROM logs WHERE source LIKE '%a.log'")
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("2026-11-20T10:00:00Z web-1 app[7]: number {number} here\n")).collect()
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site, 64, "disk::a_full_disk_is_waited_for_and_nothing_is_lost")
    else {
        return;
    };
    site.write(LOG, lines(0..1_000));
    let config = site.config(CONFIG);
    let mut daemon = start(&site, &config);
    eventually("storing", || stored(&daemon) == 1_000);
    let ballast = disk.fill();
    for batch in 1..5 {
        site.append(LOG, lines(batch * 1_000..(batch + 1) * 1_000));
        eventually("telling that the disk is full", || disk_of(&daemon)["state"] == "full");
        assert_eq!(found(&daemon, "999").len(), 1, "questions are answered");
    }
    refuses_pushes(&daemon);
    assert!(daemon.is_running());
    let told = daemon.get("/api/v1/health").unwrap().text();
    assert!(told.contains("disk full since 20") && told.contains("bytes needed"), "{told}");
    assert!(disk_of(&daemon)["needed_bytes"].as_u64().unwrap() > 0);
    // Whoever comes while lines wait for the disk sees all of them.
    let shown = shown(&daemon);
    fs::remove_file(ballast).unwrap();
    eventually("storing what waited", || stored(&daemon) == 5_000);
    let numbers: Vec<String> = shown.take(4_000).collect();
    let wanted = (1_000..5_000).map(|number| format!("number {number} here"));
    assert!(wanted.eq(numbers.iter().cloned()), "{:?} to {:?}", numbers.first(), numbers.last());
    eventually("the end of the trouble", || disk_of(&daemon)["state"] == "ok");
    assert_eq!(daemon.post("/api/v1/logs?source=x", "text/plain", "pushed\n").unwrap().status, 200);
    starts_and_stops_on_a_full_disk(&site, &disk, &config, daemon);
    let daemon = start(&site, &config);
    eventually("reading on", || stored(&daemon) == 6_000);
    let disk_status = disk_of(&daemon);
    assert_eq!((&disk_status["state"], &disk_status["dropped_records"]), (&"ok".into(), &0.into()));
    let raw = daemon.get(&format!("/api/v1/export/raw?source={}", site.source(LOG))).unwrap();
    assert!(raw.body == fs::read(site.path(LOG)).unwrap(), "every line once, byte for byte");
    assert!(daemon.stop().unwrap().success());
}

/// What a live stream shows from now on.
fn shown(daemon: &Daemon) -> impl Iterator<Item = String> {
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/v1/tail HTTP/1.0\r\nhost: {}\r\n\r\n", daemon.address()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("an event in time"));
    // Where it stands, which is said once it is watched.
    assert!(lines.any(|line| line.starts_with("id:")));
    lines.filter_map(|line| {
        let record: Value = serde_json::from_str(line.strip_prefix("data:")?.trim()).unwrap();
        Some(record["body"].as_str().unwrap().to_owned())
    })
}

fn refuses_pushes(daemon: &Daemon) {
    for (path, body) in [("/api/v1/logs?source=x", "pushed\n"), ("/api/logs", "{\"message\":\"pushed\"}")] {
        let refused = daemon.post(path, "application/json", body).unwrap();
        assert_eq!(refused.status, 503, "{path}: {}", refused.text());
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(seconds >= 1);
        assert!(refused.text().contains("is full") && refused.text().contains("bytes are needed"));
        assert!(path == "/api/logs" || refused.json().unwrap()["error"]["code"] == "disk_full");
    }
}

/// Fills the disk again, and leaves it with space; 1,000 lines more are written.
fn starts_and_stops_on_a_full_disk(site: &Site, disk: &SmallDisk, config: &Path, daemon: Daemon) {
    let ballast = disk.fill();
    daemon.kill9().unwrap();
    let daemon = start(site, config);
    site.append(LOG, lines(5_000..6_000));
    eventually("telling that the disk is full", || disk_of(&daemon)["state"] == "full");
    assert_eq!(found(&daemon, "999").len(), 1);
    assert!(!daemon.stdout().contains("damaged"), "{}", daemon.stdout());
    assert!(daemon.stop().unwrap().success());
    fs::remove_file(ballast).unwrap();
}

/// A line that can hardly be compressed.
fn noise(number: u64, random: &mut Random) -> String {
    let noise: String = (0..8).map(|_| format!("{:016x}", random.next())).collect();
    format!("number {number} {noise}\n")
}

#[test]
fn an_import_that_fills_the_disk_goes_on_when_it_is_run_again() {
    let site = Site::new();
    let Some(disk) =
        SmallDisk::mount(&site, 3, "disk::an_import_that_fills_the_disk_goes_on_when_it_is_run_again")
    else {
        return;
    };
    let mut random = Random::new(3);
    let text: String = (0..70_000).map(|number| noise(number, &mut random)).collect();
    let file = site.write("old.log", text);
    let file = file.display().to_string();
    let failed = site.run(&["import", &file]).expect(2);
    assert!(
        failed.err.contains("disk is full") && failed.err.contains("run the import again"),
        "{}",
        failed.err
    );
    let left = fs::read_dir(site.data().join("segments")).unwrap().count();
    assert_eq!(left, 0, "half a segment stays");
    disk.resize(64);
    site.run(&["import", &file]).expect(0);
    assert!(site.export(&file) == fs::read(&file).unwrap(), "every line once, byte for byte");
}

#[test]
fn a_store_that_fills_the_disk_gives_up_the_oldest() {
    let site = Site::new();
    let Some(_disk) = SmallDisk::mount(&site, 16, "disk::a_store_that_fills_the_disk_gives_up_the_oldest")
    else {
        return;
    };
    site.write(LOG, "");
    let mut daemon = start(&site, &site.config(CONFIG));
    let mut random = Random::new(8_062);
    let mut written = 0;
    let dropped = |daemon: &Daemon| disk_of(daemon)["dropped_records"].as_u64().unwrap();
    while dropped(&daemon) < 20_000 {
        assert!(written < 300_000, "nothing is deleted: {}\n{}", disk_of(&daemon), daemon.stderr());
        let mut text = String::new();
        for number in written..written + 5_000 {
            text += &noise(number, &mut random);
        }
        site.append(LOG, text);
        written += 5_000;
        let read = || stored(&daemon) + dropped(&daemon) >= written;
        assert!(wait_until(LONG, read), "{} of {written}: {}", stored(&daemon), disk_of(&daemon));
    }
    assert!(daemon.is_running());
    eventually("the end of the trouble", || disk_of(&daemon)["state"] == "ok");
    // The last seal may still be making room.
    eventually("counting what is gone", || stored(&daemon) + dropped(&daemon) == written);
    let rows = daemon.sql("SELECT count(*), count(DISTINCT \"offset\") FROM logs").unwrap();
    assert_eq!(rows[0][0], rows[0][1], "nothing is doubled");
    let newest = found(&daemon, &format!("number {}", written - 1));
    assert_eq!(newest.len(), 1, "the newest is there");
    assert!(found(&daemon, "\"number 17\"").is_empty(), "the oldest is gone");
    let told = daemon.stderr();
    assert!(told.contains("were deleted to make room"), "{told}");
    assert!(daemon.stop().unwrap().success());
}
