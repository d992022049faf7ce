//! Line patterns, the dual of layouts: `{time} {.thread:int} {level} {service}: {body}` says where in a line its fields
//! stand.
//!
//! | hole | takes |
//! |---|---|
//! | `{time}` | a timestamp as the world writes them: ISO 8601, syslog's, web servers', ctime's |
//! | `{time:SHAPE}` | one of this [`Shape`] |
//! | `{level}` | a word for a severity, known everywhere or to the format |
//! | `{node}`, `{service}`, `{body}` | that column |
//! | `{.key}` | the attribute `key` |
//! | `{.key=one|two}` | the first of these texts that stands there |
//! | `{pairs}` | pairs of name and value, as the format says they are written |
//! | `{_}` | something that is no field |
//! | `{? ... }` | what stands in it, or nothing |
//!
//! After a colon stands what the hole may hold: `word` (the default: up to a blank or what follows in the pattern),
//! `text` (up to what follows in the pattern), `int`, `number`, `ip`, `hex`, `letter` (one), `name` (letters, digits,
//! `_ . - $ /`, no digit first), `path` (names with `::` between them), `class` (a name up to its last point), `mac` (a
//! hardware address), `dashed` (letters and digits in three or more parts with `-` between), `quoted` (the inside of
//! quotes, with `\`-escapes). A `?` at its end lets a `-` or nothing stand for "none". Blanks in a pattern are at least as
//! many blanks or tabs, all else is literal; `{{` and `}}` are braces, and `\}` is one inside a `{? }`.
//!
//! What fits the inside of a `{? }` is read as such; where the rest of the line then does not fit, without. A line gets a
//! bounded number of these second attempts, so it costs at most so many times its length.

mod expression;
mod form;
mod grok;
mod reader;

pub(crate) use self::expression::Expression;

use taffrail_record::Severity;

use crate::clock::{Clock, Shape, Stamp};
use crate::severity_guess::level_word;

/// Fields of one line at most.
const CAPTURES_MAX: usize = 128;
/// Bytes of a text that says what a line is.
pub(crate) const TEXT_MIN: usize = 4;
/// Bytes of a hardware address.
const MAC_LEN: usize = 17;
/// Places in a line at which a timestamp is remembered.
const STAMPS: usize = 2;
/// Attempts at one line without an optional part that fitted.
const RETRIES_MAX: usize = 64;

/// A pattern, ready to match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
    /// Whether it begins with a timestamp of any shape.
    timed: bool,
    /// Bytes that lines start with.
    first: Bytes,
    /// Bytes that follow the first step and the blanks after it.
    second: Bytes,
}

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bytes([u64; 4]);

