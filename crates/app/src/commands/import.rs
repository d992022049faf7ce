//! `taffrail import`: one pass over files or stdin, through parser and store, on all cores.
//!
//! One thread reads and cuts lines into jobs of about a row group, workers parse and encode them, and whoever
//! holds the next job in order writes it. Plain files keep the checkpoint that `run` would have: an import
//! that was cut short goes on where it ended, and a later `run` goes on after it.

mod files;
mod report;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use taffrail_parse::Redactor;
use taffrail_record::{Checkpoint, Gap, RawBatch};
use taffrail_store::index::ROW_GROUP_ROWS;
use taffrail_store::{Bulk, Encoded, Store};

use crate::cli::ImportArgs;
use crate::config::Config;
use crate::exit::{Outcome, UsageError};
use crate::pipeline::{Origin, Parsers};
use crate::store_access;
use crate::terminal::Terminal;
use files::Input;
pub(super) use files::STREAM_STATE;
use report::Report;

/// Jobs that wait for a worker.
const QUEUE_JOBS: usize = 1;
/// Raw bytes of a job at most, unless a single line is longer.
const JOB_BYTES: usize = 24 << 20;

/// Runs the command.
pub(crate) fn run(args: &ImportArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    if args.source.is_some() && args.files.len() > 1 {
        return Err(UsageError("--source names one source; import the files one by one".to_owned()).into());
    }
    let (store, recovered) = store_access::open_to_import(config)?;
    recovered.reports.iter().for_each(|report| terminal.note(report));
    let mut report = Report::new(terminal, files::total_bytes(&args.files));
    for path in &args.files {
        let known = store.checkpoints()?;
        match Input::open(path, args.source.as_deref(), &known, config.max_line_bytes) {
            Ok(input) => import(&store, input, args, config, &mut report)
                .with_context(|| path.display().to_string())?,
            Err(reason) => report.skip(path, &format!("{reason:#}")),
        }
    }
    // What a daemon that ended hard had left in the log becomes a segment, too.
    store.flush()?;
    Ok(report.finish())
}

/// Lines that are parsed and encoded together.
struct Job {
    number: u64,
    /// With what the lines before have shown.
    origin: Origin,
    batches: Vec<RawBatch>,
}

impl Job {
    /// The same without what nobody may read.
    fn redacted(mut self, redactor: &Redactor) -> Self {
        for batch in &mut self.batches {
            redactor.redact(batch);
        }
        self
    }
}

/// A job's result, waiting for its turn to be written.
struct Ready {
    encoded: Encoded,
    source: Arc<str>,
    checkpoint: Checkpoint,
    gaps: Vec<Gap>,
}

/// Writes results in the order of their jobs.
struct Writer<'a> {
    bulk: &'a Bulk<'a>,
    next: u64,
    waiting: BTreeMap<u64, Ready>,
}

impl Writer<'_> {
    fn put(&mut self, number: u64, ready: Ready) -> taffrail_store::Result<()> {
        self.waiting.insert(number, ready);
        while let Some(ready) = self.waiting.remove(&self.next) {
            self.bulk.append(ready.encoded, &ready.source, ready.checkpoint, ready.gaps)?;
            self.next += 1;
        }
        Ok(())
    }
}

fn import(
    store: &Store,
    mut input: Input,
    args: &ImportArgs,
    config: &Config,
    report: &mut Report,
) -> anyhow::Result<()> {
    let bulk = store.bulk();
    let writer = Mutex::new(Writer { bulk: &bulk, next: 0, waiting: BTreeMap::new() });
    let origin = Origin { service: args.service.clone(), ..Origin::of(&config.sources[0]) };
    let redactor = config.redact.redactor().map_err(anyhow::Error::msg)?;
    let failure = Mutex::new(None);
    let (sender, receiver) = sync_channel::<Job>(QUEUE_JOBS);
    let receiver = Mutex::new(receiver);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut parsers = Parsers::new(&config.node);
                while let Some(job) = take(&receiver) {
                    let job = job.redacted(&redactor);
                    if let Err(error) = work(job, &mut parsers, &bulk, &writer) {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        // Empties the queue, so that the reader sees the end instead of waiting for ever.
                        while take(&receiver).is_some() {}
                    }
                }
            });
        }
        let parsers = Parsers::new(&config.node);
        let mut jobs = Jobs { sender, origin, parsers, batches: Vec::new(), lines: 0, bytes: 0, number: 0 };
        let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let read = input.read(&mut |batch| {
            report.add(&batch);
            if failed() { false } else { jobs.add(batch) }
        });
        jobs.finish();
        read
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(explained(error));
    }
    // What was read before a failure is kept.
    bulk.finish().map_err(explained)?;
    report.done(&input, read.err());
    Ok(())
}

fn explained(error: taffrail_store::Error) -> anyhow::Error {
    let full = error.is_full();
    let error = anyhow::Error::from(error);
    match full {
        true => error.context(
            "the disk is full; free some space and run the import again: it goes on after its last segment",
        ),
        false => error,
    }
}

fn take(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn work(
    job: Job,
    parsers: &mut Parsers,
    bulk: &Bulk<'_>,
    writer: &Mutex<Writer<'_>>,
) -> taffrail_store::Result<()> {
    let Some(last) = job.batches.last() else { return Ok(()) };
    let (source, checkpoint) = (Arc::clone(&last.source), last.checkpoint.clone());
    let gaps = job.batches.iter().flat_map(|batch| batch.gaps.clone()).collect();
    let Job { mut origin, batches, .. } = job;
    // Only the first batch goes on from before: the others from what it has shown.
    let parse = |raw| parsers.parse(raw, &Origin { detection: origin.detection.take(), ..origin.clone() });
    let batches = batches.into_iter().map(parse).collect();
    let encoded = bulk.encode(batches)?;
    let ready = Ready { encoded, source, checkpoint, gaps };
    writer.lock().unwrap_or_else(PoisonError::into_inner).put(job.number, ready)
}

/// Gathers batches into jobs.
struct Jobs {
    sender: SyncSender<Job>,
    origin: Origin,
    /// For what the first lines of each job show.
    parsers: Parsers,
    batches: Vec<RawBatch>,
    lines: usize,
    bytes: usize,
    number: u64,
}

impl Jobs {
    /// `false` once no worker takes jobs any more.
    fn add(&mut self, batch: RawBatch) -> bool {
        let full =
            self.lines + batch.lines.len() > ROW_GROUP_ROWS || self.bytes + batch.bytes.len() > JOB_BYTES;
        if full && !self.batches.is_empty() && !self.send() {
            return false;
        }
        self.lines += batch.lines.len();
        self.bytes += batch.bytes.len();
        self.batches.push(batch);
        true
    }

    fn send(&mut self) -> bool {
        let batches = std::mem::take(&mut self.batches);
        let Some(first) = batches.first() else { return true };
        let origin = self.parsers.look_at(first, &self.origin);
        (self.lines, self.bytes) = (0, 0);
        let number = self.number;
        self.number += 1;
        self.sender.send(Job { number, origin, batches }).is_ok()
    }

    fn finish(mut self) {
        if !self.batches.is_empty() {
            self.send();
        }
    }
}
