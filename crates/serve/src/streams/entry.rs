//! Entries: how LogWisp shows a line, encoded once for all who watch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;
use taffrail_record::{Timestamp, Zone};
use taffrail_store::engine::Arrival;

use super::place::Place;
use crate::api::iso;

/// What stands before an entry in an event stream.
const DATA: &str = "data: ";

/// The groups of texts in a line that say how bad it is, in the order in which they are looked for.
const LEVELS: [(&str, &[&str]); 5] = [
    ("ERROR", &["[ERROR]", "ERROR:", " ERROR ", "ERR:", "[ERR]", "FATAL:", "[FATAL]"]),
    ("WARN", &["[WARN]", "WARN:", " WARN ", "WARNING:", "[WARNING]"]),
    ("INFO", &["[INFO]", "INFO:", " INFO ", "[INF]", "INF:"]),
    ("DEBUG", &["[DEBUG]", "DEBUG:", " DEBUG ", "[DBG]", "DBG:"]),
    ("TRACE", &["[TRACE]", "TRACE:", " TRACE "]),
];

/// One entry: `id: ...` and `data: {...}`, a line each, and a blank one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    event: Bytes,
    /// Where the JSON begins.
    json: usize,
    place: Option<Place>,
}

impl Entry {
    /// The lines of a record, but for empty ones.
    pub(super) fn of_record(record: &[u8], source: &str, arrival: Arrival) -> impl Iterator<Item = Self> {
        let lines = (1..).zip(record.split(|byte| *byte == b'\n'));
        lines.filter_map(move |(line, text)| Self::of_line(text, source, Place { arrival, line }))
    }

    fn of_line(line: &[u8], source: &str, place: Place) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(line);
        let said = said(&text).unwrap_or_default();
        let fields = Fields {
            time: said.time.unwrap_or_else(|| Cow::Owned(time(place.arrival.observed))),
            source: base_name(source),
            level: said.level.unwrap_or_else(|| Cow::Borrowed(guessed_level(&text))),
            message: said.message.unwrap_or(Cow::Borrowed(&text)),
            fields: said.fields,
        };
        Some(Self::encode(&fields, Some(place)))
    }

    /// What the program says itself of a source.
    pub(super) fn notice(level: &str, message: &str, source: &str, now: Timestamp) -> Self {
        let fields = Fields {
            time: Cow::Owned(time(now)),
            source: base_name(source),
            level: Cow::Borrowed(level),
            message: Cow::Borrowed(message),
            fields: None,
        };
        Self::encode(&fields, None)
    }

    fn encode(fields: &Fields<'_>, place: Option<Place>) -> Self {
        let mut out = Vec::with_capacity(fields.message.len() + 192);
        // Writing to memory cannot fail.
        let _ = place.map(|place| writeln!(out, "id: {place}"));
        out.extend_from_slice(DATA.as_bytes());
        let json = out.len();
        // Texts and JSON that was read: writing them to memory cannot fail.
        let _ = fields.serialize(&mut Serializer::with_formatter(&mut out, HtmlSafe));
        out.extend_from_slice(b"\n\n");
        Self { event: Bytes::from(out), json, place }
    }

    /// Its place; `None` for what is no stored line.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// As an event.
    pub(super) fn event(&self) -> &[u8] {
        &self.event
    }

    /// As JSON.
    pub(super) fn json(&self) -> Bytes {
        self.event.slice(self.json..self.event.len() - 2)
    }

    /// As a line of JSON.
    pub(super) fn line(&self) -> &[u8] {
        &self.event[self.json..self.event.len() - 1]
    }
}

/// The keys in their order.
#[derive(Serialize)]
struct Fields<'a> {
    time: Cow<'a, str>,
    source: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    level: Cow<'a, str>,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a RawValue>,
}

/// What a line that is a JSON object says; the type of each member is as the original wants it.
#[derive(Default)]
struct Said<'a> {
    time: Option<Cow<'a, str>>,
    level: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    fields: Option<&'a RawValue>,
}

