//! The demo's files: appended to, and renamed away once they are large.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use fs_err as fs;
use taffrail_record::Timestamp;

use super::world::{File, Line};

/// A file of this size is renamed to `NAME.1`, in place of the one before.
pub(super) const SIZE_MAX: u64 = 8 << 20;

/// The open files, in the order of [`File::ALL`].
pub(super) struct Files {
    open: Vec<Open>,
    last_written: Option<Timestamp>,
    size_max: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    out: fs::File,
    size: u64,
}

impl Files {
    /// Opens the files in `dir`, which is made if need be.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Self::with_size(dir, SIZE_MAX)
    }

    /// As `open`, with another size to rotate at.
    pub(super) fn with_size(dir: &Path, size_max: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut last_written = None;
        let mut open = Vec::new();
        for file in File::ALL {
            let path = dir.join(file.name());
            if let Ok(metadata) = fs::metadata(&path) {
                let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let written = since.and_then(|since| i64::try_from(since.as_nanos()).ok()).map(Timestamp);
                last_written = last_written.max(written);
            }
            open.push(Open::append(file, path)?);
        }
        Ok(Self { open, last_written, size_max })
    }

    /// When an earlier demo last wrote one of the files.
    pub(super) fn last_written(&self) -> Option<Timestamp> {
        self.last_written
    }

    /// Appends lines.
    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        for open in &mut self.open {
            let of_file = lines.iter().filter(|line| line.file == open.file);
            let text: String = of_file.flat_map(|line| [line.text.as_str(), "\n"]).collect();
            if text.is_empty() {
                continue;
            }
            if open.size + text.len() as u64 > self.size_max {
                open.rotate()?;
            }
            open.out.write_all(text.as_bytes())?;
            open.size += text.len() as u64;
        }
        Ok(())
    }
}

impl Open {
    fn append(file: File, path: PathBuf) -> io::Result<Self> {
        let out = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let size = out.metadata()?.len();
        Ok(Self { file, path, out, size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        fs::rename(&self.path, old)?;
        *self = Self::append(self.file, self.path.clone())?;
        Ok(())
    }
}
