//! What a filter says about granules without reading them: which words must be there, which severities.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use taffrail_store::filter::{FieldTest, Filter, TextMatch};
use taffrail_store::index::file::Granule;
use taffrail_store::index::word::{self, WORD_MIN};
use taffrail_store::segment::Segment;
use taffrail_store::{Error, Result};

use crate::condition::Condition;

/// A condition on granules. Where it does not hold, no record of the granule meets the filter.
#[derive(Clone, PartialEq, Debug)]
pub enum Prune {
    /// Says nothing.
    Always,
    /// No record at all can match.
    Never,
    /// All must hold.
    All(Vec<Prune>),
    /// One must hold.
    Any(Vec<Prune>),
    /// All these words (by hash) must be there.
    Words(Vec<u64>),
    /// One of these severity numbers (by bit) must be there.
    Severities(u32),
    /// One of these values must occur in the segment's column.
    OneOf(Column, Vec<String>),
}

/// A column whose values the segment's summary lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// `source`
    Source,
    /// `service`
    Service,
    /// `node`
    Node,
}

impl Prune {
    /// What `filter` says.
    pub fn new(filter: &Filter) -> Self {
        match filter {
            Filter::All => Self::Always,
            Filter::And(filters) => Self::all(filters.iter().map(Self::new).collect()),
            Filter::Or(filters) => Self::any(filters.iter().map(Self::new).collect()),
            // A bound on what must be there says nothing about what must not.
            Filter::Not(_) => Self::Always,
            Filter::Text(text) => Self::text(text),
            Filter::Field { name, test } => Self::field(name, test),
        }
    }

    fn field(name: &str, test: &FieldTest) -> Self {
        let column = match name {
            "source" => Some(Column::Source),
            "service" => Some(Column::Service),
            "node" => Some(Column::Node),
            _ => None,
        };
        match (name, test) {
            ("severity", _) => match Condition::new(&Filter::field(name, test.clone())) {
                Ok(Condition::Severities(mask)) => Self::Severities(mask),
                _ => Self::Always,
            },
            (_, FieldTest::Equals(value)) if column.is_some() => {
                column.map_or(Self::Always, |column| Self::OneOf(column, vec![value.clone()]))
            }
            (_, FieldTest::OneOf(values)) if column.is_some() => {
                column.map_or(Self::Always, |column| Self::OneOf(column, values.clone()))
            }
            ("body", FieldTest::Matches(text)) => Self::text(text),
            ("offset" | "source" | "service" | "node", _) => Self::Always,
            (_, FieldTest::Equals(value)) => Self::value(value),
            (_, FieldTest::OneOf(values)) => {
                Self::any(values.iter().map(|value| Self::value(value)).collect())
            }
            (_, FieldTest::Matches(text)) => Self::text(text),
            _ => Self::Always,
        }
    }

    /// A whole value of an attribute. Numbers may stand in a column of numbers, which is not indexed.
    fn value(value: &str) -> Self {
        match value.parse::<i64>() {
            Ok(_) => Self::Always,
            Err(_) => Self::text(&TextMatch::Phrase(value.to_owned())),
        }
    }

    fn text(text: &TextMatch) -> Self {
        match text {
            TextMatch::Phrase(text) => Self::words(text.as_bytes(), true, true),
            TextMatch::Prefix(text) => Self::words(text.as_bytes(), true, false),
            TextMatch::Substring(text) => Self::words(text.as_bytes(), false, false),
            TextMatch::Regex(pattern) => {
                let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
                hir.map_or(Self::Always, |hir| of_pattern(&hir))
            }
        }
    }

    /// The words that lie whole inside of `text`; at an open end the text may go on.
    fn words(text: &[u8], closed_start: bool, closed_end: bool) -> Self {
        let hashes: Vec<u64> = word::split(text)
            .filter(|range| (closed_start || range.start > 0) && (closed_end || range.end < text.len()))
            .filter(|range| range.len() >= WORD_MIN)
            .map(|range| word::hash(&text[range]))
            .collect();
        if hashes.is_empty() { Self::Always } else { Self::Words(hashes) }
    }

