//! What happens to files, to the disk and to the daemon, and which of it may happen next.
//!
//! Only what has a defined outcome is planned: where bytes are destroyed, they were read before, or their size
//! was known.

use std::fmt;

use crate::corpus::Random;

/// Followed paths; the last one is a symbolic link.
pub(super) const FILES: usize = 4;

/// One step of a round.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Action {
    /// Whole lines at the end of a file.
    Append(usize),
    /// Half a line, which the next append completes.
    Half(usize),
    /// Renamed, and a new file at once.
    Rename(usize),
    /// Renamed, written to under its new name, and a new file after a while.
    RenameLate(usize),
    /// The newest rotated file is compressed and removed.
    Gzip(usize),
    Zstd(usize),
    /// Copied to another name, and truncated.
    CopyTruncate(usize),
    Truncate(usize),
    /// Truncated right after a great append, which the daemon has seen but not read.
    TruncateUnread(usize),
    /// Written anew in place.
    Overwrite(usize),
    /// Deleted and made anew, with the same inode where the file system likes to reuse it.
    Replace(usize),
    /// The link leads to another file.
    Swap(usize),
    /// Nobody may read it.
    Lock(usize),
    Unlock(usize),
    /// The daemon has read all that is there.
    Settle(usize),
    FillDisk,
    FreeDisk,
    /// SIGSTOP and SIGCONT.
    Freeze,
    Thaw,
    Kill,
    Stop,
    Start,
}

impl Action {
    /// Its name in tables and in `--skip`.
    pub(super) fn name(self) -> String {
        let debug = format!("{self:?}");
        let name = debug.split('(').next().unwrap_or_default();
        let mut out = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.extend(letter.to_lowercase());
        }
        out
    }

    fn file(self) -> Option<usize> {
        use Action::*;
        match self {
            Append(file) | Half(file) | Rename(file) | RenameLate(file) | Gzip(file) | Zstd(file)
            | CopyTruncate(file) | Truncate(file) | TruncateUnread(file) | Overwrite(file)
            | Replace(file) | Swap(file) | Lock(file) | Unlock(file) | Settle(file) => Some(file),
            FillDisk | FreeDisk | Freeze | Thaw | Kill | Stop | Start => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file() {
            Some(file) => write!(f, "{} {}", self.name(), file_name(file)),
            None => f.write_str(&self.name()),
        }
    }
}

/// Whether bytes that were not read by then are gone for good, or in a file that nobody could find.
fn destroys(action: Action) -> bool {
    use Action::*;
    matches!(action, Truncate(_) | TruncateUnread(_) | Overwrite(_) | Replace(_) | Swap(_))
}

/// The name of a followed file.
pub(super) fn file_name(file: usize) -> String {
    format!("{}.log", char::from(b'a' + file as u8))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Daemon {
    Up,
    Frozen,
    Down,
}

/// What is known of a file while planning.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Something was written since the daemon was seen to have read all.
    unread: bool,
    half: bool,
    locked: bool,
    /// Rotated files that are not compressed.
    rotated: usize,
}

/// Plans a round from a seed: the same seed, the same round.
#[derive(Debug)]
pub(super) struct Planner {
    pub(super) random: Random,
    daemon: Daemon,
    files: [State; FILES],
    disk_full: bool,
    /// Whether the disk is filled in this round; then nothing is destroyed unread, so that what is missing has
    /// one reason.
    pub(super) fills: bool,
    skip: Vec<String>,
}

impl Planner {
    /// For a round with a running daemon and files that hold something. What is rotated away before anyone ever
    /// saw it is nobody's: the files are to be settled before the first step.
    pub(super) fn new(seed: u64, can_fill: bool, skip: &[String]) -> Self {
        let mut random = Random::new(seed);
        let fills = random.below(3) == 0 && can_fill;
        let files = [State::default(); FILES];
        Self { random, daemon: Daemon::Up, files, disk_full: false, fills, skip: skip.to_vec() }
    }

    /// The next steps: one, or one and the settling that it needs.
    pub(super) fn next(&mut self) -> Vec<Action> {
        loop {
            let action = self.draw();
            if !self.skip.contains(&action.name()) && self.may(action) {
                let settle = action.file().filter(|&file| destroys(action) && self.files[file].unread);
                let steps = settle.map(Action::Settle).into_iter().chain([action]);
                return steps.inspect(|&step| self.note(step)).collect();
            }
        }
    }

    /// What brings everything to where it can be checked.
    pub(super) fn last(&mut self) -> Vec<Action> {
        let mut out = Vec::new();
        out.extend(self.disk_full.then_some(Action::FreeDisk));
        match self.daemon {
            Daemon::Up => {}
            Daemon::Frozen => out.push(Action::Thaw),
            Daemon::Down => out.push(Action::Start),
        }
        let locked = (0..FILES).filter(|&file| self.files[file].locked);
        out.extend(locked.map(Action::Unlock));
        out.extend((0..FILES).flat_map(|file| [Action::Append(file), Action::Settle(file)]));
        out.iter().for_each(|&step| self.note(step));
        out
    }

