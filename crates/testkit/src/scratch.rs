//! A folder for one test, gone when the test is.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// An empty folder that is removed on drop.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// Creates the folder in the system's temporary place.
    ///
    /// # Errors
    /// If the place is full or not writable.
    pub fn new() -> io::Result<Self> {
        tempfile::Builder::new().prefix("taffrail-").tempdir().map(|folder| Self { folder })
    }

    /// Creates the folder below `parent`, which is made if it is missing.
    ///
    /// # Errors
    /// If `parent` cannot be made or written to.
    pub fn inside(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        tempfile::Builder::new().prefix("taffrail-").tempdir_in(parent).map(|folder| Self { folder })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside the folder; nothing is created.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, over what was there, with the folders above it.
    ///
    /// # Errors
    /// Those of the filesystem.
    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Appends to a file, which is made if it is missing.
    ///
    /// # Errors
    /// Those of the filesystem.
    pub fn append(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let path = self.join(name);
        fs::OpenOptions::new().append(true).create(true).open(&path)?.write_all(bytes.as_ref())?;
        Ok(path)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// Those of the filesystem.
    pub fn read(&self, name: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        fs::read(self.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_appends_and_goes_away() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.write("deep/a.log", "one\n").unwrap();
        scratch.append("deep/a.log", "two\n").unwrap();
        assert_eq!(scratch.read("deep/a.log").unwrap(), b"one\ntwo\n");
        assert!(path.starts_with(scratch.path()));
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn makes_its_parent() {
        let outer = Scratch::new().unwrap();
        let inner = Scratch::inside(&outer.join("not/yet")).unwrap();
        assert!(inner.path().starts_with(outer.path()));
    }
}
