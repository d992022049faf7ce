//! A checkpoint's state: which file a source was in, and where, written as one line of text.

use std::fmt::Write as _;

use taffrail_record::{Checkpoint, Timestamp};

use crate::identity::{Fingerprint, Identity, PREFIX_BYTES};

/// A position in a file, with what is needed to know that file again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) identity: Identity,
    /// Offset in the source at which this file's first byte lies.
    pub(crate) base: u64,
    /// Position in the file after what was handed over.
    pub(crate) position: u64,
    /// The largest size the file was seen to have.
    pub(crate) size: u64,
    /// Offset in the source at which the dropped rest of an oversize line began, if it is still going on.
    pub(crate) skip: Option<u64>,
    /// When the file was last written to, as far as that was seen. The file system's clock is the measure for what
    /// came before and after.
    pub(crate) modified: Timestamp,
    /// The file's first bytes, as far as they were handed over.
    pub(crate) prefix: Fingerprint,
    /// The bytes right before `position`.
    pub(crate) edge: Fingerprint,
    /// The files that were read before this one: they are known again among rotated files.
    pub(crate) previous: History,
}

impl Mark {
    /// Of a file of which nothing was read.
    pub(crate) fn start(
        identity: Identity,
        base: u64,
        size: u64,
        modified: Timestamp,
        previous: History,
    ) -> Self {
        let none = Fingerprint::EMPTY;
        Self { identity, base, position: 0, size, skip: None, modified, prefix: none, edge: none, previous }
    }
}

impl Mark {
    /// Where a source goes on whose checkpoint is `before`, if it had one: in this file, which another has read so far.
    pub(crate) fn of_its_own(&self, before: Option<&Checkpoint>) -> Checkpoint {
        let (offset, lines) = before.map_or((0, 0), |before| (before.offset, before.lines));
        // Offsets are used once.
        let offset = offset.max(self.position);
        let (base, previous) = (offset - self.position, History::default());
        let state = Resume::In(Self { base, skip: None, previous, ..*self }).encode();
        Checkpoint { offset, lines, state }
    }
}

/// The latest files that were read to their end, the newest first: some are deleted, or stand where they stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct History([Option<Past>; 4]);

impl History {
    pub(crate) fn push(&mut self, past: Past) {
        let [first, second, third, _] = self.0;
        self.0 = [Some(past), first, second, third];
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Past> + Clone {
        self.0.iter().flatten()
    }

    /// A file that was read was written to since.
    pub(crate) fn renew(&mut self, past: &Past) {
        let known = self.0.iter_mut().flatten().filter(|known| known.identity.is(&past.identity));
        known.for_each(|known| known.modified = past.modified);
    }

    pub(crate) fn newest(&self) -> Option<Past> {
        self.0[0]
    }
}

/// A file that was read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Past {
    pub(crate) identity: Identity,
    /// When it was last written to; compressing it keeps that.
    pub(crate) modified: Timestamp,
}

impl Past {
    /// Whether a file that was written to last at `time` may be its compressed form. Some programs keep whole seconds
    /// only.
    pub(crate) fn may_be_packed_as_of(&self, time: Timestamp) -> bool {
        let seconds = |time: Timestamp| time.0.div_euclid(Timestamp::SECOND);
        let whole = time.0 % Timestamp::SECOND == 0;
        time == self.modified || whole && seconds(time) == seconds(self.modified)
    }
}

/// What a checkpoint says about where to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resume {
    /// In this file.
    In(Mark),
    /// The last file was finished; the next starts at the checkpoint's offset.
    Between(History),
    /// The state is empty, damaged or from a later release.
    Unknown,
}

const VERSION: &str = "v1";
const BETWEEN: &str = "v1 between";

impl Resume {
    /// The text for [`Checkpoint::state`].
    pub(crate) fn encode(&self) -> String {
        let mark = match self {
            Self::In(mark) => mark,
            Self::Between(history) => return format!("{BETWEEN}{}", after(history)),
            Self::Unknown => return String::new(),
        };
        let (prefix, edge) = (mark.prefix, mark.edge);
        let mut out = format!(
            "{VERSION} {} base={} size={} modified={} prefix={}:{:x} edge={}:{:x}",
            mark.identity,
            mark.base,
            mark.size,
            mark.modified.0,
            prefix.len,
            prefix.hash,
            edge.len,
            edge.hash
        );
        if let Some(skip) = mark.skip {
            // Writing to a String cannot fail.
            let _ = write!(out, " skip={skip}");
        }
        out + &after(&mark.previous)
    }

