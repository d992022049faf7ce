//! What stands in a format's file.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A format's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// As it is shown; also the file's name.
    pub(super) name: String,
    /// What writes it, for people.
    #[expect(dead_code, reason = "for who reads the file; the program does not show it yet")]
    pub(super) about: String,
    /// See [`crate::pattern`].
    pub(super) patterns: Vec<String>,
    /// Words for severities that only this format means so.
    #[serde(default)]
    pub(super) levels: BTreeMap<String, String>,
    /// The service of lines that name none.
    #[serde(default)]
    pub(super) service: Option<String>,
    /// Lines, and what they must become.
    pub(super) samples: Vec<Sample>,
}

/// A line, and what it must become, read at 2026-11-20T00:00:00Z with the zone UTC.
#[cfg_attr(not(test), expect(dead_code, reason = "the tests read them"))]
#[derive(Debug, Deserialize)]
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
