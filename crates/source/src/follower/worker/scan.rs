//! Looking where inotify does not: at directories it cannot watch, and now and then at everything.

use super::*;

impl Worker {
    pub(super) fn watch_dir(&mut self, dir: &Path) {
        if let Some(kind) = remote_kind(dir) {
            if self.polled.insert(dir.to_owned()) {
                info!(
                    "{} is on {kind}: its files are looked at every {:?}",
                    dir.display(),
                    self.config.poll_interval
                );
            }
            return;
        }
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
    pub(super) fn scan(&mut self) {
        let now = self.now();
        let ids: Vec<u64> = self.tails.keys().copied().collect();
        for id in ids {
            if !self.look_at(id) {
                self.park_if_idle(id, now);
            }
        }
        if self.absent_roots.iter().any(|root| root.exists()) {
            self.discover_at = Duration::ZERO;
        }
        let count = u32::try_from(self.tails.len()).unwrap_or(u32::MAX);
        self.scan_at = self.started.elapsed() + SCAN_INTERVAL.max(SCAN_PER_FILE * count);
        self.scanned = true;
        self.plan_poll();
    }

    /// Looks at the paths in directories that inotify does not watch.
    pub(super) fn poll(&mut self) {
        let polled =
            |followed: &Followed| followed.tail.path().parent().is_some_and(|dir| self.polled.contains(dir));
        let ids: Vec<u64> =
            self.tails.iter().filter(|(_, followed)| polled(followed)).map(|(&id, _)| id).collect();
        for id in ids {
            self.look_at(id);
        }
        self.plan_poll();
    }

    fn plan_poll(&mut self) {
        let interval = if self.polled.is_empty() { None } else { Some(self.config.poll_interval) };
        self.poll_at = interval.map_or(Duration::MAX, |interval| self.started.elapsed() + interval);
    }

    /// Marks a path that changed; whether it did.
    fn look_at(&mut self, id: u64) -> bool {
        let now = self.now();
        let Some(followed) = self.tails.get_mut(&id) else { return false };
        let glance = glance(followed.tail.path());
        let agrees = followed.tail.agrees(glance.map(|(inode, ..)| inode));
        let changed =
            glance != followed.glance || !agrees || followed.error.is_some() || followed.tail.wants_late(now);
        followed.glance = glance;
        if changed {
            self.mark(id);
        }
        changed
    }

    /// Closes files that nobody writes to. What it was woken for while they were open is over, too.
    fn park_if_idle(&mut self, id: u64, now: Now) {
        let Some(followed) = self.tails.get_mut(&id) else { return };
        let idle = now.uptime.saturating_sub(followed.active) > IDLE;
        let were_open = followed.tail.open_files();
        followed.tail.close_quiet(now, IDLE);
        let parks = idle && followed.tail.open_files() > 0;
        if parks {
            followed.tail.park();
        }
        self.open = self.open - were_open + followed.tail.open_files();
        if parks {
            self.set_timer(id, now);
        }
    }
}

fn glance(path: &Path) -> Glance {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The kind of a file system on which other machines write without inotify telling.
fn remote_kind(dir: &Path) -> Option<&'static str> {
    // Numbers of statfs(2).
    const KINDS: [(u64, &str); 9] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x517b, "SMB"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x0bd0_0bd0, "Lustre"),
    ];
    let found = rustix::fs::statfs(dir).ok()?.f_type as u64 & 0xffff_ffff;
    KINDS.iter().find(|(number, _)| *number == found).map(|(_, name)| *name)
}
