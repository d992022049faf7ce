//! Whether the program ends, for threads that wait; both programs' end with it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Whether the program ends.
#[derive(Debug, Default)]
pub struct Stopping {
    stopping: Mutex<bool>,
    changed: Condvar,
    told: Notify,
}

impl Stopping {
    /// It ends.
    pub fn set(&self) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
        self.told.notify_one();
    }

    /// Resolves once it ends, for the one task that asks.
    pub async fn is_set(&self) {
        self.told.notified().await;
    }

    /// Waits; `true` if it ends meanwhile.
    pub fn within(&self, time: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopping, time, |stopping| !*stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
