//! One client's way through a stream: what it missed from the store, then what comes.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use taffrail_store::engine::QueryError;
use tokio::sync::watch;
use tokio::time::sleep;

use super::past::Page;
use super::place::Place;
use super::ring::{Chunk, Reader};
use super::{Seat, Stream, stopped};

/// How long nothing is asked of a store that has nothing more.
const AGAIN: Duration = Duration::from_millis(100);

/// What comes next for a client.
#[derive(Debug)]
pub(super) enum Step {
    /// Entries, at least one or a gap.
    Entries(Chunk),
    /// The program ends.
    Stopping,
    /// The store cannot be read: the client is to come again and ask for the same.
    Failed,
}

/// A client's place in a stream.
pub(super) struct Follow {
    stream: Arc<Stream>,
    seat: Arc<Seat>,
    buffer: usize,
    reader: Reader,
    /// What comes after this is to be read from the store.
    behind: Option<Place>,
    /// Part of that, being read: whoever stops waiting for it finds it again.
    page: Option<BoxFuture<'static, Result<Arc<Page>, QueryError>>>,
    /// Whether it was told that entries may be missing.
    is_told: bool,
    stopping: watch::Receiver<bool>,
}

impl Follow {
    /// For a client that may lag by `buffer` entries, and saw the last one at `after`.
    pub(super) fn new(
        stream: &Arc<Stream>,
        seat: &Arc<Seat>,
        buffer: usize,
        after: Option<Place>,
        stopping: &watch::Receiver<bool>,
    ) -> Self {
        let (reader, stopping) = (stream.ring.reader(buffer), stopping.clone());
        let (stream, seat, page, is_told) = (Arc::clone(stream), Arc::clone(seat), None, false);
        seat.catches_up(after.is_some());
        Self { stream, seat, buffer, reader, behind: after, page, is_told, stopping }
    }

    /// How many entries were published, if the client was given all of them.
    pub(super) fn caught_up(&self) -> Option<u64> {
        if self.behind.is_some() { None } else { self.reader.caught_up() }
    }

    /// The client was given all of the first `next` entries by others.
    pub(super) fn go_on(&mut self, next: u64) {
        self.reader.go_on(next);
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        while let Some(after) = self.behind {
            if let Some(reader) = self.stream.ring.reader_after(after, self.buffer) {
                self.seat.reaches(reader.place());
                (self.reader, self.behind) = (reader, None);
                break;
            }
            let stream = &self.stream;
            let page = self.page.get_or_insert_with(|| Arc::clone(stream).page(after).boxed());
            let page = tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return Step::Stopping,
                page = page => page,
            };
            self.page = None;
            match page {
                Ok(page) => {
                    if page.entries.is_empty() && page.after <= after {
                        // The store knows of nothing, and memory does not reach back so far.
                        sleep(AGAIN).await;
                    }
                    self.behind = Some(page.after);
                    let is_news = page.has_deleted && !std::mem::replace(&mut self.is_told, page.has_deleted);
                    let notice = is_news.then(|| self.stream.deletion());
                    if is_news || !page.entries.is_empty() {
                        let entries = notice.into_iter().chain(page.entries.iter().cloned()).collect();
                        return Step::Entries(Chunk { entries, ..Chunk::default() });
                    }
                }
                Err(error) => {
                    tracing::warn!("the stream `{}` cannot be resumed: {error}", self.stream.config.name);
                    return Step::Failed;
                }
            }
        }
        self.reader.next().await.map_or(Step::Stopping, Step::Entries)
    }
}
