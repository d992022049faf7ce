//! How the sources stand: what they tell, what the watchdog sees on a thread of its own, and what of it is a
//! problem, a warning, or nothing to speak of.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use taffrail_record::Timestamp;
use taffrail_serve::api::{self, Problem};
use taffrail_serve::{Health, Sources};
use taffrail_source::{Behind, Glance, Identity, Now, SourceState, SourceStatus, Watchdog};

use crate::config::unit::human_bytes;
use crate::followers::{Followers, Place};
use crate::seen_formats::SeenFormats;

/// Parts of a source's patience in which the watchdog shows itself: it wakes up so often.
const TICKS: u32 = 30;
/// Ticks in which it looks at every source once.
const TICKS_A_PASS: usize = 10;
/// It wakes up at most, and at least, so often.
const TICK_MIN: Duration = Duration::from_millis(50);
const TICK_MAX: Duration = Duration::from_secs(1);
/// Sources it looks at in one go, at least.
const SLICE_MIN: usize = 100;

/// Tells how the sources stand. The thread `watchdog` ends with it.
pub(crate) struct Standing {
    shared: Arc<Shared>,
}

struct Shared {
    followers: Arc<Followers>,
    seen: SeenFormats,
    stall_after: Duration,
    clock: fn() -> Timestamp,
    started: Instant,
    watchdog: Mutex<Watchdog>,
    /// The source that is being looked at: a file system that does not answer holds the thread there.
    looking: Mutex<Option<(String, Now)>>,
    stopping: Mutex<bool>,
    stop: Condvar,
}

/// How far the watchdog is in looking at every source once.
#[derive(Default)]
struct Pass {
    started: Duration,
    seen: usize,
    /// Sources of the pass before.
    expected: usize,
    place: Place,
}

impl Standing {
    /// Starts the watchdog over what the followers read.
    pub(crate) fn spawn(
        followers: Arc<Followers>,
        seen: SeenFormats,
        stall_after: Duration,
        clock: fn() -> Timestamp,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            followers,
            seen,
            stall_after,
            clock,
            started: Instant::now(),
            watchdog: Mutex::new(Watchdog::new(stall_after)),
            looking: Mutex::default(),
            stopping: Mutex::new(false),
            stop: Condvar::new(),
        });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || thread.run())?;
        Ok(Self { shared })
    }
}

impl Drop for Standing {
    /// Does not wait for the thread: a file system that does not answer would hold up the end of the program.
    fn drop(&mut self) {
        *locked(&self.shared.stopping) = true;
        self.shared.stop.notify_all();
    }
}

impl Shared {
    fn now(&self) -> Now {
        Now { observed: (self.clock)(), uptime: self.started.elapsed() }
    }

    fn run(&self) {
        let tick = (self.stall_after / TICKS).clamp(TICK_MIN, TICK_MAX);
        let mut pass = Pass::default();
        loop {
            let stopping = locked(&self.stopping);
            let wait = self.stop.wait_timeout_while(stopping, tick, |stopping| !*stopping);
            if *wait.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            self.turn(&mut pass);
        }
    }

    /// Looks at the next few sources.
    fn turn(&self, pass: &mut Pass) {
        let count = pass.expected.div_ceil(TICKS_A_PASS).max(SLICE_MIN);
        let slice = self.followers.status_after(&mut pass.place, count);
        for status in &slice {
            let glance = Watchdog::path_of(status).and_then(|path| {
                *locked(&self.looking) = Some((status.source.clone(), self.now()));
                let glance = Glance::at(path);
                *locked(&self.looking) = None;
                glance
            });
            locked(&self.watchdog).note(status, glance, self.now());
        }
        pass.seen += slice.len();
        if slice.len() < count {
            let uptime = self.now().uptime;
            locked(&self.watchdog).end_pass(pass.started, uptime);
            *pass = Pass { started: uptime, expected: pass.seen, ..Pass::default() };
        }
    }
}

