//! What a line becomes, and why: for people, and for whoever checks the formats against lines of others.

use taffrail_record::{AttributeKind, Checkpoint, RawBatch, RawLine, Severity, Span, Timestamp};

use crate::parser::Parser;

/// One line, explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The format that recognised it: one of [`crate::format_names`].
    pub format: &'static str,
    /// The format of its message, where that is known: a line inside the line, or what a program's messages are like.
    pub message: Option<&'static str>,
    /// Its lines.
    pub lines: usize,
    /// The time that stands in it; `None`: it is stored under the time of reading.
    pub timestamp: Option<Timestamp>,
    /// That time as it is written, the zone included.
    pub time_text: Option<String>,
    /// Whether the year is written. Else it is the one that puts the time nearest to that of reading.
    pub year_known: bool,
    /// Whether the zone is written. Else it is the source's.
    pub zone_known: bool,
    /// Its severity.
    pub severity: Severity,
    /// Whether the severity is guessed from words in the message, for no field says it.
    pub severity_guessed: bool,
    /// The service that it names.
    pub service: Option<String>,
    /// The machine that it names.
    pub node: Option<String>,
    /// The message.
    pub body: String,
    /// Its other fields: name, kind, value.
    pub attributes: Vec<(String, AttributeKind, String)>,
    /// How the line is written again from its fields, see [`taffrail_record::layout`]; empty: it is kept beside them.
    pub layout: String,
}

impl Parser {
    /// Explains one line, or the lines of one record, without the last newline, read at `observed`. The record is the one that
    /// [`Parser::parse`] makes.
    pub fn explain(&mut self, line: &[u8], observed: Timestamp) -> Explanation {
        let batch = self.parse(RawBatch { header: self.header(), ..one(line, observed) });
        let record = &batch.records()[0];
        let (draft, written) = self.last();
        let written = batch.text(written);
        let time_text = draft.stamp.and_then(|(at, stamp)| written.get(at..at + stamp.end()));
        let text = |span: Span| batch.text(span).to_owned();
        let attribute = |attribute: &taffrail_record::Attribute| {
            (batch.keys()[usize::from(attribute.key)].to_string(), attribute.kind, text(attribute.value))
        };
        Explanation {
            format: draft.format,
            message: draft.payload,
            lines: 1 + line.iter().filter(|byte| **byte == b'\n').count(),
            timestamp: draft.timestamp,
            time_text: time_text.map(str::to_owned),
            year_known: draft.stamp.is_some_and(|(_, stamp)| stamp.year_known),
            zone_known: draft.stamp.is_some_and(|(_, stamp)| stamp.zone_known),
            severity: record.severity,
            severity_guessed: draft.severity.is_none(),
            service: draft.service.map(|_| text(record.service)),
            node: draft.node.map(|_| text(record.node)),
            body: text(record.body),
            attributes: batch.attributes(0).iter().map(attribute).collect(),
            layout: batch.layouts()[usize::from(record.layout)].to_string(),
        }
    }
}

fn one(line: &[u8], observed: Timestamp) -> RawBatch {
    RawBatch {
        source: "explained".into(),
        observed,
        bytes: line.to_vec(),
        lines: vec![RawLine {
            span: Span::new(0, line.len()),
            offset: 0,
            newline: true,
            joined: line.contains(&b'\n'),
        }],
        header: None,
        gaps: Vec::new(),
        checkpoint: Checkpoint::default(),
    }
}
