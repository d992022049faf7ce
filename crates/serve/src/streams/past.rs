//! What a stream showed before, read from the store again: for clients that were away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use taffrail_store::engine::{Arrival, Arrivals, ArrivalsRequest, Control, Engine, QueryError};
use tokio::sync::Semaphore;

use super::config::StreamConfig;
use super::entry::{Encoder, Entry};
use super::place::Place;
use super::selection::Selection;

/// Records that are read at once.
const PAGE: usize = 1_000;
/// Time after which a page is what was found so far.
const PAGE_TIME: Duration = Duration::from_secs(1);
/// Pages that are kept for others, for all streams together, and bytes of them.
const PAGES: usize = 16;
const PAGES_BYTES: usize = 32 << 20;
/// Pages that are read at the same time, for all streams together.
const READERS: usize = 2;
/// The longest that reading a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The store, as streams read it.
pub(super) struct Past {
    engine: Arc<dyn Engine>,
    turns: Arc<Semaphore>,
    kept: Mutex<VecDeque<Kept>>,
}

/// A page that was read. Clients that lost their connection together come back together, from the same place.
struct Kept {
    stream: String,
    /// After which place it begins.
    from: Place,
    page: Arc<Page>,
}

/// Entries in a row.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// All that the stream shows up to here was in this page, or in those before.
    pub(super) after: Place,
    /// Whether entries of it may be missing because they were deleted.
    pub(super) has_deleted: bool,
}

impl Page {
    fn bytes(&self) -> usize {
        self.entries.iter().map(Entry::bytes).sum()
    }
}

impl Past {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, turns: Arc::new(Semaphore::new(READERS)), kept: Mutex::default() }
    }

    /// The store.
    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// Where the store stands: all that comes from now on comes after this.
    pub(super) fn end(&self) -> Result<Place, QueryError> {
        let end = self.engine.arrivals(&ArrivalsRequest::end(), &Control::with_limit(PATIENCE))?;
        Ok(Place::before(end.until))
    }

    /// The next entries of a stream after a place.
    pub(super) async fn page(
        self: &Arc<Self>,
        config: &StreamConfig,
        selection: &Arc<Selection>,
        after: Place,
    ) -> Result<Arc<Page>, QueryError> {
        let gone = |error: &dyn std::fmt::Display| QueryError::Store(error.to_string());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|error| gone(&error))?;
        // Somebody else may have read it meanwhile.
        if let Some(page) = self.kept(&config.name, after) {
            return Ok(page);
        }
        let (past, config, selection) = (Arc::clone(self), config.clone(), Arc::clone(selection));
        let read = tokio::task::spawn_blocking(move || {
            let page = Arc::new(read(&*past.engine, &config, &selection, after)?);
            past.keep(config.name, after, &page);
            drop(turn);
            Ok(page)
        });
        read.await.map_err(|error| gone(&error))?
    }

    fn kept(&self, stream: &str, from: Place) -> Option<Arc<Page>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| kept.from == from && kept.stream == stream);
        found.map(|kept| Arc::clone(&kept.page))
    }

    /// What a page says stays true; but one that says nothing may say more when it is read again.
    fn keep(&self, stream: String, from: Place, page: &Arc<Page>) {
        if page.entries.is_empty() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Kept { stream, from, page: Arc::clone(page) });
        while kept.len() > PAGES || kept.iter().map(|kept| kept.page.bytes()).sum::<usize>() > PAGES_BYTES {
            kept.pop_front();
        }
    }
}

fn read(
    engine: &dyn Engine,
    config: &StreamConfig,
    selection: &Selection,
    after: Place,
) -> Result<Page, QueryError> {
    let wants = |source: &str| config.shows(source);
    // The record itself again: some of its lines may be missing.
    let request = ArrivalsRequest {
        from: after.arrival,
        filter: selection.filter(),
        wants: &wants,
        limit: PAGE,
        patience: PAGE_TIME,
    };
    let Arrivals { hits, until, has_deleted, .. } =
        engine.arrivals(&request, &Control::with_limit(PATIENCE))?;
    let mut encoder = Encoder::new(hits.len(), hits.iter().map(|hit| hit.body.len()).sum());
    for hit in &hits {
        let record = hit.raw_line().map_err(QueryError::Store)?;
        if selection.allows(&record) {
            encoder.source(&hit.source);
            encoder.record(&record, Arrival { observed: hit.observed, offset: hit.offset });
        }
    }
    let entries = encoder.finish().into_iter().filter(|entry| entry.place() > Some(after)).collect();
    Ok(Page { entries, after: after.max(Place::before(until)), has_deleted })
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").finish_non_exhaustive()
    }
}
