//! How full filesystems are. One that does not answer (a server that is gone, a program that hangs) holds up nobody: those that
//! might are asked by a thread, which is left behind with the one that hangs and comes back when that does.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use taffrail_record::sample::{Mount, Usage};

/// How long a sample waits for one filesystem, and for all of them.
const PATIENCE: Duration = Duration::from_millis(100);
const PATIENCE_ALL: Duration = Duration::from_millis(500);
/// Threads that may be left behind; beyond, nothing is asked until one comes back.
const STUCK_MAX: usize = 8;
const STACK_BYTES: usize = 64 << 10;
/// Types whose answer is in memory, whatever their device does: they need no thread.
const SURE: [&str; 9] = ["btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "vfat", "xfs"];

/// How one filesystem is asked.
pub(super) type Ask = fn(&str) -> Option<Usage>;

/// Asks filesystems.
#[derive(Debug)]
pub(super) struct Usages {
    ask: Ask,
    /// The paths that have not answered yet.
    stuck: Arc<Mutex<HashSet<String>>>,
}

impl Usages {
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, stuck: Arc::default() }
    }

    /// Fills in how full the filesystems are, and gives the paths of those that do not answer.
    pub(super) fn fill(&self, mounts: &mut [Mount]) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE_ALL;
        for mount in mounts.iter_mut().filter(|mount| is_sure(mount)) {
            mount.usage = (self.ask)(&mount.path);
        }
        let silent = lock(&self.stuck).clone();
        let is_asked = |mount: &Mount| !is_sure(mount) && !silent.contains(&mount.path);
        let mut left: Vec<usize> = (0..mounts.len()).filter(|at| is_asked(&mounts[*at])).collect();
        while !left.is_empty() && Instant::now() < deadline && lock(&self.stuck).len() < STUCK_MAX {
            let paths = left.iter().map(|at| mounts[*at].path.clone()).collect();
            let Some(answers) = self.start(paths) else { break };
            let mut asked = 0;
            for at in &left {
                asked += 1;
                match self.answer(&answers, &mounts[*at].path) {
                    Some(usage) => mounts[*at].usage = usage,
                    None => break,
                }
            }
            left.drain(..asked);
        }
        let mut stuck: Vec<String> = lock(&self.stuck).iter().cloned().collect();
        stuck.sort_unstable();
        stuck
    }

    /// The next answer; `None` if it does not come, which is noted.
    fn answer(&self, answers: &Receiver<Option<Usage>>, path: &str) -> Option<Option<Usage>> {
        answers.recv_timeout(PATIENCE).ok().or_else(|| {
            let mut stuck = lock(&self.stuck);
            // It may have come just now.
            let late = answers.try_recv().ok();
            if late.is_none() {
                stuck.insert(path.to_owned());
            }
            late
        })
    }

    /// A thread that asks one after the other, until it is given up.
    fn start(&self, paths: Vec<String>) -> Option<Receiver<Option<Usage>>> {
        let (answer, answers) = sync_channel(paths.len());
        let (ask, stuck) = (self.ask, Arc::clone(&self.stuck));
        let run = move || {
            for path in paths {
                let usage = ask(&path);
                let mut stuck = lock(&stuck);
                if stuck.remove(&path) || answer.send(usage).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("mounts".to_owned()).stack_size(STACK_BYTES).spawn(run).ok()?;
        Some(answers)
    }
}

fn is_sure(mount: &Mount) -> bool {
    SURE.contains(&mount.kind.as_str())
}

fn lock(stuck: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    stuck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the kernel.
pub(super) fn ask(path: &str) -> Option<Usage> {
    let found = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Usage {
        total: bytes(found.f_blocks),
        free: bytes(found.f_bfree),
        available: bytes(found.f_bavail),
        inodes: found.f_files,
        inodes_free: found.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    static HANGS: AtomicBool = AtomicBool::new(true);

    fn slow(path: &str) -> Option<Usage> {
        while path.starts_with("/hung") && HANGS.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        Some(Usage { total: 1, ..Usage::default() })
    }

    #[test]
    fn what_hangs_holds_up_nobody_and_comes_back() {
        let usages = Usages::new(slow);
        let mount = |path: &str| Mount { path: path.to_owned(), ..Mount::default() };
        let fresh = || ["/a", "/hung/1", "/b", "/hung/2", "/c"].map(mount);
        let known = |mounts: &[Mount]| mounts.iter().map(|mount| mount.usage.is_some()).collect::<Vec<_>>();
        let mut mounts = fresh();
        let start = Instant::now();
        assert_eq!(usages.fill(&mut mounts), ["/hung/1", "/hung/2"]);
        assert!(start.elapsed() < PATIENCE_ALL, "{:?}", start.elapsed());
        assert_eq!(known(&mounts), [true, false, true, false, true]);
        // They are not waited for again.
        let (mut mounts, start) = (fresh(), Instant::now());
        usages.fill(&mut mounts);
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        assert_eq!(known(&mounts), [true, false, true, false, true]);
        HANGS.store(false, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut mounts = fresh();
        while !usages.fill(&mut mounts).is_empty() {
            assert!(Instant::now() < deadline, "they never came back");
            thread::sleep(Duration::from_millis(5));
        }
        usages.fill(&mut mounts);
        assert_eq!(known(&mounts), [true; 5]);
    }
}
