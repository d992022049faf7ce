//! Fields that others take out of their lines, under their names and ours.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::names::NAMES;
use super::{Score, text, truth};

/// Judges one set of lines by the fields that are wanted of them.
pub(super) fn judge(explainer: &Explainer, data: &Path, name: &str) -> Result<Vec<Score>> {
    let mut fields = Score::new("fields", 90.0, 98.0);
    for case in truth(data, name)? {
        let Some(wanted) = case["want"].as_object().filter(|wanted| !wanted.is_empty()) else { continue };
        let written = text(&case, "line").trim();
        let lines: Vec<&str> = written.lines().collect();
        let found = explainer.explain(&lines, "2026-11-20T00:00:00Z", "UTC")?;
        let Some(found) = found.iter().flatten().next() else { continue };
        for (path, value) in leaves(wanted) {
            if is_nothing(&value) {
                continue;
            }
            let right = ours(&path).iter().any(|ours| is_value(found, ours, written, &value));
            let of = text(&case, "function").to_owned() + text(&case, "pattern");
            fields.count(right, || format!("{of}: {path}={value:?}: {written}"));
        }
    }
    Ok(vec![fields])
}

/// The members of nested objects, by their names with dots.
fn leaves(object: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in object {
        let name = name.trim_matches(['<', '>']);
        match value {
            Value::Object(inside) => {
                all.extend(leaves(inside).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)));
            }
            Value::String(text) => all.push((name.to_owned(), text.clone())),
            Value::Null | Value::Array(_) => {}
            other => all.push((name.to_owned(), other.to_string())),
        }
    }
    all
}

/// Whether a value stands for there being none.
fn is_nothing(value: &str) -> bool {
    matches!(value, "" | "-" | "\"-\"")
}

fn ours(path: &str) -> Vec<String> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let named = |name: &str| NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    // The more parts of a name are known, the surer it is.
    let ends = std::iter::successors(Some(path), |end| end.split_once('.').map(|(_, rest)| rest));
    let known = ends.filter_map(named).next().unwrap_or_default();
    known.iter().map(|name| (*name).to_owned()).chain([path.to_owned(), last.to_owned()]).collect()
}

fn is_value(found: &Explained, name: &str, written: &str, wanted: &str) -> bool {
    match name {
        "@time" => {
            let (is, wanted) = (found.time(), wanted.replace("<NOW>", "2026"));
            is == normal(&wanted) || found.text("timestamp_text").contains(wanted.as_str())
        }
        "@body" => found.text("body").trim_end() == wanted.trim_end(),
        // A request is stored as its parts, which give it back.
        "@request" => !found.attribute("path").is_empty() && written.contains(wanted),
        "@severity" => super::loghub::same_severity(&wanted.to_lowercase(), found.text("severity")),
        // What stands in the line as one is stored in parts.
        "@target" => format!("{}:{}", found.attribute("target_ip"), found.attribute("target_port")) == wanted,
        "@cisco_tag" => {
            let (level, id) = (found.attribute("level"), found.attribute("msg_id"));
            format!("{}-{level}-{id}", found.text("service")) == wanted
        }
        "@firewall_prefix" => {
            format!("SFW2-{}-{}", found.attribute("chain"), found.attribute("action")) == wanted
        }
        "@priority" => is_priority(found, wanted),
        "@client" => format!("{}:{}", found.attribute("client_ip"), found.attribute("client_port")) == wanted,
        "@host" => found.text("host") == wanted,
        "@service" => found.text("service") == wanted,
        _ => same(&found.attribute(name), wanted),
    }
}

/// Whether a syslog priority is stored as its facility and severity.
fn is_priority(found: &Explained, wanted: &str) -> bool {
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    const FACILITIES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
        "local6", "local7",
    ];
    let Ok(priority) = wanted.parse::<usize>() else { return false };
    FACILITIES.get(priority / 8).is_some_and(|facility| found.attribute("facility") == *facility)
        && super::loghub::same_severity(SEVERITIES[priority % 8], found.text("severity"))
}

/// Whether two values are the same text or number.
fn same(is: &str, wanted: &str) -> bool {
    // Others leave quotes and blanks around what they take out.
    let wanted = wanted.trim_end();
    let wanted = wanted.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')).unwrap_or(wanted);
    let numbers = is.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
    is == wanted || numbers.is_some_and(|(is, wanted)| (is - wanted).abs() < 1e-9)
}
