//! All formats that are data, those of one's own before the built-in ones, and which of them a line can be in.

use std::sync::OnceLock;

use super::starts::Starts;
use super::texts::Texts;
use super::{Begins, Format};

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
    /// The patterns that begin with a text that says what a line is.
    pub(super) texts: Texts,
    /// All others.
    pub(super) starts: Starts,
    /// Programs by the first byte of their names.
    programs: Vec<Vec<Program>>,
    /// By a line's first byte, the texts that records begin with.
    pub(super) beginnings: Vec<Vec<(String, Begins)>>,
}

/// A program's name, and the formats that know its messages.
type Program = (String, Vec<usize>);

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
            texts: Texts::new(&formats, own),
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
