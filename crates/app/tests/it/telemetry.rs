//! The machine: what is measured is kept, told everywhere, and what other programs measure on the same machine.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use taffrail_testkit::{Client, Daemon, Program, skip};

use crate::program::{BINARY, Site, eventually, python_or_skip};
use crate::streams::port;

const CONFIG: &str = "node = 'web-1'\n[telemetry]\ninterval = '1s'\n[[source]]\npath = '{logs}'\n";

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/setup test installs it"));
    String::from_utf8(output.stdout).unwrap()
}

/// A tool that was unpacked for the tests; `None` where that was not done, which is said.
fn tool_or_skip(name: &str, test: &str) -> Option<String> {
    let folder = std::env::var("TEST_TOOLS").unwrap_or_default();
    let path = format!("{folder}/usr/bin/{name}");
    if std::path::Path::new(&path).exists() {
        return Some(path);
    }
    skip(test, &format!("there is no {path}; `make test` unpacks it and sets TEST_TOOLS"));
    None
}

#[track_caller]
fn within(percent: f64, ours: f64, theirs: f64, what: &str) {
    let off = 100.0 * (ours - theirs).abs() / theirs.abs().max(1.0);
    assert!(off <= percent, "{what}: {ours} is {off:.2} % from {theirs}");
}

fn samples(daemon: &Daemon) -> i64 {
    daemon.sql("SELECT count(*) FROM telemetry").unwrap()[0][0].as_i64().unwrap()
}

#[test]
fn a_machine_is_measured_and_its_figures_are_everywhere() {
    let site = Site::new();
    let daemon = site.daemon_with(CONFIG);
    eventually("three samples", || samples(&daemon) >= 3);
    let answer = daemon.get("/api/v1/telemetry?figures=cpu_usage_percent,uptime_seconds&step=1s").unwrap();
    let answer = answer.json().unwrap();
    let series = &answer["series"][0];
    assert_eq!((&series["node"], &answer["step_seconds"]), (&"web-1".into(), &1.0.into()));
    let times = series["times"].as_array().unwrap();
    assert!(times.len() >= 3, "{answer}");
    for name in ["cpu_usage_percent", "uptime_seconds"] {
        let values = series["figures"][name].as_array().unwrap();
        assert!(values.len() == times.len() && values.iter().all(Value::is_number), "{answer}");
    }
    let maximum = daemon.get("/api/v1/telemetry?aggregate=max&step=1d&node=web-1").unwrap().json().unwrap();
    assert_eq!(maximum["series"][0]["times"].as_array().unwrap().len(), 1, "{maximum}");
    assert_eq!(
        daemon.get("/api/v1/telemetry?node=other").unwrap().json().unwrap()["series"],
        Value::Array(vec![])
    );
    for (query, what) in [
        ("figures=cpu", "figures: there is no"),
        ("step=0s", "step must be longer"),
        ("aggregate=median", "mean or max"),
        ("since=2h&until=3h", "later than until"),
        ("figure=x", "there is no parameter"),
    ] {
        let refused = daemon.get(&format!("/api/v1/telemetry?{query}")).unwrap();
        let text = refused.text();
        assert!(refused.status == 400 && text.contains(what), "{query}: {} {text}", refused.status);
    }
    let latest = daemon.get("/api/v1/telemetry/latest").unwrap().json().unwrap();
    let metrics = &latest["samples"][0]["metrics"];
    assert!(
        metrics["cpu"]["cpu_usage_percent"].is_number() && metrics["interval_seconds"].is_number(),
        "{latest}"
    );

    // As they come, until the client has seen enough.
    let events = output(
        "curl",
        &["-sN", "--max-time", "4", &format!("http://{}/api/v1/telemetry/live?node=web-1", daemon.address())],
    );
    assert!(
        events.matches("event: sample").count() >= 2 && events.contains("\"node_id\":\"web-1\""),
        "{events}"
    );

    // The statements of the page of Resolvix.
    let rows =
        daemon.sql("SELECT time, memory_usage_percent FROM telemetry WHERE node_id = 'web-1'").unwrap();
    assert!(rows.len() >= 3 && rows.iter().all(|row| row[1].is_number()), "{rows:?}");
    let statement =
        "SELECT severity, COUNT(*) FROM logs WHERE timestamp > NOW() - INTERVAL '1 hour' GROUP BY severity";
    assert!(daemon.sql(statement).unwrap().is_empty());

    // The command asks the daemon, which keeps the sample; without one it does both itself.
    let sample = &site.run(&["collect", "--json"]).expect(0).json()[0];
    assert_eq!(sample["node_id"], "web-1");
    let moment = sample["timestamp"].as_str().unwrap().trim_end_matches('Z');
    let kept = format!("SELECT count(*) FROM telemetry WHERE CAST(time AS VARCHAR) LIKE '{moment}%'");
    assert_eq!(daemon.sql(&kept).unwrap()[0][0], 1, "{kept}");
    let screen = site.run(&["collect"]).expect(0).text();
    for word in ["cpu ", "memory ", "disk ", "network ", "sockets ", "processes ", "system "] {
        assert!(screen.contains(word), "{word}: {screen}");
    }
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    assert!(daemon.stop().unwrap().success());
    let before = &site
        .run(&["sql", "--format", "json", "SELECT count(*) AS n FROM telemetry"])
        .expect(0)
        .json()[0]["n"];
    site.run(&["collect"]).expect(0);
    let after = &site
        .run(&["sql", "--format", "json", "SELECT count(*) AS n FROM telemetry"])
        .expect(0)
        .json()[0]["n"];
    assert_eq!(after.as_i64().unwrap(), before.as_i64().unwrap() + 1);
}

