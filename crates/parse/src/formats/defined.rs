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
//! general = true               # takes lines of other formats, too: never tried before them
//! pairs = { names = { SRC = "client_ip" } }   # what `{pairs}` in a pattern takes, see `Pairs`
//! regex = ['(?P<time>\S+) (?P<message>.*)']  # in formats of one's own, see `Expression`
//! grok = ['%{TIMESTAMP_ISO8601:time} %{GREEDYDATA:message}']
//!
//! [[samples]]
//! line = "..."
//! time = "2026-11-01T00:00:00Z"
//! ```
//!
//! The patterns are tried in their order, and the formats in that of [`registry`]. A pattern with `{body}` cuts the line into
//! fields; one without leaves the line whole and notes the fields beside it. All samples are tests.

mod definition;
mod own;
mod pairs;
mod registry;
mod samples;
mod starts;
mod texts;

use std::ops::Range;

use memchr::memmem;
use taffrail_record::{AttributeKind, Severity};

use self::definition::{Definition, Lines};
pub use self::own::{OwnFormat, use_formats, wrong_samples};
use self::pairs::Pairs;
pub(super) use self::registry::names;
use self::registry::registry;
use self::starts::Match;
use super::access::severity_of_class;
use crate::draft::{Draft, DraftAttribute, Home, Name, Place};
use crate::pattern::{Capture, Expression, Found, Pattern, Target};
use crate::tools::Tools;

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
    general: bool,
    has: Option<memmem::Finder<'static>>,
    pairs: Pairs,
    /// Of formats of one's own.
    expressions: Vec<Expression>,
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
            general,
            has,
            pairs,
            regex,
            grok,
            time,
            samples,
        } = toml::from_str(text).map_err(|error| error.message().to_owned())?;
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
        let time = time.as_deref();
        let regexes = regex.iter().map(|text| (text, Expression::new(text, time)));
        let groks = grok.iter().map(|text| (text, Expression::grok(text, time)));
        let expressions = regexes
            .chain(groks)
            .map(|(text, expression)| expression.map_err(|error| format!("`{text}`: {error}")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            patterns,
            programs,
            messages,
            levels,
            service,
            multiline,
            general,
            has,
            pairs,
            expressions,
            samples,
        })
    }

    /// Fills `draft` with what a line of this format says; the format's name, if the line is one.
    fn parse(
        &'static self,
        line: &[u8],
        first: u8,
        tools: &mut Tools,
        draft: &mut Draft,
    ) -> Option<&'static str> {
        let Tools { clock, found, .. } = tools;
        found.clear();
        let levels = |word: &[u8]| self.level(word);
        let by_pattern = self
            .patterns
            .iter()
            .find(|pattern| pattern.may_start_with(first) && pattern.find(line, clock, &levels, found));
        let cutting = match by_pattern {
            Some(pattern) => pattern.has_body(),
            None => self.expressions.iter().find_map(|one| one.find(line, clock, &levels, found))?,
        };
        self.take(line, found, cutting, draft);
        Some(&self.name)
    }

    /// Takes over what was found in a line of this format.
    fn take(&self, line: &[u8], found: &Found<'_>, cutting: bool, draft: &mut Draft) {
        take(line, found, &self.pairs, cutting, draft);
        if let (None, Some(service)) = (draft.service, &self.service) {
            draft.service = Some(draft.own_text(service.as_bytes()));
        }
    }

    fn level(&self, word: &[u8]) -> Option<Severity> {
        self.levels.iter().find(|(known, _)| known.as_bytes() == word).map(|(_, severity)| *severity)
    }
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
    let format = registry().formats.iter().find(|format| format.name == name);
    if format.is_some_and(|format| format.multiline.all) { Follows::All } else { Follows::Timeless }
}

/// The text that a record begins with: format, and the text's place among those of the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Begins(usize, usize);

impl Begins {
    /// The name of the format.
    pub(crate) fn format(self) -> &'static str {
        &registry().formats[self.0].name
    }

    /// Whether a line of `next` belongs to a record that begins with this.
    pub(crate) fn comes_before(self, next: Self) -> bool {
        self.0 == next.0 && self.1 < next.1
    }
}

/// The text that `line` begins with, if a record of some format does.
pub(crate) fn begins(line: &[u8]) -> Option<Begins> {
    let texts = &registry().beginnings[usize::from(*line.first()?)];
    texts.iter().find(|(text, _)| line.starts_with(text.as_bytes())).map(|(_, begins)| *begins)
}

/// Whether there are formats of one's own.
pub(crate) fn has_own() -> bool {
    !registry().own().is_empty()
}

