//! Lines that clients push: each push becomes a batch of its listener's stream, answered once it is durable.

mod sent;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use taffrail_record::{Checkpoint, RawBatch, RawLine, Span, Timestamp};
use taffrail_serve::{Delivery, Ingest, IngestError, Push, Receipt};

use crate::pipeline::{Origin, Parsers, Pipeline};

/// Takes pushes for the server.
pub(crate) struct Pushes {
    pipeline: Pipeline,
    clock: fn() -> Timestamp,
    streams: Mutex<Streams>,
}

struct Streams {
    /// How far each listener's stream goes.
    ends: HashMap<Arc<str>, Checkpoint>,
    parsers: Parsers,
    /// The last write for an agent. What is known of a delivery may not be durable yet: whoever sends it again, because the
    /// first answer did not come, waits for this.
    sent: Option<Arc<taffrail_store::Receipt>>,
}

impl Pushes {
    /// Goes on where the stored streams end.
    pub(crate) fn new(
        pipeline: Pipeline,
        node: &str,
        clock: fn() -> Timestamp,
    ) -> taffrail_store::Result<Self> {
        // Files that are followed here are nobody's to push to, and there may be very many.
        let is_pushed = |(source, _): &(String, Checkpoint)| !source.starts_with('/');
        let ends = pipeline.store.checkpoints()?.into_iter().filter(is_pushed);
        let ends = ends.map(|(source, end)| (source.into(), end)).collect();
        let streams = Mutex::new(Streams { ends, parsers: Parsers::new(node), sent: None });
        Ok(Self { pipeline, clock, streams })
    }
}

fn refused(error: taffrail_store::Error) -> IngestError {
    match error {
        error if error.is_full() => IngestError::Full(error.to_string()),
        error => IngestError::Refused(error.to_string()),
    }
}

impl Ingest for Pushes {
    fn push(&self, push: Push) -> Result<Receipt, IngestError> {
        let source: Arc<str> = push.source.as_str().into();
        let service = push.service.or_else(|| source.rsplit(':').next().map(str::to_owned));
        let origin = Origin::of_push(service, push.node);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let start = streams.ends.get(&source).cloned().unwrap_or_default();
        let batch = batch(Arc::clone(&source), push.bytes, &start, (self.clock)());
        let records = batch.lines.len() as u64;
        let end = batch.checkpoint.clone();
        let stored = self.pipeline.put(batch, &origin, &mut streams.parsers).map_err(refused)?;
        streams.ends.insert(source, end);
        // The next push may be written while this one waits: one sync serves both.
        drop(streams);
        stored.wait().map_err(refused)?;
        Ok(Receipt { records })
    }

    fn take(&self, delivery: Delivery) -> Result<Receipt, IngestError> {
        let Delivery { node, spool, batches } = delivery;
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = 0;
        for (batch, note) in batches {
            let source: Arc<str> = format!("{node}:{}", batch.source).into();
            let known = streams.ends.get(&source).cloned().unwrap_or_default();
            let Some(batch) = sent::batch(batch, &source, &spool, &known) else { continue };
            records += batch.lines.len() as u64;
            let end = batch.checkpoint.clone();
            let origin = Origin::of_agent(&note, &node);
            let stored = self.pipeline.put(batch, &origin, &mut streams.parsers).map_err(refused)?;
            streams.sent = Some(Arc::new(stored));
            streams.ends.insert(source, end);
        }
        let sent = streams.sent.clone();
        drop(streams);
        // One sync covers all that was written before it.
        if let Some(sent) = sent {
            sent.wait().map_err(refused)?;
        }
        Ok(Receipt { records })
    }
}

/// The pushed bytes as the next lines of the stream.
fn batch(source: Arc<str>, bytes: Vec<u8>, start: &Checkpoint, observed: Timestamp) -> RawBatch {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| at + len);
        let offset = start.offset + at as u64;
        lines.push(RawLine { span: Span::new(at, end), offset, newline: true, joined: false });
        at = end + 1;
    }
    // A push ends its last line whether or not it says so.
    let length = bytes.len() as u64 + u64::from(bytes.last().is_some_and(|last| *last != b'\n'));
    let checkpoint = Checkpoint {
        offset: start.offset + length,
        lines: start.lines + lines.len() as u64,
        state: "push".to_owned(),
    };
    RawBatch { source, observed, bytes, lines, header: None, gaps: Vec::new(), checkpoint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_follow_each_other_in_one_stream() {
        let start = Checkpoint { offset: 10, lines: 2, state: String::new() };
        for (bytes, offsets, end) in
            [("a\nbc\n", vec![10, 12], 15), ("a\n\nb", vec![10, 12, 13], 15), ("", vec![], 10)]
        {
            let batch = batch("http:x".into(), bytes.as_bytes().to_vec(), &start, Timestamp(0));
            assert_eq!(batch.lines.iter().map(|line| line.offset).collect::<Vec<_>>(), offsets, "{bytes:?}");
            assert_eq!(batch.checkpoint.offset, end, "{bytes:?}");
            assert_eq!(batch.checkpoint.lines, 2 + offsets.len() as u64);
        }
    }
}
