//! Lines whose columns a header names: CSV and its relatives, W3C's extended format as IIS and proxies write it, Zeek.

use std::sync::Arc;

use taffrail_record::{AttributeKind, header};

use super::severity_of_class;
use crate::clock::{Clock, Stamp};
use crate::draft::{Draft, DraftAttribute, Name, Place};
use crate::member::{Member, Members, Value, is_time_name};

/// The names that these formats have.
pub(super) const NAMES: [&str; 3] = [CSV, W3C, ZEEK];
const CSV: &str = "csv";
const W3C: &str = "w3c";
const ZEEK: &str = "zeek";

/// Columns that are a time together, or by themselves.
const TIMES: [&str; 5] = ["date", "time", "date_local", "time_local", "ts"];
/// Columns of a line at most.
const COLUMNS_MAX: usize = 256;

/// W3C's names and IIS's, and ours.
const W3C_NAMES: [(&str, &str); 20] = [
    ("c-ip", "client_ip"),
    ("c-port", "client_port"),
    ("cs(referer)", "referer"),
    ("cs(user-agent)", "user_agent"),
    ("cs(cookie)", "cookie"),
    ("cs(host)", "host"),
    ("cs-host", "host"),
    ("cs-method", "method"),
    ("cs-uri", "url"),
    ("cs-uri-stem", "path"),
    ("cs-uri-query", "query"),
    ("cs-username", "user"),
    ("cs-bytes", "request_bytes"),
    ("cs-version", "http_version"),
    ("s-ip", "server_ip"),
    ("s-port", "port"),
    ("s-sitename", "site"),
    ("sc-bytes", "bytes"),
    ("sc-status", "status"),
    ("sc-substatus", "substatus"),
];

/// Zeek's names, and ours.
const ZEEK_NAMES: [(&str, &str); 14] = [
    ("id.orig_h", "client_ip"),
    ("id.orig_p", "client_port"),
    ("id.resp_h", "dst_ip"),
    ("id.resp_p", "dst_port"),
    ("proto", "protocol"),
    ("service", "application"),
    ("duration", "duration_seconds"),
    ("orig_bytes", "sent_bytes"),
    ("resp_bytes", "received_bytes"),
    ("uri", "path"),
    ("referrer", "referer"),
    ("username", "user"),
    ("status_code", "status"),
    ("status_msg", "status_text"),
];

/// How lines under a header become records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Headed {
    /// Each is one.
    Whole,
    /// A quoted value may go over several lines.
    Quoted,
}

impl Headed {
    /// Whether a record goes on with the line after it: a value in it is not closed, or Zeek closes its file.
    pub(crate) fn goes_on(self, record: &[u8], line: &[u8]) -> bool {
        match self {
            Self::Whole => line.starts_with(b"#close\t"),
            Self::Quoted => is_open(record),
        }
    }

    /// Whether a record looks as if it went on.
    pub(crate) fn is_open(self, record: &[u8]) -> bool {
        self == Self::Quoted && is_open(record)
    }
}

/// Whether a quoted value goes on after the record.
fn is_open(record: &[u8]) -> bool {
    memchr::memchr_iter(b'"', record).count() % 2 == 1
}

/// How lines under this header become records; `None` if it names no columns.
pub(crate) fn headed(header: &str) -> Option<Headed> {
    let named = Named::of(header, None)?;
    Some(if named.format == CSV && named.separator != b'\t' { Headed::Quoted } else { Headed::Whole })
}

/// What the header says that lines stand under.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// The header that this was made of.
    header: Option<Arc<str>>,
    named: Option<Named>,
    /// The line that said the day last.
    date: Option<Vec<u8>>,
    /// Where the columns of a line stand.
    ranges: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Named {
    format: &'static str,
    separator: u8,
    names: Vec<String>,
    /// The day that all lines are of, as the header says it.
    date: Option<String>,
}

impl Columns {
    /// Lines stand under this header from here on. One of CSV counts if a column is a time, or if `only` says that the
    /// lines are CSV.
    pub(crate) fn set(&mut self, header: Option<&Arc<str>>, only: Option<&str>) {
        if self.header.as_ref() != header {
            self.header = header.cloned();
            self.named = header.and_then(|header| Named::of(header, only));
            self.ranges = vec![(0, 0); self.named.as_ref().map_or(0, |named| named.names.len())];
        }
    }

    /// The same, where the line itself is such a header that may stand anywhere.
    pub(crate) fn note(&mut self, line: &[u8], only: Option<&str>) {
        if line.first() != Some(&b'#') {
            return;
        }
        let columns = if header::is_date(line) {
            self.date = Some(line.to_vec());
            self.header.clone()
        } else {
            header::text(line).filter(|_| header::is_directive(line))
        };
        if let Some(columns) = columns {
            let date = self.date.as_deref().unwrap_or_default();
            self.set(Some(&header::with_date(&columns, date)), only);
        }
    }

