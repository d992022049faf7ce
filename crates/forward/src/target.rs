//! Sends what a spool keeps to one target, in order, until it has it: a Taffrail hub, which takes entries many at a time and each
//! once, or a central server of Resolvix, which takes lines one by one, perhaps twice.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use taffrail_record::{RawBatch, Timestamp};

use crate::entry::{Content, Entry, Kind};
use crate::line::Rules;
use crate::message::keep_errors;
use crate::peer::{Access, Failure, Peer, Unusable};
use crate::resolvix::payload;
use crate::spool::{Reader, Spool};
use crate::{ENTRIES_PATH, NODE_HEADER, SPOOL_HEADER, TIME_HEADER, VERSION_HEADER};

/// Bytes that are sent to a hub at a time.
const BODY_BYTES: usize = 1 << 20;
/// How long something is waited for before a thread looks whether it is to end.
const WAIT: Duration = Duration::from_secs(1);
/// Pauses after failures: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// What a server refuses is offered so often before it is given up.
const TRIES: u32 = 3;

/// How a target is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// As what it turns out to be.
    #[default]
    Auto,
    /// As a Taffrail hub.
    Hub,
    /// As a central server of Resolvix.
    Resolvix,
}

/// Which lines are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lines {
    /// All.
    #[default]
    All,
    /// Those with a word for an error. A server of Resolvix gets no others.
    Errors,
}

/// A target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetConfig {
    /// Its address, without a slash at the end.
    pub url: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Which of the lines in the spool it gets.
    pub lines: Lines,
    /// How it lets us in.
    pub access: Access,
    /// Our name.
    pub node: String,
    /// How lines are judged.
    pub rules: Rules,
    /// Minutes that times without a zone are east of UTC.
    pub offset_minutes: i16,
}

/// How a target stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Its address.
    pub url: String,
    /// Why it takes nothing at the moment.
    pub failing: Option<String>,
    /// Lines that it has taken.
    pub lines: u64,
    /// Samples that it has taken.
    pub samples: u64,
    /// Lines and samples that it never will.
    pub refused: u64,
}

/// A target that is sent to.
#[derive(Clone, Debug)]
pub struct Target {
    standing: Arc<Mutex<Standing>>,
}

impl TargetConfig {
    /// Whether it can be used.
    ///
    /// # Errors
    /// If the address is none, or what lets us in cannot be read.
    pub fn check(&self) -> Result<(), Unusable> {
        Peer::new(&self.url, &self.access).map(drop)
    }
}

