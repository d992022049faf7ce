//! Lines through `taffrail explain --json`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use serde_json::Value;
use taffrail_testkit::Scratch;

/// Runs the program.
#[derive(Debug)]
pub(super) struct Explainer {
    binary: PathBuf,
    scratch: Scratch,
}

/// What one record became.
#[derive(Debug)]
pub(super) struct Explained(Value);

impl Explainer {
    pub(super) fn new(binary: PathBuf) -> Result<Self> {
        ensure!(binary.is_file(), "there is no {}: `make build` builds it", binary.display());
        Ok(Self { binary, scratch: Scratch::new()? })
    }

    /// What the lines of one file become, read at `now` in a zone; by the number of its first line, from 0 on. A line
    /// that belongs to the record before has none.
    pub(super) fn explain(&self, lines: &[&str], now: &str, zone: &str) -> Result<Vec<Option<Explained>>> {
        let file = self.scratch.path().join("lines.log");
        fs::write(&file, lines.join("\n") + "\n")?;
        let mut command = Command::new(&self.binary);
        command.args(["explain", "--json", "--now", now, "--zone", zone, "--file"]).arg(&file);
        let output = command.output()?;
        ensure!(output.status.success(), "explain: {}", String::from_utf8_lossy(&output.stderr));
        let mut found: Vec<Option<Explained>> = std::iter::repeat_with(|| None).take(lines.len()).collect();
        for line in String::from_utf8(output.stdout)?.lines() {
            let record: Value = serde_json::from_str(line)?;
            let number = record["line"].as_u64().context("no line number")?;
            if let Some(slot) = found.get_mut(usize::try_from(number)?.saturating_sub(1)) {
                *slot = Some(Explained(record));
            }
        }
        Ok(found)
    }
}

impl Explained {
    /// A member's text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// An attribute as text; empty where there is none.
    pub(super) fn attribute(&self, name: &str) -> String {
        match &self.0["attributes"][name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    /// Raw lines of the record.
    pub(super) fn lines(&self) -> u64 {
        self.0["lines"].as_u64().unwrap_or(0)
    }

    /// The time without its zone, or what stands for it, and without zeroes that end a fraction.
    pub(super) fn time(&self) -> String {
        normal(self.text("timestamp"))
    }
}

/// A time in RFC 3339 without zone and without zeroes that end a fraction.
pub(super) fn normal(time: &str) -> String {
    let time = time.trim_end_matches('Z').trim_end_matches("+00:00");
    match time.contains('.') {
        true => time.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => time.to_owned(),
    }
}
