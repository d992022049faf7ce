//! The thread: keeps a `journalctl` running from the last entry on, and hands its entries over.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail_record::{Checkpoint, RawBatch, Timestamp};
use tracing::{info, warn};

use super::JournalConfig;
use super::child::Journalctl;
use super::cursor::{Cursor, Mark};
use super::entries::{Entries, Line};
use super::place::Look;
use crate::source_thread::Post;
use crate::{Sink, SourceState, StartAt, Stopped};

/// How long a batch waits for more entries.
const LINGER: Duration = Duration::from_millis(5);
/// How often the place is looked at for what `journalctl` does not notice.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How soon `journalctl` is started again when it has ended, doubled each time it fails.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How long `journalctl` may take to find the entry where it is to go on. Where a file is damaged around it, it
/// finds nothing and says nothing: all is read from the oldest entry on then, and what is known is passed over.
const SEEK_TIME: Duration = Duration::from_secs(5);
/// How long the newest entry may be looked for.
const NEWEST_TIME: Duration = Duration::from_secs(30);
/// What `journalctl` says of files that it cannot read to their end; it goes on without them, and exits 0.
const DAMAGE: [&str; 6] =
    ["is bad, skipping", "unexpected type", "orrupted", "Bad message", "is truncated", "unsupported feature"];

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Why a `journalctl` is not read any more.
enum End {
    /// It ended.
    Exited(io::Result<ExitStatus>, Vec<String>),
    /// It is to be started again: there are files that it does not see, or entries that it passed over.
    Again,
    /// The source is to stop.
    Stop,
}

/// What follows from a line.
#[derive(PartialEq, Eq)]
enum Step {
    Next,
    /// Entries are missing before this one; another `journalctl` may see them.
    Recheck,
}

pub(super) struct Worker {
    config: JournalConfig,
    post: Arc<Post>,
    sink: Box<dyn Sink>,
    clock: fn() -> Timestamp,
    source: Arc<str>,
    filter: u64,
    entries: Entries,
    /// The last entry that was read.
    last: Option<Cursor>,
    /// The filter under which it was found.
    last_filter: u64,
    /// The first entry of this `journalctl` is still to come.
    fresh: bool,
    /// The next `journalctl` reads from the oldest entry on, though entries were read before.
    scan: bool,
    /// This one does.
    scanning: bool,
    /// The entry behind which a second `journalctl` found entries missing too.
    confirmed: Option<Cursor>,
    since_us: u64,
    start_at: StartAt,
    /// A checkpoint without lines is to be written.
    unsaved: bool,
    unreadable: usize,
    damaged: bool,
    retry: Duration,
    said: Option<String>,
}

impl Worker {
    pub(super) fn new(
        config: JournalConfig,
        checkpoint: Option<Checkpoint>,
        post: Arc<Post>,
        sink: Box<dyn Sink>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let limits = config.limits.clone().checked();
        let mark = checkpoint.as_ref().and_then(Mark::decode);
        if let (Some(checkpoint), None) = (&checkpoint, &mark)
            && !checkpoint.state.is_empty()
        {
            warn!(
                "the checkpoint of {} is not readable: the journal is read again from its oldest entry, as offset \
                 {} and following",
                config.source, checkpoint.offset
            );
        }
        let now_us = u64::try_from(clock().0 / 1_000).unwrap_or(0);
        let start_at = if checkpoint.is_some() { StartAt::Beginning } else { config.start_at };
        let (offset, lines) = checkpoint.map_or((0, 0), |checkpoint| (checkpoint.offset, checkpoint.lines));
        Self {
            filter: config.filter_hash(),
            entries: Entries::new(limits.max_line_bytes, offset, lines),
            last_filter: mark.as_ref().map_or(0, |mark| mark.filter),
            since_us: mark.as_ref().map_or(now_us, |mark| mark.since_us),
            last: mark.map(|mark| mark.cursor),
            source: config.source.as_str().into(),
            config: JournalConfig { limits, ..config },
            post,
            sink,
            clock,
            fresh: true,
            scan: false,
            scanning: false,
            confirmed: None,
            start_at,
            unsaved: false,
            unreadable: 0,
            damaged: false,
            retry: RETRY_MIN,
            said: None,
        }
    }

