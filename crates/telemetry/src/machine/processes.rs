//! Processes: `/proc/PID/stat`, see `proc_pid_stat(5)`, and `schedstat`, see the kernel's `sched-stats`. Those that end while
//! they are read are left out; those that may not be read are only counted.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use taffrail_record::sample::{Process, Processes};

use crate::roots::{Error, Result, Roots};

/// Processes that are read; more are only counted.
const PROCESSES_MAX: usize = 20_000;
/// How many of those with most memory, and of the busiest, are told of.
const TOP: usize = 5;
/// More than a line of `stat` has: 52 numbers and a name.
const STAT_BYTES: usize = 1_536;

/// A process as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub pid: i32,
    /// With the number it says which process it is.
    started: u64,
    /// Time of processors so far.
    ticks: u64,
    pages: u64,
    name: [u8; 16],
}

/// The files of processes that were read before, in the kernel's order, by number: reading one again takes a third of the time
/// that opening it anew takes.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: Vec<Known>,
    /// How many processes and threads had been made when these were all that there were.
    forks: Option<u64>,
    readings: u32,
}

/// A process, with a file that is open. One each: the kernel keeps a page for every file that was read.
#[derive(Debug)]
struct Known {
    pid: i32,
    line: Line,
    file: Kept,
    /// Whether it was asked when it ran: not all kernels count.
    is_asked: bool,
}

#[derive(Debug)]
enum Kept {
    Stat(OwnedFd),
    /// Of one with a single thread: when it last ran, by `/proc/PID/schedstat`, which takes a third of the time of `stat`. If it
    /// has not run since, it is as it was.
    Ran(OwnedFd, Mark),
}

/// What `schedstat` says: time on a processor, time of waiting for one, how often it got one.
type Mark = [u8; 64];

/// A process that does not run may lose memory to others: all is read anew each so many readings.
const READ_ANEW: u32 = 16;
/// Files that are kept open, and the share of those that the program may have.
const KNOWN_MAX: usize = 1_024;
const FILES_SHARE: usize = 8;

type Line = (Seen, u8, u64);

/// What was read so far.
struct Found {
    all: Processes,
    seen: Vec<Seen>,
    buffer: [u8; STAT_BYTES],
    known_max: usize,
}

impl Files {
    /// All processes, and what they do together. `forks`: how many processes and threads the machine had made a moment ago;
    /// as long as that stays, nobody has to look for new ones.
    pub(super) fn read(&mut self, roots: &Roots, forks: Option<u64>) -> Result<(Processes, Vec<Seen>)> {
        let failed = |error: Errno| {
            let error = std::io::Error::from(error);
            Error::Io(std::io::Error::new(error.kind(), format!("{}: {error}", roots.proc.display())))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, &roots.proc, flags, Mode::empty()).map_err(failed)?;
        self.readings = self.readings.wrapping_add(1);
        let known = std::mem::take(&mut self.open);
        self.open.reserve(known.len());
        let (all, seen) = (Processes::default(), Vec::with_capacity(known.len()));
        let allowed =
            getrlimit(Resource::Nofile).current.map_or(KNOWN_MAX, |limit| limit as usize / FILES_SHARE);
        let mut found = Found { all, seen, buffer: [0; STAT_BYTES], known_max: KNOWN_MAX.min(allowed) };
        if forks.is_some() && forks == self.forks {
            for known in known {
                self.add(&folder, known.pid, Some(known), &mut found);
            }
        } else {
            self.forks = None;
            self.list(&folder, known, &mut found).map_err(failed)?;
            let is_whole = self.open.len() as u64 == found.all.count;
            self.forks = forks.filter(|_| is_whole);
        }
        let Found { all, mut seen, .. } = found;
        // The kernel's order, unless this is no kernel.
        seen.sort_unstable_by_key(|process| process.pid);
        Ok((all, seen))
    }

