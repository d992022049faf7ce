//! The slim agent: what it costs while nothing happens, a sample on a machine with many processes, and sending a file that grew
//! while nobody looked.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use taffrail_testkit::{Daemon, Program, wait_until};

use super::calm::Rounds;
use super::figure::{Figure, Report, Unit, mib, time};
use super::follow::{Following, PATIENCE, scratch};
use super::process::{cost, cpu, status_bytes};
use crate::workspace;

const FILES: usize = 10;
const PROCESSES: usize = 500;
/// Until the start is over.
const SETTLE: Duration = Duration::from_secs(15);
/// How long an agent is watched that has nothing to do but samples.
const WATCHED: Duration = Duration::from_secs(60);
/// How often samples are taken where they are what is measured.
const SAMPLES: u32 = 30;
const SAMPLE_TRIES: usize = 4;

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let program = workspace::build_agent("release")?;
    let bytes = fs::metadata(&program)?.len();
    report.figures.push(Figure::absolute("agent: size of the program", [12.0, 10.0], mib(bytes), Unit::MiB));
    let (_scratch, folder) = scratch(following)?;
    let hub = Daemon::builder(&following.binary, folder.join("hub")).arg(folder.join("none.log")).start()?;
    idle(&program, &folder, &hub, report)?;
    sample(&program, &folder, &hub, report)?;
    send(&program, &folder, &hub, &following.corpus, report)?;
    hub.stop()?;
    Ok(())
}

/// An agent, ended when dropped.
struct Agent(Program);

impl Agent {
    fn start(
        program: &Path,
        folder: &Path,
        name: &str,
        hub: &Daemon,
        logs: &Path,
        interval: u32,
    ) -> Result<Self> {
        let (config, port) = (folder.join(format!("{name}.toml")), free_port()?);
        fs::write(
            &config,
            format!(
                "node = '{name}'\n[[source]]\npath = '{}'\nfrom_beginning = true\n[[forward]]\nurl = 'http://{}'\n\
                 [telemetry]\ninterval_seconds = {interval}\n[control]\nport = {port}\n",
                logs.display(),
                hub.address()
            ),
        )?;
        let mut command = Command::new(program);
        command.arg("--config").arg(config).arg("--data").arg(folder.join(name));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(Program::start(command).context("start the agent")?))
    }

    fn cpu(&self) -> Result<Duration> {
        cpu(self.0.id())
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ten quiet files, a sample each ten seconds.
fn idle(program: &Path, folder: &Path, hub: &Daemon, report: &mut Report) -> Result<()> {
    let logs = folder.join("quiet");
    fs::create_dir_all(&logs)?;
    for number in 0..FILES {
        fs::write(logs.join(format!("{number}.log")), "the only line\n")?;
    }
    let agent = Agent::start(program, folder, "idle", hub, &logs.join("*.log"), 10)?;
    std::thread::sleep(SETTLE);
    let before = agent.cpu()?;
    std::thread::sleep(WATCHED);
    let used = agent.cpu()?.saturating_sub(before);
    let memory = status_bytes(agent.0.id(), "VmRSS:")?;
    let percent = 100.0 * used.as_secs_f64() / WATCHED.as_secs_f64();
    report.figures.extend([
        Figure::absolute("agent: memory while idle", [12.0, 8.0], mib(memory), Unit::MiB),
        Figure::absolute("agent: of one core while idle", [0.2, 0.1], percent, Unit::Percent),
    ]);
    Ok(())
}

/// Samples where there are 500 processes, all that belongs to sending them included.
fn sample(program: &Path, folder: &Path, hub: &Daemon, report: &mut Report) -> Result<()> {
    let is_process = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().is_ok();
    let there = fs::read_dir("/proc")?.flatten().filter(is_process).count();
    let more = PROCESSES.saturating_sub(there);
    let spawn = || Program::start(Command::new("sleep").arg("600"));
    let _others = std::iter::repeat_with(spawn).take(more).collect::<std::io::Result<Vec<_>>>()?;
    let agent = Agent::start(program, folder, "sampler", hub, &folder.join("none.log"), 1)?;
    std::thread::sleep(Duration::from_secs(8));
    let rounds = Rounds::take(1, SAMPLE_TRIES, || {
        let before = agent.cpu()?;
        std::thread::sleep(Duration::from_secs(SAMPLES.into()));
        Ok(1e3 * (agent.cpu()?.saturating_sub(before) / SAMPLES).as_secs_f64())
    })?;
    let name = format!("agent: CPU of a sample of {PROCESSES} processes");
    let each = *rounds.best(|each| *each);
    report.figures.push(Figure::absolute(&name, [5.0, 3.0], each, Unit::Milliseconds));
    rounds.note(report, &name, |each| *each);
    Ok(())
}

/// The corpus from its beginning, against what `zstd -1` takes for the same bytes.
fn send(program: &Path, folder: &Path, hub: &Daemon, corpus: &Path, report: &mut Report) -> Result<()> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-1", "-T1", "-q", "-c"]).arg(corpus).stdout(Stdio::null());
    let before = cost(&mut zstd)?.cpu;
    let lines = super::count_lines(corpus)?;
    let agent = Agent::start(program, folder, "sender", hub, corpus, 3_600)?;
    let stored = || {
        std::thread::sleep(Duration::from_millis(500));
        let rows = hub.sql("SELECT count(*) FROM logs WHERE source LIKE 'sender:%'");
        rows.ok().and_then(|rows| rows.first()?.first()?.as_u64()) >= Some(lines)
    };
    ensure!(wait_until(PATIENCE, stored), "the lines of the agent are not stored: {}", hub.stderr());
    let used = agent.cpu()?;
    let after = cost(&mut zstd)?.cpu;
    let yardstick = (before + after) / 2;
    report.figures.push(Figure::times("agent: CPU of sending / zstd -1 CPU", [2.5, 1.25], used, yardstick));
    report.note("zstd -1 CPU, before and after the agent", format!("{}, {}", time(before), time(after)));
    Ok(())
}