    /// Reads any text; what it does not understand is [`Resume::Unknown`].
    pub(crate) fn decode(checkpoint: &Checkpoint) -> Self {
        if let Some(after) = checkpoint.state.strip_prefix(BETWEEN) {
            let history = after.strip_prefix(" after=").and_then(|text| text.split(' ').next());
            return Self::Between(history.and_then(history_of).unwrap_or_default());
        }
        mark_of(checkpoint).map_or(Self::Unknown, Self::In)
    }
}

fn mark_of(checkpoint: &Checkpoint) -> Option<Mark> {
    let mut words = checkpoint.state.split(' ');
    if words.next() != Some(VERSION) {
        return None;
    }
    let (mut dev, mut ino, mut birth, mut base, mut size) = (None, None, None, None, None);
    let (mut prefix, mut edge, mut skip, mut modified) = (None, None, None, None);
    let mut previous = History::default();
    for word in words {
        let (key, value) = word.split_once('=')?;
        match key {
            "dev" => dev = Some(value.parse().ok()?),
            "ino" => ino = Some(value.parse().ok()?),
            "birth" => birth = Some(value.parse().ok()?),
            "base" => base = Some(value.parse().ok()?),
            "size" => size = Some(value.parse().ok()?),
            "modified" => modified = Some(Timestamp(value.parse().ok()?)),
            "prefix" => prefix = Some(fingerprint_of(value)?),
            "edge" => edge = Some(fingerprint_of(value)?),
            "skip" => skip = Some(value.parse().ok()?),
            "after" => previous = history_of(value)?,
            // A later release may know more about a file; what it adds cannot change where to go on.
            _ => {}
        }
    }
    let (base, edge, prefix): (u64, Fingerprint, Fingerprint) = (base?, edge?, prefix?);
    let position = checkpoint.offset.checked_sub(base)?;
    let plausible = edge.len as u64 <= position
        && prefix.len as u64 <= position
        && edge.len.max(prefix.len) <= PREFIX_BYTES
        && base.checked_add(size?).is_some()
        && skip.is_none_or(|skip| (base..=checkpoint.offset).contains(&skip));
    let identity = Identity { dev: dev?, ino: ino?, birth };
    plausible.then_some(Mark {
        identity,
        base,
        position,
        size: size?,
        skip,
        // Written by earlier releases without it.
        modified: modified.unwrap_or(Timestamp(i64::MIN)),
        prefix,
        edge,
        previous,
    })
}

/// The words of a state that tell of files that were left and may still be written to; nothing if there are none.
pub(crate) fn late_words(marks: &[&Mark]) -> String {
    let texts: Vec<String> = marks.iter().map(|mark| late_text(mark)).collect();
    if texts.is_empty() { String::new() } else { format!(" late={}", texts.join(",")) }
}

fn late_text(mark: &Mark) -> String {
    let &Mark { identity: Identity { dev, ino, birth }, position, size, modified, prefix, edge, .. } = mark;
    let skip = u8::from(mark.skip.is_some());
    let birth = birth.map(|birth| format!(":{birth}")).unwrap_or_default();
    let (prefix, edge) = ((prefix.len, prefix.hash), (edge.len, edge.hash));
    format!(
        "{dev}:{ino}:{position}:{size}:{}:{skip}:{}:{:x}:{}:{:x}{birth}",
        modified.0, prefix.0, prefix.1, edge.0, edge.1
    )
}

/// The files that were left, as a state tells of them. What is not understood is passed over.
pub(crate) fn late_of(state: &str) -> Vec<Mark> {
    let text = state.split(' ').find_map(|word| word.strip_prefix("late=")).unwrap_or_default();
    text.split(',').filter_map(late_mark).collect()
}

fn late_mark(text: &str) -> Option<Mark> {
    let mut words = text.split(':');
    let mut next = || words.next();
    let (dev, ino) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (position, size): (u64, u64) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let modified = Timestamp(next()?.parse().ok()?);
    let skip = (next()? == "1").then_some(0);
    let (prefix, edge) = (fingerprint(next()?, next()?)?, fingerprint(next()?, next()?)?);
    let birth = next().map(str::parse).transpose().ok()?;
    let longest = edge.len.max(prefix.len);
    let is_plausible = longest <= PREFIX_BYTES && longest as u64 <= position;
    let identity = Identity { dev, ino, birth };
    let mark = Mark::start(identity, 0, size, modified, History::default());
    is_plausible.then_some(Mark { position, skip, prefix, edge, ..mark })
}

