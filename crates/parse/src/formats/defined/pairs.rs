//! Pairs of name and value inside a line: `SRC=192.0.2.1 SPT=443`, `act=blocked msg=two words`, `host:web\tstatus:200`.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use crate::class::{self, end_of};
use crate::quoted;

/// Pairs of one line at most; the rest stays in the message.
const PAIRS_MAX: usize = 64;
/// Bytes of a name at most.
const NAME_MAX: usize = 64;
/// What ends a value where a format says nothing else.
const ENDS: &str = " \t,;'";

/// How a format's pairs are written, and what they are called here. They are looked for where a pattern says `{pairs}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pairs {
    /// The attributes that pairs become, by their names in the line. Of two with one name the first counts.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// Whether those that are not in `names` become attributes as well, as they are called.
    #[serde(default)]
    others: bool,
    /// The bytes that end a value without quotes: [`ENDS`] unless told.
    #[serde(default)]
    ends: Option<String>,
    /// Whether such a value goes on up to the blank before the next name.
    #[serde(default)]
    spaced: bool,
    /// Whether a `:` stands between name and value in place of a `=`.
    #[serde(default)]
    colon: bool,
}

impl Pairs {
    /// Calls `take` with every pair of `text`: the attribute's name, and where its value stands. Text that belongs to no pair
    /// is passed over.
    pub(super) fn each(&self, text: &[u8], mut take: impl FnMut(&[u8], Range<usize>)) {
        let mut at = 0;
        for _ in 0..PAIRS_MAX {
            let Some((name, value)) = self.next(text, at) else { return };
            let (end, next) = self.value_end(text, value);
            let start = value + usize::from(next > end && matches!(text[value], b'"' | b'<'));
            let name = &text[name];
            let known = std::str::from_utf8(name).ok().and_then(|name| self.names.get(name));
            let known = known.map(String::as_bytes).or(self.others.then_some(name));
            // A `-`, a `?` or nothing stands for "none".
            if let (Some(known), false) = (known, matches!(&text[start..end], b"" | b"-" | b"?")) {
                take(known, start..end);
            }
            at = next.max(end);
        }
    }

    const fn mark(&self) -> u8 {
        if self.colon { b':' } else { b'=' }
    }

    /// The next name from `at` on, and where its value starts.
    fn next(&self, text: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
        let marks = memchr::memchr_iter(self.mark(), &text[at..]).map(|mark| at + mark);
        marks.filter_map(|mark| self.name_before(text, at, mark).map(|name| (name, mark + 1))).next()
    }

    /// The name that ends at `mark`, if one does.
    fn name_before(&self, text: &[u8], from: usize, mark: usize) -> Option<Range<usize>> {
        let from = from.max(mark.saturating_sub(NAME_MAX));
        let is_inside = |byte: &&u8| class::is(**byte, class::KEY) && **byte != b'/';
        let len = text[from..mark].iter().rev().take_while(is_inside).count();
        let start = mark - len;
        let before = start.checked_sub(1).map(|before| text[before]);
        let fits = before.is_none_or(|byte| match &self.ends {
            _ if self.spaced => matches!(byte, b' ' | b'\t' | b'|'),
            Some(ends) => ends.as_bytes().contains(&byte),
            None => !byte.is_ascii_alphanumeric(),
        });
        (len > 0 && fits).then_some(start..mark)
    }

    /// Where the value at `start` ends, and where to go on.
    fn value_end(&self, text: &[u8], start: usize) -> (usize, usize) {
        let close = match text.get(start) {
            Some(b'"') if self.ends.is_none() => quoted::end(text, start + 1),
            Some(b'<') if self.ends.is_none() => class::find(text, start, b'>'),
            _ => None,
        };
        if let Some(close) = close {
            return (close, close + 1);
        }
        let rest = &text[start..];
        let len = if self.spaced {
            self.next(text, start).map_or(rest.len(), |(name, _)| name.start - start)
        } else {
            let ends = self.ends.as_deref().unwrap_or(ENDS).as_bytes();
            rest.iter().position(|byte| ends.contains(byte)).unwrap_or(rest.len())
        };
        let end = start + text[start..start + len].trim_ascii_end().len();
        (end, start + len)
    }
}

/// Whether a text of the class of names goes on to its end: what a name in a format's file must be.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && end_of(text.as_bytes(), 0, class::KEY) == text.len()
}

impl Pairs {
    /// `Err` says which name no attribute can have.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.names.values().find(|name| !is_name(name)) {
            Some(name) => Err(format!("`{name}` is no attribute's name")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> String {
        let pairs: Pairs = toml::from_str(file).unwrap();
        let mut found = Vec::new();
        pairs.each(text.as_bytes(), |name, value| {
            found.push(format!("{}={}", String::from_utf8_lossy(name), &text[value]));
        });
        found.join("|")
    }

    #[test]
    fn finds_the_pairs_of_each_kind() {
        for (file, text, want) in [
            (
                "others = true",
                "IN=eth0 OUT= MAC=1:2 DF SPT=1, x=2;y=\"a b\" z",
                "IN=eth0|MAC=1:2|SPT=1|x=2|y=a b",
            ),
            ("names = { SRC = 'client_ip' }", "[1.2] drop: SRC=192.0.2.1 DST=x", "client_ip=192.0.2.1"),
            ("others = true", "a b c", ""),
            ("others = true", "=x a=\"open b=c", "a=\"open|b=c"),
            ("others = true\nspaced = true", "act=b c d msg=x y  e=1", "act=b c d|msg=x y|e=1"),
            ("others = true\nspaced = true", "url=http://a/?b=c d=e", "url=http://a/?b=c|d=e"),
            ("others = true\nends = \"\\t\"", "a=b c\td=\te=f", "a=b c|e=f"),
            ("others = true\nends = \"\\t\"\ncolon = true", "a:b:c d\ts:200\tx:-", "a=b:c d|s=200"),
            ("others = true", "to=<a b>, size=3,k=? msg='op=x y=z'", "to=a b|size=3|op=x|y=z"),
            ("others = true", "é=1 ü a=é", "a=é"),
        ] {
            assert_eq!(found(file, text), want, "{text}");
        }
        let many = "k=v ".repeat(100);
        assert_eq!(found("others = true", &many).split('|').count(), PAIRS_MAX);
    }
}
