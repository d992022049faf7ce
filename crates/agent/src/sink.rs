//! Where what is followed goes: into the spool, to those who watch live, or onto stdout.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail_forward::line::Rules;
use taffrail_forward::{Lines, Spool, keep_errors, payload};
use taffrail_record::RawBatch;
use taffrail_source::{Sink, Stopped};

use crate::live::Live;
use crate::stopping::Stopping;

/// How far a source was read without a line for anybody is noted so often.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// Pauses before what a full disk refused is offered again: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// The end of a follower.
#[derive(Clone)]
pub(crate) struct AgentSink {
    pub spool: Option<Spool>,
    pub live: Live,
    pub lines: Lines,
    pub rules: Rules,
    /// Print what would be sent.
    pub prints: bool,
    pub node: String,
    pub offset_minutes: i16,
    pub stopping: Arc<Stopping>,
    /// When each source was last noted.
    pub noted: HashMap<Arc<str>, Instant>,
}

impl Sink for AgentSink {
    fn send(&mut self, mut batch: RawBatch) -> Result<(), Stopped> {
        let frames = self.live.frames(&batch);
        if self.prints && self.print(&batch).is_err() {
            // Nobody reads it any more: that is the end, and no error.
            self.stopping.set();
            return Err(Stopped);
        }
        if self.lines == Lines::Errors {
            keep_errors(&mut batch, self.rules);
        }
        if self.is_worth_it(&batch) {
            self.put(&batch)?;
        }
        self.live.show(frames);
        Ok(())
    }
}

impl AgentSink {
    /// Without a central server this is where it goes.
    fn print(&self, batch: &RawBatch) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for line in
            batch.lines.iter().flat_map(|line| line.span.of(&batch.bytes).split(|byte| *byte == b'\n'))
        {
            let text =
                payload(line, &batch.source, &self.node, batch.observed, self.offset_minutes, self.rules);
            if let Some(text) = text {
                writeln!(out, "{text}")?;
            }
        }
        Ok(())
    }

    /// Without lines it only says how far the source is read: that is worth it now and then.
    fn is_worth_it(&mut self, batch: &RawBatch) -> bool {
        let now = Instant::now();
        let is_due =
            self.noted.get(&batch.source).is_none_or(|noted| now.duration_since(*noted) >= NOTE_EVERY);
        let is_it = !batch.lines.is_empty() || !batch.gaps.is_empty() || is_due;
        if is_it {
            self.noted.insert(Arc::clone(&batch.source), now);
        }
        is_it
    }

    /// A full disk is waited for: the file is the buffer.
    fn put(&self, batch: &RawBatch) -> Result<(), Stopped> {
        let Some(spool) = &self.spool else { return Ok(()) };
        let note = format!("{} ", self.offset_minutes);
        let [mut pause, longest] = PAUSES;
        let mut said = false;
        while let Err(error) = spool.put(batch, &note) {
            if !std::mem::replace(&mut said, true) {
                tracing::warn!("{}: what was read waits in its file: {error}", batch.source);
            }
            if self.stopping.within(pause) {
                return Err(Stopped);
            }
            pause = (pause * 2).min(longest);
        }
        Ok(())
    }
}
