//! The text files of the checkout, without what is built, fetched or generated.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use walkdir::{DirEntry, WalkDir};

use super::SourceFile;

const SKIPPED_FOLDERS: &[&str] = &[".git", "target", "node_modules", "dist", "logs", "fixtures", "snapshots"];
const SKIPPED_FILES: &[&str] = &["package-lock.json", "Cargo.lock"];
const ENDINGS: &[&str] =
    &["rs", "toml", "md", "ts", "js", "mjs", "svelte", "css", "html", "sh", "json", "yml", "yaml"];
/// Files without an ending that are text.
const NAMED: &[&str] = &["Makefile", "run", "setup", "ui", "test", "browser-test"];

pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !is_skipped(entry)) {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type().is_file() || !is_text(path) {
            continue;
        }
        let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
        files.push(SourceFile { path: relative, text: fs::read_to_string(path)? });
    }
    Ok(files)
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let names = if entry.file_type().is_dir() { SKIPPED_FOLDERS } else { SKIPPED_FILES };
    entry.depth() > 0 && names.contains(&name.as_ref())
}

fn is_text(path: &Path) -> bool {
    match path.extension() {
        Some(ending) => ENDINGS.iter().any(|known| ending == *known),
        None => path.file_name().is_some_and(|name| NAMED.iter().any(|known| name == *known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sources_and_skips_what_is_built() {
        let scratch = taffrail_testkit::Scratch::new().unwrap();
        for name in
            ["src/a.rs", "Makefile", "ui/dist/a.js", "ui/node_modules/x/a.js", "picture.png", ".git/a.md"]
        {
            scratch.write(name, "x\n").unwrap();
        }
        let paths: Vec<String> =
            read_all(scratch.path()).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["Makefile", "src/a.rs"]);
    }
}
