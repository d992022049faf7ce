//! The way of lines into the streams: from whoever stores them, over a bounded queue, to one thread that encodes them.
//!
//! Storing never waits for it. Where the queue is full, the lines are stored and the streams miss them: that is counted, told as an
//! entry, and whoever comes back from before gets them from the store.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use taffrail_record::{RawBatch, RawLine, Timestamp};
use taffrail_store::engine::{Arrival, QueryError};
use tokio::sync::mpsc;

use super::Stream;
use super::entry::{Encoder, Entry, move_out};
use super::place::Place;

/// Batches that wait to be encoded, and what they cost, in bytes of memory; also that is counted which waits to be handed out.
const QUEUE: usize = 1024;
const QUEUE_COST: usize = 96 << 20;
/// What is encoded at once, and how much of that may wait to be handed out, of each stream.
const TAKE_COST: usize = 4 << 20;
const TAKES: usize = 4;
/// What a record costs beside its bytes: an entry, its place in memory, and all that stands around the line.
const RECORD_COST: usize = 320;
/// How long entries wait for others after some were handed out: for each client, and at most.
const PER_CLIENT: Duration = Duration::from_micros(41);
const PAUSE_MAX: Duration = Duration::from_millis(58);
/// Sources whose streams are remembered; beyond, all are looked up anew.
const SOURCES_MAX: usize = 4096;

/// Takes lines that were stored.
#[derive(Clone)]
pub struct Feed {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    streams: Vec<Arc<Stream>>,
    queue: SyncSender<Queued>,
    /// What all costs that waits.
    waiting: Arc<AtomicUsize>,
    /// Which streams show a source.
    shown: Mutex<HashMap<Arc<str>, Arc<[usize]>>>,
}

/// What waits to be shown.
struct Queued {
    item: Item,
    waiting: Waiting,
}

/// What it costs that something waits; it is given back by dropping it.
struct Waiting {
    all: Arc<AtomicUsize>,
    cost: usize,
}

