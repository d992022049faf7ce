//! Whole samples of machines made of files: what no machine at hand has, or says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use serde_json::Value;
use taffrail_record::Timestamp;
use taffrail_record::sample::Place;

use super::{now, within};
use crate::{Machine, Roots, Sampler, envelope};

/// A machine of files: the text of each below `/proc` or `/sys`.
fn machine_of(folder: &Path, files: &[(&str, &str)]) -> Arc<Machine> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let roots = Roots { proc: folder.join("proc"), sys: folder.join("sys") };
    Arc::new(Machine::new(roots, now))
}

const MEMINFO: &str = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n\
    Buffers:          100000 kB\nCached:          5000000 kB\nSwapCached:            0 kB\nActive:          1 kB\n\
    Inactive:        1 kB\nSwapTotal:       2000000 kB\nSwapFree:        1500000 kB\nDirty:               8 kB\n\
    Writeback:             0 kB\nMapped:           1 kB\nSlab:             1 kB\nCommitted_AS:    1 kB\n\
    VmallocTotal:   1 kB\nVmallocUsed:           1 kB\nVmallocChunk:          0 kB\n";

#[test]
fn rates_are_those_of_the_counters_and_stop_where_a_device_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let stat = |user: u64, idle: u64| {
        format!(
            "cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {user} 0 0 {idle} 0 0 0 0 0 0\ncpu7 0 0 0 9 0 0 0 0 0 0\nbtime 1700000000\nctxt 5\nprocesses 6\nprocs_running 3\nprocs_blocked 2\n"
        )
    };
    let disks = |sectors: u64| {
        format!(
            "259 0 nvme0n1 10 0 {sectors} 30 20 0 0 40 0 50 70\n259 1 nvme0n1p1 1 0 8 1 1 0 8 1 0 1 1\n253 0 dm-0 10 0 8 1 1 0 8 1 0 1 1\n7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n"
        )
    };
    let net = |bytes: u64| format!("a\nb\n  eth0: {bytes} 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n");
    let machine = machine_of(
        folder.path(),
        &[
            ("proc/stat", &stat(1_000, 5_000)),
            ("proc/meminfo", MEMINFO),
            ("proc/diskstats", &disks(1_000)),
            ("proc/net/dev", &net(10_000)),
            ("sys/block/nvme0n1/stat", ""),
            ("sys/block/dm-0/slaves/nvme0n1p1/x", ""),
            ("sys/block/loop0/stat", ""),
        ],
    );
    let mut sampler = Sampler::new(Arc::clone(&machine));
    std::thread::sleep(Duration::from_millis(200));
    machine_of(
        folder.path(),
        &[
            ("proc/stat", &stat(1_030, 5_070)),
            ("proc/diskstats", &disks(3_000)),
            ("proc/net/dev", &net(30_000)),
        ],
    );
    let sample = sampler.sample();
    let over = sample.over.unwrap().as_secs_f64();
    let cpu = sample.cpu.unwrap();
    within(0.001, cpu.total.shares.unwrap().busy(), 30.0);
    assert_eq!(cpu.cores.iter().map(|core| core.number).collect::<Vec<_>>(), [0, 7]);
    // A processor that did not count at all.
    assert_eq!(cpu.cores[1].shares, None);
    let disks: Vec<_> = sample.disks.iter().map(|disk| (disk.name.as_str(), disk.is_physical)).collect();
    assert_eq!(disks, [("nvme0n1", true), ("dm-0", false)]);
    within(0.001, sample.disks[0].rates.unwrap().read_bytes, 2_000.0 * 512.0 / over);
    within(0.001, sample.interfaces[0].rates.unwrap().received_bytes, 20_000.0 / over);
    assert_eq!(sample.system.booted, Timestamp::from_seconds(1_700_000_000, 0));
    assert_eq!((sample.system.tasks_running, sample.system.tasks_blocked), (Some(3), Some(2)));
    let memory = sample.memory.unwrap();
    assert_eq!((memory.dirty, memory.swap_cached, memory.slab), (8 << 10, 0, 1 << 10));
    // What is not there is said, and all else is there.
    let unread: Vec<&str> = sample.unread.iter().map(|reason| reason.split_once(':').unwrap().0).collect();
    assert_eq!(unread, ["sockets", "mounts", "load"]);
    std::thread::sleep(Duration::from_millis(120));
    machine_of(folder.path(), &[("proc/diskstats", &disks_of_another()), ("proc/net/dev", &net(10))]);
    let sample = sampler.sample();
    assert_eq!((sample.disks[0].rates, sample.interfaces[0].rates), (None, None));
}

