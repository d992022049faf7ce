//! Standard input and named pipes as sources.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fs_err as fs;
use taffrail_testkit::Daemon;

use crate::program::{BINARY, Site, count, eventually, found, source};

/// What one read takes at most: what a kill can cost.
const WINDOW_BYTES: usize = 64 * 1024;

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[track_caller]
fn has(daemon: &Daemon, lines: u64) {
    eventually(&format!("storing {lines} lines"), || count(daemon, "SELECT count(*) FROM logs") == lines);
}

/// The state and the offset of a source.
fn told(daemon: &Daemon, name: &str) -> (String, u64) {
    let told = source(daemon, Path::new(name)).unwrap_or_default();
    (told["state"].as_str().unwrap_or_default().to_owned(), told["offset"].as_u64().unwrap_or_default())
}

#[test]
fn standard_input_is_followed_to_its_end_and_goes_on_with_the_next() {
    let site = Site::new();
    site.write("logs/a.log", "from a file\n");
    let daemon = || Daemon::builder(BINARY, site.data()).arg("-").arg(site.path("logs/*.log")).stdin();
    let mut first = daemon().start().unwrap();
    assert!(first.stdout().contains("standard input, until it ends"), "{}", first.stdout());
    let mut stdin = first.take_stdin().unwrap();
    stdin.write_all(b"one\nhalf ").unwrap();
    has(&first, 2);
    stdin.write_all(b"a line\nno newline").unwrap();
    has(&first, 3);
    drop(stdin);
    has(&first, 4);
    eventually("its end", || told(&first, "stdin") == ("ended".to_owned(), 26));
    site.append("logs/a.log", "more\n");
    has(&first, 5);
    first.kill9().unwrap();
    let mut second = daemon().start().unwrap();
    second.take_stdin().unwrap().write_all(b"another\n").unwrap();
    has(&second, 6);
    eventually("its end", || told(&second, "stdin") == ("ended".to_owned(), 34));
    assert!(second.stop().unwrap().success());
    assert_eq!(site.export("stdin"), b"one\nhalf a line\nno newlineanother\n");
}

#[test]
fn a_named_pipe_is_read_as_its_writers_come_and_go() {
    let site = Site::new();
    let fifo = site.path("app.fifo");
    make_fifo(&fifo);
    let config = format!(
        "[[source]]\npath = [\"{}\", \"{{logs}}\"]\nservice = \"shop\"\n[[source]]\ntype = \"pipe\"\npath = \"{}\"\n",
        fifo.display(),
        site.path("later.fifo").display()
    );
    let daemon = site.daemon_with(&config);
    for number in 0..5 {
        fs::write(&fifo, format!("line {number}\n")).unwrap();
    }
    has(&daemon, 5);
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs WHERE service = 'shop'"), 5);
    assert_eq!(told(&daemon, &site.source("later.fifo")).0, "missing");
    make_fifo(&site.path("later.fifo"));
    fs::write(site.path("later.fifo"), "late\n").unwrap();
    eventually("reading the later pipe", || found(&daemon, "late") == ["late"]);
    site.write("logs/a.log", "a file\n");
    eventually("reading a file beside it", || found(&daemon, "\"a file\"").len() == 1);
    // What stands in the pipe when the daemon is told to stop is taken along.
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writer.write_all(b"last\nunfinished").unwrap();
    assert!(daemon.stop().unwrap().success());
    assert_eq!(
        site.export(&site.source("app.fifo")),
        b"line 0\nline 1\nline 2\nline 3\nline 4\nlast\nunfinished"
    );
}

#[test]
fn a_kill_costs_a_pipe_one_read_at_most_and_doubles_nothing() {
    let site = Site::new();
    let fifo = site.path("app.fifo");
    make_fifo(&fifo);
    // Held open on both ends, so that what stands in the pipe outlives the daemon, as with a writer that waits.
    let hold = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let start = || Daemon::builder(BINARY, site.data()).arg(&fifo).start().unwrap();
    let mut daemon = start();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        let mut fifo = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
        move || {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let lines: String =
                    (written..written + 100).map(|number| format!("line {number:06}\n")).collect();
                fifo.write_all(lines.as_bytes()).unwrap();
                written += 100;
                std::thread::sleep(Duration::from_millis(2));
            }
            written
        }
    });
    const KILLS: usize = 4;
    for _ in 0..KILLS {
        let stored = count(&daemon, "SELECT count(*) FROM logs");
        eventually("reading on", || count(&daemon, "SELECT count(*) FROM logs") > stored + 1_000);
        daemon.kill9().unwrap();
        daemon = start();
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    drop(hold);
    let last = format!("\"line {:06}\"", written - 1);
    eventually("the last line", || found(&daemon, &last).len() == 1);
    assert!(daemon.stop().unwrap().success());
    let mut numbers: Vec<u64> =
        site.bodies("").iter().filter_map(|body| body.strip_prefix("line ")?.parse().ok()).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "a line is stored twice");
    let lost = written - numbers.len();
    let window = WINDOW_BYTES.div_ceil("line 000000\n".len()) + 1;
    assert!(lost <= KILLS * window, "{lost} lines are lost, a kill may cost {window}");
}
