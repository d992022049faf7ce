//! Where the kernel's files are.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Most of a file that is read at once: 100,000 network interfaces are 13 MiB.
const BYTES_MAX: u64 = 16 << 20;
/// What is read at once of one that is read line by line.
const CHUNK_BYTES: usize = 32 << 10;

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

    /// Hands over each line of a file below `/proc`, which may be of any length.
    pub(crate) fn each_line(&self, name: &str, mut take: impl FnMut(&str)) -> Result<()> {
        let mut file = BufReader::with_capacity(CHUNK_BYTES, fs::File::open(self.proc.join(name))?);
        let mut line = Vec::new();
        while file.by_ref().take(CHUNK_BYTES as u64).read_until(b'\n', &mut line)? > 0 {
            if let Ok(line) = std::str::from_utf8(&line) {
                take(line);
            }
            line.clear();
        }
        Ok(())
    }

    /// The first line of a small file below `/sys`; `None` if it is not there or may not be read.
    pub(crate) fn sys(&self, name: impl AsRef<Path>) -> Option<String> {
        Some(text(&self.sys.join(name)).ok()?.lines().next()?.trim().to_owned())
    }
}

/// The text of a file; bytes that are none are replaced.
pub(crate) fn text(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::with_capacity(4 << 10);
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let message = format!("{}: more than {BYTES_MAX} bytes", path.display());
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
