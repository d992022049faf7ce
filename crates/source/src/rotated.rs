//! Where a log went when it was rotated: the files beside its path.

use std::cmp::Reverse;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use taffrail_record::Timestamp;

use crate::identity::Identity;

/// Entries of a directory that are looked at, at most.
const MAX_SIBLINGS: usize = 10_000;
/// A rotation keeps fewer files than this; a greater number is a date.
const MAX_COUNT: u64 = 9_999;
/// File systems stamp files by a clock that is up to a tick behind.
const BIRTH_LAG_NS: i64 = 20_000_000;

/// The file of this identity in the directory of `path`, whatever it is called.
pub(crate) fn find(path: &Path, identity: &Identity) -> Option<PathBuf> {
    siblings(path).find(|(_, id)| id.may_be(identity)).map(|(path, _)| path)
}

/// Rotated files of `path` that were born after `seen`, when `older` was at the path, and before `newer`,
/// oldest first. Only names that a rotation gives (`x.log.1`, `x.log-20261120`) count. Empty where the file system
/// records no births.
pub(crate) fn between(path: &Path, older: &Identity, seen: Timestamp, newer: &Identity) -> Vec<PathBuf> {
    let (Some(born), Some(before)) = (older.birth, newer.birth) else { return Vec::new() };
    let after = born.max(seen.0.saturating_sub(BIRTH_LAG_NS));
    let mut chain: Vec<_> = siblings(path)
        .filter(|(_, id)| id.ino != older.ino && newer.ino != id.ino)
        .filter_map(|(sibling, id)| Some((id.birth?, generation(path, &sibling)?, sibling)))
        .filter(|(birth, _, _)| (after..=before).contains(birth))
        .collect();
    // Births are a tick apart at best. Counted names grow with age, dated ones the other way.
    chain.sort_by_key(|(birth, generation, _)| (*birth, Reverse((*generation).min(MAX_COUNT)), *generation));
    chain.into_iter().map(|(_, _, path)| path).collect()
}

fn siblings(path: &Path) -> impl Iterator<Item = (PathBuf, Identity)> {
    let own = path.to_owned();
    let entries = path.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten();
    entries.take(MAX_SIBLINGS).filter_map(Result::ok).filter_map(move |entry| {
        let metadata = entry.metadata().ok()?;
        let sibling = entry.path();
        (metadata.is_file() && sibling != own).then(|| (sibling, Identity::of(&metadata)))
    })
}

/// The number in the name that a rotation gave; `None` for any other name.
fn generation(path: &Path, sibling: &Path) -> Option<u64> {
    let suffix = sibling.file_name()?.as_bytes().strip_prefix(path.file_name()?.as_bytes())?;
    let (first, digits) = suffix.split_first()?;
    let plain = |b: &u8| b.is_ascii_digit() || b"-_.T:".contains(b);
    if !matches!(first, b'.' | b'-' | b'_') || !digits.first()?.is_ascii_digit() || !digits.iter().all(plain)
    {
        return None;
    }
    let number = digits.iter().filter(|b| b.is_ascii_digit());
    Some(number.fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_rotation_gives() {
        for (name, number) in [
            ("x.log.1", Some(1)),
            ("x.log.12", Some(12)),
            ("x.log-20261120", Some(20_261_120)),
            ("x.log.2026-11-20", Some(20_261_120)),
            ("x.log", None),
            ("x.log.gz", None),
            ("x.log.1.gz", None),
            ("x.log.err", None),
            ("x.log2", None),
            ("y.log.1", None),
        ] {
            assert_eq!(generation(Path::new("/d/x.log"), &Path::new("/d").join(name)), number, "{name}");
        }
    }

    #[test]
    fn a_renamed_file_is_found_by_identity() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, "a").unwrap();
        let identity = Identity::of(&fs::metadata(&path).unwrap());
        fs::rename(&path, dir.path().join("archived")).unwrap();
        assert_eq!(find(&path, &identity), Some(dir.path().join("archived")));
        assert_eq!(find(&path, &Identity { ino: identity.ino + 1_000_000, ..identity }), None);
    }
}
