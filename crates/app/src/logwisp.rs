//! `logwisp`: the daemon as LogWisp is started, by its flags, its config file and its variables; with its words and exit codes.
//!
//! What it streams it also stores, so that clients can come back to what they missed: in a data directory of its own beside
//! that of `taffrail`, so that both may run on one machine.

mod arguments;
mod place;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use taffrail_serve::streams::{HttpConfig, Refused, StreamConfig};

use self::arguments::{Arguments, Asked, USAGE};
use self::place::{Place, TEMPORARY_BYTES};
use crate::cli::RunArgs;
use crate::commands::run::{self, Face};
use crate::config::{Config, Overrides, Problem};
use crate::terminal::{self, escape};

/// The program's name, and that of the command.
const NAME: &str = "logwisp";
/// Exit code of wrong flags, as Go's programs have it.
const WRONG_FLAGS: u8 = 2;
/// Where UI and API of this daemon answer: the usual port may be taken by `taffrail`.
const LISTEN: &str = "127.0.0.1:0";

/// What a config is where there is none, in a few words.
const DEFAULT_SAYS: &str = "*.log of this folder is streamed to everybody";
/// The same.
pub(crate) const DEFAULT_CONFIG: &str = r#"[[streams]]
name = "default"
monitor = { targets = [{ path = "./", pattern = "*.log", is_file = false }] }
[streams.httpserver]
enabled = true
port = 8080
buffer_size = 1000
stream_path = "/stream"
status_path = "/status"
heartbeat = { enabled = true, interval_seconds = 30, include_timestamp = true, include_stats = false, format = "comment" }
"#;

/// The arguments behind the name, if it is what is asked for: under this name, or `taffrail logwisp`.
pub(crate) fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = arguments.next()?;
    let is_name = Path::new(&program).file_name().is_some_and(|name| name == NAME);
    (is_name || arguments.next()? == NAME).then(|| arguments.collect())
}

/// Runs until SIGINT or SIGTERM.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "its words go where those of the original go")]
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let arguments = match Arguments::read(arguments) {
        Ok(Asked::Run(arguments)) => arguments,
        Ok(Asked::Version) => {
            println!("{NAME} of taffrail {} (commit: unknown, built: unknown)", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Help) => {
            eprint!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprint!("{wrong}\n{USAGE}");
            return ExitCode::from(WRONG_FLAGS);
        }
    };
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{}", escape(error)));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<(), Vec<String>> {
    let failed = |problems: Vec<Problem>| {
        problems.iter().map(|problem| format!("Failed to load config: {problem}")).collect::<Vec<_>>()
    };
    let overrides = Overrides {
        listen: Some(LISTEN.to_owned()).filter(|_| std::env::var_os("TAFFRAIL_LISTEN").is_none()),
        router: arguments.router,
        is_logwisp: true,
        ..Overrides::default()
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let path = arguments.config_path(&variable);
    let is_named = arguments.config.is_some() || variable("LOGWISP_CONFIG_FILE").is_some();
    let mut config = Config::of_logwisp(path.as_deref(), is_named, &overrides).map_err(failed)?;
    terminal::init_log(config.log_level);
    if !path.as_ref().is_some_and(|path| path.exists()) {
        tracing::warn!("there is no config file: {DEFAULT_SAYS}; `-config FILE` names one");
    }
    if variable("TAFFRAIL_DATA").is_none() {
        settle(&mut config, path.as_deref(), &variable);
    }
    let args = RunArgs { listen: None, router: arguments.router, demo: false, paths: Vec::new() };
    run::run(&args, config, Face::LogWisp).map(drop).map_err(|error| vec![format!("{error:#}")])
}

/// Stores where that can be done.
fn settle(config: &mut Config, path: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) {
    let Place { path, is_temporary } = Place::choose(&config.data_dir, path, &std::env::temp_dir(), variable);
    if is_temporary {
        config.retention.max_size_bytes = config.retention.max_size_bytes.min(TEMPORARY_BYTES);
        let (usual, kept) = (config.data_dir.display(), TEMPORARY_BYTES >> 20);
        tracing::warn!(
            "{usual} cannot be written to: the last {kept} MiB are kept in {}, for clients that come back; \
             TAFFRAIL_DATA names a directory that lasts",
            path.display()
        );
    }
    config.data_dir = path;
}

/// Says where the streams are, and which are not.
///
/// # Errors
/// If none is.
#[expect(clippy::print_stdout, reason = "as the original")]
pub(crate) fn announce(config: &Config, refused: &[Refused], address: SocketAddr) -> anyhow::Result<()> {
    let mut running = 0;
    for stream in &config.streams {
        let name = escape(&stream.name);
        println!("Initializing stream '{name}'...");
        if let Some(Refused { error, .. }) = refused.iter().find(|refused| refused.stream == stream.name) {
            println!("Failed to create stream '{name}': {}", escape(error));
            continue;
        }
        running += 1;
        for place in places(stream, config.is_router) {
            println!("  {}", escape(&place));
        }
        run::warn_of(stream);
    }
    tracing::info!("metrics for Prometheus are at http://{address}/metrics");
    anyhow::ensure!(running > 0, "No streams successfully started");
    println!("\n{running} stream(s) running. Press Ctrl+C to stop.");
    Ok(())
}

fn places(stream: &StreamConfig, is_router: bool) -> Vec<String> {
    let tcp = stream.tcp.iter().map(|tcp| format!("TCP: port {}", tcp.port));
    let http = stream.http.iter().map(|http| {
        let HttpConfig { port, stream_path, status_path, tls, .. } = http;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base =
            if is_router { format!("/{}", stream.name) } else { format!("{scheme}://localhost:{port}") };
        format!("HTTP: {base}{stream_path} (stream), {base}{status_path} (status)")
    });
    let auth = stream.access.name().map(|name| format!("Auth: {name}"));
    tcp.chain(http).chain(auth).collect()
}
