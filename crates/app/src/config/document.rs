//! The config file: from TOML text into a [`Config`], with every problem and its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, de};

use super::key::{self, Key, Target};
use super::problem::{Problem, suggestion};
use super::value::Value;
use super::{Config, FormatText, SourceConfig, StreamTable};

/// Lists of tables.
const LISTS: [&str; 3] = ["source", "format", "streams"];

/// Puts what `text` says into `config`; what is wrong goes to `problems` and changes nothing.
/// `only_streams`: keys and tables that are not LogWisp's are passed over, as it does.
pub(crate) fn apply(
    path: &Path,
    text: &str,
    only_streams: bool,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { path, text, only_streams, bad_lines: Vec::new(), problems: Vec::new() };
    for error in &errors {
        reader.syntax(error);
    }
    reader.top(document.get_ref(), config);
    let mut found = reader.problems;
    found.sort_by_key(|(line, _)| *line);
    problems.extend(found.into_iter().map(|(_, problem)| problem));
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    only_streams: bool,
    /// Lines with wrong TOML: what was recovered from them is not judged again.
    bad_lines: Vec<usize>,
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn line(&self, position: usize) -> usize {
        let before = &self.text.as_bytes()[..position.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn report(&mut self, line: usize, message: String) {
        let place = format!("{}:{line}", self.path.display());
        self.problems.push((line, Problem::new(place, message)));
    }

    fn syntax(&mut self, error: &de::Error) {
        let span = error.span().unwrap_or_default();
        let line = self.line(span.start);
        let word = self.text.get(span).unwrap_or_default().trim();
        let message = if error.message().contains("duplicate key") {
            format!("`{word}` is set twice; keep one of them")
        } else {
            format!("this is no TOML: {}", error.message().replace('\n', ", "))
        };
        // One broken value makes the parser stumble several times; the first says it best.
        if !self.bad_lines.contains(&line) {
            self.bad_lines.push(line);
            self.report(line, message);
        }
    }

    fn top(&mut self, document: &DeTable<'_>, config: &mut Config) {
        for (name, value) in document {
            let line = self.line(name.span().start);
            match (name.get_ref().as_ref(), value.get_ref()) {
                _ if self.bad_lines.contains(&line) => {}
                ("source", DeValue::Array(list)) => self.sources(list, config),
                ("format", DeValue::Array(list)) => self.formats(list, config),
                ("streams", DeValue::Array(list)) => self.streams(list, config),
                ("streams", _) => {
                    self.report(line, "`streams` is a list of tables; write [[streams]]".to_owned())
                }
                ("monitor", DeValue::Table(_)) => config.stream_tables.monitor = self.monitor(line),
                _ if self.only_streams => {}
                ("format", _) => {
                    self.report(line, "`format` is a list of tables; write [[format]]".to_owned())
                }
                ("source", _) => {
                    self.report(line, "`source` is a list of tables; write [[source]]".to_owned())
                }
                (name, DeValue::Array(_)) if suggestion(name, LISTS.into_iter()).is_some() => {
                    let known = suggestion(name, LISTS.into_iter()).unwrap_or_default();
                    self.report(line, format!("unknown list `[[{name}]]`: did you mean `[[{known}]]`?"));
                }
                (table, DeValue::Table(members)) if key::tables().any(|known| known == table) => {
                    for (member, value) in members {
                        let line = self.line(member.span().start);
                        self.set(&format!("{table}.{}", member.get_ref()), line, value, config);
                    }
                }
                (table, value) if key::tables().any(|known| known == table) => {
                    let kind = value.type_str();
                    self.report(
                        line,
                        format!("`{table}` is a table, not {kind}; write [{table}] on a line of its own"),
                    );
                }
                (table, DeValue::Table(members)) => self.unknown_table(table, members, line),
                (name, _) => self.set(name, line, value, config),
            }
        }
    }

    fn set(&mut self, name: &str, line: usize, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        if self.bad_lines.contains(&line) {
            return;
        }
        let Some(Key { target: Target::Config(set), .. }) = key::find(name) else {
            return self.unknown(name, line);
        };
        let set = Value::from_toml(value.get_ref()).and_then(|value| set(config, &value));
        if let Err(message) = set {
            self.report(line, format!("`{name}`: {message}"));
        }
    }

    /// LogWisp's default for its streams.
    fn monitor(&self, line: usize) -> Option<StreamTable> {
        let again: toml::Table = toml::from_str(self.text).unwrap_or_default();
        let table = again.get("monitor").and_then(toml::Value::as_table)?.clone();
        Some(StreamTable { place: format!("{}:{line}", self.path.display()), table })
    }

    /// Formats of one's own, each as the text that a file of its own would have.
    fn formats(&mut self, list: &de::DeArray<'_>, config: &mut Config) {
        let again: toml::Table = toml::from_str(self.text).unwrap_or_default();
        let tables = again.get("format").and_then(toml::Value::as_array);
        for (item, table) in list.iter().zip(tables.into_iter().flatten()) {
            let line = self.line(item.span().start);
            match toml::to_string(table) {
                Ok(text) => {
                    let place = format!("{}:{line}", self.path.display());
                    config.formats.push(FormatText { place, text });
                }
                Err(error) => self.report(line, format!("`format`: {error}")),
            }
        }
    }

    /// LogWisp's tables, to be read once the environment is known, too.
    fn streams(&mut self, list: &de::DeArray<'_>, config: &mut Config) {
        let again: toml::Table = toml::from_str(self.text).unwrap_or_default();
        let tables = again.get("streams").and_then(toml::Value::as_array);
        for (item, table) in list.iter().zip(tables.into_iter().flatten()) {
            let line = self.line(item.span().start);
            match table {
                toml::Value::Table(table) => {
                    let place = format!("{}:{line}", self.path.display());
                    config.stream_tables.streams.push(StreamTable { place, table: table.clone() });
                }
                _ => self.report(line, "`streams` is a list of tables; write [[streams]]".to_owned()),
            }
        }
    }

    fn sources(&mut self, list: &de::DeArray<'_>, config: &mut Config) {
        for item in list {
            let line = self.line(item.span().start);
            let Some(members) = item.get_ref().as_table() else {
                self.report(line, "`source` is a list of tables; write [[source]]".to_owned());
                continue;
            };
            let before = self.problems.len();
            let mut source = SourceConfig::with_defaults();
            for (member, value) in members {
                self.source_key(member, value, &mut source);
            }
            if let Some(problem) = source.problem().filter(|_| self.problems.len() == before) {
                self.report(line, problem);
            }
            config.sources.push(source);
        }
    }

    fn source_key(
        &mut self,
        member: &Spanned<de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        source: &mut SourceConfig,
    ) {
        let line = self.line(member.span().start);
        if self.bad_lines.contains(&line) {
            return;
        }
        let member = match member.get_ref().as_ref() {
            "paths" => "path",
            member => member,
        };
        let name = format!("source.{member}");
        let Some(Key { target: Target::Source(set), .. }) = key::find(&name) else {
            return self.unknown(&name, line);
        };
        let set = Value::from_toml(value.get_ref()).and_then(|value| set(source, &value));
        if let Err(message) = set {
            self.report(line, format!("`{name}`: {message}"));
        }
    }

    fn unknown(&mut self, name: &str, line: usize) {
        let names = || key::all().map(|key| key.name);
        let same_member = names().find(|known| known.rsplit('.').next() == Some(name));
        let message = match same_member.or_else(|| suggestion(name, names())) {
            Some(known) => format!("unknown key `{name}`: did you mean `{known}`?"),
            None => format!("unknown key `{name}`; docs/config.md lists all keys"),
        };
        self.report(line, message);
    }

    fn unknown_table(&mut self, table: &str, members: &DeTable<'_>, line: usize) {
        if members.is_empty() {
            return self.unknown(table, line);
        }
        for member in members.keys() {
            self.unknown(&format!("{table}.{}", member.get_ref()), self.line(member.span().start));
        }
    }
}
