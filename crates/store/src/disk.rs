//! The filesystem under the store: all files but SQLite's and the lock are touched through [`Disk`].
//!
//! It has no more operations than the store needs, so that a test can let each of them fail (`faulty`).
//! Everywhere else it is [`RealDisk`]; the call through the trait is nothing beside the call to the system.

#[cfg(test)]
pub(crate) mod faulty;

use std::fmt::Debug;
use std::io::{self, IoSlice, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use fs_err::os::unix::fs::FileExt as _;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// Zeroes that are written at a time where a filesystem cannot allocate.
static ZEROES: [u8; 1 << 16] = [0; 1 << 16];

/// A filesystem. Errors name the path.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Creates a file, which must not exist, to append to.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Opens a file to read.
    fn open(&self, path: &Path) -> io::Result<File>;
    /// Cuts a file down to its first `bytes`, durably.
    fn cut(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Gives a file another name; one that has it is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a directory; those that are not UTF-8 are none of ours.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Creates a directory and those above it, where they are missing.
    fn create_directory(&self, directory: &Path) -> io::Result<()>;
    /// Returns once the names in a directory survive a power cut.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Makes a file of exactly this size whose blocks are taken, or says that there are not enough; its
    /// size is as before then.
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Size of the filesystem and what is free on it.
    fn space(&self, directory: &Path) -> io::Result<Space>;
    /// Asked before each transaction of the catalog, whose files SQLite writes itself.
    fn commit(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An open file; its users share it.
pub(crate) type File = Arc<dyn DiskFile>;

/// What can be done with an open file.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Writes all of `parts`, one after the other, at the end; on `Err` a part of them may stand there.
    fn append(&self, parts: &[&[u8]]) -> io::Result<()>;
    /// Returns once all that was appended survives a power cut. After an `Err` it never will for sure, even if
    /// a later call returns: the kernel may have dropped what it could not write.
    fn sync(&self) -> io::Result<()>;
    /// Cuts it down to its first `bytes`.
    fn cut(&self, bytes: u64) -> io::Result<()>;
    /// Reads some bytes at a position; none at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    /// Its size.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills the buffer from a position.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], at + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a filesystem holds, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// All of it.
    pub total: u64,
    /// What is free for everyone.
    pub available: u64,
}

/// The machine's filesystem.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        Ok(Arc::new(fs::OpenOptions::new().append(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        Ok(Arc::new(fs::File::open(path)?))
    }

    fn cut(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(bytes)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        fs::File::open(directory)?.sync_all()
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let before = file.metadata()?.len();
        if bytes <= before {
            return file.set_len(bytes);
        }
        allocate(&file, before, bytes).or_else(|error| {
            file.set_len(before)?;
            Err(error)
        })
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(directory)?;
        Ok(Space { total: found.f_blocks * found.f_frsize, available: found.f_bavail * found.f_frsize })
    }
}

fn allocate(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file.file(), FallocateFlags::empty(), from, to - from) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        other => return Ok(other?),
    }
    let mut at = from;
    while at < to {
        let count = (to - at).min(ZEROES.len() as u64);
        file.write_all_at(&ZEROES[..count as usize], at)?;
        at += count;
    }
    Ok(())
}

impl DiskFile for fs::File {
    fn append(&self, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self;
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut written = match file.write_vectored(&slices) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            written => written?,
        };
        for part in parts {
            let done = written.min(part.len());
            file.write_all(&part[done..])?;
            written -= done;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        fs_err::os::unix::fs::FileExt::read_at(self, buffer, at)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// A file that remembers why it could not be read, for readers that keep only the text of an error.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    failure: Mutex<Option<io::Error>>,
}

impl Witness {
    pub(crate) fn new(file: File) -> Arc<Self> {
        Arc::new(Self { file, failure: Mutex::default() })
    }

    /// The file itself.
    pub(crate) fn file(&self) -> File {
        File::clone(&self.file)
    }

    /// The first failure of a read.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl DiskFile for Witness {
    fn append(&self, parts: &[&[u8]]) -> io::Result<()> {
        self.file.append(parts)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.cut(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at).map_err(|error| {
            let text = io::Error::new(error.kind(), error.to_string());
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            text
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}

/// Writes at the end of a file.
#[derive(Debug)]
pub(crate) struct Appender(pub File);

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(&[bytes])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file on from a position; readers share the file.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    at: u64,
}

impl Reader {
    pub(crate) fn new(file: File, at: u64) -> Self {
        Self { file, at }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