impl Bytes {
    fn of(steps: &[Step]) -> Self {
        let mut bits = [0; 4];
        for byte in (0..=u8::MAX).filter(|byte| starts(steps, *byte)) {
            bits[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
        Self(bits)
    }

    const fn has(&self, byte: u8) -> bool {
        self.0[(byte / 64) as usize] & 1 << (byte % 64) != 0
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Literal(Vec<u8>),
    /// At least so many.
    Blanks(usize),
    Time(Option<Shape>),
    Hole(Hole),
    /// So many of the next steps may be left out.
    Optional(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Hole {
    target: Target,
    form: Form,
    /// `-` or nothing stands for no value.
    absent: bool,
    /// Bytes that end a word here, beside blanks.
    stops: Vec<u8>,
    /// The literal that ends a text here; empty: the end of the line.
    until: Vec<u8>,
    /// Whether the line ends with that literal.
    to_end: bool,
    /// What a [`Form::Choice`] may be.
    choices: Vec<Vec<u8>>,
}

/// What a hole fills.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Time,
    Level,
    Node,
    Service,
    Body,
    Attribute(String),
    Pairs,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Word,
    Text,
    Int,
    Number,
    Ip,
    Hex,
    Letter,
    Name,
    Path,
    Quoted,
    Choice,
    Class,
    Mac,
    Dashed,
}

/// A field that was found in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture<'p> {
    pub(crate) target: &'p Target,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether its form says that it is a number.
    pub(crate) number: bool,
    pub(crate) severity: Option<Severity>,
}

/// What a pattern found in a line. Kept between lines for its allocation.
#[derive(Default, Debug)]
pub(crate) struct Found<'p> {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) captures: Vec<Capture<'p>>,
    /// Timestamps that were looked for in the line without a shape: where, and what was found.
    stamps: [Option<(usize, Option<Stamp>)>; STAMPS],
    /// Where the timestamp at the line's start ends, once it was looked for.
    first_end: Option<Option<usize>>,
    /// The last word that was asked for as a level, and what it is everywhere.
    level: Option<(usize, usize, Option<Severity>)>,
    /// Step and place to go on with, and the captures before, where the rest does not fit.
    retries: Vec<(usize, usize, usize)>,
    /// The last step that was tried of a pattern that did not match: all that begin alike up to it do not match either.
    pub(crate) furthest: usize,
}

impl<'p> Found<'p> {
    /// Forgets the line before.
    pub(crate) fn clear(&mut self) {
        self.stamps = [None; STAMPS];
        self.first_end = None;
        self.level = None;
    }

    /// Where the timestamp ends that the line begins with.
    pub(crate) fn first_end(&mut self, line: &[u8], clock: &mut Clock) -> Option<usize> {
        if let Some(known) = self.first_end {
            return known;
        }
        let end = self.any(line, 0, clock).map(|stamp| stamp.end());
        self.first_end = Some(end);
        end
    }

    /// The level that the word at a place is everywhere, which many patterns ask for.
    fn level(&mut self, line: &[u8], start: usize, end: usize) -> Option<Severity> {
        match self.level {
            Some((known_start, known_end, level)) if (known_start, known_end) == (start, end) => level,
            _ => {
                let level = level_word(&line[start..end]);
                self.level = Some((start, end, level));
                level
            }
        }
    }

    /// The timestamp at a place, which many patterns ask for.
    fn any(&mut self, line: &[u8], at: usize, clock: &mut Clock) -> Option<Stamp> {
        if let Some((_, known)) = self.stamps.iter().flatten().find(|(known, _)| *known == at) {
            return *known;
        }
        let found = clock.any(&line[at..]);
        if let Some(free) = self.stamps.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((at, found));
        }
        found
    }
}

/// A line that is being matched.
struct Matcher<'m, 'p> {
    line: &'m [u8],
    clock: &'m mut Clock,
    levels: &'m dyn Fn(&[u8]) -> Option<Severity>,
    found: &'m mut Found<'p>,
}

impl Pattern {
    /// Reads a pattern; `Err` says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        reader::read(text)
    }

    /// Whether a line that starts with `byte` can match.
    pub(crate) fn may_start_with(&self, byte: u8) -> bool {
        self.first.has(byte)
    }

    /// How many steps this one and another begin with alike: of another format, whose levels are others, timestamps only.
    pub(crate) fn alike(&self, other: &Self, same_format: bool) -> usize {
        let alike = self.steps.iter().zip(&other.steps).take_while(|(one, other)| one == other).count();
        match (same_format, self.steps.first()) {
            (true, _) => alike,
            (false, Some(Step::Time(_))) => alike.min(1),
            (false, _) => 0,
        }
    }

    /// The shape of the timestamp that it begins with, if it begins with one of a certain shape.
    pub(crate) fn shape(&self) -> Option<&Shape> {
        match self.steps.first() {
            Some(Step::Time(shape)) => shape.as_ref(),
            _ => None,
        }
    }

    /// Whether it begins with a timestamp of any shape.
    pub(crate) fn is_timed(&self) -> bool {
        self.timed
    }

