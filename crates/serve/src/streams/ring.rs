//! The last entries of a stream, and readers that each stand somewhere among them.
//!
//! Entries are kept once for all readers. Publishing never waits: who falls behind further than their own buffer misses
//! the oldest, and learns how many.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

use super::entry::Entry;
use super::place::Place;

/// Entries that a reader takes at once, and bytes of them beyond which there is only one.
const CHUNK: usize = 512;
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of entries that are kept, however many entries may be; one larger entry is kept alone.
const KEPT_BYTES: usize = 64 << 20;

/// The last entries of a stream.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    bytes_max: usize,
    kept: RwLock<Kept>,
    head: watch::Sender<Head>,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// Entries that were ever published.
    published: u64,
    /// Whether no more will come.
    is_over: bool,
}

#[derive(Debug)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Everything that the stream showed after this place is among the entries.
    floor: Place,
}

impl Ring {
    /// For readers that lag by `capacity` entries at most; all entries will come after `floor`.
    pub(super) fn new(capacity: usize, floor: Place) -> Arc<Self> {
        Self::bounded(capacity, KEPT_BYTES, floor)
    }

    fn bounded(capacity: usize, bytes_max: usize, floor: Place) -> Arc<Self> {
        let kept = RwLock::new(Kept { entries: VecDeque::new(), bytes: 0, floor });
        Arc::new(Self { capacity: capacity.max(1), bytes_max, kept, head: watch::Sender::default() })
    }

    /// Hands entries to all readers; those with a place in the order of their places.
    pub(super) fn publish(&self, new: impl Iterator<Item = Entry>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        for entry in new {
            while kept.entries.len() >= self.capacity
                || kept.bytes + entry.bytes() > self.bytes_max && kept.bytes > 0
            {
                kept.forget_oldest();
            }
            kept.bytes += entry.bytes();
            kept.entries.push_back(entry);
            count += 1;
        }
        if count > 0 {
            // While nobody can read, so that the number is never behind the entries.
            self.head.send_modify(|head| head.published += count);
        }
    }

    /// Something before `place` was not published.
    pub(super) fn miss(&self, place: Place) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.floor = kept.floor.max(place);
    }

    /// How many entries are kept at most.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many entries were published.
    pub(super) fn published(&self) -> u64 {
        self.head.borrow().published
    }

    /// No more will come: readers get what there is, and then nothing.
    pub(super) fn end_all(&self) {
        self.head.send_modify(|head| head.is_over = true);
    }

    /// A reader of what comes from now on, with a buffer of so many entries.
    pub(super) fn reader(self: &Arc<Self>, buffer: usize) -> Reader {
        let head = self.head.subscribe();
        let next = head.borrow().published;
        let buffer = buffer.clamp(1, self.capacity) as u64;
        Reader { ring: Arc::clone(self), head, next, buffer, after: None }
    }

    /// A reader of everything after a place; `None` where that is not, or not all, within its buffer any more.
    pub(super) fn reader_after(self: &Arc<Self>, after: Place, buffer: usize) -> Option<Reader> {
        let mut reader = self.reader(buffer);
        let kept = self.read();
        if after < kept.floor {
            return None;
        }
        let is_known = |entry: &Entry| entry.place().is_some_and(|place| place <= after);
        let news = kept.entries.iter().rev().take_while(|entry| !is_known(entry)).count() as u64;
        reader.next = self.published() - news;
        // Entries may be on their way here that the client has from the store.
        reader.after = Some(after);
        (news <= reader.buffer).then_some(reader)
    }

    /// The place after which everything that it shows next comes.
    pub(super) fn end(&self) -> Place {
        let kept = self.read();
        kept.entries.iter().rev().find_map(Entry::place).map_or(kept.floor, |last| last.max(kept.floor))
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.bytes -= oldest.bytes();
        self.floor = oldest.place().map_or(self.floor, |place| place.max(self.floor));
    }
}

/// A reader's place.
#[derive(Debug)]
pub(super) struct Reader {
    ring: Arc<Ring>,
    head: watch::Receiver<Head>,
    next: u64,
    buffer: u64,
    /// What comes before is known.
    after: Option<Place>,
}

/// Entries in a row.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Entries before them that this reader was too slow for.
    pub(super) missed: u64,
    /// The entries.
    pub(super) entries: Vec<Entry>,
    /// How far the reader is with them in all that was published; `None` for what comes from the store.
    pub(super) next: Option<u64>,
}

impl Reader {
    /// How many entries were published, if it was given all of them.
    pub(super) fn caught_up(&self) -> Option<u64> {
        (self.after.is_none() && self.ring.published() == self.next).then_some(self.next)
    }

    /// How many entries were published before those that come next.
    pub(super) fn place(&self) -> u64 {
        self.next
    }

