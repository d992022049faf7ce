//! One record as a query answers it, owned and complete.

use taffrail_record::layout::{self, Fields};
use taffrail_record::{Severity, Timestamp};

/// A stored record.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was read.
    pub observed: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// The machine that wrote it.
    pub node: String,
    /// The file or listener it came through.
    pub source: String,
    /// Its first byte's offset in the source.
    pub offset: u64,
    /// The program that wrote it.
    pub service: String,
    /// The message.
    pub body: String,
    /// The extracted fields, by key.
    pub attributes: Vec<(String, AttributeValue)>,
    /// How the raw line is made of the fields; empty: it is in `raw`.
    pub layout: String,
    /// The line itself where no layout gives it.
    pub raw: Option<Vec<u8>>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
}

impl Hit {
    /// The original line without its newline, byte for byte. `Err` names what is damaged.
    pub fn raw_line(&self) -> Result<Vec<u8>, String> {
        if let Some(raw) = &self.raw {
            return Ok(raw.clone());
        }
        let mut out = Vec::new();
        layout::render(&self.layout, self, &mut out)?;
        Ok(out)
    }

    /// The attribute with this key.
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The level as the line spelled it, else the severity's name.
    pub fn level(&self) -> &str {
        match self.attribute("level") {
            Some(AttributeValue::Text(level)) => level,
            _ => self.severity.name(),
        }
    }
}

impl Fields for Hit {
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    fn node(&self) -> &str {
        &self.node
    }

    fn service(&self) -> &str {
        &self.service
    }

    fn body(&self) -> &str {
        &self.body
    }

    fn severity_name(&self) -> &str {
        self.severity.name()
    }

    fn write_attribute(&self, key: &str, out: &mut Vec<u8>) -> bool {
        match self.attribute(key) {
            Some(AttributeValue::Text(text)) => out.extend_from_slice(text.as_bytes()),
            Some(AttributeValue::Integer(number)) => out.extend_from_slice(number.to_string().as_bytes()),
            None => return false,
        }
        true
    }
}

/// The fields in a value of the column `attributes_rest`.
pub fn rest_members(object: &str) -> Vec<(String, AttributeValue)> {
    crate::json::members(object)
}
