//! The kernel: a firewall, links that go down, and now and then a process that is killed for memory.

use taffrail_record::Timestamp;

use super::world::{File, NODE, Tick, stamp};

/// The kernel.
pub(super) struct Kernel {
    uptime_ns: i64,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self { uptime_ns: 812_004 * Timestamp::SECOND }
    }

    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        self.uptime_ns += super::world::TICK_NS;
        if !tick.random.chance(45) {
            return;
        }
        let (port, host) = (tick.random.range(1, 10_000), tick.random.range(2, 250));
        let texts = match tick.random.range(0, 40) {
            0 => vec![
                "Out of memory: Killed process 24117 (java) total-vm:4823904kB, anon-rss:1912884kB"
                    .to_owned(),
                "oom_reaper: reaped process 24117 (java), now anon-rss:0kB".to_owned(),
            ],
            1 | 2 => vec!["eth0: Link is Down".to_owned(), "eth0: Link is Up - 1Gbps/Full".to_owned()],
            3 => vec![
                "EXT4-fs warning (device sda1): ext4_dx_add_entry:2461: Directory index full!".to_owned(),
            ],
            4 => vec![format!("CPU{}: Core temperature above threshold, cpu clock throttled", host % 4)],
            _ => vec![format!(
                "[UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.{host} DST=203.0.113.6 LEN=44 PROTO=TCP SPT=51234 DPT={port} SYN"
            )],
        };
        let moments = tick.moments(texts.len() as u64);
        for (moment, text) in moments.into_iter().zip(texts) {
            let seconds = self.uptime_ns / Timestamp::SECOND;
            let micros = self.uptime_ns % Timestamp::SECOND / 1_000;
            let time = stamp(moment, "%b %e %H:%M:%S");
            tick.line(File::Kernel, moment, format!("{time} {NODE} kernel: [{seconds}.{micros:06}] {text}"));
        }
    }
}
