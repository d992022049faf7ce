//! JSON lines, those of container runtimes included: one pass over the bytes, nested objects flattened.

mod otlp;

use crate::class::skip_blanks;
use crate::clock::Clock;
use crate::draft::{Draft, Name};
use crate::member::{Member, Members, Value};
use crate::quoted;

/// Objects and arrays inside each other at most.
const DEPTH_MAX: usize = 32;

pub(super) fn parse(line: &[u8], clock: &mut Clock, members: &mut Members, draft: &mut Draft) -> bool {
    let start = skip_blanks(line, 0);
    if line.get(start) != Some(&b'{') {
        return false;
    }
    members.clear();
    let mut scan = Scan { text: line, at: start, members, names: &mut draft.names, path: &mut draft.path };
    let whole = scan.object(1).is_some() && scan.skip_space() == line.len();
    if whole {
        members.fill(line, clock, draft);
    } else {
        draft.names.clear();
    }
    whole
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    members: &'a mut Members,
    /// Names that do not stand in the line: flattened ones and those with escapes.
    names: &'a mut Vec<u8>,
    /// The names around the current object, each with a dot after it.
    path: &'a mut Vec<u8>,
}

impl Scan<'_> {
    fn skip_space(&mut self) -> usize {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.at
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The inside of a string and whether it holds escapes.
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        self.expect(b'"')?;
        let start = self.at;
        let (end, escaped) = quoted::scan(self.text, start)?;
        self.at = end + 1;
        Some((start, end, escaped))
    }

    /// The members of the object at `at`, as members of the line.
    fn object(&mut self, depth: usize) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            self.member(name, depth)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn member(&mut self, name: (usize, usize, bool), depth: usize) -> Option<()> {
        if self.peek()? == b'{' && !self.is_empty_object() {
            let outer = self.path.len();
            self.append_name(name);
            self.path.push(b'.');
            (depth < DEPTH_MAX).then_some(())?;
            self.object(depth + 1)?;
            self.path.truncate(outer);
            return Some(());
        }
        if self.otlp_list(name, depth).is_some() {
            return Some(());
        }
        let name = self.name(name);
        self.plain_value(name, depth)
    }

    /// The value at `at`, which has no members of its own, as a member.
    fn plain_value(&mut self, name: Name, depth: usize) -> Option<()> {
        self.peek()?;
        let start = self.at;
        let (start, end, value) = match self.text[start] {
            b'"' => {
                let (start, end, escaped) = self.string()?;
                (start, end, Value::Quoted { escaped })
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                (start, self.at, Value::Number)
            }
            _ => {
                self.skip_value(depth)?;
                (start, self.at, Value::Json)
            }
        };
        self.members.push(Member { name, start, end, value });
        Some(())
    }

    /// Whether the object at `at` has no members: it is a value of its own, as nothing of it is left otherwise.
    fn is_empty_object(&self) -> bool {
        let inside =
            self.text[self.at + 1..].iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        inside == Some(&b'}')
    }

    fn append_name(&mut self, (start, end, escaped): (usize, usize, bool)) {
        if escaped {
            quoted::unescape(&self.text[start..end], self.path);
        } else {
            self.path.extend_from_slice(&self.text[start..end]);
        }
    }

    fn name(&mut self, name: (usize, usize, bool)) -> Name {
        let (start, end, escaped) = name;
        if self.path.is_empty() && !escaped {
            return Name::Line(start, end);
        }
        let outer = self.path.len();
        self.append_name(name);
        let from = self.names.len();
        self.names.extend_from_slice(self.path);
        self.path.truncate(outer);
        Name::Built(from, self.names.len())
    }

    /// Any value, its members no members of the line.
    fn skip_value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.skip_list(b'}', depth, |scan| {
                scan.string()?;
                scan.expect(b':')
            }),
            b'[' => self.skip_list(b']', depth, |_| Some(())),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn skip_list(&mut self, close: u8, depth: usize, before: fn(&mut Self) -> Option<()>) -> Option<()> {
        (depth < DEPTH_MAX).then_some(())?;
        self.at += 1;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            before(self)?;
            self.skip_value(depth + 1)?;
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => {}
                _ if byte == close => return Some(()),
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.text.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        let start = self.at;
        self.digits()?;
        if self.text[start] == b'0' && self.at > start + 1 {
            return None;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
