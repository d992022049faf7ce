//! Every sample of every file becomes what the file says, in the file's format and no other.

use std::collections::BTreeMap;

use taffrail_record::{AttributeKind, Civil, Timestamp};

use super::*;
use crate::formats::tests::{OBSERVED, parser, raw};

#[test]
fn files_are_read_and_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../formats");
    let mut present: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    present.sort();
    let mut listed: Vec<&str> = names().collect();
    listed.sort_unstable();
    assert_eq!(present, listed);
    for (name, text) in FILES {
        let format = Format::read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format.name, *name);
        assert!(!format.samples.is_empty(), "{name} has no sample");
    }
}

#[test]
fn samples_become_what_their_file_says() {
    let mut wrong = Vec::new();
    for format in FORMATS.iter() {
        for sample in &format.samples {
            let (found, wanted) = (shown(&sample.line), wanted(&format.name, sample));
            if found != wanted {
                wrong.push(format!("{}\n  is {found:?}\n  not {wanted:?}", sample.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{} samples:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lines_are_written_again() {
    for sample in FORMATS.iter().flat_map(|format| &format.samples) {
        let batch = parser().parse(raw(&[sample.line.as_bytes()]));
        if let Some(rendered) = batch.render(0) {
            assert_eq!(String::from_utf8(rendered.unwrap()).unwrap(), sample.line);
        }
    }
}

/// What a line becomes, by name.
fn shown(line: &str) -> BTreeMap<String, String> {
    let found = parser().explain(line.as_bytes(), OBSERVED);
    let mut shown: BTreeMap<String, String> = [
        ("format", Some(found.message.unwrap_or(found.format).to_owned())),
        ("time", found.timestamp.map(rfc3339)),
        ("severity", Some(found.severity.name().to_owned())),
        ("node", found.node),
        ("service", found.service),
        ("body", Some(found.body)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    for (name, kind, value) in found.attributes {
        let value = if kind == AttributeKind::Integer { value } else { format!("{value:?}") };
        shown.insert(format!(".{name}"), value);
    }
    shown
}

fn wanted(format: &str, sample: &definition::Sample) -> BTreeMap<String, String> {
    let severity = sample.severity.clone().unwrap_or_else(|| "INFO".to_owned());
    let mut wanted: BTreeMap<String, String> = [
        ("format", Some(format.to_owned())),
        ("time", sample.time.clone()),
        ("severity", Some(severity.clone())),
        ("node", sample.node.clone()),
        ("service", sample.service.clone()),
        ("body", Some(sample.body.clone().unwrap_or_else(|| sample.line.clone()))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    for (name, value) in &sample.attributes {
        wanted.insert(format!(".{name}"), value.to_string());
    }
    wanted
}

fn rfc3339(time: Timestamp) -> String {
    let c = Civil::from_timestamp(time, 0);
    let fraction = format!(".{:09}", c.nanosecond);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}
