//! Records that move together: rows of spans over one arena of bytes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::layout::{self, Fields};
use crate::{Attribute, AttributeKind, Severity, Span, Timestamp};

/// Distinct attribute keys, layouts or sources that one batch can name.
const NAMES_MAX: usize = u16::MAX as usize;

/// One parsed line (or several that belong together) as spans into its batch's arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// When it happened, as the line says; the time of reading where it says nothing.
    pub timestamp: Timestamp,
    /// When it was read.
    pub observed: Timestamp,
    /// Its first byte's offset in the source.
    pub offset: u64,
    /// The original bytes without the last newline.
    pub raw: Span,
    /// The message: always valid UTF-8.
    pub body: Span,
    /// The machine that wrote it: valid UTF-8, may be empty.
    pub node: Span,
    /// The program that wrote it: valid UTF-8, may be empty.
    pub service: Span,
    /// Index into the batch's layouts; 0 is the empty layout. See [`layout::keeps_raw`].
    pub layout: u16,
    /// Index into the batch's sources.
    pub source: u16,
    /// How bad it is.
    pub severity: Severity,
}

/// A batch cannot take more: its arena would pass 4 GiB or its tables 65,535 names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchFull;

/// Thousands of records over one arena. Everything that the program hands from stage to stage.
#[derive(Clone, Debug, Default)]
pub struct LogBatch {
    arena: Vec<u8>,
    records: Vec<LogRecord>,
    attributes: Vec<Attribute>,
    /// `attribute_ends[i]` is the end of record i's attributes.
    attribute_ends: Vec<u32>,
    keys: Names,
    layouts: Names,
    sources: Names,
}

impl LogBatch {
    /// An empty batch over `arena`, the bytes that records will point into.
    pub fn new(arena: Vec<u8>) -> Self {
        let mut batch = Self { arena, ..Self::default() };
        // Index 0 must be the empty layout; the table is empty, so this cannot be full.
        let _ = batch.layouts.intern("");
        batch
    }

    /// The bytes that all spans point into.
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// The arena, for readers that take the bytes over without a copy.
    pub fn into_arena(self) -> Vec<u8> {
        self.arena
    }

    /// The records in the order they were pushed.
    pub fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of memory that the batch holds.
    pub fn size_bytes(&self) -> usize {
        self.arena.capacity()
            + self.records.capacity() * size_of::<LogRecord>()
            + self.attributes.capacity() * size_of::<Attribute>()
            + self.attribute_ends.capacity() * size_of::<u32>()
    }

    /// The text of a span whose bytes are valid UTF-8 (all but `raw`); empty if they are not.
    pub fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.arena)).unwrap_or_default()
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.arena)
    }

    /// The attributes of record `index`.
    pub fn attributes(&self, index: usize) -> &[Attribute] {
        let start = if index == 0 { 0 } else { self.attribute_ends[index - 1] };
        &self.attributes[start as usize..self.attribute_ends[index] as usize]
    }

    /// The attribute keys, by index.
    pub fn keys(&self) -> &[Arc<str>] {
        &self.keys.list
    }

    /// The layouts, by index.
    pub fn layouts(&self) -> &[Arc<str>] {
        &self.layouts.list
    }

    /// The sources, by index.
    pub fn sources(&self) -> &[Arc<str>] {
        &self.sources.list
    }

    /// The index of an attribute key; `None` once 65,535 are in use.
    pub fn key(&mut self, name: &str) -> Option<u16> {
        self.keys.intern(name)
    }

    /// The index of a layout; `None` once 65,535 are in use.
    pub fn layout(&mut self, text: &str) -> Option<u16> {
        self.layouts.intern(text)
    }

    /// The index of a source; `None` once 65,535 are in use.
    pub fn source(&mut self, name: &str) -> Option<u16> {
        self.sources.intern(name)
    }

    /// Appends text that does not stand in the line (an unescaped string, a default) and gives its span.
    pub fn push_text(&mut self, text: &[u8]) -> Result<Span, BatchFull> {
        let start = self.arena.len();
        if start + text.len() > u32::MAX as usize {
            return Err(BatchFull);
        }
        self.arena.extend_from_slice(text);
        Ok(Span::new(start, start + text.len()))
    }

    /// Adds an attribute to the record that is pushed next.
    pub fn push_attribute(&mut self, attribute: Attribute) {
        self.attributes.push(attribute);
    }

    /// Takes back the attributes that were pushed since the last record.
    pub fn drop_pending_attributes(&mut self) {
        let committed = self.attribute_ends.last().copied().unwrap_or(0);
        self.attributes.truncate(committed as usize);
    }

    /// Attributes pushed since the last record.
    pub fn pending_attributes(&self) -> &[Attribute] {
        &self.attributes[self.attribute_ends.last().copied().unwrap_or(0) as usize..]
    }

    /// Adds a record with the attributes pushed since the one before.
    pub fn push(&mut self, record: LogRecord) {
        self.records.push(record);
        self.attribute_ends.push(self.attributes.len() as u32);
    }

    /// The records were read at `moment`. Those whose lines name no time happened then, too.
    pub fn observe(&mut self, moment: Timestamp) {
        for record in &mut self.records {
            if record.timestamp == record.observed {
                record.timestamp = moment;
            }
            record.observed = moment;
        }
    }

    /// Copies the records of `other` to the end. On `Err` this batch is unchanged.
    pub fn append(&mut self, other: &LogBatch) -> Result<(), BatchFull> {
        let base = self.arena.len();
        if base + other.arena.len() > u32::MAX as usize {
            return Err(BatchFull);
        }
        let (Some(keys), Some(layouts), Some(sources)) = (
            self.keys.intern_all(&other.keys),
            self.layouts.intern_all(&other.layouts),
            self.sources.intern_all(&other.sources),
        ) else {
            return Err(BatchFull);
        };
        let shift = |span: Span| Span { start: span.start + base as u32, len: span.len };
        self.arena.extend_from_slice(&other.arena);
        let attribute_base = self.attributes.len() as u32;
        self.attributes.extend(other.attributes.iter().map(|attribute| Attribute {
            key: keys[usize::from(attribute.key)],
            kind: attribute.kind,
            value: shift(attribute.value),
        }));
        self.attribute_ends.extend(other.attribute_ends.iter().map(|end| end + attribute_base));
        self.records.extend(other.records.iter().map(|record| LogRecord {
            raw: shift(record.raw),
            body: shift(record.body),
            node: shift(record.node),
            service: shift(record.service),
            layout: layouts[usize::from(record.layout)],
            source: sources[usize::from(record.source)],
            ..*record
        }));
        Ok(())
    }

    /// The raw line of record `index` as its layout gives it; `None` if the layout keeps it whole. What a
    /// parser must keep equal to the bytes of `raw`.
    pub fn render(&self, index: usize) -> Option<Result<Vec<u8>, String>> {
        let layout = &self.layouts.list[usize::from(self.records[index].layout)];
        if layout::keeps_raw(layout) {
            return None;
        }
        let mut out = Vec::new();
        let row = Row { batch: self, index };
        Some(layout::render(layout, &row, &mut out).map(|()| out))
    }
}

