//! The thread that turns full memtables into segments, keeps segments few and within the limits, and gets the
//! store out of trouble.

use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use taffrail_record::Timestamp;

use super::trouble::{ROOM_BYTES_MIN, Trouble};
use super::{Sealing, Shared};
use crate::catalog::{Commit, Dropped};
use crate::compaction;
use crate::error::Result;
use crate::index::{GRANULE_ROWS, ROW_GROUP_ROWS};
use crate::segment::Segment;
use crate::segment::writer::{Origin, SegmentWriter, Shape};
use crate::{align, wal};

/// A log of this size is worth a segment when the disk is full.
const LOG_WORTH_SEALING: u64 = 1 << 20;
/// Raw lines are about so many times as large as their segment.
const RAW_PER_SEGMENT: u64 = 8;
/// After so many seals that took more than expected, each expected to be twice as large, no larger one is.
const MISJUDGED_MAX: u32 = 4;
/// What a small segment and its commit take.
const SMALL_SEGMENT_BYTES: u64 = 256 << 10;

/// What there is to do next.
enum Task {
    Seal(Arc<Sealing>),
    /// The disk is full.
    Relieve,
    /// Nothing happened for a while.
    Maintain,
    /// It failed; wait before the next.
    Pause,
    Stop,
}

/// How a seal went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Done,
    /// There was no space for it.
    Full,
    Failed,
}

struct Sealer<'a> {
    shared: &'a Shared,
    /// The segment of the sealing memtable, when only its commit is missing. A commit that failed may have
    /// reached the disk all the same, so its segment must stay.
    sealed: Option<Arc<Segment>>,
    /// The columns of the segment that was sealed last.
    shape: Option<Arc<Shape>>,
    /// A merge of which only the commit is missing: as above.
    merged: Option<Merged>,
    /// How often the next seal was too large for the space that it was expected to take.
    misjudged: u32,
}

/// Segments, and the one that is to take their place.
struct Merged {
    inputs: Vec<Arc<Segment>>,
    output: Arc<Segment>,
}

/// The sealer's loop; ends when the store is stopping and nothing waits that can be done.
pub(super) fn run(shared: &Shared) {
    let mut sealer = Sealer { shared, sealed: None, shape: None, merged: None, misjudged: 0 };
    loop {
        let done = match shared.next_task() {
            Task::Seal(sealing) => match sealer.try_seal(&sealing) {
                Attempt::Done => true,
                // Room is made at once; a disk that fails is given time.
                Attempt::Full => continue,
                Attempt::Failed => false,
            },
            Task::Relieve => sealer.relieve(),
            Task::Maintain => true,
            Task::Pause => false,
            Task::Stop => return,
        };
        if done {
            sealer.try_maintain();
        } else {
            shared.pause();
        }
    }
}

