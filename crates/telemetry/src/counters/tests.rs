//! Tables of the kernel as they become names and values.

use std::path::Path;

use fs_err as fs;
use taffrail_record::Timestamp;
use taffrail_record::sample::{Disk, DiskCounters, Interface, Sample, Traffic};

use super::*;

const FILES: [(&str, &str); 14] = [
    ("proc/meminfo", "MemTotal:  16 kB\nActive(anon):  976 kB\nHugePages_Total:   3\nnonsense\n"),
    ("proc/stat", "cpu 1\nintr 58892045 0 9\nctxt 5\n"),
    (
        "proc/vmstat",
        "nr_free_pages 7\npgfault 8\npgmajfault 9\npgpgin 10\npswpout 11\noom_kill 12\npgsteal_kswapd 1\n",
    ),
    (
        "proc/diskstats",
        "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 1500 16 1700\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n",
    ),
    ("proc/net/dev", "a\nb\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  veth9: 1 2\n"),
    ("proc/net/arp", "IP address HW Flags\n10.0.0.1 0x1 0x2 aa * eth0\n10.0.0.2 0x1 0x2 bb * eth0\n"),
    ("proc/net/softnet_stat", "000000ff 00000001 00000002\n00000010 0 0 0 0 0 0 0 0 0 0 0 00000007\n"),
    ("proc/net/sockstat", "sockets: used 120\nTCP: inuse 5 orphan 0 tw 1 alloc 7 mem 2\n"),
    ("proc/net/snmp", "Ip: Forwarding DefaultTTL\nIp: 2 64\nTcp: RtoMin InSegs CurrEstab\nTcp: 200 -1 3\n"),
    ("proc/net/netstat", "TcpExt: SyncookiesSent ListenDrops PAWSActive\nTcpExt: 1 2 3\n"),
    ("proc/net/snmp6", "Ip6InReceives 7\nIp6InOctets                     \t5\nUdp6NoPorts 6\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "17\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
    ("proc/self/stat", "77 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 1000 4096 2\n"),
];

fn families(folder: &Path) -> Vec<Family> {
    for (name, text) in FILES.into_iter().chain([
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/mtu", "1400\n"),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("proc/self/fd/0", ""),
        ("proc/self/fd/1", ""),
    ]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let roots = Roots { proc: folder.join("proc"), sys: folder.join("sys") };
    let disk = |name: &str| Disk {
        name: name.to_owned(),
        is_physical: true,
        counters: DiskCounters::default(),
        rates: None,
    };
    let interface = Interface {
        name: "eth0".to_owned(),
        received: Traffic::default(),
        sent: Traffic::default(),
        rates: None,
    };
    let mut sample =
        Sample { disks: vec![disk("sda"), disk("sdb")], interfaces: vec![interface], ..Sample::default() };
    sample.system.booted = Some(Timestamp(1_000_000_000_000));
    Machine::new(roots, || Timestamp(0)).counters(&sample)
}

/// As Prometheus reads them.
fn lines(families: &[Family]) -> Vec<String> {
    let line = |family: &Family| {
        let name = family.name.clone();
        family
            .values
            .iter()
            .map(move |(labels, value)| match labels.first() {
                Some((label, of)) => format!("{name}{{{label}={of}}} {value}"),
                None => format!("{name} {value}"),
            })
            .collect::<Vec<_>>()
    };
    families.iter().flat_map(line).collect()
}

#[test]
fn tables_have_the_names_of_node_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let found = lines(&families(folder.path()));
    let page = rustix::param::page_size();
    let ticks = rustix::param::clock_ticks_per_second();
    for wanted in [
        "node_memory_Active_anon_bytes 999424",
        "node_memory_HugePages_Total 3",
        "node_intr_total 58892045",
        "node_vmstat_pgmajfault 9",
        "node_vmstat_oom_kill 12",
        "node_disk_reads_merged_total{device=sda} 2",
        "node_disk_reads_merged_total{device=sdb} 2",
        "node_disk_discard_time_seconds_total{device=sda} 1.5",
        "node_disk_flush_requests_time_seconds_total{device=sda} 1.7",
        "node_network_receive_multicast_total{device=eth0} 8",
        "node_network_transmit_colls_total{device=eth0} 14",
        "node_network_up{device=eth0} 1",
        "node_network_mtu_bytes{device=eth0} 1400",
        "node_network_speed_bytes{device=eth0} 125000000",
        "node_arp_entries{device=eth0} 2",
        "node_softnet_processed_total{cpu=0} 255",
        "node_softnet_processed_total{cpu=7} 16",
        "node_sockstat_sockets_used 120",
        "node_sockstat_TCP_mem 2",
        &format!("node_sockstat_TCP_mem_bytes {}", 2 * page),
        "node_netstat_Ip_Forwarding 2",
        "node_netstat_Tcp_CurrEstab 3",
        "node_netstat_Tcp_InSegs -1",
        "node_netstat_TcpExt_SyncookiesSent 1",
        "node_netstat_Ip6_InOctets 5",
        "node_netstat_Udp6_NoPorts 6",
        "node_nf_conntrack_entries_limit 262144",
        "process_open_fds 2",
        &format!("process_cpu_seconds_total {}", 200 / ticks),
        &format!("process_start_time_seconds {}", 1_000 + 1_000 / ticks),
        &format!("process_resident_memory_bytes {}", 2 * page),
    ] {
        assert!(found.iter().any(|line| line == wanted), "{wanted} in {found:#?}");
    }
    let others = [
        "nr_free_pages",
        "pgsteal",
        "RtoMin",
        "PAWSActive",
        "Ip6_InReceives",
        "veth9",
        "discards_completed_total{device=sdb}",
    ];
    for other in others {
        assert!(!found.iter().any(|line| line.contains(other)), "{other} in {found:#?}");
    }
}

#[test]
fn what_cannot_be_read_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    families(folder.path());
    for (name, _) in FILES {
        fs::write(folder.path().join(name), "\u{0}\n: :\n").unwrap();
    }
    let roots = Roots { proc: folder.path().join("proc"), sys: folder.path().join("none") };
    let machine = Machine::new(roots, || Timestamp(0));
    assert_eq!(lines(&machine.counters(&Sample::default())), [""; 0]);
    let nowhere = Roots { proc: folder.path().join("none"), sys: folder.path().join("none") };
    let machine = Machine::new(nowhere, || Timestamp(0));
    assert_eq!(lines(&machine.counters(&Sample::default())), [""; 0]);
}
