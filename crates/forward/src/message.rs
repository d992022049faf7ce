//! What people read of a line: of an entry of the journal its message, of all else the line itself.

use std::borrow::Cow;

use serde::Deserialize;
use taffrail_record::{RawBatch, Span, Timestamp};

use crate::JOURNAL;
use crate::line::{self, Badness, Rules};

/// A line as people read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    text: Cow<'a, [u8]>,
    /// When the journal got it.
    written: Option<Timestamp>,
}

/// An entry of the journal, see `systemd.journal-fields(7)`. Numbers are text there.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE")]
    message: Option<Text>,
    /// Microseconds.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    written: Option<String>,
}

/// A field: what is not UTF-8 stands there byte by byte.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

impl<'a> Message<'a> {
    /// That of a line of this source.
    pub fn of(source: &str, line: &'a [u8]) -> Self {
        let is_journal =
            source.strip_prefix(JOURNAL).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let entry = is_journal.then(|| serde_json::from_slice::<Entry>(line).ok()).flatten();
        let Some(entry) = entry else {
            return Self { text: Cow::Borrowed(line.strip_suffix(b"\r").unwrap_or(line)), written: None };
        };
        let text = match entry.message {
            Some(Text::Text(text)) => text.into_bytes(),
            Some(Text::Bytes(bytes)) => bytes,
            None => Vec::new(),
        };
        let microseconds = entry.written.and_then(|text| text.parse::<i64>().ok());
        let written = microseconds.and_then(|micros| micros.checked_mul(1_000)).map(Timestamp);
        Self { text: Cow::Owned(text), written }
    }

    /// Its text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// When it was written, as Resolvix' clients read it; see [`line::timestamp`].
    pub fn timestamp(&self, now: Timestamp, offset_minutes: i16) -> String {
        match self.written {
            Some(written) => line::timestamp("", written, offset_minutes),
            None => line::timestamp(&self.text(), now, offset_minutes),
        }
    }

    /// How bad it is, and whether anybody is told of it.
    pub fn judge(&self, rules: Rules) -> (Badness, bool) {
        line::judge(&self.text, rules)
    }
}

/// Leaves the records of a batch that have a word for an error, and no bytes of others.
pub fn keep_errors(batch: &mut RawBatch, rules: Rules) {
    let mut kept = Vec::new();
    let all = std::mem::take(&mut batch.bytes);
    let source = &batch.source;
    batch.lines.retain_mut(|line| {
        let record = line.span.of(&all);
        let (_, is_told) = Message::of(source, record).judge(rules);
        if is_told {
            line.span = Span::new(kept.len(), kept.len() + record.len());
            kept.extend_from_slice(record);
        }
        is_told
    });
    batch.bytes = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_journal_are_their_messages() {
        let now = Timestamp(0);
        let micros = 1_795_320_000_500_000_i64;
        let entry = format!(r#"{{"__REALTIME_TIMESTAMP":"{micros}","MESSAGE":"disk error","UNIT":"a"}}"#);
        for source in ["journal", "journal:/var/log/journal"] {
            let message = Message::of(source, entry.as_bytes());
            assert_eq!(message.text(), "disk error");
            assert_eq!(message.timestamp(now, 0), "2026-11-22T04:00:00.500000Z");
            assert_eq!(message.judge(Rules::Words), (Badness::Error, true));
        }
        let bytes = Message::of("journal", br#"{"MESSAGE":[101,114,114,255]}"#).text().into_owned();
        assert_eq!(bytes, "err\u{fffd}");
        // A name that only begins so, what is no entry, and one without a message.
        assert_eq!(Message::of("journals", entry.as_bytes()).text(), entry);
        assert_eq!(Message::of("journal", b"no entry\r").text(), "no entry");
        assert_eq!(Message::of("journal", br#"{"MESSAGE":null}"#).text(), "");
    }
}
