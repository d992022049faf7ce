//! Entries: how LogWisp shows a line, encoded once for all who watch.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use taffrail_record::{Timestamp, Zone};
use taffrail_store::engine::Arrival;

use super::json::{write_raw, write_text};
use super::place::Place;
use crate::api::iso;

/// What stands before an entry in an event stream.
const DATA: &str = "data: ";

/// Bytes of an entry beside the line.
const OVERHEAD: usize = 176;

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

/// Moves entries into memory of their own, where they are a small part of that which they share: else the last entry of a
/// quiet stream would hold what busy ones showed at the same time.
pub(super) fn move_out(entries: &mut [Entry]) {
    let bytes: usize = entries.iter().map(Entry::bytes).sum();
    let held = entries.iter().map(|entry| entry.shared.len()).max().unwrap_or(0);
    if bytes > held / 2 {
        return;
    }
    let mut own = Vec::with_capacity(bytes);
    entries.iter().for_each(|entry| own.extend_from_slice(entry.event()));
    let own = Bytes::from(own);
    let mut start = 0;
    for entry in entries {
        let (json, end) = (start + entry.json - entry.start, start + entry.bytes());
        *entry = Entry { shared: own.clone(), start, json, end, place: entry.place };
        start = end;
    }
}

impl Entry {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        self.end - self.start
    }

    /// What the program says itself of a source.
    pub(super) fn notice(level: &str, message: &str, source: &str, now: Timestamp) -> Self {
        let mut out = Vec::with_capacity(message.len() + 128);
        out.extend_from_slice(DATA.as_bytes());
        let json = out.len();
        Head { time: &time(now), source: &base_name(source) }.write(&mut out);
        write_rest(level, message, None, &mut out);
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
    pub(super) fn json(&self) -> &[u8] {
        &self.shared[self.json..self.end - 2]
    }

    /// As a line of JSON.
    pub(super) fn line(&self) -> &[u8] {
        &self.shared[self.json..self.end - 1]
    }
}

/// Makes entries of records. They share one piece of memory.
pub(super) struct Encoder {
    source: String,
    /// The last time of reading: all records of a batch have the same.
    observed: Timestamp,
    /// What all entries of that time and source begin with: their ids, and their JSON.
    id: Vec<u8>,
    json: Vec<u8>,
    out: Vec<u8>,
    /// Where each begins, where its JSON does, where it ends, and its place.
    ends: Vec<(usize, usize, usize, Place)>,
}

impl Encoder {
    /// For about so many lines, and bytes of them.
    pub(super) fn new(lines: usize, bytes: usize) -> Self {
        let out = Vec::with_capacity(bytes + bytes / 16 + lines * OVERHEAD);
        let (id, json, ends) = (Vec::new(), Vec::new(), Vec::with_capacity(lines));
        Self { source: String::new(), observed: Timestamp(i64::MIN), id, json, out, ends }
    }

    /// The next records are of this source.
    pub(super) fn source(&mut self, source: &str) {
        self.source = base_name(source).into_owned();
        self.begin(self.observed);
    }

    /// The next records were read then.
    fn begin(&mut self, observed: Timestamp) {
        self.observed = observed;
        self.id.clear();
        self.id.extend_from_slice(format!("id: {}-", observed.0).as_bytes());
        self.json.clear();
        let head = Head { time: &time(observed), source: &self.source };
        head.write(&mut self.json);
    }

    /// How many entries were made.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The lines of a record, but for empty ones.
    pub(super) fn record(&mut self, record: &[u8], arrival: Arrival) {
        if self.observed != arrival.observed {
            self.begin(arrival.observed);
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
        // Far faster than what also mends.
        let text = std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
        let said = said(&text).unwrap_or_default();
        let start = self.out.len();
        self.out.extend_from_slice(&self.id);
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(place.arrival.offset).as_bytes());
        self.out.push(b'-');
        self.out.extend_from_slice(digits.format(place.line).as_bytes());
        self.out.push(b'\n');
        self.out.extend_from_slice(DATA.as_bytes());
        let json = self.out.len();
        match &said.time {
            None => self.out.extend_from_slice(&self.json),
            Some(time) => Head { time, source: &self.source }.write(&mut self.out),
        }
        let level = said.level.unwrap_or_else(|| Cow::Borrowed(guessed_level(&text)));
        write_rest(&level, said.message.as_deref().unwrap_or(&text), said.fields, &mut self.out);
        self.ends.push((start, json, self.out.len(), place));
    }

