//! What stands in a format's file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pairs::Pairs;

/// A format's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// As it is shown; also the file's name.
    pub(super) name: String,
    /// What writes it, for people.
    #[serde(default)]
    #[expect(dead_code, reason = "for who reads the file; the program does not show it yet")]
    pub(super) about: String,
    /// See [`crate::pattern`].
    #[serde(default)]
    pub(super) patterns: Vec<String>,
    /// Programs whose messages are like [`Self::messages`], however their lines are enveloped.
    #[serde(default)]
    pub(super) programs: Vec<String>,
    /// Patterns of messages.
    #[serde(default)]
    pub(super) messages: Vec<String>,
    /// Whether those that begin with a text are patterns of lines, too.
    #[serde(default)]
    pub(super) bare: bool,
    /// Its patterns take lines of other formats, too: they are tried in their turn only, even where most lines are in it.
    #[serde(default)]
    pub(super) general: bool,
    /// A text that all lines of the patterns have: a look that spares the patterns.
    #[serde(default)]
    pub(super) has: Option<String>,
    /// Words for severities that only this format means so.
    #[serde(default)]
    pub(super) levels: BTreeMap<String, String>,
    /// The service of lines that name none.
    #[serde(default)]
    pub(super) service: Option<String>,
    /// See [`Lines`].
    #[serde(default)]
    pub(super) multiline: Lines,
    /// See [`Pairs`].
    #[serde(default)]
    pub(super) pairs: Pairs,
    /// Regular expressions whose named groups are fields, in formats of one's own; see [`crate::pattern::Expression`].
    #[serde(default)]
    pub(super) regex: Vec<String>,
    /// The same in grok.
    #[serde(default)]
    pub(super) grok: Vec<String>,
    /// The shape of the time that these find, where it is none that is known everywhere.
    #[serde(default)]
    pub(super) time: Option<String>,
    /// Lines, and what they must become.
    #[serde(default)]
    pub(super) samples: Vec<Sample>,
}

/// Which lines belong to a record of the format beside its first. Indented lines, stack traces and lines without time and
/// level after one with a time always do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    /// All without a time, even those with a level.
    #[serde(default)]
    pub(super) all: bool,
    /// Texts that records begin with, in the order in which such lines follow each other inside one. All other lines
    /// belong to the record before them.
    #[serde(default)]
    pub(super) begins: Vec<String>,
}

/// A line, and what it must become, read at 2026-11-20T00:00:00Z with the zone UTC.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    pub(super) line: String,
    /// RFC 3339; none: the time of reading.
    #[serde(default)]
    pub(super) time: Option<String>,
    /// As stored; none: `INFO`.
    #[serde(default)]
    pub(super) severity: Option<String>,
    #[serde(default)]
    pub(super) node: Option<String>,
    #[serde(default)]
    pub(super) service: Option<String>,
    /// None: the whole line.
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) attributes: toml::Table,
}
