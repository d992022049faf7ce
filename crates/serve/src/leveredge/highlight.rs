//! The search pattern: what it finds in the store and what it marks in an entry.

use std::io;

use regex::{Regex, RegexBuilder};
use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::{Map, Value};
use taffrail_store::filter::{Filter, TextMatch};

/// Bytes that a compiled pattern takes at most.
const PATTERN_BYTES: usize = 1 << 20;
/// Marks in one entry at most.
const MARKS_MAX: usize = 1000;

/// A pattern: a regular expression without regard to case, or text where it is none.
pub(super) struct Pattern {
    regex: Option<Regex>,
    filter: Filter,
    text: String,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let build = |pattern: &str| {
            RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_BYTES).build()
        };
        let compiled = build(text).ok();
        let plain = text.is_ascii() && regex::escape(text) == text;
        let filter = match &compiled {
            _ if text.is_empty() => Filter::All,
            Some(_) if !plain => Filter::Text(TextMatch::Regex(format!("(?i){text}"))),
            _ => Filter::Text(TextMatch::Substring(text.to_owned())),
        };
        let regex = compiled.or_else(|| build(&regex::escape(text)).ok());
        Self { regex, filter, text: text.to_owned() }
    }

    /// What records must meet.
    pub(super) fn filter(&self) -> Filter {
        self.filter.clone()
    }

    /// The same as text, for an engine that does not take the pattern.
    pub(super) fn literal(&self) -> Filter {
        Filter::Text(TextMatch::Substring(self.text.clone()))
    }

    /// The matches in the message, else in the metadata: whole matches, the group's text where the pattern
    /// has one group, lists of the groups' texts where it has more.
    pub(super) fn marks(&self, entry: &Map<String, Value>) -> Vec<Value> {
        let message = entry.get("message").and_then(Value::as_str).unwrap_or_default();
        let found = self.find(message);
        if !found.is_empty() {
            return found;
        }
        match entry.get("metadata") {
            Some(metadata @ Value::Object(members)) if !members.is_empty() => self.find(&spaced(metadata)),
            _ => found,
        }
    }

    fn find(&self, text: &str) -> Vec<Value> {
        let Some(regex) = &self.regex else { return Vec::new() };
        let groups = regex.captures_len() - 1;
        if groups == 0 {
            return regex.find_iter(text).take(MARKS_MAX).map(|found| Value::from(found.as_str())).collect();
        }
        let group = |captures: &regex::Captures<'_>, index| {
            Value::from(captures.get(index).map_or("", |group| group.as_str()))
        };
        let mark = |captures: regex::Captures<'_>| match groups {
            1 => group(&captures, 1),
            _ => (1..=groups).map(|index| group(&captures, index)).collect(),
        };
        regex.captures_iter(text).take(MARKS_MAX).map(mark).collect()
    }
}

/// JSON as the original writes it: blanks after commas and colons, ASCII only.
fn spaced(value: &Value) -> String {
    let mut out = Vec::new();
    // Writing a Value to a Vec cannot fail.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced));
    String::from_utf8(out).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for c in text.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_have_the_form_that_the_groups_of_the_pattern_give() {
        let entry = json!({"message": "Error 42, error 7", "metadata": {"user": "añn", "n": [1, 2]}});
        for (pattern, want) in [
            ("ERROR", json!(["Error", "error"])),
            ("error (\\d+)", json!(["42", "7"])),
            ("(e)rror (\\d)|(x)", json!([["E", "4", ""], ["e", "7", ""]])),
            ("(unclosed", json!([])),
            ("r 4", json!(["r 4"])),
            ("\"n\": \\[1, 2\\]", json!(["\"n\": [1, 2]"])),
            ("a\\\\u00f1n", json!(["a\\u00f1n"])),
        ] {
            assert_eq!(
                Value::from(Pattern::new(pattern).marks(entry.as_object().unwrap())),
                want,
                "{pattern}"
            );
        }
        let literal = json!({"message": "call f(UNCLOSED now"});
        assert_eq!(Pattern::new("(unclosed").marks(literal.as_object().unwrap()), [json!("(UNCLOSED")]);
    }

    #[test]
    fn the_store_is_asked_for_text_where_the_pattern_is_none() {
        let text = |pattern: &str| Filter::Text(TextMatch::Substring(pattern.to_owned()));
        for (pattern, want) in [
            ("", Filter::All),
            ("disk full", text("disk full")),
            ("(unclosed", text("(unclosed")),
            ("(?=x)", text("(?=x)")),
            ("a|b", Filter::Text(TextMatch::Regex("(?i)a|b".to_owned()))),
            ("é", Filter::Text(TextMatch::Regex("(?i)é".to_owned()))),
        ] {
            assert_eq!(Pattern::new(pattern).filter(), want, "{pattern}");
        }
    }
}
