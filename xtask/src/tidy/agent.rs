//! The agent stays slim: nothing of the heavy half anywhere in its tree.

use anyhow::{Result, ensure};

use super::Complaint;
use crate::workspace::{cargo, root};

const MANIFEST: &str = "crates/agent/Cargo.toml";
const HEAVY: &[&str] =
    &["arrow", "parquet", "datafusion", "ballista", "rusqlite", "libsqlite3", "object_store"];
/// Packages that the agent may consist of at most.
const MAX_PACKAGES: usize = 200;

pub(super) fn check() -> Result<Vec<Complaint>> {
    if !root().join(MANIFEST).exists() {
        return Ok(Vec::new());
    }
    let arguments = ["tree", "--package", "taffrail-agent", "--edges", "normal,build", "--prefix", "none"];
    let output = cargo().args(arguments).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(check_tree(&String::from_utf8_lossy(&output.stdout)))
}

fn check_tree(tree: &str) -> Vec<Complaint> {
    let mut packages: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    packages.retain(|name| !name.is_empty());
    packages.sort_unstable();
    packages.dedup();
    let is_heavy = |name: &&&str| {
        HEAVY.iter().any(|heavy| {
            name.strip_prefix(heavy).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
        })
    };
    let complain = |message| Complaint::new(MANIFEST, 1, "agent", message);
    let mut out: Vec<Complaint> = packages
        .iter()
        .filter(is_heavy)
        .map(|name| {
            complain(format!("`{name}` is in the agent's tree: see `cargo tree -p taffrail-agent -i {name}`"))
        })
        .collect();
    if packages.len() > MAX_PACKAGES {
        out.push(complain(format!(
            "{} packages in the agent's tree, {MAX_PACKAGES} are the stop",
            packages.len()
        )));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_heavy_half() {
        let slim = "taffrail-agent v0.1.0 (x)\nmemchr v2.8.0\n\nmemchr v2.8.0 (*)\narrowhead v1.0.0\n";
        assert!(check_tree(slim).is_empty());
        let heavy = check_tree(&format!("{slim}arrow-array v59.3.0\nlibsqlite3-sys v0.38.0\n"));
        assert_eq!(heavy.len(), 2);
        assert!(heavy[0].message.contains("`arrow-array`"));
    }

    #[test]
    fn counts_packages() {
        let tree: String = (0..=MAX_PACKAGES).map(|number| format!("p{number} v1.0.0\n")).collect();
        assert_eq!(check_tree(&tree).len(), 1);
    }
}
