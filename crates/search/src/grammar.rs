//! The search language: text to [`Filter`].
//!
//! ```text
//! any     = all ("OR" all)*                     one of them
//! all     = (["AND"] not)+                      every one; AND is understood
//! not     = ("-" | "NOT") not | "(" any ")" | term
//! term    = word | word* | *part* | "phrase" | /regex/ | field test
//! test    = ":" value | ":" "(" value ("OR" value)* ")" | "=" value | ">" | ">=" | "<" | "<=" value
//! value   = word | word* | *part* | "phrase" | /regex/ | * (is there at all)
//! ```
//! Words and phrases are found in message, service, node and text attributes, as whole words, ASCII case
//! ignored.
//! `field:value` wants the whole value for `severity`, `node`, `service`, `source` and attributes, and a
//! match inside for `body`. `\` makes the next character part of a word. A regular expression is matched
//! within each of these columns by itself; in a field's value it holds no blanks (write `\s`).

use regex_syntax::ParserBuilder;
use taffrail_record::Severity;
use taffrail_store::engine::QueryError;
use taffrail_store::filter::{Bound, Comparison, FieldTest, Filter, TextMatch};

/// Longest expression in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 16 << 10;
/// Deepest nesting of parentheses and negations.
const DEPTH_MAX: usize = 64;