/// Whether the format of this name is one of one's own.
pub(crate) fn is_own(name: &str) -> bool {
    registry().own().iter().any(|format| format.name == name)
}

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
    tools: &mut Tools,
    draft: &mut Draft,
) -> Option<&'static str> {
    let registry = registry();
    match tried {
        Tried::Texts => {
            let mut starts = registry.texts.of(line, &registry.formats).peekable();
            starts.peek()?;
            tools.found.clear();
            first_fit(line, starts, tools, draft)
        }
        Tried::Others => {
            let Tools { clock, found, .. } = &mut *tools;
            found.clear();
            let asks = registry.starts.ask_for_time(first);
            let end = if asks { found.first_end(line, clock) } else { None };
            let starts = registry.starts.of(first, end.map(|end| &line[end..]));
            first_fit(line, starts, tools, draft)
        }
    }
}

/// Whether a line begins as those of a format do whose patterns begin with a text.
pub(super) fn may_begin(line: &[u8]) -> bool {
    registry().texts.of(line, &registry().formats).next().is_some()
}

/// Takes over what the first of some patterns finds; the name of its format.
fn first_fit(
    line: &[u8],
    patterns: impl Iterator<Item = Match>,
    tools: &mut Tools,
    draft: &mut Draft,
) -> Option<&'static str> {
    let Tools { clock, found, .. } = tools;
    // Of the format that was looked at last.
    let mut has: Option<(usize, bool)> = None;
    let mut tried = usize::MAX;
    // Shapes that the line does not begin with.
    let mut refused = 0;
    for Match { format: index, pattern, alike, shape } in patterns {
        // What the one before failed at stands here, too.
        if tried < alike {
            continue;
        }
        if refused & shape != 0 {
            tried = 0;
            continue;
        }
        let format = &registry().formats[index];
        if let Some(text) = &format.has {
            let known = has.filter(|(known, _)| *known == index);
            let (_, is_there) = *has.insert(known.unwrap_or_else(|| (index, text.find(line).is_some())));
            if !is_there {
                tried = usize::MAX;
                continue;
            }
        }
        let pattern = &format.patterns[pattern];
        if pattern.find(line, clock, &|word| format.level(word), found) {
            format.take(line, found, pattern.has_body(), draft);
            return Some(&format.name);
        }
        tried = found.furthest;
        if tried == 0 {
            refused |= shape;
        }
    }
    None
}

/// As [`parse`], with formats of one's own only, which come before all others.
pub(super) fn parse_own(
    line: &[u8],
    first: u8,
    tools: &mut Tools,
    draft: &mut Draft,
) -> Option<&'static str> {
    registry().own().iter().find_map(|format| format.parse(line, first, tools, draft))
}

/// A format that is tried before the others, for most lines of the source are in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Preferred(usize);

/// The format of this name, if it may be tried first: lines that are in others, too, are rather in this one. Formats of
/// one's own come before the built-in ones in any case.
pub(crate) fn preferred(name: &str) -> Option<Preferred> {
    let registry = registry();
    let index = registry.formats.iter().position(|format| format.name == name && !format.general)?;
    (registry.own().is_empty() || index < registry.own().len()).then_some(Preferred(index))
}

/// As [`parse`], with the format that comes first.
pub(super) fn parse_preferred(
    Preferred(index): Preferred,
    line: &[u8],
    tools: &mut Tools,
    draft: &mut Draft,
) -> Option<&'static str> {
    registry().formats[index].parse(line, *line.first()?, tools, draft)
}

/// As [`parse`], with the format of this name only; `None` if it is none that is data.
pub(super) fn parse_named(
    name: &str,
    line: &[u8],
    first: u8,
    tools: &mut Tools,
    draft: &mut Draft,
) -> Option<Option<&'static str>> {
    let format = registry().formats.iter().find(|format| format.name == name)?;
    Some(format.parse(line, first, tools, draft))
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

/// Adds the fields that messages of the line's program have; whether the message is one that is known. Of `postfix/smtpd`,
/// what is before the last slash counts where nothing knows the whole.
pub(crate) fn message(line: &[u8], tools: &mut Tools, draft: &mut Draft) -> bool {
    let Some(service) = draft.service else { return false };
    let program = draft.text(line, service);
    let registry = registry();
    let parent = || registry.formats_of(&program[..memchr::memrchr(b'/', program)?]);
    let Some(formats) = registry.formats_of(program).or_else(parent) else { return false };
    let scratch = std::mem::take(&mut draft.scratch);
    let body = draft.body;
    let text = match body.home {
        Home::Line => &line[body.start..body.end],
        Home::Scratch => &scratch[body.start..body.end],
    };
    let Tools { clock, found, .. } = tools;
    found.clear();
    let known = formats.iter().map(|format| &registry.formats[*format]).find(|format| {
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
