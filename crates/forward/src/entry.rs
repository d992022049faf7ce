//! What is kept and sent: an entry is a batch of lines or a sample, packed, with its number and a checksum. On the disk and on the
//! wire it is the same bytes.
//!
//! ```text
//! length of the rest u32 | CRC-32 of the rest u32 | sequence u64 | kind u8 | packing u8 | lines u32 | payload
//! ```
//! Numbers are little-endian. Kind 0 is lines: a frame (see [`taffrail_frame`]); kind 1 is a sample: an envelope as JSON; kind
//! 2 is a loss: first and last sequence of what was dropped (u64 each), then a frame without lines, whose gaps say what was in
//! it. Packing 0 is none, 1 is zstd.

use taffrail_frame::Frame;
use taffrail_record::RawBatch;

/// Bytes before the rest.
pub(crate) const HEAD: usize = 8;
/// Bytes of the rest before the payload.
const INNER: usize = 14;
/// Longest rest that is written or believed.
pub(crate) const REST_MAX: usize = 96 << 20;
/// Longest payload that is unpacked.
const PAYLOAD_MAX: usize = 96 << 20;
/// Shorter payloads do not become smaller.
const PACK_MIN: usize = 128;
const LEVEL: i32 = 1;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Lines of a source.
    Lines,
    /// A sample of the machine.
    Sample,
    /// What was dropped before it could be sent.
    Loss,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Lines, Self::Sample, Self::Loss];
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number: the first has 1, and each the next.
    pub sequence: u64,
    /// What it is.
    pub kind: Kind,
    /// Lines in it.
    pub lines: u32,
    is_packed: bool,
    payload: Vec<u8>,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub enum Content {
    /// Lines, and the note on how they are to be parsed.
    Lines(RawBatch, String),
    /// An envelope as JSON.
    Sample(String),
    /// What was dropped.
    Loss {
        /// The first and the last number.
        entries: (u64, u64),
        /// What was in them: no lines, only gaps.
        batch: RawBatch,
    },
}

impl Entry {
    /// An entry without a number, out of its payload.
    pub(crate) fn new(kind: Kind, lines: u64, payload: Vec<u8>) -> std::io::Result<Self> {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        if payload.len() < PACK_MIN {
            return Ok(Self { sequence: 0, kind, lines, is_packed: false, payload });
        }
        let payload = zstd::bulk::compress(&payload, LEVEL)?;
        Ok(Self { sequence: 0, kind, lines, is_packed: true, payload })
    }

    /// An entry without a number: a batch with its note.
    ///
    /// # Errors
    /// If it cannot be packed.
    pub fn of_lines(batch: &RawBatch, note: &str) -> std::io::Result<Self> {
        Self::of_batch(Kind::Lines, Vec::new(), batch, note)
    }

    /// The word of a loss: of the entries between these numbers, with the gaps of a batch.
    pub(crate) fn of_loss((first, last): (u64, u64), batch: &RawBatch) -> std::io::Result<Self> {
        let mut head = first.to_le_bytes().to_vec();
        head.extend_from_slice(&last.to_le_bytes());
        Ok(Self { sequence: last, ..Self::of_batch(Kind::Loss, head, batch, "")? })
    }

    /// An entry without a number: a batch with its note, behind what the payload begins with.
    pub(crate) fn of_batch(
        kind: Kind,
        mut payload: Vec<u8>,
        batch: &RawBatch,
        note: &str,
    ) -> std::io::Result<Self> {
        let frame = Frame::new(batch, note);
        let parts = frame.parts(&batch.bytes);
        let parts = parts.ok_or_else(|| std::io::Error::other("a frame without its bytes"))?;
        payload.reserve(frame.bytes());
        parts.into_iter().for_each(|part| payload.extend_from_slice(part));
        Self::new(kind, batch.line_count(), payload)
    }