fn disks_of_another() -> String {
    "259 0 nvme0n1 1 0 8 3 2 0 0 4 0 5 7\n".to_owned()
}

/// Two containers that may use the same and use as much: of either version of the kernel's limits.
fn containers() -> [Vec<(&'static str, String)>; 2] {
    let (gigabyte, half) = ((1_u64 << 30).to_string(), (1_u64 << 29).to_string());
    [
        vec![
            ("sys/fs/cgroup/memory.max", gigabyte.clone()),
            ("sys/fs/cgroup/memory.current", half.clone()),
            ("sys/fs/cgroup/memory.swap.max", "500000000".to_owned()),
            ("sys/fs/cgroup/memory.swap.current", "200000000".to_owned()),
            ("sys/fs/cgroup/memory.stat", "file 300000000\ninactive_file 100000000\n".to_owned()),
            ("sys/fs/cgroup/cpu.max", "150000 100000".to_owned()),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 7000000\nuser_usec 1\n".to_owned()),
            ("sys/fs/cgroup/pids.max", "max".to_owned()),
        ],
        vec![
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", gigabyte),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", half),
            ("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", ((1_u64 << 30) + 500_000_000).to_string()),
            ("sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", ((1_u64 << 29) + 200_000_000).to_string()),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "total_cache 300000000\ntotal_inactive_file 100000000\n".to_owned(),
            ),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000".to_owned()),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000".to_owned()),
            ("sys/fs/cgroup/cpuacct/cpuacct.usage", "7000000000".to_owned()),
        ],
    ]
}

