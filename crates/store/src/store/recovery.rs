//! Opens a data directory: whatever is found there, the store starts, and what was lost is said.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use taffrail_record::{Checkpoint, RawBatch, Timestamp};

use super::space::Reserve;
use super::{Access, Decode, Limits, Shared, Store, Tuning, View, Writer, sealer};
use crate::catalog::{Catalog, Commit};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::history::History;
use crate::index::file::Index;
use crate::lock::{DirectoryLock, Share};
use crate::memtable::Memtable;
use crate::segment::writer::remove_files;
use crate::segment::{self, Segment, SegmentMeta, data_path, index_path};
use crate::wal::{self, Replayed, Wal};

const CATALOG: &str = "taffrail.db";
const REBUILT: &str = "the catalog was rebuilt from the segments: no record and no position is lost, the list of gaps and the history of machines are";

/// What opening found; every line of `reports` is for people.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Records that came back from the WAL.
    pub replayed: u64,
    /// What was damaged, where it was put, and what is lost by it.
    pub reports: Vec<String>,
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    directory: &Path,
    access: Access,
    limits: Limits,
    tuning: Tuning,
    decode: Decode<'_>,
) -> Result<(Store, Recovered)> {
    let lock = match access {
        Access::Write => {
            create_directories(&*disk, directory)?;
            DirectoryLock::take(directory, Share::Exclusive)?
        }
        Access::Read => DirectoryLock::take(directory, Share::Shared)?,
    };
    let reserve = Reserve::new(Arc::clone(&disk), directory.join("reserve"), limits.reserve_bytes);
    if access == Access::Write {
        // On a full disk the catalog needs a little to be opened at all.
        reserve.give()?;
    }
    let mut opening = Opening::new(Arc::clone(&disk), directory, access);
    let mut catalog = opening.catalog()?;
    let history = opening.history()?;
    let segments = opening.segments(&mut catalog)?;
    let mut memtable = Memtable::new();
    let last_wal = opening.replay(&catalog, &mut memtable, decode)?;
    let wal = match access {
        Access::Write => Some(Wal::new(Arc::clone(&disk), directory.join("wal"), last_wal + 1)),
        Access::Read => None,
    };
    let deleted = catalog.deleted()?;
    let writer = Writer {
        wal,
        memtable,
        trouble: None,
        failures: 0,
        dropped: catalog.dropped()?,
        stopping: false,
        next_segment: opening.next_segment(&segments)?,
        arrived: opening.arrived(&segments),
    };
    let shared = Arc::new(Shared {
        disk,
        directory: directory.to_owned(),
        limits,
        tuning,
        reserve,
        writer: Mutex::new(writer),
        changed: Condvar::new(),
        catalog: Mutex::new(catalog),
        history: Arc::new(history),
        view: RwLock::new(View { segments: Arc::new(segments), sealing: None, deleted }),
    });
    let sealer = (access == Access::Write).then(|| start_sealer(&shared)).transpose()?;
    let store = Store { shared, sealer, _lock: lock };
    let full = store.shared.writer().memtable.bytes() >= store.shared.limits.memtable_bytes;
    // A process that dies again and again before it has sealed would have more to replay at each start.
    if access == Access::Write
        && full
        && let Err(error) = store.flush()
    {
        tracing::warn!("what came back from the log stays there for now: {error}");
    }
    Ok((store, opening.recovered))
}

fn create_directories(disk: &dyn Disk, directory: &Path) -> Result<()> {
    let parts = ["segments", "wal"].map(|part| directory.join(part));
    if parts.iter().all(|part| part.is_dir()) {
        return Ok(());
    }
    for part in &parts {
        disk.create_directory(part)?;
    }
    disk.sync_directory(directory)?;
    if let Some(parent) = directory.parent()
        && let Err(error) = disk.sync_directory(parent)
    {
        // Above it may be a directory that cannot be read.
        tracing::debug!("{error}");
    }
    Ok(())
}

fn start_sealer(shared: &Arc<Shared>) -> Result<std::thread::JoinHandle<()>> {
    if let Err(error) = shared.reserve.hold(0) {
        shared.note(&mut shared.writer(), &error, 0, false);
    }
    let shared = Arc::clone(shared);
    let sealer = std::thread::Builder::new().name("sealer".to_owned());
    Ok(sealer.spawn(move || sealer::run(&shared))?)
}

