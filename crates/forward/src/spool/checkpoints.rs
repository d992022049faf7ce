//! How far the sources were read when files were last removed: that must not go with them.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use taffrail_record::Checkpoint;

use super::marks::replace;

const FILE: &str = "checkpoints.json";

/// A checkpoint in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    offset: u64,
    lines: u64,
    state: String,
}

#[derive(Deserialize, Default)]
struct Content {
    /// The number of the next entry.
    #[serde(default)]
    next: u64,
    #[serde(default)]
    checkpoints: BTreeMap<String, Stored>,
}

/// What is noted, and the number of the next entry. A file that cannot be read is as if it were not there: the sources are read
/// from where the entries say.
pub(super) fn read(folder: &Path) -> (BTreeMap<String, Checkpoint>, u64) {
    let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    let content: Content = serde_json::from_str(&text).unwrap_or_default();
    let checkpoint = |Stored { offset, lines, state }| Checkpoint { offset, lines, state };
    let known = content.checkpoints.into_iter().map(|(name, stored)| (name, checkpoint(stored)));
    (known.collect(), content.next)
}

/// Notes it; on the disk when this returns.
pub(super) fn write(
    folder: &Path,
    checkpoints: &BTreeMap<String, Checkpoint>,
    next: u64,
) -> std::io::Result<()> {
    let stored = |checkpoint: &Checkpoint| Stored {
        offset: checkpoint.offset,
        lines: checkpoint.lines,
        state: checkpoint.state.clone(),
    };
    let all: BTreeMap<&str, Stored> =
        checkpoints.iter().map(|(name, checkpoint)| (name.as_str(), stored(checkpoint))).collect();
    let text = serde_json::json!({ "next": next, "checkpoints": all }).to_string();
    replace(&folder.join(FILE), text.as_bytes())
}

/// A source's checkpoint moves on, never back.
pub(super) fn advance(checkpoints: &mut BTreeMap<String, Checkpoint>, source: &str, checkpoint: Checkpoint) {
    match checkpoints.get_mut(source) {
        Some(known) if known.offset > checkpoint.offset => {}
        Some(known) => *known = checkpoint,
        None => drop(checkpoints.insert(source.to_owned(), checkpoint)),
    }
}
