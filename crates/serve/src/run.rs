//! How requests reach the engine: on blocking threads, a few at a time, ended when nobody waits any more.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use bytes::Bytes;
use taffrail_store::engine::{Control, Engine, QueryError};
use taffrail_store::history::{StoredSample, put_right};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::Sender;
use crate::error::ApiError;
use crate::nodes::Nodes;
use crate::services::{Delivery, IngestError, Push, Receipt, Services};

/// Chunks of an export that wait for its reader.
const CHUNKS_WAITING: usize = 4;

/// What all handlers share.
pub(crate) struct App {
    pub(crate) services: Services,
    /// KiB of request bodies that may be in memory.
    pub(crate) bodies: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    waiting: AtomicUsize,
    exports: Arc<Semaphore>,
    nodes: Nodes,
    stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(services: Services) -> Self {
        let limits = &services.limits;
        Self {
            // Four of the largest at a time; a plain entry takes one of thousands.
            bodies: Arc::new(Semaphore::new(4 * (limits.body_bytes / 1024 + 1))),
            queries: Arc::new(Semaphore::new(limits.queries)),
            waiting: AtomicUsize::new(0),
            exports: Arc::new(Semaphore::new(limits.exports)),
            nodes: Nodes::new(Arc::clone(&services.machines.history), services.clock),
            stopping: watch::Sender::new(false),
            services,
        }
    }

    /// Notes the machines that sent something and were not noted yet.
    pub(crate) async fn flush(&self) {
        let nodes = self.nodes.clone();
        // An error means that it panicked: there is nothing left to do.
        let _ = tokio::task::spawn_blocking(move || nodes.flush()).await;
    }

    /// Ends the live streams, which would end by themselves never.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves once the server stops.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that the server is gone: the same.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// Runs `ask` on a blocking thread in its turn. Dropping the future (the client has gone) cancels it.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Engine, &Control) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.turn().await?;
        let control = Control::with_limit(self.services.limits.query_time);
        let _guard = CancelOnDrop(control.clone());
        let engine = Arc::clone(&self.services.engine);
        let job = tokio::task::spawn_blocking(move || {
            // Held until the work ends, not only until the client goes.
            let _permit = permit;
            ask(&*engine, &control)
        });
        Ok(job.await.map_err(|error| ApiError::internal(&error.to_string()))??)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let busy = || ApiError::busy("too many queries are running; try again in a moment");
        if let Ok(permit) = Arc::clone(&self.queries).try_acquire_owned() {
            return Ok(permit);
        }
        let _seat = Seat::take(&self.waiting, self.services.limits.waiting).ok_or_else(busy)?;
        let permit =
            timeout(self.services.limits.query_time, Arc::clone(&self.queries).acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// Asks what is answered at once whatever queries run: how things are.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Services) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let services = self.services.clone();
        let job = tokio::task::spawn_blocking(move || ask(&services));
        Ok(job.await.map_err(|error| ApiError::internal(&error.to_string()))??)
    }

    /// Stores pushed lines; returns once they are durable.
    pub(crate) async fn push(&self, push: Push) -> Result<Receipt, ApiError> {
        let ingest = Arc::clone(&self.services.ingest);
        let job = tokio::task::spawn_blocking(move || ingest.push(push));
        Ok(job.await.map_err(|error| ApiError::internal(&error.to_string()))??)
    }

    /// Stores what an agent sends; returns once it is durable.
    pub(crate) async fn take(&self, delivery: Delivery) -> Result<Receipt, ApiError> {
        let ingest = Arc::clone(&self.services.ingest);
        let job = tokio::task::spawn_blocking(move || ingest.take(delivery));
        Ok(job.await.map_err(|error| ApiError::internal(&error.to_string()))??)
    }

    /// Keeps samples of machines. Those of the future are of now.
    pub(crate) async fn keep(&self, mut samples: Vec<StoredSample>) -> Result<(), ApiError> {
        if samples.is_empty() {
            return Ok(());
        }
        put_right(&mut samples, (self.services.clock)());
        let machines = self.services.machines.clone();
        let job = tokio::task::spawn_blocking(move || machines.keep(&samples));
        let kept = job.await.map_err(|error| ApiError::internal(&error.to_string()))?;
        kept.map_err(|error| ApiError::from(IngestError::Refused(error.to_string())))
    }

