//! lnav: samples of its formats and its test logs.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use serde_json::Value;

use super::explained::{Explainer, normal};
use super::loghub::same_severity;
use super::{Score, text, truth};

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let all = truth(data, "lnav")?;
    let mut time = Score::new("timestamp", 95.0, 99.0);
    let mut severity = Score::new("severity", 92.0, 97.0);
    let mut joined = Score::new("continuation lines joined", 95.0, 99.0);
    for file in all.chunk_by(|a, b| (&a["source"], &a["file"]) == (&b["source"], &b["file"])) {
        let (written, starts) = lines_of(file, data)?;
        let lines: Vec<&str> = written.lines().collect();
        let found = explainer.explain(&lines, "2016-01-01T00:00:00Z", "UTC")?;
        for (line, start) in file.iter().zip(starts) {
            let found = found.get(start).and_then(Option::as_ref);
            let miss = |is: &str, not: &str| {
                format!("{}: {is:?} not {not:?}: {}", text(line, "format"), text(line, "line"))
            };
            let (is, at) =
                found.map_or(("", String::new()), |found| (found.text("timestamp_text"), found.time()));
            let right = match line["timestamp"].as_str() {
                Some(wanted) => !is.is_empty() && (is.contains(wanted) || wanted.contains(is)),
                None => {
                    let wanted = normal(&text(line, "lnav_time").replace(' ', "T"));
                    let from = if line["year_known"] == false { 4 } else { 0 };
                    at.len() >= wanted.len() && at.get(from..wanted.len()) == wanted.get(from..)
                }
            };
            let wanted = line["timestamp"].as_str().unwrap_or_else(|| text(line, "lnav_time"));
            time.count(right, || miss(is, wanted));
            if let (Some("field" | "sample"), Some(wanted)) =
                (line["level_from"].as_str(), line["level"].as_str())
            {
                let is = found.map_or("", |found| found.text("severity"));
                severity.count(same_severity(wanted, is), || miss(is, wanted));
            }
            if let Some(more) = line["cont"].as_u64().filter(|more| *more > 0) {
                let is = found.map_or(0, |found| found.lines());
                joined.count(is == more + 1, || miss(&is.to_string(), &(more + 1).to_string()));
            }
        }
    }
    Ok(vec![time, severity, joined])
}

/// The lines of one file, and where those begin that something is said of. Samples have no file.
fn lines_of(annotations: &[Value], data: &Path) -> Result<(String, Vec<usize>)> {
    let is_file = annotations.iter().all(|line| line["source"] == "logfile");
    if is_file {
        let path = data.join("lnav/logfiles").join(text(&annotations[0], "file"));
        let written = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        // lnav numbers lines by their time; those that are alike come in their order.
        let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (place, line) in written.lines().enumerate() {
            places.entry(line).or_default().push_back(place);
        }
        let mut place = |line: &Value| places.get_mut(text(line, "line")).and_then(VecDeque::pop_front);
        let starts = annotations.iter().map(|line| place(line).unwrap_or(usize::MAX)).collect();
        return Ok((written, starts));
    }
    let mut written = String::new();
    let mut starts = Vec::new();
    for line in annotations {
        starts.push(written.lines().count());
        written += text(line, "line");
        written.push('\n');
    }
    Ok((written, starts))
}