    /// Whether a line can go on with `byte` after a timestamp that it begins with, with blanks between or without. Of
    /// patterns that begin with none: whatever it is.
    pub(crate) fn may_follow_time(&self, blanks: bool, byte: u8) -> bool {
        match self.steps.get(1) {
            _ if !self.timed => true,
            None => true,
            Some(Step::Blanks(least)) => (blanks || *least == 0) && self.second.has(byte),
            Some(_) => self.second.has(if blanks { b' ' } else { byte }) || blanks && self.second.has(b'\t'),
        }
    }

    /// Whether `rest` is as the pattern wants it after its first step.
    fn may_go_on(&self, rest: &[u8]) -> bool {
        match self.steps.get(1) {
            Some(Step::Blanks(least)) => {
                let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
                blanks >= *least && rest.get(blanks).is_none_or(|byte| self.second.has(*byte))
            }
            _ => rest.first().is_none_or(|byte| self.second.has(*byte)),
        }
    }

    /// Whether lines of this pattern begin with a text that says what they are.
    pub(crate) fn begins_with_text(&self) -> bool {
        let says = |text: &Vec<u8>| text.len() >= TEXT_MIN;
        match self.steps.first() {
            Some(Step::Literal(literal)) => says(literal),
            Some(Step::Hole(hole)) if hole.form == Form::Choice => hole.choices.iter().all(says),
            _ => false,
        }
    }

    /// The texts that lines of this pattern begin with, if all begin with one.
    pub(crate) fn texts(&self) -> Vec<&[u8]> {
        match self.steps.first() {
            Some(Step::Literal(literal)) => vec![literal],
            Some(Step::Hole(hole)) if hole.form == Form::Choice => {
                hole.choices.iter().map(Vec::as_slice).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a line begins with a text that the pattern begins with, and goes on as the pattern wants it after that.
    pub(crate) fn begins(&self, line: &[u8]) -> bool {
        let fits = |text: &Vec<u8>| line.strip_prefix(&text[..]).is_some_and(|rest| self.may_go_on(rest));
        match self.steps.first() {
            Some(Step::Literal(literal)) => fits(literal),
            Some(Step::Hole(hole)) => hole.choices.iter().any(fits),
            _ => false,
        }
    }

    /// Whether the pattern says which part of a line is its message.
    pub(crate) fn has_body(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Hole(hole) if hole.target == Target::Body))
    }

    /// Matches a whole line, for which `found` was cleared. `levels` knows the format's own words.
    pub(crate) fn find<'p>(
        &'p self,
        line: &[u8],
        clock: &mut Clock,
        levels: &dyn Fn(&[u8]) -> Option<Severity>,
        found: &mut Found<'p>,
    ) -> bool {
        if let Some(Step::Literal(literal)) = self.steps.first()
            && !line.starts_with(literal)
        {
            found.furthest = 0;
            return false;
        }
        if self.timed {
            // Without a timestamp at the start, none of those that begin with one match; of what follows it, each says its
            // own.
            let end = found.first_end(line, clock);
            found.furthest = end.map_or(0, |_| usize::MAX);
            if !end.is_some_and(|end| self.may_go_on(&line[end..])) {
                return false;
            }
        }
        found.furthest = 0;
        found.stamp = None;
        found.captures.clear();
        Matcher { line, clock, levels, found }.run(&self.steps)
    }
}

