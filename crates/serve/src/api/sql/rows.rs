//! Rows of an SQL answer, written as they come and bounded in number and bytes.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::Value;
use taffrail_store::engine::SqlSink;

use crate::api::SqlColumn;
use crate::api::sql::cell::{Cell, json_text};

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// One object with columns and rows.
    Json,
    /// An object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
}

/// Takes rows and writes them.
pub(crate) struct Rows {
    format: Format,
    rows_left: usize,
    bytes_most: usize,
    columns: Vec<SqlColumn>,
    /// The rows so far, in their format.
    out: Vec<u8>,
    truncated: bool,
}

impl Rows {
    pub(crate) fn new(format: Format, rows_most: usize, bytes_most: usize) -> Self {
        Self {
            format,
            rows_left: rows_most,
            bytes_most,
            columns: Vec::new(),
            out: Vec::new(),
            truncated: false,
        }
    }

    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// The body of the answer.
    pub(crate) fn into_answer(self, elapsed_ms: f64) -> Vec<u8> {
        if self.format != Format::Json {
            return self.out;
        }
        // Plain structs of text: their JSON cannot fail.
        let mut body = br#"{"columns":"#.to_vec();
        body.extend(serde_json::to_vec(&self.columns).unwrap_or_default());
        body.extend_from_slice(br#","rows":["#);
        body.extend_from_slice(&self.out);
        let (truncated, elapsed) = (self.truncated, Value::from(elapsed_ms));
        body.extend(format!(r#"],"truncated":{truncated},"elapsed_ms":{elapsed}}}"#).bytes());
        body
    }

    fn row(&mut self, cells: &[Cell]) {
        match self.format {
            Format::Json => {
                self.out.extend_from_slice(if self.out.is_empty() { b"[" } else { b",[" });
                for (index, cell) in cells.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    cell.write_json(&mut self.out);
                }
                self.out.push(b']');
            }
            Format::Ndjson => {
                for (index, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
                    self.out.push(if index == 0 { b'{' } else { b',' });
                    self.out.extend(json_text(&column.name));
                    self.out.push(b':');
                    cell.write_json(&mut self.out);
                }
                self.out.extend_from_slice(if cells.is_empty() { b"{}\n" } else { b"}\n" });
            }
            Format::Csv => {
                let texts: Vec<&str> = cells.iter().map(Cell::text).collect();
                csv_line(&texts, &mut self.out);
            }
        }
    }
}

impl SqlSink for Rows {
    fn schema(&mut self, schema: &SchemaRef) -> ControlFlow<()> {
        let column = |field: &arrow::datatypes::FieldRef| SqlColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
        };
        self.columns = schema.fields().iter().map(column).collect();
        if self.format == Format::Csv {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            csv_line(&names, &mut self.out);
        }
        ControlFlow::Continue(())
    }

    fn rows(&mut self, batch: &RecordBatch) -> ControlFlow<()> {
        for row in 0..batch.num_rows() {
            if self.rows_left == 0 {
                self.truncated = true;
                return ControlFlow::Break(());
            }
            let end = self.out.len();
            let cells: Vec<Cell> = batch.columns().iter().map(|column| Cell::read(column, row)).collect();
            self.row(&cells);
            if self.out.len() > self.bytes_most {
                self.out.truncate(end);
                self.truncated = true;
                return ControlFlow::Break(());
            }
            self.rows_left -= 1;
        }
        ControlFlow::Continue(())
    }
}

/// One line of RFC 4180; ends with a line feed alone, as `text/csv` readers on Unix expect.
fn csv_line(texts: &[&str], out: &mut Vec<u8>) {
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if text.contains(['"', ',', '\n', '\r']) {
            out.push(b'"');
            out.extend(text.replace('"', "\"\"").bytes());
            out.push(b'"');
        } else {
            out.extend(text.bytes());
        }
    }
    out.push(b'\n');
}
