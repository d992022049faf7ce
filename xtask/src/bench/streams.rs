//! Streams under many clients at once: what a client costs, how late entries come, and that nobody misses one.

mod clients;
mod drain;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use taffrail_testkit::{Daemon, Scratch, wait_until};

use self::clients::{Caught, Clients, Crowd, Kind, Seen};
use super::calm::Rounds;
use super::figure::{Check, Figure, Report, Unit};
use super::follow::{Following, PATIENCE, scratch};
use super::process::{cpu, percentile, status_bytes};

/// Calm rounds of few clients, of which the best counts; and how often they, and those of many, are tried.
const ROUNDS: usize = 3;
const TRIES_FEW: usize = 12;
const TRIES_MANY: usize = 3;
/// Entries that a client may lag by: what those who read miss by a busy machine's doing is not what is measured.
const BUFFER: usize = 50_000;
/// Descriptors of ours, and of the daemon.
const DESCRIPTORS: u64 = 16_384;

/// Clients of a kind, and the lines that they watch.
struct Load {
    name: &'static str,
    crowd: Crowd,
    lines_per_second: u32,
    seconds: u32,
    /// The longest that the slowest entry of a hundred may take: must and aim.
    late_ms: [f64; 2],
}

const LOADS: [Load; 2] = [
    Load {
        name: "1,400 clients, 100 lines a second",
        crowd: Crowd { events: 1_000, lines: 200, sockets: 200 },
        lines_per_second: 100,
        seconds: 60,
        late_ms: [100.0, 50.0],
    },
    Load {
        name: "50 clients, 10,000 lines a second",
        crowd: Crowd { events: 40, lines: 5, sockets: 5 },
        lines_per_second: 10_000,
        seconds: 60,
        late_ms: [250.0, 100.0],
    },
];

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    raise_descriptors()?;
    for load in &LOADS {
        let rounds = Rounds::take(1, TRIES_MANY, || {
            let site = Site::start(following, BUFFER)?;
            let (before, costs) =
                (site.memory()?, site.watch(&load.crowd, load.lines_per_second, load.seconds)?);
            site.daemon.stop()?;
            Ok(Costs { before, ..costs })
        })?;
        rounds.note(report, &format!("{}: p99", load.name), |costs| costs.late(99));
        rounds.best(|costs| costs.late(99)).report(load, report);
        rounds.all().for_each(|costs| costs.check(load, report));
    }
    let few = Crowd { events: 10, lines: 0, sockets: 0 };
    let rounds = Rounds::take(ROUNDS, TRIES_FEW, || {
        let site = Site::start(following, BUFFER)?;
        let costs = site.watch(&few, 1_000, 10)?;
        site.daemon.stop()?;
        Ok(costs)
    })?;
    for (name, percent, limits) in [("p50", 50, [2.0, 1.5]), ("p99", 99, [10.0, 5.0])] {
        let name = format!("appended -> 10 event streams, {name}");
        let least = rounds.best(|costs| costs.late(percent)).late(percent);
        report.figures.push(Figure::absolute(&name, limits, least, Unit::Milliseconds));
        rounds.note(report, &name, |costs| costs.late(percent));
    }
    drain::measure(following, report)
}

/// A daemon with one stream.
struct Site {
    daemon: Daemon,
    log: PathBuf,
    events_port: u16,
    lines_port: u16,
    _scratch: Scratch,
}

/// What a load cost.
struct Costs {
    seen: Vec<Seen>,
    caught: Vec<Caught>,
    /// Lines that are stored.
    stored: u64,
    /// Sockets of the daemon that it did not have before the clients came.
    left_open: usize,
    clients: usize,
    lines: u32,
    /// Entries that were sent, to all clients together.
    handed: f64,
    cpu: Duration,
    /// Memory before clients came, and with all of them there, before the first line.
    before: u64,
    memory: u64,
}

impl Site {
    fn start(following: &Following, buffer: usize) -> Result<Self> {
        let (scratch, folder) = scratch(following)?;
        let (log, config) = (folder.join("stream.log"), folder.join("taffrail.toml"));
        fs::write(&log, "")?;
        let [events_port, lines_port] = free_ports()?;
        let server = |port: u16| format!("enabled = true\nport = {port}\nbuffer_size = {buffer}\n");
        let path = log.display();
        let text = format!(
            "[[streams]]\nname = 'bench'\nmonitor = {{ targets = [{{ path = '{path}', is_file = true }}] }}\n\
             [streams.httpserver]\n{}[streams.tcpserver]\n{}",
            server(events_port),
            server(lines_port)
        );
        fs::write(&config, text)?;
        let daemon =
            Daemon::builder(&following.binary, folder.join("data")).arg("-c").arg(&config).start()?;
        Ok(Self { daemon, log, events_port, lines_port, _scratch: scratch })
    }

    fn memory(&self) -> Result<u64> {
        status_bytes(self.daemon.pid(), "VmRSS:")
    }

    fn port(&self, kind: Kind) -> u16 {
        if kind == Kind::Lines { self.lines_port } else { self.events_port }
    }

