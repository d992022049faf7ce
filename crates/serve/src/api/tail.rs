//! `GET /api/v1/tail`: new matching records as server-sent events.
//!
//! Events: `record` (a record, its id the place to go on from), `gap` (records that this reader was too slow for), `sampled`
//! (how many were left out of what came, where a rate was asked for), an id alone at the start and now and then where nothing
//! matches, a comment every 15 s. Who comes back with an id gets what it missed from the store first.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures::future::{Either, select};
use futures::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use taffrail_http::window::Next;
use taffrail_store::engine::{Arrival, ArrivalsRequest, Matcher, NoArrival, QueryError};
use taffrail_store::filter::Filter;
use taffrail_store::hit::Hit;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api::Record;
use crate::api::parameters::Parameters;
use crate::api::sampling::{SampledNotice, Sampler};
use crate::error::ApiError;
use crate::limits::Limits;
use crate::live::Subscription;
use crate::run::App;

/// The data of a `gap` event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GapNotice {
    /// Records that went by while the reader was too slow, matching or not; 0: nobody knows how many.
    pub missed: u64,
    /// Whether the reader was away for so long that records have been deleted meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// Records that are read from the store at once.
const PAGE: usize = 500;
/// Time after which a page is what was found so far; a part of what a query may take, if that is less.
const PAGE_TIME: Duration = Duration::from_secs(1);
const PAGE_PART: u32 = 4;
/// How often a reader learns how far it is, though nothing matches.
const PLACE_EVERY: Duration = Duration::from_secs(1);
/// Records a second that can be asked for, at most.
const RATE_MAX: usize = 1_000_000;

/// `GET /api/v1/tail`
pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let Limits { heartbeat, stall_time, .. } = app.services.limits;
    let tail = Tail::open(app, query.as_deref(), &headers).await?;
    let keep_alive = KeepAlive::new().interval(heartbeat).text("heartbeat");
    let (messages, taken) = mpsc::channel(1);
    tokio::spawn(tell(tail, messages, stall_time));
    let taken = stream::unfold(taken, |mut taken| async { Some((Ok(taken.recv().await?), taken)) });
    Ok(Sse::new(taken).keep_alive(keep_alive))
}

/// Tells a client what comes, until it has gone; or takes nothing any more, whose seat somebody else may want: it can come
/// again and go on where it was.
async fn tell(mut tail: Tail, messages: mpsc::Sender<Message>, stall_time: Duration) {
    loop {
        let told = tokio::select! {
            told = tail.next() => told,
            () = messages.closed() => None,
        };
        let Some(told) = told else { return };
        if !matches!(timeout(stall_time, messages.send(message(&told, tail.with_raw))).await, Ok(Ok(()))) {
            return;
        }
    }
}

impl Tail {
    /// For a client that asks for it.
    pub(super) async fn open(
        app: Arc<App>,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let parameters = Parameters::read(query, &["q", "raw", "after", "resume", "rate"])?;
        let expression = parameters.text("q").unwrap_or_default().to_owned();
        let with_raw = parameters.flag("raw")?;
        let after = after(&parameters, headers)?;
        let rate = parameters.number("rate", 0, 1..=RATE_MAX)? as u64;
        let seats = app.services.limits.subscribers;
        let full = || ApiError::busy(format!("{seats} live streams are open already; close one"));
        // The seat is taken first: whoever sees an answer sees every record after it. It is waited for as long as something is
        // being stored.
        let live = app.services.live.clone();
        let seat = tokio::task::spawn_blocking(move || live.subscribe(seats)).await;
        let subscription = seat.ok().flatten().ok_or_else(full)?;
        let parsed = app.query(move |engine, control| {
            let filter = engine.parse(&expression)?;
            let end = engine.arrivals(&ArrivalsRequest::end(), control)?.until;
            Ok((engine.matcher(&filter)?, filter, end))
        });
        let (matcher, filter, end) = parsed.await?;
        let behind = |after: Arrival| Progress::Behind {
            from: Arrival { offset: after.offset.saturating_add(1), ..after },
            is_waiting: false,
        };
        Ok(Self {
            subscription,
            matcher: matcher.into(),
            filter,
            progress: after.map_or(Progress::Live { known: None }, behind),
            // Who loses the connection before the first record goes on from here.
            start: Some(after.map_or(end, |after| after.min(end))),
            passed: None,
            told: Instant::now(),
            deleted: None,
            pending: VecDeque::new(),
            sampler: (rate > 0).then(|| Sampler::new(rate, Instant::now())),
            with_raw,
            stopping: Box::pin(app.stopping()),
            app,
        })
    }
}