impl Waiting {
    /// For something that costs so much; `None`: there is no room.
    fn new(all: &Arc<AtomicUsize>, cost: usize) -> Option<Self> {
        let waiting = Self { all: Arc::clone(all), cost };
        let before = all.fetch_add(cost, Ordering::Relaxed);
        (before + cost <= QUEUE_COST).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// Entries of one stream, on their way to those who watch it.
struct Take {
    entries: Vec<Entry>,
    _held: Arc<Vec<Waiting>>,
}

/// What is shown.
enum Item {
    Lines(Lines),
    /// What the program says itself.
    Notice(Notice),
}

/// What the program says itself of a source.
struct Notice {
    source: Arc<str>,
    message: String,
    streams: Arc<[usize]>,
}

/// Records of one source.
pub struct Lines {
    source: Arc<str>,
    observed: Timestamp,
    bytes: Vec<u8>,
    /// Where each stands in the source, and where it ends in the bytes.
    records: Vec<(u64, usize)>,
    /// The same, parsed, if a stream needs that.
    parsed: Option<Arc<RecordBatch>>,
    streams: Arc<[usize]>,
    needs_parsed: bool,
}

impl Lines {
    /// Whether a stream needs the parsed records.
    pub fn needs_parsed(&self) -> bool {
        self.needs_parsed
    }
}

impl Feed {
    /// For nobody.
    pub fn none() -> Self {
        Self { shared: None }
    }

    /// For these streams; the thread ends with the last feed. Must be called inside of the runtime of the clients.
    /// `waiting` counts what that costs which waits to be shown.
    pub(super) fn spawn(streams: Vec<Arc<Stream>>, waiting: Arc<AtomicUsize>) -> std::io::Result<Self> {
        if streams.is_empty() {
            return Ok(Self::none());
        }
        let (queue, items) = sync_channel(QUEUE);
        let shared = Shared { streams: streams.clone(), queue, waiting, shown: Mutex::default() };
        let publisher = |stream: &Arc<Stream>| {
            let (publisher, takes) = mpsc::channel(TAKES);
            tokio::spawn(publish(Arc::clone(stream), takes));
            publisher
        };
        let publishers: Vec<_> = streams.iter().map(publisher).collect();
        let thread = std::thread::Builder::new().name("streams".to_owned());
        thread.spawn(move || encode(&streams, &items, &publishers))?;
        Ok(Self { shared: Some(Arc::new(shared)) })
    }

    /// The lines of a batch that is about to be stored, if a stream shows their source.
    pub fn lines(&self, batch: &RawBatch) -> Option<Lines> {
        let shared = self.shared.as_ref()?;
        let streams = shared.shown_by(&batch.source);
        if streams.is_empty() || batch.lines.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(batch.bytes.len());
        let record = |line: &RawLine| {
            bytes.extend_from_slice(line.span.of(&batch.bytes));
            (line.offset, bytes.len())
        };
        let records = batch.lines.iter().map(record).collect();
        let (source, observed) = (Arc::clone(&batch.source), batch.observed);
        let needs_parsed = streams.iter().any(|index| shared.streams[*index].selection.needs_records());
        Some(Lines { source, observed, bytes, records, parsed: None, streams, needs_parsed })
    }

    /// Shows lines that are stored now, with the time of reading that they are stored with, and the same lines parsed, where
    /// they need that. To be called in the order of these times.
    pub fn show(&self, lines: Option<Lines>, observed: Timestamp, parsed: Option<Arc<RecordBatch>>) {
        let (Some(shared), Some(lines)) = (&self.shared, lines) else { return };
        let (streams, missed) = (Arc::clone(&lines.streams), lines.records.len() as u64);
        let parsed = parsed.filter(|_| lines.needs_parsed);
        if !shared.push(Item::Lines(Lines { observed, parsed, ..lines })) {
            let until = Place::before(Arrival::end_of(observed));
            streams.iter().for_each(|index| shared.streams[*index].lose(missed, until));
        }
    }

    /// Notes that a source is followed, or no more.
    pub fn follow(&self, source: &str, is_followed: bool) {
        let Some(shared) = &self.shared else { return };
        let source: Arc<str> = source.into();
        for index in shared.shown_by(&source).iter() {
            shared.streams[*index].watchers.follow(&source, is_followed);
        }
    }

    /// Shows what the program says itself of a source.
    pub fn tell(&self, source: &str, message: String) {
        let Some(shared) = &self.shared else { return };
        let source: Arc<str> = source.into();
        let streams = shared.shown_by(&source);
        if !streams.is_empty() {
            // What finds no room is in the program's own log.
            shared.push(Item::Notice(Notice { source, message, streams }));
        }
    }
}

impl Shared {
    /// Never waits; whether there was room.
    fn push(&self, item: Item) -> bool {
        let waiting = Waiting::new(&self.waiting, item.cost());
        waiting.is_some_and(|waiting| self.queue.try_send(Queued { item, waiting }).is_ok())
    }

    fn shown_by(&self, source: &Arc<str>) -> Arc<[usize]> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(streams) = shown.get(source) {
            return Arc::clone(streams);
        }
        if shown.len() >= SOURCES_MAX {
            shown.clear();
        }
        let all = self.streams.iter().enumerate();
        let streams: Arc<[usize]> =
            all.filter(|(_, stream)| stream.config.shows(source)).map(|(index, _)| index).collect();
        shown.insert(Arc::clone(source), Arc::clone(&streams));
        streams
    }
}

/// Encodes each line once, for all streams that show it. What comes while entries are handed out waits, and is handed out
/// together: writing to a thousand clients costs about the same for one entry and for ten.
fn encode(streams: &[Arc<Stream>], queue: &Receiver<Queued>, publishers: &[mpsc::Sender<Take>]) {
    while let Ok(first) = queue.recv() {
        let (mut items, mut held, mut cost) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(Queued { item, waiting }) = next {
            cost += waiting.cost;
            item.split_into(&mut items);
            held.push(waiting);
            next = if cost < TAKE_COST { queue.try_recv().ok() } else { None };
        }
        let held = Arc::new(held);
        for part in in_takes(&items) {
            for ((stream, publisher), entries) in streams.iter().zip(publishers).zip(entries(streams, part)) {
                let has_news = !entries.is_empty() || stream.untold.load(Ordering::Relaxed) > 0;
                let take = Take { entries, _held: Arc::clone(&held) };
                if has_news && publisher.blocking_send(take).is_err() {
                    return;
                }
            }
        }
        if cost < TAKE_COST {
            let clients: usize = streams.iter().map(|stream| stream.clients()).sum();
            std::thread::sleep((PER_CLIENT * clients as u32).min(PAUSE_MAX));
        }
    }
}

/// Items, so many together as are encoded at once; at least one.
fn in_takes(mut items: &[Item]) -> impl Iterator<Item = &[Item]> {
    std::iter::from_fn(move || {
        let mut cost = 0;
        let fits = |item: &&Item| {
            cost += item.cost();
            cost <= TAKE_COST
        };
        let count = items.iter().take_while(fits).count().max(1).min(items.len());
        let (take, rest) = items.split_at(count);
        items = rest;
        (!take.is_empty()).then_some(take)
    })
}

/// What each stream shows of some items.
fn entries(streams: &[Arc<Stream>], items: &[Item]) -> Vec<Vec<Entry>> {
    let (records, bytes) = (items.iter().map(Item::entries).sum(), items.iter().map(Item::bytes).sum());
    let mut encoder = Encoder::new(records, bytes);
    // How many entries there are with each item.
    let ends: Vec<usize> = items
        .iter()
        .map(|item| {
            if let Item::Lines(lines) = item {
                lines.encode(&mut encoder);
            }
            encoder.len()
        })
        .collect();
    let (mut all, mut start) = (encoder.finish().into_iter(), 0);
    let mut new = vec![Vec::new(); streams.len()];
    for (item, end) in items.iter().zip(ends) {
        match item {
            Item::Lines(lines) => lines.hand_out(all.by_ref().take(end - start).collect(), streams, &mut new),
            Item::Notice(notice) => notice.hand_out(streams, &mut new),
        }
        start = end;
    }
    new.iter_mut().for_each(|entries| move_out(entries));
    new
}

/// Hands entries to those who watch a stream. On the runtime of the clients: to wake them from elsewhere costs more than what
/// they do.
async fn publish(stream: Arc<Stream>, mut takes: mpsc::Receiver<Take>) {
    while let Some(Take { entries, _held }) = takes.recv().await {
        // Who is slow is waited for only as long as that holds up no other stream.
        stream.publish(entries, || takes.len() < TAKES / 2).await;
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.bytes.len(),
            Self::Notice(_) => 0,
        }
    }

