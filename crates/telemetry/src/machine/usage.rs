//! How full filesystems are. One that does not answer (a server that is gone, a program that hangs) holds up nobody: those that
//! might are asked by a thread, which is left behind with the one that hangs and comes back when that does.

use std::collections::HashSet;
use std::io::Result;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use taffrail_record::sample::Usage;

use super::mounts::{Key, Mounted};

/// How long a sample waits for one filesystem, and for all of them.
const PATIENCE: Duration = Duration::from_millis(100);
const PATIENCE_ALL: Duration = Duration::from_millis(500);
/// Threads that may be left behind; beyond, nothing is asked until one comes back.
const STUCK_MAX: usize = 8;
const STACK_BYTES: usize = 64 << 10;
/// Filesystems of which is said that they tell nothing, of each reason.
const NAMED_MAX: usize = 10;

/// How one filesystem is asked.
pub(super) type Ask = fn(&str) -> Result<Usage>;

/// Asks filesystems.
#[derive(Debug)]
pub(super) struct Usages {
    ask: Ask,
    /// Those that have not answered yet. They may be unmounted by now.
    stuck: Arc<Mutex<HashSet<Key>>>,
}

/// What came of asking a filesystem.
#[derive(Debug)]
enum Asked {
    Answered(Result<Usage>),
    /// Not in time, which is noted.
    Silent,
    /// It was not asked: others took all the time.
    Left,
}

