//! `taffrail explain`: what lines become, and why.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use anyhow::Context as _;
use fs_err as fs;
use serde::Serialize;
use serde_json::{Map, Value};
use taffrail_parse::{Context, Explanation, Joiner, Parser};
use taffrail_record::{AttributeKind, Checkpoint, RawBatch, Timestamp};
use taffrail_serve::api::{parse_time, rfc3339};
use taffrail_source::{Fill, Limits, Reading, Stopped, read_lines};

use super::columns::{width, wrap};
use crate::cli::ExplainArgs;
use crate::clock::now;
use crate::config::{Config, ZoneChoice};
use crate::exit::{Outcome, UsageError};
use crate::pipeline::offset_minutes;
use crate::terminal::{Terminal, escape, escape_json};

/// Columns before a value.
const LABEL: usize = 10;

/// One record of the JSON output.
#[derive(Serialize)]
struct Explained<'a> {
    /// Number of its first raw line, from 1 on.
    line: u64,
    /// Its raw lines.
    lines: u64,
    format: &'a str,
    timestamp: Option<String>,
    timestamp_text: Option<&'a str>,
    year_known: bool,
    zone_known: bool,
    severity: &'a str,
    service: Option<&'a str>,
    host: Option<&'a str>,
    pid: Option<Value>,
    body: &'a str,
    attributes: Map<String, Value>,
}

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let now = now();
    let observed = match &args.now {
        Some(text) => parse_time(text, now).map_err(|message| UsageError(format!("--now: {message}")))?,
        None => now,
    };
    let zone = args.zone.as_deref().map_or(Ok(ZoneChoice::Local), ZoneChoice::from_text);
    let zone = zone.map_err(|message| UsageError(format!("--zone: {message}")))?;
    let offset_minutes = offset_minutes(zone);
    let context = Context { service: String::new(), node: config.node.clone(), offset_minutes };
    let mut explainer = Explainer {
        parser: Parser::new(context),
        observed,
        offset_minutes,
        json: args.json,
        terminal,
        out: BufWriter::new(io::stdout().lock()),
        lines: 0,
    };
    match (&args.file, args.line.as_deref()) {
        (Some(path), _) => explainer.all(fs::File::open(path)?, config.max_line_bytes)?,
        (None, None | Some("-")) => explainer.all(io::stdin(), config.max_line_bytes)?,
        (None, Some(line)) => explainer.all(line.as_bytes(), config.max_line_bytes)?,
    }
    explainer.out.flush()?;
    Ok(Outcome::found(explainer.lines > 0))
}

struct Explainer<W: Write> {
    parser: Parser,
    /// When the lines are read.
    observed: Timestamp,
    offset_minutes: i16,
    json: bool,
    terminal: Terminal,
    out: W,
    lines: u64,
}

impl<W: Write> Explainer<W> {
    fn all(&mut self, mut input: impl Read, max_line_bytes: u64) -> anyhow::Result<()> {
        let limits = Limits {
            max_line_bytes: usize::try_from(max_line_bytes).unwrap_or(usize::MAX),
            multiline: Some(Arc::new(Joiner::default())),
            ..Limits::default()
        };
        let (source, fill) = ("explained".into(), Fill::Available);
        let reading = Reading { source, from: Checkpoint::default(), limits, fill, clock: now };
        let mut written = Ok(());
        let read = read_lines(&mut input, &reading, &mut |batch| {
            let batch = RawBatch { observed: self.observed, ..batch };
            self.parser.detect(&batch);
            self.parser.set_header(batch.header.as_ref());
            for line in &batch.lines {
                let explanation = self.parser.explain(line.span.of(&batch.bytes), self.observed);
                written = self.write(&explanation).context("cannot write");
                self.lines += explanation.lines as u64;
                if written.is_err() {
                    return Err(Stopped);
                }
            }
            Ok(())
        });
        written?;
        read?;
        Ok(())
    }