    fn cost(&self) -> usize {
        self.bytes() + self.entries() * RECORD_COST
    }

    /// Parts that each can be encoded at once: very many very short lines become far more than they are.
    fn split_into(self, parts: &mut Vec<Self>) {
        match self {
            Self::Lines(lines) if lines.records.len() > TAKE_COST / RECORD_COST => {
                let all = lines.records.chunks(TAKE_COST / RECORD_COST);
                parts.extend(all.scan(0, |start, records| Some(Self::Lines(lines.part(start, records)))));
            }
            item => parts.push(item),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.records.len(),
            Self::Notice(_) => 1,
        }
    }
}

impl Lines {
    /// Some of the records, whose bytes begin at `start`, which goes on to the next.
    fn part(&self, start: &mut usize, records: &[(u64, usize)]) -> Self {
        let (from, until) = (*start, records.last().map_or(*start, |(_, end)| *end));
        *start = until;
        Self {
            source: Arc::clone(&self.source),
            bytes: self.bytes[from..until].to_vec(),
            records: records.iter().map(|(offset, end)| (*offset, end - from)).collect(),
            parsed: self.parsed.clone(),
            streams: Arc::clone(&self.streams),
            ..*self
        }
    }

    fn encode(&self, encoder: &mut Encoder) {
        encoder.source(&self.source);
        for (offset, record) in self.records() {
            encoder.record(record, Arrival { observed: self.observed, offset });
        }
    }

    fn hand_out(&self, entries: Vec<Entry>, streams: &[Arc<Stream>], new: &mut [Vec<Entry>]) {
        let Some((last, others)) = self.streams.split_last() else { return };
        for index in others {
            self.show(entries.clone(), &streams[*index], &mut new[*index]);
        }
        self.show(entries, &streams[*last], &mut new[*last]);
    }

