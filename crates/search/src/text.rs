//! Finds words, phrases and patterns in columns of text.
//!
//! A page of texts is one run of bytes with views into it. Where matches are rare, the whole run is searched
//! at once and only the texts around a find are looked at; where they are not, each text is looked at.

use arrow::array::{Array, StringViewArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::HashMap;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use taffrail_store::engine::QueryError;
use taffrail_store::filter::TextMatch;
use taffrail_store::index::word::is_word_byte;

/// Largest compiled pattern in bytes.
const PATTERN_BYTES_MAX: usize = 4 << 20;
/// Texts are looked at one by one once more than one in this many has a find.
const RARE: usize = 8;
/// Literals that a pattern is found by at most.
const GATE_LITERALS_MAX: usize = 64;
/// Shorter literals stand everywhere.
const GATE_LITERAL_MIN: usize = 3;
/// Longest match of a pattern that is searched in runs.
const LOCAL_LEN: usize = 256;
/// Longest text that stands in its view.
const SHORT_LEN: u32 = 12;
/// Short texts whose answer is kept.
const SHORT_TEXTS_MAX: usize = 1_024;

/// A compiled [`TextMatch`].
#[derive(Clone, Debug)]
pub struct TextMatcher {
    regex: Regex,
    /// No word byte may stand right before a find.
    starts_word: bool,
    /// No word byte may stand right after a find.
    ends_word: bool,
    /// Finds all places where a match can be, and looks only at its own few bytes, so that runs of texts can
    /// be searched with it: the pattern itself, or texts that every match contains.
    gate: Option<Regex>,
}

impl TextMatcher {
    /// Compiles; the error says what is wrong with the pattern.
    pub fn new(text: &TextMatch) -> Result<Self, QueryError> {
        let literal = |text: &str| format!("(?i-u:{})", bytes_pattern(text.as_bytes()));
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| is_word_byte(*byte));
        let (pattern, starts_word, ends_word) = match text {
            TextMatch::Phrase(text) => {
                (literal(text), edge(text.as_bytes().first()), edge(text.as_bytes().last()))
            }
            TextMatch::Prefix(text) => (literal(text), edge(text.as_bytes().first()), false),
            TextMatch::Substring(text) => (literal(text), false, false),
            TextMatch::Regex(pattern) => (pattern.clone(), false, false),
        };
        let regex = compile(&pattern)?;
        Ok(match text {
            TextMatch::Regex(pattern) => {
                let gate = gate(pattern, &regex)?;
                Self { regex: anchored(pattern).unwrap_or(regex), starts_word, ends_word, gate }
            }
            _ => Self { gate: Some(regex.clone()), regex, starts_word, ends_word },
        })
    }

    /// Whether one text has a match.
    pub fn is_match(&self, text: &[u8]) -> bool {
        if !self.starts_word && !self.ends_word {
            return self.regex.is_match(text);
        }
        let mut at = 0;
        while let Some(found) = self.regex.find_at(text, at) {
            let before = found.start().checked_sub(1).and_then(|at| text.get(at));
            let after = text.get(found.end());
            let free =
                |wanted: bool, byte: Option<&u8>| !wanted || byte.is_none_or(|byte| !is_word_byte(*byte));
            if free(self.starts_word, before) && free(self.ends_word, after) {
                return true;
            }
            at = found.start() + 1;
        }
        false
    }

    /// Which texts of a column have a match; null has none.
    pub fn matches(&self, texts: &StringViewArray) -> BooleanBuffer {
        if let Some(found) = self.gate.as_ref().and_then(|gate| self.search_runs(gate, texts)) {
            return found;
        }
        BooleanBuffer::collect_bool(texts.len(), |row| {
            texts.is_valid(row) && self.is_match(texts.value(row).as_bytes())
        })
    }

    /// Searches the column's buffers instead of its texts; `None` if matches turn out not to be rare.
    fn search_runs(&self, gate: &Regex, texts: &StringViewArray) -> Option<BooleanBuffer> {
        let mut found = vec![false; texts.len()];
        let mut runs: Vec<Vec<Piece>> = vec![Vec::new(); texts.data_buffers().len()];
        let mut short = ShortTexts::default();
        for (row, view) in texts.views().iter().enumerate().filter(|(row, _)| texts.is_valid(*row)) {
            let len = *view as u32;
            if len <= SHORT_LEN {
                found[row] = short.is_match(*view, || self.is_match(texts.value(row).as_bytes()));
            } else {
                let start = (*view >> 96) as u32;
                runs[(*view >> 64) as u32 as usize].push(Piece { start, end: start + len, row: row as u32 });
            }
        }
        let mut finds = 0;
        for (buffer, mut pieces) in texts.data_buffers().iter().zip(runs) {
            if !pieces.is_sorted() {
                pieces.sort_unstable();
            }
            // Repeated values share their bytes; texts that overlap otherwise are not a run.
            if pieces.windows(2).any(|pair| pair[1].start < pair[0].end && pair[1].bytes() != pair[0].bytes())
            {
                return None;
            }
            let end = pieces.last().map_or(0, |last| last.end as usize);
            let mut at = pieces.first().map_or(0, |first| first.start as usize);
            while let Some(find) = gate.find_at(&buffer.as_slice()[..end], at.min(end)) {
                finds += 1;
                if finds * RARE > texts.len() {
                    return None;
                }
                let after = pieces.partition_point(|piece| piece.start as usize <= find.start());
                let Some(piece) = after.checked_sub(1).map(|index| pieces[index]) else { break };
                if find.start() >= piece.end as usize {
                    // Bytes of another column lie between: go on with the next text.
                    match pieces.get(after) {
                        Some(next) => at = next.start as usize,
                        None => break,
                    }
                    continue;
                }
                let is_match = self.is_match(&buffer.as_slice()[piece.start as usize..piece.end as usize]);
                for same in pieces[..after].iter().rev().take_while(|same| same.start == piece.start) {
                    found[same.row as usize] = is_match;
                }
                at = piece.end as usize;
            }
        }
        Some(BooleanBuffer::from(found))
    }
}

