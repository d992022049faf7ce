//! Where things are: the checkout, the build folder, the cache, the program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};

/// The root of the checkout that this xtask is run in. Not the one it was built in: checkouts share what cargo builds.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let xtask =
            std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs xtask, and says where it stands");
        Path::new(&xtask).parent().expect("xtask stands in the root").to_owned()
    });
    &ROOT
}

/// A cargo command in the checkout, of the cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("parse cargo metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(folder.into())
}

/// A folder of ours in the user's cache, outside the checkout.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("taffrail"))
}

/// Runs a command to its end and fails where it does.
pub(crate) fn must_run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(())
}

/// Builds the program with `profile` and returns its path.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    build_package("taffrail-app", "taffrail", profile)
}

/// Builds the slim agent with `profile` and returns its path.
pub(crate) fn build_agent(profile: &str) -> Result<PathBuf> {
    build_package("taffrail-agent", "taffrail-agent", profile)
}

/// By itself: with others a package is built with what they need of its dependencies.
fn build_package(package: &str, program: &str, profile: &str) -> Result<PathBuf> {
    must_run(cargo().args(["build", "--package", package, "--profile", profile]))?;
    // Cargo's folder for the profile `dev` has another name.
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_dir()?.join(folder).join(program))
}
