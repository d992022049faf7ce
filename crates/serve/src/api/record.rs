//! A record as JSON shows it: the names of `--json` and of the native API.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_store::hit::{AttributeValue, Hit};

use crate::api::rfc3339;

/// A stored record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// When it happened, RFC 3339 in UTC with nanoseconds.
    pub timestamp: String,
    /// When it was read, likewise.
    pub observed_timestamp: String,
    /// TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL.
    pub severity: String,
    /// The machine that wrote it; may be empty.
    pub node: String,
    /// The file or listener it came through.
    pub source: String,
    /// Its first byte's offset in the source.
    pub offset: u64,
    /// The program that wrote it; may be empty.
    pub service: String,
    /// The message.
    pub body: String,
    /// The extracted fields.
    pub attributes: Map<String, Value>,
    /// The original line, what is not UTF-8 replaced; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Record {
    /// The record as JSON shows it. A raw line that cannot be made again is left out.
    pub fn from_hit(hit: &Hit, with_raw: bool) -> Self {
        let raw = with_raw.then(|| hit.raw_line().ok()).flatten();
        Self {
            timestamp: rfc3339(hit.timestamp),
            observed_timestamp: rfc3339(hit.observed),
            severity: hit.severity.name().to_owned(),
            node: hit.node.clone(),
            source: hit.source.clone(),
            offset: hit.offset,
            service: hit.service.clone(),
            body: hit.body.clone(),
            attributes: hit.attributes.iter().map(|(key, value)| (key.clone(), attribute(value))).collect(),
            raw: raw.map(|line| String::from_utf8_lossy(&line).into_owned()),
        }
    }
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => Value::from(text.as_str()),
        AttributeValue::Integer(number) => Value::from(*number),
    }
}
