//! The write-ahead log: raw lines that are in no segment yet.
//!
//! Files `wal/NNNNNNNNNNNN.wal` hold frames: `length u32, CRC-32 u32, payload` (little-endian; [`Frame`] is the
//! payload). A frame that was written survives the death of the process, one that was synced survives a
//! power cut ([`Sync`]). At a seal the log moves to a new file; the commit that stores the segment names the
//! first file that is still needed, and the older ones are removed.

mod sync;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taffrail_record::RawBatch;

pub use self::sync::Sync;
use crate::disk::{Disk, File, Reader};
use crate::error::{Error, Result};
pub use taffrail_frame::Frame;

/// Longest payload that is written or believed.
const FRAME_BYTES_MAX: usize = 256 << 20;
/// Bytes before each payload.
pub(crate) const HEADER_BYTES: usize = 8;

/// The log being written.
#[derive(Debug)]
pub struct Wal {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// Of the current file, or of the next where there is none.
    number: u64,
    /// Made with the first frame that goes into it: a full disk stops no seal and no start.
    file: Option<File>,
    written: u64,
    /// Frames appended since the log was opened.
    sequence: u64,
    sync: Arc<Sync>,
}

impl Wal {
    /// A log in `directory` whose next file is `number`, which must not exist.
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: PathBuf, number: u64) -> Self {
        Self { disk, directory, number, file: None, written: 0, sequence: 0, sync: Arc::default() }
    }

    /// Bytes of the current file.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Frames appended so far.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Waits for the disk.
    pub(crate) fn sync(&self) -> &Arc<Sync> {
        &self.sync
    }

    /// Appends a frame, whose payload comes in two parts; gives its sequence for [`Sync::sync`]. On `Err` the log is as it was,
    /// or broken. A broken log must not be appended to: what comes after a lost frame would leave a hole behind.
    pub(crate) fn append(&mut self, [head, bytes]: [&[u8]; 2]) -> Result<u64> {
        let len = head.len() + bytes.len();
        if len > FRAME_BYTES_MAX {
            return Err(Error::Internal("a batch is larger than a WAL frame may be"));
        }
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(head);
        checksum.update(bytes);
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&(len as u32).to_le_bytes());
        header[4..].copy_from_slice(&checksum.finalize().to_le_bytes());
        let file = self.file()?;
        if let Err(error) = file.append(&[&header, head, bytes]) {
            // Half a frame would hide all that comes after it.
            if let Err(again) = file.cut(self.written) {
                self.sync.give_up(self.sequence, format!("{error}, and {again}"));
            }
            return Err(error.into());
        }
        self.written += (HEADER_BYTES + len) as u64;
        self.sequence += 1;
        self.sync.aim(Some((file, self.sequence)));
        Ok(self.sequence)
    }

    fn file(&mut self) -> Result<File> {
        if let Some(file) = &self.file {
            return Ok(File::clone(file));
        }
        let file = self.disk.create(&file_path(&self.directory, self.number))?;
        if let Err(error) = self.disk.sync_directory(&self.directory) {
            // Empty and in nobody's way; the next seal removes it.
            self.number += 1;
            return Err(error.into());
        }
        self.file = Some(File::clone(&file));
        Ok(file)
    }

    /// Goes on in a new file and gives its number. The old one is synced first; where that fails the log is
    /// broken until what is in it is stored otherwise.
    pub(crate) fn rotate(&mut self) -> u64 {
        if let Err(cause) = self.sync.sync(self.sequence) {
            tracing::debug!("the log cannot be synced before its rotation: {cause}");
        }
        if self.file.take().is_some() {
            self.number += 1;
        }
        self.written = 0;
        self.sync.aim(None);
        self.number
    }
}

/// Path of a log file.
pub fn file_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:012}.wal"))
}

/// The numbers of the log files in `directory`, rising.
pub(crate) fn files(disk: &dyn Disk, directory: &Path) -> Result<Vec<u64>> {
    let names = disk.list(directory)?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(".wal")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// What a log file held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replayed {
    /// Bytes up to its first bad frame.
    pub good: u64,
    /// Bytes from there on.
    pub lost: u64,
}

/// Reads a log file up to its first bad frame.
pub(crate) fn replay(
    disk: &dyn Disk,
    path: &Path,
    each: &mut dyn FnMut(RawBatch, &str) -> Result<()>,
) -> Result<Replayed> {
    let file = disk.open(path)?;
    let size = file.bytes()?;
    let mut reader = io::BufReader::with_capacity(1 << 18, Reader::new(file, 0));
    let mut good = 0;
    while let Some(payload) = next_frame(&mut reader, size - good)? {
        let Some((batch, origin)) = taffrail_frame::decode(&payload) else { break };
        good += (HEADER_BYTES + payload.len()) as u64;
        each(batch, &origin)?;
    }
    Ok(Replayed { good, lost: size - good })
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