    pub(super) fn run(mut self) {
        while !self.post.stopping() {
            let look = self.config.place.look().unwrap_or_default();
            if look.files == 0 {
                self.post.status().state = SourceState::Missing;
                self.post.wait(&[], LOOK_INTERVAL / 2);
                continue;
            }
            self.permitted(&look);
            match self.start_here().and_then(|()| self.start()) {
                Ok(mut child) => match self.follow(&mut child, &look) {
                    Ok(End::Exited(status, said)) => self.exited(status, said),
                    Ok(End::Again) => {}
                    Ok(End::Stop) | Err(Stopped) => return,
                },
                Err(error) => self.cannot_start(&error),
            }
        }
    }

    fn start(&mut self) -> io::Result<Journalctl> {
        self.entries.pass_over();
        self.fresh = true;
        let arguments = self.config.follow_arguments(self.last.as_ref().filter(|_| !self.scan));
        let child = Journalctl::start(&self.config.program, &arguments)?;
        info!("following {} with journalctl, process {}", self.source, child.pid());
        Ok(child)
    }

    /// Where only new entries are wanted, finds the newest there is, and writes it down.
    fn start_here(&mut self) -> io::Result<()> {
        if self.start_at == StartAt::Beginning {
            return Ok(());
        }
        let cursor = newest(&self.config, &self.post)?;
        self.start_at = StartAt::Beginning;
        self.unsaved = cursor.is_some();
        self.last = cursor;
        self.last_filter = JournalConfig::default().filter_hash();
        Ok(())
    }

