//! How the program ends: exit codes and the last words on stderr.
//!
//! 0 found or done, 1 nothing found, 2 failure, 64 wrong usage. A closed pipe (`| head`) is no failure.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Problem;

/// Exit code of wrong usage, as in `sysexits.h`.
const USAGE: u8 = 64;
/// Exit code of a failure.
const FAILURE: u8 = 2;

/// How a command ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It did its work, or found something.
    Done,
    /// It found nothing.
    Nothing,
    /// It has said itself what failed.
    Failed,
}

impl Outcome {
    /// `Done` if there was anything.
    pub(crate) const fn found(anything: bool) -> Self {
        if anything { Self::Done } else { Self::Nothing }
    }
}

/// The user asked for something that cannot be meant.
#[derive(Debug)]
pub(crate) struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Ends a command: says what failed and gives the code.
pub(crate) fn code(result: anyhow::Result<Outcome>) -> ExitCode {
    let error = match result {
        Ok(Outcome::Done) => return ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => return ExitCode::from(1),
        Ok(Outcome::Failed) => return ExitCode::from(FAILURE),
        Err(error) => error,
    };
    if is_closed_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    say(&message(&error));
    ExitCode::from(if error.is::<UsageError>() { USAGE } else { FAILURE })
}

/// Ends after arguments that clap refused, or after `--help` and `--version`.
pub(crate) fn for_clap(error: &clap::Error) -> ExitCode {
    // Nowhere to say it if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Ends after a config that is wrong.
pub(crate) fn for_problems(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        say(&problem.to_string());
    }
    ExitCode::from(USAGE)
}

/// The whole chain of causes in one line, each once.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors repeat their cause in their own text.
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    // A connection to the daemon that breaks is a failure, though the system calls it the same.
    let of_connection = error.chain().any(|cause| cause.is::<ureq::Error>());
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    !of_connection && causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn say(message: &str) {
    // Log text may be part of a message.
    let message = crate::terminal::escape_lines(message);
    let _ = writeln!(io::stderr(), "taffrail: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn results_become_codes() {
        let broken = Err(anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("write"));
        for (result, want) in [
            (Ok(Outcome::found(true)), 0),
            (Ok(Outcome::found(false)), 1),
            (Ok(Outcome::Failed), 2),
            (Err(anyhow::anyhow!("no")), 2),
            (Err(UsageError("no".into()).into()), 64),
            (broken, 0),
        ] {
            assert_eq!(format!("{:?}", code(result)), format!("{:?}", ExitCode::from(want)));
        }
    }

    #[test]
    fn causes_are_told_once() {
        let error =
            Err::<(), _>(io::Error::other("disk is full")).context("write /d/x: disk is full").unwrap_err();
        assert_eq!(message(&error), "write /d/x: disk is full");
        let error = Err::<(), _>(io::Error::other("disk is full")).context("write /d/x").unwrap_err();
        assert_eq!(message(&error), "write /d/x: disk is full");
    }

    #[test]
    fn help_is_no_error() {
        use clap::Parser;
        let error = |line: &str| crate::cli::Cli::try_parse_from(line.split(' ')).unwrap_err();
        for (line, want) in [("taffrail --help", 0), ("taffrail --version", 0), ("taffrail --nope", 64)] {
            assert_eq!(
                format!("{:?}", for_clap(&error(line))),
                format!("{:?}", ExitCode::from(want)),
                "{line}"
            );
        }
    }
}
