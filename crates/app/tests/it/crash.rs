//! Nothing that was read is lost, nothing that was acknowledged is lost, nothing is stored twice: the daemon
//! is killed at 50 random moments while a file grows and entries are posted.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use taffrail_testkit::{Client, Daemon, wait_until};

use crate::program::{BINARY, Random, Site, source};

const KILLS: usize = 50;
/// Longest time that the last daemon may take to read what is left.
const READ: Duration = Duration::from_secs(60);
const CONFIG: &str = "[memory]\nmemtable = \"1 MiB\"\n\n[[source]]\npath = [\"{logs}\"]\nzone = \"UTC\"\n";

#[test]
fn fifty_kills_lose_nothing_and_double_nothing() {
    let seed = seed();
    println!("seed {seed} (CRASH_SEED={seed} repeats it)");
    let site = Site::new();
    let log = site.write("logs/grows.log", "");
    let config = site.config(CONFIG);
    let stop = AtomicBool::new(false);
    let address = Mutex::new(None);
    let (written, posted) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| grow(&log, seed, &stop));
        let posters: Vec<_> =
            (0..2).map(|number| scope.spawn({ let (stop, address) = (&stop, &address); move || post(number, stop, address) })).collect();
        // However the kills end, the threads must.
        let kills = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kill_often(&site, &config, seed, &address)));
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        let posted: Vec<Posted> = posters.into_iter().map(|poster| poster.join().unwrap()).collect();
        kills.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        (written, posted)
    });
    let daemon = start(&site, &config);
    let size = written.len() as u64;
    let read = || source(&daemon, &log).and_then(|found| found["offset"].as_u64()).unwrap_or_default();
    let all = wait_until(READ, || read() >= size);
    assert!(all, "{} of {size} bytes are read: {:?}\n{}", read(), source(&daemon, &log), daemon.stderr());
    assert!(!daemon.stdout().contains("damaged"), "a kill is no damage:\n{}", daemon.stdout());
    assert!(daemon.stop().unwrap().success());
    let name = log.display().to_string();
    assert_same(&site.export(&name), &written);
    let lines = written.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(site.sql(&format!("SELECT count(*) AS n FROM logs WHERE source = '{name}'"))[0]["n"], lines);
    assert!(site.sql("SELECT * FROM gaps").is_empty());
    assert_entries(&site, &posted);
    assert_worked(&site);
}

fn seed() -> u64 {
    let given = std::env::var("CRASH_SEED").ok().map(|text| text.parse().unwrap());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
}

fn start(site: &Site, config: &Path) -> Daemon {
    Daemon::builder(BINARY, site.data()).arg("-c").arg(config).start().unwrap()
}

fn kill_often(site: &Site, config: &Path, seed: u64, address: &Mutex<Option<SocketAddr>>) {
    let mut random = Random::new(seed);
    let started = std::time::Instant::now();
    for kill in 0..KILLS {
        // Now and then it dies while it recovers.
        if kill % 5 == 4 {
            kill_young(site, config, Duration::from_millis(random.between(1, 250)));
            continue;
        }
        let daemon = start(site, config);
        *address.lock().unwrap_or_else(PoisonError::into_inner) = Some(daemon.address());
        std::thread::sleep(Duration::from_millis(random.between(20, 400)));
        daemon.kill9().unwrap();
    }
    println!("{KILLS} kills in {:?}", started.elapsed());
}

fn kill_young(site: &Site, config: &Path, age: Duration) {
    let mut command = site.command(&["run", "--listen", "127.0.0.1:0", "-c"]);
    let mut child = command.arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(age);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Appends to the file until told to stop; gives all it wrote up to the last newline.
fn grow(path: &Path, seed: u64, stop: &AtomicBool) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
    let mut written = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let lines = if random.between(0, 19) == 0 { random.between(200, 2_000) } else { random.between(1, 20) };
        let mut bytes = Vec::new();
        for _ in 0..lines {
            number += 1;
            line(&mut bytes, number, random.next());
        }
        // Cut anywhere: the rest of the line follows later.
        let cut = random.between(0, bytes.len() as u64) as usize;
        for part in [&bytes[..cut], &bytes[cut..]] {
            file.write_all(part).unwrap();
            written.extend_from_slice(part);
            std::thread::sleep(Duration::from_millis(random.between(0, 4)));
        }
    }
    file.write_all(b"an unfinished last line").unwrap();
    written
}

