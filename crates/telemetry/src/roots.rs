//! Where the kernel's files are.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Most of a file that is read: 100,000 sockets are 15 MiB.
const BYTES_MAX: u64 = 16 << 20;

/// The two folders in which the kernel tells about the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roots {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// Why a part of a sample is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be read; the message names the file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It says something else than it should.
    #[error("{}: not as the kernel writes it", .0.display())]
    Format(PathBuf),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Roots {
    /// The text of a file below `/proc`, and its path.
    pub(crate) fn proc(&self, name: &str) -> Result<(PathBuf, String)> {
        let path = self.proc.join(name);
        Ok((path.clone(), text(&path)?))
    }

    /// The first line of a small file below `/sys`; `None` if it is not there or may not be read.
    pub(crate) fn sys(&self, name: impl AsRef<Path>) -> Option<String> {
        Some(text(&self.sys.join(name)).ok()?.lines().next()?.trim().to_owned())
    }
}

/// The text of a file; bytes that are none are replaced.
pub(crate) fn text(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::with_capacity(4 << 10);
    fs::File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