impl Usages {
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, stuck: Arc::default() }
    }

    /// Fills in how full the filesystems are, and says which do not tell, and why.
    pub(super) fn fill(&self, mounts: &mut [Mounted]) -> Vec<String> {
        let ask = |one: &Mounted| match one.is_sure {
            true => Asked::Answered((self.ask)(&one.key.path)),
            false => Asked::Left,
        };
        let mut asked: Vec<Asked> = mounts.iter().map(ask).collect();
        self.ask_others(mounts, &mut asked);
        let (mut silent, mut left, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (one, asked) in mounts.iter_mut().zip(asked) {
            let path = &one.key.path;
            match asked {
                Asked::Answered(Ok(usage)) => one.mount.usage = Some(usage),
                Asked::Answered(Err(error)) => refused.push(format!("{path}: {error}")),
                Asked::Silent => silent.push(format!("{path} does not answer")),
                Asked::Left => left.push(format!("{path} was not asked in time")),
            }
        }
        [silent, left, refused].into_iter().flat_map(bounded).collect()
    }

    /// Asks those that are not sure to answer, until the time is up.
    fn ask_others(&self, mounts: &[Mounted], asked: &mut [Asked]) {
        let deadline = Instant::now() + PATIENCE_ALL;
        let stuck = lock(&self.stuck).clone();
        let mut left = Vec::new();
        for (at, one) in mounts.iter().enumerate().filter(|(_, one)| !one.is_sure) {
            if stuck.contains(&one.key) {
                asked[at] = Asked::Silent;
            } else {
                left.push(at);
            }
        }
        while !left.is_empty() && Instant::now() < deadline && lock(&self.stuck).len() < STUCK_MAX {
            let keys = left.iter().map(|at| mounts[*at].key.clone()).collect();
            let Some(answers) = self.start(keys) else { break };
            let mut done = 0;
            for at in &left {
                done += 1;
                let answer = self.answer(&answers, &mounts[*at].key);
                asked[*at] = answer.map_or(Asked::Silent, Asked::Answered);
                if matches!(asked[*at], Asked::Silent) || Instant::now() >= deadline {
                    break;
                }
            }
            left.drain(..done);
        }
    }

    /// The next answer; `None` if it does not come, which is noted.
    fn answer(&self, answers: &Receiver<Result<Usage>>, key: &Key) -> Option<Result<Usage>> {
        answers.recv_timeout(PATIENCE).ok().or_else(|| {
            let mut stuck = lock(&self.stuck);
            // It may have come just now.
            let late = answers.try_recv().ok();
            if late.is_none() {
                stuck.insert(key.clone());
            }
            late
        })
    }

    /// A thread that asks one after the other, until it is given up.
    fn start(&self, keys: Vec<Key>) -> Option<Receiver<Result<Usage>>> {
        let (answer, answers) = sync_channel(keys.len());
        let (ask, stuck) = (self.ask, Arc::clone(&self.stuck));
        let run = move || {
            for key in keys {
                let usage = ask(&key.path);
                let mut stuck = lock(&stuck);
                if stuck.remove(&key) || answer.send(usage).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("mounts".to_owned()).stack_size(STACK_BYTES).spawn(run).ok()?;
        Some(answers)
    }
}

/// The first of what is said, and how much more there is.
fn bounded(mut said: Vec<String>) -> Vec<String> {
    let more = said.len().saturating_sub(NAMED_MAX);
    said.truncate(NAMED_MAX);
    if more > 0 {
        said.push(format!("{more} more likewise"));
    }
    said
}

fn lock(stuck: &Mutex<HashSet<Key>>) -> MutexGuard<'_, HashSet<Key>> {
    stuck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the kernel.
pub(super) fn ask(path: &str) -> Result<Usage> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Usage {
        total: bytes(found.f_blocks),
        free: bytes(found.f_bfree),
        available: bytes(found.f_bavail),
        inodes: found.f_files,
        inodes_free: found.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const FULL: Usage = Usage { total: 1, free: 0, available: 0, inodes: 0, inodes_free: 0 };

    /// Some of one kernel, which are not sure to answer.
    fn mounts(paths: &[&str]) -> Vec<Mounted> {
        let of = |(at, path): (usize, &&str)| Mounted {
            key: Key { path: (*path).to_owned(), numbers: (at as u64, "0:40".to_owned()) },
            ..Mounted::default()
        };
        paths.iter().enumerate().map(of).collect()
    }

    fn known(mounts: &[Mounted]) -> Vec<bool> {
        mounts.iter().map(|one| one.mount.usage.is_some()).collect()
    }

    /// Asks again and again until all answer.
    fn until_all_answer(usages: &Usages, paths: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !usages.fill(&mut mounts(paths)).is_empty() {
            assert!(Instant::now() < deadline, "they never came back");
            thread::sleep(Duration::from_millis(5));
        }
    }

    static HANGS: AtomicBool = AtomicBool::new(true);

    fn slow(path: &str) -> Result<Usage> {
        while path.starts_with("/hung") && HANGS.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(FULL)
    }

    #[test]
    fn what_hangs_holds_up_nobody_and_comes_back() {
        let usages = Usages::new(slow);
        let paths = ["/a", "/hung/1", "/b", "/hung/2", "/c"];
        let mut fresh = mounts(&paths);
        let start = Instant::now();
        assert_eq!(usages.fill(&mut fresh), ["/hung/1 does not answer", "/hung/2 does not answer"]);
        assert!(start.elapsed() < PATIENCE_ALL, "{:?}", start.elapsed());
        assert_eq!(known(&fresh), [true, false, true, false, true]);
        // They are not waited for again.
        let (mut fresh, start) = (mounts(&paths), Instant::now());
        usages.fill(&mut fresh);
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        assert_eq!(known(&fresh), [true, false, true, false, true]);
        // One that was unmounted is none that does not answer.
        assert_eq!(usages.fill(&mut mounts(&paths[..2])), ["/hung/1 does not answer"]);
        HANGS.store(false, Ordering::SeqCst);
        until_all_answer(&usages, &paths);
        let mut fresh = mounts(&paths);
        usages.fill(&mut fresh);
        assert_eq!(known(&fresh), [true; 5]);
    }

    static OLD_HANGS: AtomicBool = AtomicBool::new(true);
    static IS_OLD: AtomicBool = AtomicBool::new(true);

    /// The first that is asked hangs.
    fn old(_: &str) -> Result<Usage> {
        if IS_OLD.swap(false, Ordering::SeqCst) {
            while OLD_HANGS.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(FULL)
    }

    #[test]
    fn another_at_the_place_of_one_that_hangs_is_asked() {
        let usages = Usages::new(old);
        assert_eq!(usages.fill(&mut mounts(&["/mnt"])), ["/mnt does not answer"]);
        let mut fresh = mounts(&["/mnt"]);
        fresh[0].key.numbers.0 = 7;
        assert_eq!(usages.fill(&mut fresh), [""; 0]);
        assert_eq!(known(&fresh), [true]);
        OLD_HANGS.store(false, Ordering::SeqCst);
    }

    static ALL_HANG: AtomicBool = AtomicBool::new(true);

    fn hung(path: &str) -> Result<Usage> {
        while ALL_HANG.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        if path == "/m1" { Err(Error::from(ErrorKind::PermissionDenied)) } else { Ok(FULL) }
    }

    #[test]
    fn those_that_tell_nothing_are_named() {
        let usages = Usages::new(hung);
        let paths: Vec<String> = (0..30).map(|number| format!("/m{number}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        for _ in 0..3 {
            let said = usages.fill(&mut mounts(&paths));
            let count = |what: &str| said.iter().filter(|line| line.ends_with(what)).count();
            let silent = count(" does not answer");
            assert!(silent <= STUCK_MAX && silent > 0, "{said:?}");
            assert_eq!(count(" was not asked in time"), NAMED_MAX, "{said:?}");
            let more = format!("{} more likewise", paths.len() - silent - NAMED_MAX);
            assert_eq!(said.last(), Some(&more));
        }
        ALL_HANG.store(false, Ordering::SeqCst);
        until_all_answer(&usages, &["/m0"]);
        let mut asked = mounts(&["/m0", "/m1"]);
        // Of those that hung, one may not have come back yet.
        asked.iter_mut().for_each(|one| one.is_sure = true);
        assert_eq!(usages.fill(&mut asked), ["/m1: permission denied"]);
        assert_eq!(known(&asked), [true, false]);
    }
}