/// A text's place in its buffer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    start: u32,
    end: u32,
    row: u32,
}

impl Piece {
    fn bytes(&self) -> (u32, u32) {
        (self.start, self.end)
    }
}

/// The answers for texts that stand in their view: names of services and machines come again and again.
#[derive(Default)]
struct ShortTexts {
    known: HashMap<u128, bool>,
    last: Option<(u128, bool)>,
}

impl ShortTexts {
    fn is_match(&mut self, view: u128, ask: impl FnOnce() -> bool) -> bool {
        if let Some((_, answer)) = self.last.filter(|(last, _)| *last == view) {
            return answer;
        }
        let answer = match self.known.get(&view) {
            Some(answer) => *answer,
            None => {
                let answer = ask();
                if self.known.len() < SHORT_TEXTS_MAX {
                    self.known.insert(view, answer);
                }
                answer
            }
        };
        self.last = Some((view, answer));
        answer
    }
}

/// Every byte of the text as a pattern that matches it alone; bytes above ASCII by number.
fn bytes_pattern(text: &[u8]) -> String {
    text.iter()
        .map(|byte| match byte {
            0x80.. => format!("\\x{byte:02x}"),
            _ => regex_syntax::escape(&char::from(*byte).to_string()),
        })
        .collect()
}

/// The pattern with a start that takes any text before it. Without, a pattern that begins with a few common
/// bytes (a digit) is looked for at each of them by itself, at ten times the price.
fn anchored(pattern: &str) -> Option<Regex> {
    compile(&format!("(?s-u:\\A.*?)(?:{pattern})")).ok()
}

/// What runs of texts are searched with for a pattern; `None` if only a look at each text tells.
fn gate(pattern: &str, regex: &Regex) -> Result<Option<Regex>, QueryError> {
    let Ok(hir) = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern) else {
        return Ok(None);
    };
    if is_local(&hir) {
        return Ok(Some(regex.clone()));
    }
    let Some(literals) = required(&hir) else { return Ok(None) };
    let any: Vec<String> = literals.iter().map(|literal| bytes_pattern(literal)).collect();
    compile(&format!("(?-u:{})", any.join("|"))).map(Some)
}

/// Whether a match depends on its own few bytes only. `.*` would run on through all texts of a run.
fn is_local(hir: &Hir) -> bool {
    let properties = hir.properties();
    properties.look_set().is_empty() && properties.maximum_len().is_some_and(|len| len <= LOCAL_LEN)
}

/// Literals of which every match contains one; the set whose shortest is longest.
fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let shortest = |set: &Vec<Vec<u8>>| set.iter().map(Vec::len).min();
    let set = match hir.kind() {
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Capture(capture) => required(&capture.sub)?,
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub)?,
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(shortest)?,
        HirKind::Alternation(parts) => parts.iter().map(required).collect::<Option<Vec<_>>>()?.concat(),
        _ => return None,
    };
    (set.len() <= GATE_LITERALS_MAX && shortest(&set) >= Some(GATE_LITERAL_MIN)).then_some(set)
}

