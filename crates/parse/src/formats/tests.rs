//! How formats are checked: a line, what it becomes in one line of text, and its layout.

use std::fmt::Write as _;

use taffrail_record::{AttributeKind, Civil, LogBatch, RawBatch, RawLine, Span, Timestamp};

use crate::{Context, Parser};

/// 2026-11-20T00:00:00Z.
pub(crate) const OBSERVED: Timestamp = Timestamp(1_795_132_800_000_000_000);

pub(crate) fn parser() -> Parser {
    Parser::new(Context { service: "default".into(), node: "here".into(), offset_minutes: 0 })
}

/// A batch of lines, each followed by a newline.
pub(crate) fn raw(lines: &[&[u8]]) -> RawBatch {
    let mut bytes = Vec::new();
    let mut raw_lines = Vec::new();
    for line in lines {
        let start = bytes.len();
        bytes.extend_from_slice(line);
        let span = Span::new(start, bytes.len());
        raw_lines.push(RawLine { span, offset: start as u64, newline: true, joined: line.contains(&b'\n') });
        bytes.push(b'\n');
    }
    RawBatch {
        source: "/var/log/x.log".into(),
        observed: OBSERVED,
        bytes,
        lines: raw_lines,
        header: None,
        gaps: Vec::new(),
        checkpoint: Default::default(),
    }
}

/// `TIME SEVERITY [SERVICE][@NODE] | BODY [| ATTRIBUTES]`, defaults left out.
pub(crate) fn shown(batch: &LogBatch, index: usize) -> String {
    let record = &batch.records()[index];
    let mut out = if record.timestamp == record.observed {
        "observed".to_owned()
    } else {
        let c = Civil::from_timestamp(record.timestamp, 0);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.nanosecond
        )
    };
    let (service, node) = (batch.text(record.service), batch.text(record.node));
    let name = format!("{}{}", service.replace("default", ""), format!("@{node}").replace("@here", ""));
    let blank = if name.is_empty() { "" } else { " " };
    write!(out, " {}{blank}{name} | {}", record.severity, batch.text(record.body)).unwrap();
    for (position, attribute) in batch.attributes(index).iter().enumerate() {
        out.push_str(if position == 0 { " | " } else { " " });
        let kind = match attribute.kind {
            AttributeKind::Text => "",
            AttributeKind::Integer => "i",
            AttributeKind::Json => "j",
        };
        let key = &batch.keys()[usize::from(attribute.key)];
        write!(out, "{key}={}{kind}", batch.text(attribute.value)).unwrap();
    }
    out
}

/// Checks one line: what it becomes, its layout, and that the layout gives the line back, also with `\r`.
#[track_caller]
pub(crate) fn check(line: &str, want: &str, layout: &str) {
    let with_return = format!("{line}\r");
    let batch = parser().parse(raw(&[line.as_bytes(), with_return.as_bytes()]));
    assert_eq!(shown(&batch, 0), want);
    assert_eq!(shown(&batch, 1), want);
    assert_eq!(&*batch.layouts()[usize::from(batch.records()[0].layout)], layout, "{line}");
    for (index, line) in [line, &with_return].iter().enumerate() {
        if let Some(rendered) = batch.render(index) {
            assert_eq!(String::from_utf8(rendered.unwrap()).unwrap(), **line);
        }
    }
}
