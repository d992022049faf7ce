//! `cargo xtask tidy`: the rules of this workspace that the compiler does not know.

mod agent;
mod docs;
mod edges;
mod files;
mod size;
mod words;

use std::fmt;

use anyhow::Result;

use crate::workspace::root;

/// A text file of the checkout.
#[derive(Debug)]
struct SourceFile {
    /// Path from the root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test or benchmark code.
    fn is_test(&self) -> bool {
        ["/tests/", "/benches/", "/e2e/"].iter().any(|part| self.path.contains(part))
            || self.path.ends_with("/tests.rs")
            || self.path.contains(".test.")
    }
}

/// A broken rule, at a place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Complaint {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Complaint {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}", self.path, self.line, self.rule, self.message)
    }
}

/// Prints what is wrong; true if nothing is.
pub(crate) fn run() -> Result<bool> {
    let files = files::read_all(root())?;
    let mut complaints = edges::check(&files);
    complaints.extend(agent::check()?);
    for file in &files {
        complaints.extend(docs::check(file));
        complaints.extend(size::check(file));
        complaints.extend(words::check(file));
    }
    complaints.sort();
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    let count = complaints.len();
    if count > 0 {
        eprintln!(
            "tidy: {count} {} in {} files",
            if count == 1 { "complaint" } else { "complaints" },
            files.len()
        );
    }
    Ok(count == 0)
}

/// A file for the tests of the rules.
#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

/// The lines and rules of complaints, for the tests of the rules.
#[cfg(test)]
fn places(complaints: &[Complaint]) -> Vec<(usize, &'static str)> {
    complaints.iter().map(|complaint| (complaint.line, complaint.rule)).collect()
}
