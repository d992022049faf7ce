//! Reads at a position of a file, which move nothing: many may read the same descriptor.

use std::io;

use fs_err::File;
use rustix::buffer::spare_capacity;
use rustix::fs::{SeekFrom, seek};
use rustix::io::{Errno, pread};

use crate::fault;

/// Zeros are looked at in blocks of this size, so many in one go.
const ZERO_BLOCK_BYTES: usize = 4096;
const ZERO_BLOCKS: usize = 4096;

/// The first byte that is not zero, or how far there are only zeros; and whether it was found.
pub(crate) fn first_data(file: &File, from: u64) -> io::Result<(u64, bool)> {
    let mut at = from;
    let mut block = Vec::with_capacity(ZERO_BLOCK_BYTES);
    for _ in 0..ZERO_BLOCKS {
        match seek(file, SeekFrom::Data(at)) {
            Ok(data) => at = data,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => return Ok((file.metadata()?.len().max(at), false)),
            // The file system knows no holes.
            Err(_) => {}
        }
        block.clear();
        if read_at(file, &mut block, at)? == 0 {
            return Ok((at, false));
        }
        match block.iter().position(|b| *b != 0) {
            Some(index) => return Ok((at + index as u64, true)),
            None => at += block.len() as u64,
        }
    }
    Ok((at, false))
}

/// Reads into the spare capacity of `out`.
pub(crate) fn read_at(file: &File, out: &mut Vec<u8>, position: u64) -> io::Result<usize> {
    fault::check()?;
    loop {
        match pread(file, spare_capacity(out), position) {
            Err(Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// `len` bytes at `position`; `None` if the file ends before them.
pub(crate) fn read_exactly(file: &File, position: u64, len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let at = position + out.len() as u64;
        if read_at(file, &mut out, at)? == 0 {
            return Ok(None);
        }
    }
    out.truncate(len);
    Ok(Some(out))
}