/// Reads an expression; the empty one is [`Filter::All`].
pub fn parse(expression: &str) -> Result<Filter, QueryError> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the search is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(QueryError::Syntax { message, position: EXPRESSION_BYTES_MAX });
    }
    let mut parser = Parser { text: expression, at: 0, depth: 0 };
    parser.blanks();
    if parser.rest().is_empty() {
        return Ok(Filter::All);
    }
    let filter = parser.any()?;
    match parser.rest() {
        "" => Ok(filter),
        _ => Err(parser.error("a `)` without its `(`; write \\) or \"...\" to search for it")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Whether a regular expression may hold blanks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    Allowed,
    Refused,
}

/// A word as it was written: `*` outside of escapes are still marks.
struct Word {
    text: String,
    starts_open: bool,
    ends_open: bool,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::Syntax { message: message.into(), position: self.at }
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes `OR`, `AND`, `NOT` standing alone.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword);
        let alone = after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', '(']));
        if alone {
            self.at += keyword.len();
            self.blanks();
        }
        alone
    }

    fn any(&mut self) -> Result<Filter, QueryError> {
        let mut choices = vec![self.all()?];
        while self.take_keyword("OR") {
            choices.push(self.all()?);
        }
        Ok(one_or(choices, Filter::Or))
    }

    fn all(&mut self) -> Result<Filter, QueryError> {
        let mut conditions = Vec::new();
        loop {
            self.blanks();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') || self.at_keyword("OR") {
                break;
            }
            if self.take_keyword("AND") && conditions.is_empty() {
                return Err(
                    self.error("`AND` needs a condition before it; write \"AND\" to search for the word")
                );
            }
            conditions.push(self.not()?);
        }
        if conditions.is_empty() {
            return Err(self.error("a condition is missing here"));
        }
        Ok(one_or(conditions, Filter::And))
    }

    fn at_keyword(&mut self, keyword: &str) -> bool {
        let at = self.at;
        let found = self.take_keyword(keyword);
        self.at = at;
        found
    }

    fn not(&mut self) -> Result<Filter, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.blanks();
        let filter = if self.take_keyword("NOT") || self.take("-") {
            Filter::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.error("a `)` is missing"));
            }
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Result<Filter, QueryError> {
        match self.rest().chars().next() {
            Some('"') => Ok(Filter::Text(TextMatch::Phrase(self.quoted()?))),
            Some('/') => match self.regex(Blanks::Allowed)? {
                Some(regex) => Ok(Filter::Text(regex)),
                None => self.word_or_field(),
            },
            _ => self.word_or_field(),
        }
    }

    fn word_or_field(&mut self) -> Result<Filter, QueryError> {
        let start = self.at;
        let word = self.word()?;
        let named = !word.text.is_empty() && !word.starts_open && !word.ends_open;
        if named && let Some(filter) = self.field(&word.text)? {
            return Ok(filter);
        }
        if word.text.is_empty() && !(word.starts_open || word.ends_open) {
            return Err(self.error("expected a word here; put signs between \"quotes\" to search for them"));
        }
        if word.text.is_empty() {
            return Ok(Filter::All);
        }
        self.words_of(word, start)
    }

    fn words_of(&self, word: Word, start: usize) -> Result<Filter, QueryError> {
        if word.text.trim().is_empty() {
            return Err(QueryError::Syntax { message: "expected a word here".to_owned(), position: start });
        }
        Ok(Filter::Text(text_match(word)))
    }

    fn field(&mut self, name: &str) -> Result<Option<Filter>, QueryError> {
        let comparisons = [
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
        ];
        for (sign, comparison) in comparisons {
            if self.take(sign) {
                let bound = self.bound(name)?;
                return Ok(Some(Filter::field(name, FieldTest::Compare(comparison, bound))));
            }
        }
        if self.take(":(") {
            return Ok(Some(Filter::field(name, FieldTest::OneOf(self.list()?))));
        }
        if self.take(":") || self.take("=") {
            return Ok(Some(Filter::field(name, self.value(name)?)));
        }
        Ok(None)
    }

    fn list(&mut self) -> Result<Vec<String>, QueryError> {
        let mut values = Vec::new();
        loop {
            self.blanks();
            if self.take(")") {
                return Ok(values);
            }
            if self.rest().is_empty() {
                return Err(self.error("a `)` is missing"));
            }
            if !values.is_empty() && self.take_keyword("OR") {
                continue;
            }
            values.push(if self.rest().starts_with('"') { self.quoted()? } else { self.word()?.text });
            if values.last().is_some_and(String::is_empty) {
                return Err(self.error("expected a value here"));
            }
        }
    }

    fn value(&mut self, name: &str) -> Result<FieldTest, QueryError> {
        let whole = |text: String| match name {
            "body" => FieldTest::Matches(TextMatch::Phrase(text)),
            _ => FieldTest::Equals(text),
        };
        if self.rest().starts_with('"') {
            return Ok(whole(self.quoted()?));
        }
        if self.rest().starts_with('/')
            && let Some(regex) = self.regex(Blanks::Refused)?
        {
            return Ok(FieldTest::Matches(regex));
        }
        let word = self.word()?;
        Ok(match (word.starts_open, word.ends_open) {
            (false, false) if word.text.is_empty() => {
                return Err(self.error(format!("a value is missing after `{name}:`")));
            }
            (false, false) => whole(word.text),
            _ if word.text.is_empty() => FieldTest::Exists,
            (starts_open, ends_open) if name != "body" => {
                let pattern = regex_syntax::escape(&word.text);
                let start = if starts_open { "" } else { "^" };
                let end = if ends_open { "" } else { "$" };
                FieldTest::Matches(TextMatch::Regex(format!("(?i){start}{pattern}{end}")))
            }
            _ => FieldTest::Matches(text_match(word)),
        })
    }

    fn bound(&mut self, name: &str) -> Result<Bound, QueryError> {
        let start = self.at;
        let text = if self.rest().starts_with('"') { self.quoted()? } else { self.word()?.text };
        if name == "severity"
            && let Some(severity) = Severity::from_text(text.as_bytes())
        {
            return Ok(Bound::Severity(severity));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Bound::Number(number)),
            _ if name == "severity" => Err(QueryError::Syntax {
                message: format!(
                    "`{text}` is no severity; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL"
                ),
                position: start,
            }),
            _ => Err(QueryError::Syntax {
                message: format!("`{name}` can only be compared with a number, `{text}` is none"),
                position: start,
            }),
        }
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + at + 1;
                    if text.is_empty() {
                        return Err(QueryError::Syntax {
                            message: "an empty phrase".to_owned(),
                            position: start,
                        });
                    }
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => text.push(c),
            }
        }
        Err(self.error("the closing `\"` is missing"))
    }

    /// `/.../`; `None` if no closing slash follows, as in `/var/log`. In a field's value it may hold no blanks,
    /// or `source:/var/log/a.log /x/` would be one.
    fn regex(&mut self, blanks: Blanks) -> Result<Option<TextMatch>, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let word_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let reach = if blanks == Blanks::Allowed { rest.len() } else { word_end };
        let mut escaped = false;
        let mut end = None;
        for (at, c) in rest[..reach].char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '/' if closes(&rest[at + 1..]) => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else {
            return match rest[..word_end].contains(['(', '[', '|', '\\']) {
                true => Err(self.error("the closing `/` of the regular expression is missing")),
                false => Ok(None),
            };
        };
        let pattern = rest[1..end].replace("\\/", "/");
        if let Err(error) = ParserBuilder::new().utf8(false).build().parse(&pattern) {
            let (what, at) = describe(&error);
            return Err(QueryError::Syntax {
                message: format!("the regular expression is wrong: {what}"),
                position: start + 1 + at,
            });
        }
        self.at = start + end + 1;
        Ok(Some(TextMatch::Regex(pattern)))
    }

    fn word(&mut self) -> Result<Word, QueryError> {
        let mut word = Word { text: String::new(), starts_open: false, ends_open: false };
        let start = self.at;
        let mut chars = self.rest().char_indices().peekable();
        let mut end = self.rest().len();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c.is_whitespace() => {
                    end = at;
                    break;
                }
                '(' | ')' | '"' | ':' | '=' | '<' | '>' if !self.sign_in_word(c, at, &word) => {
                    end = at;
                    break;
                }
                '\\' => word.text.extend(chars.next().map(|(_, escaped)| escaped)),
                '*' if at == 0 => word.starts_open = true,
                '*' if chars.peek().is_none_or(|(_, next)| next.is_whitespace() || *next == ')') => {
                    word.ends_open = true;
                }
                _ => word.text.push(c),
            }
        }
        self.at = start + end;
        Ok(word)
    }

    /// Signs that end a field's name stand inside of values: `10:32:07`, `a=b` after the first sign, URLs.
    fn sign_in_word(&self, sign: char, at: usize, word: &Word) -> bool {
        let after = &self.rest()[at + 1..];
        match sign {
            ':' | '=' | '<' | '>' => {
                let before = self.text[..self.at].chars().next_back();
                let is_value = matches!(before, Some(':' | '=' | '<' | '>'));
                let name = is_name(&word.text);
                is_value
                    || !name
                    || after.is_empty()
                    || after.starts_with(char::is_whitespace)
                    || after.starts_with("//")
            }
            _ => false,
        }
    }
}

/// Whether a word can name a field; `10:32` and `/a?b=c` hold none.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@')
        && !text.contains([':', '/', '?', '&', '='])
}

fn closes(after: &str) -> bool {
    after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == ')')
}

fn describe(error: &regex_syntax::Error) -> (String, usize) {
    match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
        _ => (error.to_string(), 0),
    }
}

fn text_match(word: Word) -> TextMatch {
    match (word.starts_open, word.ends_open) {
        (false, false) => TextMatch::Phrase(word.text),
        (false, true) => TextMatch::Prefix(word.text),
        (true, _) => TextMatch::Substring(word.text),
    }
}

fn one_or(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => join(filters),
    }
}

#[cfg(test)]
mod tests;
