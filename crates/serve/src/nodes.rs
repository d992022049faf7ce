//! The machines that send something: noted in memory, and in the history every few seconds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use taffrail_record::Timestamp;
use taffrail_store::History;
use taffrail_store::history::{NODES_MAX, Seen};

/// How often the history is told.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Longest name of a machine.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// The machines that send something.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    history: Arc<History>,
    clock: fn() -> Timestamp,
    unsaved: Arc<Mutex<Unsaved>>,
    agents: Arc<Mutex<Agents>>,
}

#[derive(Debug)]
struct Unsaved {
    seen: HashMap<String, Seen>,
    saved: Instant,
}

/// The spools of agents, by the name of their machine.
type Agents = HashMap<String, Spools>;

/// Which agents sent under a name. One that is installed again has another spool, for good; two that have the same name by
/// mistake take turns.
#[derive(Debug, Default)]
struct Spools {
    /// The one that sent last, and the one before.
    last: String,
    before: String,
    /// When one came back after the other.
    clashed: Option<Timestamp>,
}

/// A clash is forgotten after so long without another.
const CLASH_REMEMBERED: i64 = 600 * Timestamp::SECOND;

/// Something that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arrived<'a> {
    pub node: &'a str,
    pub kind: &'a str,
    pub version: &'a str,
    /// When it was sent, by the sender's clock.
    pub sent: Option<Timestamp>,
    /// The newest in it, by the same clock.
    pub newest: Option<Timestamp>,
    pub lines: u64,
    pub samples: u64,
    /// The sender's spool, of agents.
    pub spool: Option<&'a str>,
}

impl Spools {
    fn note(&mut self, spool: &str, now: Timestamp) {
        if self.last == spool {
            return;
        }
        if self.before == spool {
            self.clashed = Some(now);
        }
        self.before = std::mem::replace(&mut self.last, spool.to_owned());
    }
}

impl Nodes {
    pub(crate) fn new(history: Arc<History>, clock: fn() -> Timestamp) -> Self {
        let unsaved = Unsaved { seen: HashMap::new(), saved: Instant::now() };
        Self { history, clock, unsaved: Arc::new(Mutex::new(unsaved)), agents: Arc::default() }
    }

    /// Notes what came. Blocks now and then while the history is told.
    pub(crate) fn note(&self, arrived: &Arrived<'_>, address: Option<IpAddr>) {
        let now = (self.clock)();
        if let Some(spool) = arrived.spool {
            let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
            if agents.len() < NODES_MAX || agents.contains_key(arrived.node) {
                agents.entry(arrived.node.to_owned()).or_default().note(spool, now);
            }
        }
        let mut unsaved = self.unsaved();
        let Some(seen) = unsaved.of(arrived.node) else { return self.save_in_time(unsaved) };
        arrived.node.clone_into(&mut seen.node);
        arrived.kind.clone_into(&mut seen.kind);
        if !arrived.version.is_empty() {
            arrived.version.clone_into(&mut seen.version);
        }
        if let Some(address) = address {
            seen.address = address.to_string();
        }
        seen.at = now;
        seen.clock_skew = arrived.sent.map(|sent| now.0.saturating_sub(sent.0)).or(seen.clock_skew);
        let lag =
            arrived.sent.zip(arrived.newest).map(|(sent, newest)| sent.0.saturating_sub(newest.0).max(0));
        seen.lag = lag.or(seen.lag);
        seen.lines += arrived.lines;
        seen.samples += arrived.samples;
        self.save_in_time(unsaved);
    }