/// Mounts a filesystem whose server never answers at the folder that is named first, and runs the program that is named next.
const HUNG: &str = "
import ctypes, os, subprocess, sys
server = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={server},rootmode=40000,user_id=0,group_id=0'.encode()
if ctypes.CDLL(None, use_errno=True).mount(b'hung', sys.argv[1].encode(), b'fuse.hung', 0, options):
    sys.exit(77)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
";

#[test]
fn a_filesystem_that_hangs_holds_up_no_sample() {
    const TEST: &str = "telemetry::a_filesystem_that_hangs_holds_up_no_sample";
    let Some(python) = python_or_skip(TEST) else { return };
    let site = Site::new();
    let hung = site.path("hung");
    fs_err::create_dir(&hung).unwrap();
    // In mounts of its own, so that nothing is left of it.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(python).args(["-c", HUNG]).arg(&hung);
    command.args([BINARY, "collect", "--json", "--data"]).arg(site.data());
    let start = Instant::now();
    let output = command.output().unwrap();
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || said.contains("/dev/fuse") || said.contains("unshare") {
        return skip(TEST, &format!("this system lets nobody mount: {said}"));
    }
    assert!(output.status.success(), "{said}");
    let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
    let metrics = &sample["metrics"];
    let silent = format!("mounts: {} does not answer", hung.display());
    assert!(metrics["system"]["unread"].as_array().unwrap().contains(&silent.into()), "{metrics}");
    assert!(metrics["disk"]["disk_usage"]["/"].is_object(), "{metrics}");
    // A second that rates are over, and two readings.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn loglys_tables_are_read_by_sqlite() {
    let Some(python) = python_or_skip("telemetry::loglys_tables_are_read_by_sqlite") else { return };
    const SCRIPT: &str = "
import json, sqlite3, sys
database = sqlite3.connect(f'file:{sys.argv[1]}/taffrail.db?mode=ro', uri=True)
rows = database.execute('SELECT timestamp, cpu_percent, cpu_count, memory_percent, disk_percent, load_1min FROM system_metrics').fetchall()
more = database.execute('SELECT bytes_sent, connections_listen FROM network_metrics').fetchall()
names = [row[0] for row in database.execute(\"SELECT name FROM sqlite_master WHERE name LIKE 'idx_%'\")]
version = database.execute(\"SELECT value FROM metadata WHERE key = 'schema_version'\").fetchone()[0]
print(json.dumps([rows, more, sorted(names), version]))
";
    let site = Site::new();
    let daemon = site.daemon_with(CONFIG);
    eventually("a sample", || samples(&daemon) >= 1);
    assert!(daemon.stop().unwrap().success());
    let output = Command::new(python).arg("-c").arg(SCRIPT).arg(site.data()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The first row is whole: the original's had no share of the processors.
    assert!(found[0][0].as_array().unwrap().iter().all(Value::is_number), "{found}");
    assert!(found[1][0].as_array().unwrap().iter().all(Value::is_number), "{found}");
    let names = [
        "daily_aggregates_date",
        "hourly_aggregates_hour",
        "network_metrics_timestamp",
        "system_metrics_timestamp",
    ];
    assert_eq!(found[2], serde_json::json!(names.map(|name| format!("idx_{name}"))));
    assert_eq!(found[3], "2.0");
}

/// Something to do for processors and disk.
fn load(site: &Site, seconds: u64) -> Program {
    let folder = site.path("load");
    fs_err::create_dir_all(&folder).unwrap();
    let mut command = Command::new("stress-ng");
    command.args([
        "--cpu",
        "1",
        "--hdd",
        "1",
        "--hdd-bytes",
        "32m",
        "--timeout",
        &seconds.to_string(),
        "--temp-path",
    ]);
    let program = Program::start(command.arg(folder).stdout(Stdio::null()).stderr(Stdio::null()));
    program.unwrap_or_else(|error| panic!("{error}; scripts/setup test installs it"))
}

#[test]
fn prometheus_gets_what_node_exporter_tells() {
    const TEST: &str = "telemetry::prometheus_gets_what_node_exporter_tells";
    let Some(promtool) = tool_or_skip("promtool", TEST) else { return };
    let Some(exporter) = tool_or_skip("prometheus-node-exporter", TEST) else { return };
    let site = Site::new();
    let daemon = site.daemon_with(CONFIG);
    let theirs_at = port();
    let address = format!("127.0.0.1:{theirs_at}");
    let mut command = Command::new(exporter);
    command.args(["--web.listen-address", &address]).stdout(Stdio::null()).stderr(Stdio::null());
    let _exporter = Program::start(&mut command).unwrap();
    let mut client = Client::new(address.parse().unwrap());
    let mut text = String::new();
    eventually("node_exporter", || {
        text = client.get("/metrics").map(|response| response.text()).unwrap_or_default();
        !text.is_empty()
    });
    let _load = load(&site, 30);
    std::thread::sleep(Duration::from_secs(1));

    let ours = daemon.get("/metrics").unwrap().text();
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), ours.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // What node_exporter's own names break the rules with is theirs.
    let complaints: Vec<&str> = said.lines().filter(|line| !line.starts_with("node_")).collect();
    assert_eq!(complaints, [""; 0], "{said}");

    // Both at nearly the same moment, more than once: whatever lies between is the load's.
    let mut worst = Vec::new();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        let ours = daemon.get("/metrics").unwrap().text();
        worst = differences(&ours, &client.get("/metrics").unwrap().text());
        if worst.is_empty() {
            break;
        }
    }
    assert!(worst.is_empty(), "{worst:#?}");
}

/// Values by name and labels, as both write them.
fn series(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| line.starts_with("node_"));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

/// The series that both tell and that differ by more than 2 % and one step.
fn differences(ours: &str, theirs: &str) -> Vec<String> {
    let theirs = series(theirs);
    let mut compared = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, ours) in series(ours) {
        let Some(theirs) = theirs.get(name) else { continue };
        let family = name.split('{').next().unwrap();
        compared.insert(family.to_owned());
        // One tick, one page, one process that came or went with the question.
        let step = match family {
            // What other tests do at the same time.
            "node_filefd_allocated" => 300.0,
            "node_memory_Dirty_bytes" | "node_memory_Writeback_bytes" => 67_108_864.0,
            "node_memory_Active_bytes" | "node_memory_Inactive_bytes" => 67_108_864.0,
            "node_memory_AnonPages_bytes" | "node_memory_Committed_AS_bytes" => 67_108_864.0,
            name if name.contains("bytes") => 4_194_304.0,
            // What the load does between two questions.
            "node_intr_total" | "node_context_switches_total" | "node_vmstat_pgfault" => 20_000.0,
            name if name.starts_with("node_netstat_") || name.starts_with("node_softnet_") => 500.0,
            name if name.starts_with("node_network_") || name.starts_with("node_vmstat_") => 500.0,
            name if name.contains("seconds") => 0.5,
            name if name.contains("load") => 0.3,
            _ => 5.0,
        };
        let allowed = theirs.abs() * 0.02 + step;
        if (ours - theirs).abs() > allowed {
            wrong.push(format!("{name}: {ours} against {theirs}"));
        }
    }
    for name in [
        "node_cpu_seconds_total",
        "node_load1",
        "node_memory_MemTotal_bytes",
        "node_memory_MemAvailable_bytes",
        "node_memory_Active_bytes",
        "node_memory_AnonPages_bytes",
        "node_memory_Committed_AS_bytes",
        "node_memory_KernelStack_bytes",
        "node_memory_PageTables_bytes",
        "node_memory_Shmem_bytes",
        "node_memory_Slab_bytes",
        "node_memory_SUnreclaim_bytes",
        "node_memory_SwapCached_bytes",
        "node_sockstat_UDP_inuse",
        "node_sockstat_UDP6_inuse",
        "node_filesystem_size_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_files_free",
        "node_disk_written_bytes_total",
        "node_disk_io_time_seconds_total",
        "node_network_receive_bytes_total",
        "node_network_transmit_drop_total",
        "node_netstat_Tcp_CurrEstab",
        "node_filefd_allocated",
        "node_boot_time_seconds",
        "node_procs_running",
        "node_procs_blocked",
        "node_uname_info",
        "node_pressure_cpu_waiting_seconds_total",
        "node_memory_Active_anon_bytes",
        "node_memory_HugePages_Total",
        "node_vmstat_pgmajfault",
        "node_netstat_Tcp_RetransSegs",
        "node_netstat_TcpExt_ListenDrops",
        "node_netstat_Ip6_InOctets",
        "node_sockstat_TCP_mem_bytes",
        "node_softnet_processed_total",
        "node_network_receive_multicast_total",
        "node_network_up",
        "node_network_mtu_bytes",
        "node_disk_discards_completed_total",
        "node_disk_flush_requests_total",
        "node_intr_total",
        "node_entropy_available_bits",
    ] {
        assert!(compared.contains(name), "{name} is not told by both; both tell {compared:?}");
    }
    wrong
}

#[test]
fn rates_are_those_that_other_tools_find() {
    let site = Site::new();
    let _load = load(&site, 60);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listens_at = listener.local_addr().unwrap().port();
    let clients: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(("127.0.0.1", listens_at)).unwrap()).collect();
    std::thread::sleep(Duration::from_secs(1));
    let mut off = String::new();
    for _ in 0..5 {
        // In the same second.
        let theirs = std::thread::spawn(|| output("iostat", &["-y", "-c", "1", "1"]));
        let sample = site.run(&["collect", "--json"]).expect(0).json().remove(0);
        let theirs = theirs.join().unwrap();
        let line = theirs.lines().skip_while(|line| !line.contains("avg-cpu")).nth(1).unwrap();
        let words: Vec<f64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        // user, nice, system, iowait, steal, idle
        let busy = 100.0 - words[5] - words[3];
        let ours = sample["metrics"]["cpu"]["cpu_usage_percent"].as_f64().unwrap();
        off = format!("{ours} % against {busy} %");
        // Two seconds that began a few hundredths apart, of a machine that others use too.
        if (ours - busy).abs() <= 6.0 {
            off.clear();
            break;
        }
    }
    assert_eq!(off, "");
    let sample = site.run(&["collect", "--json"]).expect(0).json().remove(0);
    let network = &sample["metrics"]["network"];
    let ports = network["listening_ports"].as_array().unwrap();
    assert!(ports.contains(&listens_at.into()), "{network}");
    // 20 connections, both ends of them here; others come and go while they are counted.
    let established = || output("ss", &["-Htn", "state", "established"]).lines().count() as f64;
    let counted = (0..10).any(|_| {
        let before = established();
        let sample = site.run(&["collect", "--json"]).expect(0).json().remove(0);
        let ours = sample["metrics"]["network"]["tcp_states"]["established"].as_f64().unwrap();
        assert!(ours >= 40.0, "{sample}");
        before == ours && ours == established()
    });
    assert!(counted, "never as many as ss counts");
    drop(clients);
    // All that was written since the machine started, as iostat adds it up.
    let text = output("iostat", &["-dk"]);
    let devices = sample["metrics"]["disk"]["devices"].as_object().unwrap();
    let mut compared = 0;
    for (name, device) in devices {
        let Some(line) = text.lines().find(|line| line.split_whitespace().next() == Some(name)) else {
            continue;
        };
        let words: Vec<f64> = line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
        let (read, written) = (words[4] * 1024.0, words[5] * 1024.0);
        within(2.0, device["read_bytes"].as_f64().unwrap(), read, "bytes read");
        within(2.0, device["written_bytes"].as_f64().unwrap(), written, "bytes written");
        compared += 1;
    }
    assert!(compared > 0 || devices.is_empty(), "{text}");
}

