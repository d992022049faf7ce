//! Where a log went when it was rotated: the files beside its path, and their order.

use std::cmp::Reverse;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use taffrail_record::Timestamp;

use crate::fault;
use crate::identity::{Identity, modified};
use crate::mark::Past;
use crate::opened::Opened;
use crate::refusal::open_rotated;

/// Entries of a directory that are looked at, at most.
const MAX_SIBLINGS: usize = 10_000;
/// Times that a directory is listed again because rotation went on meanwhile.
pub(crate) const MAX_LISTINGS: usize = 8;
/// A rotation keeps fewer files than this; a greater number is a date.
const MAX_COUNT: u64 = 9_999;
/// Endings of compressed files, those that cannot be read included.
const PACKED: [&[u8]; 6] = [b".gz", b".zst", b".xz", b".bz2", b".lz4", b".Z"];

/// A file with a name that a rotation gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rotated {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) size: u64,
    /// When it was last written to.
    modified: Timestamp,
    generation: u64,
    /// Whether its name says that it is compressed.
    pub(crate) packed: bool,
}

impl Rotated {
    /// Whether it was written to after `time`. Compressing keeps that, and gives the file another birth.
    pub(crate) fn is_written_after(&self, time: Timestamp) -> bool {
        self.modified >= time || !self.packed && self.identity.birth.is_some_and(|birth| birth >= time.0)
    }

    /// Whether it, one of `files`, is the compressed form of a file that is gone, by its time alone: which must be the very
    /// same, for much may have happened since.
    pub(crate) fn is_packed_form_of(&self, past: &Past, files: &[Self]) -> bool {
        let is_there = || files.iter().any(|file| file.identity.may_be(&past.identity));
        self.packed && past.modified == self.modified && past.identity != Identity::NONE && !is_there()
    }

    /// Whether it, one of `files`, is a file that was read before, or its compressed form: that has the time of a file
    /// that is gone. Others may have been written to last in the same tick.
    pub(crate) fn was(&self, past: &Past, files: &[Self]) -> bool {
        let is_there = || files.iter().any(|file| file.identity.may_be(&past.identity));
        self.identity.may_be(&past.identity)
            || self.packed && past.may_be_packed_as_of(self.modified) && !is_there()
    }
}

/// The file of this identity beside `path`, whatever it is called.
///
/// # Errors
/// A directory that cannot be listed now.
pub(crate) fn find(path: &Path, identity: &Identity) -> io::Result<Option<PathBuf>> {
    for place in places(path) {
        if let Some(found) = beside(&place)?.into_iter().find(|(_, other, ..)| other.may_be(identity)) {
            return Ok(Some(found.0));
        }
    }
    Ok(None)
}

/// The rotated files of `path`, oldest first; of a compressed file and its original, the original.
///
/// # Errors
/// A directory that cannot be listed now.
pub(crate) fn files(path: &Path) -> io::Result<Vec<Rotated>> {
    let all: io::Result<Vec<Vec<Rotated>>> = places(path).iter().map(|place| rotated(place)).collect();
    let all = all?.into_iter().flatten();
    let (mut counted, mut all): (Vec<Rotated>, Vec<Rotated>) =
        all.partition(|file| file.generation <= MAX_COUNT);
    all.sort_by_key(|file| (file.generation, file.packed, file.modified));
    counted.sort_by_key(|file| (Reverse(file.generation), file.packed, file.modified));
    if counts_up(&counted) {
        counted.sort_by_key(|file| (file.generation, file.packed, file.modified));
    }
    all.append(&mut counted);
    all.dedup_by(|next, file| next.generation == file.generation && next.packed && !file.packed);
    Ok(all)
}

/// Opens the files that `choose` takes, and makes sure that rotation did not go on meanwhile: a file that was renamed
/// between the listing and the opening is not left out.
///
/// # Errors
/// A directory that cannot be listed now, a file that cannot be opened now.
pub(crate) fn hold(
    path: &Path,
    choose: &dyn Fn(&[Rotated]) -> Vec<Rotated>,
) -> io::Result<Vec<(PathBuf, Opened)>> {
    let same = |one: &Rotated, other: &Rotated| one.identity == other.identity && one.path == other.path;
    let mut chosen = choose(&files(path)?);
    for listing in 1.. {
        let mut opened = Vec::new();
        for file in &chosen {
            opened.extend(open_rotated(&file.path, &file.identity)?.map(|held| (file.path.clone(), held)));
        }
        let again = choose(&files(path)?);
        let is_still = again.len() == chosen.len() && again.iter().zip(&chosen).all(|(a, b)| same(a, b));
        if is_still || listing == MAX_LISTINGS {
            return Ok(opened);
        }
        chosen = again;
    }
    Ok(Vec::new())
}

