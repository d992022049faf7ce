//! What a tail tells about itself: where it stands, when it wants to be read, whether it can let go of its file.

use super::*;
use crate::mark::late_words;
use crate::status::SourceKind;

/// What is known of being behind beyond where reading stands.
#[derive(Default, Debug)]
pub(super) struct Lag {
    /// Since when there are bytes that were not read.
    since: Option<Timestamp>,
    /// Bytes of the unfinished line when the file was parked.
    parked_bytes: u64,
}

impl Tail {
    /// When to read again though nothing is reported about the path.
    pub fn look_again(&self, now: Now) -> Option<Duration> {
        let front = self.look_at_front_again(now);
        [front, self.late_due(now)].into_iter().flatten().min()
    }

    fn look_at_front_again(&self, now: Now) -> Option<Duration> {
        match &self.front {
            Front::None => None,
            Front::Parked(_) => self.displaced.then_some(DELETED_HOLD),
            Front::Open(file) => {
                let unsettled =
                    !self.next.is_empty() || self.displaced || self.state != SourceState::Following;
                let quiet = now.uptime.saturating_sub(self.quiet_since);
                let waits = self.cutter.holds_lines() && !self.has_next_content();
                let lines = waits.then(|| self.limits.multiline_timeout.saturating_sub(quiet));
                let partial = self.limits.partial_line_timeout.filter(|_| file.partial_bytes() > 0);
                let unsettled = unsettled.then(|| quiet.clamp(UNSETTLED_POLL, UNSETTLED_POLL_MAX));
                [unsettled.or(partial), lines].into_iter().flatten().min()
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

    /// Closes the file if it can be found and verified again, and no record waits to go on. Returns whether no descriptor
    /// is held.
    pub fn park(&mut self) -> bool {
        self.close_late(|_| true);
        self.park_front() && self.late_sums().0 == 0
    }

    fn park_front(&mut self) -> bool {
        let Front::Open(file) = &self.front else { return true };
        if self.cutter.holds_lines() {
            return false;
        }
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
        self.lag.parked_bytes = file.partial_bytes() as u64;
        self.front = Front::Parked(Box::new(file.mark(self.cutter.skip, self.previous)));
        self.next.clear();
        true
    }

    /// Bytes on the disk that are only there because this source holds their files open.
    pub fn deleted_bytes(&self) -> u64 {
        let front = match &self.front {
            Front::Open(file) => file.deleted_bytes(),
            _ => 0,
        };
        front + self.next.iter().map(Opened::deleted_bytes).sum::<u64>() + self.late_sums().1
    }

    /// Gives up the files that nothing but this source holds, but for those that wait; what was not read of them is a gap.
    pub(crate) fn let_go(&mut self, now: Now) -> Option<RawBatch> {
        if self.late_sums().1 > 0 {
            self.let_late_go(now);
        }
        if !matches!(&self.front, Front::Open(file) if file.is_deleted()) {
            return self.batch(Vec::new(), Found::default(), now);
        }
        let (arena, found, _) = self.finish_front(now);
        self.rotations.add(RotationSign::Replaced);
        self.batch(arena, found, now)
    }

    /// How often its content became another one.
    pub(crate) fn rotations(&self) -> Rotations {
        self.rotations
    }

    /// Whether the file that is read is held open.
    pub fn is_open(&self) -> bool {
        matches!(self.front, Front::Open(_))
    }

    /// Descriptors that are held, but for those of files that wait.
    pub(crate) fn open_files(&self) -> usize {
        usize::from(self.is_open()) + self.late_sums().0
    }

    /// The identity of the file that is read.
    pub fn identity(&self) -> Option<Identity> {
        match &self.front {
            Front::None => None,
            Front::Parked(mark) => Some(mark.identity),
            Front::Open(file) => Some(file.identity),
        }
    }

    /// Whether its file is found elsewhere than at the path.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.displaced || self.has_late()
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
        let late = self.late.iter().map(|late| late.mark.identity);
        let left = self.marks().map(|mark| mark.identity).chain(late);
        let left = left.filter(|identity| !self.given.contains(identity));
        self.identity().into_iter().chain(left).chain(self.next.iter().map(|opened| opened.identity))
    }

    /// Where it stands.
    pub fn checkpoint(&self) -> Checkpoint {
        let state = match &self.front {
            Front::None => self.next.front().map_or(Resume::Between(self.previous), |opened| {
                Resume::In(self.mark_of(opened, self.cutter.offset))
            }),
            Front::Parked(mark) => Resume::In(**mark),
            Front::Open(file) => Resume::In(file.mark(self.cutter.skip, self.previous)),
        };
        let state = state.encode() + &late_words(&self.late_marks());
        Checkpoint { offset: self.cutter.offset, lines: self.cutter.lines, state }
    }

    /// Bytes of an unfinished last line, which were read.
    fn held_bytes(&self) -> u64 {
        let front = match &self.front {
            Front::None => 0,
            Front::Parked(_) => self.lag.parked_bytes,
            Front::Open(file) => file.partial_bytes() as u64,
        };
        front + self.late_sums().3
    }

    /// Bytes that are there but not handed over.
    fn lag_bytes(&self) -> u64 {
        let end = match &self.front {
            Front::None => self.cutter.offset,
            Front::Parked(mark) => mark.base + mark.size,
            Front::Open(file) => file.base + file.size,
        };
        let waiting: u64 = self.next.iter().map(|opened| opened.size).sum();
        end.saturating_sub(self.cutter.offset) + waiting + self.late_sums().2
    }

    /// Remembers since when bytes wait to be read.
    pub(super) fn note_lag(&mut self, now: Now) {
        let behind = self.lag_bytes() > self.held_bytes();
        self.lag.since = behind.then(|| self.lag.since.unwrap_or(now.observed));
    }

    /// How it is doing.
    pub fn status(&self) -> SourceStatus {
        let (position, size) = match &self.front {
            Front::None => (0, 0),
            Front::Parked(mark) => (mark.position, mark.size),
            Front::Open(file) => (file.position, file.size),
        };
        SourceStatus {
            source: self.source.to_string(),
            kind: SourceKind::File,
            state: self.state.clone(),
            path: Some(self.path.clone()),
            identity: self.identity(),
            offset: self.cutter.offset,
            position,
            size: self.next.back().map_or(size, |opened| opened.size),
            lag_bytes: self.lag_bytes(),
            held_bytes: self.held_bytes(),
            behind_since: self.lag.since,
            lines: self.cutter.lines,
            rotations: self.rotations.count,
            last_read: self.last_read,
            last_error: self.last_error.clone(),
        }
    }
}
