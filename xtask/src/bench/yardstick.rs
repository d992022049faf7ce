//! What everybody has on their machine, over the same bytes: `zstd -1 -T1` and `grep`.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use fs_err as fs;

use super::process::{Cost, cost, count, median};
use crate::corpus::NEEDLE;

/// Runs of which the median counts, after one that warms up.
const RUNS: usize = 5;

/// Regexes over everything, hardest last; all are regexes to `grep -E` and to Taffrail alike.
pub(super) const REGEXES: &[(&str, &str)] = &[
    ("rare literal", "needle-[0-9a-f]{10}"),
    ("common literal", r"rt=0\.[0-9]*7[0-9]*"),
    ("hard to prune", r"[0-9]{3}\.[0-9]{3} .*(fail|denied)"),
];

/// Times and sizes of the yardsticks on the corpus.
#[derive(Debug)]
pub(super) struct Yardsticks {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) zstd_cpu: Duration,
    pub(super) zstd_wall: Duration,
    pub(super) zstd_bytes: u64,
    /// `grep -F -c NEEDLE`
    pub(super) word: Grep,
    /// `grep -E -c` of each of [`REGEXES`].
    pub(super) regexes: Vec<Grep>,
}

/// A `grep -c`: what it counted and how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grep {
    pub(super) count: u64,
    pub(super) wall: Duration,
}

impl Yardsticks {
    pub(super) fn take(corpus: &Path, scratch: &Path) -> Result<Self> {
        let (lines, bytes) = count_lines(corpus)?;
        let packed = scratch.join("corpus.zst");
        let mut zstd = Command::new("zstd");
        zstd.args(["-1", "-T1", "-q", "-f", "-o"]).arg(&packed).arg(corpus);
        let costs = repeat(|| cost(&mut zstd))?;
        let zstd_bytes = fs::metadata(&packed)?.len();
        fs::remove_file(&packed)?;
        let regexes = REGEXES.iter().map(|(_, regex)| grep("-E", regex, corpus)).collect::<Result<_>>()?;
        Ok(Self {
            lines,
            bytes,
            zstd_cpu: median(&costs.iter().map(|cost| cost.cpu).collect::<Vec<_>>()),
            zstd_wall: median(&costs.iter().map(|cost| cost.wall).collect::<Vec<_>>()),
            zstd_bytes,
            word: grep("-F", NEEDLE, corpus)?,
            regexes,
        })
    }
}

/// In the C locale, where grep is fastest.
fn grep(kind: &str, pattern: &str, corpus: &Path) -> Result<Grep> {
    let mut command = Command::new("grep");
    command.args([kind, "-c", "-e", pattern]).arg(corpus).env("LC_ALL", "C");
    let mut counted = 0;
    let costs = repeat(|| {
        let (number, cost) = count(&mut command)?;
        counted = number;
        Ok(cost)
    })?;
    let wall = median(&costs.iter().map(|cost| cost.wall).collect::<Vec<_>>());
    Ok(Grep { count: counted, wall })
}

fn repeat(mut once: impl FnMut() -> Result<Cost>) -> Result<Vec<Cost>> {
    once()?;
    (0..RUNS).map(|_| once()).collect()
}

/// Lines and bytes of a file; a last line without its end counts.
pub(super) fn count_lines(path: &Path) -> Result<(u64, u64)> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
    loop {
        let length = file.read(&mut buffer)?;
        let Some(end) = buffer[..length].last() else {
            return Ok((lines + u64::from(last != b'\n'), bytes));
        };
        last = *end;
        bytes += length as u64;
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_testkit::Scratch;

    #[test]
    fn measures_a_small_corpus() {
        let scratch = Scratch::new().unwrap();
        let text = format!("{}one {NEEDLE}\nrt=0.271 x", "a line like others\n".repeat(1000));
        let corpus = scratch.write("a.log", &text).unwrap();
        let taken = Yardsticks::take(&corpus, scratch.path()).unwrap();
        assert_eq!((taken.lines, taken.bytes), (1002, text.len() as u64));
        assert_eq!(taken.word.count, 1);
        assert_eq!(taken.regexes.iter().map(|grep| grep.count).collect::<Vec<_>>(), [1, 1, 0]);
        assert!((1..2000).contains(&taken.zstd_bytes), "{}", taken.zstd_bytes);
        assert!(taken.zstd_wall > Duration::ZERO);
    }
}