    /// Adds its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&((INNER + self.payload.len()) as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        let kind = Kind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or(0) as u8;
        out.extend_from_slice(&[kind, u8::from(self.is_packed)]);
        out.extend_from_slice(&self.lines.to_le_bytes());
        out.extend_from_slice(&self.payload);
        let checksum = crc32fast::hash(&out[start + HEAD..]);
        out[start + 4..start + HEAD].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The number of its bytes.
    pub fn bytes(&self) -> usize {
        HEAD + INNER + self.payload.len()
    }

    /// The number of bytes of what it says, unpacked.
    pub fn unpacked_bytes(&self) -> usize {
        if self.is_packed { unpacked_bytes(&self.payload).unwrap_or(0) } else { self.payload.len() }
    }

    /// The first entry of `bytes`, and what follows it; `None` if it is not whole, or none.
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (length, checksum) = head(bytes)?;
        let (rest, after) = bytes.get(HEAD..)?.split_at_checked(length)?;
        Some((Self::of_rest(rest, checksum)?, after))
    }

    pub(crate) fn of_rest(rest: &[u8], checksum: u32) -> Option<Self> {
        if rest.len() < INNER || crc32fast::hash(rest) != checksum {
            return None;
        }
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (&[kind, packing], rest) = rest.split_first_chunk::<2>()?;
        let (lines, payload) = rest.split_first_chunk::<4>()?;
        let kind = *Kind::ALL.get(usize::from(kind))?;
        let sequence = u64::from_le_bytes(*sequence);
        let lines = u32::from_le_bytes(*lines);
        (packing < 2).then(|| Self {
            sequence,
            kind,
            lines,
            is_packed: packing == 1,
            payload: payload.to_vec(),
        })
    }

    /// What it says; `None` if it says nothing that is known.
    pub fn content(&self) -> Option<Content> {
        let unpacked;
        let payload = if self.is_packed {
            unpacked = zstd::bulk::decompress(&self.payload, unpacked_bytes(&self.payload)?).ok()?;
            &unpacked[..]
        } else {
            &self.payload[..]
        };
        match self.kind {
            Kind::Lines => {
                let (batch, note) = taffrail_frame::decode(payload)?;
                Some(Content::Lines(batch, note))
            }
            Kind::Sample => Some(Content::Sample(String::from_utf8(payload.to_vec()).ok()?)),
            Kind::Loss => {
                let (first, rest) = payload.split_first_chunk::<8>()?;
                let (last, rest) = rest.split_first_chunk::<8>()?;
                let (batch, _) = taffrail_frame::decode(rest)?;
                let entries = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
                Some(Content::Loss { entries, batch })
            }
        }
    }
}

/// Length and checksum of the rest; `None` for what cannot be.
pub(crate) fn head(bytes: &[u8]) -> Option<(usize, u32)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    (INNER..=REST_MAX).contains(&length).then(|| (length, u32::from_le_bytes(*checksum)))
}

/// What a packed payload becomes, as it says itself, within bounds.
fn unpacked_bytes(packed: &[u8]) -> Option<usize> {
    let bytes = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= PAYLOAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_damage_is_seen() {
        let long = format!("{{\"node_id\":\"web-1\",\"x\":\"{}\"}}", "abc".repeat(200));
        for text in ["{}", &long] {
            let entry =
                Entry { sequence: 7, ..Entry::new(Kind::Sample, 0, text.as_bytes().to_vec()).unwrap() };
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            assert_eq!(bytes.len(), entry.bytes());
            bytes.extend_from_slice(b"more");
            let (read, rest) = Entry::read(&bytes).unwrap();
            assert_eq!((&read, rest), (&entry, &b"more"[..]));
            assert!(matches!(read.content(), Some(Content::Sample(found)) if found == text));
            for end in 0..entry.bytes() {
                assert!(Entry::read(&bytes[..end]).is_none(), "cut at {end}");
            }
            for at in 0..entry.bytes() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x41;
                assert!(Entry::read(&bytes).is_none(), "byte {at}");
            }
        }
    }
}
