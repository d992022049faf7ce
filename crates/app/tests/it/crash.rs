//! Nothing that was read is lost, nothing that was acknowledged is lost, nothing is stored twice: the daemon
//! is killed at 50 random moments while a file grows and entries are posted.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use taffrail_testkit::{Client, Daemon, wait_until};

use crate::program::{BINARY, Random, Site, source};

const KILLS: usize = 50;
/// Stands at the file's end, without a newline.
const UNFINISHED: &[u8] = b"an unfinished last line";
/// How fast the file grows, all the time and with each kill: slower than an unoptimised daemon reads, and
/// enough for a dozen seals and a merge however fast the machine is.
const BYTES_PER_MS: u128 = 450;
const BYTES_PER_KILL: u128 = 200_000;
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
    let (stop, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = Mutex::new(None);
    let (mut written, posted) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| grow(&log, seed, &stop, &kills));
        let posters: Vec<_> = (0..2)
            .map(|number| {
                scope.spawn({
                    let (stop, address) = (&stop, &address);
                    move || post(number, stop, address)
                })
            })
            .collect();
        // However the kills end, the threads must.
        let killed = catch_unwind(AssertUnwindSafe(|| kill_often(&site, &config, seed, &address, &kills)));
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        let posted: Vec<Posted> = posters.into_iter().map(|poster| poster.join().unwrap()).collect();
        killed.unwrap_or_else(|cause| resume_unwind(cause));
        (written, posted)
    });
    let daemon = start(&site, &config);
    read_all(&daemon, &log, &written);
    assert!(!daemon.stdout().contains("damaged"), "a kill is no damage:\n{}", daemon.stdout());
    merge(&site, &daemon, &log, &mut written);
    assert!(daemon.stop().unwrap().success());
    let name = log.display().to_string();
    assert_same(&site.export(&name), &written);
    // Lines without a time may belong to the record before them.
    let lines = written.iter().filter(|byte| **byte == b'\n').count();
    let records = &site.sql(&format!("SELECT count(*) AS n FROM logs WHERE source = '{name}'"))[0]["n"];
    assert!((lines / 2..lines).contains(&(records.as_u64().unwrap() as usize)), "{records} of {lines}");
    assert!(site.sql("SELECT * FROM gaps").is_empty());
    assert_entries(&site, &posted);
}

fn seed() -> u64 {
    let given = std::env::var("CRASH_SEED").ok().map(|text| text.parse().unwrap());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64)
}

fn start(site: &Site, config: &Path) -> Daemon {
    Daemon::builder(BINARY, site.data()).arg("-c").arg(config).start().unwrap()
}

fn kill_often(
    site: &Site,
    config: &Path,
    seed: u64,
    address: &Mutex<Option<SocketAddr>>,
    kills: &AtomicUsize,
) {
    let mut random = Random::new(seed);
    let started = Instant::now();
    for kill in 0..KILLS {
        kills.store(kill, Ordering::Relaxed);
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
fn grow(path: &Path, seed: u64, stop: &AtomicBool, kills: &AtomicUsize) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
    let mut written = Vec::new();
    let mut number = 0;
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let due = started.elapsed().as_millis() * BYTES_PER_MS
            + kills.load(Ordering::Relaxed) as u128 * BYTES_PER_KILL;
        if written.len() as u128 > due {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let lines =
            if random.between(0, 49) == 0 { random.between(200, 1_500) } else { random.between(1, 6) };
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
            std::thread::sleep(Duration::from_millis(random.between(0, 8)));
        }
    }
    file.write_all(UNFINISHED).unwrap();
    written
}

fn line(out: &mut Vec<u8>, number: u64, random: u64) {
    let (second, ms, port) = (number / 1_000 % 60, number % 1_000, random % 65_536);
    let text = match random >> 32 & 7 {
        0 => format!("line {number} of a plain kind\n"),
        1 => format!(
            "{{\"time\":\"2026-11-01T00:00:{second:02}.{ms:03}Z\",\"level\":\"warn\",\"msg\":\"json {number}\",\"port\":{port}}}\n"
        ),
        2 => format!(
            "Nov  1 00:00:{second:02} web-1 sshd[{port}]: Failed password for root from 10.0.0.1 number {number}\n"
        ),
        3 => format!("2026-11-01T00:00:{second:02}.{ms:03}+02:00 web-1 cron[{port}]: job {number} done\r\n"),
        4 => format!("time=2026-11-01T00:00:{second:02}Z level=error msg=\"logfmt {number}\" port={port}\n"),
        5 => format!(
            "2026-11-01 00:00:{second:02} - ERROR - WORKER - message {number} {}\n",
            "x".repeat(port as usize % 400)
        ),
        6 if number.is_multiple_of(3) => "\n".to_owned(),
        6 => format!(
            "10.1.2.3 - - [01/Nov/2026:00:00:{second:02} +0000] \"GET /{number} HTTP/1.1\" 200 {port} \"-\" \"curl\"\n"
        ),
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
        let body = format!(
            "{{\"level\":\"ERROR\",\"agent\":\"POSTER_{poster}\",\"message\":\"{message}\",\"metadata\":{{\"n\":{number}}}}}"
        );
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

/// Waits until the file is read to its last newline.
fn read_all(daemon: &Daemon, log: &Path, written: &[u8]) {
    let size = written.len() as u64;
    let read = || source(daemon, log).and_then(|found| found["offset"].as_u64()).unwrap_or_default();
    let all = wait_until(READ, || read() >= size);
    assert!(all, "{} of {size} bytes are read: {:?}\n{}", read(), source(daemon, log), daemon.stderr());
}

/// Feeds the daemon until it has merged what the kills left, so that a merge of that is part of the test.
fn merge(site: &Site, daemon: &Daemon, log: &Path, written: &mut Vec<u8>) {
    let segments = || segments(site);
    let left = segments();
    println!("{} segments after the kills, the newest is number {:?}", left.len(), left.last());
    assert!(left.last().is_some_and(|newest| *newest >= 4), "the kills met too few seals: {left:?}");
    written.extend_from_slice(UNFINISHED);
    let mut number = 10_000_000;
    // Every seal looks whether there is enough to merge; eight segments are.
    while segments().first().is_some_and(|oldest| left.contains(oldest)) {
        assert!(number < 10_500_000, "nothing is merged: {:?}", segments());
        let mut bytes = Vec::new();
        for _ in 0..5_000 {
            number += 1;
            line(&mut bytes, number, number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        fs_err::OpenOptions::new().append(true).open(log).unwrap().write_all(&bytes).unwrap();
        written.extend_from_slice(&bytes);
        read_all(daemon, log, written);
    }
}

/// The numbers of the segments, rising.
fn segments(site: &Site) -> Vec<u64> {
    let files = fs_err::read_dir(site.path("data/segments")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    let mut numbers: Vec<u64> =
        names.filter_map(|name| name.strip_suffix(".parquet")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
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