impl Sealer<'_> {
    /// Stores the memtable; a failure is noted.
    fn try_seal(&mut self, sealing: &Sealing) -> Attempt {
        match self.seal(sealing) {
            Ok(()) => {
                self.misjudged = 0;
                let mut writer = self.shared.writer();
                self.shared.clear(&mut writer, Trouble::is_failure);
                if let Some(trouble) = &mut writer.trouble {
                    trouble.needed_bytes = ROOM_BYTES_MIN;
                }
                Attempt::Done
            }
            Err(error) => {
                self.misjudged += u32::from(error.is_full());
                let needed = self.expected_bytes(sealing);
                self.shared.note(&mut self.shared.writer(), &error, needed, false);
                if error.is_full() { Attempt::Full } else { Attempt::Failed }
            }
        }
    }

    /// What the seal is expected to take.
    fn expected_bytes(&self, sealing: &Sealing) -> u64 {
        match self.sealed {
            Some(_) => SMALL_SEGMENT_BYTES,
            None => {
                (sealing.raw_bytes / RAW_PER_SEGMENT + SMALL_SEGMENT_BYTES)
                    << self.misjudged.min(MISJUDGED_MAX)
            }
        }
    }

    fn seal(&mut self, sealing: &Sealing) -> Result<()> {
        let shared = self.shared;
        if sealing.rows > 0 && self.sealed.is_none() {
            self.sealed = Some(shared.write_segment(sealing, &mut self.shape)?);
        }
        let added = self.sealed.as_ref().map(|segment| segment.meta.clone());
        shared.catalog().commit(&Commit {
            added: added.as_slice(),
            checkpoints: &sealing.checkpoints,
            gaps: &sealing.gaps,
            wal_floor: Some(sealing.wal_floor),
            ..Commit::default()
        })?;
        let mut view = shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments = view.segments.as_ref().clone();
        segments.extend(self.sealed.take());
        view.segments = Arc::new(segments);
        view.sealing = None;
        drop(view);
        sealing.sync.mend(sealing.covers);
        // Appenders and flushers look at the view under the writer's lock.
        drop(shared.writer());
        shared.changed.notify_all();
        if let Err(error) = shared.remove_old_wal(sealing.wal_floor) {
            tracing::warn!("an old log file stays until the next seal: {error}");
        }
        Ok(())
    }

    /// Gets room on a full disk, or shows that there is room again; `false`: it is still full.
    fn relieve(&mut self) -> bool {
        let Some(needed) = self.shared.writer().trouble.as_ref().map(|trouble| trouble.needed_bytes) else {
            return true;
        };
        if self.shared.reserve.hold(needed).is_err() {
            if let Err(error) = self.gain(needed) {
                tracing::debug!("cannot make room yet: {error}");
            }
            if self.shared.reserve.hold(needed).is_err() {
                // Better the reserve alone than nothing for the next attempt.
                let _ = self.shared.reserve.hold(0);
                self.shared.tell(&mut self.shared.writer());
                return false;
            }
        }
        self.shared.clear(&mut self.shared.writer(), |_| true);
        true
    }

    /// What is in the log takes a tenth of it in a segment; then the oldest goes.
    fn gain(&mut self, needed: u64) -> Result<()> {
        if let Some(sealing) = self.shared.log_worth_sealing()?
            && self.shared.reserve.has(self.expected_bytes(&sealing))
            && self.try_seal(&sealing) == Attempt::Done
            && self.shared.reserve.hold(needed).is_ok()
        {
            return Ok(());
        }
        self.shared.reserve.give()?;
        self.shared.make_room(needed + self.shared.reserve.bytes(), true)
    }

    fn try_maintain(&mut self) {
        if let Err(error) = self.maintain() {
            tracing::warn!("compaction or retention failed, the next seal tries again: {error}");
        }
    }

    /// Merges small segments, removes old ones.
    fn maintain(&mut self) -> Result<()> {
        self.commit_merge()?;
        self.shared.retain()?;
        self.shared.keep_headroom()?;
        loop {
            self.merged = self.shared.merge()?;
            if self.merged.is_none() {
                return Ok(());
            }
            self.commit_merge()?;
        }
    }

    fn commit_merge(&mut self) -> Result<()> {
        let Some(Merged { inputs, output }) = &self.merged else { return Ok(()) };
        let present = Arc::clone(&self.shared.view().segments);
        if inputs.iter().all(|input| present.iter().any(|segment| segment.meta.id == input.meta.id)) {
            self.shared.replace(inputs, Some(output), Dropped::default())?;
        } else {
            // Retention was faster; its commit has undone whatever the failed one left behind.
            output.discard();
        }
        self.merged = None;
        Ok(())
    }
}

impl Shared {
    fn next_task(&self) -> Task {
        let mut writer = self.writer();
        loop {
            let sealing = self.view().sealing;
            if writer.stopping && (sealing.is_none() || writer.trouble.is_some()) {
                return Task::Stop;
            }
            if writer.trouble.as_ref().is_some_and(|trouble| trouble.full) {
                return Task::Relieve;
            }
            if let Some(sealing) = sealing {
                return Task::Seal(sealing);
            }
            if writer.wal.as_ref().is_some_and(|wal| wal.sync().broken().is_some()) {
                if let Err(error) = self.try_begin_seal(&mut writer) {
                    self.note(&mut writer, &error, 0, false);
                    return Task::Pause;
                }
                continue;
            }
            let (guard, timeout) =
                self.changed.wait_timeout(writer, self.tuning.idle).unwrap_or_else(PoisonError::into_inner);
            writer = guard;
            if timeout.timed_out() {
                return Task::Maintain;
            }
        }
    }