    /// Adds to `new` what a stream shows of its entries.
    fn show(&self, mut entries: Vec<Entry>, stream: &Stream, new: &mut Vec<Entry>) {
        match self.shown_by(stream) {
            Ok(None) => {}
            Ok(Some(shown)) => entries
                .retain(|entry| entry.place().is_some_and(|place| shown.contains(&place.arrival.offset))),
            // What is to be left out is shown to nobody: who comes back gets the rest from the store.
            Err(error) => {
                tracing::error!("the stream `{}` shows nothing of a batch: {error}", stream.config.name);
                stream.lose(entries.len() as u64, Place::before(Arrival::end_of(self.observed)));
                return;
            }
        }
        if entries.is_empty() {
            return;
        }
        stream.last_entry.store(self.observed.0, Ordering::Relaxed);
        stream.watchers.read(&self.source, entries.len() as u64, self.observed);
        if new.is_empty() {
            *new = entries;
        } else {
            new.append(&mut entries);
        }
    }

    /// The records, and where they stand in the source.
    fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = 0;
        self.records.iter().map(move |(offset, end)| {
            let record = &self.bytes[start..*end];
            start = *end;
            (*offset, record)
        })
    }

    /// Where the records stand that a stream shows; `None`: it shows all.
    fn shown_by(&self, stream: &Stream) -> Result<Option<HashSet<u64>>, QueryError> {
        let selection = &stream.selection;
        if selection.is_all() {
            return Ok(None);
        }
        let matching = selection.matching(self.parsed.as_deref())?;
        let is_matching = |offset: &u64| matching.as_ref().is_none_or(|matching| matching.contains(offset));
        let shown = self.records().filter(|(offset, record)| is_matching(offset) && selection.allows(record));
        Ok(Some(shown.map(|(offset, _)| offset).collect()))
    }
}

impl Notice {
    fn hand_out(&self, streams: &[Arc<Stream>], new: &mut [Vec<Entry>]) {
        for index in self.streams.iter() {
            let now = (streams[*index].clock)();
            streams[*index].watchers.rotated(&self.source);
            new[*index].push(Entry::notice("INFO", &self.message, &self.source, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Item {
        Item::Lines(Lines {
            source: "/a.log".into(),
            observed: Timestamp(7),
            bytes: (0..count).map(|number| b'a' + (number % 26) as u8).collect(),
            records: (0..count).map(|number| (2 * number as u64, number + 1)).collect(),
            parsed: None,
            streams: Arc::new([0]),
            needs_parsed: false,
        })
    }

    #[test]
    fn very_many_short_lines_are_encoded_in_parts() {
        let records = |items: &[Item]| -> Vec<(u64, Vec<u8>)> {
            let lines = items.iter().filter_map(|item| match item {
                Item::Lines(lines) => Some(lines),
                Item::Notice(_) => None,
            });
            lines
                .flat_map(|lines| lines.records().map(|(offset, record)| (offset, record.to_vec())))
                .collect()
        };
        let (few, many) = (lines(3), lines(50_000));
        let want = [records(std::slice::from_ref(&few)), records(std::slice::from_ref(&many))].concat();
        let mut parts = Vec::new();
        [few, many].into_iter().for_each(|item| item.split_into(&mut parts));
        assert!(records(&parts) == want);
        let takes: Vec<&[Item]> = in_takes(&parts).collect();
        assert_eq!(takes.iter().map(|take| take.len()).sum::<usize>(), parts.len());
        let cost = |take: &[Item]| take.iter().map(Item::cost).sum::<usize>();
        let slack = TAKE_COST / RECORD_COST;
        assert!(
            takes.len() >= 4 && takes.iter().all(|take| cost(take) <= TAKE_COST + slack),
            "{}",
            takes.len()
        );
    }

    #[test]
    fn what_waits_is_bounded_and_given_back() {
        let all = Arc::<AtomicUsize>::default();
        let most = Waiting::new(&all, QUEUE_COST - 1).unwrap();
        let one = Waiting::new(&all, 1).unwrap();
        assert!(Waiting::new(&all, 1).is_none());
        drop(most);
        assert_eq!(all.load(Ordering::Relaxed), 1);
        assert!(Waiting::new(&all, 1).is_some());
        drop(one);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
