//! What is noted of each target beside the entries: up to which it has all, that it is a hub, what it has missed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Up to which entry a target has all: a number.
pub(super) const DONE: &str = "done";
/// It is there for a target that is known as a hub.
const HUB: &str = "hub";
/// What was dropped before a target could have it: a line with the first and the last number for each stretch.
const MISSED: &str = "missed";

/// A target is named by its URL: it is no name of a file.
pub(super) fn path(folder: &Path, target: &str, what: &str) -> PathBuf {
    folder.join(format!("{:08x}.{what}", crc32fast::hash(target.as_bytes())))
}

/// Up to which entry a target has all.
pub(super) fn done(folder: &Path, target: &str) -> u64 {
    let text = fs::read_to_string(path(folder, target, DONE)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Whether a target is known as a hub.
pub(super) fn is_hub(folder: &Path, target: &str) -> bool {
    path(folder, target, HUB).exists()
}

/// Notes that it is.
pub(super) fn note_hub(folder: &Path, target: &str) -> std::io::Result<()> {
    if is_hub(folder, target) {
        return Ok(());
    }
    replace(&path(folder, target, HUB), format!("{target}\n").as_bytes())
}

/// What a target has missed: first and last numbers, rising.
pub(super) fn missed(folder: &Path, target: &str) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(path(folder, target, MISSED)).unwrap_or_default();
    let stretch = |line: &str| {
        let (first, last) = line.split_once(' ')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    text.lines().filter_map(stretch).collect()
}

/// Notes it.
pub(super) fn note_missed(folder: &Path, target: &str, missed: &[(u64, u64)]) -> std::io::Result<()> {
    let lines: String = missed.iter().map(|(first, last)| format!("{first} {last}\n")).collect();
    replace(&path(folder, target, MISSED), lines.as_bytes())
}

/// Whole or not at all; on the disk when this returns.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_names)
}

/// The names in a folder are on the disk when this returns.
pub(super) fn sync_names(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}
