//! `taffrail run`: the daemon, in the foreground.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fs_err as fs;
use taffrail_agent::control::{Clients, Control};
use taffrail_agent::live::{Live, LiveConfig};
use taffrail_agent::own_address;
use taffrail_agent::telemetry::{Telemetry, TelemetryConfig};
use taffrail_query::StoreEngine;
use taffrail_serve::audit::Audit;
use taffrail_serve::streams::{Overview, Refused, StreamConfig, Streams};
use taffrail_serve::{Hosts, Info, Limits, LiveHub, Machines, Server, Services, Totals};
use taffrail_store::{History, Store};
use taffrail_telemetry::{Machine, Roots};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::RunArgs;
use crate::client::DAEMON_FILE;
use crate::clock::now;
use crate::config::{Config, SourceConfig, SourceKind, ZoneChoice, unit};
use crate::demo::Demo;
use crate::exit::Outcome;
use crate::followers::{self, Followers};
use crate::logwisp;
use crate::pipeline::{Pipeline, offset_minutes};
use crate::pushes::Pushes;
use crate::recorder;
use crate::seen_formats::SeenFormats;
use crate::standing::Standing;
use crate::store_access;
use crate::terminal::{escape, escape_lines};

/// Batches that a live subscriber may lag behind.
const LIVE_CAPACITY: usize = 256;
/// How often the console tells how the streams stand.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Seed of the demo's traffic: every demo looks the same.
const DEMO_SEED: u64 = 8062;

/// As which program it presents itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Face {
    Taffrail,
    LogWisp,
}

/// Runs the command until SIGINT or SIGTERM.
pub(crate) fn run(args: &RunArgs, mut config: Config, face: Face) -> anyhow::Result<Outcome> {
    taffrail_source::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()?;
    // The address first: whoever starts a second daemon by mistake learns it before anything is touched.
    let server = runtime.block_on(taffrail_serve::bind(config.listen));
    let server =
        server.map_err(|error| anyhow::anyhow!("{error}: `--listen ADDR`, or `listen` in the config"))?;
    let (store, recovered) = store_access::open_to_write(&config)?;
    let store = Arc::new(store);
    let demo = args.demo.then(|| start_demo(&mut config)).transpose()?;
    let live = LiveHub::new(LIVE_CAPACITY);
    // Held here too: its runtime must not end inside of the server's.
    let sql_memory = config.query.memory_bytes as usize / config.query.concurrent.max(1);
    let engine = Arc::new(StoreEngine::new(Arc::clone(&store), sql_memory)?);
    let audit = Audit::open(&config.data_dir, now).context("open the audit log")?;
    let own = Arc::<StoreEngine>::clone(&engine);
    let streams = Streams::start(config.streams.clone(), args.router, now, own, &audit);
    let (streams, feed, refused) = runtime.block_on(streams)?;
    let stopping = Arc::default();
    let shown = config.control.listen.map(|address| Live::new(live_config(&config, address), now));
    let redactor = Arc::new(config.redact.redactor().map_err(anyhow::Error::msg)?);
    let seen = SeenFormats::default();
    let pipeline = Pipeline {
        store: Arc::clone(&store),
        live: live.clone(),
        feed,
        control: shown.clone(),
        redactor,
        seen: seen.clone(),
        stopping,
    };
    let followers = Arc::new(Followers::spawn(&config, &pipeline, now)?);
    match face {
        Face::Taffrail => {
            announce(&config, &store, &server, &recovered)?;
            announce_streams(&config, &refused);
        }
        Face::LogWisp => logwisp::announce(&config, &refused, server.address())?,
    }
    let machines = machines(&config, &store);
    let control =
        runtime.block_on(async { start_control(&config, shown.clone(), machines.machine.as_ref()) });
    announce_end(face);
    // Before anyone learns where it answers: who stops it at once is to see it end in order.
    let stop = runtime.block_on(async { stop_signal() })?;
    let daemon_file = store.lend_reserve(|| DaemonFile::write(&config.data_dir, &server))?;
    let standing = Standing::spawn(Arc::clone(&followers), seen, config.stall_after, now)?;
    let asked = Arc::<StoreEngine>::clone(&engine);
    recorder::spawn(config.telemetry, &machines, asked, now, &pipeline.stopping)?;
    let overview = streams.overview();
    runtime.spawn(report_streams(overview.clone()));
    let live_lines = shown.clone();
    let services = Services {
        streams: overview,
        live_lines: Arc::new(move || live_lines.as_ref().map(Live::totals).unwrap_or_default()),
        machines,
        ..services(&config, &pipeline, Arc::clone(&engine), live, standing, &server)?
    };
    runtime.block_on(async {
        // All learn it at once: who watches a stream does not wait until a search has ended.
        let (stopped, stopping) = watch::channel(false);
        let stopping = || {
            let mut stopping = stopping.clone();
            // An error means that all has ended: the same.
            async move { drop(stopping.wait_for(|stopping| *stopping).await) }
        };
        let clients = async {
            stopping().await;
            streams.stop().await;
            if let Some(control) = control {
                control.stop().await;
            }
        };
        let signal = async {
            stop.await;
            stopped.send_replace(true);
        };
        tokio::join!(server.run(services, stopping()), clients, signal);
    });
    tracing::info!("stopping: what was read is being stored");
    pipeline.stopping.set();
    drop((demo, daemon_file));
    followers.stop();
    runtime.shutdown_timeout(Duration::from_secs(5));
    match store.flush() {
        Err(error) if error.is_retriable() => {
            tracing::warn!("what is in memory stays in the log until the next start: {error}");
        }
        done => done.context("store what is in memory")?,
    }
    Ok(Outcome::Done)
}

