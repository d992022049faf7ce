//! plaso: how many events a file has, and when some of them were.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::{Score, text, truth};

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let mut events = Score::new("events with a time", 90.0, 98.0);
    let mut times = Score::new("times", 90.0, 98.0);
    for case in truth(data, "plaso")? {
        let name = text(&case, "file");
        let folder = data.join("plaso");
        let path =
            [folder.join(name), folder.join("jsonl").join(name)].into_iter().find(|path| path.is_file());
        let Some(path) = path else { continue };
        let written = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        let lines: Vec<&str> = written.lines().collect();
        let found = explainer.explain(&lines, "2026-01-01T00:00:00Z", "UTC")?;
        let found: Vec<&Explained> =
            found.iter().flatten().filter(|found| !found.time().is_empty()).collect();
        // Some files are shorter here than where the events were counted.
        let lines = lines.iter().filter(|line| !line.starts_with('#')).count();
        let wanted = (case["events"].as_u64().unwrap_or(0) as usize).min(lines);
        for number in 0..wanted {
            events.count(number < found.len(), || format!("{name}: {} of {wanted}", found.len()));
        }
        for (index, time) in expected_times(&case) {
            // Years before 1000 stand for none.
            let from = if time.starts_with("000") { 4 } else { 0 };
            let same = |is: &str| is.get(from..19).is_some() && is.get(from..19) == time.get(from..19);
            let right = found.iter().any(|found| {
                let shown = found.text("timestamp_text");
                same(&found.time()) || time.get(11..19).is_some_and(|clock| shown.contains(clock))
            });
            times.count(right, || format!("{name}: event {index} at {time}"));
        }
    }
    Ok(vec![events, times])
}

fn expected_times(case: &Value) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    for expected in case["expect"].as_array().into_iter().flatten() {
        let index = expected["index"].as_u64().unwrap_or(0);
        for (name, value) in expected["values"].as_object().into_iter().flatten() {
            let is_first =
                name.ends_with("_time") && !matches!(name.as_str(), "end_time" | "client_response_time");
            if let (true, Some(time)) = (is_first && !name.contains("evaluation"), value.as_str()) {
                all.push((index, normal(time)));
            }
        }
    }
    all
}
