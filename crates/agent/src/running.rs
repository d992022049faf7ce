//! A running agent: one thread a source, a target, and the machine; one for its clients.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use taffrail_forward::{Lines, Spool, Target, TargetConfig};
use taffrail_record::Timestamp;
use taffrail_telemetry::{Machine, Roots, Sampler, envelope};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;
use crate::config::{Config, SourceConfig, TargetFile};
use crate::control::{Clients, Control, Sending};
use crate::followers::Following;
use crate::live::{Live, LiveConfig};
use crate::sink::AgentSink;
use crate::stopping::Stopping;
use crate::telemetry::{Telemetry, TelemetryConfig};

/// The first sample is sent so soon after the start.
const FIRST_SAMPLE: Duration = Duration::from_secs(5);
/// Time that what is on its way gets at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An agent that runs.
pub(crate) struct Running {
    runtime: Runtime,
    stopping: Arc<Stopping>,
    control: Option<Control>,
    /// `None`: nobody is sent to.
    spool: Option<Spool>,
    targets: Vec<Target>,
    followers: Vec<Following>,
}

impl Running {
    /// Starts all of it; `offset_minutes` is how far the machine's times are east of UTC.
    pub(crate) fn start(config: &Config, offset_minutes: i16) -> anyhow::Result<Self> {
        taffrail_source::raise_file_limit();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let machine = config.interval.map(|_| Arc::new(Machine::new(Roots::default(), now)));
        let clients = clients(config, machine.as_ref(), offset_minutes);
        let (live, told) = (clients.live.clone(), Arc::clone(&clients.targets));
        // The address first: whoever starts a second agent by mistake learns it before anything is touched.
        let control =
            config.control.map(|address| runtime.block_on(async { Control::start(address, clients) }));
        let control = control
            .transpose()
            .map_err(|error| anyhow!("{error}: --control-port, or [control] in the file"))?;
        let configs = targets(config, offset_minutes);
        configs.iter().try_for_each(TargetConfig::check)?;
        let spool = if configs.is_empty() { None } else { Some(open(config)?) };
        let spawn = |config| spool.as_ref().map(|spool| Target::spawn(config, spool, now));
        let targets = configs.into_iter().filter_map(spawn).collect::<Result<Vec<_>, _>>()?;
        // It is set here and nowhere else.
        let _ = told.set(Sending {
            targets: targets.clone(),
            spool: spool.clone(),
            telemetry_port: config.telemetry_port,
            interval_seconds: config.interval_seconds,
        });
        let stopping = Arc::<Stopping>::default();
        if let (Some(spool), Some(interval), Some(machine)) = (&spool, config.interval, machine) {
            let (spool, node, stopping) = (spool.clone(), config.node.clone(), Arc::clone(&stopping));
            let run = move || measure(interval, machine, &spool, &node, &stopping);
            thread::Builder::new().name("telemetry".to_owned()).spawn(run)?;
        }
        announce(config);
        let sink = AgentSink {
            spool: spool.clone(),
            live,
            lines: config.lines(),
            rules: config.rules,
            prints: config.prints,
            node: config.node.clone(),
            offset_minutes,
            stopping: Arc::clone(&stopping),
            noted: HashMap::new(),
        };
        let checkpoints = spool.as_ref().map(Spool::checkpoints).unwrap_or_default();
        let follow = |source| Following::spawn(source, &checkpoints, Box::new(sink.clone()), now);
        let followers = config.sources.iter().map(follow).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { runtime, stopping, control, spool, targets, followers })
    }

    /// Waits for SIGINT or SIGTERM, or until nobody reads what is printed.
    pub(crate) fn wait(&self) -> std::io::Result<()> {
        self.runtime.block_on(async {
            tokio::select! {
                stopped = stopped() => stopped,
                () = self.stopping.is_set() => Ok(()),
            }
        })
    }

    /// Reads nothing more, and sends what can be sent in a moment.
    pub(crate) fn stop(self) {
        self.stopping.set();
        self.followers.into_iter().for_each(Following::stop);
        if let Some(control) = self.control {
            self.runtime.block_on(control.stop());
        }
        if let Some(spool) = &self.spool {
            last_words(spool, &self.targets);
        }
        self.runtime.shutdown_timeout(Duration::ZERO);
    }
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
        is_resolvix_likely: target.is_resolvix_likely,
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
        files: config.sources.iter().flat_map(SourceConfig::names).collect(),
        shows_all: true,
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

/// The first words of the original, for whoever reads them.
fn announce(config: &Config) {
    let mut out = std::io::stdout();
    if let Some(address) = config.control {
        let _ = writeln!(out, "[daemon] Control HTTP endpoint listening on {address}/control");
        if !address.ip().is_loopback() {
            tracing::warn!(
                "whoever reaches {address} may watch the logs of this machine; --control-address 127.0.0.1 keeps that here"
            );
        }
    }
    let telemetry = if config.interval.is_some() { "enabled" } else { "disabled" };
    let _ = writeln!(out, "[daemon] Telemetry: {telemetry}");
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

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