    /// Lets a disk that fails rest; not longer than the store lives.
    fn pause(&self) {
        let until = Instant::now() + self.tuning.retry;
        let mut writer = self.writer();
        while !writer.stopping {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            writer = self.changed.wait_timeout(writer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The memtable that waits for its seal, or the growing one if its log is large.
    fn log_worth_sealing(&self) -> Result<Option<Arc<Sealing>>> {
        let mut writer = self.writer();
        let worth = writer.wal.as_ref().is_some_and(|wal| wal.bytes() >= LOG_WORTH_SEALING);
        if worth && self.view().sealing.is_none() {
            self.try_begin_seal(&mut writer)?;
        }
        Ok(self.view().sealing)
    }

    /// Writes a memtable, in a shape that fits what the last one fitted: segments of one shape are merged at little cost.
    fn write_segment(&self, sealing: &Sealing, last: &mut Option<Arc<Shape>>) -> Result<Arc<Segment>> {
        let sorted = align::merge(&sealing.batches)?;
        let shape = Arc::new(Shape::for_batch(&sorted, last.as_deref())?);
        *last = Some(Arc::clone(&shape));
        let directory = self.segments_directory();
        let id = self.next_segment();
        let mut writer = SegmentWriter::create(&self.disk, &directory, id, Arc::clone(&shape))?;
        // Alike in size: a small last one would compress badly, and be in the way of merging.
        let rows = sorted.num_rows().max(1);
        let row_group = rows.div_ceil(rows.div_ceil(ROW_GROUP_ROWS)).next_multiple_of(GRANULE_ROWS);
        for start in (0..sorted.num_rows()).step_by(row_group) {
            let part = sorted.slice(start, row_group.min(sorted.num_rows() - start));
            writer.append(shape.encode(&part)?)?;
        }
        let origin = Origin::of_lines(sealing.raw_bytes, &sealing.checkpoints);
        Ok(Arc::new(writer.finish(origin)?))
    }

    fn remove_old_wal(&self, floor: u64) -> Result<()> {
        let directory = self.wal_directory();
        for number in wal::files(&*self.disk, &directory)?.into_iter().filter(|number| *number < floor) {
            self.disk.remove(&wal::file_path(&directory, number))?;
        }
        Ok(())
    }

    /// Writes small segments as one, if there are enough, and enough space. Only the commit is missing then.
    fn merge(&self) -> Result<Option<Merged>> {
        let Some(inputs) = compaction::choose(&self.view().segments, self.tuning.merge_min) else {
            return Ok(None);
        };
        let bytes = inputs.iter().map(|segment| segment.meta.bytes()).sum();
        if self.writer().stopping || !self.has_room_to_merge(bytes) {
            return Ok(None);
        }
        let directory = self.segments_directory();
        let output = compaction::merge(&self.disk, &inputs, &directory, self.next_segment())?;
        Ok(Some(Merged { inputs, output: Arc::new(output) }))
    }

    /// Removes what is older or more than the limits say.
    pub(super) fn retain(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expired = compaction::expired(&self.view().segments, &self.limits, now);
        if expired.is_empty() { Ok(()) } else { self.replace(&expired, None, Dropped::default()) }
    }

    /// Puts a segment, or none, in the place of others, in the catalog and for queries.
    pub(super) fn replace(
        &self,
        old: &[Arc<Segment>],
        new: Option<&Arc<Segment>>,
        dropped: Dropped,
    ) -> Result<()> {
        let removed: Vec<i64> = old.iter().map(|segment| segment.meta.id).collect();
        let added = new.map(|segment| segment.meta.clone());
        let newest = old.iter().map(|segment| Timestamp(segment.meta.max_observed)).max();
        let deleted = newest.filter(|_| new.is_none());
        self.catalog().commit(&Commit {
            added: added.as_slice(),
            removed: &removed,
            dropped,
            deleted,
            ..Commit::default()
        })?;
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments: Vec<_> =
            view.segments.iter().filter(|segment| !removed.contains(&segment.meta.id)).cloned().collect();
        segments.extend(new.cloned());
        view.segments = Arc::new(segments);
        view.deleted = view.deleted.max(deleted);
        drop(view);
        old.iter().for_each(|segment| segment.discard());
        Ok(())
    }
}