/// Sums over a device's samples, and the time that they are over.
#[derive(Default, Debug)]
struct Busy {
    operations: f64,
    bytes_written: f64,
    waited_ms: f64,
    utilisation: f64,
    samples: f64,
}

#[test]
fn disks_are_as_busy_as_iostat_finds() {
    const SECONDS: i64 = 10;
    let site = Site::new();
    let daemon = site.daemon_with(CONFIG);
    let _load = load(&site, 60);
    let mut off: Vec<Vec<String>> = Vec::new();
    for _ in 0..3 {
        // Begins with a sample, so that both are over nearly the same seconds.
        let before = samples(&daemon);
        eventually("a sample", || samples(&daemon) > before);
        let theirs = output("iostat", &["-o", "JSON", "-y", "-dxk", &SECONDS.to_string(), "1"]);
        let newest = format!("SELECT metrics FROM telemetry ORDER BY time DESC LIMIT {SECONDS}");
        let rows = daemon.sql(&newest).unwrap();
        let ours: Vec<Value> =
            rows.iter().map(|row| serde_json::from_str(row[0].as_str().unwrap()).unwrap()).collect();
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        let devices = theirs["sysstat"]["hosts"][0]["statistics"][0]["disk"].as_array().unwrap();
        let compared: Vec<_> = devices.iter().filter_map(|theirs| differs(&ours, theirs)).collect();
        if !compared.is_empty() && compared.iter().all(Vec::is_empty) {
            return;
        }
        off = compared;
    }
    panic!("{off:?}: nothing was compared, or it differs");
}

