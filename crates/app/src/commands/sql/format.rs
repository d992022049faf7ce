//! Rows of an SQL result as a table, JSON lines or CSV.

use std::borrow::Cow;
use std::io::Write;

use serde_json::Value;

use crate::cli::SqlFormat;
use crate::terminal::{Terminal, escape, escape_json, escape_lines};

/// Characters of one cell of a table on a terminal.
const CELL_CHARS_MAX: usize = 120;

/// Writes rows.
pub(super) struct RowWriter<W: Write> {
    out: W,
    format: SqlFormat,
    terminal: Terminal,
    columns: Vec<String>,
    /// The cells of a table, written at the end, when all widths are known.
    table: Vec<Vec<Cell>>,
}

struct Cell {
    text: String,
    is_number: bool,
}

impl<W: Write> RowWriter<W> {
    /// A writer on `out`.
    pub(super) fn new(out: W, format: SqlFormat, terminal: Terminal) -> Self {
        Self { out, format, terminal, columns: Vec::new(), table: Vec::new() }
    }

    /// Takes the columns; called once, before any row.
    pub(super) fn columns(&mut self, names: Vec<String>) -> anyhow::Result<()> {
        self.columns = names;
        if self.format == SqlFormat::Csv {
            let names: Vec<_> = self.columns.iter().map(|name| csv_text(name)).collect();
            self.line(&names.join(","))?;
        }
        Ok(())
    }

    /// Takes one row.
    pub(super) fn row(&mut self, row: &[Value]) -> anyhow::Result<()> {
        match self.format {
            SqlFormat::Table => self.table.push(row.iter().map(|value| self.cell(value)).collect()),
            SqlFormat::Json => {
                let line = self.object(row)?;
                let line = if self.terminal.stdout { escape_json(&line) } else { Cow::from(&line) };
                self.line(&line)?;
            }
            SqlFormat::Csv => {
                let line = row.iter().map(csv).collect::<Vec<_>>().join(",");
                let line = if self.terminal.stdout { escape_lines(&line) } else { Cow::from(&line) };
                self.line(&line)?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if self.format == SqlFormat::Table && !self.columns.is_empty() {
            self.write_table()?;
        }
        Ok(self.out.flush()?)
    }

    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Members in the order of the columns, which a map would not keep.
    fn object(&self, row: &[Value]) -> anyhow::Result<String> {
        let mut line = String::from("{");
        for (index, (name, value)) in self.columns.iter().zip(row).enumerate() {
            if index > 0 {
                line.push(',');
            }
            line += &serde_json::to_string(name)?;
            line.push(':');
            line += &serde_json::to_string(value)?;
        }
        line.push('}');
        Ok(line)
    }

    fn cell(&self, value: &Value) -> Cell {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => escape(text).into_owned(),
            other => escape(&other.to_string()).into_owned(),
        };
        let text = text.replace('\t', " ");
        let cut = self.terminal.stdout.then(|| text.char_indices().nth(CELL_CHARS_MAX)).flatten();
        let text = cut.map_or_else(|| text.clone(), |(end, _)| format!("{}…", &text[..end]));
        Cell { text, is_number: value.is_number() }
    }

    fn write_table(&mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.columns.iter().map(|name| escape(name).replace('\t', " ")).collect();
        let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
        for (row, column) in self.table.iter().flat_map(|row| row.iter().zip(0..)) {
            widths[column] = widths[column].max(row.text.chars().count());
        }
        let heads: Vec<String> =
            names.iter().zip(&widths).map(|(name, width)| format!("{name:width$}")).collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        self.line(heads.join("  ").trim_end())?;
        self.line(&rule.join("  "))?;
        for row in std::mem::take(&mut self.table) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| match cell.is_number {
                true => format!("{:>width$}", cell.text),
                false => format!("{:width$}", cell.text),
            });
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A field of CSV: null is empty, the empty text is `""`.
fn csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => csv_text(text),
        other => csv_text(&other.to_string()),
    }
}

fn csv_text(text: &str) -> String {
    let edge_blank = text.starts_with(' ') || text.ends_with(' ');
    if edge_blank || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
