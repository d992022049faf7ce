//! Opens a data directory: whatever is found there, the store starts, and what was lost is said.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err as fs;
use taffrail_record::{Checkpoint, RawBatch};

use super::{Access, Decode, Limits, Shared, Store, View, Writer, sealer};
use crate::catalog::{Catalog, Commit};
use crate::error::{Error, Result};
use crate::index::file::Index;
use crate::lock::{DirectoryLock, Share};
use crate::memtable::Memtable;
use crate::segment::{self, Segment, SegmentMeta, data_path, index_path};
use crate::wal::{self, Wal};

const CATALOG: &str = "taffrail.db";
const REBUILT: &str =
    "the catalog was rebuilt from the segments: no record and no position is lost, the list of gaps is";

/// What opening found; every line of `reports` is for people.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Records that came back from the WAL.
    pub replayed: u64,
    /// What was damaged, where it was put, and what is lost by it.
    pub reports: Vec<String>,
}

pub(super) fn open(
    directory: &Path,
    access: Access,
    limits: Limits,
    decode: Decode<'_>,
) -> Result<(Store, Recovered)> {
    let lock = match access {
        Access::Write => {
            for part in ["segments", "wal"] {
                fs::create_dir_all(directory.join(part))?;
            }
            DirectoryLock::take(directory, Share::Exclusive)?
        }
        Access::Read => DirectoryLock::take(directory, Share::Shared)?,
    };
    let mut opening = Opening { directory, access, recovered: Recovered::default() };
    let mut catalog = opening.catalog()?;
    let segments = opening.segments(&mut catalog)?;
    let mut memtable = Memtable::new();
    let last_wal = opening.replay(&catalog, &mut memtable, decode)?;
    let wal = match access {
        Access::Write => Some(Wal::create(&directory.join("wal"), last_wal + 1)?),
        Access::Read => None,
    };
    let next_segment = opening.next_segment(&segments)?;
    let shared = Arc::new(Shared {
        directory: directory.to_owned(),
        limits,
        writer: Mutex::new(Writer { wal, memtable, poisoned: None, stopping: false, next_segment }),
        changed: Condvar::new(),
        catalog: Mutex::new(catalog),
        view: RwLock::new(View { segments: Arc::new(segments), sealing: None }),
    });
    let sealer = match access {
        Access::Read => None,
        Access::Write => {
            let shared = Arc::clone(&shared);
            Some(std::thread::Builder::new().name("sealer".to_owned()).spawn(move || sealer::run(&shared))?)
        }
    };
    let store = Store { shared, sealer, _lock: lock };
    let full = store.shared.writer().memtable.bytes() >= store.shared.limits.memtable_bytes;
    if access == Access::Write && full {
        // A process that dies again and again before it has sealed would have more to replay at each start.
        store.flush()?;
    }
    Ok((store, opening.recovered))
}

struct Opening<'a> {
    directory: &'a Path,
    access: Access,
    recovered: Recovered,
}

