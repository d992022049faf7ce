//! Which lines of a source are one record: stack traces, indented text, and whatever else follows a line that begins one.
//!
//! Most lines tell at their first bytes that they begin a record ([`first::surely`]); only the others are compared with
//! the record before them. Lines of container runtimes are looked at inside their envelopes.

mod envelope;
mod first;
mod pattern;
mod trace;

use std::sync::Arc;

use memchr::{memchr, memrchr};
use taffrail_record::{Multiline, Timestamp};

use crate::draft::Draft;
use crate::encoding;
use crate::formats::{self, Follows, Headed};
use crate::tools::Tools;

use self::envelope::Envelope;
pub use self::pattern::FirstLine;

/// Lines of a record that nothing but the lack of a time makes part of it. In a source with longer runs such lines are
/// records of their own from then on: most likely several programs write to it.
const STRAYS_MAX: u32 = 100;
/// Records without a time that are compared in full before a source is known to have none.
const TIMELESS_MAX: u32 = 64;

/// Joins lines as the programs of the world write them.
#[derive(Debug, Default)]
pub struct Joiner {
    /// Of lines whose columns a header names.
    headed: Option<Headed>,
    /// The record before, if it was looked at.
    head: Option<Head>,
    /// Length of the record that `head` is of.
    length: usize,
    /// Lines in it that are there only because they have no time.
    strays: u32,
    /// Whether the source is one of several programs.
    is_mixed: bool,
    /// Whether lines were joined before.
    has_joined: bool,
    /// Records without a time in a row.
    timeless: u32,
    /// Made once it is needed, given back when all is read: it takes more memory than all else of a quiet source.
    recogniser: Option<Box<Recogniser>>,
}

/// What a record's first line says.
#[derive(Clone, Copy, Debug)]
struct Head {
    has_time: bool,
    follows: Follows,
}

impl Multiline for Joiner {
    fn under(&mut self, header: Option<&Arc<str>>) {
        self.headed = header.and_then(|header| formats::headed(header));
    }

    fn goes_on(&mut self, record: &[u8], line: &[u8]) -> bool {
        if let Some(headed) = self.headed {
            return headed.goes_on(record, line);
        }
        if record.len() != self.length {
            self.head = None;
            self.strays = 0;
        }
        let (plain, plain_record) = (encoding::plain(line), || encoding::plain(record));
        let goes_on = match Envelope::of(&plain) {
            Some(own) => self.goes_on_inside(&plain_record(), &own),
            None if first::begins(&plain) => false,
            None => self.belongs(&plain_record(), &plain, false),
        };
        if goes_on {
            self.length = record.len() + 1 + line.len();
            self.has_joined = true;
        } else {
            self.length = line.len();
            self.head = None;
            self.strays = 0;
        }
        goes_on
    }

    fn is_open(&mut self, record: &[u8]) -> bool {
        if let Some(headed) = self.headed {
            return headed.is_open(record);
        }
        // Nothing more is there to be read: many sources are quiet from here on.
        self.recogniser = None;
        let last = last_line(record);
        let content = Envelope::of(last);
        if content.as_ref().is_some_and(Envelope::is_partial) || memchr(b'\n', record).is_some() {
            return true;
        }
        let content = content.as_ref().map_or(last, Envelope::content);
        trace::announces(content) || self.has_joined && trace::is_trouble(content)
    }

    fn fresh(&self) -> Box<dyn Multiline> {
        Box::new(Self::default())
    }
}

impl Joiner {
    /// The same question about what is inside the envelopes of two lines.
    fn goes_on_inside(&mut self, record: &[u8], own: &Envelope<'_>) -> bool {
        let Some(last) = Envelope::of(last_line(record)).filter(|last| last.is_like(own)) else {
            return false;
        };
        if last.is_partial() {
            return true;
        }
        if first::surely(own.raw()) {
            return false;
        }
        contents(record).is_some_and(|record| self.belongs(&record, own.content(), true))
    }

