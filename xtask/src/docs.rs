//! `cargo xtask gen-docs`: the pages that the program writes about itself.

use anyhow::{Result, ensure};
use fs_err as fs;

use crate::workspace::{cargo, root};

pub(crate) fn run() -> Result<()> {
    let output =
        cargo().args(["run", "--quiet", "--package", "taffrail-app", "--", "config-docs"]).output()?;
    ensure!(output.status.success(), "taffrail config-docs: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.stdout.starts_with(b"#"), "taffrail config-docs wrote no Markdown");
    let page = root().join("docs/config.md");
    fs::write(&page, output.stdout)?;
    eprintln!("wrote {}", page.display());
    Ok(())
}
