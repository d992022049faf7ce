//! What a stream shows of its files: `filters`, as later LogWisps have them, `min_severity` and `query`.

use taffrail_record::Severity;
use taffrail_serve::streams::{Rule, SelectionConfig};
use toml::{Table, Value};

use super::Reader;

impl Reader<'_> {
    /// What is shown.
    pub(super) fn selection(&mut self, table: &Table) -> SelectionConfig {
        let listed = self.value(table, "filters");
        let listed = listed.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let rules = listed.iter().enumerate().filter_map(|(number, rule)| self.rule(number, rule)).collect();
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

    fn rule(&mut self, number: usize, rule: &Value) -> Option<Rule> {
        let key = |member: &str| format!("filters[{number}].{member}");
        let Some(rule) = rule.as_table() else {
            self.wrong(&format!("filters[{number}]"), "a table is wanted");
            return None;
        };
        let text = |member: &str| rule.get(member).and_then(Value::as_str).unwrap_or_default();
        let excludes = match text("type") {
            "" | "include" => false,
            "exclude" => true,
            other => {
                self.wrong(
                    &key("type"),
                    &format!("`{other}` is unknown; \"include\" or \"exclude\" is possible"),
                );
                false
            }
        };
        let all = match text("logic") {
            "" | "or" => false,
            "and" => true,
            other => {
                self.wrong(&key("logic"), &format!("`{other}` is unknown; \"or\" or \"and\" is possible"));
                false
            }
        };
        let patterns = rule.get("patterns").and_then(Value::as_array).cloned().unwrap_or_default();
        let patterns: Vec<String> = patterns.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let rule = Rule { patterns, excludes, all };
        if let Err(error) = rule.check() {
            self.wrong(&key("patterns"), &error);
        }
        Some(rule)
    }
}
