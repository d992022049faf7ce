//! Whether the answers that were timed are right.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::Value;

use super::Setting;
use super::figure::Check;

/// The checks of a run, in order.
#[derive(Default, Debug)]
pub(super) struct Checks {
    pub(super) done: Vec<Check>,
}

impl Checks {
    pub(super) fn equal(&mut self, name: &str, found: u64, expected: u64) {
        let detail = if found == expected { found.to_string() } else { format!("{found}, not {expected}") };
        self.add(name, detail, found == expected);
    }

    pub(super) fn add(&mut self, name: &str, detail: String, is_right: bool) {
        self.done.push(Check { name: name.to_owned(), detail, is_right });
    }

    /// Stamps of one length and zone sort as text.
    pub(super) fn newest_first(&mut self, answer: &Value) {
        let records = answer["records"].as_array().cloned().unwrap_or_default();
        let stamps: Vec<&str> = records.iter().filter_map(|record| record["timestamp"].as_str()).collect();
        let sorted = stamps.windows(2).all(|pair| pair[0] >= pair[1]) && stamps.len() == records.len();
        self.add("newest first", format!("{} records", stamps.len()), sorted && !stamps.is_empty());
    }

    pub(super) fn severities(&mut self, answer: &Value, allowed: &[&str]) {
        let records = answer["records"].as_array().cloned().unwrap_or_default();
        let is_allowed =
            |record: &Value| record["severity"].as_str().is_some_and(|name| allowed.contains(&name));
        let right = !records.is_empty() && records.iter().all(is_allowed);
        self.add("severities of the errors", format!("{} records", records.len()), right);
    }

    /// `taffrail export raw` must give back the file.
    pub(super) fn export(&mut self, setting: &Setting, data: &Path) -> Result<()> {
        let mut command = Command::new(&setting.binary);
        command.args(["export", "raw", "--data"]).arg(data).arg("--source").arg(&setting.corpus);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start export")?;
        let exported = child.stdout.take().context("no pipe")?;
        let difference = first_difference(exported, fs::File::open(&setting.corpus)?)?;
        // Where it differed the rest is not read, so the export ends on a closed pipe.
        let status = child.wait()?;
        let detail = match difference {
            None => format!("{} bytes", setting.yardsticks.bytes),
            Some(offset) => format!("differs at byte {offset}; export ended with {status}"),
        };
        self.add("export raw is the file", detail, difference.is_none() && status.success());
        Ok(())
    }
}

/// The offset of the first byte in which the two differ, one being longer included.
fn first_difference(mut left: impl Read, mut right: impl Read) -> Result<Option<u64>> {
    let (mut left_block, mut right_block) = (Vec::new(), Vec::new());
    let mut offset = 0;
    loop {
        for (from, block) in [(&mut left as &mut dyn Read, &mut left_block), (&mut right, &mut right_block)] {
            block.clear();
            from.take(1 << 20).read_to_end(block)?;
        }
        let length = left_block.len().min(right_block.len());
        if left_block[..length] != right_block[..length] {
            let at = left_block.iter().zip(&right_block).position(|(left, right)| left != right);
            return Ok(Some(offset + at.unwrap_or(0) as u64));
        }
        offset += length as u64;
        if left_block.len() != right_block.len() {
            return Ok(Some(offset));
        }
        if length == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_the_first_difference() {
        let long = vec![7; (1 << 20) + 5];
        let mut changed = long.clone();
        changed[(1 << 20) + 2] = 8;
        for (left, right, expected) in [
            (b"same".to_vec(), b"same".to_vec(), None),
            (b"same".to_vec(), b"some".to_vec(), Some(1)),
            (b"same".to_vec(), b"same and more".to_vec(), Some(4)),
            (Vec::new(), Vec::new(), None),
            (long.clone(), long.clone(), None),
            (long, changed, Some((1 << 20) + 2)),
        ] {
            assert_eq!(first_difference(&left[..], &right[..]).unwrap(), expected);
        }
    }

    #[test]
    fn sees_wrong_order_and_wrong_severity() {
        let answer = |stamps: [&str; 2], severity: &str| json!({"records": stamps.map(|stamp| json!({"timestamp": stamp, "severity": severity}))});
        let verdicts = |answer: &Value| {
            let mut checks = Checks::default();
            checks.newest_first(answer);
            checks.severities(answer, &["ERROR"]);
            checks.done.iter().map(|check| check.is_right).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&answer(["2026-02", "2026-01"], "ERROR")), [true, true]);
        assert_eq!(verdicts(&answer(["2026-01", "2026-02"], "INFO")), [false, false]);
        assert_eq!(verdicts(&json!({"records": []})), [false, false]);
    }
}