    /// Those that the folder lists.
    fn list(
        &mut self,
        folder: &OwnedFd,
        known: Vec<Known>,
        found: &mut Found,
    ) -> std::result::Result<(), Errno> {
        let mut known = known.into_iter().peekable();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let Some(pid) = number(entry.file_name().to_bytes()).and_then(|pid| i32::try_from(pid).ok())
            else {
                continue;
            };
            if found.seen.len() == PROCESSES_MAX {
                found.all.count += 1;
                continue;
            }
            // Those between have ended.
            while known.next_if(|other| other.pid < pid).is_some() {}
            let file = known.next_if(|other| other.pid == pid);
            self.add(folder, pid, file, found);
        }
        Ok(())
    }

    /// A process, if it has not ended.
    fn add(&mut self, folder: &OwnedFd, pid: i32, known: Option<Known>, found: &mut Found) {
        let is_due = self.readings.wrapping_add(pid.unsigned_abs()).is_multiple_of(READ_ANEW);
        let again = known.and_then(|known| known.again(folder, is_due, &mut found.buffer));
        // Its number may be another's now.
        let known = match again.map_or_else(|| Known::new(folder, pid, &mut found.buffer), Ok) {
            Ok(known) => known,
            Err(Unread::Ended) => return,
            Err(Unread::Hidden) => {
                found.all.count += 1;
                return;
            }
        };
        let (process, state, threads) = known.line;
        if self.open.len() < found.known_max {
            self.open.push(known);
        }
        found.all.count += 1;
        count(&mut found.all, state, threads);
        found.seen.push(process);
    }
}

impl Known {
    fn new(folder: &OwnedFd, pid: i32, buffer: &mut [u8; STAT_BYTES]) -> std::result::Result<Self, Unread> {
        let stat = open(folder, pid, "stat")?;
        let line = parse(read(&stat, buffer)?).ok_or(Unread::Ended)?;
        Ok(Self { pid, line, file: Kept::Stat(stat), is_asked: false })
    }

    /// As it is now; `None` if it has ended.
    fn again(mut self, folder: &OwnedFd, is_due: bool, buffer: &mut [u8; STAT_BYTES]) -> Option<Self> {
        // When it ran before what it is: if it runs between the two, it will be seen to have run.
        let (stat, ran) = match self.file {
            Kept::Ran(file, before) => {
                let now = mark(&file)?;
                if now == before && !is_due {
                    return Some(Self { file: Kept::Ran(file, before), ..self });
                }
                (open(folder, self.pid, "stat").ok()?, Some(Kept::Ran(file, now)))
            }
            Kept::Stat(stat) => {
                let (_, _, threads) = self.line;
                let may_ask = threads == 1 && !std::mem::replace(&mut self.is_asked, threads == 1);
                (stat, may_ask.then(|| Kept::ran(folder, self.pid)).flatten())
            }
        };
        let line = parse(read(&stat, buffer).ok()?)?;
        let (_, _, threads) = line;
        let file = ran.filter(|_| threads == 1).unwrap_or(Kept::Stat(stat));
        Some(Self { line, file, ..self })
    }
}

impl Kept {
    /// `None` where the kernel does not count.
    fn ran(folder: &OwnedFd, pid: i32) -> Option<Self> {
        let file = open(folder, pid, "schedstat").ok()?;
        let mark = mark(&file)?;
        let said = mark.split(|byte| *byte == b'\n').next()?;
        let times = number(said.rsplit(|byte| *byte == b' ').next()?)?;
        (times > 0).then_some(Self::Ran(file, mark))
    }
}

fn mark(file: &OwnedFd) -> Option<Mark> {
    let mut mark = [0; 64];
    rustix::io::pread(file, &mut mark, 0).ok()?;
    Some(mark)
}

/// Why nothing is known of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unread {
    Ended,
    /// It is there and may not be read: it is another user's, where the system shows each only their own.
    Hidden,
}

impl From<Errno> for Unread {
    fn from(error: Errno) -> Self {
        if matches!(error, Errno::NOENT | Errno::SRCH) { Self::Ended } else { Self::Hidden }
    }
}

fn open(folder: &OwnedFd, pid: i32, name: &str) -> std::result::Result<OwnedFd, Errno> {
    // Longer than any.
    let mut path = [0; 32];
    let mut rest = &mut path[..];
    let written = write!(rest, "{pid}/{name}");
    let left = rest.len();
    let path = path.get(..path.len() - left).filter(|_| written.is_ok()).ok_or(Errno::NAMETOOLONG)?;
    openat(folder, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn read<'a>(file: &OwnedFd, buffer: &'a mut [u8; STAT_BYTES]) -> std::result::Result<&'a [u8], Errno> {
    let length = rustix::io::pread(file, &mut *buffer, 0)?;
    Ok(&buffer[..length])
}

