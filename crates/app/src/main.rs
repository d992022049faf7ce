//! The program `taffrail`: reads its arguments and config, runs one command, ends with its exit code.

mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod demo;
mod exit;
mod followers;
mod logwisp;
mod pipeline;
mod pushes;
mod recorder;
mod seen_formats;
mod standing;
mod store_access;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use cli::{Cli, Command};
use commands::run::Face;
use config::{Config, Overrides};
use terminal::Terminal;

/// How long the daemon keeps memory that it freed: it needs as much again with the next memtable.
const KEEP_FREED: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    if let Some(arguments) = logwisp::asked(std::env::args_os()) {
        taffrail_memory::keep_freed(KEEP_FREED);
        return logwisp::run(&arguments);
    }
    // It has flags of its own, some by the names of ours.
    if std::env::args_os().nth(1).is_some_and(|word| word == "agent") {
        return agent(std::env::args_os().skip(2));
    }
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(error) => return exit::for_clap(&error),
    };
    let terminal = Terminal::of_process(&cli.global);
    let mut overrides = Overrides::from_global(&cli.global);
    match &cli.command {
        Command::ConfigDocs => return exit::code(commands::config_docs::run()),
        Command::Check(args) => return exit::code(commands::check::run(args, &cli.global, terminal)),
        Command::Run(args) => {
            taffrail_memory::keep_freed(KEEP_FREED);
            overrides.listen.clone_from(&args.listen);
            overrides.paths.clone_from(&args.paths);
            overrides.router = args.router;
        }
        _ => {}
    }
    let config = match Config::from_process(cli.global.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => return exit::for_problems(&problems),
    };
    terminal::init_log(config.log_level);
    exit::code(match cli.command {
        Command::Run(args) => commands::run::run(&args, config, Face::Taffrail),
        Command::Import(args) => commands::import::run(&args, &config, terminal),
        Command::Search(args) => commands::search::run(&args, &config, terminal),
        Command::Sql(args) => commands::sql::run(&args, &config, terminal),
        Command::Tail(args) => commands::tail::run(&args, &config, terminal),
        Command::Sources(args) => commands::sources::run(&args, &config, terminal),
        Command::Explain(args) => commands::explain::run(&args, &config, terminal),
        Command::Nodes(args) => commands::nodes::run(&args, &config, terminal),
        Command::Collect(args) => commands::collect::run(&args, &config, terminal),
        Command::Status(args) => commands::status::run(&args, &config, terminal),
        Command::Export(args) => commands::export::run(&args, &config, terminal),
        Command::Agent { .. } | Command::Check(_) | Command::ConfigDocs | Command::Logwisp { .. } => {
            unreachable!("answered before the config is read")
        }
    })
}

/// Runs as an agent.
fn agent(flags: impl Iterator<Item = OsString>) -> ExitCode {
    terminal::init_log(config::LogLevel::Info);
    let offset = pipeline::offset_minutes(config::ZoneChoice::Local);
    taffrail_agent::run(std::iter::once("taffrail agent".into()).chain(flags), offset)
}
