//! CrowdSec: who did it, and with which program.

use std::path::Path;

use anyhow::Result;

use super::explained::Explainer;
use super::{Score, text, truth};

/// Names of the attributes that hold an address of who did it.
const ADDRESS: [&str; 1] = ["client_ip"];
/// Names of the attributes that hold who did it.
const USER: [&str; 1] = ["user"];

pub(super) fn judge(explainer: &Explainer, data: &Path) -> Result<Vec<Score>> {
    let all = truth(data, "crowdsec")?;
    let mut address = Score::new("source address", 95.0, 99.0);
    let mut user = Score::new("user", 95.0, 99.0);
    let mut program = Score::new("program", 95.0, 99.0);
    for test in all.chunk_by(|a, b| a["test"] == b["test"]) {
        let lines: Vec<&str> = test.iter().map(|line| text(line, "line")).collect();
        let found = explainer.explain(&lines, "2024-01-01T00:00:00Z", "UTC")?;
        for (line, found) in test.iter().zip(&found) {
            let miss = |is: &str, not: &str| {
                format!("{}: {is:?} not {not:?}: {}", text(line, "test"), text(line, "line"))
            };
            let attribute = |names: &[&str]| {
                let found = found.as_ref();
                names.iter().filter_map(|name| Some(found?.attribute(name))).find(|value| !value.is_empty())
            };
            for (score, name, names) in [(&mut address, "source_ip", &ADDRESS), (&mut user, "user", &USER)] {
                if let Some(wanted) = line[name].as_str().filter(|wanted| *wanted != "-") {
                    let is = attribute(names).unwrap_or_default();
                    score.count(bare(&is) == bare(wanted), || miss(&is, wanted));
                }
            }
            // Only where the line itself says it.
            let says = |program: &&str| is_named(text(line, "line"), program);
            if let Some(wanted) = line["program"].as_str().filter(says) {
                let is = found.as_ref().map_or("", |found| found.text("service"));
                program.count(is == wanted, || miss(is, wanted));
            }
        }
    }
    Ok(vec![address, user, program])
}

/// An address or a name without what is no part of it: IPv4 in IPv6 is the same machine, quotes are punctuation.
fn bare(text: &str) -> &str {
    text.trim_matches('\'').trim_start_matches("::ffff:")
}

/// Whether a line names a program, in a place where lines do: `sshd[12]`, `sshd:`, `|vendor|`.
fn is_named(line: &str, program: &str) -> bool {
    line.match_indices(program).any(|(at, _)| {
        let starts = line[..at].chars().next_back().is_none_or(|before| matches!(before, ' ' | '|' | '['));
        let after = line[at + program.len()..].chars().next();
        starts && matches!(after, Some('[' | ':' | '|' | ']'))
    })
}