    fn write(&mut self, explanation: &Explanation) -> anyhow::Result<()> {
        if self.json {
            let line = serde_json::to_string(&explained(explanation, self.lines + 1))?;
            let line = if self.terminal.stdout { escape_json(&line) } else { line.into() };
            writeln!(self.out, "{line}")?;
            return Ok(());
        }
        if self.lines > 0 {
            writeln!(self.out)?;
        }
        for (label, value) in self.told(explanation) {
            let lines = value.split('\n').flat_map(|line| wrap(&escape(line), width(self.terminal) - LABEL));
            for (index, part) in lines.enumerate() {
                let label = if index == 0 { label } else { "" };
                writeln!(self.out, "{}{part}", self.terminal.faint(&format!("{label:<LABEL$}")))?;
            }
        }
        Ok(())
    }

    /// Labels and texts for people.
    fn told(&self, explanation: &Explanation) -> Vec<(&'static str, String)> {
        let severity = explanation.severity.name();
        let guessed =
            if explanation.severity_guessed { ", guessed from the message: no field says it" } else { "" };
        let joined = match explanation.lines {
            1 => String::new(),
            lines => format!(", {lines} lines"),
        };
        let message = explanation.message.map_or(String::new(), |name| format!(", its message {name}"));
        let mut all = vec![("format", format!("{}{message}{joined}", explanation.format))];
        all.extend(self.time(explanation));
        all.push(("severity", format!("{severity}{guessed}")));
        all.extend(explanation.node.clone().map(|node| ("node", node)));
        all.extend(explanation.service.clone().map(|service| ("service", service)));
        all.push(("body", explanation.body.clone()));
        for (position, (name, kind, value)) in explanation.attributes.iter().enumerate() {
            let kind = match kind {
                AttributeKind::Text => "",
                AttributeKind::Integer => " (number)",
                AttributeKind::Json => " (JSON)",
            };
            all.push((if position == 0 { "fields" } else { "" }, format!("{name} = {value}{kind}")));
        }
        all.push((
            "stored as",
            match explanation.layout.as_str() {
                "" => "its fields, and the raw line beside them".to_owned(),
                layout => format!("its fields in `{layout}`"),
            },
        ));
        all
    }

    /// The time, and how it was found.
    fn time(&self, explanation: &Explanation) -> Vec<(&'static str, String)> {
        let (Some(time), Some(text)) = (explanation.timestamp, &explanation.time_text) else {
            return vec![("time", format!("none in the line: that of reading, {}", rfc3339(self.observed)))];
        };
        let mut all = vec![("time", rfc3339(time)), ("", format!("from `{text}`"))];
        if !explanation.year_known {
            all.push(("", "without a year: the one nearest to now".to_owned()));
        }
        if !explanation.zone_known {
            let (sign, minutes) =
                (if self.offset_minutes < 0 { '-' } else { '+' }, self.offset_minutes.abs());
            all.push((
                "",
                format!("without a zone: {sign}{:02}:{:02}, the source's", minutes / 60, minutes % 60),
            ));
        }
        all
    }
}

fn explained(explanation: &Explanation, line: u64) -> Explained<'_> {
    let mut attributes = Map::new();
    for (name, kind, value) in &explanation.attributes {
        attributes.insert(name.clone(), json_of(*kind, value));
    }
    Explained {
        line,
        lines: explanation.lines as u64,
        format: explanation.format,
        timestamp: explanation.timestamp.map(rfc3339),
        timestamp_text: explanation.time_text.as_deref(),
        year_known: explanation.year_known,
        zone_known: explanation.zone_known,
        severity: explanation.severity.name(),
        service: explanation.service.as_deref(),
        host: explanation.node.as_deref(),
        pid: attributes.get("pid").cloned(),
        body: &explanation.body,
        attributes,
    }
}

fn json_of(kind: AttributeKind, value: &str) -> Value {
    let text = || Value::String(value.to_owned());
    match kind {
        AttributeKind::Text => text(),
        AttributeKind::Integer => value.parse::<i64>().map_or_else(|_| text(), Value::from),
        AttributeKind::Json => serde_json::from_str(value).unwrap_or_else(|_| text()),
    }
}