/// What iostat finds of a device, and is not told by samples of the same seconds; `None` if the device did nothing.
fn differs(ours: &[Value], theirs: &Value) -> Option<Vec<String>> {
    let name = theirs["disk_device"].as_str().unwrap();
    let mut sum = Busy::default();
    for sample in ours {
        let device = &sample["metrics"]["disk"]["devices"][name];
        let Some(wait) = device["wait_ms"].as_f64() else { continue };
        let of = |key: &str| device[key].as_f64().unwrap();
        let operations = of("reads_per_sec") + of("writes_per_sec");
        sum.operations += operations;
        sum.bytes_written += of("write_bytes_per_sec");
        sum.waited_ms += wait * operations;
        sum.utilisation += of("utilisation_percent");
        sum.samples += 1.0;
    }
    let of = |key: &str| theirs[key].as_f64().unwrap();
    let operations = of("r/s") + of("w/s");
    if sum.samples == 0.0 || operations < 5.0 {
        return None;
    }
    let wait = (of("r_await") * of("r/s") + of("w_await") * of("w/s")) / operations;
    let mut off = Vec::new();
    let mut compare = |what: &str, ours: f64, theirs: f64, allowed: f64| {
        if (ours - theirs).abs() > allowed {
            off.push(format!("{name} {what}: {ours} against {theirs}"));
        }
    };
    // Ten seconds that began within a tenth of one of each other.
    compare("operations", sum.operations / sum.samples, operations, operations * 0.1);
    let written = of("wkB/s") * 1024.0;
    compare("bytes written", sum.bytes_written / sum.samples, written, written * 0.1);
    compare("utilisation", sum.utilisation / sum.samples, of("util"), 5.0);
    compare("wait", sum.waited_ms / sum.operations, wait, wait * 0.2 + 0.2);
    Some(off)
}
