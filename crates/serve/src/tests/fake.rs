//! An engine over a vector, an ingest that fills it, and a client of the router.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arrow::array::{Array as _, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use regex::Regex;
use serde_json::Value;
use taffrail_http::window::Totals;
use taffrail_record::{Severity, Timestamp};
use taffrail_store::History;
use taffrail_store::engine::*;
use taffrail_store::filter::{Comparison, FieldTest, Filter, TextMatch};
use taffrail_store::hit::{AttributeValue, Hit};
use tower::ServiceExt as _;

use crate::api::Source;
use crate::streams::Overview;
use crate::{
    Delivery, Health, Hosts, Info, Ingest, IngestError, Limits, LiveHub, Machines, Push, Receipt, Services,
    Sources,
};

/// 2026-11-01T00:00:00.006Z
pub(super) const NOW: Timestamp = Timestamp(1_793_491_200_006_000_000);

#[derive(Default)]
pub(crate) struct Fake {
    pub(super) hits: Mutex<Vec<Hit>>,
    pub(super) pushes: Mutex<Vec<Push>>,
    pub(super) deliveries: Mutex<Vec<Delivery>>,
    /// What is wrong.
    pub(super) health: Mutex<Health>,
    /// What is followed, besides one file.
    pub(super) sources: Mutex<Vec<Source>>,
    /// What could not be read.
    pub(super) gaps: Mutex<Gaps>,
    /// Queries that are waiting to be cancelled.
    pub(super) running: AtomicUsize,
    /// Queries that were.
    pub(super) cancelled: AtomicUsize,
    pub(super) disk: Mutex<DiskStatus>,
}

pub(super) fn hit(body: &str, severity: Severity) -> Hit {
    Hit {
        timestamp: NOW,
        observed: NOW,
        severity,
        node: "web-06".to_owned(),
        source: "/var/log/app.log".to_owned(),
        offset: 0,
        service: "app".to_owned(),
        body: body.to_owned(),
        attributes: Vec::new(),
        layout: "{body}".to_owned(),
        raw: None,
    }
}

impl Fake {
    pub(super) fn services(self: &Arc<Self>) -> Services {
        Services {
            machines: Machines::new("here", Arc::new(History::none()), Duration::from_secs(7 * 86_400)),
            engine: Arc::clone(self) as _,
            ingest: Arc::clone(self) as _,
            sources: Arc::clone(self) as _,
            live: LiveHub::new(2),
            streams: Overview::default(),
            live_lines: Arc::new(Totals::default),
            clock: || NOW,
            info: Info {
                version: "0.1.0".to_owned(),
                data_dir: "/var/lib/taffrail".into(),
                started: Timestamp(NOW.0 - 5 * Timestamp::SECOND),
                retention_days: 7,
            },
            hosts: Hosts::for_listener("127.0.0.1:8062".parse().unwrap(), &[]),
            limits: Limits::default(),
        }
    }

    /// Adds hits a second apart, each the first byte after the one before.
    pub(super) fn fill(&self, hits: impl IntoIterator<Item = Hit>) {
        let mut all = self.hits.lock().unwrap();
        for mut hit in hits {
            let index = all.len() as i64;
            hit.timestamp = Timestamp(NOW.0 + index * Timestamp::SECOND);
            hit.offset = index as u64 * 10;
            all.push(hit);
        }
    }

    fn matching(&self, filter: &Filter, range: TimeRange) -> Vec<Hit> {
        let mut hits = self.hits.lock().unwrap().clone();
        hits.retain(|hit| range.contains(hit.timestamp) && matches(filter, hit));
        hits.sort_by_key(|hit| (hit.timestamp, hit.source.clone(), hit.offset));
        hits
    }
}

