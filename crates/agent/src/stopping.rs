//! Whether the program ends, for threads that wait; both programs' end with it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether the program ends.
#[derive(Debug, Default)]
pub struct Stopping {
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    /// It ends.
    pub fn set(&self) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits; `true` if it ends meanwhile.
    pub fn within(&self, time: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopping, time, |stopping| !*stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