impl Opening<'_> {
    fn report(&mut self, text: String) {
        tracing::warn!("{text}");
        self.recovered.reports.push(text);
    }

    fn segments_directory(&self) -> PathBuf {
        self.directory.join("segments")
    }

    /// Moves a damaged file away; a reader only reports.
    fn quarantine(&mut self, path: &Path, why: &str) -> Result<()> {
        if self.access == Access::Read {
            self.report(format!(
                "{}: {why}; left alone, the next `taffrail run` sets it aside",
                path.display()
            ));
            return Ok(());
        }
        let quarantine = self.directory.join("quarantine");
        fs::create_dir_all(&quarantine)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = quarantine.join(format!("{name}.{now}"));
        fs::rename(path, &target)?;
        self.report(format!("{}: {why}; moved to {}", path.display(), target.display()));
        Ok(())
    }

    /// The catalog; one that is damaged is set aside and rebuilt from the segments.
    fn catalog(&mut self) -> Result<Catalog> {
        let path = self.directory.join(CATALOG);
        if self.access == Access::Read {
            return Catalog::open_read_only(&path);
        }
        let was_there = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0);
        match Catalog::open(&path) {
            // New, lost, emptied, or left by a start that ended before its rebuild: what the catalog does not
            // know must not pass for never committed.
            Ok(catalog) if catalog.segments()?.is_empty() && catalog.checkpoints()?.is_empty() => {
                let catalog = self.rebuild(catalog)?;
                if !was_there && !catalog.segments()?.is_empty() {
                    self.report(format!("{}: was missing or empty; {REBUILT}", path.display()));
                }
                Ok(catalog)
            }
            Ok(catalog) => Ok(catalog),
            Err(error @ (Error::TooNew { .. } | Error::Io(_))) => Err(error),
            Err(error) => {
                self.quarantine(&path, &error.to_string())?;
                for suffix in ["-wal", "-shm"] {
                    let side = self.directory.join(format!("{CATALOG}{suffix}"));
                    if side.exists() {
                        self.quarantine(&side, "belongs to the damaged catalog")?;
                    }
                }
                let catalog = Catalog::open(&path)?;
                let catalog = self.rebuild(catalog)?;
                self.report(REBUILT.to_owned());
                Ok(catalog)
            }
        }
    }

    /// Registers every complete segment that is not replaced by another, with its checkpoints.
    fn rebuild(&mut self, mut catalog: Catalog) -> Result<Catalog> {
        let directory = self.segments_directory();
        let mut found = Vec::new();
        for id in self.segment_files()? {
            match Index::open(&index_path(&directory, id)) {
                Ok(index) => found.push((id, index.footer)),
                Err(error) => self.quarantine(&data_path(&directory, id), &error.to_string())?,
            }
        }
        let replaced: HashSet<i64> = found.iter().flat_map(|(_, footer)| footer.replaces.clone()).collect();
        let mut metas = Vec::new();
        let mut checkpoints = BTreeMap::<String, Checkpoint>::new();
        for (id, footer) in found {
            for stored in &footer.checkpoints {
                let checkpoint =
                    Checkpoint { offset: stored.offset, lines: stored.lines, state: stored.state.clone() };
                let known = checkpoints.entry(stored.source.clone()).or_default();
                if known.offset <= checkpoint.offset {
                    *known = checkpoint;
                }
            }
            if !replaced.contains(&id) {
                metas.push(meta_of(&directory, id, &footer)?);
            }
        }
        let checkpoints: Vec<_> = checkpoints.into_iter().collect();
        catalog.commit(&Commit { added: &metas, checkpoints: &checkpoints, ..Commit::default() })?;
        Ok(catalog)
    }

    /// Opens the segments of the catalog. Damaged ones are set aside, files of none are removed.
    fn segments(&mut self, catalog: &mut Catalog) -> Result<Vec<Arc<Segment>>> {
        let directory = self.segments_directory();
        let mut open = Vec::new();
        let known = catalog.segments()?;
        for meta in &known {
            match Segment::open(&directory, meta.clone()) {
                Ok(segment) => open.push(Arc::new(segment)),
                Err(error) => match self.mend(meta, &error)? {
                    Some(segment) => open.push(Arc::new(segment)),
                    None => self.drop_damaged(catalog, meta, &error)?,
                },
            }
        }
        if self.access == Access::Write {
            let known: HashSet<i64> = known.iter().map(|meta| meta.id).collect();
            for id in self.segment_files()?.into_iter().filter(|id| !known.contains(id)) {
                // Never committed: its lines are still in the WAL or in their sources.
                for path in [data_path(&directory, id), index_path(&directory, id)] {
                    if path.exists() {
                        fs::remove_file(path)?;
                    }
                }
            }
        }
        Ok(open)
    }

    /// Makes a lost or damaged index anew; `None` if that is not what is wrong.
    fn mend(&mut self, meta: &SegmentMeta, error: &Error) -> Result<Option<Segment>> {
        let directory = self.segments_directory();
        let index = index_path(&directory, meta.id);
        if self.access == Access::Read || Index::open(&index).is_ok() {
            return Ok(None);
        }
        let old = index.with_extension("idx.old");
        if index.exists() {
            fs::rename(&index, &old)?;
        }
        if let Err(why) = segment::reindex(&directory, meta) {
            tracing::debug!("segment {} cannot be indexed again: {why}", meta.id);
            if old.exists() {
                fs::rename(&old, &index)?;
            }
            return Ok(None);
        }
        if old.exists() {
            self.quarantine(&old, "a damaged index")?;
        }
        self.report(format!("{}: {error}; it was made anew, nothing is lost", index.display()));
        Ok(Some(Segment::open(&directory, meta.clone())?))
    }

    fn drop_damaged(&mut self, catalog: &mut Catalog, meta: &SegmentMeta, error: &Error) -> Result<()> {
        let directory = self.segments_directory();
        let lost = format!("{error} ({} records of it cannot be read)", meta.rows);
        let paths = [data_path(&directory, meta.id), index_path(&directory, meta.id)];
        for path in paths.iter().filter(|path| path.exists()) {
            self.quarantine(path, &lost)?;
        }
        if paths.iter().all(|path| !path.exists()) {
            self.report(format!("segment {} of the catalog is gone: {lost}", meta.id));
        }
        if self.access == Access::Write {
            catalog.commit(&Commit { removed: &[meta.id], ..Commit::default() })?;
        }
        Ok(())
    }

    fn segment_files(&self) -> Result<Vec<i64>> {
        let mut ids: Vec<i64> = fs::read_dir(self.segments_directory())?
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let stem = name.to_str()?;
                stem.strip_suffix(".parquet").or_else(|| stem.strip_suffix(".idx"))?.parse().ok()
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Numbers are never used twice, not even those of quarantined files.
    fn next_segment(&self, segments: &[Arc<Segment>]) -> Result<i64> {
        let known = segments.iter().map(|segment| segment.meta.id);
        let quarantined =
            fs::read_dir(self.directory.join("quarantine")).into_iter().flatten().filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.split('.').next()?.parse::<i64>().ok()
            });
        Ok(known.chain(self.segment_files()?).chain(quarantined).max().unwrap_or(0) + 1)
    }

    /// Brings back what the WAL holds; gives the number of its last file.
    fn replay(&mut self, catalog: &Catalog, memtable: &mut Memtable, decode: Decode<'_>) -> Result<u64> {
        let directory = self.directory.join("wal");
        let floor = catalog.wal_floor()?;
        let mut reached: BTreeMap<String, u64> = catalog
            .checkpoints()?
            .into_iter()
            .map(|(source, checkpoint)| (source, checkpoint.offset))
            .collect();
        let files = wal::files(&directory)?;
        for number in files.iter().filter(|number| **number >= floor) {
            let path = wal::file_path(&directory, *number);
            let lost = wal::replay(&path, &mut |mut batch, origin| {
                let stored = reached.entry(batch.source.to_string()).or_default();
                if batch.checkpoint.offset < *stored {
                    // All of it is in a segment; its checkpoint would lead the source back.
                    return Ok(());
                }
                skip_stored(&mut batch, *stored);
                *stored = (*stored).max(batch.checkpoint.offset);
                self.recovered.replayed += batch.lines.len() as u64;
                restore(memtable, batch, origin, decode)
            })?;
            if lost > 0 {
                self.torn(&path, lost, Some(number) == files.last())?;
            }
        }
        Ok(files.last().copied().unwrap_or(0).max(floor))
    }

    /// Bytes after the last good frame: at the end of the last file a write that the end of the process
    /// cut short and nobody was told of; elsewhere damage.
    fn torn(&mut self, path: &Path, lost: u64, last: bool) -> Result<()> {
        if !last {
            let copy =
                format!("{lost} bytes of the write-ahead log do not fit their checksums and are skipped");
            self.report(format!("{}: {copy}", path.display()));
        } else {
            tracing::info!("{}: {lost} bytes of an unfinished write are skipped", path.display());
            if self.access == Access::Write {
                // The next start may find this file before another one, and would call it damaged.
                let file = fs::OpenOptions::new().write(true).open(path)?;
                file.set_len(file.metadata()?.len().saturating_sub(lost))?;
                file.sync_all()?;
            }
        }
        Ok(())
    }
}

