//! Entries: how LogWisp shows a line, encoded once for all who watch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
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

/// All of these texts at once, however they are spelled.
static SIGNS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let signs = LEVELS.iter().flat_map(|(_, signs)| *signs);
    let all = AhoCorasick::builder().ascii_case_insensitive(true).build(signs);
    all.expect("a few short texts")
});

/// One entry: `id: ...` and `data: {...}`, a line each, and a blank one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The memory that it shares with those that were made together with it.
    shared: Bytes,
    /// Where it begins there, where its JSON does, and where it ends.
    start: usize,
    json: usize,
    end: usize,
    place: Option<Place>,
}

/// Entries as events, one after the other. What stands so in memory already is not copied.
pub(super) fn events<'a>(entries: impl Iterator<Item = &'a Entry> + Clone) -> Bytes {
    let mut all = entries.clone();
    let Some(first) = all.next() else { return Bytes::new() };
    let mut end = first.end;
    let follows = |entry: &Entry| {
        let is_next = entry.start == end && entry.shared.as_ptr() == first.shared.as_ptr();
        end = entry.end;
        is_next
    };
    if all.all(follows) {
        return first.shared.slice(first.start..end);
    }
    let mut bytes = Vec::with_capacity(entries.clone().map(|entry| entry.event().len()).sum());
    entries.for_each(|entry| bytes.extend_from_slice(entry.event()));
    Bytes::from(bytes)
}

impl Entry {
    /// What the program says itself of a source.
    pub(super) fn notice(level: &str, message: &str, source: &str, now: Timestamp) -> Self {
        let fields = Fields {
            time: Cow::Owned(time(now)),
            source: base_name(source),
            level: Cow::Borrowed(level),
            message: Cow::Borrowed(message),
            fields: None,
        };
        let mut out = Vec::with_capacity(message.len() + 128);
        let json = encode(&fields, None, &mut out);
        Self { end: out.len(), shared: Bytes::from(out), start: 0, json, place: None }
    }

    /// Its place; `None` for what is no stored line.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// As an event.
    pub(super) fn event(&self) -> &[u8] {
        &self.shared[self.start..self.end]
    }

    /// As JSON.
    pub(super) fn json(&self) -> Bytes {
        self.shared.slice(self.json..self.end - 2)
    }

    /// As a line of JSON.
    pub(super) fn line(&self) -> &[u8] {
        &self.shared[self.json..self.end - 1]
    }
}

/// Makes entries of records. They share one piece of memory.
pub(super) struct Encoder {
    source: String,
    /// The last time of reading, as entries show it: all records of a batch have the same.
    observed: (Timestamp, String),
    out: Vec<u8>,
    /// Where each begins, where its JSON does, where it ends, and its place.
    ends: Vec<(usize, usize, usize, Place)>,
}

impl Encoder {
    /// For about so many bytes of lines.
    pub(super) fn new(bytes: usize) -> Self {
        let observed = (Timestamp(0), time(Timestamp(0)));
        Self { source: String::new(), observed, out: Vec::with_capacity(bytes * 2), ends: Vec::new() }
    }

    /// The next records are of this source.
    pub(super) fn source(&mut self, source: &str) {
        self.source = base_name(source).into_owned();
    }

    /// How many entries were made.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The lines of a record, but for empty ones.
    pub(super) fn record(&mut self, record: &[u8], arrival: Arrival) {
        if self.observed.0 != arrival.observed {
            self.observed = (arrival.observed, time(arrival.observed));
        }
        for (line, text) in (1..).zip(record.split(|byte| *byte == b'\n')) {
            self.line(text, Place { arrival, line });
        }
    }

    fn line(&mut self, line: &[u8], place: Place) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let said = said(&text).unwrap_or_default();
        let fields = Fields {
            time: said.time.unwrap_or(Cow::Borrowed(&self.observed.1)),
            source: Cow::Borrowed(&self.source),
            level: said.level.unwrap_or_else(|| Cow::Borrowed(guessed_level(&text))),
            message: said.message.unwrap_or(Cow::Borrowed(&text)),
            fields: said.fields,
        };
        let start = self.out.len();
        let json = encode(&fields, Some(place), &mut self.out);
        self.ends.push((start, json, self.out.len(), place));
    }

    /// All entries, in the order in which they were made.
    pub(super) fn finish(self) -> Vec<Entry> {
        let all = Bytes::from(self.out.into_boxed_slice());
        let entry = |(start, json, end, place): (usize, usize, usize, Place)| Entry {
            shared: all.clone(),
            start,
            json,
            end,
            place: Some(place),
        };
        self.ends.into_iter().map(entry).collect()
    }
}

/// Appends an entry, and says where its JSON begins.
fn encode(fields: &Fields<'_>, place: Option<Place>, out: &mut Vec<u8>) -> usize {
    // Texts and JSON that was read: writing them to memory cannot fail.
    let _ = place.map(|place| writeln!(out, "id: {place}"));
    out.extend_from_slice(DATA.as_bytes());
    let json = out.len();
    let _ = fields.serialize(&mut Serializer::with_formatter(&mut *out, HtmlSafe));
    out.extend_from_slice(b"\n\n");
    json
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

/// The first of the groups of which a text stands in the line.
fn guessed_level(text: &str) -> &'static str {
    let mut found: Option<usize> = None;
    for sign in SIGNS.find_overlapping_iter(text) {
        let mut end = 0;
        let group = LEVELS.iter().position(|(_, signs)| {
            end += signs.len();
            sign.pattern().as_usize() < end
        });
        found = found.map_or(group, |known| group.map(|group| group.min(known)));
    }
    found.map_or("", |group| LEVELS[group].0)
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
        while let Some(at) = memchr::memchr3(b'<', b'>', b'&', rest.as_bytes()) {
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
        let mut entries = Encoder::new(100);
        entries.source("/var/log/app.log");
        entries.record(line.as_bytes(), arrival);
        entries.finish().iter().map(|entry| String::from_utf8(entry.line().to_vec()).unwrap()).collect()
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
        let mut entries = Encoder::new(100);
        entries.source("/a/b.log");
        entries.record(b"one\n\n two", arrival);
        let entries = entries.finish();
        let together = events(entries.iter());
        assert_eq!(together.as_ptr(), entries[0].event().as_ptr(), "not copied");
        let apart = events(entries.iter().rev());
        assert_eq!(apart.len(), together.len());
        assert_eq!(together, [entries[0].event(), entries[1].event()].concat());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(entries[1].event()), format!("id: 9-7-3\ndata: {}\n", text(entries[1].line())));
        assert_eq!(entries.len(), 2);
        assert!(line.starts_with(
            r#"{"time":"1970-01-01T00:00:00Z","source":"b.log","level":"INFO","message":"Log rot"#
        ));
    }
}