    /// Notes which machines have sent something.
    pub(crate) async fn note(
        &self,
        sender: Option<Extension<Sender>>,
        note: impl FnOnce(&Nodes, Option<IpAddr>) + Send + 'static,
    ) -> Result<(), ApiError> {
        let nodes = self.nodes.clone();
        let address = sender.map(|Extension(Sender(address))| address);
        let job = tokio::task::spawn_blocking(move || note(&nodes, address));
        job.await.map_err(|error| ApiError::internal(&error.to_string()))
    }

    /// The machines that send something.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Starts the export of a source's raw lines.
    pub(crate) fn export(&self, source: String) -> Result<Export, ApiError> {
        let permit = Arc::clone(&self.exports)
            .try_acquire_owned()
            .map_err(|_| ApiError::busy("too many exports are running; try again when one has ended"))?;
        let control = Control::with_limit(self.services.limits.export_time);
        let guard = CancelOnDrop(control.clone());
        let (sender, chunks) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
        let engine = Arc::clone(&self.services.engine);
        let stall = self.services.limits.stall_time;
        let runtime = tokio::runtime::Handle::current();
        let name = source.clone();
        let job = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut stalled = false;
            let mut sink = |chunk: &[u8]| {
                let sent = runtime.block_on(timeout(stall, sender.send(Bytes::copy_from_slice(chunk))));
                stalled |= sent.is_err();
                if matches!(sent, Ok(Ok(()))) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let mut chunked = Chunked::new(&mut sink);
            let found = engine.export_raw(&source, &control, &mut |line| chunked.push(line));
            let flow = chunked.finish();
            match found {
                // An export that breaks off must not look like a complete one.
                Ok(true) if flow.is_break() && stalled => Err(QueryError::TimedOut),
                Ok(true) if flow.is_break() => Err(QueryError::Cancelled),
                other => other,
            }
        });
        Ok(Export { source: name, chunks, job: Some(job), _guard: guard })
    }
}

/// A running export.
pub(crate) struct Export {
    source: String,
    chunks: mpsc::Receiver<Bytes>,
    job: Option<JoinHandle<Result<bool, QueryError>>>,
    _guard: CancelOnDrop,
}

impl Export {
    /// The next bytes; `None` at the end. `Err(not_found)` if the source is unknown.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if let Some(chunk) = self.chunks.recv().await {
            return Ok(Some(chunk));
        }
        let Some(job) = self.job.take() else { return Ok(None) };
        match job.await.map_err(|error| ApiError::internal(&error.to_string()))?? {
            true => Ok(None),
            false => {
                let message =
                    format!("nothing is stored of `{}`; /api/v1/sources lists the sources", self.source);
                Err(ApiError::not_found(message))
            }
        }
    }
}

/// Joins lines to chunks, so that a chunk costs a message and a line does not.
struct Chunked<'a> {
    buffer: Vec<u8>,
    sink: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    flow: ControlFlow<()>,
}

impl<'a> Chunked<'a> {
    const BYTES: usize = 64 << 10;

    fn new(sink: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Self {
        Self { buffer: Vec::with_capacity(Self::BYTES), sink, flow: ControlFlow::Continue(()) }
    }

    fn push(&mut self, line: &[u8]) -> ControlFlow<()> {
        if self.buffer.len() + line.len() > Self::BYTES {
            self.flush();
        }
        // A line may be larger than all chunks together: it goes piece by piece.
        let mut pieces = line.chunks(Self::BYTES).peekable();
        while let Some(piece) = pieces.next() {
            self.buffer.extend_from_slice(piece);
            if pieces.peek().is_some() {
                self.flush();
            }
        }
        self.flow
    }

    fn flush(&mut self) {
        if self.flow.is_continue() && !self.buffer.is_empty() {
            self.flow = (self.sink)(&self.buffer);
        }
        self.buffer.clear();
    }

    fn finish(mut self) -> ControlFlow<()> {
        self.flush();
        self.flow
    }
}

/// Cancels a query when the future that waits for it is dropped.
struct CancelOnDrop(Control);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One of a bounded number of places.
struct Seat<'a>(&'a AtomicUsize);

impl<'a> Seat<'a> {
    fn take(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let taken =
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < most).then_some(now + 1));
        taken.is_ok().then_some(Self(count))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
