//! `GET /api/v1/tail`: new matching records as server-sent events.
//!
//! Events: `record` (a record, its id a cursor), `gap` (records that this reader was too slow for), a
//! comment every 15 s.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures::future::{Either, select};
use futures::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use taffrail_store::engine::{Cursor, Matcher, QueryError};
use taffrail_store::hit::Hit;

use crate::api::Record;
use crate::api::parameters::Parameters;
use crate::api::search::cursor;
use crate::error::ApiError;
use crate::live::{Event, Subscription};
use crate::run::App;

/// The data of a `gap` event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GapNotice {
    /// Records that went by while the reader was too slow, matching or not.
    pub missed: u64,
}

pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["q", "raw"])?;
    let expression = parameters.text("q").unwrap_or_default().to_owned();
    let with_raw = parameters.flag("raw")?;
    let limits = app.services.limits.clone();
    let full = || ApiError::busy(format!("{} live streams are open already; close one", limits.subscribers));
    // The seat is taken first: whoever sees an answer sees every record after it.
    let subscription = app.services.live.subscribe(limits.subscribers).ok_or_else(full)?;
    let matcher = app.query(move |engine, _| engine.matcher(&engine.parse(&expression)?)).await?;
    let tail = Tail {
        subscription,
        matcher: matcher.into(),
        pending: VecDeque::new(),
        with_raw,
        stopping: Box::pin(app.stopping()),
        _app: app,
    };
    let keep_alive = KeepAlive::new().interval(limits.heartbeat).text("heartbeat");
    let messages = stream::unfold(tail, |mut tail| async { tail.next().await.map(|one| (Ok(one), tail)) });
    Ok(Sse::new(messages).keep_alive(keep_alive))
}

struct Tail {
    subscription: Subscription,
    matcher: Arc<dyn Matcher>,
    pending: VecDeque<Hit>,
    with_raw: bool,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// `stopping` resolves when the last of these is gone.
    _app: Arc<App>,
}

impl Tail {
    /// The next message; `None` once the server stops.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(hit) = self.pending.pop_front() {
                return Some(record(&hit, self.with_raw));
            }
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
                        Ok(hits) => self.pending.extend(hits),
                        Err(error) => {
                            tracing::error!(%error, "a batch could not be searched for a live stream");
                            return Some(gap(rows));
                        }
                    }
                }
            }
        }
    }
}

fn record(hit: &Hit, with_raw: bool) -> Message {
    let place = Cursor { timestamp: hit.timestamp, source: hit.source.clone(), offset: hit.offset };
    message("record", &Record::from_hit(hit, with_raw)).id(cursor(&place))
}

fn gap(missed: u64) -> Message {
    message("gap", &GapNotice { missed })
}

fn message(kind: &str, data: &impl Serialize) -> Message {
    // Plain structs of text and numbers: their JSON cannot fail.
    Message::default().event(kind).data(serde_json::to_string(data).unwrap_or_default())
}