    /// The format of lines under the header.
    pub(super) fn format(&self) -> Option<&'static str> {
        self.named.as_ref().map(|named| named.format)
    }

    /// The header that lines stand under.
    pub(crate) fn header(&self) -> Option<&Arc<str>> {
        self.header.as_ref()
    }

    /// Fills `draft` with what a line under the header says; its format's name, if it has those columns.
    pub(super) fn parse(
        &mut self,
        line: &[u8],
        clock: &mut Clock,
        members: &mut Members,
        draft: &mut Draft,
    ) -> Option<&'static str> {
        let named = self.named.as_ref()?;
        let is_header = self
            .header
            .as_ref()
            .is_some_and(|header| header.lines().next().is_some_and(|own| own.as_bytes() == line));
        if is_header || named.format != CSV && line.starts_with(b"#") {
            take_time_of_directive(line, clock, draft);
            return Some(named.format);
        }
        let separator = match named.separator {
            b' ' if memchr::memchr(b'\t', line).is_some() => b'\t',
            separator => separator,
        };
        split(line, separator, &mut self.ranges)?;
        match named.format {
            CSV => named.take_members(line, &self.ranges, clock, members, draft),
            _ => named.take(line, &self.ranges, clock, draft),
        }
        Some(named.format)
    }
}

impl Named {
    fn of(header: &str, only: Option<&str>) -> Option<Self> {
        let (header, date) = header.split_once('\n').map_or((header, None), |(own, date)| (own, Some(date)));
        let named = if let Some(fields) = header.strip_prefix("#Fields:") {
            let names =
                fields.split_ascii_whitespace().map(|name| ours(&name.to_ascii_lowercase(), &W3C_NAMES));
            let date = date.and_then(|date| date.split_ascii_whitespace().nth(1)).map(str::to_owned);
            Self { format: W3C, separator: b' ', names: names.collect(), date }
        } else if let Some(fields) = header.strip_prefix("#fields\t") {
            let names = fields.split('\t').map(|name| ours(name, &ZEEK_NAMES));
            Self { format: ZEEK, separator: b'\t', names: names.collect(), date: None }
        } else {
            let separator = header::separator(header.as_bytes())?;
            let header = header.strip_prefix('\u{feff}').unwrap_or(header);
            let mut names: Vec<String> = header.split(char::from(separator)).map(csv_name).collect();
            if !names.iter().any(|name| is_time_name(name.as_bytes())) {
                let is_time = |name: &&mut String| {
                    let name = name.to_ascii_lowercase();
                    ["time", "timestamp", "date", "_at"].iter().any(|end| name.ends_with(end))
                };
                match names.iter_mut().find(is_time) {
                    Some(name) => "time".clone_into(name),
                    None if only == Some(CSV) => {}
                    None => return None,
                }
            }
            Self { format: CSV, separator, names, date: None }
        };
        ((2..=COLUMNS_MAX).contains(&named.names.len())).then_some(named)
    }

    /// Takes the columns over as attributes beside the whole line. `-` stands for nothing.
    fn take(&self, line: &[u8], ranges: &[(usize, usize)], clock: &mut Clock, draft: &mut Draft) {
        if let Some((at, stamp)) = self.time(line, ranges, clock) {
            draft.take_time(at, &stamp);
        }
        for (name, (start, end)) in self.names.iter().zip(ranges.iter().copied()) {
            let text = &line[start..end];
            let is_time = draft.timestamp.is_some() && TIMES.contains(&name.as_str());
            if is_time || matches!(text, b"-" | b"" | b"(empty)") {
                continue;
            }
            let value = Place::line(start, end);
            match name.as_str() {
                "s-computername" => draft.node = Some(value),
                // IIS counts milliseconds, others write seconds with a fraction.
                "time-taken" if text.iter().all(u8::is_ascii_digit) => {
                    push("duration_ms", text, value, draft)
                }
                "time-taken" => push("duration", text, value, draft),
                name => push(name, text, value, draft),
            }
            if let ("status", None, [class @ b'1'..=b'5', _, _]) = (name.as_str(), draft.severity, text) {
                draft.severity = Some(severity_of_class(*class));
            }
        }
    }

    /// The time of a line, and where it stands: `date` and `time` beside each other, or `ts`. W3C wants UTC, but for names
    /// that say otherwise.
    fn time(&self, line: &[u8], ranges: &[(usize, usize)], clock: &mut Clock) -> Option<(usize, Stamp)> {
        let place = |wanted: &str| self.names.iter().position(|name| name == wanted).map(|at| ranges[at]);
        if let Some((start, end)) = place("ts") {
            return Some((start, clock.epoch(&line[start..end])?));
        }
        if let (Some(date), Some((start, end))) = (&self.date, place("time")) {
            let text = [date.as_bytes(), b" ", &line[start..end]].concat();
            let stamp = clock.any_in_utc(&text).filter(|stamp| stamp.end() == text.len())?;
            return Some((start, Stamp { len: end - start, trailer: 0, ..stamp }));
        }
        let names = if place("date").is_some() { ["date", "time"] } else { ["date_local", "time_local"] };
        let ((start, date_end), (time, end)) = (place(names[0])?, place(names[1])?);
        if time != date_end + 1 || !line[start..end].is_ascii() {
            return None;
        }
        let text = [&line[start..date_end], b" ", &line[time..end]].concat();
        let is_utc = self.format == W3C && names[0] == "date";
        let stamp = if is_utc { clock.any_in_utc(&text) } else { clock.any(&text) };
        Some((start, stamp.filter(|stamp| stamp.end() == text.len())?))
    }

