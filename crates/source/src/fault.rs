//! Failing on purpose: in tests, the n-th access to the file system fails.

use std::io;

#[cfg(test)]
std::thread_local! {
    static LEFT: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// Lets the access after `count` others fail, once, on this thread; `None`: none.
#[cfg(test)]
pub(crate) fn fail_after(count: Option<u64>) {
    LEFT.set(count);
}

/// Stands before every access whose failure must cost nothing.
///
/// # Errors
/// In tests, what [`fail_after`] wants.
#[cfg(test)]
pub(crate) fn check() -> io::Result<()> {
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            Err(io::Error::other("failed on purpose"))
        }
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn check() -> io::Result<()> {
    Ok(())
}
