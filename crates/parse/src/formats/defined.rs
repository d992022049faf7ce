//! Formats that are data: a TOML file each, in `formats/` at the root of the repository.
//!
//! ```toml
//! name = "hadoop"
//! about = "Hadoop, HDFS and YARN: log4j's default layout"
//! patterns = ["{time} {level} {service:name}: {body}"]
//! service = "hadoop"     # of lines that name none
//! levels = { W = "warning" }   # words that only this format means so
//! multiline = { all = true }   # which lines belong to a record, see `Lines`
//! programs = ["sshd"]          # whose messages, in syslog or elsewhere,
//! messages = ["Bye {.user}"]   # have fields like these
//! has = "%"                    # a text that all lines of its patterns have
//! bare = true                  # the messages are lines of their own, too
//! pairs = { names = { SRC = "client_ip" } }   # what `{pairs}` in a pattern takes, see `Pairs`
//!
//! [[samples]]
//! line = "..."
//! time = "2026-11-01T00:00:00Z"
//! ```
//!
//! The patterns are tried in their order, and the formats in that of [`FILES`]. A pattern with `{body}` cuts the line into
//! fields; one without leaves the line whole and notes the fields beside it. All samples are tests.

mod definition;
mod pairs;

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;
use taffrail_record::{AttributeKind, Severity};

use self::definition::{Definition, Lines};
use self::pairs::Pairs;
use super::access::severity_of_class;
use crate::clock::Clock;
use crate::draft::{Draft, DraftAttribute, Home, Name, Place};
use crate::pattern::{Capture, Found, Pattern, Target};

/// The files, in the order in which they are tried.
const FILES: &[(&str, &str)] = &include!("defined/files.in");

static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    // What is built in is sound: the test of the samples reads every file.
    FILES.iter().filter_map(|(_, text)| Format::read(text).ok()).collect()
});

/// As [`STARTS`], of patterns that begin with a text that says what the line is.
static TEXT_STARTS: LazyLock<Vec<Vec<Candidate>>> =
    LazyLock::new(|| (0..=u8::MAX).map(|byte| candidates(&FORMATS, byte, true)).collect());

/// By a line's first byte, the patterns that it can match.
static STARTS: LazyLock<Vec<Vec<Candidate>>> =
    LazyLock::new(|| (0..=u8::MAX).map(|byte| candidates(&FORMATS, byte, false)).collect());

/// One format, ready to match.
#[derive(Debug)]
struct Format {
    name: String,
    patterns: Vec<Pattern>,
    programs: Vec<String>,
    messages: Vec<Pattern>,
    levels: Vec<(String, Severity)>,
    service: Option<String>,
    multiline: Lines,
    has: Option<memmem::Finder<'static>>,
    pairs: Pairs,
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests read them"))]
    samples: Vec<definition::Sample>,
}

impl Format {
    fn read(text: &str) -> Result<Self, String> {
        let Definition {
            name,
            about: _,
            patterns,
            programs,
            messages,
            levels,
            service,
            multiline,
            bare,
            has,
            pairs,
            samples,
        } = toml::from_str(text).map_err(|error| error.to_string())?;
        let pattern = |text: &String| Pattern::new(text).map_err(|error| format!("`{text}`: {error}"));
        let mut patterns = patterns.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        let messages = messages.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        if bare {
            patterns.extend(messages.iter().filter(|message| message.begins_with_text()).cloned());
        }
        let level = |(word, level): (String, String)| match Severity::from_text(level.as_bytes()) {
            Some(severity) => Ok((word, severity)),
            None => Err(format!("`{level}` is no severity")),
        };
        let levels = levels.into_iter().map(level).collect::<Result<_, _>>()?;
        let has = has.map(|text| memmem::Finder::new(text.as_bytes()).into_owned());
        pairs.check()?;
        Ok(Self { name, patterns, programs, messages, levels, service, multiline, has, pairs, samples })
    }

    fn level(&self, word: &[u8]) -> Option<Severity> {
        self.levels.iter().find(|(known, _)| known.as_bytes() == word).map(|(_, severity)| *severity)
    }
}

/// A pattern that a line can match.
struct Candidate {
    /// Its place among the formats.
    format: usize,
    /// Its place among the patterns of the format.
    pattern: usize,
    /// How many steps it and the candidate before begin with alike.
    alike: usize,
}

fn candidates(formats: &[Format], byte: u8, text: bool) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for (format, Format { patterns, .. }) in formats.iter().enumerate() {
        let fits = |pattern: &Pattern| pattern.begins_with_text() == text && pattern.may_start_with(byte);
        for (index, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| fits(pattern)) {
            let alike = found.last().map_or(0, |before| {
                formats[before.format].patterns[before.pattern].alike(pattern, before.format == format)
            });
            found.push(Candidate { format, pattern: index, alike });
        }
    }
    found
}

