//! Finds what patterns mean on this machine, now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use walkdir::{DirEntry, WalkDir};

use crate::Error;
use crate::pattern::{Pattern, Patterns};
use crate::refusal::{self, Closed};

/// Directory entries looked at in one discovery, at most.
const MAX_ENTRIES: usize = 1_000_000;

/// What a set of patterns would follow now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Discovery {
    /// Files to follow, by path.
    pub files: Vec<PathBuf>,
    /// Paths that match but are not followed, with the reason.
    pub refused: Vec<(PathBuf, String)>,
    /// Paths that were named without a glob, where nothing is yet; they are followed when they appear.
    pub missing: Vec<PathBuf>,
    /// Whether there is more than the limits allow.
    pub truncated: bool,
}

/// Finds what `patterns` without `exclude` mean now, at most `max_files`, looking into each file's beginning.
///
/// # Errors
/// [`Error::Pattern`] names the pattern that is no glob.
pub fn discover(patterns: &[String], exclude: &[String], max_files: usize) -> Result<Discovery, Error> {
    let found = Found::walk(&Patterns::new(patterns, exclude)?, max_files);
    let mut out = Discovery { missing: found.missing, truncated: found.truncated, ..Discovery::default() };
    out.refused.extend(found.refused);
    out.refused.extend(found.unreadable);
    for path in found.files {
        match refusal::open(&path).and_then(|opened| Ok(refusal::is_binary(&opened)?)) {
            Ok(false) => out.files.push(path),
            Ok(true) => out.refused.push((path, refusal::BINARY.to_owned())),
            Err(Closed::Refused(reason)) => out.refused.push((path, reason)),
            Err(Closed::Failed(error)) => out.refused.push((path, error.to_string())),
            Err(Closed::Missing) => {}
        }
    }
    out.refused.sort();
    Ok(out)
}

/// What a walk over the directories found.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) refused: BTreeMap<PathBuf, String>,
    /// Directories that the system does not let us look into, with its words.
    pub(crate) unreadable: BTreeMap<PathBuf, String>,
    pub(crate) missing: Vec<PathBuf>,
    /// Directories in which a matching file could appear.
    pub(crate) dirs: BTreeSet<PathBuf>,
    /// Directories that patterns start in and that are not there yet.
    pub(crate) absent_roots: Vec<PathBuf>,
    pub(crate) truncated: bool,
    by_inode: HashMap<(u64, u64), PathBuf>,
    entries: usize,
}

impl Found {
    /// Walks every pattern. Never opens a file.
    pub(crate) fn walk(patterns: &Patterns, max_files: usize) -> Self {
        let mut found = Self::default();
        for pattern in &patterns.each {
            found.pattern(pattern, patterns, max_files);
        }
        found.files.sort();
        found
    }

