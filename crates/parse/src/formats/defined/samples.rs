//! What the samples of a format become, beside what the format says that they do.

use std::collections::BTreeMap;

use taffrail_record::{AttributeKind, Civil, Timestamp};

use super::Format;
use super::definition::Sample;
use crate::{Context, Parser};

/// When samples are read: 2026-11-20T00:00:00Z.
const OBSERVED: Timestamp = Timestamp(1_795_132_800_000_000_000);

/// The samples of a format that become something else, and what is different.
pub(super) fn differing(format: &Format) -> Vec<String> {
    format.samples.iter().filter_map(|sample| difference(format, sample)).collect()
}

fn difference(format: &Format, sample: &Sample) -> Option<String> {
    let (is, wanted) = (shown(&sample.line), wanted(&format.name, sample));
    let names = wanted.keys().chain(is.keys().filter(|name| !wanted.contains_key(*name)));
    let different: Vec<String> = names
        .filter(|name| is.get(*name) != wanted.get(*name))
        .map(|name| {
            let text = |of: &BTreeMap<String, String>| of.get(name).map_or("none", String::as_str).to_owned();
            format!("{name} is {}, not {}", text(&is), text(&wanted))
        })
        .collect();
    let told = || format!("`{}` of the format `{}`: {}", sample.line, format.name, different.join("; "));
    (!different.is_empty()).then(told)
}

/// What a line becomes, by name.
fn shown(line: &str) -> BTreeMap<String, String> {
    let context = Context { service: "default".into(), node: "here".into(), offset_minutes: 0 };
    let found = Parser::new(context).explain(line.as_bytes(), OBSERVED);
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

fn wanted(format: &str, sample: &Sample) -> BTreeMap<String, String> {
    let severity = sample.severity.clone().unwrap_or_else(|| "INFO".to_owned());
    let mut wanted: BTreeMap<String, String> = [
        ("format", Some(format.to_owned())),
        ("time", sample.time.clone()),
        ("severity", Some(severity)),
        ("node", sample.node.clone()),
        ("service", sample.service.clone()),
        ("body", Some(sample.body.clone().unwrap_or_else(|| sample.line.clone()))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    for (name, value) in &sample.attributes {
        let value = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
        wanted.insert(format!(".{name}"), value);
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
