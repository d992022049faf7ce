//! Files in odd places: no permission, no folder, no mount, no end, no readable name. Each has a clear state, and
//! none of them is another file's trouble.

mod huge;

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fs_err as fs;
use taffrail_testkit::{Daemon, Ledger, LineWriter, Reopens, skip, wait_until};

use crate::program::{BINARY, PATIENCE, Site, assert_alive, count, eventually, found, source};

/// Memory that no oddity may drive the unoptimised daemon above.
const MEMORY_MIB: u64 = 400;

#[track_caller]
fn has(daemon: &Daemon, name: &str, lines: u64) {
    let query = format!("SELECT count(*) FROM logs WHERE source = '{name}'");
    let all = wait_until(PATIENCE, || count(daemon, &query) >= lines);
    let stored = count(daemon, &query);
    let told = daemon.get("/api/v1/sources").unwrap().text();
    assert!(all && stored == lines, "{stored} of {lines} lines of {name}: {told}\n{}", daemon.stderr());
}

/// The neighbour is read within the time that is promised, more or less.
#[track_caller]
fn neighbour_is_read(site: &Site, daemon: &Daemon, word: &str) {
    site.append("logs/neighbour.log", format!("neighbour {word}\n"));
    eventually("reading the neighbour", || found(daemon, &format!("\"neighbour {word}\"")).len() == 1);
    assert_eq!(source(daemon, &site.path("logs/neighbour.log")).unwrap()["state"], "following");
}

fn state(daemon: &Daemon, path: &Path) -> String {
    source(daemon, path).map_or_else(|| "gone".to_owned(), |told| told["state"].as_str().unwrap().to_owned())
}

