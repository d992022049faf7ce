//! Reads a spool for one target, entry after entry.

use std::io::BufReader;
use std::time::Duration;

use fs_err as fs;

use super::{Spool, segment};
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
    /// What was dropped before this target could have it: first and last numbers, rising.
    missed: Vec<(u64, u64)>,
}

impl Reader {
    pub(super) fn new(spool: Spool, target: &str, next: u64) -> Self {
        Self { spool, target: target.to_owned(), next, open: None, missed: Vec::new() }
    }

    /// The next entries, at least one and not much more than `bytes` of them; none if there are none after `wait`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn next(&mut self, bytes: usize, wait: Duration) -> std::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut taken = 0;
        if !self.spool.shared.wait_for(self.next, wait) {
            return Ok(entries);
        }
        while taken < bytes {
            let Some(entry) = self.entry()? else { break };
            taken += entry.bytes();
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The same entries come again, from this number on.
    pub fn back_to(&mut self, sequence: u64) {
        self.next = sequence;
        self.open = None;
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
