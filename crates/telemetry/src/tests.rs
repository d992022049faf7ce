//! Whole samples of the machine that the tests run on, beside what other programs say of it.

/// Machines made of files.
mod files;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use taffrail_record::Timestamp;
use taffrail_record::sample::CpuShares;

use crate::{Machine, Roots, Sampler, envelope, figures};

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_nanos()).unwrap())
}

fn this_machine() -> Arc<Machine> {
    Arc::new(Machine::new(Roots::default(), now))
}

/// What a program prints.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn within(percent: f64, ours: f64, theirs: f64) {
    let off = 100.0 * (ours - theirs).abs() / theirs.abs().max(1.0);
    assert!(off <= percent, "{ours} is {off:.2} % from {theirs}");
}

#[test]
fn the_shares_of_all_processors_make_a_hundred() {
    let mut sampler = Sampler::new(this_machine());
    std::thread::sleep(Duration::from_millis(300));
    let sample = sampler.sample();
    // Where others mount what only they may ask.
    let unread: Vec<&String> = sample.unread.iter().filter(|why| !why.starts_with("mounts: ")).collect();
    assert_eq!(unread, [""; 0]);
    assert!(sample.over.unwrap() >= Duration::from_millis(300));
    let cpu = sample.cpu.unwrap();
    assert_eq!(cpu.cores.len(), std::thread::available_parallelism().unwrap().get());
    let shares = cpu.total.shares.unwrap();
    let CpuShares { user, nice, system, idle, iowait, irq, softirq, steal } = shares;
    within(0.001, user + nice + system + idle + iowait + irq + softirq + steal, 100.0);
    within(0.001, shares.busy() + idle + iowait, 100.0);
    let processes = sample.processes.unwrap();
    let known = [
        processes.running,
        processes.sleeping,
        processes.blocked,
        processes.stopped,
        processes.zombie,
        processes.idle,
    ];
    assert_eq!(known.iter().sum::<u64>(), processes.count);
    let memory: Vec<u64> = processes.top_memory.iter().map(|process| process.memory).collect();
    assert!(memory.len() == 5 && memory.is_sorted_by(|a, b| a >= b), "{memory:?}");
}

#[test]
fn nobody_disturbs_the_rates_of_another() {
    let machine = this_machine();
    let mut slow = Sampler::new(Arc::clone(&machine));
    let slow_since = Instant::now();
    let mut quick_before = Instant::now();
    let mut quick = Sampler::new(Arc::clone(&machine));
    for _ in 0..3 {
        let quick_since = Instant::now();
        std::thread::sleep(Duration::from_millis(120));
        let (least, before) = (quick_since.elapsed(), Instant::now());
        let over = quick.sample().over.unwrap();
        assert!(over >= least && over <= quick_before.elapsed(), "{over:?}");
        quick_before = before;
        // Who asks once has its own.
        let over = Sampler::sample_over(&machine, Duration::from_millis(100)).over.unwrap();
        assert!(over >= Duration::from_millis(100) && over <= before.elapsed(), "{over:?}");
    }
    let least = slow_since.elapsed();
    let before = Instant::now();
    assert!(slow.sample().over.unwrap() >= least);
    // There is nothing to divide by, unless the machine is very busy.
    assert!(slow.sample().over.is_none() || before.elapsed() >= Duration::from_millis(100));
}

#[test]
fn filesystems_and_memory_are_as_df_and_free_say() {
    let sample = this_machine().read();
    let root = sample.mounts.iter().find(|mount| mount.path == "/").unwrap();
    let usage = root.usage.unwrap();
    let text = output("df", &["-B1", "--output=size,used,avail,itotal,iavail", "/"]);
    let theirs: Vec<f64> =
        text.lines().nth(1).unwrap().split_whitespace().map(|word| word.parse().unwrap()).collect();
    let ours = [usage.total, usage.used(), usage.available, usage.inodes, usage.inodes_free];
    ours.iter().zip(&theirs).for_each(|(ours, theirs)| within(2.0, *ours as f64, *theirs));
    let text = output("free", &["-b"]);
    let words = |line: usize| -> Vec<f64> {
        let line = text.lines().nth(line).unwrap();
        line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect()
    };
    let memory = sample.memory.unwrap();
    within(0.0, memory.total as f64, words(1)[0]);
    within(2.0, memory.available as f64, words(1)[5]);
    within(0.0, memory.swap_total as f64, words(2)[0]);
}

