//! What a tail tells about itself: where it stands, when it wants to be read, whether it can let go of its file.

use super::*;

impl Tail {
    /// When to read again though nothing is reported about the path.
    pub fn look_again(&self, now: Now) -> Option<Duration> {
        match &self.front {
            Front::None => None,
            Front::Parked(_) => self.displaced.then_some(DELETED_HOLD),
            Front::Open(file) => {
                let unsettled = !self.next.is_empty() || self.state != SourceState::Following;
                let quiet = now.uptime.saturating_sub(self.quiet_since);
                let partial = self.limits.partial_line_timeout.filter(|_| file.partial_bytes() > 0);
                if unsettled { Some(quiet.clamp(UNSETTLED_POLL, UNSETTLED_POLL_MAX)) } else { partial }
            }
        }
    }

    /// The path that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The source's name in batches.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Closes the file if it can be found and verified again. Returns whether no descriptor is held.
    pub fn park(&mut self) -> bool {
        let Front::Open(file) = &self.front else { return true };
        let here = fs::metadata(&self.path).is_ok_and(|metadata| Identity::of(&metadata).is(&file.identity));
        let waits = match self.next.front() {
            None => !here,
            Some(opened) => self.next.len() == 1 && opened.size_now() == 0,
        };
        let settled = here && self.next.is_empty();
        if !settled && (!waits || file.is_deleted()) {
            return false;
        }
        self.displaced = waits;
        self.front = Front::Parked(file.mark(&self.cutter, self.seen));
        self.next.clear();
        true
    }

    /// Whether a descriptor is held.
    pub fn is_open(&self) -> bool {
        matches!(self.front, Front::Open(_))
    }

    /// The identity of the file that is read.
    pub fn identity(&self) -> Option<Identity> {
        match &self.front {
            Front::None => None,
            Front::Parked(mark) => Some(mark.identity),
            Front::Open(file) => Some(file.identity),
        }
    }

    /// Whether an inode seen at the path, or none, is what was found there at the last read.
    pub(crate) fn agrees(&self, inode: Option<u64>) -> bool {
        match self.state {
            SourceState::Missing => inode.is_none(),
            SourceState::Following if self.displaced => inode.is_some(),
            SourceState::Following => {
                let latest = self.next.back().map(|opened| opened.identity).or(self.identity());
                inode == latest.map(|identity| identity.ino)
            }
            SourceState::Refused(_) | SourceState::Failed(_) | SourceState::Ended => true,
        }
    }

    /// Every file that this source has read, reads, or is going to read next, as far as it is remembered.
    pub fn identities(&self) -> impl Iterator<Item = Identity> {
        let left = self.left.iter().map(|mark| mark.identity);
        self.identity().into_iter().chain(left).chain(self.next.iter().map(|opened| opened.identity))
    }

    /// Where it stands.
    pub fn checkpoint(&self) -> Checkpoint {
        let state = match &self.front {
            Front::None => {
                self.next.front().map_or(Resume::Between, |opened| Resume::In(self.mark_of(opened)))
            }
            Front::Parked(mark) => Resume::In(*mark),
            Front::Open(file) => Resume::In(file.mark(&self.cutter, self.seen)),
        };
        Checkpoint { offset: self.cutter.offset, lines: self.cutter.lines, state: state.encode() }
    }

    /// How it is doing.
    pub fn status(&self) -> SourceStatus {
        let (base, size) = match &self.front {
            Front::None => (self.cutter.offset, 0),
            Front::Parked(mark) => (mark.base, mark.size),
            Front::Open(file) => (file.base, file.size),
        };
        let waiting: u64 = self.next.iter().map(|opened| opened.size).sum();
        SourceStatus {
            source: self.source.to_string(),
            state: self.state.clone(),
            offset: self.cutter.offset,
            size: self.next.back().map_or(size, |opened| opened.size),
            lag_bytes: (base + size).saturating_sub(self.cutter.offset) + waiting,
            lines: self.cutter.lines,
            rotations: self.rotations,
            last_read: self.last_read,
            last_error: self.last_error.clone(),
            identity: self.identity().map_or_else(String::new, |identity| identity.to_string()),
        }
    }
}
