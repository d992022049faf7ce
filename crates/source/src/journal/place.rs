//! Where journal files are, and whether there are any.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{Access, access};

use crate::Error;
use crate::discover::Found;
use crate::pattern::Patterns;

/// Where a machine's own journal is: kept over boots, and not.
const MACHINE: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// Journal files looked at, at most.
const FILES_MAX: usize = 10_000;

/// The journal files that a source reads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum JournalPlace {
    /// This machine's.
    #[default]
    Machine,
    /// Those in a directory and in the directories right below it.
    Directory(PathBuf),
    /// Those that paths and globs name.
    Files(Vec<String>),
}

/// What is at a place now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Look {
    /// What `journalctl` does not notice by itself when it changes while it runs.
    unnoticed: BTreeSet<PathBuf>,
    /// Journal files.
    pub(super) files: usize,
    /// Those that we may not read.
    pub(super) unreadable: usize,
}

impl JournalPlace {
    /// The place that paths of a config mean: one directory, or files.
    pub fn of_paths(paths: &[String]) -> Self {
        match paths {
            [] => Self::Machine,
            [path] if !path.contains(['*', '?', '[', '{']) && !is_journal(Path::new(path)) => {
                Self::Directory(PathBuf::from(path))
            }
            paths => Self::Files(paths.to_vec()),
        }
    }

    /// For messages and for the source's name.
    pub fn describe(&self) -> String {
        match self {
            Self::Machine => "this machine's journal".to_owned(),
            Self::Directory(path) => path.display().to_string(),
            Self::Files(files) => files.join(" "),
        }
    }

    /// Whether there is a journal that we may read now.
    pub fn is_readable(&self) -> bool {
        self.look().is_ok_and(|look| look.files > look.unreadable)
    }

    /// Journal files that are there now.
    pub fn files(&self) -> usize {
        self.look().map_or(0, |look| look.files)
    }

    /// How `journalctl` is told.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let flag = |name: &str, value: &Path| {
            let mut flag = OsString::from(name);
            flag.push(value);
            flag
        };
        match self {
            Self::Machine => Vec::new(),
            Self::Directory(path) => vec![flag("--directory=", path)],
            Self::Files(files) => files.iter().map(|file| flag("--file=", Path::new(file))).collect(),
        }
    }

    pub(super) fn look(&self) -> Result<Look, Error> {
        let mut look = Look::default();
        match self {
            Self::Machine => MACHINE.iter().for_each(|root| look.root(Path::new(root))),
            Self::Directory(path) => look.root(path),
            Self::Files(files) => {
                let found = Found::walk(&Patterns::new(files, &[])?, FILES_MAX);
                for path in found.files {
                    look.file(&path);
                    // A rotated file has another name; its successor is not noticed.
                    look.unnoticed.insert(path);
                }
            }
        }
        Ok(look)
    }
}

impl Look {
    /// A directory of machines' directories; files may also stand in it.
    fn root(&mut self, root: &Path) {
        let Ok(entries) = fs::read_dir(root) else { return };
        self.unnoticed.insert(root.to_owned());
        for path in entries.flatten().map(|entry| entry.path()).take(FILES_MAX) {
            if is_journal(&path) {
                self.file(&path);
            } else if let Ok(below) = fs::read_dir(&path) {
                self.unnoticed.insert(path);
                let files = below.flatten().map(|entry| entry.path()).filter(|path| is_journal(path));
                files.take(FILES_MAX).for_each(|path| self.file(&path));
            }
        }
    }

    fn file(&mut self, path: &Path) {
        self.files += 1;
        self.unreadable += usize::from(access(path, Access::READ_OK).is_err());
    }

    /// Whether `journalctl` has to be started again to see what is here now.
    pub(super) fn needs_restart(&self, then: &Self) -> bool {
        self.unnoticed != then.unnoticed
    }
}

/// Whether a file is a journal by its name; `~` marks one that was not closed properly.
fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "journal" || extension == "journal~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_a_directory_or_files() {
        let list = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        for (paths, want) in [
            (&[][..], JournalPlace::Machine),
            (&["/var/log/journal/remote"], JournalPlace::Directory("/var/log/journal/remote".into())),
            (&["/j/*.journal"], JournalPlace::Files(list(&["/j/*.journal"]))),
            (&["/j/a.journal~"], JournalPlace::Files(list(&["/j/a.journal~"]))),
            (&["/a", "/b"], JournalPlace::Files(list(&["/a", "/b"]))),
        ] {
            assert_eq!(JournalPlace::of_paths(&list(paths)), want);
        }
    }

    #[test]
    fn what_journalctl_would_not_notice_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let directory = JournalPlace::Directory(path("j"));
        assert!(directory.files() == 0);
        let nothing = directory.look().unwrap();
        fs::create_dir_all(path("j/machine")).unwrap();
        let empty = directory.look().unwrap();
        assert!(empty.needs_restart(&nothing) && empty.files == 0);
        for name in
            ["j/machine/system.journal", "j/machine/user@1.journal~", "j/a.journal", "j/machine/x.txt"]
        {
            fs::write(path(name), "").unwrap();
        }
        let full = directory.look().unwrap();
        assert!(!full.needs_restart(&empty), "journalctl watches directories itself");
        assert_eq!((full.files, directory.files(), directory.is_readable()), (3, 3, true));
        let files = JournalPlace::Files(vec![path("j/*.journal").display().to_string()]);
        let one = files.look().unwrap();
        assert_eq!(one.files, 1);
        fs::rename(path("j/a.journal"), path("j/a@0.journal")).unwrap();
        assert!(files.look().unwrap().needs_restart(&one));
    }
}
