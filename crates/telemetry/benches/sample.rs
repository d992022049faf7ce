//! What a sample costs: CPU time, with as many processes as the machine has, and with 500 of them.
//!
//! `cargo bench -p taffrail-telemetry`

use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cpu_time::ProcessTime;
use taffrail_record::Timestamp;
use taffrail_telemetry::{Machine, Roots, Sampler};

const ROUNDS: u32 = 20;
const PROCESSES: usize = 500;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[expect(clippy::print_stdout, reason = "it is what a bench is for")]
fn cost(name: &str) {
    let machine = Arc::new(Machine::new(Roots::default(), now));
    let mut sampler = Sampler::new(machine);
    let mut costs: Vec<Duration> = Vec::new();
    let mut processes = 0;
    for _ in 0..ROUNDS {
        std::thread::sleep(Duration::from_millis(110));
        let start = ProcessTime::now();
        let sample = sampler.sample();
        costs.push(start.elapsed());
        processes = sample.processes.map_or(0, |processes| processes.count);
    }
    costs.sort_unstable();
    println!("{name}: {processes} processes, median {:?}, least {:?}", costs[costs.len() / 2], costs[0]);
}

fn main() {
    cost("as it is");
    let spawn = || Command::new("sleep").arg("60").spawn().ok();
    let mut children: Vec<Child> = std::iter::repeat_with(spawn).take(PROCESSES).flatten().collect();
    cost("busy");
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}
