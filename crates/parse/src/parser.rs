//! The parser: from a batch of raw lines to a batch of records over the same bytes.

use std::sync::Arc;

use taffrail_record::layout::NO_NEWLINE;
use taffrail_record::{
    Attribute, AttributeKind, LogBatch, LogRecord, RawBatch, RawLine, Severity, Span, Timestamp,
};

use crate::container;
use crate::detection::{Detection, Detector, LOOK_BYTES, add};
use crate::draft::{Draft, DraftAttribute, Home, Known, Name, Place};
use crate::encoding;
use crate::formats;
use crate::key_cache::KeyCache;
use crate::layout_cache::{Ending, LayoutCache};
use crate::severity_guess::guess;
use crate::tools::Tools;

/// A time that is further ahead of that of reading has the attribute `time_doubt`, `future`: clocks and zones differ by less.
const FUTURE_NS: i64 = 26 * 3_600 * 1_000_000_000;
/// A time that is further back has it, too, `past`: machines without a clock begin in 1970 or 2000.
const PAST_NS: i64 = 25 * 366 * 86_400 * 1_000_000_000;

/// What is known of a source's lines beside their text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    /// Service of the lines that name none; see [`crate::service_from_path`].
    pub service: String,
    /// Machine of the lines that name none.
    pub node: String,
    /// Zone of timestamps without one, in minutes east of UTC.
    pub offset_minutes: i16,
}

