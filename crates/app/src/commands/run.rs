//! `taffrail run`: the daemon, in the foreground.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use fs_err as fs;
use taffrail_query::StoreEngine;
use taffrail_record::Timestamp;
use taffrail_serve::{Hosts, Info, Limits, LiveHub, Server, Services};
use taffrail_source::{Follower, SourceStatus};
use taffrail_store::Store;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArgs;
use crate::client::DAEMON_FILE;
use crate::config::{Config, Origin as SourcesFrom, SourceConfig, StartAt, unit};
use crate::demo::Demo;
use crate::exit::Outcome;
use crate::pipeline::{Origin, Pipeline, PipelineSink};
use crate::pushes::Pushes;
use crate::standing::{Place, Standing};
use crate::store_access;
use crate::terminal::escape;

/// Batches that a live subscriber may lag behind.
const LIVE_CAPACITY: usize = 256;
/// Seed of the demo's traffic: every demo looks the same.
const DEMO_SEED: u64 = 8062;
/// Followed files that the start-up message names.
const NAMED_FILES: usize = 6;

/// Runs the command until SIGINT or SIGTERM.
pub(crate) fn run(args: &RunArgs, mut config: Config) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()?;
    // The address first: whoever starts a second daemon by mistake learns it before anything is touched.
    let server = runtime.block_on(taffrail_serve::bind(config.listen))?;
    let (store, recovered) = store_access::open_to_write(&config)?;
    let store = Arc::new(store);
    let demo = args.demo.then(|| start_demo(&mut config)).transpose()?;
    let live = LiveHub::new(LIVE_CAPACITY);
    let stopping = Arc::default();
    let pipeline = Pipeline { store: Arc::clone(&store), live: live.clone(), stopping };
    let followers = Arc::new(Followers::spawn(&config, &pipeline)?);
    announce(&config, &store, &server, &recovered)?;
    // Before anyone learns where it answers: who stops it at once is to see it end in order.
    let stop = runtime.block_on(async { stop_signal() })?;
    let daemon_file = store.lend_reserve(|| DaemonFile::write(&config.data_dir, &server))?;
    // Held here too: its runtime must not end inside of the server's.
    let sql_memory = config.query.memory_bytes as usize / config.query.concurrent.max(1);
    let engine = Arc::new(StoreEngine::new(Arc::clone(&store), sql_memory)?);
    let standing = Standing::spawn(Arc::clone(&followers), config.stall_after, now)?;
    let services = services(&config, &pipeline, Arc::clone(&engine), live, standing, &server)?;
    runtime.block_on(server.run(services, stop));
    tracing::info!("stopping: what was read is being stored");
    pipeline.stopping.set();
    drop((demo, daemon_file));
    followers.stop();
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
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

fn now() -> Timestamp {
    Timestamp(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
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

/// What is followed: one follower a configured source.
pub(crate) struct Followers {
    followers: std::sync::Mutex<Vec<Follower>>,
}

impl Followers {
    fn spawn(config: &Config, pipeline: &Pipeline) -> anyhow::Result<Self> {
        let checkpoints = pipeline.store.checkpoints()?;
        let mut followers = Vec::new();
        let mut taken: Vec<String> = vec![format!("{}/**", config.data_dir.display())];
        for source in &config.sources {
            let origin = Origin::of(source);
            let sink = PipelineSink::new(pipeline.clone(), origin, &config.node);
            let follow = follow(config, source, &taken);
            // A file that two sources name is read once, by the first.
            taken.extend(source.paths.iter().cloned());
            followers.push(Follower::spawn(follow, checkpoints.clone(), Box::new(sink), now)?);
        }
        Ok(Self { followers: std::sync::Mutex::new(followers) })
    }

    /// Every source of every follower.
    pub(crate) fn status(&self) -> Vec<SourceStatus> {
        self.locked().iter().flat_map(Follower::status).collect()
    }

    /// The next `count` sources behind `place`, which moves on; fewer at the end.
    pub(crate) fn status_after(&self, place: &mut Place, count: usize) -> Vec<SourceStatus> {
        place.next(&self.locked(), count, |follower, after, count| follower.status_after(after, count))
    }

    /// The patterns of followers whose thread has ended by itself.
    pub(crate) fn ended(&self) -> Vec<String> {
        let followers = self.locked();
        let ended = followers.iter().filter(|follower| !follower.is_running());
        ended.map(|follower| follower.patterns().join(" ")).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Follower>> {
        self.followers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn stop(&self) {
        let followers = std::mem::take(&mut *self.locked());
        followers.into_iter().for_each(Follower::stop);
    }
}

fn follow(config: &Config, source: &SourceConfig, taken: &[String]) -> taffrail_source::Config {
    // The demo writes into the data directory, where nothing else is to be followed.
    let is_demo = *source == Demo::source(&config.data_dir);
    let taken = if is_demo { &[] } else { taken };
    let max_line_bytes = config.max_line_bytes as usize;
    let limits = taffrail_source::Limits { max_line_bytes, ..taffrail_source::Limits::default() };
    taffrail_source::Config {
        patterns: source.paths.clone(),
        exclude: source.exclude.iter().chain(taken).cloned().collect(),
        start_at: match source.start_at {
            StartAt::Beginning => taffrail_source::StartAt::Beginning,
            StartAt::End => taffrail_source::StartAt::End,
            StartAt::Last(bytes) => taffrail_source::StartAt::Last(bytes),
        },
        limits,
        ..taffrail_source::Config::default()
    }
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
    for line in followed(config)? {
        println!("  follows  {line}");
    }
    println!("  answers  http://{}", server.address());
    println!("Stop with Ctrl-C.");
    Ok(())
}

fn followed(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    if config.sources_from == SourcesFrom::Default {
        lines.push("this machine's logs (neither paths nor a config were given):".to_owned());
    }
    for source in &config.sources {
        let found = taffrail_source::discover(&source.paths, &source.exclude, 10_000)?;
        let patterns = source.paths.join(" ");
        let mut names: Vec<String> =
            found.files.iter().take(NAMED_FILES).map(|path| path.display().to_string()).collect();
        if found.files.len() > NAMED_FILES {
            names.push(format!("and {} more", found.files.len() - NAMED_FILES));
        }
        let names =
            if names.is_empty() { "nothing yet, waits for them".to_owned() } else { names.join(", ") };
        lines.push(format!("{}: {}", escape(&patterns), escape(&names)));
        lines.extend(found.refused.iter().take(NAMED_FILES).map(|(path, reason)| {
            format!("  not {}: {}", escape(&path.display().to_string()), escape(&reason.to_string()))
        }));
    }
    Ok(lines)
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
