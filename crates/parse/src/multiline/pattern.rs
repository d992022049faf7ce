//! Records whose first line a pattern tells.

use regex::bytes::Regex;
use taffrail_record::Multiline;

/// Joins lines up to the next one that matches: for programs whose records nothing else tells apart.
#[derive(Clone, Debug)]
pub struct FirstLine {
    pattern: Regex,
}

impl FirstLine {
    /// For records whose first line `pattern`, a regular expression, matches somewhere.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
        Ok(Self { pattern })
    }
}

impl Multiline for FirstLine {
    fn goes_on(&mut self, _: &[u8], line: &[u8]) -> bool {
        !self.pattern.is_match(line)
    }

    fn is_open(&mut self, _: &[u8]) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Multiline> {
        Box::new(self.clone())
    }
}