fn matches(filter: &Filter, hit: &Hit) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|one| matches(one, hit)),
        Filter::Or(any) => any.iter().any(|one| matches(one, hit)),
        Filter::Not(one) => !matches(one, hit),
        Filter::Text(text) => {
            let attributes = hit.attributes.iter().filter_map(|(_, value)| match value {
                AttributeValue::Text(text) => Some(text.as_str()),
                AttributeValue::Integer(_) => None,
            });
            attributes.chain([hit.body.as_str()]).any(|found| contains(text, found))
        }
        Filter::Field { name, test } => {
            let value = match (name.as_str(), hit.attribute(name)) {
                ("severity", _) => hit.severity.name().to_owned(),
                ("source", _) => hit.source.clone(),
                ("service", _) => hit.service.clone(),
                (_, Some(AttributeValue::Text(text))) => text.clone(),
                (_, Some(AttributeValue::Integer(number))) => number.to_string(),
                _ => String::new(),
            };
            match test {
                FieldTest::Equals(wanted) => value.eq_ignore_ascii_case(wanted),
                FieldTest::OneOf(wanted) => wanted.iter().any(|wanted| value.eq_ignore_ascii_case(wanted)),
                FieldTest::Matches(text) => contains(text, &value),
                FieldTest::Exists => !value.is_empty(),
                FieldTest::Compare(Comparison::Greater, _) => false,
                FieldTest::Compare(..) => unreachable!("the server asks for no comparison"),
            }
        }
    }
}

fn contains(text: &TextMatch, value: &str) -> bool {
    match text {
        TextMatch::Regex(pattern) => Regex::new(pattern).unwrap().is_match(value),
        TextMatch::Phrase(text) | TextMatch::Prefix(text) | TextMatch::Substring(text) => {
            value.to_lowercase().contains(&text.to_lowercase())
        }
    }
}

impl Engine for Fake {
    fn parse(&self, expression: &str) -> Result<Filter, QueryError> {
        match expression {
            "" => Ok(Filter::All),
            "panic" => panic!("as asked"),
            "large" => Err(QueryError::TooLarge("512 MiB".to_owned())),
            "damaged" => Err(QueryError::Store("segment 7 is damaged".to_owned())),
            "late" => Err(QueryError::TimedOut),
            "(" => Err(QueryError::Syntax { message: "a ) is missing".to_owned(), position: 1 }),
            word => Ok(Filter::Text(TextMatch::Phrase(word.to_owned()))),
        }
    }

