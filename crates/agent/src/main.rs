//! The slim agent: the program `taffrail-agent`.

use std::process::ExitCode;

use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let is_colored = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(is_colored)
        .with_max_level(LevelFilter::INFO)
        .with_target(false)
        .init();
    let offset = jiff::tz::TimeZone::system().to_offset(jiff::Timestamp::now()).seconds() / 60;
    taffrail_agent::run(std::env::args_os(), i16::try_from(offset).unwrap_or(0))
}
