//! Lines of several programs, and the records that they are.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::Explainer;
use super::{Score, text, truth};

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let mut grouped = Score::new("records", 100.0, 100.0);
    for case in truth(data, "multiline")? {
        let texts = |name: &str| -> Vec<String> {
            let all = case[name].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(|text| text.trim_end_matches('\n').to_owned()).collect()
        };
        let input = texts("input").join("\n");
        let lines: Vec<&str> = input.lines().collect();
        let found = explainer.explain(&lines, "2026-01-01T00:00:00Z", "UTC")?;
        let found: Vec<String> = found.iter().flatten().map(|found| found.text("body").to_owned()).collect();
        let wanted = texts("output");
        grouped.count(found == wanted, || format!("{}: {found:?} not {wanted:?}", text(&case, "name")));
    }
    Ok(vec![grouped])
}
