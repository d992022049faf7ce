//! The program's memory allocator, and how long it keeps what was freed.
//!
//! Owns: the choice of the allocator and its settings; the only unsafe code there is. Never: allocates for others.

use std::ffi::{c_int, c_long};
use std::time::Duration;

/// Returns memory to the system sooner than the C library's, and is faster with many small texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, version 3, which the binding does not name.
const PURGE_DELAY: c_int = 15;

/// Keeps freed memory for `time` before the system gets it back. The allocator's own second is too short for who
/// fills and frees the same amount every other second: each time the system would clear all pages anew.
pub fn keep_freed(time: Duration) {
    let milliseconds = c_long::try_from(time.as_millis()).unwrap_or(c_long::MAX);
    #[expect(unsafe_code, reason = "C; takes any number, and stores it")]
    // SAFETY: the function only stores the value of an option that exists, atomically.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_the_one_that_is_meant() {
        #[expect(unsafe_code, reason = "C; reads a number")]
        // SAFETY: the function only reads the value of an option that exists.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "the allocator's own default tells the option from its neighbours");
        keep_freed(Duration::from_secs(4));
        assert_eq!(delay(), 4000);
    }
}