    fn draw(&mut self) -> Action {
        let file = self.random.below(FILES as u64) as usize;
        // What is not to last ends one time in four.
        if self.random.below(4) == 0 {
            match self.daemon {
                Daemon::Frozen => return Action::Thaw,
                Daemon::Down => return Action::Start,
                Daemon::Up if self.disk_full => return Action::FreeDisk,
                Daemon::Up if self.files[file].locked => return Action::Unlock(file),
                Daemon::Up => {}
            }
        }
        let weighted = [
            (10, Action::Append(file)),
            (3, Action::Half(file)),
            (5, Action::Rename(file)),
            (2, Action::RenameLate(file)),
            (3, Action::Gzip(file)),
            (2, Action::Zstd(file)),
            (3, Action::CopyTruncate(file)),
            (2, Action::Truncate(file)),
            (1, Action::TruncateUnread(file)),
            (2, Action::Overwrite(file)),
            (2, Action::Replace(file)),
            (4, Action::Swap(file)),
            (1, Action::Lock(file)),
            (2, Action::Settle(file)),
            (1, Action::FillDisk),
            (1, Action::Freeze),
            (2, Action::Kill),
            (1, Action::Stop),
        ];
        let mut left = self.random.below(weighted.iter().map(|(weight, _)| weight).sum());
        for (weight, action) in weighted {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return action,
            }
        }
        unreachable!("the number is below the sum of the weights")
    }

    fn may(&self, action: Action) -> bool {
        use Action::*;
        let up = self.daemon == Daemon::Up && !self.disk_full;
        let Some(file) = action.file() else {
            return match action {
                FillDisk => up && self.fills,
                FreeDisk => self.disk_full,
                Freeze | Stop => up,
                Kill => self.daemon != Daemon::Down && !self.disk_full,
                Thaw => self.daemon == Daemon::Frozen,
                Start => self.daemon == Daemon::Down,
                _ => false,
            };
        };
        let state = self.files[file];
        let is_link = file + 1 == FILES;
        let free = !state.locked && !state.half;
        match action {
            Append(_) => true,
            Half(_) => !state.half,
            Rename(_) | RenameLate(_) => !is_link && !state.locked,
            Gzip(_) | Zstd(_) => state.rotated > 0 && !state.locked,
            CopyTruncate(_) => !is_link && free,
            Truncate(_) | Overwrite(_) => free && (up || !state.unread),
            Replace(_) => free && !is_link && (up || !state.unread),
            Swap(_) => free && is_link && (up || !state.unread),
            TruncateUnread(_) => free && up && !self.fills,
            Lock(_) => !state.locked,
            Unlock(_) => state.locked,
            Settle(_) => up && !state.locked,
            _ => false,
        }
    }

    fn note(&mut self, action: Action) {
        use Action::*;
        match action {
            FillDisk => self.disk_full = true,
            FreeDisk => self.disk_full = false,
            Freeze => self.daemon = Daemon::Frozen,
            Kill | Stop => self.daemon = Daemon::Down,
            Thaw | Start => self.daemon = Daemon::Up,
            Lock(file) => self.files[file].locked = true,
            Unlock(file) => self.files[file].locked = false,
            Settle(file) => self.files[file].unread = false,
            Gzip(file) | Zstd(file) => self.files[file].rotated -= 1,
            Half(file) => {
                let state = &mut self.files[file];
                (state.half, state.unread) = (true, true);
            }
            _ => self.note_written(action),
        }
    }

    fn note_written(&mut self, action: Action) {
        let Some(file) = action.file() else { return };
        let state = &mut self.files[file];
        (state.half, state.unread) = (false, true);
        let rotates = matches!(action, Action::Rename(_) | Action::RenameLate(_) | Action::CopyTruncate(_));
        state.rotated += usize::from(rotates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(seed: u64) -> Vec<Action> {
        let mut planner = Planner::new(seed, true, &[]);
        let mut out: Vec<Action> = (0..200).flat_map(|_| planner.next()).collect();
        out.extend(planner.last());
        out
    }

    #[test]
    fn the_same_seed_plans_the_same_round() {
        assert_eq!(round(7), round(7));
        assert_ne!(round(7), round(8));
    }

    #[test]
    fn everything_happens_and_what_is_skipped_does_not() {
        let seen: std::collections::BTreeSet<String> = (0..20).flat_map(round).map(Action::name).collect();
        assert_eq!(seen.len(), 22, "{seen:?}");
        let mut planner = Planner::new(1, true, &["copy-truncate".to_owned()]);
        assert!((0..500).flat_map(|_| planner.next()).all(|action| action.name() != "copy-truncate"));
    }

    #[test]
    fn nothing_unread_is_destroyed() {
        for seed in 0..20 {
            let mut unread = [false; FILES];
            for action in round(seed) {
                use Action::*;
                match action {
                    Settle(file) => unread[file] = false,
                    Truncate(file) | Overwrite(file) | Replace(file) | Swap(file) | TruncateUnread(file) => {
                        assert!(!unread[file], "seed {seed}: {action}");
                        unread[file] = true;
                    }
                    Append(file) | Half(file) | Rename(file) | RenameLate(file) | CopyTruncate(file) => {
                        unread[file] = true;
                    }
                    _ => {}
                }
            }
        }
    }
}