/// A line of `stat`: the process, its state, and how many threads it has.
fn parse(line: &[u8]) -> Option<Line> {
    // The name may hold anything, brackets too.
    let open = memchr::memchr(b'(', line)?;
    let close = memchr::memrchr(b')', line)?;
    let pid = i32::try_from(number(line.get(..open)?.trim_ascii())?).ok()?;
    let mut name = [0; 16];
    let found = line.get(open + 1..close)?;
    let length = found.len().min(name.len());
    name[..length].copy_from_slice(&found[..length]);
    let words = line.get(close + 2..)?;
    let state = *words.first()?;
    let [user, system, threads, started, pages] = numbers(words)?;
    Some((Seen { pid, started, ticks: user.saturating_add(system), pages, name }, state, threads))
}

/// The words that are needed, counted from the state on: time in user mode and in the kernel, threads, start, pages.
const NEEDED: [usize; 5] = [11, 12, 17, 19, 21];

fn numbers(words: &[u8]) -> Option<[u64; NEEDED.len()]> {
    let mut numbers = [0; NEEDED.len()];
    let (mut found, mut start) = (0, 0);
    for (at, end) in memchr::memchr_iter(b' ', words).enumerate() {
        if at == NEEDED[found] {
            numbers[found] = number(&words[start..end])?;
            found += 1;
            if found == NEEDED.len() {
                return Some(numbers);
            }
        }
        start = end + 1;
    }
    None
}

/// A number in decimal digits: thousands of them are read for a sample.
fn number(word: &[u8]) -> Option<u64> {
    let next = |value: u64, digit: &u8| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| value.checked_mul(10)?.checked_add(u64::from(digit))).flatten()
    };
    (!word.is_empty()).then(|| word.iter().try_fold(0, next)).flatten()
}

fn count(all: &mut Processes, state: u8, threads: u64) {
    all.threads += threads;
    *match state {
        b'R' => &mut all.running,
        b'D' => &mut all.blocked,
        b'T' | b't' => &mut all.stopped,
        b'Z' | b'X' => &mut all.zombie,
        b'I' => &mut all.idle,
        _ => &mut all.sleeping,
    } += 1;
}

/// Those that hold most memory.
pub(super) fn top_memory(seen: &[Seen], roots: &Roots) -> Vec<Process> {
    let holding = seen.iter().filter(|process| process.pages > 0).map(|process| (process.pages, process));
    largest(holding.collect()).into_iter().map(|(_, process)| known(process, None, roots)).collect()
}

/// Those that used most of the processors since `before`; those that have begun since then count from their beginning.
pub(crate) fn top_cpu(before: &[Seen], after: &[Seen], over: Duration, roots: &Roots) -> Vec<Process> {
    let since = |process: &Seen| {
        let then = before.binary_search_by_key(&process.pid, |then| then.pid).ok().map(|at| &before[at]);
        let then = then.filter(|then| then.started == process.started);
        process.ticks.saturating_sub(then.map_or(0, |then| then.ticks))
    };
    let busy = after.iter().map(|process| (since(process), process)).filter(|(ticks, _)| *ticks > 0);
    let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
    let percent = |ticks: u64| 100.0 * ticks as f64 / ticks_a_second / over.as_secs_f64();
    let largest = largest(busy.collect());
    largest.into_iter().map(|(ticks, process)| known(process, Some(percent(ticks)), roots)).collect()
}

fn largest(mut all: Vec<(u64, &Seen)>) -> Vec<(u64, &Seen)> {
    if all.len() > TOP {
        all.select_nth_unstable_by(TOP - 1, |a, b| b.0.cmp(&a.0));
        all.truncate(TOP);
    }
    all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.pid.cmp(&b.1.pid)));
    all
}

fn known(process: &Seen, cpu: Option<f64>, roots: &Roots) -> Process {
    let length = process.name.iter().position(|byte| *byte == 0).unwrap_or(process.name.len());
    Process {
        pid: process.pid,
        name: String::from_utf8_lossy(&process.name[..length]).into_owned(),
        unit: roots.proc(&format!("{}/cgroup", process.pid)).ok().and_then(|(_, text)| unit(&text)),
        memory: process.pages.saturating_mul(rustix::param::page_size() as u64),
        cpu,
    }
}

