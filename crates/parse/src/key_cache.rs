//! From an attribute's name to its index in the batch, without hashing what the line before had too.

use taffrail_record::{LogBatch, Span};

use crate::draft::Known;

/// Distinct keys in a batch; members with further ones are not extracted, their lines are kept whole.
const KEYS_MAX: usize = 4096;
/// Bytes of a key at most.
const KEY_LEN_MAX: usize = 255;
const UNSET: u16 = u16::MAX;

/// The keys of the current batch that were used last.
#[derive(Debug)]
pub(crate) struct KeyCache {
    known: [u16; Known::COUNT],
    /// By the attribute's position in its line.
    named: Vec<(Vec<u8>, u16)>,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self { known: [UNSET; Known::COUNT], named: Vec::new() }
    }

    /// Forgets everything: indices belong to one batch.
    pub(crate) fn clear(&mut self) {
        self.known = [UNSET; Known::COUNT];
        self.named.clear();
    }

    pub(crate) fn known(&mut self, known: Known, batch: &mut LogBatch) -> Option<u16> {
        match self.known[known as usize] {
            UNSET => self.first_use(known, batch),
            index => Some(index),
        }
    }

    #[cold]
    fn first_use(&mut self, known: Known, batch: &mut LogBatch) -> Option<u16> {
        let index = batch.key(known.name())?;
        self.known[known as usize] = index;
        Some(index)
    }

    /// As [`KeyCache::named`] for a name that stands in the batch's arena.
    pub(crate) fn in_arena(&mut self, position: usize, name: Span, batch: &mut LogBatch) -> Option<u16> {
        if let Some((known, index)) = self.named.get(position)
            && known == batch.bytes(name)
        {
            return Some(*index);
        }
        let name = batch.bytes(name).to_vec();
        self.named(position, &name, batch)
    }

    /// The index of `name`, the attribute at `position`; `None` if the batch has too many or it is too long.
    pub(crate) fn named(&mut self, position: usize, name: &[u8], batch: &mut LogBatch) -> Option<u16> {
        if let Some((known, index)) = self.named.get(position)
            && known == name
        {
            return Some(*index);
        }
        if batch.keys().len() >= KEYS_MAX || name.len() > KEY_LEN_MAX {
            return None;
        }
        let index = batch.key(std::str::from_utf8(name).ok()?)?;
        if self.named.len() <= position {
            self.named.resize(position + 1, (Vec::new(), index));
        }
        self.named[position] = (name.to_vec(), index);
        Some(index)
    }
}