/// The names of the formats, in the order in which they are tried.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Which lines belong to the record of the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follows {
    /// Those that have neither a time nor a level.
    Timeless,
    /// All that have no time.
    All,
}

/// Which lines belong to a record whose first line is of the format `name`.
pub(crate) fn follows(name: &str) -> Follows {
    let format = FORMATS.iter().find(|format| format.name == name);
    if format.is_some_and(|format| format.multiline.all) { Follows::All } else { Follows::Timeless }
}

/// The text that a record begins with: format, and the text's place among those of the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Begins(usize, usize);

impl Begins {
    /// The name of the format.
    pub(crate) fn format(self) -> &'static str {
        &FORMATS[self.0].name
    }

    /// Whether a line of `next` belongs to a record that begins with this.
    pub(crate) fn comes_before(self, next: Self) -> bool {
        self.0 == next.0 && self.1 < next.1
    }
}

/// The text that `line` begins with, if a record of some format does.
pub(crate) fn begins(line: &[u8]) -> Option<Begins> {
    let texts = &BEGINNINGS[usize::from(*line.first()?)];
    texts.iter().find(|(text, _)| line.starts_with(text.as_bytes())).map(|(_, begins)| *begins)
}

/// By a line's first byte, the texts that records begin with.
static BEGINNINGS: LazyLock<Vec<Vec<(&str, Begins)>>> = LazyLock::new(|| {
    let mut found = vec![Vec::new(); 256];
    for (format, Format { multiline, .. }) in FORMATS.iter().enumerate() {
        for (place, text) in multiline.begins.iter().enumerate() {
            if let Some(first) = text.bytes().next() {
                found[usize::from(first)].push((text.as_str(), Begins(format, place)));
            }
        }
    }
    found
});

/// Which patterns are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// Those that begin with a text that says what the line is.
    Texts,
    /// All others.
    Others,
}

/// Fills `draft` with what the first format that fits says; its name.
pub(super) fn parse(
    line: &[u8],
    first: u8,
    tried: Tried,
    clock: &mut Clock,
    draft: &mut Draft,
    found: &mut Found<'static>,
) -> Option<&'static str> {
    let starts = match tried {
        Tried::Texts => &TEXT_STARTS,
        Tried::Others => &STARTS,
    };
    let starts = &starts[usize::from(first)];
    if starts.is_empty() {
        return None;
    }
    found.clear();
    // Of the format that was looked at last.
    let mut has: Option<(usize, bool)> = None;
    let mut tried = usize::MAX;
    for Candidate { format: index, pattern, alike } in starts {
        // What the one before failed at stands here, too.
        if tried < *alike {
            continue;
        }
        let format = &FORMATS[*index];
        if let Some(text) = &format.has {
            let known = has.filter(|(known, _)| known == index);
            let (_, is_there) = *has.insert(known.unwrap_or_else(|| (*index, text.find(line).is_some())));
            if !is_there {
                tried = usize::MAX;
                continue;
            }
        }
        let pattern = &format.patterns[*pattern];
        if pattern.find(line, clock, &|word| format.level(word), found) {
            take(line, found, &format.pairs, pattern.has_body(), draft);
            if let (None, Some(service)) = (draft.service, &format.service) {
                draft.service = Some(draft.own_text(service.as_bytes()));
            }
            return Some(&format.name);
        }
        tried = found.furthest;
    }
    None
}

/// Takes over the fields that were found; `cutting` leaves the line without them, else they stand beside the whole line.
fn take(line: &[u8], found: &Found<'_>, pairs: &Pairs, cutting: bool, draft: &mut Draft) {
    if cutting {
        draft.body = Place::line(line.len(), line.len());
    }
    for capture in &found.captures {
        let Capture { target, start, end, severity, .. } = *capture;
        let place = Place::line(start, end);
        let hole: &[u8] = match target {
            Target::Level => b"{level}",
            Target::Node => b"{node}",
            Target::Service => b"{service}",
            Target::Body => b"{body}",
            Target::Time | Target::Attribute(_) | Target::Pairs | Target::Nothing => b"",
        };
        if cutting && !hole.is_empty() {
            draft.cut(line, start, end, hole);
        }
        match target {
            Target::Time => match &found.stamp {
                Some(stamp) if cutting => draft.cut_time(line, start, stamp),
                Some(stamp) => draft.take_time(start, stamp),
                None => {}
            },
            Target::Level => draft.level(severity.unwrap_or(Severity::INFO), line, start, end),
            Target::Node => draft.node = Some(place),
            Target::Service => draft.service = Some(place),
            Target::Body => draft.body = place,
            Target::Attribute(name) => {
                if cutting {
                    draft.cut_named(line, start, end, name.as_bytes(), false);
                }
                attribute(name.as_bytes(), capture.number, place, line, draft);
                note_status(name.as_bytes(), &line[start..end], draft);
            }
            Target::Pairs => pairs.each(&line[start..end], |name, value| {
                let place = place.part(value.start, value.end);
                if draft.has(line, name) {
                    return;
                }
                if cutting {
                    draft.cut_named(line, place.start, place.end, name, false);
                }
                attribute(name, true, place, line, draft);
                note_status(name, &line[place.start..place.end], draft);
            }),
            Target::Nothing => {}
        }
    }
    if cutting {
        draft.finish(line);
    }
}

