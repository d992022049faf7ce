//! The way of a line: source, parse, store, live hub. The one place where these meet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use taffrail_agent::Stopping;
use taffrail_agent::live::Live;
use taffrail_parse::{Context, Detection, Parser, Redactor, service_from_path};
use taffrail_record::{LogBatch, RawBatch};
use taffrail_serve::LiveHub;
use taffrail_serve::streams::{Feed, Lines};
use taffrail_source::{Rotations, Sink, Stopped};
use taffrail_store::{Append, Receipt, Store, wal};

use crate::config::{SourceConfig, ZoneChoice};
use crate::seen_formats::SeenFormats;

/// How lines are parsed that do not say it themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    /// The service; `None`: from the source's name.
    pub service: Option<String>,
    /// Minutes east of UTC.
    pub offset_minutes: i16,
    /// The only format; `None`: each line's own.
    pub format: Option<String>,
    /// Whether the day comes first in dates between slashes; `None`: as the lines show.
    pub day_first: Option<bool>,
    /// What lines before have shown; `None`: what the parser has seen itself.
    pub detection: Option<Detection>,
    /// The machine that lines come from that name none; `None`: this one.
    pub node: Option<String>,
}

impl Origin {
    /// As a source is configured.
    pub(crate) fn of(source: &SourceConfig) -> Self {
        Self {
            service: source.service.clone(),
            offset_minutes: offset_minutes(source.zone),
            format: source.format.clone(),
            day_first: source.dates.day_first(),
            detection: None,
            node: None,
        }
    }

    /// Of lines that clients push.
    pub(crate) fn of_push(service: Option<String>, node: Option<String>) -> Self {
        Self { service, offset_minutes: 0, format: None, day_first: None, detection: None, node }
    }

    /// Of lines that an agent sends with this note.
    pub(crate) fn of_agent(note: &str, node: &str) -> Self {
        Self { detection: None, node: Some(node.to_owned()), ..Self::from_note(note) }
    }

    /// The note that a WAL frame carries.
    pub(crate) fn note(&self) -> String {
        let service = self.service.as_deref().unwrap_or_default();
        let format = self.format.as_deref().unwrap_or_default();
        let detection = self.detection.map(|detection| detection.note()).unwrap_or_default();
        let node = self.node.as_deref().unwrap_or_default();
        let note = format!("{} {service}\t{format}\t{detection}\t{node}", self.offset_minutes);
        note.trim_end_matches('\t').to_owned()
    }

    /// What a note says; a note that says nothing gives UTC and no service.
    fn from_note(note: &str) -> Self {
        let (minutes, rest) = note.split_once(' ').unwrap_or_default();
        let mut parts = rest.split('\t');
        let mut part = || parts.next().filter(|text| !text.is_empty());
        Self {
            service: part().map(str::to_owned),
            offset_minutes: minutes.parse().unwrap_or(0),
            format: part().map(str::to_owned),
            day_first: None,
            detection: part().map(Detection::from_note),
            node: part().map(str::to_owned),
        }
    }

    fn parser(&self, source: &str, node: &str) -> Parser {
        let service = self.service.clone().unwrap_or_else(|| service_from_path(source));
        let node = self.node.clone().unwrap_or_else(|| node.to_owned());
        let context = Context { service, node, offset_minutes: self.offset_minutes };
        Parser::new(context).only(self.format.as_deref()).dates(self.day_first)
    }
}

/// Minutes east of UTC that a zone stands for now.
pub(crate) fn offset_minutes(zone: ZoneChoice) -> i16 {
    match zone {
        ZoneChoice::Offset(minutes) => minutes,
        ZoneChoice::Local => {
            let offset = jiff::tz::TimeZone::system().to_offset(jiff::Timestamp::now());
            i16::try_from(offset.seconds() / 60).unwrap_or(0)
        }
    }
}

/// The parsers of the sources that one thread reads.
pub(crate) struct Parsers {
    node: String,
    parsers: HashMap<(Arc<str>, String), Parser>,
    /// Where the formats of lines are noted.
    seen: SeenFormats,
}

/// Parsers that are kept; beyond, all are made anew.
const PARSERS_MAX: usize = 4_096;

impl Parsers {
    /// For a machine's name.
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), parsers: HashMap::new(), seen: SeenFormats::default() }
    }

    /// The same, which note the formats of lines.
    fn noting(self, seen: &SeenFormats) -> Self {
        Self { seen: seen.clone(), ..self }
    }

    /// The parser of a source.
    fn of(&mut self, source: &Arc<str>, origin: &Origin) -> &mut Parser {
        if self.parsers.len() >= PARSERS_MAX {
            self.parsers.clear();
        }
        let origin = Origin { detection: None, ..origin.clone() };
        let key = (Arc::clone(source), origin.note());
        self.parsers.entry(key).or_insert_with(|| origin.parser(source, &self.node))
    }

    /// As whose lines a batch is to be parsed, with what the lines before it have shown, and where there were none, its own.
    pub(crate) fn detect(&mut self, raw: &RawBatch, origin: &Origin) -> Origin {
        let parser = self.of(&raw.source, origin);
        parser.detect(raw);
        Origin { detection: Some(parser.detection()), ..origin.clone() }
    }

    /// The same, with what the first lines of the batch show in any case.
    pub(crate) fn look_at(&mut self, raw: &RawBatch, origin: &Origin) -> Origin {
        let parser = self.of(&raw.source, origin);
        parser.look_at(raw);
        Origin { detection: Some(parser.detection()), ..origin.clone() }
    }

    /// The records of a batch.
    pub(crate) fn parse(&mut self, raw: RawBatch, origin: &Origin) -> LogBatch {
        let source = Arc::clone(&raw.source);
        let parser = self.of(&source, origin);
        origin.detection.into_iter().for_each(|known| parser.set_detection(known));
        let batch = parser.parse(raw);
        let (counts, found) = (parser.take_counts(), parser.detection());
        self.seen.note(&source, counts, found);
        batch
    }

    /// The records of a batch that comes back from the WAL.
    pub(crate) fn replay(&mut self, raw: RawBatch, note: &str) -> LogBatch {
        self.parse(raw, &Origin::from_note(note))
    }
}

