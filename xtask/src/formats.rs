//! `cargo xtask formats`: what `taffrail explain` makes of lines that others wrote, against what they say of them.
//!
//! The data is no part of the project: the chore is told where it lies, and says so where it does not.

mod corpora;
mod crowdsec;
mod explained;
mod fail2ban;
mod fields;
mod lnav;
mod loghub;
mod multiline;
mod names;
mod plaso;
mod score;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use fs_err as fs;
use serde_json::Value;

use self::explained::Explainer;
use self::score::Score;
use crate::workspace::{build, root};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Folder of the data sets, with their annotations in `truth`; default: `shared/data` beside the checkout
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only the data sets of this name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print so many of the misses of each figure
    #[arg(long, default_value_t = 0, value_name = "N")]
    misses: usize,
    /// The program to judge; default: a release build
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures and prints; false if a must is missed.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut out = io::stdout().lock();
    let data = arguments.data.clone().unwrap_or_else(|| root().with_file_name("shared").join("data"));
    if !data.join("truth").is_dir() {
        writeln!(
            out,
            "skipped: formats, for there is no {}/truth; name its folder with --data",
            data.display()
        )?;
        return Ok(true);
    }
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => build("release")?,
    };
    let explainer = Explainer::new(binary)?;
    type Judge = fn(&Explainer, &Path) -> Result<Vec<Score>>;
    let judges: [(&str, Judge); 9] = [
        ("loghub", loghub::judge),
        ("lnav", lnav::judge),
        ("fail2ban", fail2ban::judge),
        ("crowdsec", crowdsec::judge),
        ("multiline", multiline::judge),
        ("plaso", plaso::judge),
        ("bench", corpora::judge),
        ("logstash", |explainer, data| fields::judge(explainer, data, "logstash")),
        ("vrl", |explainer, data| fields::judge(explainer, data, "vrl")),
    ];
    let mut holds = true;
    writeln!(
        out,
        "{:<10} {:<34} {:>6} {:>7} {:>7} {:>7}",
        "data", "figure", "lines", "right", "must", "aim"
    )?;
    for (name, judge) in judges {
        if arguments.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for score in judge(&explainer, &data).with_context(|| name.to_owned())? {
            holds &= score.holds();
            writeln!(out, "{name:<10} {score}")?;
            for miss in score.misses.iter().take(arguments.misses) {
                writeln!(out, "    {miss}")?;
            }
        }
    }
    Ok(holds)
}

/// The records of an annotation file.
fn truth(data: &Path, name: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(data.join("truth").join(name).with_extension("jsonl"))?;
    text.lines().map(|line| serde_json::from_str(line).context("a line of the annotations")).collect()
}

/// A member's text; empty where there is none.
fn text<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or_default()
}