fn compile(pattern: &str) -> Result<Regex, QueryError> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| QueryError::Invalid(format!("the pattern cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_words_end() {
        let phrase = |text: &str| TextMatch::Phrase(text.to_owned());
        for (text, line, want) in [
            (phrase("error"), "an ERROR here", true),
            (phrase("error"), "errors", false),
            (phrase("error"), "errors and error", true),
            (phrase("error"), "my_error", false),
            (phrase("10.0.0.1"), "from 10.0.0.12 port", false),
            (phrase("10.0.0.1"), "from 10.0.0.1: port", true),
            (phrase("[ok]"), "x[ok]y", true),
            (phrase("caf\u{e9}"), "un caf\u{e9}!", true),
            (TextMatch::Prefix("fail".into()), "it failed", true),
            (TextMatch::Prefix("fail".into()), "unfail", false),
            (TextMatch::Substring("fail".into()), "unFAILed", true),
            (TextMatch::Regex("^a.c$".into()), "abc", true),
            (TextMatch::Regex("^a.c$".into()), "xabc", false),
            (TextMatch::Regex("a|c".into()), "xxc", true),
            (TextMatch::Regex("(?x) c b # comment".into()), "acb", true),
            (TextMatch::Regex("(?i)ABC".into()), "xabc", true),
        ] {
            assert_eq!(
                TextMatcher::new(&text).unwrap().is_match(line.as_bytes()),
                want,
                "{text:?} in {line}"
            );
        }
    }

    /// Dictionary-coded columns come back from segments with many rows on the same bytes.
    #[test]
    fn patterns_are_found_by_what_they_must_contain() {
        let set = |pattern: &str| {
            let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).unwrap();
            required(&hir)
                .map(|set| set.into_iter().map(|text| String::from_utf8(text).unwrap()).collect::<Vec<_>>())
        };
        for (pattern, want) in [
            ("[0-9]{3} .*(failure|denied)", Some(vec!["failure", "denied"])),
            ("abc.*longer", Some(vec!["longer"])),
            ("(?:abc)+x*", Some(vec!["abc"])),
            ("(?:abc)?x", None),
            ("(abc|.*)", None),
            ("(?i)abc", None),
            ("ab", None),
        ] {
            assert_eq!(
                set(pattern),
                want.map(|want| want.into_iter().map(str::to_owned).collect()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn repeated_values_all_match() {
        let values: StringViewArray =
            ["a value that is long", "another needle value", "short"].into_iter().map(Some).collect();
        let rows: Vec<u32> =
            (0..3_000).map(|row| if row == 7 || row % 900 == 0 { 1 } else { row % 2 * 2 }).collect();
        let indices = arrow::array::UInt32Array::from(rows.clone());
        let repeated = arrow::compute::take(&values, &indices, None).unwrap();
        let matcher = TextMatcher::new(&TextMatch::Substring("needle".into())).unwrap();
        let found = matcher.matches(repeated.as_any().downcast_ref().unwrap());
        for (row, value) in rows.iter().enumerate() {
            assert_eq!(found.value(row), *value == 1, "row {row}");
        }
    }

    #[test]
    fn runs_give_the_same_as_texts_one_by_one() {
        let lines: Vec<Option<String>> = (0..500)
            .map(|row| match row % 7 {
                0 => None,
                1 => Some("short".to_owned()),
                2 if row % 3 == 0 => Some(format!("a longer line with the needle-{row} in it")),
                3 => Some(String::new()),
                _ => Some(format!("just some line that is long enough to be kept outside {row}")),
            })
            .collect();
        let array: StringViewArray = lines.iter().map(Option::as_deref).collect();
        for text in [
            "needle",
            "short",
            "long enough",
            "e",
            "nothing",
            "lon?g .*(needle|outside)",
            "^just.*5$",
            "n.*x",
        ] {
            for text in [
                TextMatch::Phrase(text.into()),
                TextMatch::Regex(text.into()),
                TextMatch::Substring(text.into()),
            ] {
                let matcher = TextMatcher::new(&text).unwrap();
                let got = matcher.matches(&array);
                for (row, line) in lines.iter().enumerate() {
                    let want = line.as_ref().is_some_and(|line| matcher.is_match(line.as_bytes()));
                    assert_eq!(got.value(row), want, "{text:?} in {line:?}");
                }
            }
        }
    }
}
