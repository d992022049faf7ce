//! `cargo xtask dist`: one archive with the optimised program, its licences and shell completions.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::workspace::{build, must_run, root, target_dir};

const DOCUMENTS: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"];
const SHELLS: &[&str] = &["bash", "zsh", "fish"];

pub(crate) fn run() -> Result<()> {
    let program = build("dist")?;
    let name = format!("taffrail-{}-{}-linux", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let dist = target_dir()?.join("dist-archive");
    let folder = dist.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("completions"))?;
    fs::copy(&program, folder.join("taffrail"))?;
    for document in DOCUMENTS {
        let from = root().join(document);
        if from.exists() {
            fs::copy(&from, folder.join(document))?;
        }
    }
    for shell in SHELLS {
        write_completions(&program, shell, &folder.join("completions"))?;
    }
    let archive = dist.join(format!("{name}.tar.gz"));
    must_run(Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(&dist).arg(&name))?;
    println_path(&archive);
    Ok(())
}

/// A program that offers no completions yet ships none.
fn write_completions(program: &Path, shell: &str, folder: &Path) -> Result<()> {
    let output =
        Command::new(program).args(["completions", shell]).output().context("ask for completions")?;
    if output.status.success() && !output.stdout.is_empty() {
        fs::write(folder.join(format!("taffrail.{shell}")), output.stdout)?;
    }
    Ok(())
}

fn println_path(path: &Path) {
    use std::io::Write as _;
    // A closed pipe is no reason to fail: the archive is there.
    let _ = writeln!(std::io::stdout(), "{}", path.display());
}