fn after(history: &History) -> String {
    let pasts = history.iter().map(|Past { identity: Identity { dev, ino, birth }, modified }| {
        let birth = birth.map(|birth| format!(":{birth}")).unwrap_or_default();
        format!("{dev}:{ino}:{}{birth}", modified.0)
    });
    let pasts = pasts.collect::<Vec<_>>().join(",");
    if pasts.is_empty() { pasts } else { format!(" after={pasts}") }
}

fn history_of(text: &str) -> Option<History> {
    let mut history = History::default();
    for past in text.split(',').rev() {
        history.push(past_of(past)?);
    }
    Some(history)
}

fn past_of(text: &str) -> Option<Past> {
    let mut numbers = text.splitn(4, ':');
    let (dev, ino) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let modified = Timestamp(numbers.next()?.parse().ok()?);
    let birth = numbers.next().map(str::parse).transpose().ok()?;
    Some(Past { identity: Identity { dev, ino, birth }, modified })
}

fn fingerprint_of(text: &str) -> Option<Fingerprint> {
    let (len, hash) = text.split_once(':')?;
    fingerprint(len, hash)
}

fn fingerprint(len: &str, hash: &str) -> Option<Fingerprint> {
    Some(Fingerprint { len: len.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark() -> Mark {
        Mark {
            identity: Identity { dev: 65024, ino: 77, birth: Some(1_763_600_000_123_456_789) },
            base: 1000,
            position: 200,
            size: 300,
            skip: Some(1100),
            modified: Timestamp(-5),
            prefix: Fingerprint::of(b"abc"),
            edge: Fingerprint::of(b"xyz\n"),
            previous: History([
                Some(Past {
                    identity: Identity { dev: 65024, ino: 76, birth: None },
                    modified: Timestamp(-7),
                }),
                None,
                None,
                None,
            ]),
        }
    }

    fn decode(state: &str, offset: u64) -> Resume {
        Resume::decode(&Checkpoint { offset, lines: 9, state: state.to_owned() })
    }

    #[test]
    fn what_is_written_is_read() {
        let identity = mark().identity;
        let nameless = Identity { birth: None, ..identity };
        let without = Mark { skip: None, identity: nameless, previous: History::default(), ..mark() };
        let mut previous = mark().previous;
        (0..5).for_each(|time| previous.push(Past { identity, modified: Timestamp(time) }));
        let after = Mark { previous, ..mark() };
        for mark in [mark(), without, after] {
            assert_eq!(decode(&Resume::In(mark).encode(), 1200), Resume::In(mark));
        }
        for past in [History::default(), mark().previous, previous] {
            assert_eq!(decode(&Resume::Between(past).encode(), 5), Resume::Between(past));
        }
        let later = format!("{} nlink=2", Resume::In(mark()).encode());
        assert_eq!(decode(&later, 1200), Resume::In(mark()), "unknown keys are passed over");
    }

    #[test]
    fn files_that_were_left_are_told_of() {
        let skipping = Mark { base: 0, skip: Some(0), previous: History::default(), ..mark() };
        let nameless = Identity { birth: None, ..mark().identity };
        let late = [skipping, Mark { skip: None, identity: nameless, ..skipping }];
        for resume in
            [Resume::In(mark()), Resume::Between(mark().previous), Resume::Between(History::default())]
        {
            let state = resume.encode() + &late_words(&late.each_ref());
            assert_eq!(decode(&state, 1200), resume);
            assert_eq!(late_of(&state), late);
        }
        assert_eq!(late_of("v1 late=1:2:3,,x:y"), []);
    }

    #[test]
    fn anything_else_is_unknown() {
        let good = Resume::In(mark()).encode();
        let nul = "\0".repeat(80);
        let half = &good[..good.len() / 2];
        let newer = good.replacen("v1", "v2", 1);
        let negative = good.replacen("base=1000", "base=-1", 1);
        for state in ["", "v1", "v1 ", nul.as_str(), half, &newer, &negative] {
            assert_eq!(decode(state, 1200), Resume::Unknown, "{state:?}");
        }
        assert_eq!(decode(&good, 999), Resume::Unknown, "an offset before the file's base");
    }

    proptest! {
        #[test]
        fn decoding_is_total(state in ".*", offset: u64, cut in 0usize..200, flip in 0usize..200) {
            decode(&state, offset);
            let mut bytes = Resume::In(mark()).encode().into_bytes();
            let len = bytes.len();
            bytes[flip % len] ^= 1 << (flip % 7);
            bytes.truncate(cut);
            decode(&String::from_utf8_lossy(&bytes), offset);
            late_of(&format!("v1 late={state}"));
        }
    }
}