struct Row<'a> {
    batch: &'a LogBatch,
    index: usize,
}

impl Row<'_> {
    fn record(&self) -> &LogRecord {
        &self.batch.records[self.index]
    }
}

impl Fields for Row<'_> {
    fn timestamp(&self) -> Timestamp {
        self.record().timestamp
    }

    fn node(&self) -> &str {
        self.batch.text(self.record().node)
    }

    fn service(&self) -> &str {
        self.batch.text(self.record().service)
    }

    fn body(&self) -> &str {
        self.batch.text(self.record().body)
    }

    fn severity_name(&self) -> &str {
        self.record().severity.name()
    }

    fn write_attribute(&self, key: &str, out: &mut Vec<u8>) -> bool {
        let found = self
            .batch
            .attributes(self.index)
            .iter()
            .find(|attribute| &*self.batch.keys.list[usize::from(attribute.key)] == key);
        if let Some(attribute) = found {
            out.extend_from_slice(self.batch.bytes(attribute.value));
        }
        found.is_some()
    }
}

/// A table of names and their indices.
#[derive(Clone, Debug, Default)]
struct Names {
    list: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u16>,
}

impl Names {
    fn intern(&mut self, name: &str) -> Option<u16> {
        if let Some(index) = self.index.get(name) {
            return Some(*index);
        }
        if self.list.len() >= NAMES_MAX {
            return None;
        }
        let index = self.list.len() as u16;
        let name: Arc<str> = name.into();
        self.list.push(Arc::clone(&name));
        self.index.insert(name, index);
        Some(index)
    }

    fn intern_all(&mut self, other: &Self) -> Option<Vec<u16>> {
        other.list.iter().map(|name| self.intern(name)).collect()
    }
}

/// Whether the attribute's value can stand in a JSON document as it is, without quotes.
impl Attribute {
    /// True for numbers, booleans, null, arrays and objects.
    pub const fn is_bare_json(&self) -> bool {
        !matches!(self.kind, AttributeKind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: &str, pid: &str) -> LogBatch {
        let mut batch = LogBatch::new(line.as_bytes().to_vec());
        let layout = batch.layout("[{.pid}] {body}").unwrap();
        let source = batch.source("/var/log/a.log").unwrap();
        let key = batch.key("pid").unwrap();
        let value = Span::new(1, 1 + pid.len());
        batch.push_attribute(Attribute { key, kind: AttributeKind::Integer, value });
        batch.push(LogRecord {
            timestamp: Timestamp(1),
            observed: Timestamp(2),
            offset: 0,
            raw: Span::new(0, line.len()),
            body: Span::new(pid.len() + 3, line.len()),
            node: Span::default(),
            service: Span::default(),
            layout,
            source,
            severity: Severity::INFO,
        });
        batch
    }

    #[test]
    fn appended_batches_keep_their_spans_and_names() {
        let mut all = LogBatch::new(Vec::new());
        all.key("other").unwrap();
        for line in ["[17] one", "[4] two"] {
            all.append(&sample(line, line[1..].split(']').next().unwrap())).unwrap();
        }
        assert_eq!(all.len(), 2);
        for (index, line) in ["[17] one", "[4] two"].iter().enumerate() {
            assert_eq!(all.render(index).unwrap().unwrap(), line.as_bytes());
            assert_eq!(all.bytes(all.records()[index].raw), line.as_bytes());
            assert_eq!(all.attributes(index).len(), 1);
        }
        assert_eq!(all.sources().len(), 1);
    }
}
