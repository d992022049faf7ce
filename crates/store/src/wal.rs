//! The write-ahead log: raw lines that are in no segment yet.
//!
//! Files `wal/NNNNNNNNNNNN.wal` hold frames: `length u32, CRC-32 u32, payload` (little-endian; [`frame`] is the
//! payload). A frame that was written survives the death of the process, one that was synced survives a
//! power cut. At a seal the log moves to a new file; the commit that stores the segment names the first file
//! that is still needed, and the older ones are removed.

pub mod frame;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use taffrail_record::RawBatch;

use crate::error::{Error, Result};

/// Longest payload that is written or believed.
const FRAME_BYTES_MAX: usize = 256 << 20;
const HEADER_BYTES: usize = 8;

/// The log being written.
#[derive(Debug)]
pub struct Wal {
    directory: PathBuf,
    number: u64,
    file: Arc<fs::File>,
    written: u64,
    /// Frames appended since the log was opened.
    sequence: u64,
    sync: Arc<Sync>,
}

/// The group commit: whoever comes first syncs for all who wrote before.
#[derive(Debug)]
pub struct Sync {
    state: Mutex<SyncState>,
    target: Mutex<(Arc<fs::File>, u64)>,
}

#[derive(Debug)]
struct SyncState {
    synced: u64,
    failed: Option<String>,
}

impl Sync {
    /// Returns once frame `sequence` is on the disk. After one failure all calls fail.
    pub fn wait(&self, sequence: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &state.failed {
            return Err(Error::Poisoned(failure.clone()));
        }
        if state.synced >= sequence {
            return Ok(());
        }
        let (file, reached) = self.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match file.sync_data() {
            Ok(()) => {
                state.synced = state.synced.max(reached);
                Ok(())
            }
            Err(error) => {
                state.failed = Some(error.to_string());
                Err(Error::Poisoned(error.to_string()))
            }
        }
    }
}

impl Wal {
    /// Starts file `number`, which must not exist, in `directory`.
    pub fn create(directory: &Path, number: u64) -> Result<Self> {
        let file = Arc::new(create_file(directory, number)?);
        let sync = Arc::new(Sync {
            state: Mutex::new(SyncState { synced: 0, failed: None }),
            target: Mutex::new((Arc::clone(&file), 0)),
        });
        Ok(Self { directory: directory.to_owned(), number, file, written: 0, sequence: 0, sync })
    }

    /// Number of the current file.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the current file.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// The handle that waits for the disk.
    pub fn sync_handle(&self) -> Arc<Sync> {
        Arc::clone(&self.sync)
    }

    /// Appends a frame; gives its sequence for [`Sync::wait`]. On `Err` the log may end in half a frame and
    /// must not be used any more.
    pub fn append(&mut self, payload: &[u8]) -> Result<u64> {
        if payload.len() > FRAME_BYTES_MAX {
            return Err(Error::Internal("a batch is larger than a WAL frame may be"));
        }
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        let mut file = self.file.file();
        file.write_all(&header)?;
        file.write_all(payload)?;
        self.written += (HEADER_BYTES + payload.len()) as u64;
        self.sequence += 1;
        let mut target = self.sync.target.lock().unwrap_or_else(PoisonError::into_inner);
        *target = (Arc::clone(&self.file), self.sequence);
        Ok(self.sequence)
    }

    /// Goes on in a new file and gives its number. The old one is synced first.
    pub fn rotate(&mut self) -> Result<u64> {
        self.sync.wait(self.sequence)?;
        self.number += 1;
        self.file = Arc::new(create_file(&self.directory, self.number)?);
        self.written = 0;
        let mut target = self.sync.target.lock().unwrap_or_else(PoisonError::into_inner);
        *target = (Arc::clone(&self.file), self.sequence);
        Ok(self.number)
    }
}

fn create_file(directory: &Path, number: u64) -> io::Result<fs::File> {
    let path = file_path(directory, number);
    let file = fs::OpenOptions::new().append(true).create_new(true).open(path)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(file)
}

/// Path of a log file.
pub fn file_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:012}.wal"))
}

/// The numbers of the log files in `directory`, rising.
pub fn files(directory: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = fs::read_dir(directory)?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".wal")?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a log file up to its first bad frame.
pub fn replay(path: &Path, each: &mut dyn FnMut(RawBatch, &str) -> Result<()>) -> Result<u64> {
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut reader = io::BufReader::with_capacity(1 << 18, file);
    let mut good = 0;
    while let Some(payload) = next_frame(&mut reader, size - good)? {
        let Some((batch, origin)) = frame::decode(&payload) else { break };
        good += (HEADER_BYTES + payload.len()) as u64;
        each(batch, &origin)?;
    }
    Ok(size - good)
}

fn next_frame(reader: &mut impl Read, left: u64) -> io::Result<Option<Vec<u8>>> {
    if left < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header)?;
    let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let crc = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    // A hole of zeroes must not pass for an endless row of empty frames.
    if len == 0 || len > FRAME_BYTES_MAX || (HEADER_BYTES + len) as u64 > left {
        return Ok(None);
    }
    let mut payload = vec![0; len];
    reader.read_exact(&mut payload)?;
    Ok((crc32fast::hash(&payload) == crc).then_some(payload))
}