    fn all(parts: Vec<Self>) -> Self {
        let mut kept: Vec<Self> = parts.into_iter().filter(|part| *part != Self::Always).collect();
        match kept.len() {
            0 => Self::Always,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    fn any(parts: Vec<Self>) -> Self {
        match parts.is_empty() {
            true => Self::Never,
            false if parts.contains(&Self::Always) => Self::Always,
            false => Self::Any(parts),
        }
    }

    /// Whether any record of the segment can match, by its summary.
    pub fn segment(&self, segment: &Segment) -> bool {
        let summary = &segment.index.footer.summary;
        match self {
            Self::Never => false,
            Self::Always | Self::Words(_) | Self::Severities(_) => true,
            Self::All(parts) => parts.iter().all(|part| part.segment(segment)),
            Self::Any(parts) => parts.iter().any(|part| part.segment(segment)),
            Self::OneOf(column, values) => {
                // The empty name counts what the summary had no room for.
                let listed = |known: &str| {
                    known.is_empty() || values.iter().any(|value| value.eq_ignore_ascii_case(known))
                };
                match column {
                    Column::Source => summary.groups.iter().any(|group| listed(&group.1)),
                    Column::Service => summary.groups.iter().any(|group| listed(&group.2)),
                    Column::Node => summary.nodes.keys().any(|node| listed(node)),
                }
            }
        }
    }

    /// Which granules of a row group can have a match.
    pub fn granules(&self, segment: &Segment, row_group: usize, granules: &[Granule]) -> Result<Vec<bool>> {
        Ok(match self {
            Self::Always | Self::OneOf(..) => vec![true; granules.len()],
            Self::Never => vec![false; granules.len()],
            Self::Severities(mask) => granules.iter().map(|granule| granule.severities & mask != 0).collect(),
            Self::Words(hashes) => segment.index.granules_with(row_group, hashes).map_err(Error::from)?,
            Self::All(parts) => {
                combine(parts, true, |part| part.granules(segment, row_group, granules), granules)?
            }
            Self::Any(parts) => {
                combine(parts, false, |part| part.granules(segment, row_group, granules), granules)?
            }
        })
    }
}

fn combine(
    parts: &[Prune],
    all: bool,
    ask: impl Fn(&Prune) -> Result<Vec<bool>>,
    granules: &[Granule],
) -> Result<Vec<bool>> {
    let mut sum = vec![all; granules.len()];
    for part in parts {
        for (sum, possible) in sum.iter_mut().zip(ask(part)?) {
            *sum = if all { *sum & possible } else { *sum | possible };
        }
    }
    Ok(sum)
}

/// The words that every match of a pattern contains whole.
fn of_pattern(hir: &Hir) -> Prune {
    let mut sequence = Sequence::default();
    sequence.push(hir);
    sequence.finish()
}

/// A pattern as a row of literal runs; what is not literal ends a run.
#[derive(Default)]
struct Sequence {
    run: Vec<u8>,
    /// Whether the run's start is a place where no word can go on to the left.
    closed_start: bool,
    found: Vec<Prune>,
}

impl Sequence {
    fn push(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.run.extend_from_slice(&literal.0),
            HirKind::Class(class) => match letter_of_both_cases(class) {
                Some(letter) => self.run.push(letter),
                None => self.end_run(false),
            },
            HirKind::Look(look) => self.end_run(is_word_edge(*look)),
            HirKind::Capture(capture) => self.push(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.push(part)),
            HirKind::Repetition(repetition) => {
                self.end_run(false);
                if repetition.min > 0 {
                    self.found.push(of_pattern(&repetition.sub));
                }
            }
            HirKind::Alternation(parts) => {
                self.end_run(false);
                self.found.push(Prune::any(parts.iter().map(of_pattern).collect()));
            }
        }
    }

    /// Ends the run; `closed` if no word goes on over this place.
    fn end_run(&mut self, closed: bool) {
        let run = std::mem::take(&mut self.run);
        self.found.push(Prune::words(&run, self.closed_start, closed));
        self.closed_start = closed;
    }

    fn finish(mut self) -> Prune {
        self.end_run(false);
        Prune::all(self.found)
    }
}

fn is_word_edge(look: Look) -> bool {
    // Unicode's word edges are no edges of ours where a word has letters above ASCII.
    matches!(look, Look::Start | Look::End | Look::WordAscii)
}

/// The letter in lower case, if the class is one letter in both cases, as `(?i)` makes it.
fn letter_of_both_cases(class: &Class) -> Option<u8> {
    let literal = |low: u32, high: u32| {
        let lower = u8::try_from(high).ok().filter(u8::is_ascii_lowercase)?;
        (u32::from(lower.to_ascii_uppercase()) == low).then_some(lower)
    };
    match class {
        Class::Unicode(class) => match class.ranges() {
            [low, high] if low.start() == low.end() && high.start() == high.end() => {
                literal(low.start() as u32, high.start() as u32)
            }
            _ => None,
        },
        Class::Bytes(class) => match class.ranges() {
            [low, high] if low.start() == low.end() && high.start() == high.end() => {
                literal(u32::from(low.start()), u32::from(high.start()))
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Prune {
        Prune::Words(texts.iter().map(|text| word::hash(text.as_bytes())).collect())
    }

    #[test]
    fn only_whole_words_are_required() {
        let prune = |expression: &str| Prune::new(&crate::grammar::parse(expression).unwrap());
        for (expression, want) in [
            ("needle-5f1c9e77a2", words(&["needle", "5f1c9e77a2"])),
            ("Fail*", Prune::Always),
            ("\"login fail\"", words(&["login", "fail"])),
            ("/user login fail/", words(&["login"])),
            ("/password for .* from/", words(&["for"])),
            ("/^Failed password/", words(&["failed"])),
            ("/(?i)a failed login/", words(&["failed"])),
            ("/x (one|two) y/", Prune::Always),
            ("/ (one |two )y/", Prune::Always),
            ("/( one | two )+/", Prune::Any(vec![words(&["one"]), words(&["two"])])),
            ("/( one )?/", Prune::Always),
            ("-needle", Prune::Always),
            ("needle OR /x/", Prune::Always),
            ("needle OR pin", Prune::Any(vec![words(&["needle"]), words(&["pin"])])),
            ("service:sshd", Prune::OneOf(Column::Service, vec!["sshd".to_owned()])),
            ("status:500", Prune::Always),
            ("user:root", words(&["root"])),
        ] {
            assert_eq!(prune(expression), want, "{expression}");
        }
    }
}
