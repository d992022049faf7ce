//! Sends what a spool keeps to one target, in order, until it has it: a Taffrail hub, which takes entries many at a time and each
//! once, or a central server of Resolvix, which takes lines one by one, perhaps twice.

mod parts;
mod patience;
mod sender;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use taffrail_record::{RawBatch, Timestamp};

use self::sender::Sender;
use crate::line::Rules;
use crate::peer::{Access, Peer, Unusable};
use crate::spool::Spool;

/// How a target is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// As what it turns out to be.
    #[default]
    Auto,
    /// As a Taffrail hub.
    Hub,
    /// As a central server of Resolvix.
    Resolvix,
}

/// Which lines are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lines {
    /// All.
    #[default]
    All,
    /// Those with a word for an error. A server of Resolvix gets no others.
    Errors,
}

/// A target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetConfig {
    /// Its address, without a slash at the end.
    pub url: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether it is expected to be a server of Resolvix: under [`Protocol::Auto`] one that lets nobody ask what it is is one.
    pub is_resolvix_likely: bool,
    /// Which of the lines in the spool it gets.
    pub lines: Lines,
    /// How it lets us in.
    pub access: Access,
    /// Our name.
    pub node: String,
    /// How lines are judged.
    pub rules: Rules,
    /// Minutes that times without a zone are east of UTC.
    pub offset_minutes: i16,
}

/// How a target stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Its address.
    pub url: String,
    /// Why it takes nothing at the moment.
    pub failing: Option<String>,
    /// Lines that it has taken.
    pub lines: u64,
    /// Samples that it has taken.
    pub samples: u64,
    /// Lines and samples that it never will.
    pub refused: u64,
    /// When it last refused a line for good.
    pub refused_at: Option<Timestamp>,
}

/// A target that is sent to.
#[derive(Clone, Debug)]
pub struct Target {
    standing: Arc<Mutex<Standing>>,
}

impl TargetConfig {
    /// Whether it can be used.
    ///
    /// # Errors
    /// If the address is none, or what lets us in cannot be read.
    pub fn check(&self) -> Result<(), Unusable> {
        Peer::new(&self.url, &self.access).map(drop)
    }
}

impl Target {
    /// Starts the thread that sends. It ends when the spool is closed.
    ///
    /// # Errors
    /// If the address is none, or what lets us in cannot be read.
    pub fn spawn(config: TargetConfig, spool: &Spool, clock: fn() -> Timestamp) -> Result<Self, Unusable> {
        let peer = Peer::new(&config.url, &config.access)?;
        let standing = Arc::new(Mutex::new(Standing { url: config.url.clone(), ..Standing::default() }));
        let (reader, spool) = (spool.reader(&config.url), spool.clone());
        let sender = Sender::new(peer, config, spool, clock, Arc::clone(&standing));
        // Without a thread it stands there as failing.
        let target = Self { standing };
        if let Err(error) =
            thread::Builder::new().name("forward".to_owned()).spawn(move || sender.run(reader))
        {
            lock(&target.standing).failing = Some(error.to_string());
        }
        Ok(target)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of a batch, those of joined records too.
pub(crate) fn lines_of(batch: &RawBatch) -> impl Iterator<Item = &[u8]> {
    batch.lines.iter().flat_map(|line| line.span.of(&batch.bytes).split(|byte| *byte == b'\n'))
}

#[cfg(test)]
mod tests;