    fn search(&self, request: &SearchRequest, control: &Control) -> Result<SearchPage, QueryError> {
        if request.filter == Filter::Text(TextMatch::Phrase("wait".to_owned())) {
            self.running.fetch_add(1, Ordering::SeqCst);
            loop {
                if let Err(error) = control.check() {
                    self.cancelled.fetch_add(1, Ordering::SeqCst);
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        let mut hits = self.matching(&request.filter, request.range);
        if request.order == Order::NewestFirst {
            hits.reverse();
        }
        let place =
            |hit: &Hit| Cursor { timestamp: hit.timestamp, source: hit.source.clone(), offset: hit.offset };
        if let Some(after) = &request.after {
            let at = hits.iter().position(|hit| place(hit) == *after).map_or(0, |at| at + 1);
            hits.drain(..at);
        }
        hits.drain(..request.skip.min(hits.len()));
        let more = hits.len() > request.limit;
        hits.truncate(request.limit);
        let next = hits.last().filter(|_| more).map(place);
        let work = Work { records_scanned: hits.len() as u64, ..Work::default() };
        Ok(SearchPage { hits, next, work })
    }

    fn arrivals(&self, request: &ArrivalsRequest<'_>, _: &Control) -> Result<Arrivals, QueryError> {
        let place = |hit: &Hit| Arrival { observed: hit.observed, offset: hit.offset };
        let mut hits = self.matching(request.filter, TimeRange::ALL);
        hits.retain(|hit| place(hit) >= request.from && (request.wants)(&hit.source));
        hits.sort_by_key(place);
        let rest = hits.get(request.limit).map(place);
        let until = rest.unwrap_or(Arrival::end_of(NOW));
        hits.truncate(request.limit);
        Ok(Arrivals { hits, until, is_end: rest.is_none(), has_deleted: false })
    }

    fn histogram(&self, request: &HistogramRequest, _: &Control) -> Result<Histogram, QueryError> {
        let mut buckets = vec![[0; 6]];
        for hit in self.matching(&request.filter, request.range) {
            buckets[0][usize::from(hit.severity.number() - 1) / 4] += 1;
        }
        let interval_ns = request.interval_ns.unwrap_or(Timestamp::SECOND * request.buckets as i64);
        Ok(Histogram { start: NOW, interval_ns, buckets, work: Work::default() })
    }

    fn facets(&self, request: &FacetRequest, _: &Control) -> Result<Vec<Facet>, QueryError> {
        let count = self.matching(&request.filter, request.range).len() as u64;
        let facet = |field: &String| Facet {
            field: field.clone(),
            values: vec![(format!("{} at most", request.values), count)],
            truncated: true,
        };
        Ok(request.fields.iter().map(facet).collect())
    }

    fn context(&self, request: &ContextRequest, _: &Control) -> Result<Context, QueryError> {
        let hits = self.hits.lock().unwrap();
        let of_source = || hits.iter().filter(|hit| hit.source == request.source);
        let mut before: Vec<Hit> = of_source().filter(|hit| hit.offset < request.offset).cloned().collect();
        before.drain(..before.len().saturating_sub(request.before));
        let after = of_source().filter(|hit| hit.offset > request.offset);
        let target = of_source().find(|hit| hit.offset == request.offset).cloned();
        Ok(Context { before, target, after: after.take(request.after).cloned().collect() })
    }

    fn export_raw(
        &self,
        source: &str,
        control: &Control,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<bool, QueryError> {
        match source {
            "broken" => {
                let _ = sink(&vec![b'x'; 100 << 10]);
                return Err(QueryError::Store("segment 7 is damaged".to_owned()));
            }
            "endless" => {
                self.running.fetch_add(1, Ordering::SeqCst);
                while control.check().is_ok() && sink(&[b'x'; 1 << 10]).is_continue() {}
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return Ok(true);
            }
            _ => {}
        }
        let hits = self.hits.lock().unwrap();
        for hit in hits.iter().filter(|hit| hit.source == source) {
            let mut line = hit.raw_line().map_err(QueryError::Store)?;
            line.push(b'\n');
            if sink(&line).is_break() {
                break;
            }
        }
        Ok(source == "empty" || hits.iter().any(|hit| hit.source == source))
    }

    fn sql(&self, statement: &str, _: &Control, sink: &mut dyn SqlSink) -> Result<(), QueryError> {
        if !statement.starts_with("SELECT") {
            return Err(QueryError::Sql("only SELECT is run here".to_owned()));
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\""), None, Some("<c>")]));
        let batch = RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("t", texts, true)]);
        let batch = batch.unwrap();
        let _ = sink.schema(&batch.schema());
        while statement.contains("endless") && sink.rows(&batch).is_continue() {}
        let _ = sink.rows(&batch);
        Ok(())
    }

    fn matcher(&self, filter: &Filter) -> Result<Box<dyn Matcher>, QueryError> {
        Ok(Box::new(FakeMatcher(filter.clone())))
    }

    fn gaps(&self) -> Result<Gaps, QueryError> {
        Ok(self.gaps.lock().unwrap().clone())
    }

    fn stats(&self) -> Result<Stats, QueryError> {
        let hits = self.hits.lock().unwrap();
        let group = |hit: &Hit| Group {
            day: hit.timestamp.0.div_euclid(86_400 * Timestamp::SECOND) as i32,
            source: hit.source.clone(),
            service: hit.service.clone(),
            level: hit.level().to_owned(),
            records: 1,
        };
        Ok(Stats {
            records: hits.len() as u64,
            segment_bytes: 1000,
            groups: hits.iter().map(group).collect(),
            oldest: hits.iter().map(|hit| hit.timestamp).min(),
            newest: hits.iter().map(|hit| hit.timestamp).max(),
            disk: self.disk(),
            ..Stats::default()
        })
    }

    fn disk(&self) -> DiskStatus {
        self.disk.lock().unwrap().clone()
    }
}

struct FakeMatcher(Filter);

impl Matcher for FakeMatcher {
    fn matches(&self, batch: &RecordBatch) -> Result<Vec<Hit>, QueryError> {
        let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        let hits = column.iter().flatten().map(|body| hit(body, Severity::INFO));
        Ok(hits.filter(|hit| matches(&self.0, hit)).collect())
    }
}

