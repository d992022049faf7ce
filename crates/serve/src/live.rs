//! New records, as they come: one hub, any number of subscribers, each with a bounded queue of its own.
//!
//! Publishing never waits. A subscriber that reads too slowly loses batches of its own and finds a
//! [`Event::Gap`] at their place in the order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use tokio::sync::Notify;

/// Hands new records to whoever watches.
#[derive(Clone)]
pub struct LiveHub {
    shared: Arc<Shared>,
}

struct Shared {
    /// Batches that wait for one subscriber at most.
    capacity: usize,
    subscribers: Mutex<Vec<Arc<Queue>>>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    events: Mutex<VecDeque<Event>>,
    arrived: Notify,
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
    queue: Arc<Queue>,
}

impl LiveHub {
    /// A hub whose subscribers may each lag by `capacity` batches (at least 1).
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            shared: Arc::new(Shared { capacity, subscribers: Mutex::default(), count: AtomicUsize::new(0) }),
        }
    }

    /// Whether anyone watches: without, there is no need to make batches.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers() > 0
    }

    /// How many watch.
    pub fn subscribers(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Hands `batch` to every subscriber; never blocks.
    pub fn publish(&self, batch: Arc<RecordBatch>) {
        if batch.num_rows() == 0 || !self.has_subscribers() {
            return;
        }
        for queue in lock(&self.shared.subscribers).iter() {
            queue.push(&batch, self.shared.capacity);
        }
    }

    /// Takes a seat; `None` if `seats` are taken.
    pub(crate) fn subscribe(&self, seats: usize) -> Option<Subscription> {
        let mut subscribers = lock(&self.shared.subscribers);
        if subscribers.len() >= seats {
            return None;
        }
        let queue = Arc::new(Queue::default());
        subscribers.push(Arc::clone(&queue));
        self.shared.count.store(subscribers.len(), Ordering::Relaxed);
        Some(Subscription { shared: Arc::clone(&self.shared), queue })
    }
}

impl Queue {
    fn push(&self, batch: &Arc<RecordBatch>, capacity: usize) {
        let mut events = lock(&self.events);
        if events.len() < capacity {
            events.push_back(Event::Batch(Arc::clone(batch)));
        } else if let Some(Event::Gap(missed)) = events.back_mut() {
            *missed += batch.num_rows() as u64;
        } else {
            events.push_back(Event::Gap(batch.num_rows() as u64));
        }
        drop(events);
        self.arrived.notify_one();
    }
}

impl Subscription {
    /// Forgets what waits.
    pub(crate) fn clear(&self) {
        lock(&self.queue.events).clear();
    }

    /// The next event. Cancel-safe: an event that was not returned stays queued.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            // One reader a queue: a permit stored by `notify_one` between these two lines is not lost.
            if let Some(event) = lock(&self.queue.events).pop_front() {
                return event;
            }
            self.queue.arrived.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = lock(&self.shared.subscribers);
        subscribers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.shared.count.store(subscribers.len(), Ordering::Relaxed);
    }
}

/// A panic of another subscriber leaves lists of whole events: nothing to give up on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(rows(&mut slow).await, (true, 1));
        assert_eq!(rows(&mut slow).await, (true, 2));
        hub.publish(batch(5));
        assert_eq!(rows(&mut slow).await, (false, 3 + 4));
        assert_eq!(rows(&mut slow).await, (true, 5));
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
