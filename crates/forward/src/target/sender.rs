//! The thread that sends to one target.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taffrail_record::Timestamp;

use super::parts::Parts;
use super::patience::{Patience, TRIES};
use super::verdict::Verdict;
use super::{Lines, Protocol, Standing, TargetConfig, lines_of, lock};
use crate::entry::{Content, Entry, Kind};
use crate::message::keep_errors;
use crate::peer::{Cause, Failure, Peer};
use crate::resolvix::payload;
use crate::spool::{Reader, Spool};
use crate::{ENTRIES_PATH, NODE_HEADER, SPOOL_HEADER, TIME_HEADER, VERSION_HEADER};

/// Bytes that are sent to a hub at a time, but for an entry that is larger: nginx takes 1 MiB where nobody says otherwise.
const BODY_BYTES: usize = 768 << 10;
/// How long something is waited for before a thread looks whether it is to end.
const WAIT: Duration = Duration::from_secs(1);

/// Sends what a spool keeps to one target.
pub(super) struct Sender {
    peer: Peer,
    config: TargetConfig,
    verdict: Verdict,
    spool: Spool,
    clock: fn() -> Timestamp,
    standing: Arc<Mutex<Standing>>,
    patience: Patience,
    size: BodySize,
    /// Entries up to this one are sent one at a time: one of them was refused.
    alone_until: u64,
    /// What is left of an entry that goes alone.
    parts: Option<Parts>,
    /// Of this entry so many posts were taken already.
    sent: Option<(u64, usize)>,
    /// What was said of samples that were not taken.
    said: Option<String>,
}

/// How large a body is.
struct BodySize {
    now: usize,
    /// What the server takes.
    most: usize,
}

/// Where it stopped: at the first entry that was not taken whole.
type Stop = (u64, Failure);

impl Sender {
    pub(super) fn new(
        peer: Peer,
        config: TargetConfig,
        spool: Spool,
        clock: fn() -> Timestamp,
        standing: Arc<Mutex<Standing>>,
    ) -> Self {
        Self {
            verdict: Verdict::new(&config, &spool),
            peer,
            config,
            spool,
            clock,
            standing,
            patience: Patience::default(),
            size: BodySize { now: BODY_BYTES, most: BODY_BYTES },
            alone_until: 0,
            parts: None,
            sent: None,
            said: None,
        }
    }

    /// Sends until the spool is closed.
    pub(super) fn run(mut self, mut reader: Reader) {
        while !self.spool.is_closed() {
            let entries = match reader.next(self.size.now, WAIT) {
                Ok(entries) => entries,
                Err(error) => {
                    self.fails(&format!("the spool cannot be read: {error}"));
                    self.spool.closed_within(WAIT);
                    continue;
                }
            };
            if let Err((at, failure)) = self.send(&entries, &mut reader) {
                reader.back_to(at);
                self.verdict.doubt();
                // A connection that breaks once is no news: it is made anew.
                if !failure.is_too_slow() || !self.patience.is_fresh() {
                    self.fails(&failure.why);
                }
                self.spool.closed_within(self.patience.wait(failure.after, (self.clock)()));
            }
        }
    }

