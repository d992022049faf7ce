//! fail2ban: one file a service, of which each failure has its time.

use std::path::Path;

use anyhow::Result;

use super::explained::{Explainer, normal};
use super::{Score, text, truth};

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let all = truth(data, "fail2ban")?;
    let mut time = Score::new("timestamp", 97.0, 99.5);
    for jail in all.chunk_by(|a, b| a["jail"] == b["jail"]) {
        let lines: Vec<&str> = jail.iter().map(|line| text(line, "line")).collect();
        let found = explainer.explain(&lines, "2005-08-14T10:00:00Z", "UTC")?;
        for (line, found) in jail.iter().zip(&found) {
            let Some(as_written) = line["time"].as_str() else { continue };
            let wanted = line["time_utc"].as_str().unwrap_or(as_written);
            let is = found.as_ref().map_or(String::new(), |found| found.time());
            let wanted = normal(wanted);
            let written = found.as_ref().map_or("", |found| found.text("timestamp_text"));
            let year = if line["year_in_line"] == false { 4 } else { 0 };
            let same = is.get(year..19) == wanted.get(year..19);
            // The clock in the line, whatever its zone.
            let shown = line["time_utc"].is_null()
                && written.contains(&as_written[11..19])
                && is.get(year..10).is_some();
            time.count(same || shown, || {
                format!("{}: {is:?} not {wanted:?}: {}", text(line, "jail"), text(line, "line"))
            });
        }
    }
    Ok(vec![time])
}