/// Whether the newest of files has the largest number: logrotate counts the other way, others do not. When they
/// were written to decides; some of those times may mislead, for clocks are set.
fn counts_up(falling: &[Rotated]) -> bool {
    let with = |up: bool| {
        falling.windows(2).filter(|pair| pair[0].generation > pair[1].generation).filter(move |pair| {
            if up { pair[0].modified > pair[1].modified } else { pair[0].modified < pair[1].modified }
        })
    };
    let up = with(true).count();
    // Two files prove little: people copy them.
    up >= 2 && up > 2 * with(false).count()
}

/// Whether `sibling` is a name that a rotation of `path` gives.
pub(crate) fn is_rotated(path: &Path, sibling: &Path) -> bool {
    path.parent() == sibling.parent() && generation(path, sibling).is_some()
}

/// The names under which `path` may have been followed before it was rotated: `x.log` for `x.log.1`.
pub(crate) fn origins(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().map(OsStrExt::as_bytes) else { return Vec::new() };
    let starts = (1..name.len()).filter(|&at| generation_after(&name[at..]).is_some());
    starts.map(|at| path.with_file_name(std::ffi::OsString::from_vec(name[..at].to_vec()))).collect()
}

/// The path, and where it leads if it is a symlink: rotations happen where the file is.
fn places(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![path.to_owned()];
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        places.extend(fs::canonicalize(path));
    }
    places
}

type Beside = (PathBuf, Identity, u64, Timestamp);

fn beside(path: &Path) -> io::Result<Vec<Beside>> {
    fault::check()?;
    let Some(dir) = path.parent() else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_SIBLINGS) {
        let entry = entry?;
        let sibling = entry.path();
        // What is gone meanwhile has another name now, or none.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && sibling != path {
            found.push((sibling, Identity::of(&metadata), metadata.len(), modified(&metadata)));
        }
    }
    Ok(found)
}

fn rotated(path: &Path) -> io::Result<Vec<Rotated>> {
    let found = beside(path)?.into_iter().filter_map(|(sibling, identity, size, modified)| {
        let (generation, packed) = generation(path, &sibling)?;
        Some(Rotated { path: sibling, identity, size, modified, generation, packed })
    });
    Ok(found.collect())
}

/// The number in the name that a rotation gave, and whether the file is compressed; `None` for any other name.
fn generation(path: &Path, sibling: &Path) -> Option<(u64, bool)> {
    let (own, name) = (path.file_name()?.as_bytes(), sibling.file_name()?.as_bytes());
    let unpacked = PACKED.iter().find_map(|ending| name.strip_suffix(*ending));
    let (name, packed) = (unpacked.unwrap_or(name), unpacked.is_some());
    if let Some(generation) = name.strip_prefix(own).and_then(generation_after) {
        return Some((generation, packed));
    }
    // `app-20261120.log` of `app.log`.
    let dot = own.iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0)?;
    let between = name.strip_prefix(&own[..dot])?.strip_suffix(&own[dot..])?;
    Some((generation_after(between)?, packed))
}

