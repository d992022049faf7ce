//! Everything that `taffrail run` follows: files, journals, pipes; each configured source becomes what reads it.

mod announcement;
mod place;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use taffrail_record::{Checkpoint, Timestamp};
use taffrail_source::{
    Follower, JournalConfig, JournalPlace, PipeConfig, PipePlace, SourceStatus, SourceThread, follow_journal,
    read_pipe,
};

use crate::config::{Config, SourceConfig, SourceKind, StartAt};
use crate::demo::Demo;
use crate::pipeline::{Origin, Pipeline, PipelineSink};

pub(crate) use announcement::announcement;
pub(crate) use place::Place;

/// The path that means standard input.
const STDIN_PATH: &str = "-";

/// What is followed.
pub(crate) struct Followers {
    running: Mutex<Vec<Running>>,
}

/// One thread that reads.
enum Running {
    Files(Follower),
    Other(SourceThread),
}

impl Running {
    fn status(&self) -> Vec<SourceStatus> {
        match self {
            Self::Files(follower) => follower.status(),
            Self::Other(thread) => vec![thread.status()],
        }
    }

    /// At most `count` of its sources, by name, behind `after`.
    fn status_after(&self, after: Option<&str>, count: usize) -> Vec<SourceStatus> {
        if let Self::Files(follower) = self {
            return follower.status_after(after, count);
        }
        let mut status = self.status();
        status.retain(|status| after.is_none_or(|after| status.source.as_str() > after));
        status.truncate(count);
        status
    }

    /// What it follows, if its thread has ended though there may be more to read.
    fn ended(&self) -> Option<String> {
        match self {
            Self::Files(follower) => (!follower.is_running()).then(|| follower.patterns().join(" ")),
            Self::Other(_) => None,
        }
    }

    fn stop(self) {
        match self {
            Self::Files(follower) => follower.stop(),
            Self::Other(thread) => thread.stop(),
        }
    }
}

impl Followers {
    /// Starts to follow what the config names.
    pub(crate) fn spawn(
        config: &Config,
        pipeline: &Pipeline,
        clock: fn() -> Timestamp,
    ) -> anyhow::Result<Self> {
        let checkpoints = pipeline.store.checkpoints()?;
        let mut running = Vec::new();
        let mut taken: Vec<String> = vec![format!("{}/**", config.data_dir.display())];
        for source in &config.sources {
            let origin = Origin::of(source);
            let sink = || Box::new(PipelineSink::new(pipeline.clone(), origin.clone(), &config.node));
            let Parts { journal, pipes, patterns } = Parts::of(source, &taken);
            if let Some(journal) = journal {
                let journal = JournalConfig { limits: limits(config, source), ..journal };
                let checkpoint = checkpoint(&checkpoints, &journal.source);
                running.push(Running::Other(follow_journal(journal, checkpoint, sink(), clock)?));
            }
            for place in pipes {
                let checkpoint = checkpoint(&checkpoints, &place.source());
                if let PipePlace::Fifo(path) = &place {
                    taken.push(path.display().to_string());
                }
                let pipe = PipeConfig { place, limits: limits(config, source) };
                running.push(Running::Other(read_pipe(pipe, checkpoint, sink(), clock)?));
            }
            if !patterns.is_empty() {
                let follow = follow(config, source, patterns, &taken);
                // A file that two sources name is read once, by the first.
                taken.extend(follow.patterns.iter().cloned());
                running.push(Running::Files(Follower::spawn(follow, checkpoints.clone(), sink(), clock)?));
            }
        }
        Ok(Self { running: Mutex::new(running) })
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every source.
    pub(crate) fn status(&self) -> Vec<SourceStatus> {
        self.running().iter().flat_map(Running::status).collect()
    }

    /// The next `count` sources behind `place`, which moves on; fewer at the end.
    pub(crate) fn status_after(&self, place: &mut Place, count: usize) -> Vec<SourceStatus> {
        place.next(&self.running(), count, Running::status_after)
    }

    /// What is followed by threads that have ended by themselves.
    pub(crate) fn ended(&self) -> Vec<String> {
        self.running().iter().filter_map(Running::ended).collect()
    }

    /// Reads nothing more, and waits until all threads have ended.
    pub(crate) fn stop(&self) {
        let running = std::mem::take(&mut *self.running());
        running.into_iter().for_each(Running::stop);
    }
}

/// What one `[[source]]` is made of.
pub(crate) struct Parts {
    /// The journal, without limits.
    pub journal: Option<JournalConfig>,
    /// Pipes, standard input among them.
    pub pipes: Vec<PipePlace>,
    /// Paths and globs of files.
    pub patterns: Vec<String>,
}

impl Parts {
    /// What `source` means on this machine, now; pipes in `taken` are others'.
    pub(crate) fn of(source: &SourceConfig, taken: &[String]) -> Self {
        let mut parts = Self { journal: None, pipes: Vec::new(), patterns: Vec::new() };
        if source.kind == SourceKind::Journal {
            parts.journal = Some(JournalConfig {
                source: source.journal_name(),
                place: JournalPlace::of_paths(&source.paths),
                units: source.units.clone(),
                identifiers: source.identifiers.clone(),
                priority: source.priority,
                start_at: start_at(source),
                ..JournalConfig::default()
            });
            return parts;
        }
        for path in &source.paths {
            match pipe(path, source.kind) {
                Some(place) if !taken.contains(&place.source()) => parts.pipes.push(place),
                Some(_) => {}
                None => parts.patterns.push(path.clone()),
            }
        }
        parts
    }
}

/// The pipe that a path names.
fn pipe(path: &str, kind: SourceKind) -> Option<PipePlace> {
    use std::os::unix::fs::FileTypeExt as _;
    if path == STDIN_PATH {
        return Some(PipePlace::Stdin);
    }
    let absolute = std::path::absolute(Path::new(path)).ok()?;
    let is_pipe = fs_err::metadata(&absolute).is_ok_and(|metadata| metadata.file_type().is_fifo());
    (kind == SourceKind::Pipe || is_pipe).then_some(PipePlace::Fifo(absolute))
}

fn checkpoint<'a>(checkpoints: &'a [(String, Checkpoint)], source: &str) -> Option<&'a Checkpoint> {
    checkpoints.iter().find(|(name, _)| name == source).map(|(_, checkpoint)| checkpoint)
}

fn limits(config: &Config, source: &SourceConfig) -> taffrail_source::Limits {
    taffrail_source::Limits {
        max_line_bytes: config.max_line_bytes as usize,
        // The pattern was compiled when the config was read.
        multiline: source.multiline.joiner().ok().flatten(),
        ..taffrail_source::Limits::default()
    }
}

fn start_at(source: &SourceConfig) -> taffrail_source::StartAt {
    match source.start_at {
        StartAt::Beginning => taffrail_source::StartAt::Beginning,
        StartAt::End => taffrail_source::StartAt::End,
        StartAt::Last(bytes) => taffrail_source::StartAt::Last(bytes),
    }
}

fn follow(
    config: &Config,
    source: &SourceConfig,
    patterns: Vec<String>,
    taken: &[String],
) -> taffrail_source::Config {
    // The demo writes into the data directory, where nothing else is to be followed.
    let is_demo = *source == Demo::source(&config.data_dir);
    let taken = if is_demo { &[] } else { taken };
    taffrail_source::Config {
        patterns,
        exclude: source.exclude.iter().chain(taken).cloned().collect(),
        start_at: start_at(source),
        limits: limits(config, source),
        max_files: config.max_files,
        poll_interval: source.poll_interval,
        ..taffrail_source::Config::default()
    }
}