/// Where a client goes on: what it says itself, or what a browser says for it when it connects again.
fn after(parameters: &Parameters, headers: &HeaderMap) -> Result<Option<Arrival>, ApiError> {
    if let Some(text) = parameters.text("after") {
        let wrong =
            |NoArrival| ApiError::invalid("`after` must be the id of an event of this stream".to_owned());
        return text.parse().map(Some).map_err(wrong);
    }
    // A page that looks at new records only says so.
    if parameters.text("resume").is_some() && !parameters.flag("resume")? {
        return Ok(None);
    }
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    Ok(id.and_then(|id| id.parse().ok()))
}

/// How far a reader is.
#[derive(Clone, Copy)]
enum Progress {
    /// The store has more for it, from here on.
    Behind {
        from: Arrival,
        /// Whether its subscription holds all that the store does not show yet.
        is_waiting: bool,
    },
    /// It gets what is stored now, but for what comes before `known`.
    Live { known: Option<Arrival> },
}

/// What a live stream tells.
pub(super) enum Told {
    /// All that comes comes after this.
    Start(Arrival),
    /// The same, later: nothing that matched came up to here.
    Place(Arrival),
    Record(Hit),
    Gap(GapNotice),
    /// Not all records were shown, as asked.
    Sampled(SampledNotice),
}

/// A reader of new records.
pub(super) struct Tail {
    subscription: Subscription,
    matcher: Arc<dyn Matcher>,
    filter: Filter,
    progress: Progress,
    start: Option<Arrival>,
    /// What has gone by since it was told something, and when that was.
    passed: Option<Arrival>,
    told: Instant,
    /// Whether records were deleted that it may have missed; `None`: that is not known yet.
    deleted: Option<bool>,
    pending: VecDeque<Hit>,
    sampler: Option<Sampler>,
    pub(super) with_raw: bool,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    app: Arc<App>,
}

impl Tail {
    /// What comes next; `None` once the server stops.
    pub(super) async fn next(&mut self) -> Option<Told> {
        if let Some(start) = self.start.take() {
            return Some(Told::Start(start));
        }
        let told = self.step().await?;
        self.told = Instant::now();
        Some(told)
    }

