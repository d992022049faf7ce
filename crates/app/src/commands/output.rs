//! Records on stdout: the same whether the daemon answered or the store was read here.

use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

use taffrail_serve::api::Record;

use crate::exit::UsageError;
use crate::terminal::{Terminal, escape, escape_json, escape_lines};

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// `2026-11-01 00:00:00.006 ERROR web-06 sshd: message`
    Line,
    /// The original line.
    Raw,
    /// One JSON object a line.
    Json,
}

/// Writes records to stdout.
pub(crate) struct RecordWriter<W: Write> {
    out: W,
    style: Style,
    terminal: Terminal,
}

impl RecordWriter<BufWriter<StdoutLock<'static>>> {
    /// A buffered writer on stdout.
    pub(crate) fn on_stdout(style: Style, terminal: Terminal) -> Self {
        Self::new(BufWriter::new(io::stdout().lock()), style, terminal)
    }
}

impl<W: Write> RecordWriter<W> {
    /// A writer on `out`.
    pub(crate) fn new(out: W, style: Style, terminal: Terminal) -> Self {
        Self { out, style, terminal }
    }

    /// Writes one record.
    pub(crate) fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let line = match self.style {
            Style::Line => self.line(record),
            Style::Raw => self.for_terminal(record.raw.as_deref().unwrap_or_default(), escape_lines),
            Style::Json => self.for_terminal(&serde_json::to_string(record)?, escape_json),
        };
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    /// Hands over what is buffered.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    fn for_terminal(&self, text: &str, escape: fn(&str) -> Cow<'_, str>) -> String {
        if self.terminal.stdout { escape(text).into_owned() } else { text.to_owned() }
    }

    fn line(&self, record: &Record) -> String {
        let time =
            if self.terminal.stdout { local_time(&record.timestamp) } else { record.timestamp.clone() };
        let severity = self.terminal.severity(&record.severity, &format!("{:<8}", record.severity));
        let names = [&record.node, &record.service].map(|name| escape(name));
        let names =
            names.iter().filter(|name| !name.is_empty()).map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let colon = if names.is_empty() { "" } else { ": " };
        let body =
            if self.terminal.stdout { indented(&record.body) } else { escape(&record.body).into_owned() };
        format!("{} {severity} {names}{colon}{body}", self.terminal.faint(&time))
    }
}

/// A message of several lines, all but the first of which cannot be taken for a record.
fn indented(body: &str) -> String {
    let lines: Vec<_> =
        body.split('\n').map(|line| escape(line.strip_suffix('\r').unwrap_or(line))).collect();
    lines.join("\n    ")
}

/// The local clock's reading of an RFC 3339 time, to the millisecond; anything else stays as it is.
fn local_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => {
            moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
        }
        Err(_) => escape(text).into_owned(),
    }
}

/// An error in a search expression with a caret under its place.
pub(crate) fn syntax_error(expression: &str, position: usize, message: &str) -> UsageError {
    let before =
        String::from_utf8_lossy(&expression.as_bytes()[..position.min(expression.len())]).into_owned();
    // Tabs would put the caret anywhere.
    let shown = escape(expression).replace('\t', " ");
    let blanks = " ".repeat(escape(&before).chars().count());
    UsageError(format!("{message}\n  {shown}\n  {blanks}^"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_record::{Severity, Timestamp};
    use taffrail_store::hit::{AttributeValue, Hit};

    fn hit() -> Hit {
        Hit {
            timestamp: Timestamp(1_793_491_200_006_000_000),
            observed: Timestamp(-1),
            severity: Severity::ERROR,
            node: "web-06".into(),
            source: "/a.log".into(),
            offset: 7,
            service: "sshd".into(),
            body: "bad\x1b[2J\nsecond".into(),
            attributes: vec![
                ("ip".into(), AttributeValue::Text("::1".into())),
                ("pid".into(), AttributeValue::Integer(4)),
            ],
            layout: String::new(),
            raw: Some(b"r\xffw\x1b".to_vec()),
        }
    }

    fn write(style: Style, stdout: bool, color: bool) -> String {
        let terminal = Terminal { stdout, color, hints: false, notes: false };
        let mut writer = RecordWriter::new(Vec::new(), style, terminal);
        writer.write(&Record::from_hit(&hit(), style == Style::Raw)).unwrap();
        String::from_utf8(writer.out).unwrap()
    }

    #[test]
    fn lines_are_single_and_harmless() {
        let text = write(Style::Line, false, false);
        assert_eq!(text, "2026-11-01T00:00:00.006000000Z ERROR    web-06 sshd: bad␛[2J␊second\n");
        let text = write(Style::Line, true, true);
        assert!(text.contains("\x1b[1;31mERROR   \x1b[0m web-06 sshd: bad␛[2J\n    second\n"), "{text}");
        assert!(!text.contains('T'), "{text}");
    }

    #[test]
    fn raw_lines_are_exact_in_a_pipe_only() {
        assert_eq!(write(Style::Raw, false, false), "r\u{fffd}w\x1b\n");
        assert_eq!(write(Style::Raw, true, false), "r\u{fffd}w␛\n");
    }

    #[test]
    fn json_has_the_names_of_the_api_and_reads_back() {
        let text = write(Style::Json, false, false);
        let want = "{\"timestamp\":\"2026-11-01T00:00:00.006000000Z\",\
            \"observed_timestamp\":\"1969-12-31T23:59:59.999999999Z\",\"severity\":\"ERROR\",\"node\":\"web-06\",\
            \"source\":\"/a.log\",\"offset\":7,\"service\":\"sshd\",\"body\":\"bad\\u001b[2J\\nsecond\",\
            \"attributes\":{\"ip\":\"::1\",\"pid\":4}}\n";
        assert_eq!(text, want);
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Record::from_hit(&hit(), false));
    }

    #[test]
    fn the_caret_stands_under_the_mistake() {
        for (expression, position, want) in [
            ("error \"abc", 6, "no end\n  error \"abc\n        ^"),
            ("ü (", 3, "no end\n  ü (\n    ^"),
            ("x", 99, "no end\n  x\n   ^"),
        ] {
            assert_eq!(syntax_error(expression, position, "no end").0, want);
        }
    }
}