    /// Sends entries, and notes which are taken.
    fn send(&mut self, entries: &[Entry], reader: &mut Reader) -> Result<(), Stop> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let (first, last) = (first.sequence, last.sequence);
        let protocol = self.verdict.protocol(&self.peer, (self.clock)());
        match protocol.map_err(|failure| (first, failure))? {
            Protocol::Hub => self.send_entries(entries, (first, last), reader),
            _ => self.send_one_by_one(entries, reader),
        }
    }

    /// To a hub: all in one body, or one at a time where one of them is refused.
    fn send_entries(&mut self, entries: &[Entry], of: (u64, u64), reader: &mut Reader) -> Result<(), Stop> {
        let (first, last) = of;
        let wanted: Vec<Cow<'_, Entry>> =
            entries.iter().filter_map(|entry| self.of_interest(entry, reader)).collect();
        if wanted.len() > 1 && first > self.alone_until {
            match self.post(&wanted) {
                Ok(()) => {
                    self.has(last, reader);
                    return Ok(());
                }
                Err(failure) if failure.is_refusal() => {
                    tracing::debug!("{}; its {} entries are sent one at a time", failure.why, wanted.len());
                    self.alone_until = last;
                }
                Err(failure) => return Err((first, failure)),
            }
        }
        for entry in &wanted {
            if self.spool.is_closed() {
                return Ok(());
            }
            self.send_alone(entry).map_err(|failure| (entry.sequence, failure))?;
            self.has(entry.sequence, reader);
        }
        self.has(last, reader);
        Ok(())
    }

    /// An entry, in parts if it is too large. A part that is refused too often is given up.
    fn send_alone(&mut self, entry: &Entry) -> Result<(), Failure> {
        let known = self.parts.take().filter(|parts| parts.of == entry.sequence);
        let mut parts = known.unwrap_or_else(|| Parts::of(entry));
        while let Some(part) = parts.first() {
            let (kind, lines) = (part.kind, part.lines.into());
            match self.post(&[Cow::Borrowed(part)]) {
                Ok(()) => parts.pass(),
                Err(failure) if failure.is_too_large() && parts.halve() => {}
                Err(failure) if failure.is_refusal() && self.patience.is_over(entry.sequence) => {
                    self.gives_up(kind, lines, &failure.why);
                    // The hub learns what it does not have, if it takes that.
                    if !parts.lose((self.clock)()) {
                        parts.pass();
                    }
                }
                Err(failure) => {
                    self.parts = Some(parts);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// One body of entries.
    fn post(&mut self, entries: &[Cow<'_, Entry>]) -> Result<(), Failure> {
        let mut body = Vec::with_capacity(entries.iter().map(|entry| entry.bytes()).sum());
        entries.iter().for_each(|entry| entry.write(&mut body));
        let answer = self.post_body(&body);
        if let Err(failure) = &answer {
            self.size.shrink(body.len(), entries.len(), failure);
        }
        answer?;
        self.size.grow();
        for entry in entries {
            match entry.kind {
                Kind::Lines => self.takes(entry.lines.into(), 0),
                Kind::Sample => self.takes(0, 1),
                Kind::Loss => self.takes(0, 0),
            }
        }
        Ok(())
    }

    fn post_body(&self, body: &[u8]) -> Result<(), Failure> {
        let time = (self.clock)().0.to_string();
        let headers = [
            (NODE_HEADER, self.config.node.as_str()),
            (VERSION_HEADER, env!("CARGO_PKG_VERSION")),
            (SPOOL_HEADER, self.spool.id()),
            (TIME_HEADER, &time),
        ];
        let answer = self.peer.post(ENTRIES_PATH, "application/octet-stream", &headers, body)?;
        if answer.contains("\"taken\"") {
            return Ok(());
        }
        let why = format!("{} answers as no hub does", self.config.url);
        Err(Failure { why, cause: Cause::Nonsense, after: None })
    }

    /// What the target gets of an entry, if it gets anything.
    fn of_interest<'a>(&self, entry: &'a Entry, reader: &Reader) -> Option<Cow<'a, Entry>> {
        // What another target has missed is no loss here.
        if entry.kind == Kind::Loss
            && let Some(Content::Loss { entries, .. }) = entry.content()
            && !reader.has_missed(entries)
        {
            return None;
        }
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
        let errors = Entry::of_lines(&batch, &note);
        // Too much is better than too little.
        let Ok(mut errors) = errors else { return Some(Cow::Borrowed(entry)) };
        errors.sequence = entry.sequence;
        Some(Cow::Owned(errors))
    }

    /// To a server of Resolvix. What was taken of an entry before a failure is not sent again.
    fn send_one_by_one(&mut self, entries: &[Entry], reader: &mut Reader) -> Result<(), Stop> {
        for entry in entries {
            if !self.send_posts(entry).map_err(|failure| (entry.sequence, failure))? {
                break;
            }
            self.has(entry.sequence, reader);
        }
        Ok(())
    }

    /// False if the spool was closed before all of an entry was sent.
    fn send_posts(&mut self, entry: &Entry) -> Result<bool, Failure> {
        let already =
            self.sent.filter(|(sequence, _)| *sequence == entry.sequence).map_or(0, |(_, posts)| posts);
        for (at, (path, body)) in self.posts(entry).iter().enumerate().skip(already) {
            if self.spool.is_closed() {
                return Ok(false);
            }
            self.sent = Some((entry.sequence, at));
            match self.peer.post(path, "application/json", &[], body.as_bytes()) {
                Ok(_) if entry.kind == Kind::Sample => self.takes(0, 1),
                Ok(_) => self.takes(1, 0),
                Err(failure) => self.passes(entry, failure)?,
            }
            self.sent = Some((entry.sequence, at + 1));
        }
        Ok(true)
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

    /// Goes on without a post that failed, if it may: lines wait behind no sample, as the original posts those once.
    fn passes(&mut self, entry: &Entry, failure: Failure) -> Result<(), Failure> {
        let is_sample = entry.kind == Kind::Sample;
        if is_sample && is_answered_badly(&failure) {
            self.drops(&failure.why);
            return Ok(());
        }
        let is_refusal = failure.is_refusal() || is_sample && failure.cause == Cause::Slow;
        if is_refusal && self.patience.is_over(entry.sequence) {
            self.gives_up(entry.kind, 1, &failure.why);
            return Ok(());
        }
        Err(failure)
    }

    fn has(&self, sequence: u64, reader: &mut Reader) {
        if let Err(error) = reader.done(sequence) {
            tracing::warn!("{}: what it has taken cannot be noted: {error}", self.config.url);
        }
    }

    /// Something was taken.
    fn takes(&mut self, lines: u64, samples: u64) {
        self.patience.renew();
        let mut standing = lock(&self.standing);
        standing.lines += lines;
        standing.samples += samples;
        if standing.failing.take().is_some() {
            tracing::info!("{} takes what is sent again", self.config.url);
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

    /// A sample that was not taken is not offered again. Said once, until it is something else.
    fn drops(&mut self, why: &str) {
        // It may be something else now, that would take it.
        self.verdict.doubt();
        lock(&self.standing).refused += 1;
        if self.said.as_deref() != Some(why) {
            tracing::warn!("{why}; samples that it does not take are dropped");
            self.said = Some(why.to_owned());
        }
    }

    /// What was refused too often is lost.
    fn gives_up(&self, kind: Kind, lines: u64, why: &str) {
        let mut standing = lock(&self.standing);
        let what = match kind {
            Kind::Lines => {
                standing.refused_at = Some((self.clock)());
                standing.refused += lines;
                format!("{lines} lines")
            }
            Kind::Sample => {
                standing.refused += 1;
                "a sample".to_owned()
            }
            Kind::Loss => "the word of a loss".to_owned(),
        };
        drop(standing);
        tracing::error!("{why}; {what}, refused {TRIES} times, will not be sent again");
    }
}

/// Whether a server answers that it did not take something, without asking for patience.
fn is_answered_badly(failure: &Failure) -> bool {
    match failure.cause {
        Cause::Code(429) => false,
        Cause::Code(503) => failure.after.is_none(),
        Cause::Code(code) => code >= 400,
        Cause::Cut | Cause::Slow | Cause::Nonsense => false,
    }
}

impl BodySize {
    /// A body of so many bytes and entries was not taken.
    fn shrink(&mut self, bytes: usize, entries: usize, failure: &Failure) {
        let half = (bytes / 2).max(1);
        if failure.is_too_large() && entries > 1 {
            self.most = half;
            self.now = half;
        } else if failure.is_too_slow() {
            self.now = half.min(self.now);
        }
    }

    /// One was taken.
    fn grow(&mut self) {
        self.now = (self.now * 2).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_shrink_to_what_arrives() {
        let failed = |cause| Failure { why: String::new(), cause, after: None };
        let mut size = BodySize { now: 1_000, most: 1_000 };
        // What did not arrive is tried with less, and with more again once less arrives.
        for (cause, want) in [(Cause::Slow, 400), (Cause::Cut, 400), (Cause::Code(408), 400)] {
            size.shrink(800, 3, &failed(cause));
            assert_eq!((size.now, size.most), (want, 1_000), "{cause:?}");
            size.grow();
            size.grow();
            assert_eq!(size.now, 1_000);
        }
        // What else goes wrong has nothing to do with it, nor has a single entry that is too large.
        for (cause, entries) in [(Cause::Code(500), 3), (Cause::Code(400), 3), (Cause::Code(413), 1)] {
            size.shrink(800, entries, &failed(cause));
            assert_eq!((size.now, size.most), (1_000, 1_000), "{cause:?}");
        }
        // What a server says that it does not take, it is not sent again.
        size.shrink(800, 3, &failed(Cause::Code(413)));
        size.grow();
        assert_eq!((size.now, size.most), (400, 400));
        for _ in 0..20 {
            size.shrink(size.now, 2, &failed(Cause::Code(413)));
        }
        assert_eq!(size.now, 1, "one entry at a time");
    }
}
