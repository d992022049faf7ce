//! Notices files that hold unread bytes while reading does not move on, and journals and pipes whose lines are read but
//! find no taker: the trouble that nobody else reports, because whoever would report it is the one that stands still.
//!
//! It looks at files by itself and believes no word of the thread that reads but how far it has come. It has no
//! thread and no clock of its own, and remembers only sources that are behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use taffrail_record::Timestamp;

use crate::identity::Identity;
use crate::{Now, SourceKind, SourceState, SourceStatus};

/// Times its limit that a source may stand still while others in the queue move.
const PATIENCE_MAX: u32 = 10;

/// What stands at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glance {
    /// Which file.
    pub identity: Identity,
    /// Its bytes.
    pub size: u64,
}

impl Glance {
    /// Looks at `path`; `None` if nothing can be seen there. Blocks as long as the file system does.
    pub fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_file())?;
        Some(Self { identity: Identity::of(&metadata), size: metadata.len() })
    }
}

/// A source with bytes at its path that are not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    /// How many.
    pub unread_bytes: u64,
    /// When it was first seen so; since then reading has not moved.
    pub since: Timestamp,
    /// Whether it stands still for too long.
    pub stalled: bool,
}

/// Watches over sources. Whoever owns it shows it some of them at a time, again and again.
#[derive(Debug)]
pub struct Watchdog {
    stall_after: Duration,
    /// How long a source may stand still now: longer while very many wait for their turn and get it.
    patience: Duration,
    behind: BTreeMap<String, Waiting>,
    /// Sources that moved since the pass began.
    moved: u32,
}

/// A source with unread bytes, as it was last seen.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    unread_bytes: u64,
    /// Offset after the last byte that was read.
    read_to: u64,
    since: Timestamp,
    /// How long it was watched not to move.
    still: Duration,
    looked: Duration,
}

impl Watchdog {
    /// One that calls a source stalled when it is behind and does not move for `stall_after`.
    pub fn new(stall_after: Duration) -> Self {
        Self { stall_after, patience: stall_after, behind: BTreeMap::new(), moved: 0 }
    }

    /// The path to look at for a source; `None` if a look would tell nothing: it is no file, or is not meant
    /// to be read. A file that was never let open is no loss of reading either.
    pub fn path_of(status: &SourceStatus) -> Option<&Path> {
        let never_read = status.offset == 0 && status.identity.is_none();
        let watched = match &status.state {
            SourceState::Following | SourceState::Missing => true,
            SourceState::Failed(_) => !never_read,
            SourceState::Refused(_) | SourceState::Ended => false,
        };
        status.path.as_deref().filter(|_| watched && status.kind == SourceKind::File)
    }

    /// Takes note of a source and of what stands at its path.
    pub fn note(&mut self, status: &SourceStatus, glance: Option<Glance>, now: Now) {
        let unread_bytes = match status.kind {
            SourceKind::File => glance.map_or(0, |glance| unread_bytes(status, &glance)),
            _ => status.lag_bytes,
        };
        if unread_bytes == 0 {
            self.moved += u32::from(self.behind.remove(&status.source).is_some());
            return;
        }
        let read_to = status.offset + status.held_bytes;
        let fresh =
            Waiting { unread_bytes, read_to, since: now.observed, still: Duration::ZERO, looked: now.uptime };
        let Some(before) = self.behind.get_mut(&status.source) else {
            self.behind.insert(status.source.clone(), fresh);
            return;
        };
        if before.read_to != read_to {
            *before = fresh;
            self.moved += 1;
            return;
        }
        // Time in which nobody looked, because the whole program stood still, is held against nobody.
        let waited = now.uptime.saturating_sub(before.looked).min(self.stall_after / 2);
        *before = Waiting { unread_bytes, still: before.still + waited, looked: now.uptime, ..*before };
    }

    /// Every source was shown once since `started`. What was not is followed no more, and forgotten.
    pub fn end_pass(&mut self, started: Duration, uptime: Duration) {
        self.behind.retain(|_, behind| behind.looked >= started);
        let waiting = u32::try_from(self.behind.len()).unwrap_or(u32::MAX);
        // One thread reads many files in turn: how long a turn of all takes shows in how many moved.
        let turn = uptime.saturating_sub(started).saturating_mul(waiting.saturating_add(self.moved));
        let turn = turn.checked_div(self.moved).unwrap_or_default();
        let longest = self.stall_after.saturating_mul(PATIENCE_MAX);
        self.patience = turn.saturating_mul(2).clamp(self.stall_after, longest);
        self.moved = 0;
    }