fn starts(steps: &[Step], byte: u8) -> bool {
    match steps.first() {
        None => true,
        Some(Step::Literal(literal)) => literal.first() == Some(&byte),
        Some(Step::Blanks(_)) => is_blank(byte),
        Some(Step::Time(None)) => byte.is_ascii_alphanumeric(),
        Some(Step::Time(Some(shape))) => shape.may_start_with(byte),
        Some(Step::Optional(inside)) => starts(&steps[1..], byte) || starts(&steps[1 + inside..], byte),
        Some(Step::Hole(hole)) if hole.absent => true,
        Some(Step::Hole(hole)) => match hole.form {
            Form::Int => byte.is_ascii_digit() || byte == b'-',
            Form::Number => byte.is_ascii_digit() || matches!(byte, b'-' | b'.'),
            Form::Ip => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'['),
            Form::Hex | Form::Mac => byte.is_ascii_hexdigit(),
            Form::Dashed => byte.is_ascii_alphanumeric(),
            Form::Letter => byte.is_ascii_alphabetic(),
            Form::Quoted => byte == b'"',
            // Levels that begin a line are words, whatever a format calls them.
            Form::Word if hole.target == Target::Level => byte.is_ascii_alphabetic(),
            Form::Word => !is_blank(byte),
            Form::Name | Form::Class => {
                byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/' | b'.' | b'$')
            }
            Form::Choice => hole.choices.iter().any(|choice| choice.first() == Some(&byte)),
            Form::Path => byte.is_ascii_alphabetic() || byte == b'_',
            Form::Text => true,
        },
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'p> Matcher<'_, 'p> {
    /// Whether the steps match the whole line.
    fn run(&mut self, steps: &'p [Step]) -> bool {
        self.found.retries.clear();
        let mut pushed = 0;
        let (mut step, mut at) = (0, 0);
        loop {
            let next = match steps.get(step) {
                None if at == self.line.len() => return true,
                None => None,
                Some(Step::Optional(inside)) => {
                    if pushed < RETRIES_MAX {
                        self.found.retries.push((step + 1 + inside, at, self.found.captures.len()));
                        pushed += 1;
                    }
                    Some(at)
                }
                Some(one) => self.step(one, at),
            };
            if let Some(end) = next {
                (step, at) = (step + 1, end);
                continue;
            }
            self.found.furthest = self.found.furthest.max(step);
            let captures;
            match self.found.retries.pop() {
                Some(retry) => (step, at, captures) = retry,
                None => return false,
            }
            self.found.captures.truncate(captures);
            if !self.found.captures.iter().any(|capture| matches!(capture.target, Target::Time)) {
                self.found.stamp = None;
            }
        }
    }

    /// The end of what a step matches at `at`.
    fn step(&mut self, step: &'p Step, at: usize) -> Option<usize> {
        match step {
            Step::Literal(literal) => self.line[at..].starts_with(literal).then(|| at + literal.len()),
            Step::Blanks(least) => {
                let blanks = self.line[at..].iter().take_while(|byte| is_blank(**byte)).count();
                // A message may be missing, and the blank before it with it.
                (blanks >= *least || at == self.line.len()).then_some(at + blanks)
            }
            Step::Time(shape) => self.time(shape.as_ref(), at),
            Step::Hole(hole) => self.hole(hole, at),
            Step::Optional(_) => Some(at),
        }
    }

    fn time(&mut self, shape: Option<&Shape>, at: usize) -> Option<usize> {
        let text = &self.line[at..];
        let stamp = match shape {
            Some(shape) => shape.read(text, self.clock)?,
            None => self.found.any(self.line, at, self.clock)?,
        };
        // Of several times in a line the first counts.
        if self.found.stamp.is_none() {
            self.found.stamp = Some(stamp);
            let (start, end) = (at, at + stamp.end());
            let time = Capture { target: &Target::Time, start, end, number: false, severity: None };
            self.found.captures.push(time);
        }
        Some(at + stamp.end())
    }

    fn hole(&mut self, hole: &'p Hole, start: usize) -> Option<usize> {
        let (from, end, after) = hole.extent(self.line, start)?;
        let value = &self.line[from..end];
        let missing = hole.absent && matches!(value, b"" | b"-");
        if !missing && !hole.accepts(value) {
            return None;
        }
        let severity = match hole.target {
            Target::Level if !missing => {
                Some((self.levels)(value).or_else(|| self.found.level(self.line, from, end))?)
            }
            _ => None,
        };
        if !missing && !matches!(hole.target, Target::Nothing) {
            if self.found.captures.len() == CAPTURES_MAX {
                return None;
            }
            let number = matches!(hole.form, Form::Int | Form::Number);
            self.found.captures.push(Capture { target: &hole.target, start: from, end, number, severity });
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests;