/// Pause before a batch that the disk refused is offered again; doubles up to the second.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Stores batches and shows them to whoever watches live.
#[derive(Clone)]
pub(crate) struct Pipeline {
    /// Where records are stored.
    pub store: Arc<Store>,
    /// Who watches.
    pub live: LiveHub,
    /// The streams that are served.
    pub feed: Feed,
    /// What Resolvix' clients watch.
    pub control: Option<Live>,
    /// What is overwritten before anything is stored.
    pub redactor: Arc<Redactor>,
    /// In which formats the lines of each source were.
    pub seen: SeenFormats,
    /// Ends the waiting for a disk that is full or fails.
    pub stopping: Arc<Stopping>,
}

impl Pipeline {
    /// Parses and stores a batch; on `Err` nothing of it is stored.
    pub(crate) fn put(
        &self,
        raw: RawBatch,
        origin: &Origin,
        parsers: &mut Parsers,
    ) -> taffrail_store::Result<Receipt> {
        self.put_or(raw, origin, parsers, Err)
    }

    /// As [`Pipeline::put`], but what the disk refuses is offered again until it is taken: whoever reads a file
    /// can wait, for the file is the buffer. `Err` also if the program ends before.
    fn put_patiently(
        &self,
        raw: RawBatch,
        origin: &Origin,
        parsers: &mut Parsers,
    ) -> taffrail_store::Result<Receipt> {
        let [mut pause, longest] = RETRY;
        self.put_or(raw, origin, parsers, |error| {
            if !error.is_retriable() || self.stopping.within(pause) {
                return Err(error);
            }
            pause = (pause * 2).min(longest);
            Ok(())
        })
    }

    /// `refused` says whether to go on.
    fn put_or(
        &self,
        mut raw: RawBatch,
        origin: &Origin,
        parsers: &mut Parsers,
        mut refused: impl FnMut(taffrail_store::Error) -> taffrail_store::Result<()>,
    ) -> taffrail_store::Result<Receipt> {
        self.redactor.redact(&mut raw);
        let frame = wal::Frame::new(&raw, &parsers.detect(&raw, origin).note());
        let (source, checkpoint, gaps) = (Arc::clone(&raw.source), raw.checkpoint.clone(), raw.gaps.clone());
        let lines = self.feed.lines(&raw);
        let mut frames = self.control.as_ref().map(|live| live.frames(&raw)).unwrap_or_default();
        let batch = parsers.parse(raw, origin);
        let needs_parsed = lines.as_ref().is_some_and(Lines::needs_parsed);
        let is_seen = |batch: &LogBatch| {
            let is_watched = needs_parsed || self.live.has_subscribers();
            is_watched.then(|| taffrail_store::from_batch(batch.clone()))
        };
        // Made before others have to wait.
        let mut seen = is_seen(&batch);
        let mut append = Append { frame, batch, source: &source, checkpoint, gaps };
        loop {
            let order = self.live.order();
            // Somebody may have come meanwhile.
            seen = seen.or_else(|| is_seen(&append.batch));
            match self.store.append(append) {
                Ok(receipt) => {
                    let observe = |seen| taffrail_store::observe(seen, receipt.arrived()).map(Arc::new);
                    // It is stored: that it cannot be shown is no reason to offer it again.
                    let seen = seen.map(|seen| seen.and_then(observe)).transpose().unwrap_or_else(|error| {
                        tracing::warn!("{source}: what is stored cannot be shown live: {error}");
                        None
                    });
                    self.feed.show(lines, receipt.arrived(), seen.clone());
                    if let Some(live) = &self.control {
                        live.show(std::mem::take(&mut frames));
                    }
                    seen.into_iter().for_each(|seen| self.live.publish(seen));
                    return Ok(receipt);
                }
                Err(back) => {
                    drop(order);
                    let back = *back;
                    refused(back.error)?;
                    append = back.append;
                }
            }
        }
    }
}

/// The end of a follower: what it reads goes into the pipeline.
pub(crate) struct PipelineSink {
    pipeline: Pipeline,
    origin: Origin,
    parsers: Parsers,
}

impl PipelineSink {
    /// For a follower of a configured source.
    pub(crate) fn new(pipeline: Pipeline, origin: Origin, node: &str) -> Self {
        let parsers = Parsers::new(node).noting(&pipeline.seen);
        Self { pipeline, origin, parsers }
    }
}

impl Sink for PipelineSink {
    fn rotated(&mut self, source: &str, rotations: Rotations) {
        let Rotations { count, last } = rotations;
        self.pipeline.feed.tell(source, format!("Log rotation detected (#{count}): {last}"));
    }

    fn following(&mut self, source: &str, is_followed: bool) {
        self.pipeline.feed.follow(source, is_followed);
    }

    fn send(&mut self, batch: RawBatch) -> Result<(), Stopped> {
        let source = Arc::clone(&batch.source);
        match self.pipeline.put_patiently(batch, &self.origin, &mut self.parsers) {
            Ok(_) => Ok(()),
            Err(error) if error.is_retriable() => {
                tracing::warn!("{source}: what was read last is not stored and will be read again: {error}");
                Err(Stopped)
            }
            Err(error) => {
                tracing::error!("{source} is no longer read: {error}");
                Err(Stopped)
            }
        }
    }
}
