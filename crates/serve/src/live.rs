//! New records, as they come: one hub that holds the newest, any number of subscribers that read them at their own pace.
//!
//! Publishing never waits. What is held is bounded in batches and in bytes, for all subscribers together; who reads too slowly
//! finds an [`Event::Gap`] in the place of what was let go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use tokio::sync::Notify;

/// Bytes of batches that are held; the newest is held in any case.
const BYTES: usize = 64 << 20;

/// Hands new records to whoever watches.
#[derive(Clone)]
pub struct LiveHub {
    shared: Arc<Shared>,
}

struct Shared {
    /// Batches that are held at most.
    capacity: usize,
    held: Mutex<Held>,
    arrived: Notify,
    subscribers: AtomicUsize,
}

/// The newest batches.
#[derive(Default)]
struct Held {
    batches: VecDeque<Arc<RecordBatch>>,
    bytes: usize,
    /// Where the first of them stands.
    start: Place,
    /// Where the next one will.
    end: Place,
}

/// A place in all that was ever published: batches and records before it.
#[derive(Clone, Copy, Default)]
struct Place {
    batches: u64,
    records: u64,
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// New records.
    Batch(Arc<RecordBatch>),
    /// So many records went by unseen.
    Gap(u64),
}

/// A seat at the hub; it is given up by dropping it.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    next: Place,
}

impl LiveHub {
    /// A hub whose subscribers may lag by `capacity` batches (at least 1), and by 64 MiB of them.
    pub fn new(capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                capacity: capacity.max(1),
                held: Mutex::default(),
                arrived: Notify::new(),
                subscribers: AtomicUsize::new(0),
            }),
        }
    }

    /// Whether anyone watches: without, there is no need to make batches.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers() > 0
    }

    /// How many watch.
    pub fn subscribers(&self) -> usize {
        self.shared.subscribers.load(Ordering::Relaxed)
    }

    /// Hands `batch` to every subscriber; never blocks.
    pub fn publish(&self, batch: Arc<RecordBatch>) {
        if batch.num_rows() == 0 || !self.has_subscribers() {
            return;
        }
        self.shared.held().push(batch, self.shared.capacity);
        self.shared.arrived.notify_waiters();
    }

    /// Takes a seat; `None` if `seats` are taken.
    pub(crate) fn subscribe(&self, seats: usize) -> Option<Subscription> {
        let held = self.shared.held();
        if self.subscribers() >= seats {
            return None;
        }
        self.shared.subscribers.fetch_add(1, Ordering::Relaxed);
        Some(Subscription { shared: Arc::clone(&self.shared), next: held.end })
    }
}

impl Shared {
    /// A panic of another subscriber leaves whole batches: nothing to give up on.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn pass(&mut self, batch: &RecordBatch) {
        self.batches += 1;
        self.records += batch.num_rows() as u64;
    }
}

impl Held {
    fn push(&mut self, batch: Arc<RecordBatch>, capacity: usize) {
        self.end.pass(&batch);
        self.bytes += batch.get_array_memory_size();
        self.batches.push_back(batch);
        while self.batches.len() > 1 && (self.batches.len() > capacity || self.bytes > BYTES) {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.start.pass(&batch);
            self.bytes -= batch.get_array_memory_size();
        }
    }

    /// What stands at a place, which moves on; `None` if that is yet to come.
    fn next(&self, place: &mut Place) -> Option<Event> {
        let Some(index) = place.batches.checked_sub(self.start.batches) else {
            let missed = self.start.records - place.records;
            *place = self.start;
            return Some(Event::Gap(missed));
        };
        let batch = self.batches.get(index as usize)?;
        place.pass(batch);
        Some(Event::Batch(Arc::clone(batch)))
    }
}

impl Subscription {
    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.next = self.shared.held().end;
    }

    /// The next event. Cancel-safe: an event that was not returned comes again.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            // Listening before looking: what comes in between wakes it.
            let mut arrived = std::pin::pin!(self.shared.arrived.notified());
            arrived.as_mut().enable();
            if let Some(event) = self.shared.held().next(&mut self.next) {
                return event;
            }
            arrived.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        if self.shared.subscribers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody is left to read them.
            while !held.batches.is_empty() {
                held.let_go();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(rows: i64) -> Arc<RecordBatch> {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        Arc::new(RecordBatch::try_from_iter([("offset", column)]).unwrap())
    }

    async fn rows(subscription: &mut Subscription) -> (bool, u64) {
        match subscription.next().await {
            Event::Batch(batch) => (true, batch.num_rows() as u64),
            Event::Gap(missed) => (false, missed),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_finds_one_gap_where_its_records_are_missing() {
        let hub = LiveHub::new(2);
        let mut slow = hub.subscribe(2).unwrap();
        let mut fast = hub.subscribe(2).unwrap();
        for size in 1..=4 {
            hub.publish(batch(size));
            assert_eq!(rows(&mut fast).await, (true, size as u64));
        }
        assert_eq!(rows(&mut slow).await, (false, 1 + 2));
        assert_eq!(rows(&mut slow).await, (true, 3));
        hub.publish(batch(5));
        assert_eq!(rows(&mut slow).await, (true, 4));
        assert_eq!(rows(&mut slow).await, (true, 5));
        hub.publish(batch(6));
        slow.clear();
        hub.publish(batch(7));
        assert_eq!(rows(&mut slow).await, (true, 7));
    }

    #[tokio::test]
    async fn large_batches_are_let_go_before_many_are_there() {
        let hub = LiveHub::new(1000);
        let mut slow = hub.subscribe(2).unwrap();
        // Each is 24 MiB: two fit, and one that is larger than all is held by itself.
        for _ in 0..4 {
            hub.publish(batch(3 << 20));
        }
        assert_eq!(hub.shared.held().batches.len(), 2);
        assert_eq!(rows(&mut slow).await, (false, 6 << 20));
        hub.publish(batch(9 << 20));
        assert_eq!(hub.shared.held().batches.len(), 1);
        assert_eq!(rows(&mut slow).await, (false, 6 << 20));
        assert_eq!(rows(&mut slow).await, (true, 9 << 20));
        drop(slow);
        let held = hub.shared.held();
        assert_eq!((held.batches.len(), held.bytes), (0, 0), "nobody watches");
    }

    #[test]
    fn seats_are_counted_and_given_back() {
        let hub = LiveHub::new(1);
        hub.publish(batch(1));
        let seat = hub.subscribe(1);
        assert!(seat.is_some() && hub.has_subscribers() && hub.subscribe(1).is_none());
        drop(seat);
        assert!(!hub.has_subscribers() && hub.subscribe(1).is_some());
    }
}