#[test]
fn a_container_has_what_it_may_use() {
    for (files, used) in containers().iter().zip([
        ("sys/fs/cgroup/cpu.stat", "usage_usec 7150000\n"),
        ("sys/fs/cgroup/cpuacct/cpuacct.usage", "7150000000"),
    ]) {
        let folder = tempfile::tempdir().unwrap();
        machine_of(folder.path(), &[("proc/meminfo", MEMINFO)]);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let mut sampler = Sampler::new(machine_of(folder.path(), &files));
        std::thread::sleep(Duration::from_millis(120));
        machine_of(folder.path(), &[used]);
        let sample = sampler.sample();
        let limits = sample.limits.unwrap();
        assert_eq!((limits.memory, limits.swap, limits.cpus), (Some(1 << 30), Some(500_000_000), Some(1.5)));
        assert_eq!((limits.cpu_time, limits.tasks), (Some(Duration::from_millis(7_150)), None));
        let memory = sample.memory.unwrap();
        assert_eq!(
            (memory.total, memory.used(), memory.cached),
            (1 << 30, (1 << 29) - 100_000_000, 300_000_000)
        );
        assert_eq!((memory.swap_total, memory.swap_used()), (500_000_000, 200_000_000));
        // 0.15 seconds of what one and a half processors have.
        let share = 100.0 * 0.15 / (1.5 * sample.over.unwrap().as_secs_f64());
        within(0.001, limits.cpu_share.unwrap(), share);
        let said: Value = serde_json::from_str(&envelope(&sample, "n")).unwrap();
        let said = &said["metrics"]["system"]["container_limits"];
        assert_eq!((&said["memory_bytes"], &said["cpus"]), (&(1_u64 << 30).into(), &1.5.into()));
        assert_eq!(said["swap_bytes"], 500_000_000);
        within(0.1, said["cpu_percent_of_limit"].as_f64().unwrap(), share);
    }
    // It may have no swap space at all; or more than there is.
    for (limit, swap) in [
        ("0", (0, 0)),
        ("max", (2_000_000 << 10, 500_000 << 10)),
        ("9000000000", (2_000_000 << 10, 500_000 << 10)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = [("proc/meminfo", MEMINFO), ("sys/fs/cgroup/memory.swap.max", limit)];
        let memory = machine_of(folder.path(), &files).read().memory.unwrap();
        assert_eq!((memory.swap_total, memory.swap_used()), swap, "{limit}");
    }
    let folder = tempfile::tempdir().unwrap();
    let unlimited = [
        ("proc/meminfo", MEMINFO),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
        ("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "9223372036854771712"),
        ("sys/fs/cgroup/cpu.max", "max 100000"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
    ];
    let sample = machine_of(folder.path(), &unlimited).read();
    assert_eq!((sample.limits, sample.memory.unwrap().total), (None, 16_000_000 << 10));
}

#[test]
fn what_could_not_be_read_is_missing_and_never_zero() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = |machine: Arc<Machine>| -> Value {
        let said: Value = serde_json::from_str(&envelope(&machine.read(), "n")).unwrap();
        said["metrics"].clone()
    };
    let said = metrics(machine_of(folder.path(), &[("proc/meminfo", MEMINFO)]));
    assert_eq!(said["processes"], serde_json::json!({"process_count": 0}));
    for missing in ["/network", "/cpu", "/disk/disk_io", "/disk/devices"] {
        assert_eq!(said.pointer(missing), None, "{said}");
    }
    // Each part by itself; a process that may not be read, as others' are where each user sees only their own.
    fs::create_dir_all(folder.path().join("proc/7/stat")).unwrap();
    let said = metrics(machine_of(folder.path(), &[("proc/net/tcp", "head\n")]));
    assert_eq!(said["processes"], serde_json::json!({"process_count": 1}));
    assert_eq!(
        (&said["network"]["active_connections"], said["network"].get("bytes_sent")),
        (&0.into(), None)
    );
    let line = "eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n";
    let said = metrics(machine_of(folder.path(), &[("proc/net/dev", &format!("a\nb\n{line}"))]));
    assert_eq!((&said["network"]["bytes_recv"], &said["network"]["bytes_sent"]), (&1.into(), &5.into()));
}

#[test]
fn nothing_that_the_kernel_might_write_ends_it() {
    let odd = [
        "",
        "\n",
        "cpu\n",
        "cpu  x y\ncpu99999999999 1\n",
        "\0\u{ff}",
        "a b c d e f g h i j k l m n o p q r",
    ];
    for text in odd {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "stat",
            "meminfo",
            "diskstats",
            "net/dev",
            "net/tcp",
            "net/udp",
            "loadavg",
            "uptime",
            "filesystems",
            "self/mountinfo",
            "sys/fs/file-nr",
            "pressure/cpu",
            "1/stat",
            "2/cgroup",
        ];
        let files: Vec<(String, &str)> = names.iter().map(|name| (format!("proc/{name}"), text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let mut sampler = Sampler::new(machine_of(folder.path(), &files));
        std::thread::sleep(Duration::from_millis(110));
        let sample = sampler.sample();
        assert!(serde_json::from_str::<Value>(&envelope(&sample, "n")).is_ok(), "{text:?}");
        assert!(sample.mounts.iter().all(|mount| mount.place == Place::Device));
    }
}

#[test]
fn of_very_many_devices_all_are_in_the_sums_and_some_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let net = |bytes: u64| {
        let line = |number: u64| match number < 9_000 {
            true => format!("veth{number:05}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"),
            false => format!("veth{number:05}: {bytes} 7 0 0 0 0 0 0 {bytes} 7 0 0 0 0 0 0\n"),
        };
        "Inter-|   Receive\n face |bytes\n".to_owned() + &(0..10_001).map(line).collect::<String>()
    };
    let disks = |sectors: u64| -> String {
        (0..1_500).map(|number| format!("8 {number} d{number:04} 10 0 {sectors} 3 2 0 0 4 0 5 7\n")).collect()
    };
    for number in 0..1_500 {
        fs::create_dir_all(folder.path().join(format!("sys/block/d{number:04}"))).unwrap();
    }
    let begin = [("proc/net/dev", net(1_000)), ("proc/diskstats", disks(0))];
    let end = [("proc/net/dev", net(3_000)), ("proc/diskstats", disks(2))];
    let write = |files: &[(&str, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        machine_of(folder.path(), &files)
    };
    let mut sampler = Sampler::new(write(&begin));
    std::thread::sleep(Duration::from_millis(150));
    write(&end);
    let sample = sampler.sample();
    let over = sample.over.unwrap().as_secs_f64();
    let said: Value = serde_json::from_str(&envelope(&sample, "n")).unwrap();
    let (network, disk) = (&said["metrics"]["network"], &said["metrics"]["disk"]);
    assert_eq!((&network["bytes_recv"], &network["packets_sent"]), (&3_003_000.into(), &7_007.into()));
    within(0.1, network["bytes_recv_per_sec"].as_f64().unwrap(), 1_001.0 * 2_000.0 / over);
    within(0.1, disk["disk_io"]["read_bytes_per_sec"].as_f64().unwrap(), 1_500.0 * 1_024.0 / over);
    let names = |told: &Value| told.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let told = names(&network["interfaces"]);
    assert_eq!((told.len(), told[0].as_str(), told[999].as_str()), (1_000, "veth09000", "veth09999"));
    assert_eq!(names(&disk["devices"]).len(), 1_000);
    let unread = said["metrics"]["system"]["unread"].to_string();
    assert!(
        unread.contains("disks: 1000 of 1500") && unread.contains("interfaces: 1000 of 10001"),
        "{unread}"
    );
}

#[test]
fn a_table_of_any_length_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let head =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let rest =
        "00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 20 4 30 10 -1".to_owned();
    let line = |number: u32| {
        let (port, state) =
            if number.is_multiple_of(50_000) { (80 + number / 50_000, "0A") } else { (9, "01") };
        format!("{number:4}: 0100007F:{port:04X} 0100007F:0009 {state} {rest:<90}\n")
    };
    let table = head.to_owned() + &(0..150_000).map(line).collect::<String>();
    assert!(table.len() > 16 << 20);
    let machine = machine_of(folder.path(), &[("proc/net/tcp", &table), ("proc/meminfo", &table)]);
    let sample = machine.read();
    let sockets = sample.sockets.unwrap();
    assert_eq!((sockets.count, sockets.in_state("established")), (150_000, 149_997));
    assert_eq!(sockets.listening_tcp, [80, 81, 82]);
    // So soon after that the table is not read again, but for the sums that the kernel keeps.
    let sums = [
        (
            "proc/net/sockstat",
            "sockets: used 9\nTCP: inuse 7 orphan 0 tw 5 alloc 1 mem 0\nUDP: inuse 2 mem 0\n",
        ),
        ("proc/net/sockstat6", "TCP6: inuse 3\nUDP6: inuse 1\n"),
    ];
    machine_of(folder.path(), &sums);
    let after = machine.read().sockets.unwrap();
    assert_eq!((after.count, after.in_state("time_wait"), after.udp, after.udp6), (18, 5, 3, 1));
    assert_eq!((after.in_state("established"), after.listening_tcp), (149_997, vec![80, 81, 82]));
    // What must be read at once is not read in part.
    assert!(
        sample.unread.iter().any(|why| why.contains("meminfo: more than 16777216 bytes")),
        "{:?}",
        sample.unread
    );
}
