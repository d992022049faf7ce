//! What a stream shows of its files: `filters`, as later LogWisps have them, `min_severity` and `query`.

use taffrail_record::Severity;
use taffrail_serve::streams::{Rule, SelectionConfig};
use toml::{Table, Value};

use super::Reader;

/// The keys of a filter.
const MEMBERS: [&str; 3] = ["type", "logic", "patterns"];

impl Reader<'_> {
    /// What is shown.
    pub(super) fn selection(&mut self, table: &Table) -> SelectionConfig {
        let count = match self.value(table, "filters") {
            None => 0,
            Some(Value::Array(list)) => list.len(),
            Some(_) => {
                self.wrong("filters", "a list of tables is wanted; write [[streams.filters]]");
                0
            }
        };
        let rules = (0..count).map(|number| self.rule(table, number)).collect();
        let query = self.text(table, "query");
        let least = match self.text(table, "min_severity").as_str() {
            "" => None,
            text => {
                let severity = Severity::from_text(text.as_bytes());
                if severity.is_none() {
                    self.wrong("min_severity", &format!("`{text}` is no severity; \"warning\" is one"));
                }
                severity
            }
        };
        let least = least.map(|least| format!("severity>={}", least.name().to_ascii_lowercase()));
        let query = match (least, query.trim()) {
            (None, query) => query.to_owned(),
            (Some(least), "") => least,
            (Some(least), query) => format!("{least} ({query})"),
        };
        if let Err(error) = taffrail_query::parse(&query) {
            self.wrong("query", &error.to_string());
        }
        SelectionConfig { rules, query }
    }

    fn rule(&mut self, table: &Table, number: usize) -> Rule {
        let key = |member: &str| format!("filters.{number}.{member}");
        let members = self.value(table, &format!("filters.{number}"));
        // What is misspelt would let through what is to be left out.
        let names = members.as_ref().and_then(Value::as_table).into_iter().flat_map(Table::keys);
        for name in names.filter(|name| !MEMBERS.contains(&name.as_str())) {
            self.wrong(&key(name), "is unknown; \"type\", \"logic\" and \"patterns\" are possible");
        }
        let excludes = self.choice(table, &key("type"), ["include", "exclude"]);
        let all = self.choice(table, &key("logic"), ["or", "and"]);
        let problems = self.problems.len();
        let rule = Rule { patterns: self.texts(table, &key("patterns")), excludes, all };
        if rule.patterns.is_empty() && self.problems.len() == problems {
            self.wrong(&key("patterns"), "a list of regular expressions is wanted");
        }
        if let Err(error) = rule.check() {
            self.wrong(&key("patterns"), &error);
        }
        rule
    }

    /// Whether the second of two words stands there; the first where none does.
    fn choice(&mut self, table: &Table, key: &str, [first, second]: [&str; 2]) -> bool {
        let said = self.text(table, key);
        if !said.is_empty() && said != first && said != second {
            self.wrong(key, &format!("`{said}` is unknown; \"{first}\" or \"{second}\" is possible"));
        }
        said == second
    }
}
