//! inotify on directories: which paths changed since the last look.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// The kernel's queue holds 16,384 events by default; this many bytes are taken from it at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A file was written to, or its name appeared or vanished.
    Path(PathBuf),
    /// Directories changed, or events were lost: look at everything again.
    Tree,
}

/// Watched directories.
#[derive(Debug)]
pub(crate) struct Watch {
    fd: OwnedFd,
    /// A directory can be reached by several paths.
    dirs: HashMap<i32, Vec<PathBuf>>,
}

impl Watch {
    pub(crate) fn new() -> Result<Self, Errno> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { fd, dirs: HashMap::new() })
    }

    /// Watches `dir`; again if it was removed and recreated.
    pub(crate) fn add(&mut self, dir: &Path) -> Result<(), Errno> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let wd = inotify::add_watch(&self.fd, dir, flags)?;
        let paths = self.dirs.entry(wd).or_default();
        if !paths.iter().any(|path| path == dir) {
            paths.push(dir.to_owned());
        }
        Ok(())
    }

    /// Everything that happened since the last call.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(self.fd.as_fd(), &mut buffer);
        let (mut out, mut ended) = (Vec::new(), Vec::new());
        // WOULDBLOCK ends it; so does anything else, after which the periodic scan goes on.
        while let Ok(event) = reader.next() {
            let flags = event.events();
            let name = event.file_name().filter(|_| !flags.contains(ReadFlags::ISDIR));
            if flags.contains(ReadFlags::IGNORED) {
                ended.push(event.wd());
            }
            match name {
                Some(name) => {
                    let name = OsStr::from_bytes(name.to_bytes());
                    let dirs = self.dirs.get(&event.wd()).into_iter().flatten();
                    dirs.for_each(|dir| note(&mut out, Change::Path(dir.join(name))));
                }
                None => note(&mut out, Change::Tree),
            }
        }
        for wd in ended {
            self.dirs.remove(&wd);
        }
        out
    }
}

/// Identical events in a row are one; equal ones further apart are told apart by whoever acts on them.
fn note(changes: &mut Vec<Change>, change: Change) {
    if changes.last() != Some(&change) {
        changes.push(change);
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    #[test]
    fn changes_name_paths() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "").unwrap();
        let mut watch = Watch::new().unwrap();
        watch.add(dir.path()).unwrap();
        assert_eq!(watch.changes(), []);
        fs::write(&a, "text").unwrap();
        assert_eq!(watch.changes(), [Change::Path(a.clone())]);
        fs::rename(&a, &b).unwrap();
        assert_eq!(watch.changes(), [Change::Path(a), Change::Path(b)]);
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert_eq!(watch.changes(), [Change::Tree]);
        assert_eq!(watch.add(&dir.path().join("none")), Err(Errno::NOENT));
    }
}