/// A program's name, and the formats that know its messages.
type Program = (&'static str, Vec<usize>);

/// Programs by the first byte of their names.
static PROGRAMS: LazyLock<Vec<Vec<Program>>> = LazyLock::new(|| {
    let mut found: Vec<Vec<Program>> = vec![Vec::new(); 256];
    for (index, format) in FORMATS.iter().enumerate() {
        for program in &format.programs {
            let same_start = &mut found[usize::from(program.bytes().next().unwrap_or(0))];
            match same_start.iter_mut().find(|(known, _)| known == program) {
                Some((_, formats)) => formats.push(index),
                None => same_start.push((program, vec![index])),
            }
        }
    }
    found
});

/// The formats that know a program's messages.
fn formats_of(program: &[u8]) -> Option<&'static [usize]> {
    let same_start = &PROGRAMS[usize::from(*program.first()?)];
    let known = same_start.iter().find(|(known, _)| known.as_bytes() == program);
    known.map(|(_, formats)| formats.as_slice())
}

/// Adds the fields that messages of the line's program have; whether the message is one that is known. Of `postfix/smtpd`,
/// what is before the last slash counts where nothing knows the whole.
pub(crate) fn message(line: &[u8], clock: &mut Clock, found: &mut Found<'static>, draft: &mut Draft) -> bool {
    let Some(service) = draft.service else { return false };
    let program = draft.text(line, service);
    let parent = || formats_of(&program[..memchr::memrchr(b'/', program)?]);
    let Some(formats) = formats_of(program).or_else(parent) else { return false };
    let scratch = std::mem::take(&mut draft.scratch);
    let body = draft.body;
    let text = match body.home {
        Home::Line => &line[body.start..body.end],
        Home::Scratch => &scratch[body.start..body.end],
    };
    found.clear();
    let known = formats.iter().map(|format| &FORMATS[*format]).find(|format| {
        let fits = |pattern: &'static Pattern| {
            text.first().is_some_and(|first| pattern.may_start_with(*first))
                && pattern.find(text, clock, &|word| format.level(word), found)
        };
        let patterns: &'static [Pattern] = &format.messages;
        patterns.iter().any(fits)
    });
    if let Some(format) = known {
        take_beside(line, text, found, &format.pairs, draft);
        draft.payload = Some(&format.name);
    }
    draft.scratch = scratch;
    known.is_some()
}

/// Takes over the fields that were found in a message, `text`. What its line says already stays.
fn take_beside(line: &[u8], text: &[u8], found: &Found<'_>, pairs: &Pairs, draft: &mut Draft) {
    let body = draft.body;
    let add = |name: &[u8], number: bool, value: Range<usize>, draft: &mut Draft| {
        if !draft.has(line, name) {
            let kind = kind(number, &text[value.clone()]);
            push(name, kind, body.part(value.start, value.end), draft);
            note_status(name, &text[value], draft);
        }
    };
    for capture in &found.captures {
        let Capture { target, start, end, number, severity } = *capture;
        match target {
            Target::Attribute(name) => add(name.as_bytes(), number, start..end, draft),
            Target::Pairs => pairs.each(&text[start..end], |name, value| {
                add(name, true, start + value.start..start + value.end, draft);
            }),
            Target::Level => severity.into_iter().for_each(|severity| draft.level_of_message(severity)),
            _ => {}
        }
    }
}

/// An HTTP status says how bad a line is that has no level.
fn note_status(name: &[u8], value: &[u8], draft: &mut Draft) {
    if let (b"status", None, [class, b'0'..=b'9', b'0'..=b'9']) = (name, draft.severity, value) {
        draft.severity = Some(severity_of_class(*class));
    }
}

/// Adds an attribute whose value stands in the line.
fn attribute(name: &[u8], number: bool, value: Place, line: &[u8], draft: &mut Draft) {
    push(name, kind(number, &line[value.start..value.end]), value, draft);
}

fn kind(number: bool, text: &[u8]) -> AttributeKind {
    if number { AttributeKind::of_number(text, AttributeKind::Text) } else { AttributeKind::Text }
}

fn push(name: &[u8], kind: AttributeKind, value: Place, draft: &mut Draft) {
    let start = draft.names.len();
    draft.names.extend_from_slice(name);
    let name = Name::Built(start, draft.names.len());
    draft.attributes.push(DraftAttribute { name, kind, value });
}

#[cfg(test)]
mod tests;
