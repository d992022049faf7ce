//! The last entries of a stream, and readers that each stand somewhere among them.
//!
//! Entries are kept once for all readers. Publishing never waits: who falls behind further than their own buffer misses
//! the oldest, and learns how many.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::entry::Entry;

/// Entries that a reader takes at once.
const CHUNK: usize = 512;

/// The last entries of a stream.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    entries: RwLock<VecDeque<Entry>>,
    /// Entries that were ever published.
    head: watch::Sender<u64>,
}

impl Ring {
    /// For readers that lag by `capacity` entries at most.
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity: capacity.max(1), entries: RwLock::default(), head: watch::Sender::new(0) })
    }

    /// Hands entries to all readers.
    pub(super) fn publish(&self, new: impl Iterator<Item = Entry>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        for entry in new {
            if entries.len() == self.capacity {
                entries.pop_front();
            }
            entries.push_back(entry);
            count += 1;
        }
        if count > 0 {
            // While nobody can read, so that the number is never behind the entries.
            self.head.send_modify(|head| *head += count);
        }
    }

    /// How many entries were published.
    pub(super) fn published(&self) -> u64 {
        *self.head.borrow()
    }

    /// A reader of what comes from now on, with a buffer of so many entries.
    pub(super) fn reader(self: &Arc<Self>, buffer: usize) -> Reader {
        let head = self.head.subscribe();
        let next = *head.borrow();
        Reader { ring: Arc::clone(self), head, next, buffer: buffer.clamp(1, self.capacity) as u64 }
    }
}

/// A reader's place.
#[derive(Debug)]
pub(super) struct Reader {
    ring: Arc<Ring>,
    head: watch::Receiver<u64>,
    next: u64,
    buffer: u64,
}

/// Entries in a row.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Entries before them that this reader was too slow for.
    pub(super) missed: u64,
    /// The entries.
    pub(super) entries: Vec<Entry>,
}

impl Reader {
    /// What came since the last call, at least one entry; `None` once the stream ends. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Chunk> {
        let next = self.next;
        self.head.wait_for(|head| *head > next).await.ok()?;
        let entries = self.ring.entries.read().unwrap_or_else(PoisonError::into_inner);
        let head = *self.ring.head.borrow();
        let oldest = head - (entries.len() as u64).min(self.buffer);
        let missed = oldest.saturating_sub(self.next);
        let from = self.next.max(oldest);
        let skipped = entries.len() - (head - from) as usize;
        let entries: Vec<Entry> = entries.iter().skip(skipped).take(CHUNK).cloned().collect();
        self.next = from + entries.len() as u64;
        Some(Chunk { missed, entries })
    }
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;

    use super::*;

    fn publish(ring: &Ring, numbers: std::ops::Range<u64>) {
        ring.publish(
            numbers.filter_map(|number| Entry::of_line(format!("n{number}").as_bytes(), "a", Timestamp(0))),
        );
    }

    fn text(chunk: &Chunk) -> String {
        let messages = chunk.entries.iter().map(|entry| {
            let line = String::from_utf8_lossy(entry.line()).into_owned();
            line.split("\"message\":\"").nth(1).unwrap_or_default().trim_end_matches("\"}\n").to_owned()
        });
        format!("-{} {}", chunk.missed, messages.collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn each_reader_gets_all_or_is_told_what_it_missed() {
        let ring = Ring::new(4);
        let (mut fast, mut slow, mut short) = (ring.reader(4), ring.reader(4), ring.reader(2));
        publish(&ring, 0..2);
        assert_eq!(text(&fast.next().await.unwrap()), "-0 n0 n1");
        publish(&ring, 2..6);
        assert_eq!(text(&fast.next().await.unwrap()), "-0 n2 n3 n4 n5");
        assert_eq!(text(&slow.next().await.unwrap()), "-2 n2 n3 n4 n5");
        assert_eq!(text(&short.next().await.unwrap()), "-4 n4 n5");
        let mut late = ring.reader(4);
        publish(&ring, 6..7);
        for reader in [&mut fast, &mut slow, &mut short, &mut late] {
            assert_eq!(text(&reader.next().await.unwrap()), "-0 n6");
        }
        assert_eq!(ring.published(), 7);
    }

    #[tokio::test]
    async fn many_entries_come_in_chunks() {
        let ring = Ring::new(2_000);
        let mut reader = ring.reader(2_000);
        publish(&ring, 0..1_500);
        let mut count = 0;
        while count < 1_500 {
            let chunk = reader.next().await.unwrap();
            assert!(chunk.entries.len() <= CHUNK && chunk.missed == 0);
            count += chunk.entries.len();
        }
        assert_eq!(count, 1_500);
    }
}
