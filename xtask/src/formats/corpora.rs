//! Large logs of programs whose lines all begin, or hold, a time of a shape that is known.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use fs_err as fs;

use super::Score;
use super::explained::{Explained, Explainer};

/// Lines of each file that are judged.
const LINES: usize = 20_000;

/// The clock that a line shows, as RFC 3339 has it; `None`: it shows none.
type Shown = fn(&str) -> Option<&str>;

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let mut known = Score::new("format and time", 99.0, 99.9);
    let all: [(&str, Shown); 3] = [
        ("docker-json_trainticket_2023-01-30.log.zst", |line| line.split("\"time\":\"").nth(1)?.get(11..19)),
        ("nginx_zanbil_100k.access.log.zst", |line| line.split('[').nth(1)?.get(12..20)),
        ("pgbouncer_1.21.log.zst", |line| line.get(11..19)),
    ];
    for (name, shown) in all {
        judge_lines(explainer, name, &unpacked(&data.join("bench").join(name))?, shown, &mut known)?;
    }
    for name in ["java-iotdb_io_6nodes.tar.zst", "java-iotdb_shutdown_6nodes.tar.zst"] {
        // The headers of an archive are no lines with a clock.
        judge_lines(
            explainer,
            name,
            &unpacked(&data.join("bench").join(name))?,
            |line| line.starts_with("20").then(|| line.get(11..19)).flatten(),
            &mut known,
        )?;
    }
    Ok(vec![known])
}

fn judge_lines(explainer: &Explainer, name: &str, text: &str, shown: Shown, known: &mut Score) -> Result<()> {
    let lines: Vec<&str> = text.lines().take(LINES).collect();
    let found = explainer.explain(&lines, "2026-01-01T00:00:00Z", "UTC")?;
    let mut record: Option<&Explained> = None;
    for (line, found) in lines.iter().zip(&found) {
        record = found.as_ref().or(record);
        let Some(clock) = shown(line) else { continue };
        let first = found.is_some();
        let right = record.is_some_and(|record| {
            let is = record.text("format") != "plain" && !record.time().is_empty();
            is && (!first || record.text("timestamp_text").contains(clock))
        });
        known.count(right, || format!("{name}: {line}"));
    }
    Ok(())
}

fn unpacked(path: &Path) -> Result<String> {
    ensure!(path.is_file(), "there is no {}", path.display());
    let packed = fs::File::open(path)?.into_parts().0;
    let output = Command::new("zstd").arg("-dcq").stdin(packed).output()?;
    ensure!(output.status.success(), "zstd: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
