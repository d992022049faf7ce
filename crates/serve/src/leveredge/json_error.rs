//! Where a text stops being JSON, in the words and positions of the original's decoder.

/// Nesting that is looked into; deeper is an error of its own.
const DEPTH_MAX: usize = 128;

/// The first error of `text` and its position in characters; `None` if there is none.
pub(super) fn find(text: &str) -> Option<(&'static str, usize)> {
    let mut scan = Scan { text: text.chars().collect(), at: 0 };
    scan.blanks();
    let value = scan.value(0);
    scan.blanks();
    match value {
        Err(error) => Some(error),
        Ok(()) => (scan.at < scan.text.len()).then_some(("Extra data", scan.at)),
    }
}

struct Scan {
    text: Vec<char>,
    at: usize,
}

type Step = Result<(), (&'static str, usize)>;

impl Scan {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Step {
        if depth > DEPTH_MAX {
            return Err(("Nested too deeply", self.at));
        }
        match self.peek() {
            Some('"') => self.string(),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('-' | '0'..='9') => self.number(),
            _ => ["null", "true", "false", "NaN", "Infinity"]
                .iter()
                .any(|word| self.word(word))
                .then_some(())
                .ok_or(("Expecting value", self.at)),
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = word.chars().eq(self.text.iter().skip(self.at).take(word.len()).copied());
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Step {
        let start = self.at;
        if self.word("-Infinity") {
            return Ok(());
        }
        self.take('-');
        if !self.take('0') && !self.digits() {
            return Err(("Expecting value", start));
        }
        let whole = self.at;
        if !(self.take('.') && self.digits()) {
            self.at = whole;
        }
        let mantissa = self.at;
        if self.take('e') || self.take('E') {
            let _ = self.take('+') || self.take('-');
            if !self.digits() {
                self.at = mantissa;
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Step {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(("Unterminated string starting at", start)),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => self.escape(start)?,
                Some(c) if c < ' ' => return Err(("Invalid control character at", self.at)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Step {
        let backslash = self.at;
        self.at += 1;
        match self.peek() {
            None => Err(("Unterminated string starting at", start)),
            Some('u') => {
                self.at += 1;
                let digits = self.text.iter().skip(self.at).take(4);
                if digits.filter(|c| c.is_ascii_hexdigit()).count() < 4 {
                    return Err(("Invalid \\uXXXX escape", self.at - 1));
                }
                self.at += 4;
                Ok(())
            }
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(("Invalid \\escape", backslash)),
        }
    }

    fn object(&mut self, depth: usize) -> Step {
        self.at += 1;
        self.blanks();
        if self.take('}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return Err(("Expecting property name enclosed in double quotes", self.at));
            }
            self.string()?;
            self.blanks();
            if !self.take(':') {
                return Err(("Expecting ':' delimiter", self.at));
            }
            self.blanks();
            self.value(depth + 1)?;
            self.blanks();
            if self.take('}') {
                return Ok(());
            }
            if !self.take(',') {
                return Err(("Expecting ',' delimiter", self.at));
            }
            self.blanks();
        }
    }

    fn array(&mut self, depth: usize) -> Step {
        self.at += 1;
        self.blanks();
        if self.take(']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            if self.take(']') {
                return Ok(());
            }
            if !self.take(',') {
                return Err(("Expecting ',' delimiter", self.at));
            }
            self.blanks();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_words_and_places_of_the_original() {
        for (text, want) in [
            ("{\"message\":\"x\"}", None),
            ("[1.5e3,-0,true,null,{\"a\":[]}]", None),
            ("not json", Some(("Expecting value", 0))),
            ("{not json}", Some(("Expecting property name enclosed in double quotes", 1))),
            ("{\"a\" 1}", Some(("Expecting ':' delimiter", 5))),
            ("{\"a\":1 \"b\":2}", Some(("Expecting ',' delimiter", 7))),
            ("{\"a\":", Some(("Expecting value", 5))),
            ("{\"a\":1,}", Some(("Expecting property name enclosed in double quotes", 7))),
            ("{\"é\":\"x", Some(("Unterminated string starting at", 5))),
            ("{\"a\":\"\\x\"}", Some(("Invalid \\escape", 6))),
            ("{\"a\":\"\\u12\"}", Some(("Invalid \\uXXXX escape", 7))),
            ("{\"a\":\"\n\"}", Some(("Invalid control character at", 6))),
            ("{} {}", Some(("Extra data", 3))),
            ("[1,", Some(("Expecting value", 3))),
            ("-", Some(("Expecting value", 0))),
            ("   ", Some(("Expecting value", 3))),
        ] {
            assert_eq!(find(text), want, "{text}");
        }
        assert_eq!(find(&"[".repeat(1_000_000)), Some(("Nested too deeply", 129)));
    }
}