fn start_demo(config: &mut Config) -> anyhow::Result<Demo> {
    let demo = Demo::start(&config.data_dir, DEMO_SEED)?;
    config.sources.push(Demo::source(&config.data_dir));
    Ok(demo)
}

/// From now on SIGINT and SIGTERM end what is given back, and no longer the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn services(
    config: &Config,
    pipeline: &Pipeline,
    engine: Arc<StoreEngine>,
    live: LiveHub,
    standing: Standing,
    server: &Server,
) -> anyhow::Result<Services> {
    Ok(Services {
        engine,
        ingest: Arc::new(Pushes::new(pipeline.clone(), &config.node, now)?),
        sources: Arc::new(standing),
        live,
        streams: Overview::default(),
        live_lines: Arc::new(Totals::default),
        machines: Machines::new(&config.node, Arc::new(History::none()), config.telemetry.keep),
        clock: now,
        info: Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_dir: config.data_dir.clone(),
            started: now(),
            retention_days: u32::try_from(config.retention.max_age.as_secs() / 86_400).unwrap_or(u32::MAX),
        },
        hosts: Hosts::for_listener(server.address(), &config.allowed_hosts),
        limits: Limits {
            query_time: config.query.timeout,
            queries: config.query.concurrent,
            ..Limits::default()
        },
    })
}

/// Says where things are, in a few lines.
#[expect(clippy::print_stdout, reason = "the first words of the daemon are for the person who started it")]
fn announce(
    config: &Config,
    store: &Store,
    server: &Server,
    recovered: &taffrail_store::Recovered,
) -> anyhow::Result<()> {
    let stats = store.stats()?;
    println!("taffrail {}", env!("CARGO_PKG_VERSION"));
    let size = unit::human_bytes(stats.segment_bytes + stats.wal_bytes);
    println!("  stores   {} ({} records, {size})", config.data_dir.display(), stats.records);
    if recovered.replayed > 0 {
        println!("           {} records came back from the write-ahead log", recovered.replayed);
    }
    for report in &recovered.reports {
        println!("  damaged  {}", escape(report));
    }
    for line in followers::announcement(config)? {
        println!("  follows  {line}");
    }
    println!("  answers  http://{}", server.address());
    Ok(())
}