/// `None` where the line is a text, also one that looks like an object.
fn said(text: &str) -> Option<Said<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let member = |wanted: &str| {
        let exact = members.get(wanted);
        exact.or_else(|| {
            members.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
        })
    };
    // A type clash makes the whole line a text.
    let text = |wanted: &str| match member(wanted) {
        None => Some(None),
        Some(value) if value.get() == "null" => Some(None),
        Some(value) => serde_json::from_str::<String>(value.get()).ok().map(Some),
    };
    let time = text("time")?.filter(|time| time.parse::<jiff::Timestamp>().is_ok());
    let message = match text("msg")? {
        Some(message) => Some(message),
        // The original's page shows it, and the original loses it.
        None => text("message")?,
    };
    Some(Said {
        time: time.map(Cow::Owned),
        level: Some(text("level")?.map_or(Cow::Borrowed(""), Cow::Owned)),
        message: Some(message.map_or(Cow::Borrowed(""), Cow::Owned)),
        fields: member("fields").copied(),
    })
}

fn guessed_level(text: &str) -> &'static str {
    let upper = text.to_ascii_uppercase();
    let found = LEVELS.iter().find(|(_, signs)| signs.iter().any(|sign| upper.contains(sign)));
    found.map_or("", |(level, _)| level)
}

/// UTC to the nanosecond, without zeros at the end.
pub(super) fn time(timestamp: Timestamp) -> String {
    let text = iso(timestamp, 9, Zone::Zulu);
    let Some(digits) = text.strip_suffix('Z') else { return text };
    format!("{}Z", digits.trim_end_matches('0').trim_end_matches('.'))
}

fn base_name(source: &str) -> Cow<'_, str> {
    Path::new(source).file_name().map_or(Cow::Borrowed(source), |name| name.to_string_lossy())
}

/// JSON as Go writes it, which is safe inside of HTML.
struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", rest.as_bytes()[at])?;
            rest = &rest[at + 1..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> String {
        let arrival = Arrival { observed: Timestamp(1_793_491_200_120_000_000), offset: 7 };
        let entries = Entry::of_record(line.as_bytes(), "/var/log/app.log", arrival);
        entries.map(|entry| String::from_utf8(entry.line().to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_become_entries_as_the_original_shows_them() {
        let with =
            |rest: &str| format!(r#"{{"time":"2026-11-01T00:00:00.12Z","source":"app.log",{rest}}}"#) + "\n";
        for (line, want) in [
            ("plain", with(r#""message":"plain""#)),
            ("x error: y", with(r#""level":"ERROR","message":"x error: y""#)),
            ("a warn b [info]", with(r#""level":"WARN","message":"a warn b [info]""#)),
            ("terror", with(r#""message":"terror""#)),
            ("<b> & \"c\"", with(r#""message":"\u003cb\u003e \u0026 \"c\"""#)),
            (
                r#"{"msg":"hi","level":"warn","fields":{"b":1,"a":2},"x":1}"#,
                with(r#""level":"warn","message":"hi","fields":{"b":1,"a":2}"#),
            ),
            (r#"{"Message":"hi"}"#, with(r#""message":"hi""#)),
            (r#"{"msg":7}"#, with(r#""message":"{\"msg\":7}""#)),
            (r#"{"time":"soon","msg":"hi"}"#, with(r#""message":"hi""#)),
            ("{broken", with(r#""message":"{broken""#)),
            ("", String::new()),
        ] {
            assert_eq!(entry(line), want, "{line}");
        }
        let own = r#"{"time":"2024-01-01T12:00:00.5Z","msg":"hi"}"#;
        assert!(entry(own).starts_with(r#"{"time":"2024-01-01T12:00:00.5Z","#), "{}", entry(own));
    }

    #[test]
    fn an_event_is_the_same_json() {
        let notice =
            Entry::notice("INFO", "Log rotation detected (#1): inode change", "/a/b.log", Timestamp(0));
        let event = String::from_utf8(notice.event().to_vec()).unwrap();
        let line = String::from_utf8(notice.line().to_vec()).unwrap();
        assert_eq!(event, format!("data: {line}\n"));
        let arrival = Arrival { observed: Timestamp(9), offset: 7 };
        let entries: Vec<Entry> = Entry::of_record(b"one\n\n two", "/a/b.log", arrival).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(entries[1].event()), format!("id: 9-7-3\ndata: {}\n", text(entries[1].line())));
        assert_eq!(entries.len(), 2);
        assert!(line.starts_with(
            r#"{"time":"1970-01-01T00:00:00Z","source":"b.log","level":"INFO","message":"Log rot"#
        ));
    }
}
