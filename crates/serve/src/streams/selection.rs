//! Which records of its files a stream shows: patterns that they must or must not match, and an expression of the search
//! language.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use regex::bytes::{RegexSet, RegexSetBuilder};
use taffrail_store::engine::{Engine, Matcher, QueryError};
use taffrail_store::filter::Filter;

use super::config::{Rule, SelectionConfig};

/// Bytes of memory that the patterns of a rule may take, compiled.
const PATTERNS_BYTES: usize = 4 << 20;

/// What a stream shows, ready to be asked.
pub(super) struct Selection {
    rules: Vec<Compiled>,
    filter: Filter,
    /// Of an expression that not all records match.
    matcher: Option<Arc<dyn Matcher>>,
}

/// Patterns, and what they say.
#[derive(Debug)]
struct Compiled {
    patterns: RegexSet,
    excludes: bool,
    /// Whether all must match, not one.
    all: bool,
}

impl Selection {
    /// Reads patterns and expression.
    ///
    /// # Errors
    /// What is wrong with them; for people.
    pub(super) fn open(config: &SelectionConfig, engine: &dyn Engine) -> Result<Self, String> {
        let rules = config.rules.iter().map(Compiled::new).collect::<Result<_, _>>()?;
        let wrong = |error: QueryError| format!("the expression `{}`: {error}", config.query);
        let filter = engine.parse(&config.query).map_err(wrong)?;
        let matcher = match filter {
            Filter::All => None,
            _ => Some(engine.matcher(&filter).map_err(wrong)?.into()),
        };
        Ok(Self { rules, filter, matcher })
    }

    /// Whether all records are shown.
    pub(super) fn is_all(&self) -> bool {
        self.rules.is_empty() && self.matcher.is_none()
    }

    /// Whether parsed records are needed to tell.
    pub(super) fn needs_records(&self) -> bool {
        self.matcher.is_some()
    }

    /// What the expression means.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the rules let a record through, as it was written.
    pub(super) fn allows(&self, record: &[u8]) -> bool {
        self.rules.iter().all(|rule| rule.allows(record))
    }

    /// The offsets of the records that match the expression; `None`: all do.
    ///
    /// # Errors
    /// Those of the matcher, and records that are missing where it needs them.
    pub(super) fn matching(&self, records: Option<&RecordBatch>) -> Result<Option<HashSet<u64>>, QueryError> {
        let Some(matcher) = &self.matcher else { return Ok(None) };
        let records =
            records.ok_or_else(|| QueryError::Store("the records could not be parsed".to_owned()))?;
        Ok(Some(matcher.matches(records)?.iter().map(|hit| hit.offset).collect()))
    }
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection")
            .field("rules", &self.rules)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, String> {
        Ok(Self { patterns: compiled(&rule.patterns)?, excludes: rule.excludes, all: rule.all })
    }

    fn allows(&self, record: &[u8]) -> bool {
        let fits = match self.all {
            true => self.patterns.matches(record).iter().count() == self.patterns.len(),
            false => self.patterns.is_match(record),
        };
        self.patterns.is_empty() || fits != self.excludes
    }
}

/// Patterns, ready to be matched.
pub(super) fn compiled(patterns: &[String]) -> Result<RegexSet, String> {
    let set = RegexSetBuilder::new(patterns).size_limit(PATTERNS_BYTES).build();
    set.map_err(|error| format!("a pattern of a filter cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_include_and_exclude_by_one_or_all_patterns() {
        let rule = |excludes: bool, all: bool, patterns: &[&str]| Rule {
            excludes,
            all,
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        for (rule, line, want) in [
            (rule(false, false, &["ERR", "WARN"]), "a WARN", true),
            (rule(false, false, &["ERR", "WARN"]), "a note", false),
            (rule(false, true, &["ERR", "disk"]), "ERR: disk", true),
            (rule(false, true, &["ERR", "disk"]), "ERR: net", false),
            (rule(true, false, &["health", "^#"]), "GET /health", false),
            (rule(true, false, &["health", "^#"]), "GET /", true),
            (rule(true, true, &["GET", "health"]), "GET /", true),
            (rule(true, true, &["GET", "health"]), "GET /health", false),
            (rule(false, false, &[]), "anything", true),
            (rule(true, false, &[]), "anything", true),
        ] {
            assert_eq!(Compiled::new(&rule).unwrap().allows(line.as_bytes()), want, "{rule:?} {line}");
        }
        assert!(Compiled::new(&rule(false, false, &["("])).unwrap_err().contains("unclosed group"));
    }
}