struct Opening<'a> {
    disk: Arc<dyn Disk>,
    directory: &'a Path,
    access: Access,
    recovered: Recovered,
    /// The time of reading of the last batch in the log.
    last_in_log: Option<Timestamp>,
}

impl<'a> Opening<'a> {
    fn new(disk: Arc<dyn Disk>, directory: &'a Path, access: Access) -> Self {
        Self { disk, directory, access, recovered: Recovered::default(), last_in_log: None }
    }

    /// The time of reading of the last batch.
    fn arrived(&self, segments: &[Arc<Segment>]) -> Timestamp {
        let in_segments = segments.iter().map(|segment| Timestamp(segment.meta.max_observed)).max();
        self.last_in_log.or(in_segments).unwrap_or(Timestamp(i64::MIN))
    }

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
        self.disk.create_directory(&quarantine)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = quarantine.join(format!("{name}.{now}"));
        self.disk.rename(path, &target)?;
        for directory in [Some(self.directory), Some(&quarantine), path.parent()].into_iter().flatten() {
            self.disk.sync_directory(directory)?;
        }
        self.report(format!("{}: {why}; moved to {}", path.display(), target.display()));
        Ok(())
    }

    /// The catalog; one that is damaged is set aside and rebuilt from the segments.
    fn catalog(&mut self) -> Result<Catalog> {
        let path = self.directory.join(CATALOG);
        if self.access == Access::Read {
            return Catalog::open_read_only(Arc::clone(&self.disk), &path);
        }
        let was_there = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
        match Catalog::open(Arc::clone(&self.disk), &path) {
            // New, lost, emptied, or left by a start that ended before its rebuild: what the catalog does not
            // know must not pass for never committed.
            Ok(catalog) if catalog.segments()?.is_empty() && catalog.checkpoints()?.is_empty() => {
                let catalog = self.rebuild(catalog, was_there)?;
                if !was_there && !catalog.segments()?.is_empty() {
                    self.report(format!("{}: was missing or empty; {REBUILT}", path.display()));
                }
                Ok(catalog)
            }
            Ok(catalog) => Ok(catalog),
            Err(error @ (Error::TooNew { .. } | Error::Io(_))) => Err(error),
            Err(error) if error.is_of_surroundings() => Err(error),
            Err(error) => {
                self.quarantine(&path, &error.to_string())?;
                for suffix in ["-wal", "-shm"] {
                    let side = self.directory.join(format!("{CATALOG}{suffix}"));
                    if side.exists() {
                        self.quarantine(&side, "belongs to the damaged catalog")?;
                    }
                }
                let catalog = Catalog::open(Arc::clone(&self.disk), &path)?;
                let catalog = self.rebuild(catalog, false)?;
                self.report(REBUILT.to_owned());
                Ok(catalog)
            }
        }
    }

    /// The history beside the catalog, which is open.
    fn history(&self) -> Result<History> {
        let path = self.directory.join(CATALOG);
        match self.access {
            Access::Write => History::open(&path),
            Access::Read => History::open_read_only(&path),
        }
    }

    /// Registers every complete segment that is not replaced by another, with its checkpoints.
    fn rebuild(&mut self, mut catalog: Catalog, was_there: bool) -> Result<Catalog> {
        let directory = self.segments_directory();
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        for id in self.segment_files()? {
            match Index::open(&*self.disk, &index_path(&directory, id)).map_err(Error::from) {
                Ok(index) => found.push((id, index.footer)),
                Err(error) if error.is_unreadable() => return Err(error),
                Err(error) => broken.push((id, error)),
            }
        }
        // With no segment and no position known there was no commit: the first seal was cut short.
        if !(was_there && found.is_empty()) {
            for (id, error) in broken {
                self.quarantine(&data_path(&directory, id), &error.to_string())?;
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
                metas.push(self.meta_of(id, &footer)?);
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
            match Segment::open(&self.disk, &directory, meta.clone()) {
                Ok(segment) => open.push(Arc::new(segment)),
                Err(error) => match self.mend(meta, error)? {
                    Ok(segment) => open.push(Arc::new(segment)),
                    // It may be whole: what the system cannot read now is not set aside for it.
                    Err(error) if error.is_unreadable() => self.report(format!(
                        "segment {}: {error}; its {} records are left out until a start can read it",
                        meta.id, meta.rows
                    )),
                    Err(error) => self.drop_damaged(catalog, meta, &error)?,
                },
            }
        }
        if self.access == Access::Write {
            let known: HashSet<i64> = known.iter().map(|meta| meta.id).collect();
            for id in self.segment_files()?.into_iter().filter(|id| !known.contains(id)) {
                // Never committed: its lines are still in the WAL or in their sources.
                remove_files(&*self.disk, &directory, id);
            }
        }
        Ok(open)
    }

    /// Makes a lost or damaged index anew; `Err` is why the segment cannot be opened.
    fn mend(&mut self, meta: &SegmentMeta, error: Error) -> Result<std::result::Result<Segment, Error>> {
        let directory = self.segments_directory();
        let index = index_path(&directory, meta.id);
        let reads = self.access == Access::Read;
        if reads || error.is_unreadable() || Index::open(&*self.disk, &index).is_ok() {
            return Ok(Err(error));
        }
        let old = index.with_extension("idx.old");
        if index.exists() {
            self.disk.rename(&index, &old)?;
        }
        if let Err(why) = segment::reindex(&*self.disk, &directory, meta) {
            tracing::debug!("segment {} cannot be indexed again: {why}", meta.id);
            if old.exists() {
                self.disk.rename(&old, &index)?;
            }
            return Ok(Err(if why.is_unreadable() { why } else { error }));
        }
        if old.exists() {
            self.quarantine(&old, "a damaged index")?;
        }
        let opened = Segment::open(&self.disk, &directory, meta.clone());
        self.report(format!("{}: {error}; it was made anew, nothing is lost", index.display()));
        Ok(opened)
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
        let names = self.disk.list(&self.segments_directory())?;
        let id =
            |name: &String| name.strip_suffix(".parquet").or_else(|| name.strip_suffix(".idx"))?.parse().ok();
        let mut ids: Vec<i64> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Numbers are never used twice, not even those of quarantined files.
    fn next_segment(&self, segments: &[Arc<Segment>]) -> Result<i64> {
        let known = segments.iter().map(|segment| segment.meta.id);
        let quarantine = self.directory.join("quarantine");
        let names = if quarantine.exists() { self.disk.list(&quarantine)? } else { Vec::new() };
        let quarantined = names.iter().filter_map(|name| name.split('.').next()?.parse::<i64>().ok());
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
        let files = wal::files(&*self.disk, &directory)?;
        for number in files.iter().filter(|number| **number >= floor) {
            let path = wal::file_path(&directory, *number);
            let disk = Arc::clone(&self.disk);
            let replayed = wal::replay(&*disk, &path, &mut |mut batch, origin| {
                self.last_in_log = Some(batch.observed);
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
            if replayed.lost > 0 {
                self.torn(&path, replayed, Some(number) == files.last())?;
            }
        }
        Ok(files.last().copied().unwrap_or(0).max(floor))
    }

    /// Bytes after the last good frame: at the end of the last file a write that the end of the process
    /// cut short and nobody was told of; elsewhere damage.
    fn torn(&mut self, path: &Path, replayed: Replayed, last: bool) -> Result<()> {
        let Replayed { good, lost } = replayed;
        if !last {
            let copy =
                format!("{lost} bytes of the write-ahead log do not fit their checksums and are skipped");
            self.report(format!("{}: {copy}", path.display()));
        } else {
            tracing::info!("{}: {lost} bytes of an unfinished write are skipped", path.display());
            if self.access == Access::Write {
                // The next start may find this file before another one, and would call it damaged.
                self.disk.cut(path, good)?;
            }
        }
        Ok(())
    }

    fn meta_of(&self, id: i64, footer: &crate::index::file::Footer) -> Result<SegmentMeta> {
        let directory = self.segments_directory();
        let granules = &footer.granules;
        Ok(SegmentMeta {
            id,
            rows: granules.iter().map(|granule| u64::from(granule.rows)).sum(),
            min_timestamp: granules.iter().map(|granule| granule.min_timestamp).min().unwrap_or(0),
            max_timestamp: granules.iter().map(|granule| granule.max_timestamp).max().unwrap_or(0),
            max_observed: footer.max_observed,
            data_bytes: self.disk.open(&data_path(&directory, id))?.bytes()?,
            index_bytes: self.disk.open(&index_path(&directory, id))?.bytes()?,
            raw_bytes: footer.raw_bytes,
        })
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