impl Target {
    /// Starts the thread that sends. It ends when the spool is closed.
    ///
    /// # Errors
    /// If the address is none, or what lets us in cannot be read.
    pub fn spawn(config: TargetConfig, spool: &Spool, clock: fn() -> Timestamp) -> Result<Self, Unusable> {
        let peer = Peer::new(&config.url, &config.access)?;
        let standing = Arc::new(Mutex::new(Standing { url: config.url.clone(), ..Standing::default() }));
        let reader = spool.reader(&config.url);
        let spool = spool.clone();
        let sender = Sender {
            peer,
            spool,
            clock,
            standing: Arc::clone(&standing),
            protocol: config.protocol,
            sent: None,
            given_up: None,
            config,
        };
        // Without a thread it stands there as failing.
        let target = Self { standing };
        if let Err(error) =
            thread::Builder::new().name("forward".to_owned()).spawn(move || sender.run(reader))
        {
            lock(&target.standing).failing = Some(error.to_string());
        }
        Ok(target)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Sender {
    peer: Peer,
    config: TargetConfig,
    /// What the target turned out to be.
    protocol: Protocol,
    spool: Spool,
    clock: fn() -> Timestamp,
    standing: Arc<Mutex<Standing>>,
    /// Of this entry so many posts were taken already.
    sent: Option<(u64, usize)>,
    /// This entry is not sent any more.
    given_up: Option<u64>,
}

impl Sender {
    fn run(mut self, mut reader: Reader) {
        let (mut pause, mut tries) = (PAUSES[0], 0);
        loop {
            let entries = match reader.next(BODY_BYTES, WAIT) {
                Ok(entries) => entries,
                Err(error) => {
                    self.fails(&format!("the spool cannot be read: {error}"));
                    if self.spool.closed_within(WAIT) {
                        return;
                    }
                    continue;
                }
            };
            let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
                if self.spool.is_closed() {
                    return;
                }
                continue;
            };
            let (first, last) = (first.sequence, last.sequence);
            match self.send(&entries, &reader) {
                Ok(()) => self.has(last),
                Err((at, failure)) => {
                    if at > first {
                        self.has(at - 1);
                    }
                    let wait = match failure {
                        Failure::Retry { why, after, is_cut } => {
                            // A connection that breaks once is no news: it is made anew.
                            if !is_cut || pause > PAUSES[0] {
                                self.fails(&why);
                            }
                            after.unwrap_or_else(|| jittered(pause, (self.clock)()))
                        }
                        Failure::Refused(why) if tries < TRIES => {
                            tries += 1;
                            self.fails(&why);
                            jittered(pause, (self.clock)())
                        }
                        Failure::Refused(why) => {
                            tries = 0;
                            self.gives_up(at, &why);
                            Duration::ZERO
                        }
                    };
                    pause = (pause * 2).min(PAUSES[1]);
                    reader.back_to(at);
                    if self.spool.closed_within(wait) {
                        return;
                    }
                    continue;
                }
            }
            (pause, tries) = (PAUSES[0], 0);
            self.works();
        }
    }

    /// Sends entries; `Err` names the first that is not taken whole.
    fn send(&mut self, entries: &[Entry], reader: &Reader) -> Result<(), (u64, Failure)> {
        let first = entries.first().map_or(0, |entry| entry.sequence);
        if self.protocol == Protocol::Auto {
            self.protocol = self.what_it_is().map_err(|failure| (first, failure))?;
        }
        match self.protocol {
            Protocol::Hub => self.send_entries(entries, reader).map_err(|failure| (first, failure)),
            _ => self.send_one_by_one(entries),
        }
    }

    /// A hub says that it is one.
    fn what_it_is(&self) -> Result<Protocol, Failure> {
        let answer = self.peer.get(ENTRIES_PATH);
        let is_hub = match answer {
            Ok(text) => text.is_some_and(|text| text.contains("\"taffrail\"")),
            // It answers, but not this: other servers may do so in many ways.
            Err(Failure::Refused(_)) => false,
            Err(failure @ Failure::Retry { .. }) => return Err(failure),
        };
        Ok(if is_hub { Protocol::Hub } else { Protocol::Resolvix })
    }

    fn send_entries(&mut self, entries: &[Entry], reader: &Reader) -> Result<(), Failure> {
        let mut body = Vec::with_capacity(entries.iter().map(Entry::bytes).sum());
        let (mut lines, mut samples) = (0, 0);
        for entry in entries {
            if self.given_up == Some(entry.sequence) {
                continue;
            }
            // What another target has missed is no loss here.
            if entry.kind == Kind::Loss
                && let Some(Content::Loss { entries, .. }) = entry.content()
                && !reader.has_missed(entries)
            {
                continue;
            }
            let Some(entry) = self.of_interest(entry) else { continue };
            match entry.kind {
                Kind::Lines => lines += u64::from(entry.lines),
                Kind::Sample => samples += 1,
                Kind::Loss => {}
            }
            entry.write(&mut body);
        }
        if body.is_empty() {
            return Ok(());
        }
        let time = (self.clock)().0.to_string();
        let headers = [
            (NODE_HEADER, self.config.node.as_str()),
            (VERSION_HEADER, env!("CARGO_PKG_VERSION")),
            (SPOOL_HEADER, self.spool.id()),
            (TIME_HEADER, &time),
        ];
        let answer = self.peer.post(ENTRIES_PATH, "application/octet-stream", &headers, &body)?;
        if !answer.contains("\"taken\"") {
            let why = format!("{} answers as no hub does", self.config.url);
            return Err(Failure::Retry { why, after: None, is_cut: false });
        }
        let mut standing = lock(&self.standing);
        standing.lines += lines;
        standing.samples += samples;
        Ok(())
    }

    /// What the target gets of an entry, if it gets anything.
    fn of_interest<'a>(&self, entry: &'a Entry) -> Option<Cow<'a, Entry>> {
        if self.config.lines == Lines::All || entry.kind != Kind::Lines {
            return Some(Cow::Borrowed(entry));
        }
        let Some(Content::Lines(mut batch, note)) = entry.content() else {
            return Some(Cow::Borrowed(entry));
        };
        keep_errors(&mut batch, self.config.rules);
        if batch.lines.is_empty() && batch.gaps.is_empty() {
            return None;
        }
        let errors = Entry::of_batch(Kind::Lines, Vec::new(), &batch, &note);
        // Too much is better than too little.
        let Ok(mut errors) = errors else { return Some(Cow::Borrowed(entry)) };
        errors.sequence = entry.sequence;
        Some(Cow::Owned(errors))
    }

    /// What was taken of an entry before a failure is not sent again.
    fn send_one_by_one(&mut self, entries: &[Entry]) -> Result<(), (u64, Failure)> {
        for entry in entries {
            let already =
                self.sent.filter(|(sequence, _)| *sequence == entry.sequence).map_or(0, |(_, posts)| posts);
            let posts = self.posts(entry);
            for (at, (path, body)) in posts.iter().enumerate().skip(already) {
                self.sent = Some((entry.sequence, at));
                let posted = self.peer.post(path, "application/json", &[], body.as_bytes());
                posted.map_err(|failure| (entry.sequence, failure))?;
                self.sent = Some((entry.sequence, at + 1));
                let mut standing = lock(&self.standing);
                match entry.kind {
                    Kind::Sample => standing.samples += 1,
                    _ => standing.lines += 1,
                }
            }
        }
        Ok(())
    }

    /// What a server of Resolvix is sent of an entry: paths and bodies.
    fn posts(&self, entry: &Entry) -> Vec<(&'static str, String)> {
        match entry.content() {
            Some(Content::Lines(batch, _)) => {
                let TargetConfig { node, rules, offset_minutes, .. } = &self.config;
                let now = batch.observed;
                let told = |line| payload(line, &batch.source, node, now, *offset_minutes, *rules);
                lines_of(&batch).filter_map(told).map(|body| ("/logs", body)).collect()
            }
            Some(Content::Sample(envelope)) => vec![("/telemetry", envelope)],
            Some(Content::Loss { .. }) | None => Vec::new(),
        }
    }

    fn has(&self, sequence: u64) {
        if let Err(error) = self.spool.done(&self.config.url, sequence) {
            tracing::warn!("{}: what it has taken cannot be noted: {error}", self.config.url);
        }
    }

    /// Said once, until it is something else.
    fn fails(&self, why: &str) {
        let mut standing = lock(&self.standing);
        if standing.failing.as_deref() != Some(why) {
            tracing::warn!("{why}; what is to be sent is kept and sent again");
            standing.failing = Some(why.to_owned());
        }
    }

    fn works(&self) {
        if lock(&self.standing).failing.take().is_some() {
            tracing::info!("{} takes what is sent again", self.config.url);
        }
    }

    /// Of an entry that goes out in many posts only the one that was refused.
    fn gives_up(&mut self, sequence: u64, why: &str) {
        tracing::error!("{why}; this was refused {TRIES} times and is given up (entry {sequence})");
        lock(&self.standing).refused += 1;
        match &mut self.sent {
            Some((of, posts)) if *of == sequence => *posts += 1,
            _ => self.given_up = Some(sequence),
        }
    }
}

/// The lines of a batch, those of joined records too.
pub(crate) fn lines_of(batch: &RawBatch) -> impl Iterator<Item = &[u8]> {
    batch.lines.iter().flat_map(|line| line.span.of(&batch.bytes).split(|byte| *byte == b'\n'))
}

/// Half to all of a pause: many agents do not come back at once.
fn jittered(pause: Duration, now: Timestamp) -> Duration {
    let share = now.0.rem_euclid(1_000_003) as f64 / 1_000_003.0;
    pause.mul_f64(0.5 + share / 2.0)
}
