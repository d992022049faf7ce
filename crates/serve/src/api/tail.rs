//! `GET /api/v1/tail`: new matching records as server-sent events.
//!
//! Events: `record` (a record, its id the place to go on from), `gap` (records that this reader was too slow for), a
//! comment every 15 s. Who comes back with an id gets what it missed from the store first.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures::future::{Either, select};
use futures::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use taffrail_store::engine::{Arrival, ArrivalsRequest, Matcher, NoArrival, QueryError};
use taffrail_store::filter::Filter;
use taffrail_store::hit::Hit;

use crate::api::Record;
use crate::api::parameters::Parameters;
use crate::error::ApiError;
use crate::live::{Event, Subscription};
use crate::run::App;

/// The data of a `gap` event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GapNotice {
    /// Records that went by while the reader was too slow, matching or not.
    pub missed: u64,
}

/// Records that are read from the store at once.
const PAGE: usize = 500;

pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["q", "raw", "after", "resume"])?;
    let expression = parameters.text("q").unwrap_or_default().to_owned();
    let with_raw = parameters.flag("raw")?;
    let after = after(&parameters, &headers)?;
    let limits = app.services.limits.clone();
    let full = || ApiError::busy(format!("{} live streams are open already; close one", limits.subscribers));
    // The seat is taken first: whoever sees an answer sees every record after it.
    let subscription = app.services.live.subscribe(limits.subscribers).ok_or_else(full)?;
    let parsed = app.query(move |engine, control| {
        let filter = engine.parse(&expression)?;
        let end = engine.arrivals(&ArrivalsRequest::end(), control)?.until;
        Ok((engine.matcher(&filter)?, filter, end))
    });
    let (matcher, filter, end) = parsed.await?;
    let tail = Tail {
        subscription,
        matcher: matcher.into(),
        filter,
        progress: after.map_or(Progress::Live { known: None }, |after| Progress::Behind {
            from: Arrival { offset: after.offset.saturating_add(1), ..after },
            is_waiting: false,
        }),
        // Who loses the connection before the first record goes on from here.
        greeting: Some(Message::default().id(after.unwrap_or(end).to_string())),
        pending: VecDeque::new(),
        with_raw,
        stopping: Box::pin(app.stopping()),
        app,
    };
    let keep_alive = KeepAlive::new().interval(limits.heartbeat).text("heartbeat");
    let messages = stream::unfold(tail, |mut tail| async { tail.next().await.map(|one| (Ok(one), tail)) });
    Ok(Sse::new(messages).keep_alive(keep_alive))
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

struct Tail {
    subscription: Subscription,
    matcher: Arc<dyn Matcher>,
    filter: Filter,
    progress: Progress,
    greeting: Option<Message>,
    pending: VecDeque<Hit>,
    with_raw: bool,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    app: Arc<App>,
}

impl Tail {
    /// The next message; `None` once the server stops.
    async fn next(&mut self) -> Option<Message> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if let Some(hit) = self.pending.pop_front() {
                return Some(record(&hit, self.with_raw));
            }
            let known = match self.progress {
                Progress::Live { known } => known,
                Progress::Behind { from, is_waiting } => {
                    self.catch_up(from, is_waiting).await?;
                    continue;
                }
            };
            let event = {
                let next = std::pin::pin!(self.subscription.next());
                match select(self.stopping.as_mut(), next).await {
                    Either::Left(_) => return None,
                    Either::Right((event, _)) => event,
                }
            };
            match event {
                Event::Gap(missed) => return Some(gap(missed)),
                Event::Batch(batch) => {
                    let (rows, matcher) = (batch.num_rows() as u64, Arc::clone(&self.matcher));
                    let job = tokio::task::spawn_blocking(move || matcher.matches(&batch));
                    match job.await.unwrap_or_else(|error| Err(QueryError::Store(error.to_string()))) {
                        Ok(hits) => {
                            let is_new = |hit: &Hit| known.is_none_or(|known| place(hit) >= known);
                            self.pending.extend(hits.into_iter().filter(is_new));
                        }
                        Err(error) => {
                            tracing::error!(%error, "a batch could not be searched for a live stream");
                            return Some(gap(rows));
                        }
                    }
                }
            }
        }
    }

    /// The next records from the store. `None` once the server stops, or if the store cannot be read: the client comes
    /// again and asks for the same.
    async fn catch_up(&mut self, from: Arrival, is_waiting: bool) -> Option<()> {
        let filter = self.filter.clone();
        let page = self.app.query(move |engine, control| {
            let request = ArrivalsRequest { from, filter: &filter, wants: &|_| true, limit: PAGE };
            engine.arrivals(&request, control)
        });
        let page = match select(self.stopping.as_mut(), std::pin::pin!(page)).await {
            Either::Left(_) => return None,
            Either::Right((page, _)) => page,
        };
        let page =
            page.inspect_err(|error| tracing::warn!("a live stream cannot be resumed: {error:?}")).ok()?;
        self.progress = match page.hits.len() == PAGE {
            true => Progress::Behind { from: page.until, is_waiting },
            // What is stored from now on waits here, and what was before is in the store.
            false if !is_waiting => {
                self.subscription.clear();
                Progress::Behind { from: page.until, is_waiting: true }
            }
            false => Progress::Live { known: Some(page.until) },
        };
        self.pending.extend(page.hits);
        Some(())
    }
}

/// A record's place in the order in which records arrived.
fn place(hit: &Hit) -> Arrival {
    Arrival { observed: hit.observed, offset: hit.offset }
}

fn record(hit: &Hit, with_raw: bool) -> Message {
    message("record", &Record::from_hit(hit, with_raw)).id(place(hit).to_string())
}

fn gap(missed: u64) -> Message {
    message("gap", &GapNotice { missed })
}

fn message(kind: &str, data: &impl Serialize) -> Message {
    // Plain structs of text and numbers: their JSON cannot fail.
    Message::default().event(kind).data(serde_json::to_string(data).unwrap_or_default())
}