    fn pattern(&mut self, pattern: &Pattern, patterns: &Patterns, max_files: usize) {
        if pattern.depth == 0 {
            self.dirs.extend(pattern.root.parent().map(Path::to_owned));
            if patterns.matches(&pattern.root) {
                self.consider(&pattern.root, max_files);
            }
            return;
        }
        let walk = WalkDir::new(&pattern.root).max_depth(pattern.depth).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| !patterns.excludes(entry.path())) {
            self.entries += 1;
            if self.entries > MAX_ENTRIES || self.files.len() >= max_files && self.truncated {
                self.truncated = true;
                return;
            }
            match entry {
                Ok(entry) => self.entry(&entry, pattern, patterns, max_files),
                Err(error) => self.unreadable(&error, &pattern.root),
            }
        }
    }

    fn entry(&mut self, entry: &DirEntry, pattern: &Pattern, patterns: &Patterns, max_files: usize) {
        let is_dir = entry.file_type().is_dir() || entry.depth() == 0;
        if is_dir && entry.depth() < pattern.depth {
            self.dirs.insert(entry.path().to_owned());
        }
        if entry.depth() > 0 && patterns.matches(entry.path()) {
            self.consider(entry.path(), max_files);
        }
    }

    fn unreadable(&mut self, error: &walkdir::Error, root: &Path) {
        let missing = error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if missing && error.depth() == 0 {
            self.absent_roots.push(root.to_owned());
        } else if !missing {
            let path = error.path().unwrap_or(root).to_owned();
            self.unreadable
                .insert(path, error.io_error().map_or_else(|| error.to_string(), ToString::to_string));
        }
    }

    /// Takes a matching path up, unless it is no file, compressed, or another name of a file that was taken up.
    pub(crate) fn consider(&mut self, path: &Path, max_files: usize) {
        if let Some(reason) = refusal::refused_name(path) {
            self.refused.insert(path.to_owned(), reason.to_owned());
            return;
        }
        let metadata = match fs::metadata(path).map_err(Closed::from) {
            Ok(metadata) => metadata,
            Err(Closed::Missing) => return self.missing.push(path.to_owned()),
            Err(_) => return self.take(path, max_files),
        };
        if let Some(reason) = refusal::refused_kind(&metadata.file_type()) {
            self.refused.insert(path.to_owned(), reason.to_owned());
            return;
        }
        match self.by_inode.get(&(metadata.dev(), metadata.ino())) {
            Some(first) if first == path => {}
            Some(first) => {
                self.refused.insert(path.to_owned(), format!("is the same file as {}", first.display()));
            }
            None => {
                self.by_inode.insert((metadata.dev(), metadata.ino()), path.to_owned());
                self.take(path, max_files);
            }
        }
    }

    /// The files that meet a condition, and everything else.
    pub(crate) fn split(mut self, is_first: impl Fn(&Path) -> bool) -> (Self, Self) {
        let (files, rest) = self.files.drain(..).partition(|path| is_first(path));
        let (missing, never) = self.missing.drain(..).partition(|path| is_first(path));
        (Self { files, missing, ..Self::default() }, Self { files: rest, missing: never, ..self })
    }

    fn take(&mut self, path: &Path, max_files: usize) {
        if self.files.len() < max_files {
            self.files.push(path.to_owned());
        } else {
            self.truncated = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(root: &Path, paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|p| p.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    fn discover_in(root: &Path, patterns: &[&str], exclude: &[&str], max_files: usize) -> Discovery {
        let absolute =
            |list: &[&str]| list.iter().map(|p| root.join(p).display().to_string()).collect::<Vec<_>>();
        discover(&absolute(patterns), &absolute(exclude), max_files).unwrap()
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("nginx/old")).unwrap();
        fs::create_dir_all(dir.path().join("store")).unwrap();
        for name in ["a.log", "b.log", "c.txt", "nginx/d.log", "nginx/old/e.log", "store/f.log", "a.log.1"] {
            fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
        }
        dir
    }

    #[test]
    fn globs_find_files() {
        let dir = tree();
        for (patterns, exclude, expected) in [
            (&["*.log"][..], &[][..], &["a.log", "b.log"][..]),
            (&["**/*.log"], &["store"], &["a.log", "b.log", "nginx/d.log", "nginx/old/e.log"]),
            (&["**/*.log"], &["**/old/**", "store/**"], &["a.log", "b.log", "nginx/d.log"]),
            (&["{a,c}.*"], &[], &["a.log", "a.log.1", "c.txt"]),
            (&["?.log", "a.log", "*/[de].log"], &[], &["a.log", "b.log", "nginx/d.log"]),
            (&["c.txt", "gone/*.log"], &[], &["c.txt"]),
        ] {
            let found = discover_in(dir.path(), patterns, exclude, 100);
            assert_eq!(names(dir.path(), &found.files), expected, "{patterns:?}");
            assert_eq!((found.refused, found.truncated), (Vec::new(), false), "{patterns:?}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "text\n").unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("wtmp"), [0; 384]).unwrap();
        fs::write(path("old.gz"), "x").unwrap();
        fs::create_dir_all(path("dir")).unwrap();
        fs::hard_link(path("a"), path("b-hard")).unwrap();
        symlink(path("a"), path("c-soft")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        symlink(dir.path(), path("loop")).unwrap();
        let found = discover_in(dir.path(), &["**", "later.log"], &[], 100);
        assert_eq!(names(dir.path(), &found.files), ["a", "empty"]);
        let refused: Vec<(String, &str)> = found
            .refused
            .iter()
            .map(|(p, reason)| (p.strip_prefix(dir.path()).unwrap().display().to_string(), reason.as_str()))
            .collect();
        let same = format!("is the same file as {}", path("a").display());
        let expected = [
            ("b-hard", same.as_str()),
            ("c-soft", &same),
            ("dir", "is a directory: follow `DIR/*` or `DIR/**/*.log` instead"),
            ("loop", "is a directory: follow `DIR/*` or `DIR/**/*.log` instead"),
            ("old.gz", "compressed: use `taffrail import`"),
            ("wtmp", "looks binary: only text is followed"),
        ];
        assert_eq!(refused, expected.map(|(p, r)| (p.to_owned(), r)));
        assert_eq!(names(dir.path(), &found.missing), ["dangling", "later.log"]);
    }

    #[test]
    fn too_many_files_are_cut_off_and_said_so() {
        let dir = tree();
        let found = discover_in(dir.path(), &["**/*.log"], &[], 2);
        assert_eq!((found.files.len(), found.truncated), (2, true));
    }
}
