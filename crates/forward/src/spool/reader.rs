//! Reads a spool for one target, entry after entry, and remembers what it has missed, on the disk too: a loss stands at the end of
//! the spool, and may be read long after the hole that it is about.

use std::io::BufReader;
use std::time::Duration;

use fs_err as fs;

use super::{Spool, marks, segment};
use crate::entry::Entry;

/// Stretches of what was dropped that are told apart.
const MISSED_MAX: usize = 1_000;

/// Reads a spool for one target.
#[derive(Debug)]
pub struct Reader {
    spool: Spool,
    target: String,
    /// The number of the next entry.
    next: u64,
    /// The file that it is in: the number of that one's first entry, and how far it is read.
    open: Option<(u64, BufReader<fs::File>, u64)>,
    /// An entry that was one too many.
    held: Option<Entry>,
    /// What was dropped before this target could have it: first and last numbers, rising.
    missed: Vec<(u64, u64)>,
    /// Whether that stands on the disk.
    is_noted: bool,
}

impl Reader {
    pub(super) fn new(spool: Spool, target: &str, next: u64) -> Self {
        let missed = marks::missed(&spool.shared.folder, target);
        Self { spool, target: target.to_owned(), next, open: None, held: None, missed, is_noted: true }
    }

    /// The next entries, `bytes` of them or a single one that is larger; none if there are none after `wait`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn next(&mut self, bytes: usize, wait: Duration) -> std::io::Result<Vec<Entry>> {
        let (mut entries, mut taken) = (Vec::new(), 0);
        if self.held.is_none() && !self.spool.shared.wait_for(self.next, wait) {
            return Ok(entries);
        }
        loop {
            let entry = match self.held.take() {
                Some(entry) => Some(entry),
                // What was read before is not lost; the error comes again.
                None => match self.entry() {
                    Err(_) if !entries.is_empty() => None,
                    entry => entry?,
                },
            };
            let Some(entry) = entry else { break };
            taken += entry.bytes();
            if taken > bytes && !entries.is_empty() {
                self.held = Some(entry);
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The target has all entries up to this one, but for those that it has missed.
    ///
    /// # Errors
    /// If that cannot be noted: after a restart they would be sent again.
    pub fn done(&mut self, sequence: u64) -> std::io::Result<()> {
        if !self.is_noted {
            match marks::note_missed(&self.spool.shared.folder, &self.target, &self.missed) {
                Ok(()) => self.is_noted = true,
                // A full disk must become empty: it is noted with what comes next.
                Err(error) => tracing::warn!("what {} has missed cannot be noted: {error}", self.target),
            }
        }
        self.spool.done(&self.target, sequence)
    }

    /// The same entries come again, from this number on.
    pub fn back_to(&mut self, sequence: u64) {
        self.next = sequence;
        (self.open, self.held) = (None, None);
    }

    /// Whether entries between these numbers were dropped before this target could have them.
    pub fn has_missed(&self, (first, last): (u64, u64)) -> bool {
        self.missed.iter().any(|(from, to)| *from <= last && first <= *to)
    }

    fn entry(&mut self) -> std::io::Result<Option<Entry>> {
        loop {
            let Some((first, end, is_last)) = self.place() else { return Ok(None) };
            if self.open.as_ref().is_none_or(|(open, ..)| *open != first) {
                match self.open(first) {
                    Ok(()) => {}
                    // It was dropped just now.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            let Some((_, reader, at)) = &mut self.open else { return Ok(None) };
            if let Some(entry) = segment::next(reader, end.saturating_sub(*at))? {
                *at += entry.bytes() as u64;
                if entry.sequence < self.next {
                    continue;
                }
                if !self.takes(&entry) {
                    self.open = None;
                    continue;
                }
                self.next = entry.sequence + 1;
                return Ok(Some(entry));
            }
            if is_last {
                return Ok(None);
            }
            // Nothing more is in this file; the next one begins with the next number, unless this one is damaged.
            self.open = None;
            let after =
                self.spool.shared.state().segments.iter().find(|segment| segment.first > first).copied();
            match after {
                Some(segment) => self.skip_to(segment.first),
                None => return Ok(None),
            }
        }
    }

    /// Notes that an entry is about to be sent; false if it was dropped just now, and is among the losses.
    fn takes(&self, entry: &Entry) -> bool {
        let mut state = self.spool.shared.state();
        let is_there = state.segments.front().is_some_and(|segment| segment.first <= entry.sequence);
        match state.taken.get_mut(&self.target) {
            _ if !is_there => {}
            Some(taken) => *taken = entry.sequence,
            None => drop(state.taken.insert(self.target.clone(), entry.sequence)),
        }
        is_there
    }

    /// The file that the next entry is in: its first number, its bytes, whether it is the last.
    fn place(&mut self) -> Option<(u64, u64, bool)> {
        let state = self.spool.shared.state();
        if self.next >= state.next {
            return None;
        }
        let oldest = state.segments.front()?.first;
        let at = state.segments.iter().rposition(|segment| segment.first <= self.next.max(oldest))?;
        let segment = state.segments[at];
        let is_last = at + 1 == state.segments.len();
        drop(state);
        self.skip_to(oldest.max(self.next));
        Some((segment.first, segment.bytes, is_last))
    }

    fn skip_to(&mut self, sequence: u64) {
        if sequence <= self.next {
            return;
        }
        match self.missed.last_mut() {
            Some((_, last)) if *last + 1 == self.next => *last = sequence - 1,
            _ => self.missed.push((self.next, sequence - 1)),
        }
        self.next = sequence;
        self.is_noted = false;
        if self.missed.len() > MISSED_MAX {
            // Rather a loss that was none than one that nobody is told of.
            let (from, _) = self.missed.remove(0);
            self.missed[0].0 = from;
        }
    }

    fn open(&mut self, first: u64) -> std::io::Result<()> {
        let file = fs::File::open(segment::path(&self.spool.shared.folder, first))?;
        self.open = Some((first, BufReader::with_capacity(64 << 10, file), 0));
        Ok(())
    }
}
