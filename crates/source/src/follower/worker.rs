//! The thread: turns wake-ups into reads, one batch of each changed file at a time.

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

use super::{Shared, Sink};
use crate::discover::Found;
use crate::identity::Identity;
use crate::pattern::Patterns;
use crate::watch::{Change, Watch};
use crate::{Config, Now, SourceKind, SourceState, SourceStatus, StartAt, Stopped, Tail, source_name};

/// After a wake-up, time for more to come: reading every single line by itself would cost more than it gives.
const COALESCE: Duration = Duration::from_millis(2);
/// How often all patterns are walked; new files in watched directories are seen at once.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);
/// How often paths are looked at where inotify should have told: once a second for 1,000 files.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
const SCAN_PER_FILE: Duration = Duration::from_millis(1);
/// A burst of new directories is walked once.
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
    /// Named without a glob: followed even while nothing is there.
    named: bool,
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
    tails: HashMap<u64, Followed>,
    next_id: u64,
    by_path: HashMap<PathBuf, u64>,
    dirty: VecDeque<u64>,
    timers: BTreeSet<(Duration, u64)>,
    open: usize,
    scan_at: Duration,
    discover_at: Duration,
    start_at: StartAt,
    refused: BTreeSet<String>,
    truncated: bool,
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
            discover_at: Duration::ZERO,
            refused: BTreeSet::new(),
            truncated: false,
        }
    }

    pub(super) fn run(mut self) {
        while !self.stopping() {
            self.keep_time();
            if self.round().is_err() {
                return;
            }
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
        let was_open = followed.tail.is_open();
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
        if more {
            followed.active = now.uptime;
        }
        let others = self.open - usize::from(was_open);
        if others >= MAX_OPEN {
            followed.tail.park();
        }
        self.open = others + usize::from(followed.tail.is_open());
        let status = followed.tail.status();
        if more {
            self.mark(id);
        } else {
            self.set_timer(id, now);
        }
        self.post(status);
        batch.map_or(Ok(()), |batch| self.sink.send(batch))
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
            let due = self.scan_at.min(self.discover_at).min(timer);
            if self.sleep(due.saturating_sub(self.started.elapsed()), true) {
                self.sleep(COALESCE, false);
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
        } else if self.patterns.matches(path) && fs::metadata(path).is_ok() {
            self.appeared(path);
        }
    }

    /// A new name in a watched directory: the usual case, without a walk.
    fn appeared(&mut self, path: &Path) {
        let name = source_name(path);
        if self.refused.contains(&name) || self.truncated {
            return;
        }
        let mut found = Found::default();
        found.consider(path, 1);
        let known = self.identities();
        self.take_up(found, &known);
    }

    /// Walks all patterns.
    fn discover(&mut self) {
        self.discover_at = self.started.elapsed() + DISCOVERY_INTERVAL;
        self.forget_gone();
        let mut found = Found::walk(&self.patterns, self.config.max_files);
        if found.truncated && !self.truncated {
            warn!(
                "more than {} files match: the rest is not followed; raise max_files",
                self.config.max_files
            );
        }
        self.truncated = found.truncated;
        self.absent_roots = std::mem::take(&mut found.absent_roots);
        for dir in std::mem::take(&mut found.dirs) {
            self.watch_dir(&dir);
        }
        // A file that was rotated away while nobody looked still has a rest to read.
        let absent = self.checkpoints.keys().map(PathBuf::from);
        found.missing.extend(
            absent.filter(|path| path.is_absolute() && self.patterns.matches(path) && !path.exists()),
        );
        self.refused_anew(&found);
        let known = self.identities();
        self.take_up(found, &known);
        self.start_at = StartAt::Beginning;
        // Directories that are watched anew may have changed before.
        self.scan_at = Duration::ZERO;
    }

    fn refused_anew(&mut self, found: &Found) {
        let mut board = self.shared.board();
        for name in std::mem::take(&mut self.refused) {
            board.remove(&name);
        }
        drop(board);
        for (path, reason) in &found.refused {
            self.refuse(path, SourceState::Refused(reason.clone()));
        }
        for (path, error) in &found.unreadable {
            self.refuse(path, SourceState::Failed(error.clone()));
        }
    }

    fn refuse(&mut self, path: &Path, state: SourceState) {
        // A path that is followed tells of itself.
        if self.by_path.contains_key(path) && !self.refused.contains(&source_name(path)) {
            return;
        }
        let source = source_name(path);
        self.refused.insert(source.clone());
        self.post(SourceStatus {
            path: Some(path.to_owned()),
            ..SourceStatus::new(source, SourceKind::File, state)
        });
    }

    /// By inode, which source has read or is going to read which file.
    fn identities(&self) -> HashMap<u64, Vec<(Identity, u64)>> {
        let mut out: HashMap<u64, Vec<(Identity, u64)>> = HashMap::new();
        for (&id, followed) in &self.tails {
            for identity in followed.tail.identities() {
                out.entry(identity.ino).or_default().push((identity, id));
            }
        }
        out
    }

    fn take_up(&mut self, found: Found, known: &HashMap<u64, Vec<(Identity, u64)>>) {
        for (path, reason) in &found.refused {
            self.refuse(path, SourceState::Refused(reason.clone()));
        }
        let new = |path: &&PathBuf| !self.by_path.contains_key(*path);
        let (files, missing): (Vec<_>, Vec<_>) = (
            found.files.iter().filter(new).cloned().collect(),
            found.missing.iter().filter(new).cloned().collect(),
        );
        for path in files {
            let identity = fs::metadata(&path).map(|metadata| Identity::of(&metadata)).ok();
            let owner = identity.and_then(|identity| {
                let same = known.get(&identity.ino)?.iter().find(|(other, _)| other.may_be(&identity))?;
                Some((same.1, source_name(self.tails.get(&same.1)?.tail.path())))
            });
            match owner {
                Some((id, owner)) => {
                    let reason = format!("is read as {owner}: it stood there before it was renamed");
                    self.refuse(&path, SourceState::Refused(reason));
                    self.by_path.insert(path, id);
                }
                None => self.follow(path, false),
            }
        }
        for path in missing {
            self.follow(path, true);
        }
    }

    fn follow(&mut self, path: PathBuf, missing: bool) {
        if self.tails.len() >= self.config.max_files || self.by_path.contains_key(&path) {
            return;
        }
        let checkpoint = self.checkpoints.remove(&source_name(&path));
        let tail = Tail::new(path.clone(), checkpoint.as_ref(), self.start_at, self.config.limits);
        if !missing {
            info!("following {}", tail.source());
        }
        let id = self.next_id;
        self.next_id += 1;
        if let Some(dir) = path.parent() {
            self.watch_dir(dir);
        }
        // Writes through a symlink are told where its target lies.
        if let Ok(real) = fs::canonicalize(&path)
            && real != path
            && let Some(dir) = real.parent()
        {
            self.watch_dir(dir);
            self.by_path.entry(real).or_insert(id);
        }
        let named = self.patterns.each.iter().any(|pattern| pattern.depth == 0 && pattern.root == path);
        self.by_path.insert(path, id);
        let active = self.started.elapsed();
        let followed = Followed { tail, dirty: false, glance: None, active, timer: None, error: None, named };
        self.tails.insert(id, followed);
        self.mark(id);
    }

    fn watch_dir(&mut self, dir: &Path) {
        let result = self.watch.as_mut().map_or(Err(Errno::NOSYS), |watch| watch.add(dir));
        match result {
            Ok(()) => {
                self.polled.remove(dir);
            }
            // It is not there (yet), or not to be looked into: its files say so themselves.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(error) => {
                if error == Errno::NOSPC && self.polled.is_empty() {
                    warn!(
                        "the system's inotify watches are used up: {} and others are polled every {:?}; \
                         raise them with `sysctl fs.inotify.max_user_watches=524288`",
                        dir.display(),
                        self.config.poll_interval
                    );
                }
                self.polled.insert(dir.to_owned());
            }
        }
    }

    /// Looks at every path, for what inotify did not tell.
    fn scan(&mut self) {
        let now = self.now();
        let mut changed = Vec::new();
        for (&id, followed) in &mut self.tails {
            let glance = glance(followed.tail.path());
            let agrees = followed.tail.agrees(glance.map(|(inode, ..)| inode));
            if glance != followed.glance || !agrees || followed.error.is_some() {
                followed.glance = glance;
                changed.push(id);
            } else if followed.tail.is_open()
                && now.uptime.saturating_sub(followed.active) > IDLE
                && followed.tail.park()
            {
                self.open -= 1;
            }
        }
        for id in changed {
            self.mark(id);
        }
        if self.absent_roots.iter().any(|root| root.exists()) {
            self.discover_at = Duration::ZERO;
        }
        let count = u32::try_from(self.tails.len()).unwrap_or(u32::MAX);
        let interval = SCAN_INTERVAL.max(SCAN_PER_FILE * count);
        let interval = if self.polled.is_empty() { interval } else { self.config.poll_interval };
        self.scan_at = self.started.elapsed() + interval;
    }

    /// Makes room for new files: what is gone for good is only remembered by its checkpoint.
    fn forget_gone(&mut self) {
        let gone = |followed: &Followed| {
            let status = followed.tail.status();
            status.state == SourceState::Missing
                && !followed.tail.is_open()
                && !followed.named
                && !followed.dirty
        };
        let now = self.started.elapsed();
        let ids: Vec<u64> = self
            .tails
            .iter()
            .filter(|(_, followed)| now.saturating_sub(followed.active) > IDLE && gone(followed))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let Some(followed) = self.tails.remove(&id) else { continue };
            if let Some(timer) = followed.timer {
                self.timers.remove(&(timer, id));
            }
            self.by_path.retain(|_, owner| *owner != id);
            let name = followed.tail.source().to_string();
            self.shared.board().remove(&name);
            self.checkpoints.insert(name, followed.tail.checkpoint());
        }
    }
}

fn glance(path: &Path) -> Glance {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