impl Sources for Standing {
    fn sources(&self) -> Vec<api::Source> {
        let now = self.shared.now();
        let statuses = self.shared.followers.status();
        let watchdog = locked(&self.shared.watchdog);
        let mut all: Vec<api::Source> = statuses
            .into_iter()
            .map(|status| {
                let behind = watchdog.behind(&status);
                let (formats, found) = self.shared.seen.of(&status.source);
                let format = found.format.map(str::to_owned);
                let dates = if found.day_first { "day-first" } else { "month-first" }.to_owned();
                api::Source { formats, format, dates, ..source(status, behind, now.observed) }
            })
            .collect();
        drop(watchdog);
        all.sort_by(|a, b| a.source.cmp(&b.source));
        all
    }

    fn health(&self) -> Health {
        let mut health = Health::default();
        for patterns in self.shared.followers.ended() {
            let what = "is read no more: the thread that followed it has ended, the daemon's log says why; \
                        mend that and restart the daemon";
            health.problems.push(Problem { source: patterns, what: what.to_owned(), since: None });
        }
        let looking = locked(&self.shared.looking).clone();
        health.problems.extend(hanging(looking, self.shared.now(), self.shared.stall_after));
        let statuses = self.shared.followers.status();
        let watchdog = locked(&self.shared.watchdog);
        for status in &statuses {
            match (watchdog.behind(status).filter(|behind| behind.stalled), &status.state) {
                (Some(behind), _) => health.problems.push(stall(status, &behind)),
                (None, SourceState::Failed(error)) => health.warnings.push(failure(status, error)),
                _ => {}
            }
        }
        health
    }
}

/// The source whose file system has not answered for too long.
fn hanging(looking: Option<(String, Now)>, now: Now, stall_after: Duration) -> Option<Problem> {
    let (source, since) = looking?;
    let what = "its file system does not answer, so that no source can be watched over; \
                look at the mount (`mount`, `dmesg`)";
    let long = now.uptime.saturating_sub(since.uptime) >= stall_after;
    let since = Some(api::rfc3339(since.observed));
    long.then(|| Problem { source, what: what.to_owned(), since })
}

fn stall(status: &SourceStatus, behind: &Behind) -> Problem {
    let unread = human_bytes(behind.unread_bytes);
    let what = match &status.state {
        SourceState::Failed(error) => format!("{unread} are not read: {}", with_way_out(error)),
        _ => format!(
            "{unread} are not read and reading does not move on; look at the daemon's log and restart it"
        ),
    };
    Problem { source: status.source.clone(), what, since: Some(api::rfc3339(behind.since)) }
}

fn failure(status: &SourceStatus, error: &str) -> Problem {
    let what = format!("cannot be read: {}", with_way_out(error));
    Problem { source: status.source.clone(), what, since: None }
}

/// What the system says, without the path, and what to do about it.
fn with_way_out(error: &str) -> String {
    let cause = error.rsplit_once("`: ").map_or(error, |(_, cause)| cause);
    let way_out = if cause.contains("Permission denied") {
        "let the user that runs the daemon read it (`setfacl -m u:USER:r FILE`)"
    } else if cause.contains("Too many open files") {
        "raise the limit of open files (`ulimit -n`)"
    } else {
        "it is tried again"
    };
    format!("{cause}; {way_out}")
}

fn source(status: SourceStatus, behind: Option<Behind>, now: Timestamp) -> api::Source {
    let (unread, still_since) = behind.map_or((0, None), |behind| (behind.unread_bytes, Some(behind.since)));
    let since = [status.behind_since, still_since].into_iter().flatten().min();
    let waited = since.map_or(0, |since| now.0.saturating_sub(since.0).max(0));
    let stalled = behind.filter(|behind| behind.stalled);
    api::Source {
        kind: status.kind.name().to_owned(),
        state: state_name(&status.state).to_owned(),
        error: reason(&status.state).or(status.last_error),
        path: status.path.as_deref().map(taffrail_source::source_name),
        identity: status.identity.map(identity),
        offset: status.offset,
        position: status.position,
        size: status.size,
        lag_bytes: status.lag_bytes.max(unread + status.held_bytes),
        lag_seconds: (waited / 1_000_000) as f64 / 1e3,
        held_bytes: status.held_bytes,
        records: status.lines,
        format: None,
        dates: String::new(),
        formats: Vec::new(),
        rotations: status.rotations,
        last_read: status.last_read.map(api::rfc3339),
        stalled: stalled.is_some(),
        stalled_since: stalled.map(|behind| api::rfc3339(behind.since)),
        gaps: api::SourceGaps::default(),
        source: status.source,
    }
}

