//! One source with a thread of its own: how it is told to stop, how it waits, where it posts how it is doing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};

use crate::{Error, SourceState, SourceStatus};

/// What the thread and its owner both see.
#[derive(Debug)]
pub(crate) struct Post {
    stop: AtomicBool,
    wake: OwnedFd,
    status: Mutex<SourceStatus>,
}

impl Post {
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, SourceStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is wrong; it stays as the last error when it is over.
    pub(crate) fn error(&self, state: Option<SourceState>, text: String) {
        let mut status = self.status();
        status.last_error = Some(text);
        status.state = state.unwrap_or_else(|| status.state.clone());
    }

    /// Sleeps for at most `time`; less if one of `fds` can be read, then true, or the thread is to stop.
    pub(crate) fn wait(&self, fds: &[BorrowedFd<'_>], time: Duration) -> bool {
        let mut all = vec![PollFd::new(&self.wake, PollFlags::IN)];
        all.extend(fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        // An interrupted sleep is a short one.
        let _ = poll(&mut all, Some(&time));
        all[1..].iter().any(|fd| !fd.revents().is_empty())
    }
}

/// The thread of a journal or a pipe; it ends when this is dropped, or by itself when the sink says [`crate::Stopped`] or
/// standard input has ended.
#[derive(Debug)]
pub struct SourceThread {
    post: Arc<Post>,
    thread: Option<JoinHandle<()>>,
}

impl SourceThread {
    pub(crate) fn spawn(
        status: SourceStatus,
        run: impl FnOnce(Arc<Post>) + Send + 'static,
    ) -> Result<Self, Error> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = wake.map_err(|error| Error::Thread(io::Error::from(error)))?;
        let post = Arc::new(Post { stop: AtomicBool::new(false), wake, status: Mutex::new(status) });
        let builder = std::thread::Builder::new().name("source".to_owned());
        let thread = builder.spawn({
            let post = Arc::clone(&post);
            move || run(post)
        });
        Ok(Self { post, thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// How the source is doing.
    pub fn status(&self) -> SourceStatus {
        self.post.status().clone()
    }

    /// Whether the thread still reads.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Hands over what was read, an unfinished line as it is, and waits until the thread has ended. A `send` that blocks
    /// must be let go by its queue.
    pub fn stop(self) {
        drop(self);
    }

    fn end(&mut self) {
        self.post.stop.store(true, Ordering::Release);
        // A full counter has woken it already.
        let _ = rustix::io::write(&self.post.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A panic there was our bug and has been printed; stopping goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for SourceThread {
    fn drop(&mut self) {
        self.end();
    }
}