    /// What is waiting for a source that has not moved since it was last looked at.
    pub fn behind(&self, status: &SourceStatus) -> Option<Behind> {
        let waiting = self.behind.get(&status.source)?;
        let is_still = waiting.read_to == status.offset + status.held_bytes;
        let stalled = waiting.still >= self.patience;
        is_still.then_some(Behind { unread_bytes: waiting.unread_bytes, since: waiting.since, stalled })
    }
}

/// Bytes at the path that were not read. Of a file that is not the one that is read, nothing was.
fn unread_bytes(status: &SourceStatus, glance: &Glance) -> u64 {
    let read_to = status.position + status.held_bytes;
    match status.identity {
        Some(identity) if identity.is(&glance.identity) && read_to <= glance.size => glance.size - read_to,
        _ => glance.size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL_AFTER: Duration = Duration::from_secs(30);

    fn identity(ino: u64) -> Identity {
        Identity { dev: 1, ino, birth: None }
    }

    fn glance(ino: u64, size: u64) -> Option<Glance> {
        Some(Glance { identity: identity(ino), size })
    }

    fn status(position: u64, held_bytes: u64) -> SourceStatus {
        SourceStatus {
            path: Some("/x.log".into()),
            identity: Some(identity(7)),
            offset: 1000 + position,
            position,
            held_bytes,
            ..SourceStatus::new("/x.log".to_owned(), SourceKind::File, SourceState::Following)
        }
    }

    fn at(seconds: u64) -> Now {
        let observed = Timestamp(seconds as i64 * Timestamp::SECOND);
        Now { observed, uptime: Duration::from_secs(seconds) }
    }

    /// Shows a source every ten seconds as it was each time, and says whether it is stalled at the end.
    fn stalled(looks: &[(u64, u64, Option<Glance>)]) -> bool {
        let mut watchdog = Watchdog::new(STALL_AFTER);
        let mut stalled = false;
        for (turn, (position, held, glance)) in looks.iter().enumerate() {
            let status = status(*position, *held);
            watchdog.note(&status, *glance, at(turn as u64 * 10));
            stalled = is_stalled(&watchdog, &status);
        }
        stalled
    }

    fn is_stalled(watchdog: &Watchdog, status: &SourceStatus) -> bool {
        watchdog.behind(status).is_some_and(|behind| behind.stalled)
    }

    #[test]
    fn only_what_is_behind_and_does_not_move_is_stalled() {
        let behind = (100, 0, glance(7, 200));
        let cases: [(&str, &[_], bool); 10] = [
            ("too short", &[behind; 3], false),
            ("unread bytes", &[behind; 4], true),
            ("all is read", &[(200, 0, glance(7, 200)); 9], false),
            ("an unfinished line waits for its newline", &[(100, 100, glance(7, 200)); 9], false),
            ("a growing unfinished line", &[(100, 1, glance(7, 101)), (100, 9, glance(7, 109))], false),
            (
                "it moves, slower than the file grows",
                &[behind, behind, behind, (101, 0, glance(7, 900)), (102, 0, glance(7, 1900))],
                false,
            ),
            ("another file stands there", &[(200, 0, glance(8, 5)); 4], true),
            ("an empty successor", &[(200, 0, glance(8, 0)); 9], false),
            ("cut shorter, unnoticed", &[(200, 0, glance(7, 5)); 4], true),
            ("nothing is there", &[(100, 0, None); 9], false),
        ];
        for (what, looks, want) in cases {
            assert_eq!(stalled(looks), want, "{what}");
        }
    }

    #[test]
    fn lines_of_a_pipe_that_find_no_taker_are_a_stall() {
        let mut watchdog = Watchdog::new(STALL_AFTER);
        let mut shown = |uptime: u64, offset: u64, lag_bytes: u64| {
            let new = SourceStatus::new("stdin".to_owned(), SourceKind::Stdin, SourceState::Following);
            let status = SourceStatus { offset, lag_bytes, ..new };
            let uptime = Duration::from_secs(uptime);
            watchdog.note(&status, None, Now { observed: Timestamp(0), uptime });
            is_stalled(&watchdog, &status)
        };
        let looks = [(0, 0, 5), (10, 0, 5), (20, 5, 7), (30, 5, 7), (40, 5, 7), (50, 5, 7), (60, 12, 0)];
        let stalled = looks.map(|(uptime, offset, lag)| shown(uptime, offset, lag));
        assert_eq!(stalled, [false, false, false, false, false, true, false]);
    }

    #[test]
    fn a_stall_tells_since_when_and_ends_when_reading_moves() {
        let mut watchdog = Watchdog::new(STALL_AFTER);
        for second in (5..=45).step_by(10) {
            watchdog.note(&status(100, 0), glance(7, 100 + second), at(second));
        }
        let since = Timestamp(5 * Timestamp::SECOND);
        let want = Behind { unread_bytes: 45, since, stalled: true };
        assert_eq!(watchdog.behind(&status(100, 0)), Some(want));
        assert_eq!(watchdog.behind(&status(101, 0)), None, "it has moved since");
        watchdog.note(&status(120, 0), glance(7, 200), at(55));
        let want = Behind { unread_bytes: 80, since: Timestamp(55 * Timestamp::SECOND), stalled: false };
        assert_eq!(watchdog.behind(&status(120, 0)), Some(want));
        watchdog.note(&status(200, 0), glance(7, 200), at(65));
        assert_eq!(watchdog.behind(&status(200, 0)), None);
    }

    #[test]
    fn a_program_that_slept_blames_no_source() {
        let mut watchdog = Watchdog::new(STALL_AFTER);
        watchdog.note(&status(100, 0), glance(7, 200), at(0));
        watchdog.note(&status(100, 0), glance(7, 200), at(86_400));
        assert!(!is_stalled(&watchdog, &status(100, 0)));
        watchdog.note(&status(100, 0), glance(7, 200), at(86_420));
        assert!(is_stalled(&watchdog, &status(100, 0)));
    }

    #[test]
    fn what_is_not_shown_any_more_is_forgotten() {
        let mut watchdog = Watchdog::new(STALL_AFTER);
        watchdog.note(&status(100, 0), glance(7, 200), at(0));
        watchdog.end_pass(Duration::ZERO, Duration::from_secs(1));
        assert!(watchdog.behind(&status(100, 0)).is_some());
        watchdog.end_pass(Duration::from_secs(1), Duration::from_secs(2));
        assert!(watchdog.behind(&status(100, 0)).is_none());
    }

    #[test]
    fn a_long_queue_that_moves_is_no_stall() {
        for (moving, turns, stalled) in [(0, 7, 100), (1, 7, 0), (1, 32, 99), (90, 7, 10)] {
            let mut watchdog = Watchdog::new(STALL_AFTER);
            let shown = |source: u64, turn: u64| {
                let read = if source < moving { 100 + turn } else { 100 };
                SourceStatus { source: format!("/{source}"), ..status(read, 0) }
            };
            for turn in 0..turns {
                for source in 0..100 {
                    watchdog.note(&shown(source, turn), glance(7, 200), at(turn * 10));
                }
                watchdog.end_pass(at(turn * 10).uptime, at(turn * 10 + 9).uptime);
            }
            let found = (0..100).filter(|source| is_stalled(&watchdog, &shown(*source, turns - 1)));
            assert_eq!(found.count(), stalled, "{moving} of 100 move, {turns} turns");
        }
    }

    #[test]
    fn files_that_nobody_means_to_read_are_not_looked_at() {
        let read = |state| SourceStatus { state, ..status(100, 0) };
        let never = |state| SourceStatus { offset: 0, identity: None, ..read(state) };
        let failed = || SourceState::Failed("permission denied".to_owned());
        for (status, watched) in [
            (read(SourceState::Following), true),
            (never(SourceState::Following), true),
            (read(SourceState::Missing), true),
            (read(failed()), true),
            (never(failed()), false),
            (read(SourceState::Refused("looks binary".to_owned())), false),
            (SourceStatus { kind: SourceKind::Journal, ..read(SourceState::Following) }, false),
            (SourceStatus { path: None, ..read(SourceState::Following) }, false),
        ] {
            assert_eq!(Watchdog::path_of(&status).is_some(), watched, "{status:?}");
        }
    }

    #[test]
    fn a_glance_sees_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(Glance::at(&path), None);
        assert_eq!(Glance::at(dir.path()), None);
        fs::write(&path, "12345").unwrap();
        assert_eq!(Glance::at(&path).unwrap().size, 5);
    }
}