    /// Whether `line`, which may begin a record, belongs to the one before. In an envelope a level tells as much as a
    /// time does elsewhere.
    fn belongs(&mut self, record: &[u8], line: &[u8], is_inside: bool) -> bool {
        let (first, last) = (first_line(record), last_line(record));
        match line.first() {
            Some(_) if is_cut_json(last) => return true,
            Some(_) if Envelope::of(first).is_some() => return false,
            Some(b' ' | b'\t') => {
                return !record.is_empty() && !first::begins_indented(line.trim_ascii_start());
            }
            Some(_) => {}
            None => return trace::has_blank_lines(first, last) || self.head(first).has_time,
        }
        if formats::has_own() && self.recogniser().is_own(line) {
            return false;
        }
        if let Some(begins) = formats::begins(line) {
            return formats::begins(last).is_some_and(|before| before.comes_before(begins));
        }
        if formats::begins(first).is_some() {
            return true;
        }
        let is_leveled = first::has_level(line);
        if is_leveled && first::has_level(first) {
            return false;
        }
        if !is_leveled && (trace::goes_on(record, first, last, line) || last.ends_with(b"\\")) {
            return true;
        }
        if self.is_timeless(first) {
            return false;
        }
        let head = self.head(first);
        let follows = match head.follows {
            Follows::All => !self.has_time(line),
            Follows::Timeless => {
                let is_headed = head.has_time || is_inside && first::has_level(first);
                is_headed && !self.is_mixed && !is_leveled && !self.has_time(line)
            }
        };
        if follows {
            self.strays += 1;
            self.is_mixed |= self.strays > STRAYS_MAX && head.follows != Follows::All;
        }
        follows && (!self.is_mixed || head.follows == Follows::All)
    }

    /// Whether `first` begins a record without a time, as all records of the source do.
    fn is_timeless(&mut self, first: &[u8]) -> bool {
        if first::surely(first) {
            self.timeless = 0;
            return false;
        }
        self.timeless >= TIMELESS_MAX
    }

    fn head(&mut self, first: &[u8]) -> Head {
        if let Some(head) = self.head {
            return head;
        }
        let head = self.recogniser().head(first);
        self.timeless = if head.has_time || head.follows == Follows::All { 0 } else { self.timeless + 1 };
        *self.head.insert(head)
    }

    /// Whether a line has a time of its own. One in a comment is none.
    fn has_time(&mut self, line: &[u8]) -> bool {
        !line.starts_with(b"#") && self.recogniser().has_time(line)
    }

    fn recogniser(&mut self) -> &mut Recogniser {
        self.recogniser.get_or_insert_with(|| Box::new(Recogniser::new()))
    }
}

/// Reads lines as the parser does, to see what they say of themselves.
#[derive(Debug)]
struct Recogniser {
    tools: Tools,
    draft: Draft,
}

impl Recogniser {
    fn new() -> Self {
        let mut tools = Tools::new(0);
        // Any time of reading does: whether there is a stamp does not depend on it.
        tools.clock.observed = Timestamp(0);
        Self { tools, draft: Draft::new() }
    }

    fn read(&mut self, line: &[u8]) {
        self.draft.reset(line.len());
        formats::recognise(line, None, &mut self.tools, &mut self.draft);
    }

    fn head(&mut self, line: &[u8]) -> Head {
        self.read(line);
        Head { has_time: self.draft.timestamp.is_some(), follows: formats::follows(self.draft.format) }
    }

    /// Whether a format of one's own says what the line is.
    fn is_own(&mut self, line: &[u8]) -> bool {
        self.read(line);
        formats::is_own(self.draft.format)
    }

    fn has_time(&mut self, line: &[u8]) -> bool {
        self.read(line);
        self.draft.timestamp.is_some()
    }
}

/// Whether a line is the beginning of a JSON object with a newline in it that should be escaped.
fn is_cut_json(line: &[u8]) -> bool {
    line.starts_with(b"{\"") && !line.trim_ascii_end().ends_with(b"}")
}

fn first_line(record: &[u8]) -> &[u8] {
    memchr(b'\n', record).map_or(record, |end| &record[..end])
}

fn last_line(record: &[u8]) -> &[u8] {
    memrchr(b'\n', record).map_or(record, |newline| &record[newline + 1..])
}

/// The text inside the envelopes of a record's lines; `None` if it is in none.
pub(crate) fn contents(record: &[u8]) -> Option<Vec<u8>> {
    Envelope::of(first_line(record))?;
    let mut text = Vec::new();
    let mut was_partial = true;
    let mut lines = record.split(|byte| *byte == b'\n');
    while let Some(line) = lines.next() {
        if !was_partial {
            text.push(b'\n');
        }
        let envelope = Envelope::of(line);
        text.extend_from_slice(envelope.as_ref().map_or(line, Envelope::content));
        if envelope.as_ref().is_some_and(Envelope::is_cut) {
            lines.by_ref().find(|line| line.ends_with(b"}"));
        }
        was_partial = envelope.is_some_and(|envelope| envelope.is_partial());
    }
    Some(text)
}

/// Whether the lines of a record are a stack trace.
pub(crate) fn is_trace(record: &[u8]) -> bool {
    trace::is_in(record)
}

#[cfg(test)]
mod tests;
