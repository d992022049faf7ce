//! `taffrail config-docs`: writes `docs/config.md`.

use std::io::{self, Write};

use crate::config;
use crate::exit::Outcome;

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<Outcome> {
    io::stdout().lock().write_all(config::markdown().as_bytes())?;
    Ok(Outcome::Done)
}
