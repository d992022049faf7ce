//! A disk for tests: the machine's, but the n-th operation fails, tears, or is the last one before a power cut.
//!
//! A power cut takes what was not synced: bytes of files, names in directories. The kernel forgets bytes whose sync
//! failed, so a later sync of the same file brings nothing back. SQLite's own files do not go through here; what
//! it has committed, it has synced.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fs_err as fs;

use super::{Disk, DiskFile, File, RealDisk, Space};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Create,
    Open,
    Append,
    Sync,
    Cut,
    Read,
    Rename,
    Remove,
    List,
    CreateDirectory,
    SyncDirectory,
    Reserve,
    Commit,
}

/// How an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// EIO; a write leaves nothing behind.
    Io,
    /// EIO; a write leaves half of it behind.
    Torn,
    /// ENOSPC, for operations that take space; a write leaves half of it behind.
    Full,
}

/// Which operations fail: `count` of them from number `from` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub from: u64,
    pub count: u64,
    pub fault: Fault,
}

/// What a power cut leaves of bytes that were not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Nothing, nor names that were not synced.
    All,
    /// Half of each file's, and all names.
    Half,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    /// Operations under the plan; where it is about space, only those that take some.
    count: u64,
    failed: Vec<String>,
    /// Files that were made here, and how much of each is synced.
    files: HashMap<PathBuf, u64>,
    /// Files of which a sync failed.
    forgotten: HashSet<PathBuf>,
    /// What undoes the changes of names that are not synced, oldest first, with their directory.
    names: Vec<(PathBuf, Undo)>,
    /// Removed files in the attic.
    kept: u64,
    capacity: Option<u64>,
}

#[derive(Debug)]
enum Undo {
    /// It was not there.
    Created(PathBuf),
    /// It was there: here is its content.
    Removed {
        path: PathBuf,
        kept: PathBuf,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    /// Where removed files are kept until their removal is synced.
    attic: Arc<tempfile::TempDir>,
}

impl FaultyDisk {
    /// A disk without faults. `beside` is on the same filesystem as what is stored.
    pub(crate) fn new(beside: &Path) -> Self {
        let attic = Arc::new(tempfile::tempdir_in(beside).unwrap());
        Self { state: Arc::default(), attic }
    }

    /// From now on operations are counted anew and fail as planned.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        let mut state = self.state();
        (state.plan, state.count) = (plan, 0);
        state.failed.clear();
    }

    /// Makes it a disk of so many bytes, SQLite's not counted.
    pub(crate) fn limit(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// Operations since the last plan.
    pub(crate) fn count(&self) -> u64 {
        self.state().count
    }

    /// The operations that failed.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.state().failed.clone()
    }