#[test]
fn the_envelope_has_every_key_that_the_original_has() {
    let sample = Sampler::sample_over(&this_machine(), Duration::from_millis(120));
    let text = envelope(&sample, "192.168.1.100");
    let envelope: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(envelope["node_id"], "192.168.1.100");
    assert!(envelope["timestamp"].as_str().unwrap().ends_with('Z'));
    let number = |path: &str| {
        let found = envelope.pointer(&format!("/metrics/{path}"));
        assert!(found.is_some_and(Value::is_f64), "{path}: {found:?}");
    };
    let count = |path: &str| {
        let found = envelope.pointer(&format!("/metrics/{path}"));
        assert!(found.is_some_and(Value::is_u64), "{path}: {found:?}");
    };
    for path in [
        "cpu/cpu_usage_percent",
        "cpu/cpu_per_core_percent/0",
        "cpu/load_avg_1min",
        "cpu/load_avg_5min",
        "cpu/load_avg_15min",
        "memory/memory_total_gb",
        "memory/memory_used_gb",
        "memory/memory_available_gb",
        "memory/memory_usage_percent",
        "memory/swap_total_gb",
        "memory/swap_used_gb",
        "memory/swap_usage_percent",
        "disk/disk_usage/~1/total_gb",
        "disk/disk_usage/~1/used_gb",
        "disk/disk_usage/~1/free_gb",
        "disk/disk_usage/~1/usage_percent",
        "disk/disk_io/read_mb_per_sec",
        "disk/disk_io/write_mb_per_sec",
        "network/bytes_sent_mb_per_sec",
        "network/bytes_recv_mb_per_sec",
        "processes/top_memory_processes/4/memory_percent",
    ] {
        number(path);
    }
    for path in [
        "cpu/cpu_count_logical",
        "disk/disk_io/read_count",
        "disk/disk_io/write_count",
        "network/packets_sent",
        "network/packets_recv",
        "network/errors_in",
        "network/errors_out",
        "network/drops_in",
        "network/drops_out",
        "network/active_connections",
        "processes/process_count",
        "processes/top_memory_processes/0/pid",
    ] {
        count(path);
    }
    assert!(envelope.pointer("/metrics/processes/top_memory_processes/0/name").unwrap().is_string());
    let figures = figures(&envelope);
    assert!(figures[0].is_some() && figures[24].is_some(), "{figures:?}");
}

#[test]
fn processes_are_there_from_their_beginning_to_their_end() {
    let machine = this_machine();
    let has = |pid: u32| machine.reading(false).processes.iter().any(|process| process.pid == pid as i32);
    let mut children = Vec::new();
    for _ in 0..3 {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        // The second time nobody may have been made since.
        assert!(has(child.id()) && has(child.id()));
        children.push(child);
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!has(child.id()) && !has(child.id()));
    }
}

#[test]
fn a_process_that_wakes_up_is_seen_at_once() {
    let script = "read line; while :; do :; done";
    let mut child =
        Command::new("sh").args(["-c", script]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id() as i32;
    let mut sampler = Sampler::new(this_machine());
    let mut used = || {
        std::thread::sleep(Duration::from_millis(300));
        let top = sampler.sample().processes.unwrap().top_cpu;
        top.iter().find(|process| process.pid == pid).and_then(|process| process.cpu)
    };
    // It does nothing, for so long that nobody looks closely any more.
    for _ in 0..4 {
        assert_eq!(used(), None);
    }
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"go\n").unwrap();
    let _first = used();
    let found = used();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found.is_some_and(|percent| percent > 5.0 && percent < 150.0), "{found:?}");
}

#[test]
fn processes_that_come_and_go_while_they_are_read_are_no_trouble() {
    let coming = std::thread::spawn(|| {
        for _ in 0..300 {
            assert!(Command::new("true").status().unwrap().success());
        }
    });
    let mut sampler = Sampler::new(this_machine());
    while !coming.is_finished() {
        let sample = sampler.sample();
        assert!(sample.processes.unwrap().count > 1, "{:?}", sample.unread);
    }
    coming.join().unwrap();
}
