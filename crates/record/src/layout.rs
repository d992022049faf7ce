//! A layout is a raw line with its fields cut out; with the fields put back it is the line again.
//!
//! `2026-11-01T00:00:00.006Z web-06 sshd[4130]: Received disconnect` becomes the fields and the layout
//! `{ts:iso-T.3Z} {node} {service}[{.pid}]: {body}`. A source uses a handful of layouts, so keeping every
//! original line byte for byte costs a dictionary code instead of a second copy of the text.
//!
//! | hole | filled with |
//! |---|---|
//! | `{ts:FORMAT}` | the timestamp, written as [`TimeFormat`] says |
//! | `{node}`, `{service}`, `{body}` | that column |
//! | `{level}` | the attribute `level` if there is one, else the severity's name |
//! | `{.key}` | the attribute `key` |
//! | `{body\|j}`, `{.key\|j}`, ... | the same, escaped as inside a JSON string |
//!
//! `{{` and `}}` are braces of the line itself. A layout that ends in [`NO_NEWLINE`] marks the last line of a
//! source that lacks its newline. One that is otherwise empty keeps the line whole in `raw`.

use std::fmt::Write as _;

use crate::{TimeFormat, Timestamp};

/// Ends the layout of a line that no newline follows.
pub const NO_NEWLINE: &str = "{end}";

/// The fields that fill a layout's holes.
pub trait Fields {
    /// The record's timestamp.
    fn timestamp(&self) -> Timestamp;
    /// The column `node`.
    fn node(&self) -> &str;
    /// The column `service`.
    fn service(&self) -> &str;
    /// The column `body`.
    fn body(&self) -> &str;
    /// The severity's name; the attribute `level` is asked for first.
    fn severity_name(&self) -> &str;
    /// Appends the text of an attribute; `false` if the record has none of this name.
    fn write_attribute(&self, key: &str, out: &mut Vec<u8>) -> bool;
}

/// Appends `text` to a layout as literal text.
pub fn push_literal(layout: &mut String, text: &str) {
    for c in text.chars() {
        layout.push(c);
        if matches!(c, '{' | '}') {
            layout.push(c);
        }
    }
}

/// Appends a timestamp's hole.
pub fn push_timestamp(layout: &mut String, format: TimeFormat) {
    // Writing to a String cannot fail.
    let _ = write!(layout, "{{ts:{format}}}");
}

/// Whether lines of this layout are kept whole instead of being made of their fields.
pub fn keeps_raw(layout: &str) -> bool {
    layout.is_empty() || layout == NO_NEWLINE
}

/// Whether a newline follows the lines of this layout.
pub fn has_newline(layout: &str) -> bool {
    !layout.ends_with(NO_NEWLINE)
}

/// Appends the raw line to `out`. `Err` names the first hole that cannot be filled: the layout is damaged or
/// belongs to another record. For layouts that do not keep the line whole.
pub fn render(layout: &str, fields: &dyn Fields, out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = layout;
    while let Some(at) = rest.find(['{', '}']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{") {
            out.push(b'{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            out.push(b'}');
            rest = after;
        } else {
            let end = rest.find('}').filter(|end| *end > 0).ok_or_else(|| rest.to_owned())?;
            fill(&rest[1..end], fields, out)?;
            rest = &rest[end + 1..];
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

fn fill(hole: &str, fields: &dyn Fields, out: &mut Vec<u8>) -> Result<(), String> {
    let (name, escaped) = match hole.strip_suffix("|j") {
        Some(name) => (name, true),
        None => (hole, false),
    };
    let start = out.len();
    match name {
        "end" => {}
        "node" => out.extend_from_slice(fields.node().as_bytes()),
        "service" => out.extend_from_slice(fields.service().as_bytes()),
        "body" => out.extend_from_slice(fields.body().as_bytes()),
        "level" => {
            if !fields.write_attribute("level", out) {
                out.extend_from_slice(fields.severity_name().as_bytes());
            }
        }
        _ => {
            if let Some(format) = name.strip_prefix("ts:") {
                let format = TimeFormat::from_text(format).ok_or_else(|| hole.to_owned())?;
                format.render(fields.timestamp(), out);
            } else {
                let key = name.strip_prefix('.').ok_or_else(|| hole.to_owned())?;
                if !fields.write_attribute(key, out) {
                    return Err(hole.to_owned());
                }
            }
        }
    }
    if escaped {
        let value = String::from_utf8(out.split_off(start)).map_err(|_| hole.to_owned())?;
        escape_json(&value, out);
    }
    Ok(())
}

/// Appends `text` escaped as inside a JSON string: the short escapes, `\u00xx` for other control characters,
/// all else verbatim. A line whose program escapes otherwise is kept whole.
pub fn escape_json(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    struct Row;

    impl Fields for Row {
        fn timestamp(&self) -> Timestamp {
            Timestamp(1_793_491_200_006_000_000)
        }
        fn node(&self) -> &str {
            "web-06"
        }
        fn service(&self) -> &str {
            "sshd"
        }
        fn body(&self) -> &str {
            "say \"hi\"\n{}"
        }
        fn severity_name(&self) -> &str {
            "INFO"
        }
        fn write_attribute(&self, key: &str, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(if key == "pid" { b"4130" } else { b"" });
            key == "pid"
        }
    }

    #[test]
    fn puts_the_fields_back() {
        let mut layout = String::new();
        let zone = Zone::Zulu;
        push_timestamp(
            &mut layout,
            TimeFormat::Iso { date: b'-', between: b'T', mark: b'.', digits: 3, zone },
        );
        push_literal(&mut layout, " {");
        layout.push_str("{node} {level} {service}[{.pid}]: {body|j}");
        push_literal(&mut layout, "}");
        let mut out = Vec::new();
        render(&layout, &Row, &mut out).unwrap();
        let want = r#"2026-11-01T00:00:00.006Z {web-06 INFO sshd[4130]: say \"hi\"\n{}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), want);
        assert!(has_newline(&layout));
        assert!(!has_newline("{body}{end}"));
    }

    #[test]
    fn names_the_hole_it_cannot_fill() {
        for (layout, hole) in
            [("{.uid}", ".uid"), ("x{nope}", "nope"), ("{ts:nope}", "ts:nope"), ("a{body", "{body")]
        {
            assert_eq!(render(layout, &Row, &mut Vec::new()), Err(hole.to_owned()));
        }
    }
}