fn peak_memory_mib(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A script that starts the program with `before`, which ends in what runs it.
fn program(site: &Site, before: &str) -> PathBuf {
    let script = site.write("program", format!("#!/bin/sh\n{before} '{BINARY}' \"$@\"\n"));
    set_mode(&script, 0o755);
    script
}

/// The program as somebody whom permissions bind: not as root is.
fn bound_by_permissions(site: &Site) -> PathBuf {
    match rustix::process::geteuid().is_root() {
        true => program(site, "exec setpriv --bounding-set=-dac_override,-dac_read_search --"),
        false => PathBuf::from(BINARY),
    }
}

fn follow(program: PathBuf, site: &Site) -> Daemon {
    Daemon::builder(program, site.data()).arg(site.path("logs/*.log")).start().unwrap()
}

#[test]
fn permissions_taken_away_and_given_back() {
    let site = Site::new();
    let (log, name) = (site.write("logs/a.log", "a 1\n"), site.source("logs/a.log"));
    let program = bound_by_permissions(&site);
    set_mode(&log, 0o000);
    let daemon = follow(program.clone(), &site);
    eventually("telling that a file cannot be read", || state(&daemon, &log) == "failed");
    let told = source(&daemon, &log).unwrap();
    assert!(told["error"].as_str().unwrap().to_lowercase().contains("permission denied"), "{told}");
    neighbour_is_read(&site, &daemon, "first");
    set_mode(&log, 0o644);
    has(&daemon, &name, 1);
    eventually("following", || state(&daemon, &log) == "following");
    // Taken away under a daemon that has read it: what comes then is read when it is given back, and once.
    set_mode(&log, 0o000);
    assert!(daemon.stop().unwrap().success());
    set_mode(&log, 0o644);
    site.append("logs/a.log", "a 2\n");
    set_mode(&log, 0o000);
    let daemon = follow(program, &site);
    eventually("telling it again", || state(&daemon, &log) == "failed");
    neighbour_is_read(&site, &daemon, "second");
    set_mode(&log, 0o644);
    has(&daemon, &name, 2);
    eventually("following again", || state(&daemon, &log) == "following");
}

#[test]
fn a_folder_locked_and_opened_again() {
    let site = Site::new();
    site.write("locked/a.log", "a 1\n");
    let (folder, log, name) = (site.path("locked"), site.path("locked/a.log"), site.source("locked/a.log"));
    let patterns = [site.path("locked/*.log"), site.path("logs/*.log")];
    let start = || {
        let [locked, logs] = patterns.clone();
        Daemon::builder(bound_by_permissions(&site), site.data()).arg(locked).arg(logs).start().unwrap()
    };
    let daemon = start();
    has(&daemon, &name, 1);
    assert!(daemon.stop().unwrap().success());
    site.append("locked/a.log", "a 2\n");
    set_mode(&folder, 0o000);
    let daemon = start();
    neighbour_is_read(&site, &daemon, "first");
    let told = daemon.get("/api/v1/sources").unwrap().text();
    assert!(told.to_lowercase().contains("permission denied"), "the folder's trouble is told: {told}");
    set_mode(&folder, 0o755);
    has(&daemon, &name, 2);
    eventually("following again", || state(&daemon, &log) == "following");
}

#[test]
fn a_folder_removed_and_made_again() {
    let site = Site::new();
    let (log, name) = (site.write("coming/a.log", "a 1\na 2\n"), site.source("coming/a.log"));
    let [coming, logs] = [site.path("coming/*.log"), site.path("logs/*.log")];
    let daemon = Daemon::builder(BINARY, site.data()).arg(coming).arg(logs).start().unwrap();
    has(&daemon, &name, 2);
    for round in 1..4 {
        fs::remove_dir_all(site.path("coming")).unwrap();
        eventually("telling that it is gone", || matches!(state(&daemon, &log).as_str(), "missing" | "gone"));
        neighbour_is_read(&site, &daemon, &format!("round {round}"));
        site.write("coming/a.log", format!("a {round} of another life\n"));
        has(&daemon, &name, 2 + 2 * round - 1);
        site.append("coming/a.log", "and more\n");
        has(&daemon, &name, 2 + 2 * round);
        eventually("following again", || state(&daemon, &log) == "following");
    }
}

#[test]
fn watches_that_are_used_up_cost_no_line() {
    let site = Site::new();
    let limited = "unshare --user --map-root-user sh -ec 'echo 2 >/proc/sys/user/max_inotify_watches; exec \"$0\" \"$@\"'";
    let may = Command::new("sh").args(["-c", &format!("{limited} true")]).stderr(Stdio::null()).status();
    if !may.unwrap().success() {
        return skip("watches_that_are_used_up_cost_no_line", "this system lets nobody limit watches");
    }
    let folders = ["a", "b", "c", "d"];
    for folder in folders {
        fs::create_dir(site.path(folder)).unwrap();
        site.write(&format!("{folder}/x.log"), "first\n");
    }
    let script = program(&site, &format!("exec {limited}"));
    let daemon = Daemon::builder(script, site.data()).arg(site.path("?/*.log")).start().unwrap();
    for folder in folders {
        has(&daemon, &site.source(&format!("{folder}/x.log")), 1);
        let log = site.path(&format!("{folder}/x.log"));
        fs::rename(&log, log.with_extension("log.1")).unwrap();
        site.write(&format!("{folder}/x.log"), "after a rotation\n");
        has(&daemon, &site.source(&format!("{folder}/x.log")), 2);
    }
    assert!(daemon.stderr().contains("sysctl fs.inotify.max_user_watches"), "{}", daemon.stderr());
}

#[test]
fn a_mount_lost_and_found_again() {
    let site = Site::new();
    fs::create_dir(site.path("disk")).unwrap();
    let (disk, log, name) = (site.path("disk"), site.path("disk/a.log"), site.source("disk/a.log"));
    // In mounts of its own, so that nothing is left of them.
    let unshare = match rustix::process::geteuid().is_root() {
        true => "unshare --mount",
        false => "unshare --user --map-root-user --mount",
    };
    let mount = format!("mount -t tmpfs taffrail '{}'", disk.display());
    let may = Command::new("sh").args(["-c", &format!("{unshare} {mount}")]).stderr(Stdio::null()).status();
    if !may.unwrap().success() {
        return skip("a_mount_lost_and_found_again", "this system lets nobody mount");
    }
    let script = program(
        &site,
        &format!("exec {unshare} -- sh -ec '{}\nexec \"$0\" \"$@\"'", mount.replace('\'', "")),
    );
    let [pattern, logs] = [site.path("disk/*.log"), site.path("logs/*.log")];
    let daemon = Daemon::builder(script, site.data()).arg(pattern).arg(logs).start().unwrap();
    // Inside of its mounts, as we see them.
    let inside = PathBuf::from(format!("/proc/{}/root", daemon.pid())).join(log.strip_prefix("/").unwrap());
    let enter = |command: &str| {
        let mut nsenter = Command::new("nsenter");
        if !rustix::process::geteuid().is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.args(["--mount", "--target", &daemon.pid().to_string(), "sh", "-ec", command]);
        assert!(nsenter.status().unwrap().success(), "{command}");
    };
    fs::write(&inside, "a 1\n").unwrap();
    has(&daemon, &name, 1);
    enter(&format!("umount -l '{}'", disk.display()));
    eventually("telling that it is gone", || matches!(state(&daemon, &log).as_str(), "missing" | "gone"));
    neighbour_is_read(&site, &daemon, "first");
    enter(&mount);
    fs::write(&inside, "a 2 on another disk\n").unwrap();
    has(&daemon, &name, 2);
    eventually("following again", || state(&daemon, &log) == "following");
}

#[test]
fn a_clock_that_is_set_back_loses_and_doubles_nothing() {
    let site = Site::new();
    let library = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"]
        .map(|folder| PathBuf::from(format!("/usr/{folder}/faketime/libfaketimeMT.so.1")))
        .into_iter()
        .find(|path| path.exists())
        .expect("libfaketime is installed: scripts/setup test");
    let clock = |offset: &str| site.write("clock", format!("{offset}\n"));
    let start = || {
        Daemon::builder(BINARY, site.data())
            .arg(site.path("logs/*.log"))
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", site.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            // No clock changes when an existing file was created.
            .env("NO_FAKE_STAT", "1")
            .start()
            .unwrap()
    };
    clock("+0");
    site.write("logs/a.log", "a line at the right time\n");
    let name = site.source("logs/a.log");
    let mut daemon = start();
    has(&daemon, &name, 1);
    let mut lines = 1;
    for (round, offset) in ["-1h", "-10y", "+0", "-10y"].into_iter().enumerate() {
        clock(offset);
        site.append("logs/a.log", format!("appended at {offset}, {round}\n"));
        has(&daemon, &name, lines + 1);
        fs::rename(site.path("logs/a.log"), site.path(&format!("logs/a.log.{round}"))).unwrap();
        site.write("logs/a.log", format!("after a rotation at {offset}, {round}\n"));
        has(&daemon, &name, lines + 2);
        assert!(daemon.stop().unwrap().success());
        site.append("logs/a.log", format!("while it was stopped at {offset}, {round}\n"));
        fs::rename(site.path("logs/a.log"), site.path(&format!("logs/a.log-{round}"))).unwrap();
        site.write("logs/a.log", format!("after a rotation while it was stopped at {offset}, {round}\n"));
        daemon = start();
        has(&daemon, &name, lines + 4);
        lines += 4;
        neighbour_is_read(&site, &daemon, &format!("round {round}"));
        assert_eq!(state(&daemon, &site.path("logs/a.log")), "following");
    }
    let years = "SELECT count(DISTINCT extract(year FROM observed_timestamp)) FROM logs";
    assert!(count(&daemon, years) > 1, "the clock was not set back: nothing was tested");
}

#[test]
fn names_that_are_no_text() {
    let site = Site::new();
    let names: [&[u8]; 6] = [
        b"new\nline",
        b"bad\xff",
        b"bad\xfe",
        b"quote'\"",
        b"red\x1b[31m",
        "gr\u{fc}\u{df}e {a,b} [x]*".as_bytes(),
    ];
    for name in names {
        let path = site.path("logs").join(OsStr::from_bytes(&[name, b".log"].concat()));
        fs::write(path, [b"the line of ", name.escape_ascii().to_string().as_bytes(), b"\n"].concat())
            .unwrap();
    }
    let daemon = site.daemon();
    neighbour_is_read(&site, &daemon, "first");
    eventually("reading all", || count(&daemon, "SELECT count(*) FROM logs") == 7);
    assert_eq!(count(&daemon, "SELECT count(DISTINCT source) FROM logs"), 7, "each has a name of its own");
    let told = daemon.get("/api/v1/sources").unwrap().json().unwrap();
    let told = told["sources"].as_array().unwrap().clone();
    assert_eq!(told.len(), 7, "{told:?}");
    for one in &told {
        assert_eq!((&one["state"], &one["records"]), (&"following".into(), &1.into()), "{one}");
    }
    let shown = daemon.stdout() + &daemon.stderr();
    assert!(
        !shown.contains('\x1b') || shown.contains("\x1b[0m"),
        "a name is obeyed by the terminal: {shown:?}"
    );
    assert!(!shown.contains("\x1b[31m.log") && !shown.contains("new\nline"), "{shown:?}");
    assert!(daemon.stop().unwrap().success());
    for one in told {
        let name = one["source"].as_str().unwrap();
        let bytes = site.export(name);
        assert_eq!(
            bytes.iter().filter(|byte| **byte == b'\n').count(),
            1,
            "{name}: {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn two_files_with_the_same_first_lines() {
    let site = Site::new();
    for head in ["# short\n".to_owned(), "# a long head, the same in both\n".repeat(100)] {
        let [a, b] = ["logs/a.log", "logs/b.log"];
        let (of_a, of_b) = (site.source(a), site.source(b));
        [a, b].iter().for_each(|name| drop(site.write(name, &head)));
        let heads = head.lines().count() as u64;
        let daemon = site.daemon();
        let before =
            |name: &str| count(&daemon, &format!("SELECT count(*) FROM logs WHERE source = '{name}'"));
        eventually("reading both heads", || before(&of_a) >= heads && before(&of_b) >= heads);
        let (in_a, in_b) = (before(&of_a), before(&of_b));
        site.append(a, "only in a\n");
        has(&daemon, &of_a, in_a + 1);
        has(&daemon, &of_b, in_b);
        assert!(daemon.stop().unwrap().success());
        // The new a.log begins as the old one did, and b.log has not grown.
        fs::rename(site.path(a), site.path(&format!("{a}.1"))).unwrap();
        site.write(a, format!("{head}only in the new a\n"));
        site.append(b, "only in b\n");
        let daemon = site.daemon();
        has(&daemon, &of_a, in_a + 1 + heads + 1);
        has(&daemon, &of_b, in_b + 1);
        assert!(daemon.stop().unwrap().success());
    }
}

#[test]
fn a_hard_link_is_the_same_file_and_outlives_the_first_name() {
    let site = Site::new();
    let [a, b] = [site.write("logs/a.log", "line 1\n"), site.path("logs/b.log")];
    fs::hard_link(&a, &b).unwrap();
    let all = "SELECT count(*) FROM logs WHERE body LIKE 'line %'";
    let daemon = site.daemon();
    eventually("reading it", || count(&daemon, all) == 1);
    site.append("logs/b.log", "line 2\n");
    eventually("reading what came by the other name", || count(&daemon, all) == 2);
    let told = source(&daemon, &b).unwrap();
    assert_eq!(told["state"], "refused", "{told}");
    assert!(told["error"].as_str().unwrap().contains("same file"), "{told}");
    fs::remove_file(&a).unwrap();
    site.append("logs/b.log", "line 3\n");
    eventually("reading on by the name that is left", || count(&daemon, all) == 3);
    neighbour_is_read(&site, &daemon, "first");
    site.append("logs/b.log", "line 4\n");
    eventually("reading on", || count(&daemon, all) == 4);
    assert!(daemon.stop().unwrap().success());
    site.append("logs/b.log", "line 5\n");
    let daemon = site.daemon();
    eventually("reading on after a restart", || count(&daemon, all) >= 5);
    neighbour_is_read(&site, &daemon, "second");
    assert_eq!(count(&daemon, all), 5, "nothing is read again under the other name");
}

#[test]
fn ten_rotations_a_second_disturb_nobody() {
    const ROTATIONS: u64 = 50;
    let site = Site::new();
    let log = site.path("logs/a.log");
    let writer = LineWriter::start(&log, &site.path("asks"), 5_000, Reopens::AtOnce).unwrap();
    let daemon = site.daemon();
    let reopen = writer.reopen_script();
    for rotation in 1..=ROTATIONS {
        writer.wait_for(writer.written() + 500).unwrap();
        fs::rename(&log, site.path(&format!("logs/a.log-{rotation:08}"))).unwrap();
        assert!(Command::new("sh").args(["-ec", &reopen]).status().unwrap().success());
        eventually("the writer's new file", || log.exists());
        if rotation % 10 == 0 {
            neighbour_is_read(&site, &daemon, &format!("rotation {rotation}"));
        }
    }
    let written = writer.stop().unwrap();
    has(&daemon, &site.source("logs/a.log"), written);
    assert_eq!(state(&daemon, &log), "following");
    assert_eq!(count(&daemon, "SELECT count(*) FROM gaps"), 0);
    assert!(daemon.stop().unwrap().success());
    let ledger = Ledger::of(&site.export(&site.source("logs/a.log")), written);
    assert!(ledger.is_whole(), "{ledger}");
}
