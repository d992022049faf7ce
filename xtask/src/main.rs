//! The chores of this workspace: `cargo xtask tidy|gen-docs|bench|corpus|formats|fuzz|soak|dist`.

mod bench;
mod corpus;
mod dist;
mod docs;
mod formats;
mod fuzz;
mod soak;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "cargo xtask", about = "The chores of this workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand, Debug)]
enum Chore {
    /// Check what the compiler does not: edges between crates, names, sizes, leftovers
    Tidy,
    /// Write docs/config.md from the program's own table of keys
    GenDocs,
    /// Measure the program against zstd and grep on the same bytes
    Bench(bench::Arguments),
    /// Write a log corpus to measure with
    Corpus(corpus::Arguments),
    /// Judge the formats by lines that others wrote and annotated
    Formats(formats::Arguments),
    /// Look for lines that break the parser, with cargo-fuzz
    Fuzz(fuzz::Arguments),
    /// Rotate, truncate, kill and fill at random, and look whether a line is lost or doubled
    Soak(soak::Arguments),
    /// Build the archive that is handed out
    Dist,
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Tidy => tidy::run(),
        Chore::GenDocs => docs::run().map(|()| true),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Corpus(arguments) => corpus::run(&arguments).map(|()| true),
        Chore::Formats(arguments) => formats::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Soak(arguments) => soak::run(&arguments),
        Chore::Dist => dist::run().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::from(2)
        }
    }
}
