//! The thread: turns wake-ups into reads, one batch of each changed file at a time.

mod pace;
mod roster;
mod scan;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd as _;
use rustix::io::Errno;
use taffrail_record::{Checkpoint, Timestamp};
use tracing::{info, warn};

use self::pace::Pace;
use super::{Shared, Sink};
use crate::discover::Found;
use crate::identity::Identity;
use crate::pattern::Patterns;
use crate::watch::{Change, Watch};
use crate::{
    Config, Now, Rotations, SourceKind, SourceState, SourceStatus, StartAt, Stopped, Tail, rotated,
    source_name,
};

/// How often all patterns are walked; new files in watched directories are seen at once.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);
/// How often paths are looked at where inotify should have told: every other second for 1,000 files.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
const SCAN_PER_FILE: Duration = Duration::from_millis(2);
/// A burst of new directories, or of rotations, is walked once.
const TREE_DELAY: Duration = Duration::from_millis(50);
/// After this time without a line a file is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Files held open for speed; beyond it a file is closed after each read.
const MAX_OPEN: usize = 256;

/// What a path showed when it was last looked at.
type Glance = Option<(u64, u64, i64, i64)>;

struct Followed {
    tail: Tail,
    dirty: bool,
    glance: Glance,
    /// When it last gave a batch.
    active: Duration,
    timer: Option<Duration>,
    error: Option<String>,
    /// Whether the sink was told that it is followed.
    is_told: bool,
    /// Named without a glob: followed even while nothing is there.
    named: bool,
    /// The walk in which it was first found, if it was never read before.
    found_in: Option<u64>,
}

pub(super) struct Worker {
    config: Config,
    patterns: Patterns,
    checkpoints: HashMap<String, Checkpoint>,
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    clock: fn() -> Timestamp,
    started: Instant,
    watch: Option<Watch>,
    /// Directories that inotify does not watch.
    polled: BTreeSet<PathBuf>,
    absent_roots: Vec<PathBuf>,
    /// Each in memory of its own: the map's empty places would cost as much as what is in it.
    tails: HashMap<u64, Box<Followed>>,
    next_id: u64,
    by_path: HashMap<PathBuf, u64>,
    dirty: VecDeque<u64>,
    timers: BTreeSet<(Duration, u64)>,
    open: usize,
    scan_at: Duration,
    /// When directories that inotify does not watch are looked at next.
    poll_at: Duration,
    discover_at: Duration,
    start_at: StartAt,
    refused: BTreeSet<String>,
    /// Sources at whose paths stand files that others may read.
    strange: Vec<u64>,
    /// Names that files have which sources read that they stood at before.
    renamed: BTreeSet<PathBuf>,
    truncated: bool,
    /// Files taken up since the last walk, and how many of them were not named in the log.
    found: (usize, usize),
    /// Walks over all patterns so far.
    walks: u64,
    /// Whether all paths were looked at since deleted files were counted.
    scanned: bool,
    pace: Pace,
}

impl Worker {
    pub(super) fn new(
        config: Config,
        patterns: Patterns,
        checkpoints: Vec<(String, Checkpoint)>,
        shared: Arc<Shared>,
        sink: Box<dyn Sink>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let watch = Watch::new()
            .inspect_err(|error| {
                warn!(
                    "inotify cannot be used ({error}), files are polled: raise fs.inotify.max_user_instances"
                );
            })
            .ok();
        Self {
            start_at: config.start_at,
            config,
            patterns,
            checkpoints: checkpoints.into_iter().collect(),
            shared,
            sink,
            clock,
            started: Instant::now(),
            watch,
            polled: BTreeSet::new(),
            absent_roots: Vec::new(),
            tails: HashMap::new(),
            next_id: 0,
            by_path: HashMap::new(),
            dirty: VecDeque::new(),
            timers: BTreeSet::new(),
            open: 0,
            scan_at: Duration::ZERO,
            poll_at: Duration::MAX,
            discover_at: Duration::ZERO,
            refused: BTreeSet::new(),
            strange: Vec::new(),
            renamed: BTreeSet::new(),
            truncated: false,
            found: (0, 0),
            walks: 0,
            scanned: false,
            pace: Pace::new(),
        }
    }

