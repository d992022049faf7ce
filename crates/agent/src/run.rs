//! The agent's command line: what is asked for is printed, or done until a signal ends it.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use taffrail_telemetry::{Machine, Roots, inventory};

use crate::arguments::{self, Arguments};
use crate::config::{Config, own_address};
use crate::running::{Running, now};
use crate::unit::unit;

/// Exit codes of the original: wrong arguments, and all else that goes wrong.
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Runs the agent with these arguments, the program's name first, until SIGINT or SIGTERM. What it says of itself goes to
/// where `tracing` is told; `offset_minutes` is how far the machine's times are east of UTC.
pub fn run(arguments: impl IntoIterator<Item = OsString>, offset_minutes: i16) -> ExitCode {
    if let Err(message) = arguments::check_environment(|name| std::env::var_os(name)) {
        tracing::error!("{message}");
        return ExitCode::from(FAILED);
    }
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
    match work(&config, offset_minutes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn print(text: &str) -> ExitCode {
    // A closed pipe is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn work(config: &Config, offset_minutes: i16) -> anyhow::Result<()> {
    let running = Running::start(config, offset_minutes)?;
    running.wait()?;
    running.stop();
    Ok(())
}
