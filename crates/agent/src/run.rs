//! The agent: follows, measures, keeps, sends; one thread a source set, a target, and the machine.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Parser as _;
use clap::error::ErrorKind;
use taffrail_forward::{Lines, Spool, Target, TargetConfig};
use taffrail_record::Timestamp;
use taffrail_telemetry::{Machine, Roots, Sampler, envelope, inventory};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;
use crate::config::{Config, TargetFile, own_address};
use crate::control::{Clients, Control};
use crate::followers::Following;
use crate::live::{Live, LiveConfig};
use crate::sink::AgentSink;
use crate::stopping::Stopping;
use crate::telemetry::{Telemetry, TelemetryConfig};
use crate::unit::unit;

/// The first sample is sent so soon after the start.
const FIRST_SAMPLE: Duration = Duration::from_secs(5);
/// Time that what is on its way gets at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Exit codes of the original: wrong arguments, and all else that goes wrong.
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Runs the agent with these arguments, the program's name first, until SIGINT or SIGTERM. What it says of itself goes to
/// where `tracing` is told; `offset_minutes` is how far the machine's times are east of UTC.
pub fn run(arguments: impl IntoIterator<Item = OsString>, offset_minutes: i16) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is no reason to fail.
            let _ = error.print();
            let is_asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if is_asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    if arguments.system_info {
        return print(&inventory(&Machine::new(Roots::default(), now), own_address()));
    }
    let config = match Config::of(&arguments) {
        Ok(config) => config,
        Err(message) => {
            tracing::error!("{message}");
            return ExitCode::from(USAGE);
        }
    };
    if arguments.print_unit {
        let program = std::env::current_exe().map(OsString::from);
        let command: Vec<_> = program.into_iter().chain(std::env::args_os().skip(1)).collect();
        let folder = std::env::current_dir().unwrap_or_default();
        return print(unit(&command, &arguments, &config, &folder).trim_end());
    }
    match work(config, offset_minutes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

#[expect(clippy::print_stdout, reason = "it was asked for")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// The wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn work(config: Config, offset_minutes: i16) -> anyhow::Result<()> {
    taffrail_source::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = config.interval.map(|_| Arc::new(Machine::new(Roots::default(), now)));
    let clients = clients(&config, machine.as_ref(), offset_minutes);
    let (live, sending) = (clients.live.clone(), Arc::clone(&clients.targets));
    // The address first: whoever starts a second agent by mistake learns it before anything is touched.
    let control = config.control.map(|address| runtime.block_on(async { Control::start(address, clients) }));
    let control = control.transpose();
    let control =
        control.map_err(|error| anyhow::anyhow!("{error}: --control-port, or [control] in the file"))?;
    let configs = targets(&config, offset_minutes);
    configs.iter().try_for_each(TargetConfig::check)?;
    let spool = match config.targets.is_empty() {
        true => None,
        false => Some(open(&config)?),
    };
    let stopping = Arc::<Stopping>::default();
    let mut targets = Vec::new();
    if let Some(spool) = &spool {
        for config in configs {
            targets.push(Target::spawn(config, spool, now)?);
        }
        if let (Some(interval), Some(machine)) = (config.interval, machine) {
            let (spool, node, stopping) = (spool.clone(), config.node.clone(), Arc::clone(&stopping));
            let run = move || measure(interval, machine, &spool, &node, &stopping);
            thread::Builder::new().name("telemetry".to_owned()).spawn(run)?;
        }
    }
    // It is set here and nowhere else.
    let _ = sending.set(targets.clone());
    announce(&config);
    let sink = || AgentSink {
        spool: spool.clone(),
        live: live.clone(),
        lines: config.lines(),
        rules: config.rules,
        prints: config.prints,
        node: config.node.clone(),
        offset_minutes,
        stopping: Arc::clone(&stopping),
        noted: HashMap::new(),
    };
    let checkpoints = spool.as_ref().map(Spool::checkpoints).unwrap_or_default();
    let follow = |source| Following::spawn(source, &checkpoints, Box::new(sink()), now);
    let followers = config.sources.iter().map(follow).collect::<Result<Vec<_>, _>>()?;
    runtime.block_on(stopped())?;
    stopping.set();
    followers.into_iter().for_each(Following::stop);
    if let Some(control) = control {
        runtime.block_on(control.stop());
    }
    if let Some(spool) = &spool {
        last_words(spool, &targets);
    }
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(())
}

/// What is on its way arrives, or is sent again after the next start.
fn last_words(spool: &Spool, targets: &[Target]) {
    let deadline = Instant::now() + LAST_WORDS;
    let is_well = || targets.iter().all(|target| target.standing().failing.is_none());
    while spool.fill().entries > 0 && is_well() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    spool.close();
}

fn targets(config: &Config, offset_minutes: i16) -> Vec<TargetConfig> {
    let target = |target: &TargetFile| TargetConfig {
        url: target.url.clone(),
        protocol: target.protocol,
        // A spool of errors has nothing else.
        lines: if config.lines() == Lines::Errors { Lines::All } else { target.lines },
        access: target.access.clone(),
        node: config.node.clone(),
        rules: config.rules,
        offset_minutes,
    };
    config.targets.iter().map(target).collect()
}

fn open(config: &Config) -> anyhow::Result<Spool> {
    let folder = config.data_dir.join("spool");
    let names: Vec<String> = config.targets.iter().map(|target| target.url.clone()).collect();
    Spool::open(&folder, config.spool_bytes, &names, now)
        .with_context(|| format!("open the spool in {}; name another place with --data", folder.display()))
}

fn clients(config: &Config, machine: Option<&Arc<Machine>>, offset_minutes: i16) -> Clients {
    let address = config.control.map_or(Arguments::EVERYWHERE, |address| address.ip());
    let live = LiveConfig {
        address: SocketAddr::new(address, config.live_port),
        node: config.node.clone(),
        files: Vec::new(),
        offset_minutes,
    };
    let telemetry = machine.zip(config.interval).map(|(machine, interval)| {
        let config = TelemetryConfig {
            address: SocketAddr::new(address, config.telemetry_port),
            node: config.node.clone(),
            interval,
            machine: Arc::clone(machine),
        };
        Telemetry::new(config, now)
    });
    Clients { live: Live::new(live, now), telemetry, targets: Arc::default() }
}

/// The first words of the original.
#[expect(clippy::print_stdout, reason = "whoever starts the original reads this")]
fn announce(config: &Config) {
    if let Some(address) = config.control {
        println!("[daemon] Control HTTP endpoint listening on {address}/control");
        if !address.ip().is_loopback() {
            tracing::warn!(
                "whoever reaches {address} may watch the logs of this machine; --control-address 127.0.0.1 keeps that here"
            );
        }
    }
    println!("[daemon] Telemetry: {}", if config.interval.is_some() { "enabled" } else { "disabled" });
}

/// Takes a sample each interval, the first a few seconds after the start.
fn measure(interval: Duration, machine: Arc<Machine>, spool: &Spool, node: &str, stopping: &Stopping) {
    let mut sampler = Sampler::new(machine);
    let mut wait = FIRST_SAMPLE.min(interval);
    while !stopping.within(wait) {
        if let Err(error) = spool.put_sample(&envelope(&sampler.sample(), node)) {
            tracing::warn!("a sample of the machine is lost: {error}");
        }
        wait = interval;
    }
}

/// Resolves with SIGINT or SIGTERM.
async fn stopped() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