    async fn step(&mut self) -> Option<Told> {
        loop {
            if self.deleted == Some(true) {
                self.deleted = Some(false);
                return Some(Told::Gap(GapNotice { missed: 0, deleted: true }));
            }
            if let Some(notice) = self.sampler.as_mut().and_then(|sampler| sampler.notice(Instant::now())) {
                return Some(Told::Sampled(notice));
            }
            if let Some(hit) = self.pending.pop_front() {
                if self.sampler.as_mut().is_none_or(Sampler::takes) {
                    return Some(Told::Record(hit));
                }
                continue;
            }
            if let Some(passed) = self.passed.filter(|_| self.told.elapsed() >= PLACE_EVERY) {
                self.passed = None;
                return Some(Told::Place(passed));
            }
            let known = match self.progress {
                Progress::Live { known } => known,
                Progress::Behind { from, is_waiting } => {
                    self.catch_up(from, is_waiting).await?;
                    continue;
                }
            };
            let due = self.due();
            let next = {
                let next = std::pin::pin!(timeout(due, self.subscription.next()));
                match select(self.stopping.as_mut(), next).await {
                    Either::Left(_) => return None,
                    Either::Right((Ok(next), _)) => next,
                    // Something is to be said meanwhile.
                    Either::Right((Err(_), _)) => continue,
                }
            };
            match next {
                Next::Closed => return None,
                Next::Missed(missed) => return Some(Told::Gap(GapNotice { missed, deleted: false })),
                Next::Piece(batch) => {
                    let (rows, matcher) = (batch.num_rows() as u64, Arc::clone(&self.matcher));
                    let observed = taffrail_store::observed(&batch);
                    let job = tokio::task::spawn_blocking(move || matcher.matches(&batch));
                    match job.await.unwrap_or_else(|error| Err(QueryError::Store(error.to_string()))) {
                        Ok(hits) => {
                            let passed = observed.map(Arrival::end_of);
                            self.passed = self.passed.max(passed.filter(|passed| known <= Some(*passed)));
                            let is_new = |hit: &Hit| known.is_none_or(|known| place(hit) >= known);
                            self.pending.extend(hits.into_iter().filter(is_new));
                        }
                        Err(error) => {
                            tracing::error!(%error, "a batch could not be searched for a live stream");
                            return Some(Told::Gap(GapNotice { missed: rows, deleted: false }));
                        }
                    }
                }
            }
        }
    }

    /// How long nothing is to be said unless something comes.
    fn due(&self) -> Duration {
        let place = self.passed.map(|_| PLACE_EVERY.saturating_sub(self.told.elapsed()));
        let notice = self.sampler.as_ref().and_then(|sampler| sampler.due(Instant::now()));
        place.into_iter().chain(notice).min().unwrap_or(Duration::MAX)
    }

    /// The next records from the store. `None` once the server stops, or if the store cannot be read: the client comes
    /// again and asks for the same.
    async fn catch_up(&mut self, from: Arrival, is_waiting: bool) -> Option<()> {
        let filter = self.filter.clone();
        let page = self.app.query(move |engine, control| {
            let patience = PAGE_TIME.min(control.remaining() / PAGE_PART);
            let request = ArrivalsRequest { from, filter: &filter, wants: &|_| true, limit: PAGE, patience };
            engine.arrivals(&request, control)
        });
        let page = match select(self.stopping.as_mut(), std::pin::pin!(page)).await {
            Either::Left(_) => return None,
            Either::Right((page, _)) => page,
        };
        let page =
            page.inspect_err(|error| tracing::warn!("a live stream cannot be resumed: {error:?}")).ok()?;
        self.passed = Some(page.until.before());
        self.progress = match page.is_end {
            false => Progress::Behind { from: page.until, is_waiting },
            // What is stored from now on waits here, and what was before is in the store.
            true if !is_waiting => {
                self.subscription.skip();
                Progress::Behind { from: page.until, is_waiting: true }
            }
            true => Progress::Live { known: Some(page.until) },
        };
        // The first page says it: those that follow are of later.
        self.deleted.get_or_insert(page.has_deleted);
        self.pending.extend(page.hits);
        Some(())
    }
}

/// A record's place in the order in which records arrived.
pub(super) fn place(hit: &Hit) -> Arrival {
    Arrival { observed: hit.observed, offset: hit.offset }
}

fn message(told: &Told, with_raw: bool) -> Message {
    let named = |kind: &str, data: String| Message::default().event(kind).data(data);
    match told {
        Told::Start(place) | Told::Place(place) => Message::default().id(place.to_string()),
        Told::Record(hit) => {
            named("record", json(&Record::from_hit(hit, with_raw))).id(place(hit).to_string())
        }
        Told::Gap(notice) => named("gap", json(notice)),
        Told::Sampled(notice) => named("sampled", json(notice)),
    }
}

/// Plain structs of text and numbers: their JSON cannot fail.
pub(super) fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}
