//! New records, as they come, for any number of subscribers.

use std::sync::Arc;

use arrow::array::RecordBatch;
use taffrail_http::window::{Piece, Reader, Window};

/// Bytes of batches that are held for those who lag.
const BYTES: usize = 64 << 20;

/// Hands new records to whoever watches.
#[derive(Clone)]
pub struct LiveHub(Window<Arc<RecordBatch>>);

/// A seat at the hub; it is given up by dropping it. Missed are records, matching or not.
pub(crate) type Subscription = Reader<Arc<RecordBatch>>;

impl LiveHub {
    /// A hub whose subscribers may lag by `capacity` batches (at least 1), and by 64 MiB of them.
    pub fn new(capacity: usize) -> Self {
        Self(Window::new(capacity, BYTES))
    }

    /// Whether anyone watches: without, there is no need to make batches.
    pub fn has_subscribers(&self) -> bool {
        self.subscribers() > 0
    }

    /// How many watch.
    pub fn subscribers(&self) -> usize {
        self.0.readers()
    }

    /// Hands `batch` to every subscriber; never blocks.
    pub fn publish(&self, batch: Arc<RecordBatch>) {
        let (count, bytes) = (batch.num_rows() as u64, batch.get_array_memory_size());
        if count > 0 {
            self.0.tell([Piece { value: batch, count, bytes }]);
        }
    }

    /// Takes a seat; `None` if `seats` are taken.
    pub(crate) fn subscribe(&self, seats: usize) -> Option<Subscription> {
        self.0.reader(seats)
    }
}
