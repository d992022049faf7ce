//! The files that a stream shows, and what was read of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use taffrail_record::Timestamp;

use super::entry;

/// Files that are told of at a status path, those read last.
const TOLD: usize = 100;

/// What was read of a file.
#[derive(Debug, Default)]
struct Watcher {
    entries: u64,
    read: Option<Timestamp>,
    rotations: u64,
}

/// The files of a stream that lines came from.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<Arc<str>, Watcher>>);

/// How a file stands, as the status path tells it; the original counts the same and shows it nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Watched {
    path: String,
    entries_read: u64,
    last_read_time: Option<String>,
    rotations: u64,
}

impl Watchers {
    /// A file that lines came from.
    pub(super) fn add(&self, source: &Arc<str>) {
        self.all().entry(Arc::clone(source)).or_default();
    }

    /// Notes entries that were shown.
    pub(super) fn read(&self, source: &Arc<str>, entries: u64, observed: Timestamp) {
        if let Some(watcher) = self.all().get_mut(source) {
            watcher.entries += entries;
            watcher.read = Some(observed);
        }
    }

    /// Notes a rotation.
    pub(super) fn rotated(&self, source: &Arc<str>) {
        if let Some(watcher) = self.all().get_mut(source) {
            watcher.rotations += 1;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    /// Those that were read last.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let all = self.all();
        let mut newest: Vec<_> = all.iter().collect();
        newest.sort_by_key(|(path, watcher)| (std::cmp::Reverse(watcher.read), Arc::clone(path)));
        let watched = |(path, watcher): (&Arc<str>, &Watcher)| Watched {
            path: path.to_string(),
            entries_read: watcher.entries,
            last_read_time: watcher.read.map(entry::time),
            rotations: watcher.rotations,
        };
        newest.into_iter().take(TOLD).map(watched).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Watcher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