/// Says where the streams are, and which are not.
#[expect(clippy::print_stdout, reason = "as `announce`")]
fn announce_streams(config: &Config, refused: &[Refused]) {
    for stream in &config.streams {
        let name = escape(&stream.name);
        if let Some(Refused { error, .. }) = refused.iter().find(|refused| refused.stream == stream.name) {
            tracing::error!("the stream `{name}` is not there: {error}");
            continue;
        }
        for place in stream.places() {
            println!("  streams  {}", escape(&place));
        }
        warn_of(stream);
    }
}

/// Says what people should know of a stream.
pub(crate) fn warn_of(stream: &StreamConfig) {
    for warning in stream.check().unwrap_or_default() {
        tracing::warn!("{}", escape(&warning));
    }
}

/// What Resolvix' clients watch.
fn live_config(config: &Config, address: SocketAddr) -> LiveConfig {
    let node_id = || own_address().map_or_else(|| config.node.clone(), |address| address.to_string());
    let shows_all = config.control.files.is_empty();
    let names = |source: &SourceConfig| match source.kind {
        SourceKind::Journal => vec![source.journal_name()],
        SourceKind::Files | SourceKind::Pipe => source.paths.clone(),
    };
    let all = || config.sources.iter().flat_map(names).collect();
    LiveConfig {
        address: SocketAddr::new(address.ip(), config.control.live_port),
        node: config.control.node_id.clone().unwrap_or_else(node_id),
        files: if shows_all { all() } else { config.control.files.clone() },
        shows_all,
        offset_minutes: offset_minutes(ZoneChoice::Local),
    }
}

/// This machine and its history.
fn machines(config: &Config, store: &Store) -> Machines {
    let machine = || Arc::new(Machine::new(Roots::default(), now));
    let machines = Machines::new(&config.node, Arc::clone(store.history()), config.telemetry.keep);
    Machines { machine: config.telemetry.is_enabled.then(machine), ..machines }
}

/// Answers Resolvix' clients, if that is wanted; where that is not possible all else goes on.
#[expect(clippy::print_stdout, reason = "as `announce`")]
fn start_control(config: &Config, live: Option<Live>, machine: Option<&Arc<Machine>>) -> Option<Control> {
    let (address, live) = (config.control.listen?, live?);
    let telemetry = machine.map(|machine| {
        let config = TelemetryConfig {
            address: SocketAddr::new(address.ip(), config.control.telemetry_port),
            node: live.config().node.clone(),
            interval: config.control.telemetry_interval,
            machine: Arc::clone(machine),
        };
        Telemetry::new(config, now)
    });
    match Control::start(address, Clients { live, telemetry, targets: Arc::default() }) {
        Ok(control) => {
            println!("  control  http://{address}/control");
            Some(control)
        }
        Err(error) => {
            tracing::error!("Resolvix' clients are not answered: {error}");
            None
        }
    }
}

/// Says how it is ended, where nobody has said it.
#[expect(clippy::print_stdout, reason = "as `announce`")]
fn announce_end(face: Face) {
    if face == Face::Taffrail {
        println!("Stop with Ctrl-C.");
    }
}

/// Says every half minute how the streams stand, as LogWisp does.
async fn report_streams(overview: Overview) {
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    // The first comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let lines = overview.console();
        if lines.is_empty() {
            return;
        }
        let now = jiff::Zoned::now();
        let said = format!("[{}] {}\n", now.strftime("%H:%M:%S"), escape_lines(&lines.join("\n")));
        // A pipe that nobody reads must hold up nobody else, and one that is closed has nobody to tell.
        let written = tokio::task::spawn_blocking(move || std::io::stdout().write_all(said.as_bytes()));
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}

/// `daemon.json`: tells commands where the daemon answers; gone when it has ended.
struct DaemonFile(PathBuf);

impl DaemonFile {
    fn write(data_dir: &Path, server: &Server) -> anyhow::Result<Self> {
        let path = data_dir.join(DAEMON_FILE);
        let text = serde_json::json!({"pid": std::process::id(), "address": server.address()}).to_string();
        // Whole or not at all: readers may look at any moment.
        let fresh = data_dir.join(format!("{DAEMON_FILE}.new"));
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &path)?;
        Ok(Self(path))
    }
}

impl Drop for DaemonFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("{error}");
        }
    }
}
