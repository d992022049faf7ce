//! One client's way through a stream: what it missed from the store, then what comes.

use std::sync::Arc;

use tokio::sync::watch;

use super::place::Place;
use super::ring::{Chunk, Reader};
use super::{Stream, stopped};

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
    buffer: usize,
    reader: Reader,
    /// What comes after this is to be read from the store.
    behind: Option<Place>,
    stopping: watch::Receiver<bool>,
}

impl Follow {
    /// For a client that may lag by `buffer` entries, and saw the last one at `after`.
    pub(super) fn new(
        stream: &Arc<Stream>,
        buffer: usize,
        after: Option<Place>,
        stopping: &watch::Receiver<bool>,
    ) -> Self {
        let (reader, stopping) = (stream.ring.reader(buffer), stopping.clone());
        Self { stream: Arc::clone(stream), buffer, reader, behind: after, stopping }
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        while let Some(after) = self.behind {
            if let Some(reader) = self.stream.ring.reader_after(after, self.buffer) {
                (self.reader, self.behind) = (reader, None);
                break;
            }
            let page = tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return Step::Stopping,
                page = self.stream.page(after) => page,
            };
            match page {
                Ok(page) => {
                    self.behind = Some(page.after);
                    if !page.entries.is_empty() {
                        return Step::Entries(Chunk { entries: page.entries, ..Chunk::default() });
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
