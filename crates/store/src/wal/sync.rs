//! Waiting for the disk: whoever comes first syncs for all who wrote before (group commit).
//!
//! After a failed sync nobody knows what of the file is on the disk, and syncing it again proves nothing. So
//! the log is broken from then on: it takes no frame until all that was written to it is in a committed
//! segment ([`Sync::mend`]). That never depends on the bytes of the failed file.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::File;

/// How far the log is on the disk.
#[derive(Debug, Default)]
pub struct Sync {
    /// Held while the disk works: who comes second finds it done.
    turn: Mutex<()>,
    /// Never held while the disk works.
    progress: Mutex<Progress>,
    /// Signals that something became durable.
    mended: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Frames up to this one survive a power cut.
    durable: u64,
    /// The file to sync, and the last frame in it.
    target: Option<(File, u64)>,
    broken: Option<Broken>,
}

#[derive(Debug)]
struct Broken {
    /// The last frame that may be lost.
    reached: u64,
    cause: String,
}

impl Sync {
    /// Syncs, unless frame `sequence` is on the disk already. `Err` is why the log is broken.
    pub(crate) fn sync(&self, sequence: u64) -> Result<(), String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, reached) = {
            let progress = self.progress();
            match (&progress.broken, &progress.target) {
                _ if progress.durable >= sequence => return Ok(()),
                (Some(broken), _) => return Err(broken.cause.clone()),
                (None, Some((file, reached))) => (File::clone(file), *reached),
                (None, None) => return Err("the log has no file".to_owned()),
            }
        };
        match file.sync() {
            Ok(()) => {
                let mut progress = self.progress();
                progress.durable = progress.durable.max(reached);
                Ok(())
            }
            Err(error) => {
                self.give_up(reached, error.to_string());
                Err(error.to_string())
            }
        }
    }

    /// Waits until frame `sequence` is durable in spite of a broken log; `false` if that takes too long.
    pub(crate) fn wait_mended(&self, sequence: u64, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut progress = self.progress();
        while progress.durable < sequence {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            progress = self.mended.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Everything up to frame `covers` is in a committed segment.
    pub(crate) fn mend(&self, covers: u64) {
        let mut progress = self.progress();
        progress.durable = progress.durable.max(covers);
        if progress.broken.as_ref().is_some_and(|broken| broken.reached <= covers) {
            progress.broken = None;
        }
        drop(progress);
        self.mended.notify_all();
    }

    /// Why nothing more may be appended.
    pub(crate) fn broken(&self) -> Option<String> {
        self.progress().broken.as_ref().map(|broken| broken.cause.clone())
    }

    pub(super) fn give_up(&self, reached: u64, cause: String) {
        tracing::error!(
            "the log cannot be relied on ({cause}): what it holds is stored in a segment at once"
        );
        self.progress().broken.get_or_insert(Broken { reached, cause });
    }

    pub(super) fn aim(&self, target: Option<(File, u64)>) {
        self.progress().target = target;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