/// Parses the lines of one source. What a line becomes depends on nothing but its bytes, the header that it stands under,
/// the context, the time of reading, and what the lines before have shown ([`Detection`]), which does not change within a
/// batch.
#[derive(Debug)]
pub struct Parser {
    context: Context,
    tools: Tools,
    draft: Draft,
    keys: KeyCache,
    layouts: LayoutCache,
    defaults: Defaults,
    /// What was parsed last.
    text: Span,
    /// The only format that lines can have.
    only: Option<&'static str>,
    /// What the source's path says of all its records, and where that stands in the current batch.
    labels: Labels,
    detector: Detector,
    /// The formats of the lines of this batch, and of those since they were asked for; how many were in each.
    batch_counts: Vec<(&'static str, u64)>,
    counts: Vec<(&'static str, u64)>,
}

/// Spans of the context's texts in the current batch, once a line needed them.
#[derive(Debug, Default)]
struct Defaults {
    node: Option<Span>,
    service: Option<Span>,
}

/// Attributes of all records of a source.
#[derive(Debug, Default)]
struct Labels {
    source: Arc<str>,
    list: Vec<(Known, String)>,
    /// Where they stand in the current batch, once a line needed them.
    spans: Vec<Span>,
}

impl Labels {
    /// Begins a batch of a source.
    fn begin(&mut self, source: &Arc<str>) {
        self.spans.clear();
        if self.source != *source {
            self.list = container::labels(source);
            self.source = Arc::clone(source);
        }
    }
}

/// The line that is being committed.
struct Line {
    raw: Span,
    /// What was parsed: the raw line without `\r`, or a readable copy.
    text: Span,
    ending: Ending,
    decoded: bool,
    observed: Timestamp,
    source: u16,
    offset: u64,
}

impl Parser {
    /// A parser for one source. Offsets beyond 14:59 hours are taken as UTC.
    pub fn new(mut context: Context) -> Self {
        if context.offset_minutes.unsigned_abs() >= 15 * 60 {
            context.offset_minutes = 0;
        }
        Self {
            tools: Tools::new(context.offset_minutes),
            context,
            draft: Draft::new(),
            keys: KeyCache::new(),
            layouts: LayoutCache::default(),
            defaults: Defaults::default(),
            text: Span::default(),
            only: None,
            labels: Labels::default(),
            detector: Detector::default(),
            batch_counts: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// The same, whose lines are in the format of this name or in none; `None`, or a name that no format has: in any.
    #[must_use]
    pub fn only(mut self, format: Option<&str>) -> Self {
        self.only = format.and_then(|name| formats::format_names().find(|known| *known == name));
        self
    }

    /// What the lines so far have shown: it holds for the next batch.
    pub fn detection(&self) -> Detection {
        self.detector.found()
    }

    /// The same, whose dates of numbers between slashes are all in one order; `None`: in the one that the lines show.
    #[must_use]
    pub fn dates(mut self, day_first: Option<bool>) -> Self {
        day_first.into_iter().for_each(|day_first| self.detector.set_order(day_first));
        self
    }

    /// What lines have shown that another parser has seen.
    pub fn set_detection(&mut self, known: Detection) {
        self.detector.settle(known);
    }

    /// Looks at the first lines of `raw`, 64 KiB at most, if nothing is known of the source's lines yet.
    pub fn detect(&mut self, raw: &RawBatch) {
        if !self.detector.is_settled() {
            self.look_at(raw);
        }
    }

    /// The same, whatever is known.
    pub fn look_at(&mut self, raw: &RawBatch) {
        self.begin(raw);
        let mut looked_at = 0;
        for line in &raw.lines {
            let bytes = raw.bytes.get(line.span.start as usize..line.span.end()).unwrap_or_default();
            let Ok(text) = std::str::from_utf8(bytes) else { continue };
            looked_at += text.len();
            if looked_at > LOOK_BYTES {
                break;
            }
            self.recognise(text.strip_suffix('\r').unwrap_or(text).as_bytes(), line.joined);
            self.note(text.as_bytes(), raw.observed);
        }
        self.detector.note(&std::mem::take(&mut self.batch_counts));
        if !self.detector.is_settled() {
            self.detector.decide();
        }
    }

    /// Begins a batch.
    fn begin(&mut self, raw: &RawBatch) {
        let Detection { format, day_first } = self.detector.found();
        self.tools.clock.observed = raw.observed;
        self.tools.clock.day_first = day_first;
        self.tools.preferred = format.and_then(formats::preferred);
        self.tools.columns.set(raw.header.as_ref(), self.only);
    }

    /// Fills the draft with what a line says.
    fn recognise(&mut self, text: &[u8], joined: bool) {
        self.draft.reset(text.len());
        let (tools, draft, only) = (&mut self.tools, &mut self.draft, self.only);
        tools.columns.note(text, only);
        match if joined { memchr::memchr(b'\n', text) } else { None } {
            None => formats::parse(text, only, tools, draft),
            Some(first) => formats::parse_lines(text, first, only, tools, draft),
        }
    }

    /// Notes what the line of the draft shows of its source.
    fn note(&mut self, text: &[u8], observed: Timestamp) {
        add(&mut self.batch_counts, self.draft.format, 1);
        if let (Some((at, _)), Some(time)) = (self.draft.stamp, self.draft.timestamp)
            && text.get(at + 2) == Some(&b'/')
        {
            self.detector.note_time(&text[at..], time, self.tools.clock.day_first, observed);
        }
    }

    /// One record for every line of `raw`, whose bytes become the batch's arena without a copy.
    pub fn parse(&mut self, raw: RawBatch) -> LogBatch {
        self.detect(&raw);
        let all_text = simdutf8::basic::from_utf8(&raw.bytes).is_ok() && !encoding::has_marks(&raw.bytes);
        self.begin(&raw);
        let mut batch = LogBatch::new(raw.bytes);
        // The table of sources is empty, so this cannot be full.
        let source = batch.source(&raw.source).unwrap_or(0);
        self.keys.clear();
        self.layouts.clear();
        self.defaults = Defaults::default();
        self.labels.begin(&raw.source);
        for line in &raw.lines {
            let joined = line.joined;
            let line = self.read(line, all_text, raw.observed, source, &mut batch);
            let text = batch.bytes(line.text);
            self.text = line.text;
            self.recognise(text, joined);
            self.note(text, raw.observed);
            self.commit(&line, &mut batch);
        }
        self.detector.note(&self.batch_counts);
        for (format, lines) in self.batch_counts.drain(..) {
            add(&mut self.counts, format, lines);
        }
        batch
    }

    /// The header that the next lines stand under; see [`taffrail_record::header`].
    pub fn set_header(&mut self, header: Option<&Arc<str>>) {
        self.tools.columns.set(header, self.only);
    }

    pub(crate) fn header(&self) -> Option<Arc<str>> {
        self.tools.columns.header().cloned()
    }

    /// The formats of the lines since the last call, and how many were in each.
    pub fn take_counts(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.counts)
    }

    /// What was found in the last line, and where that line stands as it was read.
    pub(crate) fn last(&self) -> (&Draft, Span) {
        (&self.draft, self.text)
    }

    fn read(
        &self,
        line: &RawLine,
        all_text: bool,
        observed: Timestamp,
        source: u16,
        batch: &mut LogBatch,
    ) -> Line {
        let arena = batch.arena();
        let raw = if line.span.end() <= arena.len() { line.span } else { Span::default() };
        let bytes = raw.of(arena);
        let carriage_return = bytes.last() == Some(&b'\r');
        let readable = if all_text && on_boundaries(arena, raw) { None } else { encoding::readable(bytes) };
        let decoded = readable.is_some();
        let text = match readable {
            Some(copy) => {
                let copy = copy.strip_suffix('\r').unwrap_or(&copy);
                batch.push_text(copy.as_bytes()).unwrap_or_default()
            }
            None => raw,
        };
        let mut text = text;
        if !decoded && carriage_return && text.len > 0 {
            text.len -= 1;
        }
        let ending = Ending { carriage_return, newline: line.newline };
        Line { raw, text, ending, decoded, observed, source, offset: line.offset }
    }

    fn commit(&mut self, line: &Line, batch: &mut LogBatch) {
        if line.decoded {
            self.draft.keep_whole();
        }
        self.doubt_time(line.observed);
        let severity = self.draft.severity.unwrap_or_else(|| self.guess(line, batch));
        let scratch = self.push_scratch(batch);
        self.push_attributes(line, scratch, batch);
        self.push_labels(batch);
        let mut layout = self.layouts.index(&mut self.draft, line.ending, batch);
        if layout == 0 && !line.ending.newline {
            // Only a layout can say that the newline is missing.
            layout = batch.layout(NO_NEWLINE).unwrap_or(0);
        }
        let body = place_span(self.draft.body, line, scratch);
        let (node, service) = (self.draft.node, self.draft.service);
        let node = match node {
            Some(place) => place_span(place, line, scratch),
            None => default_span(&mut self.defaults.node, &self.context.node, batch),
        };
        let service = match service {
            Some(place) => place_span(place, line, scratch),
            None => default_span(&mut self.defaults.service, &self.context.service, batch),
        };
        batch.push(LogRecord {
            timestamp: self.draft.timestamp.unwrap_or(line.observed),
            observed: line.observed,
            offset: line.offset,
            raw: line.raw,
            body,
            node,
            service,
            layout,
            source: line.source,
            severity,
        });
    }

    /// Marks a time that can hardly be right: it is stored as it is.
    fn doubt_time(&mut self, observed: Timestamp) {
        let Some(timestamp) = self.draft.timestamp else { return };
        let doubt = match timestamp.0.saturating_sub(observed.0) {
            ahead if ahead > FUTURE_NS => "future",
            ahead if ahead < -PAST_NS => "past",
            _ => return,
        };
        let value = self.draft.own_text(doubt.as_bytes());
        let name = Name::Known(Known::TimeDoubt);
        self.draft.attributes.push(DraftAttribute { name, kind: AttributeKind::Text, value });
    }

    fn guess(&self, line: &Line, batch: &LogBatch) -> Severity {
        let Place { start, end, home } = self.draft.body;
        match home {
            Home::Line => {
                let base = line.text.start as usize;
                guess(batch.arena(), base + start, base + end)
            }
            Home::Scratch => guess(&self.draft.scratch, start, end),
        }
    }

    /// Appends the text that does not stand in the line; an arena without room leaves a bare line.
    fn push_scratch(&mut self, batch: &mut LogBatch) -> Span {
        if self.draft.scratch.is_empty() {
            return Span::default();
        }
        batch.push_text(&self.draft.scratch).unwrap_or_else(|_| {
            self.draft.reset(0);
            self.draft.keep_whole();
            Span::default()
        })
    }

    /// Adds what the source's path says, where the line says nothing else.
    fn push_labels(&mut self, batch: &mut LogBatch) {
        let Labels { list, spans, .. } = &mut self.labels;
        if spans.is_empty() {
            spans.extend(list.iter().map(|(_, text)| batch.push_text(text.as_bytes()).unwrap_or_default()));
        }
        for ((known, _), value) in list.iter().zip(spans) {
            if let Some(key) = self.keys.known(*known, batch)
                && batch.pending_attributes().iter().all(|pending| pending.key != key)
            {
                batch.push_attribute(Attribute { key, kind: AttributeKind::Text, value: *value });
            }
        }
    }

    fn push_attributes(&mut self, line: &Line, scratch: Span, batch: &mut LogBatch) {
        for position in 0..self.draft.attributes.len() {
            let DraftAttribute { name, kind, value } = self.draft.attributes[position];
            let key = match name {
                Name::Known(known) => self.keys.known(known, batch),
                Name::Line(start, end) => {
                    let name = Span::new(line.text.start as usize + start, line.text.start as usize + end);
                    self.keys.in_arena(position, name, batch)
                }
                Name::Built(start, end) => self.keys.named(position, &self.draft.names[start..end], batch),
            };
            match key {
                Some(key) if batch.pending_attributes().iter().all(|pending| pending.key != key) => {
                    batch.push_attribute(Attribute { key, kind, value: place_span(value, line, scratch) });
                }
                // A second value under one key cannot be put back, nor one without a key.
                _ => self.draft.lose_attribute(),
            }
        }
    }
}

fn place_span(place: Place, line: &Line, scratch: Span) -> Span {
    let base = match place.home {
        Home::Line => line.text.start,
        Home::Scratch => scratch.start,
    };
    let base = base as usize;
    Span::new(base + place.start, base + place.end)
}

fn default_span(slot: &mut Option<Span>, text: &str, batch: &mut LogBatch) -> Span {
    *slot.get_or_insert_with(|| batch.push_text(text.as_bytes()).unwrap_or_default())
}

/// Whether a span of valid text starts and ends between characters.
fn on_boundaries(arena: &[u8], span: Span) -> bool {
    let boundary = |at: usize| arena.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
    boundary(span.start as usize) && boundary(span.end())
}

#[cfg(test)]
mod tests;
