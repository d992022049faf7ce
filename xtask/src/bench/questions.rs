//! What people ask, through HTTP on a kept connection, against `grep` over the file.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use taffrail_testkit::{Client, Daemon, percent_encode};

use super::Setting;
use super::checks::Checks;
use super::figure::{Figure, Report, time};
use super::process::median;
use super::yardstick::REGEXES;
use crate::corpus::NEEDLE;

const WARM_UPS: usize = 3;
const RUNS: usize = 20;

pub(super) fn measure(
    setting: &Setting,
    daemon: &Daemon,
    report: &mut Report,
    checks: &mut Checks,
) -> Result<()> {
    let taken = &setting.yardsticks;
    let word = taken.word.wall;
    let mut client = daemon.client();

    let (rare, answer) = ask(&mut client, &format!("search?q={NEEDLE}"))?;
    checks.equal(
        "lines with the rare word, as grep counts",
        record_count(&answer),
        taken.word.count.min(100),
    );
    let (newest, answer) = ask(&mut client, "search?limit=100")?;
    checks.equal("newest 100", record_count(&answer), taken.lines.min(100));
    checks.newest_first(&answer);
    let errors = format!("search?q={}&limit=100", percent_encode("severity>=ERROR"));
    let (newest_errors, answer) = ask(&mut client, &errors)?;
    checks.severities(&answer, &["ERROR", "CRITICAL"]);
    checks.newest_first(&answer);
    let (histogram, answer) = ask(&mut client, "histogram?interval=1m")?;
    checks.equal("lines in the histogram", bucket_sum(&answer), taken.lines);

    report.figures.extend([
        Figure::times("rare word / grep -F", [0.1, 0.02], rare, word),
        Figure::times("newest 100 / grep -F", [0.25, 0.05], newest, word),
        Figure::times("newest 100 errors / grep -F", [0.25, 0.05], newest_errors, word),
        Figure::times("histogram by minute and severity / grep -F", [0.25, 0.05], histogram, word),
    ]);
    measure_regexes(setting, &mut client, report, checks)
}

/// The worst of the regexes is the figure; the others are notes.
fn measure_regexes(
    setting: &Setting,
    client: &mut Client,
    report: &mut Report,
    checks: &mut Checks,
) -> Result<()> {
    let mut worst: Option<Figure> = None;
    for ((kind, regex), grep) in REGEXES.iter().zip(&setting.yardsticks.regexes) {
        let query = percent_encode(&format!("/{regex}/"));
        let (ours, answer) = ask(client, &format!("histogram?q={query}&interval=1m"))?;
        checks.equal(&format!("lines that match the regex, {kind}"), bucket_sum(&answer), grep.count);
        let name = format!("regex over everything / grep -E, worst of {}: {kind}", REGEXES.len());
        let figure = Figure::times(&name, [3.0, 1.0], ours, grep.wall);
        report.note(
            &format!("regex, {kind}"),
            format!("{:.3} ({} against {})", figure.measured(), time(ours), time(grep.wall)),
        );
        if worst.as_ref().is_none_or(|worst| worst.measured() < figure.measured()) {
            worst = Some(figure);
        }
    }
    report.figures.extend(worst);
    Ok(())
}

/// The median time of an answer, and the last answer. The time ends when the last byte of the body is here.
fn ask(client: &mut Client, question: &str) -> Result<(Duration, Value)> {
    let target = format!("/api/v1/{question}");
    let mut times = Vec::new();
    let mut body = Value::Null;
    for round in 0..WARM_UPS + RUNS {
        let start = Instant::now();
        let response = client.get(&target)?;
        let taken = start.elapsed();
        ensure!(response.status == 200, "GET {target}: {} {}", response.status, response.text());
        if round >= WARM_UPS {
            times.push(taken);
            body = response.json()?;
        }
    }
    Ok((median(&times), body))
}

pub(super) fn record_count(answer: &Value) -> u64 {
    answer["records"].as_array().map_or(0, |records| records.len() as u64)
}

fn bucket_sum(answer: &Value) -> u64 {
    let buckets = answer["buckets"].as_array().into_iter().flatten();
    buckets.flat_map(|bucket| bucket.as_array().into_iter().flatten()).filter_map(Value::as_u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_what_an_answer_holds() {
        assert_eq!(bucket_sum(&json!({"buckets": [[0, 1, 2], [], [4]]})), 7);
        assert_eq!(bucket_sum(&json!({"error": "x"})), 0);
        assert_eq!(record_count(&json!({"records": [{}, {}]})), 2);
        assert_eq!(record_count(&json!({})), 0);
    }
}