    fn unsaved(&self) -> MutexGuard<'_, Unsaved> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_in_time(&self, unsaved: MutexGuard<'_, Unsaved>) {
        if unsaved.saved.elapsed() >= FLUSH_EVERY {
            self.save(unsaved);
        }
    }

    /// The names that several agents have at the moment, in order.
    pub(crate) fn clashes(&self) -> Vec<String> {
        let since = Timestamp((self.clock)().0.saturating_sub(CLASH_REMEMBERED));
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let clashing = agents.iter().filter(|(_, spools)| spools.clashed.is_some_and(|at| at >= since));
        let mut names: Vec<String> = clashing.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Tells the history all that it was not told.
    pub(crate) fn flush(&self) {
        self.save(self.unsaved());
    }

    /// What cannot be written now is written next time.
    fn save(&self, mut unsaved: MutexGuard<'_, Unsaved>) {
        unsaved.saved = Instant::now();
        let seen: Vec<Seen> = unsaved.seen.drain().map(|(_, seen)| seen).collect();
        drop(unsaved);
        if let Err(error) = self.history.note_nodes(&seen) {
            tracing::warn!("the machines that send are not noted: {error}");
            self.unsaved().put_back(seen);
        }
    }
}

impl Unsaved {
    /// What is noted of a machine; `None`: it is one of too many.
    fn of(&mut self, node: &str) -> Option<&mut Seen> {
        if self.seen.len() >= NODES_MAX && !self.seen.contains_key(node) {
            return None;
        }
        Some(self.seen.entry(node.to_owned()).or_default())
    }

    /// Puts back what was not saved, below what was noted meanwhile.
    fn put_back(&mut self, seen: Vec<Seen>) {
        for old in seen {
            let Some(new) = self.of(&old.node) else { continue };
            let is_newer = !new.node.is_empty();
            let (lines, samples) = (new.lines + old.lines, new.samples + old.samples);
            let text = |new: &mut String, old: String| if new.is_empty() { old } else { std::mem::take(new) };
            *new = Seen {
                at: if is_newer { new.at } else { old.at },
                lag: new.lag.or(old.lag),
                clock_skew: new.clock_skew.or(old.clock_skew),
                kind: text(&mut new.kind, old.kind),
                version: text(&mut new.version, old.version),
                address: text(&mut new.address, old.address),
                node: old.node,
                lines,
                samples,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_take_turns_under_one_name_clash() {
        for (spools, clashes) in [
            (&["a", "a"][..], false),
            (&["a", "b", "b"], false),
            (&["a", "b", "c"], false),
            (&["a", "b", "a"], true),
        ] {
            let mut known = Spools::default();
            spools.iter().for_each(|spool| known.note(spool, Timestamp(7)));
            assert_eq!(known.clashed, clashes.then_some(Timestamp(7)), "{spools:?}");
        }
    }

    #[test]
    fn what_could_not_be_saved_is_saved_with_what_comes_next() {
        let seen = |node: &str, at: i64, version: &str, lines: u64| Seen {
            node: node.to_owned(),
            at: Timestamp(at),
            lag: (!version.is_empty()).then_some(at),
            kind: "agent".to_owned(),
            version: version.to_owned(),
            lines,
            ..Seen::default()
        };
        let mut unsaved = Unsaved { seen: HashMap::new(), saved: Instant::now() };
        *unsaved.of("a").unwrap() = seen("a", 9, "", 1);
        *unsaved.of("b").unwrap() = seen("b", 9, "2.0", 1);
        unsaved.put_back(vec![seen("a", 5, "1.0", 10), seen("b", 5, "1.0", 10), seen("c", 5, "1.0", 10)]);
        let known = |node: &str| unsaved.seen[node].clone();
        assert_eq!(known("a"), Seen { lag: Some(5), ..seen("a", 9, "1.0", 11) });
        assert_eq!(known("b"), seen("b", 9, "2.0", 11));
        assert_eq!(known("c"), seen("c", 5, "1.0", 10));
        // However long it cannot be saved.
        unsaved.put_back((0..2 * NODES_MAX).map(|number| seen(&number.to_string(), 1, "", 1)).collect());
        assert_eq!(unsaved.seen.len(), NODES_MAX);
        assert!(unsaved.of("new").is_none() && unsaved.of("a").is_some());
    }
}
