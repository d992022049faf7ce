//! One writer a data directory: a lock that the kernel drops when the process ends.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};

/// How long a new writer waits for readers that are about to finish.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lock; held until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: fs::File,
}

/// Whether other processes may read at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// This one writes: nobody else reads or writes.
    Exclusive,
    /// This one reads, as may others.
    Shared,
}

impl DirectoryLock {
    /// Takes the lock of a data directory, or says who has it.
    pub fn take(directory: &Path, share: Share) -> Result<Self> {
        let path = lock_path(directory);
        let mut file = match share {
            Share::Exclusive => {
                fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?
            }
            Share::Shared => fs::File::open(&path).map_err(|_| Error::Missing(directory.to_owned()))?,
        };
        let operation = match share {
            Share::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Share::Shared => FlockOperation::NonBlockingLockShared,
        };
        let patience = Instant::now() + PATIENCE;
        while flock(file.file(), operation).is_err() {
            let holder = holder(&mut file);
            // Readers leave their predecessor's name behind; only a writer that lives is worth no wait.
            let lives = holder.as_deref().is_some_and(is_alive);
            if lives || Instant::now() >= patience {
                let holder = holder.unwrap_or_else(|| "another process that reads it".to_owned());
                return Err(Error::InUse { path: directory.to_owned(), holder });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if share == Share::Exclusive {
            let name = std::env::args().take(2).collect::<Vec<_>>().join(" ");
            let name = format!("{name} (pid {})", std::process::id());
            // The name is for messages; a full disk must not stop the start for it.
            if let Err(error) = file.set_len(0).and_then(|()| file.write_all(name.as_bytes())) {
                tracing::warn!("{error}");
            }
        }
        Ok(Self { _file: file })
    }
}

/// Whether a writer has the directory right now.
pub fn is_locked(directory: &Path) -> bool {
    let Ok(file) = fs::File::open(lock_path(directory)) else { return false };
    flock(file.file(), FlockOperation::NonBlockingLockShared).is_err()
}

fn lock_path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

fn holder(file: &mut fs::File) -> Option<String> {
    use std::io::Seek as _;
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

fn is_alive(holder: &str) -> bool {
    let pid = holder.rsplit("(pid ").next().and_then(|rest| rest.trim_end_matches(')').parse::<u32>().ok());
    pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
}