    fn follow(&mut self, child: &mut Journalctl, look: &Look) -> Result<End, Stopped> {
        let mut first: Option<Instant> = None;
        let mut look_at = Instant::now() + LOOK_INTERVAL;
        self.scanning = std::mem::take(&mut self.scan);
        let seeks = self.last.is_some() && self.last_filter == self.filter && !self.scanning;
        let seek_until = seeks.then(|| Instant::now() + SEEK_TIME);
        if self.unsaved {
            self.hand_over()?;
        }
        loop {
            let now = Instant::now();
            if first.is_some_and(|first| now >= first + LINGER) {
                self.hand_over()?;
                first = None;
            }
            if self.post.stopping() {
                self.hand_over()?;
                return Ok(End::Stop);
            }
            if self.fresh && seek_until.is_some_and(|until| now >= until) {
                self.scan = true;
                return Ok(End::Again);
            }
            if now >= look_at {
                look_at = now + LOOK_INTERVAL;
                if self.looks_otherwise(look) {
                    self.hand_over()?;
                    return Ok(End::Again);
                }
            }
            let due = first.map_or(look_at, |first| first + LINGER);
            let fds: Vec<_> = [Some(child.stdout()), child.stderr()].into_iter().flatten().collect();
            self.post.wait(&fds, due.saturating_duration_since(now));
            child.listen();
            for line in child.said() {
                self.heard(line);
            }
            match child.read() {
                Ok(None) => {}
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    if self.take(bytes)? == Step::Recheck {
                        self.hand_over()?;
                        return Ok(End::Again);
                    }
                    first = first.or_else(|| (!self.entries.is_empty()).then_some(now));
                }
                ended => {
                    self.hand_over()?;
                    let error = ended.err();
                    let (status, said) = child.finish();
                    return Ok(End::Exited(error.map_or(status, Err), said));
                }
            }
        }
    }

    /// Takes what `journalctl` wrote.
    fn take(&mut self, mut bytes: &[u8]) -> Result<Step, Stopped> {
        while let Some(line) = self.entries.feed(&mut bytes) {
            match line {
                Line::Entry(cursor) => {
                    if self.entry(cursor) == Step::Recheck {
                        return Ok(Step::Recheck);
                    }
                }
                Line::Other(text) => {
                    self.entries.pass_over();
                    self.heard(text);
                }
            }
            if self.entries.len() >= self.config.limits.batch_bytes {
                self.hand_over()?;
            }
        }
        Ok(Step::Next)
    }

    fn entry(&mut self, cursor: Cursor) -> Step {
        self.retry = RETRY_MIN;
        let observed = (self.clock)();
        if let Some(last) = &self.last {
            if last.is(&cursor) || self.fresh && self.scanning && cursor.is_before(last) {
                // Where it goes on, or comes from: it was handed over before.
                self.fresh &= !last.is(&cursor);
                self.entries.pass_over();
                return Step::Next;
            }
            match self.missing(last, &cursor) {
                0 => {}
                _ if self.is_doubtful(last) => {
                    self.confirmed = Some(last.clone());
                    self.entries.pass_over();
                    return Step::Recheck;
                }
                count => {
                    self.entries.lose(count, observed);
                    self.lost(count);
                }
            }
        }
        self.fresh = false;
        self.last = Some(cursor);
        self.last_filter = self.filter;
        self.entries.keep(observed);
        Step::Next
    }

    /// Whether another `journalctl` may see the entries that are missing after this one.
    fn is_doubtful(&self, last: &Cursor) -> bool {
        !self.damaged && self.confirmed.as_ref().is_none_or(|confirmed| !confirmed.is(last))
    }

    /// Entries that must have been between `last` and `next`, as far as can be known; 1 where it is not known how
    /// many.
    fn missing(&self, last: &Cursor, next: &Cursor) -> u64 {
        let gone = self.fresh && self.last_filter == self.filter;
        let countable = self.last_filter == self.filter && !self.config.is_filtered() && self.unreadable == 0;
        match last.missing_until(next) {
            // What was there before this source may have been removed in parts; nobody waits for it.
            _ if !gone && next.place().is_none_or(|place| place.realtime_us < self.since_us) => 0,
            Some(count) if countable => count,
            // Other entries were asked for, or other sequences are interleaved: only `last` itself must be there.
            _ => u64::from(gone),
        }
    }

    fn lost(&self, count: u64) {
        let text = match count {
            1 => "at least one entry was removed from the journal, or damaged, before it could be read"
                .to_owned(),
            _ => format!(
                "{count} entries were removed from the journal, or damaged, before they could be read"
            ),
        };
        warn!("{}: {text}; the table gaps has it", self.source);
        self.post.error(None, text);
    }

    /// Hands over what is complete.
    fn hand_over(&mut self) -> Result<(), Stopped> {
        if let Some(last) = &self.last
            && (!self.entries.is_empty() || self.unsaved)
        {
            let observed = (self.clock)();
            let taken = self.entries.take();
            let (offset, lines) = (self.entries.offset, self.entries.count);
            let mark = Mark { cursor: last.clone(), filter: self.last_filter, since_us: self.since_us };
            let checkpoint = Checkpoint { offset, lines, state: mark.encode() };
            self.unsaved = false;
            let batch = RawBatch {
                source: Arc::clone(&self.source),
                observed,
                bytes: taken.bytes,
                lines: taken.lines,
                header: None,
                gaps: taken.gaps,
                checkpoint,
            };
            // What is read but not taken shows, as long as it lasts.
            self.post.status().lag_bytes = batch.bytes.len() as u64;
            self.sink.send(batch)?;
            let mut status = self.post.status();
            status.lag_bytes = 0;
            status.state = SourceState::Following;
            (status.offset, status.size, status.lines) = (offset, offset, lines);
            status.last_read = Some(observed);
        }
        Ok(())
    }

    /// Looks at the place while `journalctl` runs: whether it has to be started again.
    fn looks_otherwise(&mut self, then: &Look) -> bool {
        let now = self.config.place.look().unwrap_or_default();
        if now.files == 0 || now.needs_restart(then) {
            return true;
        }
        self.permitted(&now);
        if self.unreadable < now.files {
            // It has run for a while.
            self.post.status().state = SourceState::Following;
        }
        false
    }

    /// Says which files are closed to us; entries that stand there are no gaps.
    fn permitted(&mut self, look: &Look) {
        let before = std::mem::replace(&mut self.unreadable, look.unreadable);
        if look.unreadable == before || look.unreadable == 0 {
            return;
        }
        let text = format!(
            "{} of {} journal files may not be read: run as root, or as a member of the group systemd-journal",
            look.unreadable, look.files
        );
        warn!("{}: {text}", self.source);
        let state = (look.unreadable == look.files).then(|| SourceState::Failed(text.clone()));
        self.post.error(state, text);
    }

    /// What `journalctl` says; with all that it has to say about its work, only damage is of interest.
    fn heard(&mut self, line: String) {
        if DAMAGE.iter().any(|words| line.contains(words)) && !self.damaged {
            self.damaged = true;
            let text = format!("the journal is damaged, journalctl passes over what it cannot read: {line}");
            warn!("{}: {text}; `journalctl --verify` tells which file", self.source);
            self.post.error(None, text);
        }
        self.said = Some(line);
    }

    fn exited(&mut self, status: io::Result<ExitStatus>, said: Vec<String>) {
        for line in said {
            self.heard(line);
        }
        let said = self.said.take().map(|said| format!(": {said}")).unwrap_or_default();
        let text = match status {
            // Whoever stops a service stops all of its processes; we may be next.
            Ok(status) if matches!(status.signal(), Some(SIGINT | SIGTERM)) => return self.rest(),
            Ok(status) if status.code().is_some() => format!("journalctl ended ({status}){said}"),
            Ok(status) => format!("journalctl ended ({status})"),
            Err(error) => format!("journalctl cannot be read: {error}"),
        };
        self.failed(&format!("{text}; it is started again"));
    }

    fn cannot_start(&mut self, error: &io::Error) {
        let program = self.config.program.display();
        let text = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("`{program}` is not in PATH: install systemd's journalctl, or leave out this source")
            }
            _ => format!("cannot run `{program}`: {error}; it is tried again"),
        };
        self.failed(&text);
    }

    /// Says it once, and waits.
    fn failed(&mut self, text: &str) {
        let state = SourceState::Failed(text.to_owned());
        if self.post.status().state != state {
            warn!("{}: {text}", self.source);
        }
        self.post.error(Some(state), text.to_owned());
        self.rest();
    }

    /// Waits before the next try, longer each time.
    fn rest(&mut self) {
        let until = Instant::now() + self.retry;
        while !self.post.stopping() && Instant::now() < until {
            self.post.wait(&[], until.saturating_duration_since(Instant::now()));
        }
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }
}

/// The newest entry of the journal; `None` if it has none.
fn newest(config: &JournalConfig, post: &Post) -> io::Result<Option<Cursor>> {
    let arguments: Vec<OsString> = config.newest_arguments();
    let mut child = Journalctl::start(&config.program, &arguments)?;
    let mut entries = Entries::new(config.limits.max_line_bytes, 0, 0);
    let mut found = None;
    let until = Instant::now() + NEWEST_TIME;
    while !post.stopping() && Instant::now() < until {
        post.wait(&[child.stdout()], until.saturating_duration_since(Instant::now()));
        child.listen();
        match child.read()? {
            None => {}
            Some([]) => return Ok(found),
            Some(mut bytes) => {
                while let Some(line) = entries.feed(&mut bytes) {
                    if let Line::Entry(cursor) = line {
                        found = Some(cursor);
                    }
                    entries.pass_over();
                }
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the newest entry was not found in time"))
}
