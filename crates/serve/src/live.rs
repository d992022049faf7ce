//! New records, as they come, for any number of subscribers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use taffrail_http::window::{Piece, Reader, Totals, Window};

/// Bytes of batches that are held for those who lag.
const BYTES: usize = 64 << 20;

/// Hands new records to whoever watches.
#[derive(Clone)]
pub struct LiveHub {
    window: Window<Arc<RecordBatch>>,
    order: Arc<Mutex<()>>,
}

/// A seat at the hub; it is given up by dropping it. Missed are records, matching or not.
pub(crate) type Subscription = Reader<Arc<RecordBatch>>;

impl LiveHub {
    /// A hub whose subscribers may lag by `capacity` batches (at least 1), and by 64 MiB of them.
    pub fn new(capacity: usize) -> Self {
        Self { window: Window::new(capacity, BYTES), order: Arc::default() }
    }

    /// To be held from the storing of a batch until all who watch were handed it: all see one order, and whoever takes a seat
    /// meanwhile takes it before that or after.
    pub fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anyone watches: without, there is no need to make batches.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers() > 0
    }

    /// How many watch.
    pub fn subscribers(&self) -> usize {
        self.window.readers()
    }

    /// How those who watch stand, in records that came, matching or not.
    pub(crate) fn totals(&self) -> Totals {
        self.window.totals()
    }

    /// Hands `batch` to every subscriber; never blocks.
    pub fn publish(&self, batch: Arc<RecordBatch>) {
        let (count, bytes) = (batch.num_rows() as u64, batch.get_array_memory_size());
        if count > 0 {
            self.window.tell([Piece { value: batch, count, bytes }]);
        }
    }

    /// Takes a seat, once nothing is being stored; `None` if `seats` are taken.
    pub(crate) fn subscribe(&self, seats: usize) -> Option<Subscription> {
        let _order = self.order();
        self.window.reader(seats)
    }
}
