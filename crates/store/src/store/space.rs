//! Room on the disk: a reserve for the moment when there is none, and which segments go then.
//!
//! The reserve is a file of [`RESERVE_BYTES`]. On a full disk it gives way to the seal that frees the log, and to
//! the commit that deletes. Appends wait until it stands again *and* what they need is free beside it, so it is
//! never used up by what comes in.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Shared, Store};
use crate::catalog::Dropped;
use crate::compaction;
use crate::disk::{Disk, Space};
use crate::error::Result;

/// Size of the file `reserve`: room for the segment of a full memtable and a commit.
pub(super) const RESERVE_BYTES: u64 = 4 << 20;
/// Segments are given up for space only as long as the store keeps this part of the filesystem: below it somebody
/// else fills the disk, and would fill what is given up as well.
const KEPT_SHARE: u64 = 8;
/// Free space that the store keeps while it fills the disk itself: this many memtables, or this part of the
/// filesystem, whichever is less.
const HEADROOM_MEMTABLES: u64 = 2;
const HEADROOM_SHARE: u64 = 8;

/// A merged segment is at most this part of the filesystem.
const MERGED_SHARE: u64 = 16;

/// Disk space that is held for bad times.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf, bytes: u64) -> Self {
        Self { disk, path, bytes }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the reserve, and shows that `room` bytes are free beside it.
    pub(super) fn hold(&self, room: u64) -> Result<()> {
        if self.bytes + room > 0 {
            self.disk.reserve(&self.path, self.bytes + room)?;
        }
        match self.bytes {
            0 => self.give(),
            bytes => Ok(self.disk.reserve(&self.path, bytes)?),
        }
    }

    /// Gives its space to whoever writes next.
    pub(super) fn give(&self) -> Result<()> {
        if self.path.exists() {
            self.disk.remove(&self.path)?;
        }
        Ok(())
    }

    /// Whether `room` bytes are free; what was held is given.
    pub(super) fn has(&self, room: u64) -> bool {
        self.disk.reserve(&self.path, room).and_then(|()| self.disk.remove(&self.path)).is_ok()
    }
}

impl Store {
    /// Does a small work that must succeed on a full disk, too: the reserve gives way to it.
    pub fn lend_reserve<T>(&self, work: impl FnOnce() -> T) -> T {
        let given = self.shared.reserve.give();
        let done = work();
        if let Err(error) = given.and_then(|()| self.shared.reserve.hold(0)) {
            tracing::debug!("the reserve is taken again when there is space: {error}");
        }
        done
    }
}

impl Shared {
    /// `None` where the filesystem does not tell.
    fn space(&self) -> Option<Space> {
        self.disk.space(&self.directory).ok().filter(|space| space.total > 0)
    }

    /// Removes what retention says, then the oldest segments, until `needed` bytes are free or too little of
    /// the store would be left. `known_full`: whatever the filesystem says, something did not fit.
    pub(super) fn make_room(&self, needed: u64, known_full: bool) -> Result<()> {
        self.retain()?;
        let Some(space) = self.space() else { return Ok(()) };
        let short = match needed.saturating_sub(space.available) {
            // A quota, or blocks that only root may use.
            0 if known_full => needed,
            short => short,
        };
        let oldest = compaction::oldest(&self.view().segments, short, space.total / KEPT_SHARE);
        if oldest.is_empty() {
            return Ok(());
        }
        let dropped = Dropped {
            records: oldest.iter().map(|segment| segment.meta.rows).sum(),
            bytes: oldest.iter().map(|segment| segment.meta.bytes()).sum(),
        };
        self.replace(&oldest, None, dropped)?;
        let mut writer = self.writer();
        writer.dropped.records += dropped.records;
        writer.dropped.bytes += dropped.bytes;
        tracing::warn!(
            "the disk under {} is nearly full: the oldest {} records ({} bytes) were deleted to make room; with \
             a smaller retention.max_size it would not come to this",
            self.directory.display(),
            dropped.records,
            dropped.bytes
        );
        Ok(())
    }

    /// Keeps some room free before anything fails, as long as it is this store that fills the disk.
    pub(super) fn keep_headroom(&self) -> Result<()> {
        let Some(space) = self.space() else { return Ok(()) };
        let headroom = self.headroom(space);
        if space.available < headroom { self.make_room(headroom, false) } else { Ok(()) }
    }

    /// Whether a merge that reads so many bytes can write as many, and gives no segment that is too large to be
    /// given up for the next ones.
    pub(super) fn has_room_to_merge(&self, bytes: u64) -> bool {
        self.space().is_none_or(|space| {
            space.available >= bytes + self.headroom(space) && bytes <= space.total / MERGED_SHARE
        })
    }

    fn headroom(&self, space: Space) -> u64 {
        let memtables = HEADROOM_MEMTABLES * self.limits.memtable_bytes as u64;
        memtables.min(space.total / HEADROOM_SHARE)
    }
}
