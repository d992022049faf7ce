//! `taffrail sql`: one read-only statement, its rows as a table, JSON or CSV.

mod format;

use std::io::{self, BufWriter, Read, Write};
use std::ops::ControlFlow;

use anyhow::{Context, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::Value;
use taffrail_serve::api::{SqlAnswer, sql_value};
use taffrail_store::engine::{Control, Engine, SqlSink};

use crate::cli::{SqlArgs, SqlFormat};
use crate::client::Client;
use crate::config::Config;
use crate::exit::{Outcome, UsageError};
use crate::store_access::{self, Backend};
use crate::terminal::Terminal;
use format::RowWriter;

/// Rows of a table; more are for programs.
const TABLE_ROWS_MAX: usize = 1_000;
/// Rows of JSON and CSV.
const ROWS_MAX: usize = 1_000_000;

/// Runs the command.
pub(crate) fn run(args: &SqlArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let statement = statement(&args.statement)?;
    let rows_max = if args.format == SqlFormat::Table { TABLE_ROWS_MAX } else { ROWS_MAX };
    let out = BufWriter::new(io::stdout().lock());
    let mut writer = RowWriter::new(out, args.format, terminal);
    let answer = match store_access::open(&config.data_dir)? {
        Backend::Daemon(client) => from_daemon(&client, &statement, rows_max, &mut writer)?,
        Backend::Local(engine) => from_engine(
            &*engine,
            &statement,
            rows_max,
            &Control::with_limit(config.query.timeout),
            &mut writer,
        )?,
    };
    writer.finish()?;
    if answer.truncated && args.format == SqlFormat::Table {
        terminal.note(&format!(
            "only the first {} rows are shown; --format csv or json writes more",
            answer.rows
        ));
    } else if answer.truncated {
        bail!(
            "the result is larger than an answer may be and was cut after {} rows; add LIMIT, or group",
            answer.rows
        );
    }
    Ok(Outcome::found(answer.rows > 0))
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Answer {
    rows: usize,
    truncated: bool,
}

fn statement(argument: &str) -> anyhow::Result<String> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        io::stdin()
            .lock()
            .take(1 << 20)
            .read_to_string(&mut text)
            .context("read the statement from stdin")?;
    }
    if text.trim().is_empty() {
        return Err(
            UsageError("there is no statement; write one as 'SELECT count(*) FROM logs'".to_owned()).into()
        );
    }
    Ok(text)
}

fn from_daemon(
    client: &Client,
    statement: &str,
    rows_max: usize,
    writer: &mut RowWriter<impl Write>,
) -> anyhow::Result<Answer> {
    let rows_max = rows_max.to_string();
    let parameters = [("format", "json"), ("max_rows", rows_max.as_str())];
    let body = serde_json::json!({ "query": statement });
    let answer: SqlAnswer = client.post("/api/v1/sql", &parameters, &body)?;
    writer.columns(answer.columns.into_iter().map(|column| column.name).collect())?;
    for row in &answer.rows {
        writer.row(row)?;
    }
    Ok(Answer { rows: answer.rows.len(), truncated: answer.truncated })
}

fn from_engine<W: Write>(
    engine: &dyn Engine,
    statement: &str,
    rows_max: usize,
    control: &Control,
    writer: &mut RowWriter<W>,
) -> anyhow::Result<Answer> {
    let mut sink = Sink { writer, rows_max, answer: Answer::default(), failed: None };
    engine.sql(statement, control, &mut sink)?;
    match sink.failed {
        Some(error) => Err(error),
        None => Ok(sink.answer),
    }
}

struct Sink<'a, W: Write> {
    writer: &'a mut RowWriter<W>,
    rows_max: usize,
    answer: Answer,
    failed: Option<anyhow::Error>,
}

impl<W: Write> Sink<'_, W> {
    fn going(&mut self, result: anyhow::Result<()>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl<W: Write> SqlSink for Sink<'_, W> {
    fn schema(&mut self, schema: &SchemaRef) -> ControlFlow<()> {
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        let written = self.writer.columns(names);
        self.going(written)
    }

    fn rows(&mut self, batch: &RecordBatch) -> ControlFlow<()> {
        for index in 0..batch.num_rows() {
            if self.answer.rows == self.rows_max {
                self.answer.truncated = true;
                return ControlFlow::Break(());
            }
            let row: Vec<Value> = batch.columns().iter().map(|column| sql_value(column, index)).collect();
            let written = self.writer.row(&row);
            if self.going(written).is_break() {
                return ControlFlow::Break(());
            }
            self.answer.rows += 1;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