    pub(super) fn run(mut self) {
        while !self.stopping() {
            self.keep_time();
            if self.round().is_err() || self.let_go().is_err() {
                return;
            }
            self.meet_strangers();
            self.wait();
        }
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    fn now(&self) -> Now {
        Now { observed: (self.clock)(), uptime: self.started.elapsed() }
    }

    /// Does what is due.
    fn keep_time(&mut self) {
        let uptime = self.started.elapsed();
        if uptime >= self.discover_at {
            self.discover();
        }
        if uptime >= self.scan_at {
            self.scan();
        } else if uptime >= self.poll_at {
            self.poll();
        }
        while let Some(&(at, id)) = self.timers.first()
            && at <= uptime
        {
            self.timers.pop_first();
            if let Some(followed) = self.tails.get_mut(&id) {
                followed.timer = None;
            }
            self.mark(id);
        }
    }

    /// Reads one batch of every changed file.
    fn round(&mut self) -> Result<(), Stopped> {
        for _ in 0..self.dirty.len() {
            if self.stopping() {
                return Ok(());
            }
            let Some(id) = self.dirty.pop_front() else { break };
            self.read(id)?;
        }
        Ok(())
    }

    fn read(&mut self, id: u64) -> Result<(), Stopped> {
        let now = self.now();
        let Some(followed) = self.tails.get_mut(&id) else { return Ok(()) };
        followed.dirty = false;
        let were_open = followed.tail.open_files();
        let known = followed.tail.rotations().count;
        let batch = match followed.tail.read(now) {
            Ok(batch) => {
                followed.error = None;
                batch
            }
            Err(error) => {
                let text = error.to_string();
                if followed.error.as_ref() != Some(&text) {
                    warn!("{text}; it is tried again");
                }
                followed.error = Some(text);
                None
            }
        };
        let more = batch.is_some();
        self.pace.read(batch.as_ref().map_or(0, |batch| batch.bytes.len()));
        if more {
            followed.active = now.uptime;
        }
        let others = self.open - were_open;
        if others >= MAX_OPEN {
            followed.tail.park();
        }
        self.open = others + followed.tail.open_files();
        if followed.tail.stranger().is_some() {
            self.strange.push(id);
        }
        let status = followed.tail.status();
        let rotations = followed.tail.rotations();
        let is_followed = status.state == SourceState::Following;
        if std::mem::replace(&mut followed.is_told, is_followed) != is_followed {
            self.sink.following(&status.source, is_followed);
        }
        if more {
            self.mark(id);
        } else {
            self.set_timer(id, now);
        }
        if rotations.count > known {
            self.left(id);
        }
        for count in known + 1..=rotations.count {
            self.sink.rotated(&status.source, Rotations { count, ..rotations });
        }
        // Told when it is stored: whoever looks may count on it.
        let sent = batch.map_or(Ok(()), |batch| self.sink.send(batch));
        self.post(status);
        sent
    }

    /// Gives deleted files up, the largest first, until the rest is within the limit.
    fn let_go(&mut self) -> Result<(), Stopped> {
        if !std::mem::take(&mut self.scanned) {
            return Ok(());
        }
        let (mut deleted, mut total) = self.deleted();
        if total > self.config.max_deleted_bytes {
            // Those of which all was read are given up without a word.
            for followed in self.tails.values_mut() {
                let were_open = followed.tail.open_files();
                followed.tail.let_read_go();
                self.open = self.open - were_open + followed.tail.open_files();
            }
            (deleted, total) = self.deleted();
        }
        while total > self.config.max_deleted_bytes
            && let Some((bytes, id)) = deleted.pop()
        {
            total -= bytes;
            let now = self.now();
            let Some(followed) = self.tails.get_mut(&id) else { continue };
            warn!(
                "{}: a deleted file of {bytes} bytes is given up, its disk space was needed",
                followed.tail.source()
            );
            let were_open = followed.tail.open_files();
            let batch = followed.tail.let_go(now);
            self.open = self.open - were_open + followed.tail.open_files();
            self.mark(id);
            batch.map_or(Ok(()), |batch| self.sink.send(batch))?;
        }
        Ok(())
    }

    /// The bytes of deleted files that each source holds, the most last, and their sum.
    fn deleted(&self) -> (Vec<(u64, u64)>, u64) {
        let mut deleted: Vec<(u64, u64)> =
            self.tails.iter().map(|(&id, followed)| (followed.tail.deleted_bytes(), id)).collect();
        deleted.retain(|(bytes, _)| *bytes > 0);
        deleted.sort_unstable();
        let total = deleted.iter().map(|(bytes, _)| bytes).sum();
        (deleted, total)
    }

    fn post(&self, status: SourceStatus) {
        self.shared.board().insert(status.source.clone(), status);
    }

    fn mark(&mut self, id: u64) {
        if let Some(followed) = self.tails.get_mut(&id)
            && !followed.dirty
        {
            followed.dirty = true;
            self.dirty.push_back(id);
        }
    }

    fn set_timer(&mut self, id: u64, now: Now) {
        let Some(followed) = self.tails.get_mut(&id) else { return };
        if let Some(old) = followed.timer.take() {
            self.timers.remove(&(old, id));
        }
        if let Some(wait) = followed.tail.look_again(now) {
            followed.timer = Some(now.uptime + wait);
            self.timers.insert((now.uptime + wait, id));
        }
    }

    /// Sleeps until something changes or is due, and takes note of what changed.
    fn wait(&mut self) {
        if self.dirty.is_empty() {
            let timer = self.timers.first().map_or(Duration::MAX, |(at, _)| *at);
            let due = self.scan_at.min(self.poll_at).min(self.discover_at).min(timer);
            if self.sleep(due.saturating_sub(self.started.elapsed()), true) {
                let rest = self.pace.rest();
                self.sleep(rest, false);
            }
        }
        let changes = self.watch.as_mut().map(Watch::changes).unwrap_or_default();
        for change in changes {
            match change {
                Change::Path(path) => self.changed(&path),
                Change::Tree => self.discover_at = self.discover_at.min(self.started.elapsed() + TREE_DELAY),
            }
        }
    }

    /// Sleeps for at most `time`, less if it is to stop or, with `watch`, if a file changed: then true.
    fn sleep(&self, time: Duration, watch: bool) -> bool {
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        if let Some(watched) = self.watch.as_ref().filter(|_| watch) {
            fds.push(PollFd::from_borrowed_fd(watched.as_fd(), PollFlags::IN));
        }
        let time = time.min(DISCOVERY_INTERVAL);
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        // An interrupted sleep is a short one.
        let _ = poll(&mut fds, Some(&time));
        fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
    }

    fn changed(&mut self, path: &Path) {
        if let Some(&id) = self.by_path.get(path) {
            self.mark(id);
            return;
        }
        // Who was not told of a rotation goes on with the old file, under the name that it has now.
        for origin in rotated::origins(path) {
            if let Some(&id) = self.by_path.get(&origin)
                && self.tails.get(&id).is_some_and(|followed| followed.tail.has_late())
            {
                self.mark(id);
            }
        }
        if self.patterns.matches(path) && fs::metadata(path).is_ok() {
            self.appeared(path);
        }
    }
}