/// Takes out the lines that a segment holds already (after the catalog was rebuilt).
fn skip_stored(batch: &mut RawBatch, stored: u64) {
    batch.lines.retain(|line| line.offset >= stored);
}

fn restore(memtable: &mut Memtable, batch: RawBatch, origin: &str, decode: Decode<'_>) -> Result<()> {
    let (source, checkpoint, gaps) =
        (Arc::clone(&batch.source), batch.checkpoint.clone(), batch.gaps.clone());
    let raw_bytes = batch.lines.iter().map(|line| u64::from(line.span.len) + 1).sum();
    let records = decode(batch, origin);
    memtable.insert(records, raw_bytes)?;
    memtable.advance(&source, checkpoint, gaps);
    Ok(())
}

fn meta_of(directory: &Path, id: i64, footer: &crate::index::file::Footer) -> Result<SegmentMeta> {
    let granules = &footer.granules;
    Ok(SegmentMeta {
        id,
        rows: granules.iter().map(|granule| u64::from(granule.rows)).sum(),
        min_timestamp: granules.iter().map(|granule| granule.min_timestamp).min().unwrap_or(0),
        max_timestamp: granules.iter().map(|granule| granule.max_timestamp).max().unwrap_or(0),
        max_observed: footer.max_observed,
        data_bytes: fs::metadata(data_path(directory, id))?.len(),
        index_bytes: fs::metadata(index_path(directory, id))?.len(),
        raw_bytes: footer.raw_bytes,
    })
}