/// The unit in the cgroups of a process: the last part of its path that systemd has made, else the whole path.
fn unit(cgroups: &str) -> Option<String> {
    let mut paths: Vec<(&str, &str)> = cgroups
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
        .filter(|(_, path)| *path != "/")
        .collect();
    // systemd's own hierarchy first: version 2, or its name in version 1.
    paths.sort_by_key(|(controllers, _)| !matches!(*controllers, "" | "name=systemd"));
    let (_, path) = paths.first()?;
    let made =
        |part: &&str| [".service", ".scope", ".socket", ".mount"].iter().any(|end| part.ends_with(end));
    Some(path.rsplit('/').find(made).unwrap_or(path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let line = b"4711 (a) b (c)) S 1 4711 4711 0 -1 4194560 1 2 3 4 50 25 7 8 20 0 3 0 12345 1000 42 18446744073709551615 1";
        let (seen, state, threads) = parse(line).unwrap();
        assert_eq!((seen.pid, seen.ticks, seen.started, seen.pages), (4711, 75, 12_345, 42));
        assert_eq!((&seen.name[..8], state, threads), (&b"a) b (c)"[..], b'S', 3));
        for end in 0..line.len() - 22 {
            // What is cut short is no process, and no panic.
            let _ = parse(&line[..end]);
        }
        assert_eq!(parse(b"1 (x"), None);
    }

    /// Where the kernel counts how often a process has run, one that has not is as it was; where it does not count, each is read.
    #[test]
    fn what_has_not_run_is_not_read_where_the_kernel_counts() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        let write = |pid: u32, ticks: u32, ran: &str| {
            let own = folder.path().join(pid.to_string());
            fs_err::create_dir_all(&own).unwrap();
            let stat = format!("{pid} (x) S 1 1 1 0 -1 1 1 2 3 4 {ticks} 0 7 8 20 0 1 0 5 1000 42 1\n");
            fs_err::write(own.join("stat"), stat).unwrap();
            fs_err::write(own.join("schedstat"), ran).unwrap();
        };
        let mut files = Files::default();
        let mut ticks = || -> Vec<u64> {
            let (_, seen) = files.read(&roots, Some(1)).unwrap();
            seen.iter().map(|process| process.ticks).collect()
        };
        // Numbers that are not due soon.
        let (counted, uncounted, without) = (1_608, 1_609, 1_610);
        let all = |ticks: u32, ran: &str| {
            write(counted, ticks, ran);
            write(uncounted, ticks, "0 0 0\n");
            write(without, ticks, "");
        };
        all(10, "100 5 3\n");
        assert_eq!(ticks(), [10, 10, 10]);
        assert_eq!(ticks(), [10, 10, 10]);
        all(20, "100 5 3\n");
        assert_eq!(ticks(), [10, 20, 20]);
        all(30, "200 5 4\n");
        assert_eq!(ticks(), [30, 30, 30]);
        all(40, "200 5 4\n");
        let read: Vec<u64> = (0..READ_ANEW).map(|_| ticks()[0]).collect();
        assert!(read[0] == 30 && read[READ_ANEW as usize - 1] == 40, "{read:?}");
    }

    #[test]
    fn what_may_not_be_read_is_counted_and_what_has_ended_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        let stat = |pid: u32| {
            let own = folder.path().join(pid.to_string());
            fs_err::create_dir_all(&own).unwrap();
            own.join("stat")
        };
        let write = |pid: u32| {
            let line = format!("{pid} (x) S 1 1 1 0 -1 1 1 2 3 4 1 0 7 8 20 0 1 0 5 1000 42 1\n");
            fs_err::write(stat(pid), line).unwrap();
        };
        write(10);
        // A folder cannot be read as a file; of one that has ended nothing is left.
        fs_err::create_dir(stat(11)).unwrap();
        stat(12);
        let mut files = Files::default();
        for _ in 0..3 {
            let (all, seen) = files.read(&roots, Some(1)).unwrap();
            assert_eq!((all.count, seen.len(), all.sleeping), (2, 1, 1));
        }
        // They may be read later, whether or not anything was made meanwhile.
        fs_err::remove_dir(stat(11)).unwrap();
        write(11);
        let (all, seen) = files.read(&roots, Some(1)).unwrap();
        assert_eq!((all.count, seen.len()), (2, 2));
    }

    #[test]
    fn units_are_the_innermost_that_systemd_has_made() {
        for (text, want) in [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("0::/user.slice/user-0.slice/session-3.scope\n", Some("session-3.scope")),
            ("0::/kubepods/burstable/pod1/abc\n", Some("/kubepods/burstable/pod1/abc")),
            ("4:memory:/docker/abc\n1:name=systemd:/system.slice/ssh.service\n0::/\n", Some("ssh.service")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit(text).as_deref(), want, "{text}");
        }
    }
}
