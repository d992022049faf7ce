//! The files that a stream shows, and what was read of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use taffrail_record::Timestamp;

use super::entry;

/// Files that are told of at a status path, those read last.
const TOLD: usize = 100;
/// Files that are gone and still told of, at most.
const GONE_MAX: usize = 1000;

/// What was read of a file.
#[derive(Debug, Default)]
struct Watcher {
    is_followed: bool,
    entries: u64,
    read: Option<Timestamp>,
    rotations: u64,
}

/// The files of a stream.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    watchers: HashMap<Arc<str>, Watcher>,
    /// How many of them are followed.
    followed: usize,
}

/// How a file stands, as the status path tells it; the original counts the same and shows it nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Watched {
    path: String,
    entries_read: u64,
    last_read_time: Option<String>,
    rotations: u64,
}

impl Watchers {
    /// Notes that a file is followed, or no more. Of those that are gone only so many are remembered.
    pub(super) fn follow(&self, source: &Arc<str>, is_followed: bool) {
        let mut all = self.all();
        let watcher = all.watchers.entry(Arc::clone(source)).or_default();
        let was_followed = std::mem::replace(&mut watcher.is_followed, is_followed);
        all.followed = all.followed + usize::from(is_followed) - usize::from(was_followed);
        if all.watchers.len() > all.followed + GONE_MAX {
            all.watchers.retain(|_, watcher| watcher.is_followed);
        }
    }

    /// Notes entries that were shown.
    pub(super) fn read(&self, source: &Arc<str>, entries: u64, observed: Timestamp) {
        if let Some(watcher) = self.all().watchers.get_mut(source) {
            watcher.entries += entries;
            watcher.read = Some(observed);
        }
    }

    /// Notes a rotation.
    pub(super) fn rotated(&self, source: &Arc<str>) {
        if let Some(watcher) = self.all().watchers.get_mut(source) {
            watcher.rotations += 1;
        }
    }

    /// How many are followed.
    pub(super) fn count(&self) -> usize {
        self.all().followed
    }

    /// Those that were read last.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let all = self.all();
        let mut newest: Vec<_> = all.watchers.iter().collect();
        newest.sort_by_key(|(path, watcher)| (std::cmp::Reverse(watcher.read), Arc::clone(path)));
        let watched = |(path, watcher): (&Arc<str>, &Watcher)| Watched {
            path: path.to_string(),
            entries_read: watcher.entries,
            last_read_time: watcher.read.map(entry::time),
            rotations: watcher.rotations,
        };
        newest.into_iter().take(TOLD).map(watched).collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_followed_count_and_those_that_are_gone_are_forgotten_some_day() {
        let watchers = Watchers::default();
        let name = |number: usize| -> Arc<str> { format!("/x/{number}.log").into() };
        for number in 0..=GONE_MAX {
            watchers.follow(&name(number), true);
            watchers.follow(&name(number), true);
        }
        assert_eq!(watchers.count(), GONE_MAX + 1);
        watchers.read(&name(3), 2, Timestamp(5));
        watchers.follow(&name(3), false);
        let first = &watchers.watched()[0];
        assert_eq!((watchers.count(), first.path.as_str(), first.entries_read), (GONE_MAX, "/x/3.log", 2));
        (0..=GONE_MAX).for_each(|number| watchers.follow(&name(number), false));
        assert_eq!(watchers.count(), 0);
        assert_eq!(watchers.all().watchers.len(), 0, "more were gone than are remembered");
    }
}
