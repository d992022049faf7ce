//! OpenTelemetry's JSON: lists around a line's one record, and attributes as lists of pairs.

use super::{DEPTH_MAX, Scan};
use crate::draft::Name;
use crate::member::{Member, Value};

/// Lists that an exporter writes around records.
const AROUND: [&[u8]; 3] = [b"resourceLogs", b"scopeLogs", b"logRecords"];
const ATTRIBUTES: &[u8] = b"attributes";
/// What is said of the whole resource has names without [`ATTRIBUTES`].
const RESOURCE: &[u8] = b"resource.";

impl Scan<'_> {
    /// Reads the list at `at` as members of the line, if it is one of OpenTelemetry's: the one object of a list around
    /// records, as if it stood there alone, or pairs. Nothing is read of any other.
    pub(super) fn otlp_list(&mut self, name: (usize, usize, bool), depth: usize) -> Option<()> {
        let text = &self.text[name.0..name.1];
        let is_around = AROUND.contains(&text);
        if self.peek()? != b'[' || depth >= DEPTH_MAX || !(is_around || text == ATTRIBUTES) {
            return None;
        }
        let (at, members, names, path) = (self.at, self.members.len(), self.names.len(), self.path.len());
        let read = if is_around { self.only_object(depth) } else { self.pairs(name, depth) };
        self.path.truncate(path);
        if read.is_none() {
            self.at = at;
            self.members.truncate(members);
            self.names.truncate(names);
        }
        read
    }

    fn only_object(&mut self, depth: usize) -> Option<()> {
        self.expect(b'[')?;
        self.object(depth + 1)?;
        self.expect(b']')
    }

    /// `[{"key":"a","value":{"stringValue":"b"}}]`.
    fn pairs(&mut self, name: (usize, usize, bool), depth: usize) -> Option<()> {
        if !self.path.ends_with(RESOURCE) {
            self.append_name(name);
            self.path.push(b'.');
        }
        self.expect(b'[')?;
        if self.peek()? == b']' {
            return self.expect(b']');
        }
        loop {
            self.pair(depth)?;
            if self.peek()? == b']' {
                return self.expect(b']');
            }
            self.expect(b',')?;
        }
    }

    fn pair(&mut self, depth: usize) -> Option<()> {
        self.expect(b'{')?;
        self.named(b"key")?;
        let key = self.string()?;
        let name = self.name(key);
        self.expect(b',')?;
        self.named(b"value")?;
        self.expect(b'{')?;
        let (kind, kind_end, _) = self.string()?;
        self.expect(b':')?;
        let is_integer = &self.text[kind..kind_end] == b"intValue" && self.peek()? == b'"';
        self.value(name, is_integer, depth)?;
        self.expect(b'}')?;
        self.expect(b'}')
    }

    /// A member's value; numbers of 64 bits stand in quotes.
    fn value(&mut self, name: Name, is_integer: bool, depth: usize) -> Option<()> {
        if !is_integer {
            return self.plain_value(name, depth);
        }
        let (start, end, _) = self.string()?;
        self.members.push(Member { name, start, end, value: Value::Bare });
        Some(())
    }

    fn named(&mut self, name: &[u8]) -> Option<()> {
        let (start, end, _) = self.string()?;
        (&self.text[start..end] == name).then_some(())?;
        self.expect(b':')
    }
}
