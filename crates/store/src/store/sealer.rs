//! The thread that turns full memtables into segments, and keeps segments few and within the limits.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_err as fs;

use super::{Sealing, Shared};
use crate::catalog::Commit;
use crate::compaction;
use crate::error::Result;
use crate::index::ROW_GROUP_ROWS;
use crate::index::file::StoredCheckpoint;
use crate::segment::writer::{Origin, SegmentWriter, Shape};
use crate::segment::{Segment, SegmentMeta};
use crate::{align, wal};

/// Pause before a failed seal is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often retention is checked when nothing is sealed.
const IDLE: Duration = Duration::from_secs(60);

/// The sealer's loop; ends when the store is stopping and nothing waits.
pub(super) fn run(shared: &Shared) {
    loop {
        let mut writer = shared.writer();
        let job = loop {
            if let Some(sealing) = shared.view().sealing {
                break Some(sealing);
            }
            if writer.stopping {
                return;
            }
            let (guard, timeout) =
                shared.changed.wait_timeout(writer, IDLE).unwrap_or_else(PoisonError::into_inner);
            writer = guard;
            if timeout.timed_out() {
                break None;
            }
        };
        drop(writer);
        if let Some(sealing) = job
            && let Err(error) = seal(shared, &sealing)
        {
            tracing::error!("cannot write a segment, will try again: {error}");
            if shared.writer().stopping {
                return;
            }
            std::thread::sleep(RETRY);
            continue;
        }
        if let Err(error) = maintain(shared) {
            tracing::warn!("compaction or retention failed: {error}");
        }
    }
}

fn seal(shared: &Shared, sealing: &Sealing) -> Result<()> {
    let meta = match sealing.rows {
        0 => None,
        _ => Some(write_segment(shared, sealing)?),
    };
    shared.catalog().commit(&Commit {
        added: meta.as_slice(),
        checkpoints: &sealing.checkpoints,
        gaps: &sealing.gaps,
        wal_floor: Some(sealing.wal_floor),
        ..Commit::default()
    })?;
    let segment = meta.map(|meta| Segment::open(&shared.segments_directory(), meta)).transpose()?;
    let mut view = shared.view.write().unwrap_or_else(PoisonError::into_inner);
    let mut segments = view.segments.as_ref().clone();
    segments.extend(segment.map(Arc::new));
    view.segments = Arc::new(segments);
    view.sealing = None;
    drop(view);
    // Appenders and flushers look at the view under the writer's lock.
    drop(shared.writer());
    shared.changed.notify_all();
    remove_old_wal(shared, sealing.wal_floor)
}

fn write_segment(shared: &Shared, sealing: &Sealing) -> Result<SegmentMeta> {
    let sorted = align::merge(&sealing.batches)?;
    let shape = Arc::new(Shape::for_batch(&sorted, None)?);
    let mut writer =
        SegmentWriter::create(&shared.segments_directory(), shared.next_segment(), Arc::clone(&shape))?;
    for start in (0..sorted.num_rows()).step_by(ROW_GROUP_ROWS) {
        let part = sorted.slice(start, ROW_GROUP_ROWS.min(sorted.num_rows() - start));
        writer.append(shape.encode(&part)?)?;
    }
    let checkpoints = sealing.checkpoints.iter().map(|(source, checkpoint)| StoredCheckpoint {
        source: source.clone(),
        offset: checkpoint.offset,
        lines: checkpoint.lines,
        state: checkpoint.state.clone(),
    });
    writer.finish(Origin {
        raw_bytes: sealing.raw_bytes,
        checkpoints: checkpoints.collect(),
        replaces: Vec::new(),
    })
}

fn remove_old_wal(shared: &Shared, floor: u64) -> Result<()> {
    let directory = shared.wal_directory();
    for number in wal::files(&directory)?.into_iter().filter(|number| *number < floor) {
        fs::remove_file(wal::file_path(&directory, number))?;
    }
    Ok(())
}

/// Merges small segments, removes old ones.
fn maintain(shared: &Shared) -> Result<()> {
    while let Some(inputs) = compaction::choose(&shared.view().segments) {
        if shared.writer().stopping {
            return Ok(());
        }
        let output = compaction::merge(&inputs, &shared.segments_directory(), shared.next_segment())?;
        shared.replace(&inputs, vec![output])?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expired = compaction::expired(&shared.view().segments, &shared.limits, now);
    if expired.is_empty() { Ok(()) } else { shared.replace(&expired, Vec::new()) }
}

impl Shared {
    /// Puts segments in the place of others, in the catalog and for queries.
    fn replace(&self, old: &[Arc<Segment>], new: Vec<SegmentMeta>) -> Result<()> {
        let removed: Vec<i64> = old.iter().map(|segment| segment.meta.id).collect();
        let opened = new
            .iter()
            .map(|meta| Segment::open(&self.segments_directory(), meta.clone()).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        self.catalog().commit(&Commit { added: &new, removed: &removed, ..Commit::default() })?;
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut segments: Vec<_> =
            view.segments.iter().filter(|segment| !removed.contains(&segment.meta.id)).cloned().collect();
        segments.extend(opened);
        view.segments = Arc::new(segments);
        drop(view);
        old.iter().for_each(|segment| segment.discard());
        Ok(())
    }

    pub(super) fn segments_directory(&self) -> std::path::PathBuf {
        self.directory.join("segments")
    }

    pub(super) fn wal_directory(&self) -> std::path::PathBuf {
        self.directory.join("wal")
    }
}