    /// Takes the columns over as members are.
    fn take_members(
        &self,
        line: &[u8],
        ranges: &[(usize, usize)],
        clock: &mut Clock,
        members: &mut Members,
        draft: &mut Draft,
    ) {
        members.clear();
        for (name, (start, end)) in self.names.iter().zip(ranges.iter().copied()) {
            let from = draft.names.len();
            draft.names.extend_from_slice(name.as_bytes());
            let name = Name::Built(from, draft.names.len());
            members.push(Member { name, start, end, value: Value::Bare });
        }
        members.fill(line, clock, draft);
        if draft.timestamp.is_none()
            && let Some((at, stamp)) = self.time(line, ranges, clock)
        {
            draft.take_time(at, &stamp);
        }
        if memchr::memmem::find(line, b"\"\"").is_some() {
            unquote(line, draft);
        }
    }
}

/// `#Date: 2026-11-01 00:00:00` is of then, not of when it is read.
fn take_time_of_directive(line: &[u8], clock: &mut Clock, draft: &mut Draft) {
    let Some(at) = memchr::memchr(b' ', line) else { return };
    let text = &line[at + 1..];
    if let Some(stamp) = clock.any_in_utc(text).filter(|stamp| stamp.end() == text.len()) {
        draft.take_time(at + 1, &stamp);
    }
}

fn push(name: &str, text: &[u8], value: Place, draft: &mut Draft) {
    let from = draft.names.len();
    draft.names.extend_from_slice(name.as_bytes());
    let kind = AttributeKind::of_number(text, AttributeKind::Text);
    draft.attributes.push(DraftAttribute { name: Name::Built(from, draft.names.len()), kind, value });
}

/// Our name of a column, or its own in our letters.
fn ours(name: &str, known: &[(&str, &str)]) -> String {
    match known.iter().find(|(theirs, _)| *theirs == name) {
        Some((_, ours)) => (*ours).to_owned(),
        None if matches!(name, "time-taken" | "s-computername") => name.to_owned(),
        None => {
            let letter =
                |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '_' };
            name.chars().map(letter).collect::<String>().trim_matches('_').to_owned()
        }
    }
}

/// A column's name as that of an attribute: one that says what the column is counts in any case.
fn csv_name(field: &str) -> String {
    let name = String::from_utf8_lossy(header::name(field.as_bytes())).replace(' ', "_");
    let lower = name.to_ascii_lowercase();
    if crate::member::has_role(lower.as_bytes()) { lower } else { name }
}

/// Where the columns of a line stand, without the quotes around them; `None` if there are more or less.
fn split(line: &[u8], separator: u8, ranges: &mut [(usize, usize)]) -> Option<()> {
    let mut at = 0;
    let last = ranges.len() - 1;
    for (index, range) in ranges.iter_mut().enumerate() {
        let next;
        (*range, next) = if separator != b'\t' && line.get(at) == Some(&b'"') {
            // Some cut long values.
            let end = quoted_end(line, at + 1).unwrap_or(line.len());
            ((at + 1, end), line.len().min(end + 1))
        } else {
            let end = memchr::memchr(separator, line.get(at..)?).map_or(line.len(), |len| at + len);
            ((at, end), end)
        };
        match line.get(next) {
            Some(byte) if *byte == separator && index < last => at = next + 1,
            None if index == last => {}
            _ => return None,
        }
    }
    Some(())
}

/// The index of the quote that ends a value; two of them stand for one in it.
fn quoted_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr::memchr(b'"', line.get(at..)?)?;
        if line.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// Makes two quotes in values one, as they are meant.
fn unquote(line: &[u8], draft: &mut Draft) {
    let single = |place: Place, draft: &mut Draft| {
        let text = draft.text(line, place);
        if memchr::memmem::find(text, b"\"\"").is_none() || place == Place::line(0, line.len()) {
            return place;
        }
        let text = String::from_utf8_lossy(text).replace("\"\"", "\"");
        draft.keep_whole();
        draft.own_text(text.as_bytes())
    };
    draft.body = single(draft.body, draft);
    for index in 0..draft.attributes.len() {
        draft.attributes[index].value = single(draft.attributes[index].value, draft);
    }
}

#[cfg(test)]
mod tests;