fn line(out: &mut Vec<u8>, number: u64, random: u64) {
    let (second, ms, port) = (number / 1_000 % 60, number % 1_000, random % 65_536);
    let text = match random >> 32 & 7 {
        0 => format!("line {number} of a plain kind\n"),
        1 => format!("{{\"time\":\"2026-11-01T00:00:{second:02}.{ms:03}Z\",\"level\":\"warn\",\"msg\":\"json {number}\",\"port\":{port}}}\n"),
        2 => format!("Nov  1 00:00:{second:02} web-1 sshd[{port}]: Failed password for root from 10.0.0.1 number {number}\n"),
        3 => format!("2026-11-01T00:00:{second:02}.{ms:03}+02:00 web-1 cron[{port}]: job {number} done\r\n"),
        4 => format!("time=2026-11-01T00:00:{second:02}Z level=error msg=\"logfmt {number}\" port={port}\n"),
        5 => format!("2026-11-01 00:00:{second:02} - ERROR - WORKER - message {number} {}\n", "x".repeat(port as usize % 400)),
        6 if number % 3 == 0 => "\n".to_owned(),
        6 => format!("10.1.2.3 - - [01/Nov/2026:00:00:{second:02} +0000] \"GET /{number} HTTP/1.1\" 200 {port} \"-\" \"curl\"\n"),
        _ => {
            out.extend_from_slice(b"broken \xff\xfe\0 bytes ");
            format!("{number} \u{e9}\t \n")
        }
    };
    out.extend_from_slice(text.as_bytes());
}

/// What one poster sent, and whether it was acknowledged.
type Posted = BTreeMap<String, bool>;

fn post(poster: usize, stop: &AtomicBool, address: &Mutex<Option<SocketAddr>>) -> Posted {
    let mut posted = Posted::new();
    let mut client: Option<(SocketAddr, Client)> = None;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let now = *address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = now else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        if client.as_ref().is_none_or(|(known, _)| *known != now) {
            client = Some((now, Client::new(now)));
        }
        let Some((_, open)) = &mut client else { continue };
        let message = format!("entry {poster}-{number}");
        let body = format!("{{\"level\":\"ERROR\",\"agent\":\"POSTER_{poster}\",\"message\":\"{message}\",\"metadata\":{{\"n\":{number}}}}}");
        let answer = open.post("/api/logs", "application/json", body.as_bytes());
        if let Ok(answer) = &answer {
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
        posted.insert(message, answer.is_ok());
    }
    posted
}

#[track_caller]
fn assert_same(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or_else(|| got.len().min(want.len()));
    let around = |bytes: &[u8]| {
        let (from, to) = (at.saturating_sub(120), (at + 200).min(bytes.len()));
        bytes[from.min(to)..to].escape_ascii().to_string()
    };
    panic!(
        "export has {} bytes, the file {}; they differ from byte {at} on\n export: {}\n file:   {}",
        got.len(),
        want.len(),
        around(got),
        around(want)
    );
}

fn assert_entries(site: &Site, posted: &[Posted]) {
    let mut stored: HashMap<String, usize> = HashMap::new();
    for row in site.sql("SELECT body FROM logs WHERE source = 'http:leveredge'") {
        *stored.entry(row["body"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let mut acknowledged = 0;
    for (message, was_acknowledged) in posted.iter().flatten() {
        let times = stored.remove(message).unwrap_or(0);
        acknowledged += usize::from(*was_acknowledged);
        if *was_acknowledged {
            assert_eq!(times, 1, "acknowledged {message:?} is stored {times} times");
        } else {
            assert!(times <= 1, "{message:?} is stored {times} times");
        }
    }
    assert!(stored.is_empty(), "stored, but never posted: {stored:?}");
    assert!(acknowledged > 100, "only {acknowledged} posts were acknowledged: nothing was tested");
    println!("{acknowledged} acknowledged entries");
}

/// The kills met seals and a merge, else they tested little.
fn assert_worked(site: &Site) {
    let files = fs_err::read_dir(site.path("data/segments")).unwrap();
    let names: Vec<String> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).filter(|name| name.ends_with(".parquet")).collect();
    let newest = names.iter().filter_map(|name| name.trim_end_matches(".parquet").parse::<usize>().ok()).max();
    println!("{} segments, the newest is number {newest:?}", names.len());
    assert!(newest.is_some_and(|newest| newest > 10 && newest > names.len()), "too few seals: {names:?}");
}
