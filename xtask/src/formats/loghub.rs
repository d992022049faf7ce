//! Loghub: eight systems, each line with its time, level and parts.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::{Score, text, truth};

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let all = truth(data, "loghub")?;
    let mut time = Score::new("timestamp", 99.5, 100.0);
    let mut severity = Score::new("severity", 98.0, 99.5);
    let mut parts = ["host", "component", "pid", "body"].map(|part| Score::new(part, 95.0, 99.0));
    for lines in all.chunk_by(|a, b| a["dataset"] == b["dataset"]) {
        let texts: Vec<&str> = lines.iter().map(|line| text(line, "line")).collect();
        let found = explainer.explain(&texts, "2016-01-01T00:00:00Z", "UTC")?;
        for (line, found) in lines.iter().zip(&found) {
            let miss = |is: &str, not: &str| {
                format!("{}: {is:?} not {not:?}: {}", text(line, "dataset"), text(line, "line"))
            };
            let Some(found) = found else {
                time.count(false, || miss("joined to the line before", ""));
                continue;
            };
            time.count(same_time(line, found), || miss(&found.time(), text(line, "time")));
            if let Some(wanted) = line["severity"].as_str() {
                severity.count(same_severity(wanted, found.text("severity")), || {
                    miss(found.text("severity"), wanted)
                });
            }
            let is = [
                found.text("host").to_owned(),
                found.text("service").to_owned(),
                found.attribute("pid"),
                found.text("body").trim_end().to_owned(),
            ];
            for ((score, name), is) in parts.iter_mut().zip(["host", "component", "pid", "content"]).zip(is) {
                if let Some(wanted) = line[name].as_str() {
                    score.count(is == wanted.trim_end(), || miss(&is, wanted));
                }
            }
        }
    }
    let mut scores = vec![time, severity];
    scores.extend(parts);
    Ok(scores)
}

fn same_time(line: &Value, found: &Explained) -> bool {
    let (wanted, is) = (normal(text(line, "time")), found.time());
    match wanted.strip_prefix("XXXX") {
        Some(wanted) => is.get(4..) == Some(wanted),
        None => is == wanted,
    }
}

/// Whether a severity is the annotated one, or the name of its group.
pub(super) fn same_severity(wanted: &str, is: &str) -> bool {
    let group = match wanted {
        "notice" => "info",
        "warn" => "warning",
        "err" => "error",
        "alert" | "emerg" | "emergency" | "fatal" => "critical",
        other => other,
    };
    is.eq_ignore_ascii_case(wanted) || is.eq_ignore_ascii_case(group)
}