/// A batch for [`LiveHub::publish`].
pub(super) fn batch(bodies: &[&str]) -> Arc<RecordBatch> {
    let column: ArrayRef = Arc::new(StringArray::from(bodies.to_vec()));
    assert_eq!(column.len(), bodies.len());
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![NOW.0; bodies.len()]));
    let columns = [("body", column), (taffrail_store::schema::OBSERVED_TIMESTAMP, times)];
    Arc::new(RecordBatch::try_from_iter(columns).unwrap())
}

impl Ingest for Fake {
    fn take(&self, delivery: Delivery) -> Result<Receipt, IngestError> {
        let records = delivery.batches.iter().map(|(batch, _)| batch.lines.len() as u64).sum();
        self.deliveries.lock().unwrap().push(delivery);
        Ok(Receipt { records })
    }

    /// Every line becomes a hit; of JSON lines the members that the compatible API posts are known.
    fn push(&self, push: Push) -> Result<Receipt, IngestError> {
        match push.source.as_str() {
            "http:full" => return Err(IngestError::Full("the disk is full; free some space".to_owned())),
            "http:failing" => return Err(IngestError::Refused("the disk fails".to_owned())),
            "http:stopped" => return Err(IngestError::Stopped),
            _ => {}
        }
        let text = String::from_utf8_lossy(&push.bytes).into_owned();
        for line in text.lines() {
            let json: Value = serde_json::from_str(line).unwrap_or_default();
            let word = |key: &str| json[key].as_str().map(str::to_owned);
            let level = word("level").unwrap_or_default();
            let mut hit = hit(&word("message").unwrap_or(line.to_owned()), Severity::INFO);
            hit.severity = Severity::from_text(level.as_bytes()).unwrap_or(Severity::INFO);
            if level != hit.severity.name() && !level.is_empty() {
                hit.attributes.push(("level".to_owned(), AttributeValue::Text(level)));
            }
            if let Some(user) = json["metadata"]["user"].as_str() {
                hit.attributes.push(("metadata.user".to_owned(), AttributeValue::Text(user.to_owned())));
            }
            hit.service = word("agent").or(push.service.clone()).unwrap_or_default();
            hit.source = push.source.clone();
            hit.layout = String::new();
            hit.raw = Some(line.as_bytes().to_vec());
            let stated = word("timestamp").and_then(|text| crate::api::parse_time(&text, NOW).ok());
            let mut hits = self.hits.lock().unwrap();
            hit.timestamp = stated.unwrap_or(NOW);
            hit.offset = hits.len() as u64;
            hits.push(hit);
        }
        self.pushes.lock().unwrap().push(push);
        Ok(Receipt { records: text.lines().count() as u64 })
    }
}

impl Sources for Fake {
    fn sources(&self) -> Vec<Source> {
        let mut all = self.sources.lock().unwrap().clone();
        all.push(Source {
            source: "/var/log/app.log".to_owned(),
            state: "following".to_owned(),
            ..Source::default()
        });
        all
    }

    fn health(&self) -> Health {
        self.health.lock().unwrap().clone()
    }
}

/// A request to a fresh router over `services`.
pub(super) async fn send(services: &Services, request: Request<Body>) -> Response {
    crate::router(services.clone()).oneshot(request).await.unwrap()
}

/// `GET` and the answer's status, headers and text.
pub(super) async fn get_text(services: &Services, path: &str) -> (StatusCode, HeaderMap, String) {
    read(send(services, Request::get(path).body(Body::empty()).unwrap()).await).await
}

pub(super) async fn read(response: Response) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

/// `GET` and the answer's status and JSON.
pub(super) async fn get(services: &Services, path: &str) -> (u16, Value) {
    let (status, _, text) = get_text(services, path).await;
    (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::from(text)))
}

/// `POST` of JSON and the answer's status and JSON.
pub(super) async fn post(services: &Services, path: &str, body: &str) -> (u16, Value) {
    let request = Request::post(path).header("content-type", "application/json");
    let (status, _, text) =
        read(send(services, request.body(Body::from(body.to_owned())).unwrap()).await).await;
    (status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::from(text)))
}
