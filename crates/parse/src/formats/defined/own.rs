//! Formats of one's own: read from whoever has them, checked, and settled for the whole process.

use super::registry::{registry, settle};
use super::{Format, samples};
use crate::clock::Clock;
use crate::pattern::Found;

/// Bytes of a format's name at most.
const NAME_MAX: usize = 64;

/// A format of one's own.
#[derive(Debug)]
pub struct OwnFormat(Format);

impl OwnFormat {
    /// Reads a format's file, whose keys are those of the built-in ones (`formats/` in the repository) and `regex`, `grok`
    /// and `time`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let format = Format::read(text)?;
        let is_name = |name: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(fits)
        };
        if !is_name(&format.name) {
            return Err(format!(
                "`{}` is no name; letters, digits, `-`, `_` and `.` are possible",
                format.name
            ));
        }
        if format.patterns.is_empty() && format.messages.is_empty() && format.expressions.is_empty() {
            return Err("it finds no line; give it `patterns`, `regex`, `grok` or `messages`".to_owned());
        }
        if format.messages.is_empty() != format.programs.is_empty() {
            return Err("`messages` are those of `programs`: give both or none".to_owned());
        }
        Ok(Self(format))
    }

    /// Whether a line is in it, whatever else knows the line.
    pub fn fits(&self, line: &[u8]) -> bool {
        let mut clock = Clock::new(0);
        let mut found = Found::default();
        let levels = |word: &[u8]| self.0.level(word);
        self.0.patterns.iter().chain(&self.0.messages).any(|pattern| {
            found.clear();
            pattern.find(line, &mut clock, &levels, &mut found)
        }) || self.0.expressions.iter().any(|one| {
            let mut found = Found::default();
            one.find(line, &mut clock, &levels, &mut found).is_some()
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

/// Settles which formats of one's own this process knows, before it parses anything. They are tried before the built-in
/// ones, and take the places of those with the same names.
///
/// # Errors
/// Two have one name, or lines were parsed already.
pub fn use_formats(own: Vec<OwnFormat>) -> Result<(), String> {
    for (index, format) in own.iter().enumerate() {
        if own[..index].iter().any(|other| other.name() == format.name()) {
            return Err(format!("two formats are named `{}`", format.name()));
        }
    }
    let formats = own.into_iter().map(|OwnFormat(format)| format).collect();
    if settle(formats) { Ok(()) } else { Err("the formats are settled already".to_owned()) }
}

/// What is wrong with the samples of one's own formats: each that becomes something else than its format says.
pub fn wrong_samples() -> Vec<String> {
    registry().own().iter().flat_map(samples::differing).collect()
}