    /// All entries, in the order in which they were made.
    pub(super) fn finish(self) -> Vec<Entry> {
        let all = Bytes::from(self.out);
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

/// What the JSON of an entry begins with.
struct Head<'a> {
    time: &'a str,
    source: &'a str,
}

impl Head<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":");
        write_text(self.time, out);
        out.extend_from_slice(b",\"source\":");
        write_text(self.source, out);
    }
}

/// Appends what follows, to the end of an entry.
fn write_rest(level: &str, message: &str, fields: Option<&RawValue>, out: &mut Vec<u8>) {
    if !level.is_empty() {
        out.extend_from_slice(b",\"level\":");
        write_text(level, out);
    }
    out.extend_from_slice(b",\"message\":");
    write_text(message, out);
    if let Some(fields) = fields {
        out.extend_from_slice(b",\"fields\":");
        write_raw(fields.get(), out);
    }
    out.extend_from_slice(b"}\n\n");
}

/// What a line that is a JSON object says; the type of each member is as the original wants it.
#[derive(Default)]
struct Said<'a> {
    time: Option<Cow<'a, str>>,
    level: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    fields: Option<&'a RawValue>,
}

/// The members that are looked for.
const MEMBERS: [&str; 5] = ["time", "level", "msg", "message", "fields"];

/// Their values, of names that are spelled so, and of names that are spelled another way.
#[derive(Default)]
struct Members<'a> {
    exact: [Option<&'a RawValue>; MEMBERS.len()],
    other: [Option<&'a RawValue>; MEMBERS.len()],
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(Name(name)) = map.next_key()? {
            let place = MEMBERS.iter().position(|member| name.eq_ignore_ascii_case(member));
            match place {
                Some(place) if name == MEMBERS[place] => members.exact[place] = Some(map.next_value()?),
                Some(place) => members.other[place] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// A text that is not copied if it stands in the JSON as it is.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    fn raw(&self, wanted: &str) -> Option<&'a RawValue> {
        let place = MEMBERS.iter().position(|member| *member == wanted)?;
        self.exact[place].or(self.other[place])
    }

    /// `None` where it is no text; nothing where it is not there.
    fn text(&self, wanted: &str) -> Option<Option<Cow<'a, str>>> {
        match self.raw(wanted).map(RawValue::get) {
            None | Some("null") => Some(None),
            Some(value) => serde_json::from_str(value).ok().map(|Name(text)| Some(text)),
        }
    }
}

/// `None` where the line is a text, also one that looks like an object. A type clash makes the whole line a text.
fn said(line: &str) -> Option<Said<'_>> {
    if !line.trim_ascii_start().starts_with('{') {
        return None;
    }
    let members: Members<'_> = serde_json::from_str(line).ok()?;
    // The original's page shows `message`, and the original loses it.
    let messages = [members.text("msg")?, members.text("message")?];
    let has_one = messages.iter().any(Option::is_some);
    let message = messages.into_iter().flatten().find(|message| !message.is_empty());
    Some(Said {
        time: members.text("time")?.and_then(exact),
        level: Some(members.text("level")?.unwrap_or_default()),
        // What has neither is shown as it is: nothing would be left of it.
        message: message.or_else(|| has_one.then_some(Cow::Borrowed(""))),
        fields: members.raw("fields"),
    })
}