    /// Seats the clients, then writes lines for so long while they watch. A tenth of them never reads.
    fn watch(&self, crowd: &Crowd, lines_per_second: u32, seconds: u32) -> Result<Costs> {
        let lines = lines_per_second * seconds;
        let sockets = self.sockets()?;
        let clients = Clients::connect(crowd, |kind| self.port(kind))?;
        let count = clients.count();
        self.seated(count)?;
        let (memory, before) = (self.memory()?, cpu(self.daemon.pid())?);
        let start = Instant::now();
        let (seen, caught) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| self.write(lines, lines_per_second, start));
            let seen = clients.watch(lines, start, PATIENCE);
            writer.join().expect("the writer does not panic").and(seen)
        })?;
        let cpu = cpu(self.daemon.pid())? - before;
        let metrics = self.daemon.get("/metrics").context("ask for the metrics")?.text();
        let sent = metrics.lines().filter(|line| line.starts_with("taffrail_stream_sent_total{"));
        let handed = sent.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        let rows = self.daemon.sql("SELECT count(*) FROM logs")?;
        let stored = rows.first().and_then(|row| row.first()?.as_u64()).context("count what is stored")?;
        let has_let_go = || self.sockets().is_ok_and(|now| now <= sockets);
        let left_open =
            if wait_until(PATIENCE, has_let_go) { 0 } else { self.sockets()?.saturating_sub(sockets) };
        Ok(Costs { before: 0, seen, caught, stored, left_open, clients: count, lines, handed, cpu, memory })
    }

    /// Sockets that the daemon has open.
    fn sockets(&self) -> Result<usize> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.daemon.pid()))?;
        let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        Ok(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count())
    }

    fn seated(&self, count: usize) -> Result<()> {
        let all = wait_until(PATIENCE, || {
            let metrics = self.daemon.get("/metrics").map(|answer| answer.text()).unwrap_or_default();
            let lines = metrics.lines().filter(|line| line.starts_with("taffrail_stream_clients{"));
            let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
            counts.sum::<usize>() == count
        });
        ensure!(all, "not all of {count} clients are seated: {}", self.daemon.stderr());
        Ok(())
    }

    /// Appends numbered lines that say when they were written.
    fn write(&self, lines: u32, lines_per_second: u32, start: Instant) -> Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(&self.log)?;
        let step = (lines_per_second / 1_000).max(1);
        for first in (0..lines).step_by(step as usize) {
            let due = start + Duration::from_secs(1) * first / lines_per_second;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let now = start.elapsed().as_nanos();
            let line =
                |number| format!("NUM {number} {now} some text of a usual length for a line of a log\n");
            file.write_all((first..(first + step).min(lines)).map(line).collect::<String>().as_bytes())?;
        }
        Ok(())
    }
}

impl Costs {
    /// The time that so many of a hundred entries took at most, in milliseconds.
    fn late(&self, percent: usize) -> f64 {
        let times: Vec<Duration> = self.seen.iter().flat_map(|seen| seen.late.iter().copied()).collect();
        if times.is_empty() { f64::INFINITY } else { percentile(&times, percent).as_secs_f64() * 1000.0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "no count is so large that it shows")]
    fn report(&self, load: &Load, report: &mut Report) {
        let Load { name, late_ms, .. } = load;
        let each = self.cpu.as_secs_f64() * 1e6 / self.handed;
        let figure = |what: &str, limits, measured, unit| {
            Figure::absolute(&format!("{name}: {what}"), limits, measured, unit)
        };
        report.figures.push(figure("CPU, entry x client", [2.0, 1.0], each, Unit::Microseconds));
        report.figures.push(figure("p99", *late_ms, self.late(99), Unit::Milliseconds));
        if self.clients >= 1_000 {
            let client = (self.memory.saturating_sub(self.before)) as f64 / 1024.0 / self.clients as f64;
            report.figures.push(Figure::absolute(
                "memory of an idle client",
                [32.0, 16.0],
                client,
                Unit::KiB,
            ));
        }
    }

    fn check(&self, load: &Load, report: &mut Report) {
        let right = self.seen.iter().filter(|seen| seen.next == self.lines && seen.is_in_order).count();
        report.checks.push(Check {
            name: format!("{}: those who read have every line in order", load.name),
            detail: format!("{right} of {} clients, {} lines", self.seen.len(), self.lines),
            is_right: right == self.seen.len() && right > 0,
        });
        let whole = self.caught.iter().filter(|caught| caught.is_whole).count();
        let missed: u32 = self.caught.iter().map(|caught| caught.missed).sum();
        report.checks.push(Check {
            name: format!("{}: those who did not read were told of all that they lost", load.name),
            detail: format!("{whole} of {} clients, {missed} lines lost together", self.caught.len()),
            is_right: whole == self.caught.len() && whole > 0,
        });
        report.checks.push(Check {
            name: format!("{}: all is stored, nothing stays open", load.name),
            detail: format!("{} lines, {} sockets more", self.stored, self.left_open),
            is_right: self.stored == u64::from(self.lines) && self.left_open == 0,
        });
    }
}

/// Two ports that are free now.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("0.0.0.0:0")?, TcpListener::bind("0.0.0.0:0")?];
    let port = |listener: &TcpListener| Ok::<_, std::io::Error>(listener.local_addr()?.port());
    Ok([port(&listeners[0])?, port(&listeners[1])?])
}

/// Lets this process, and the daemon that it starts, have a descriptor for each client.
fn raise_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    let current = Some(limit.current.map_or(wanted, |current| current.max(wanted)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum })
        .context("raise the limit of open files")
}
