//! All formats that are data, those of one's own before the built-in ones, and which of them a line can be in.

use std::sync::OnceLock;

use super::starts::{Match, Starts};
use super::{Begins, Format};
use crate::pattern::{Pattern, TEXT_MIN};

/// The built-in files, in the order in which they are tried.
pub(super) const FILES: &[(&str, &str)] = &include!("files.in");

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// The formats that this process knows.
pub(super) fn registry() -> &'static Registry {
    REGISTRY.get_or_init(|| Registry::new(Vec::new()))
}

/// Settles which formats of one's own there are; `false` where it is settled already.
pub(super) fn settle(own: Vec<Format>) -> bool {
    REGISTRY.set(Registry::new(own)).is_ok()
}

/// The names of the formats, in the order in which they are tried.
pub(in crate::formats) fn names() -> impl Iterator<Item = &'static str> {
    registry().formats.iter().map(|format| format.name.as_str())
}

/// The formats, and tables of them.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) formats: Vec<Format>,
    /// How many of them are one's own: the first.
    own: usize,
    /// By a line's first byte, the patterns that it can match and that begin with a text that says what the line is.
    pub(super) text_starts: Vec<Vec<Candidate>>,
    /// All others.
    pub(super) starts: Starts,
    /// Programs by the first byte of their names.
    programs: Vec<Vec<Program>>,
    /// By a line's first byte, the texts that records begin with.
    pub(super) beginnings: Vec<Vec<(String, Begins)>>,
}

/// A program's name, and the formats that know its messages.
type Program = (String, Vec<usize>);

/// A pattern that a line can match.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its place among the formats.
    format: usize,
    /// Its place among the patterns of the format.
    pattern: usize,
    /// How many steps it and the candidate before begin with alike.
    alike: usize,
    /// The first bytes of the texts that it begins with.
    begins: Vec<[u8; TEXT_MIN]>,
}

impl Candidate {
    /// The pattern that it is.
    pub(super) fn place(&self) -> Match {
        Match { format: self.format, pattern: self.pattern, alike: self.alike, shape: 0 }
    }

    /// A first look at a line, which spares most the rest.
    pub(super) fn may_be(&self, line: &[u8]) -> bool {
        self.begins.iter().any(|text| line.first_chunk() == Some(text))
    }
}

impl Registry {
    /// One's own formats take the places of built-in ones of the same name.
    fn new(mut formats: Vec<Format>) -> Self {
        let own = formats.len();
        let replaced = |name: &str, own: &[Format]| own.iter().any(|format| format.name == name);
        for (name, text) in FILES {
            if !replaced(name, &formats[..own]) {
                // What is built in is sound: the test of the samples reads every file.
                formats.extend(Format::read(text).ok());
            }
        }
        Self {
            own,
            text_starts: (0..=u8::MAX).map(|byte| candidates(&formats, own, byte)).collect(),
            starts: Starts::new(&formats, own),
            programs: programs(&formats),
            beginnings: beginnings(&formats),
            formats,
        }
    }

    /// The formats of one's own.
    pub(super) fn own(&self) -> &[Format] {
        &self.formats[..self.own]
    }

    /// The formats that know a program's messages.
    pub(super) fn formats_of(&self, program: &[u8]) -> Option<&[usize]> {
        let same_start = &self.programs[usize::from(*program.first()?)];
        let known = same_start.iter().find(|(known, _)| known.as_bytes() == program);
        known.map(|(_, formats)| formats.as_slice())
    }
}

/// The built-in patterns that begin with a text, and that a line with this first byte can match.
fn candidates(formats: &[Format], own: usize, byte: u8) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for (format, Format { patterns, .. }) in formats.iter().enumerate().skip(own) {
        let fits = |pattern: &Pattern| pattern.begins_with_text() && pattern.may_start_with(byte);
        for (index, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| fits(pattern)) {
            let alike = found.last().map_or(0, |before| {
                formats[before.format].patterns[before.pattern].alike(pattern, before.format == format)
            });
            let begins = pattern.texts().iter().filter_map(|text| text.first_chunk().copied()).collect();
            found.push(Candidate { format, pattern: index, alike, begins });
        }
    }
    found
}

fn programs(formats: &[Format]) -> Vec<Vec<Program>> {
    let mut found: Vec<Vec<Program>> = vec![Vec::new(); 256];
    for (index, format) in formats.iter().enumerate() {
        for program in &format.programs {
            let same_start = &mut found[usize::from(program.bytes().next().unwrap_or(0))];
            match same_start.iter_mut().find(|(known, _)| known == program) {
                Some((_, formats)) => formats.push(index),
                None => same_start.push((program.clone(), vec![index])),
            }
        }
    }
    found
}

fn beginnings(formats: &[Format]) -> Vec<Vec<(String, Begins)>> {
    let mut found = vec![Vec::new(); 256];
    for (format, Format { multiline, .. }) in formats.iter().enumerate() {
        for (place, text) in multiline.begins.iter().enumerate() {
            if let Some(first) = text.bytes().next() {
                found[usize::from(first)].push((text.clone(), Begins(format, place)));
            }
        }
    }
    found
}