/// A time of RFC 3339, without zeros at the end of its seconds; `None` for what is none.
fn exact(time: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let (date, zone) = match time.strip_suffix('Z') {
        Some(date) => (date, "Z"),
        None => time.split_at_checked(time.len().checked_sub(6)?)?,
    };
    let (seconds, fraction) = date.split_once('.').unwrap_or((date, "0"));
    let has_form = |text: &str, form: &str| {
        let fits =
            |(letter, form): (u8, u8)| if form == b'0' { letter.is_ascii_digit() } else { letter == form };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
    };
    let is_zone = zone == "Z" || has_form(&zone.replacen('-', "+", 1), "+00:00");
    let is_exact = has_form(seconds, "0000-00-00T00:00:00")
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && is_zone
        && time.parse::<jiff::Timestamp>().is_ok();
    let is_short = !date.contains('.') || !fraction.ends_with('0');
    match (is_exact, is_short && zone != "+00:00") {
        (false, _) => None,
        (true, true) => Some(time),
        (true, false) => {
            let short =
                if date.contains('.') { date.trim_end_matches('0').trim_end_matches('.') } else { date };
            let zone = if zone == "+00:00" { "Z" } else { zone };
            Some(Cow::Owned(format!("{short}{zone}")))
        }
    }
}