/// The number that follows a log's name: `.1`, `-20261120`, `-20261120-1763600000`.
fn generation_after(suffix: &[u8]) -> Option<u64> {
    let (first, digits) = suffix.split_first()?;
    let plain = |b: &u8| b.is_ascii_digit() || b"-_.T:".contains(b);
    if !matches!(first, b'.' | b'-' | b'_') || !digits.first()?.is_ascii_digit() || !digits.iter().all(plain)
    {
        return None;
    }
    let number = digits.iter().filter(|b| b.is_ascii_digit());
    let number = number.fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')));
    // Who pads with zeros counts up, as dates do.
    let padded = digits.len() > 1 && digits[0] == b'0';
    Some(if padded { number.saturating_add(MAX_COUNT + 1) } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn names_that_a_rotation_gives() {
        for (name, expected) in [
            ("x.log.1", Some((1, false))),
            ("x.log.12", Some((12, false))),
            ("x.log.2.gz", Some((2, true))),
            ("x.log-20261120", Some((20_261_120, false))),
            ("x.log-20261120.zst", Some((20_261_120, true))),
            ("x.log.2026-11-20", Some((20_261_120, false))),
            ("x-20261120.log", Some((20_261_120, false))),
            ("x.3.log.gz", Some((3, true))),
            ("x.log", None),
            ("x.log.gz", None),
            ("x.log.err", None),
            ("x.log2", None),
            ("x2.log", None),
            ("y.log.1", None),
        ] {
            assert_eq!(generation(Path::new("/d/x.log"), &Path::new("/d").join(name)), expected, "{name}");
        }
        let hidden = generation(Path::new("/d/.hidden"), Path::new("/d/.hidden.1"));
        assert_eq!(hidden, Some((1, false)));
    }

    #[test]
    fn names_lead_back_to_where_they_came_from() {
        for (name, expected) in [
            ("x.log.1", &["x.log"][..]),
            ("x.log-20261120", &["x.log"]),
            ("x.log.2026-11-20", &["x.log", "x.log.2026", "x.log.2026-11"]),
            ("x.log", &[]),
            ("x-20261120.log", &[]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(|name| Path::new("/d").join(name)).collect();
            assert_eq!(origins(&Path::new("/d").join(name)), expected, "{name}");
        }
    }

    #[test]
    fn rotated_files_are_in_order_and_originals_before_their_compressed_form() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "x.log",
            "x.log.1",
            "x.log.10.gz",
            "x.log.2",
            "x.log.2.gz",
            "x.log.20261120",
            "x.log.20261119.gz",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<String> = files(&dir.path().join("x.log"))
            .unwrap()
            .iter()
            .map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(found, ["x.log.20261119.gz", "x.log.20261120", "x.log.10.gz", "x.log.2", "x.log.1"]);
    }

    #[test]
    fn a_compressed_file_stands_for_one_of_its_time_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x.log.1.gz", "x.log.2"] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        }
        let files = files(&dir.path().join("x.log")).unwrap();
        let [copy, packed] = &files[..] else { panic!("{files:?}") };
        let past = Past { identity: copy.identity, modified: copy.modified };
        assert!(copy.was(&past, &files) && !packed.was(&past, &files), "the copy is still there");
        assert!(packed.was(&past, std::slice::from_ref(packed)), "it was compressed");
    }

    #[test]
    fn files_that_are_renamed_while_they_are_opened_are_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["x.log.1", "x.log.2"] {
            fs::write(path(name), name).unwrap();
        }
        let listings = std::cell::Cell::new(0);
        let held = hold(&path("x.log"), &|files| {
            listings.set(listings.get() + 1);
            if listings.get() == 1 {
                // After the first listing, before anything is opened.
                fs::rename(path("x.log.2"), path("x.log.3")).unwrap();
                fs::rename(path("x.log.1"), path("x.log.2")).unwrap();
            }
            files.to_vec()
        });
        let names: Vec<PathBuf> = held.unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, [path("x.log.3"), path("x.log.2")]);
    }

    #[test]
    fn numbers_count_up_where_time_says_so() {
        for expected in [
            ["x.log.1", "x.log.2", "x.log.3"],
            ["x.log.3", "x.log.2", "x.log.1"],
            ["x.log-001", "x.log-002", "x.log-003"],
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (seconds, name) in expected.iter().enumerate() {
                let file = fs::File::create(dir.path().join(name)).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds as u64)).unwrap();
            }
            let found: Vec<_> =
                files(&dir.path().join("x.log")).unwrap().into_iter().map(|file| file.path).collect();
            assert_eq!(found, expected.map(|name| dir.path().join(name)));
        }
    }

    #[test]
    fn a_renamed_file_is_found_by_identity_also_where_a_symlink_leads() {
        let (dir, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, file) = (dir.path().join("x.log"), target.path().join("0.log"));
        fs::write(&file, "a").unwrap();
        let identity = Identity::of(&fs::metadata(&file).unwrap());
        fs_err::os::unix::fs::symlink(&file, &path).unwrap();
        fs::rename(&file, target.path().join("0.log.20261120")).unwrap();
        fs::write(&file, "b").unwrap();
        assert_eq!(find(&path, &identity).unwrap(), Some(target.path().join("0.log.20261120")));
        assert_eq!(files(&path).unwrap().len(), 1);
        assert_eq!(find(&path, &Identity { ino: identity.ino + 1_000_000, ..identity }).unwrap(), None);
    }
}