/// Which file it is, as the API says it.
pub(crate) fn identity(identity: Identity) -> api::FileIdentity {
    let birth = identity.birth.map(|birth| api::rfc3339(Timestamp(birth)));
    api::FileIdentity { dev: identity.dev, inode: identity.ino, birth }
}

fn state_name(state: &SourceState) -> &'static str {
    match state {
        SourceState::Following => "following",
        SourceState::Missing => "missing",
        SourceState::Refused(_) => "refused",
        SourceState::Ended => "ended",
        SourceState::Failed(_) => "failed",
    }
}

fn reason(state: &SourceState) -> Option<String> {
    match state {
        SourceState::Refused(reason) => Some(reason.clone()),
        SourceState::Failed(error) => Some(error.clone()),
        SourceState::Following | SourceState::Missing | SourceState::Ended => None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_source::SourceKind;

    fn status(state: SourceState) -> SourceStatus {
        SourceStatus {
            lag_bytes: 10,
            held_bytes: 4,
            behind_since: Some(Timestamp(5 * Timestamp::SECOND)),
            path: Some("/x.log".into()),
            ..SourceStatus::new("/x.log".to_owned(), SourceKind::File, state)
        }
    }

    #[test]
    fn what_the_watchdog_sees_counts_beside_what_the_source_knows() {
        let now = Timestamp(20 * Timestamp::SECOND);
        let alone = source(status(SourceState::Following), None, now);
        assert_eq!((alone.lag_bytes, alone.lag_seconds, alone.stalled), (10, 15.0, false));
        let since = Timestamp(2 * Timestamp::SECOND);
        let behind = Behind { unread_bytes: 100, since, stalled: true };
        let seen = source(status(SourceState::Following), Some(behind), now);
        assert_eq!((seen.lag_bytes, seen.lag_seconds, seen.stalled), (104, 18.0, true));
        assert_eq!(seen.stalled_since.as_deref(), Some("1970-01-01T00:00:02.000000000Z"));
        let back = source(status(SourceState::Following), None, Timestamp(0));
        assert_eq!(back.lag_seconds, 0.0, "a clock that was set back");
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_named() {
        let at = |seconds| Now {
            observed: Timestamp(seconds as i64 * Timestamp::SECOND),
            uptime: Duration::from_secs(seconds),
        };
        let looking = || Some(("/mnt/x.log".to_owned(), at(5)));
        let stall_after = Duration::from_secs(30);
        assert_eq!(hanging(None, at(99), stall_after), None);
        assert_eq!(hanging(looking(), at(34), stall_after), None);
        let problem = hanging(looking(), at(35), stall_after).unwrap();
        assert_eq!(problem.source, "/mnt/x.log");
        assert_eq!(problem.since.as_deref(), Some("1970-01-01T00:00:05.000000000Z"));
    }

    #[test]
    fn problems_name_the_cause_once_and_the_way_out() {
        let denied = "failed to open file `/x.log`: Permission denied (os error 13)".to_owned();
        let behind = Behind { unread_bytes: 2048, since: Timestamp(0), stalled: true };
        let problem = stall(&status(SourceState::Failed(denied.clone())), &behind);
        let want = "2 KiB are not read: Permission denied (os error 13); let the user that runs the daemon \
                    read it (`setfacl -m u:USER:r FILE`)";
        assert_eq!((problem.what.as_str(), problem.since.is_some()), (want, true));
        let warning = failure(&status(SourceState::Missing), &denied);
        assert!(warning.what.starts_with("cannot be read: Permission denied"), "{}", warning.what);
        let problem = stall(&status(SourceState::Following), &behind);
        assert!(problem.what.ends_with("and restart it"), "{}", problem.what);
        assert_eq!(with_way_out("Input/output error"), "Input/output error; it is tried again");
    }
}