/// The group of a text, and the text.
type Sign = (usize, &'static [u8]);

/// What the texts end with.
struct Endings {
    /// The texts by the letter before their last byte, in both spellings.
    by_letter: [Vec<Sign>; 256],
    /// Which pairs of letters stand before the last byte of one: a bit each, by the first letter and then the second.
    pairs: [u64; 1024],
}

static ENDINGS: LazyLock<Endings> = LazyLock::new(|| {
    let mut endings = Endings { by_letter: [const { Vec::new() }; 256], pairs: [0; 1024] };
    let spellings = |letter: u8| [letter, letter.to_ascii_lowercase()];
    for (group, (_, signs)) in LEVELS.iter().enumerate() {
        for sign in signs.iter().map(|sign| sign.as_bytes()) {
            let [.., first, second, _] = *sign else { continue };
            for second in spellings(second) {
                endings.by_letter[usize::from(second)].push((group, sign));
                for first in spellings(first) {
                    let pair = usize::from(first) << 8 | usize::from(second);
                    endings.pairs[pair / 64] |= 1 << (pair % 64);
                }
            }
        }
    }
    endings
});

/// The first of the groups of which a text stands in the line, however it is spelled. All end with one of three bytes, and
/// few words that end before these have both of their last letters.
fn guessed_level(line: &str) -> &'static str {
    let (line, Endings { by_letter, pairs }) = (line.as_bytes(), &*ENDINGS);
    let mut found = LEVELS.len();
    for at in memchr::memchr3_iter(b' ', b':', b']', line) {
        let [.., first, second] = line[..at] else { continue };
        let pair = usize::from(first) << 8 | usize::from(second);
        if pairs[pair / 64] >> (pair % 64) & 1 == 0 {
            continue;
        }
        let head = &line[..=at];
        for (group, sign) in &by_letter[usize::from(second)] {
            let start = head.len().checked_sub(sign.len());
            if *group < found && start.is_some_and(|start| head[start..].eq_ignore_ascii_case(sign)) {
                found = *group;
            }
        }
        if found == 0 {
            break;
        }
    }
    LEVELS.get(found).map_or("", |(level, _)| level)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> String {
        let arrival = Arrival { observed: Timestamp(1_793_491_200_120_000_000), offset: 7 };
        let mut entries = Encoder::new(1, 100);
        entries.source("/var/log/app.log");
        entries.record(line.as_bytes(), arrival);
        entries.finish().iter().map(|entry| String::from_utf8(entry.line().to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_few_of_many_do_not_hold_the_memory_of_all() {
        let arrival = |offset| Arrival { observed: Timestamp(1), offset };
        let mut encoder = Encoder::new(100, 10_000);
        (0..100).for_each(|number| encoder.record(format!("line {number}").as_bytes(), arrival(number)));
        let all = encoder.finish();
        let mut few =
            vec![all[7].clone(), Entry::notice("INFO", "rotated", "a", Timestamp(0)), all[60].clone()];
        let want: Vec<_> =
            few.iter().map(|entry| (entry.event().to_vec(), entry.json().to_vec(), entry.place())).collect();
        move_out(&mut few);
        let found: Vec<_> =
            few.iter().map(|entry| (entry.event().to_vec(), entry.json().to_vec(), entry.place())).collect();
        assert_eq!(found, want);
        assert!(few.iter().all(|entry| entry.shared.len() == few.iter().map(Entry::bytes).sum::<usize>()));
        // Most of them stay where they are.
        let mut most = all[..90].to_vec();
        move_out(&mut most);
        assert_eq!(most[0].shared.as_ptr(), all[0].shared.as_ptr());
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
            ("ERR error] [err", with(r#""message":"ERR error] [err""#)),
            ("myerr: x", with(r#""level":"ERROR","message":"myerr: x""#)),
            ("warning: [Dbg]", with(r#""level":"WARN","message":"warning: [Dbg]""#)),
            ("<b> & \"c\"", with(r#""message":"\u003cb\u003e \u0026 \"c\"""#)),
            ("â€ \u{2028}a\u{2029}<", with(r#""message":"â€ \u2028a\u2029\u003c""#)),
            // What was read is as safe, and one line.
            (
                "{\"msg\":\"x\",\"fields\":{ \"<a b>\" : [1,\r\t2] , \"c\\\\\" :\"d\\\" e\u{2028}\"}}",
                with(r#""message":"x","fields":{"\u003ca b\u003e":[1,2],"c\\":"d\" e\u2028"}"#),
            ),
            (
                r#"{"msg":"hi","level":"warn","fields":{"b":1,"a":2},"x":1}"#,
                with(r#""level":"warn","message":"hi","fields":{"b":1,"a":2}"#),
            ),
            (r#"{"Message":"hi"}"#, with(r#""message":"hi""#)),
            (r#"{"msg":7}"#, with(r#""message":"{\"msg\":7}""#)),
            (r#"  {"msg":"","message":"hi","level":"warn"}"#, with(r#""level":"warn","message":"hi""#)),
            (r#"{"msg":""}"#, with(r#""message":"""#)),
            // Of what has no message nothing would be left.
            (
                r#"{"log":"a","level":"info"}"#,
                with(r#""level":"info","message":"{\"log\":\"a\",\"level\":\"info\"}""#),
            ),
            ("{}", with(r#""message":"{}""#)),
            ("{broken", with(r#""message":"{broken""#)),
            ("", String::new()),
        ] {
            assert_eq!(entry(line), want, "{line}");
        }
        let observed = "2026-11-01T00:00:00.12Z";
        for (time, want) in [
            ("2024-01-01T12:00:00.5Z", "2024-01-01T12:00:00.5Z"),
            ("2024-01-01T12:00:00.120000-05:30", "2024-01-01T12:00:00.12-05:30"),
            ("2024-01-01T12:00:00.000+00:00", "2024-01-01T12:00:00Z"),
            ("2024-01-01T12:00:00+00:00", "2024-01-01T12:00:00Z"),
            ("soon", observed),
            ("", observed),
            ("2024-13-01T12:00:00Z", observed),
            ("2024-01-01 12:00:00Z", observed),
            ("2024-01-01t12:00:00z", observed),
            ("2024-01-01T12Z", observed),
            ("20240101T120000Z", observed),
            ("2024-01-01T12:00:00.Z", observed),
            ("2024-01-01T12:00:00+05", observed),
            ("2024-01-01T12:00:00Z[UTC]", observed),
        ] {
            let shown = entry(&format!(r#"{{"time":"{time}","msg":"hi"}}"#));
            assert!(shown.starts_with(&format!(r#"{{"time":"{want}","#)), "{time}: {shown}");
        }
    }

    #[test]
    fn an_event_is_the_same_json() {
        let notice =
            Entry::notice("INFO", "Log rotation detected (#1): inode change", "/a/b.log", Timestamp(0));
        let event = String::from_utf8(notice.event().to_vec()).unwrap();
        let line = String::from_utf8(notice.line().to_vec()).unwrap();
        assert_eq!(event, format!("data: {line}\n"));
        let arrival = Arrival { observed: Timestamp(9), offset: 7 };
        let mut entries = Encoder::new(1, 100);
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