    /// It goes on after the first `next` entries.
    pub(super) fn go_on(&mut self, next: u64) {
        self.next = next;
    }

    /// What came since the last call, at least one entry; `None` once the stream ends. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Chunk> {
        loop {
            let next = self.next;
            let head = *self.head.wait_for(|head| head.published > next || head.is_over).await.ok()?;
            if head.published <= next {
                return None;
            }
            let chunk = self.take();
            if chunk.missed > 0 || !chunk.entries.is_empty() {
                return Some(chunk);
            }
        }
    }

    fn take(&mut self) -> Chunk {
        let kept = self.ring.read();
        let head = self.ring.published();
        let oldest = head - (kept.entries.len() as u64).min(self.buffer);
        let missed = oldest.saturating_sub(self.next);
        let from = self.next.max(oldest);
        let skipped = kept.entries.len() - (head - from) as usize;
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let had = bytes;
            bytes += entry.bytes();
            had == 0 || bytes <= CHUNK_BYTES
        };
        let some = kept.entries.iter().skip(skipped).take(CHUNK).take_while(fits);
        let entries: Vec<Entry> = some.cloned().collect();
        drop(kept);
        self.next = from + entries.len() as u64;
        Chunk { missed, entries: self.news(entries), next: Some(self.next) }
    }

    /// Without what is known.
    fn news(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if let Some(after) = self.after {
            entries.retain(|entry| entry.place().is_none_or(|place| place > after));
            let is_over = entries.iter().any(|entry| entry.place().is_some());
            self.after = self.after.filter(|_| !is_over);
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;
    use taffrail_store::engine::Arrival;

    use super::super::entry::Encoder;
    use super::*;

    const FLOOR: Place = Place::before(Arrival { observed: Timestamp(0), offset: 0 });

    fn arrival(number: u64) -> Arrival {
        Arrival { observed: Timestamp(number as i64 + 1), offset: number * 10 }
    }

    fn place(number: u64) -> Place {
        Place { arrival: arrival(number), line: 1 }
    }

    fn publish(ring: &Ring, numbers: std::ops::Range<u64>) {
        let mut encoder = Encoder::new(1, 100);
        numbers.for_each(|number| encoder.record(format!("n{number}").as_bytes(), arrival(number)));
        ring.publish(encoder.finish().into_iter());
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
        let ring = Ring::new(4, FLOOR);
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
        let ring = Ring::new(2_000, FLOOR);
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

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        const MAX: usize = 3 * CHUNK_BYTES;
        let ring = Ring::bounded(1_000, MAX, FLOOR);
        let mut reader = ring.reader(1_000);
        let notice = |bytes| [Entry::notice("INFO", &"x".repeat(bytes), "a", Timestamp(0))].into_iter();
        for _ in 0..4 {
            ring.publish(notice(MAX / 3));
        }
        let first = reader.next().await.unwrap();
        assert_eq!((first.missed, first.entries.len()), (2, 1), "one at a time, and two are kept");
        assert_eq!(reader.next().await.unwrap().entries.len(), 1);
        // What is larger than all that may be kept is kept alone.
        ring.publish(notice(MAX + 1));
        let last = reader.next().await.unwrap();
        assert_eq!((last.missed, last.entries.len(), ring.read().entries.len()), (0, 1, 1));
    }

    #[tokio::test]
    async fn who_comes_back_goes_on_where_it_was() {
        let ring = Ring::new(4, FLOOR);
        let mut first = ring.reader_after(FLOOR, 4).unwrap();
        publish(&ring, 0..3);
        assert_eq!(text(&first.next().await.unwrap()), "-0 n0 n1 n2");
        let mut second = ring.reader_after(place(0), 4).unwrap();
        ring.publish([Entry::notice("INFO", "rotated", "a", Timestamp(0))].into_iter());
        assert_eq!(text(&second.next().await.unwrap()), "-0 n1 n2 rotated");
        publish(&ring, 3..5);
        assert!(ring.reader_after(place(1), 2).is_none(), "its buffer is too small");
        assert!(ring.reader_after(FLOOR, 4).is_none() && ring.reader_after(place(0), 4).is_none());
        let mut third = ring.reader_after(place(1), 4).unwrap();
        assert_eq!(text(&third.next().await.unwrap()), "-0 n2 rotated n3 n4");
        // The store was ahead: what comes now is known up to there.
        let mut ahead = ring.reader_after(place(6), 4).unwrap();
        publish(&ring, 5..7);
        publish(&ring, 7..8);
        assert_eq!(text(&ahead.next().await.unwrap()), "-0 n7");
        // What came too fast is not in it; the store has it.
        ring.miss(place(9));
        assert!(ring.reader_after(place(7), 4).is_none() && ring.reader_after(place(9), 4).is_some());
    }
}