    /// Takes away what was not synced. Nothing may be open.
    pub(crate) fn cut_power(&self, loss: Loss) {
        let mut state = self.state();
        state.plan = None;
        for (path, synced) in std::mem::take(&mut state.files) {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let left = match loss {
                Loss::All => synced,
                Loss::Half => synced + (metadata.len().saturating_sub(synced)) / 2,
            };
            if left < metadata.len() {
                fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
            }
        }
        let names = std::mem::take(&mut state.names);
        if loss == Loss::All {
            names.into_iter().rev().for_each(|(_, undo)| undo.apply());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts an operation; `Some` if it fails.
    fn fault(&self, kind: Kind, path: &Path) -> Option<(Fault, io::Error)> {
        let mut state = self.state();
        let plan = state.plan?;
        let takes_space = matches!(
            kind,
            Kind::Create | Kind::Append | Kind::CreateDirectory | Kind::Reserve | Kind::Commit
        );
        if plan.fault == Fault::Full && !takes_space {
            return None;
        }
        state.count += 1;
        if !(plan.from..plan.from.saturating_add(plan.count)).contains(&state.count) {
            return None;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        state.failed.push(format!("{kind:?} {name}"));
        let errno = if plan.fault == Fault::Full { 28 } else { 5 };
        Some((plan.fault, io::Error::from_raw_os_error(errno)))
    }

    fn enter(&self, kind: Kind, path: &Path) -> io::Result<()> {
        self.fault(kind, path).map_or(Ok(()), |(_, error)| Err(error))
    }

    fn used(directory: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(directory) else { return 0 };
        let entries = entries.filter_map(Result::ok);
        let bytes = |entry: fs::DirEntry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => Self::used(&entry.path()),
            Ok(metadata) if !entry.file_name().to_string_lossy().starts_with("taffrail.db") => metadata.len(),
            _ => 0,
        };
        entries.map(bytes).sum()
    }

    /// Whether `more` bytes fit on the disk of a file of a data directory.
    fn fits(&self, path: &Path, more: u64) -> io::Result<()> {
        let Some(capacity) = self.state().capacity else { return Ok(()) };
        let parent = path.parent().unwrap();
        let root = if parent.join("taffrail.db").exists() { parent } else { parent.parent().unwrap() };
        match Self::used(root) + more <= capacity {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(28)),
        }
    }
}

impl Undo {
    fn apply(self) {
        // What is gone again by itself needs no undoing.
        let _ = match self {
            Self::Created(path) => fs::remove_file(path),
            Self::Removed { path, kept } => fs::rename(kept, path),
            Self::Renamed { from, to } => fs::rename(to, from),
        };
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.enter(Kind::Create, path)?;
        let file = RealDisk.create(path)?;
        let mut state = self.state();
        state.files.insert(path.to_owned(), 0);
        state.forgotten.remove(path);
        state.names.push((parent(path), Undo::Created(path.to_owned())));
        Ok(Arc::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.enter(Kind::Open, path)?;
        let file = RealDisk.open(path)?;
        Ok(Arc::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn cut(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.enter(Kind::Cut, path)?;
        RealDisk.cut(path, bytes)?;
        self.state().files.entry(path.to_owned()).and_modify(|synced| *synced = bytes);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(Kind::Rename, from)?;
        if to.exists() {
            self.remember_removal(to);
        }
        RealDisk.rename(from, to)?;
        let mut state = self.state();
        if let Some(synced) = state.files.remove(from) {
            state.files.insert(to.to_owned(), synced);
        }
        state.names.push((parent(to), Undo::Renamed { from: from.to_owned(), to: to.to_owned() }));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.enter(Kind::Remove, path)?;
        self.remember_removal(path);
        RealDisk.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.enter(Kind::List, directory)?;
        RealDisk.list(directory)
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.enter(Kind::CreateDirectory, directory)?;
        RealDisk.create_directory(directory)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.enter(Kind::SyncDirectory, directory)?;
        self.state().names.retain(|(changed, _)| changed != directory);
        Ok(())
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.enter(Kind::Reserve, path)?;
        let before = fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.fits(path, bytes.saturating_sub(before))?;
        RealDisk.reserve(path, bytes)
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        let Some(total) = self.state().capacity else { return RealDisk.space(directory) };
        Ok(Space { total, available: total.saturating_sub(Self::used(directory)) })
    }

    fn commit(&self) -> io::Result<()> {
        self.enter(Kind::Commit, Path::new("catalog"))
    }
}

impl FaultyDisk {
    fn remember_removal(&self, path: &Path) {
        let mut state = self.state();
        state.kept += 1;
        let kept = self.attic.path().join(state.kept.to_string());
        fs::hard_link(path, &kept).unwrap();
        state.names.push((parent(path), Undo::Removed { path: path.to_owned(), kept }));
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: File,
}

impl DiskFile for FaultyFile {
    fn append(&self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.concat();
        let half = &bytes[..bytes.len() / 2];
        match self.disk.fault(Kind::Append, &self.path) {
            None => {}
            Some((Fault::Io, error)) => return Err(error),
            Some((Fault::Torn | Fault::Full, error)) => {
                self.file.append(&[half])?;
                return Err(error);
            }
        }
        if let Err(error) = self.disk.fits(&self.path, bytes.len() as u64) {
            if self.disk.fits(&self.path, half.len() as u64).is_ok() {
                self.file.append(&[half])?;
            }
            return Err(error);
        }
        self.file.append(parts)
    }

    fn sync(&self) -> io::Result<()> {
        let fault = self.disk.fault(Kind::Sync, &self.path);
        let size = self.file.bytes()?;
        let mut state = self.disk.state();
        if let Some((_, error)) = fault {
            state.forgotten.insert(self.path.clone());
            return Err(error);
        }
        if !state.forgotten.contains(&self.path) {
            state.files.entry(self.path.clone()).and_modify(|synced| *synced = size);
        }
        Ok(())
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.disk.enter(Kind::Cut, &self.path)?;
        self.file.cut(bytes)?;
        self.disk.state().files.entry(self.path.clone()).and_modify(|synced| *synced = (*synced).min(bytes));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.disk.enter(Kind::Read, &self.path)?;
        self.file.read_at(buffer, at)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}
