//! A raw batch as bytes: what a store's log holds, and what an agent keeps and sends.
//!
//! Owns: the payload of a frame. Depends on: record. Never: reads or writes a file, knows who sends. Start reading at [`Frame`].
//!
//! Numbers are LEB128, texts and bytes have their length first.
//!
//! ```text
//! version | source | origin | header, from version 2 on | observed (8 bytes) | checkpoint: offset, lines, state
//! gaps: count, then start, end, observed (8 bytes), reason
//! lines: count, then per line: skipped bytes before it, its length * 2 + newline, offset step
//! bytes
//! ```
//! Batches without a header are of version 1, all others of version 2. `origin` is the caller's note on how the lines are to be
//! parsed; it comes back as it was. The offset step of a line is its offset minus what it would be if the bytes were contiguous
//! in the source.

use taffrail_record::{Checkpoint, Gap, GapReason, RawBatch, RawLine, Span, Timestamp};

/// Of batches without a header, and of those with one.
const VERSIONS: [u64; 2] = [1, 2];
const REASONS: [GapReason; 6] = [
    GapReason::TruncatedBeforeRead,
    GapReason::Oversize,
    GapReason::Overrun,
    GapReason::Decode,
    GapReason::Damaged,
    GapReason::Refused,
];

/// The payload of a batch, without the batch's bytes, which end it: they are written from where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    head: Vec<u8>,
    /// Where the time of reading stands in the head.
    observed_at: usize,
    bytes: usize,
}

impl Frame {
    /// The frame of a batch.
    pub fn new(batch: &RawBatch, origin: &str) -> Self {
        let (head, observed_at) = head(batch, origin);
        Self { head, observed_at, bytes: batch.bytes.len() }
    }

    /// Its lines were read at `moment`.
    pub fn observe(&mut self, moment: Timestamp) {
        if let Some(place) = self.head.get_mut(self.observed_at..self.observed_at + size_of::<i64>()) {
            place.copy_from_slice(&moment.0.to_le_bytes());
        }
    }

    /// Its length.
    pub const fn bytes(&self) -> usize {
        self.head.len() + self.bytes
    }

    /// Its two parts, given an arena that begins with the batch's bytes; `None` if it is too short for that.
    pub fn parts<'a>(&'a self, arena: &'a [u8]) -> Option<[&'a [u8]; 2]> {
        Some([&self.head, arena.get(..self.bytes)?])
    }
}

/// The head, and where the time of reading stands in it.
fn head(batch: &RawBatch, origin: &str) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(batch.lines.len() * 4 + 256);
    number(&mut out, VERSIONS[usize::from(batch.header.is_some())]);
    bytes(&mut out, batch.source.as_bytes());
    bytes(&mut out, origin.as_bytes());
    if let Some(header) = &batch.header {
        bytes(&mut out, header.as_bytes());
    }
    let observed_at = out.len();
    out.extend_from_slice(&batch.observed.0.to_le_bytes());
    number(&mut out, batch.checkpoint.offset);
    number(&mut out, batch.checkpoint.lines);
    bytes(&mut out, batch.checkpoint.state.as_bytes());
    number(&mut out, batch.gaps.len() as u64);
    for gap in &batch.gaps {
        number(&mut out, gap.start);
        number(&mut out, gap.end);
        out.extend_from_slice(&gap.observed.0.to_le_bytes());
        number(&mut out, REASONS.iter().position(|reason| *reason == gap.reason).unwrap_or(0) as u64);
    }
    number(&mut out, batch.lines.len() as u64);
    let (mut position, mut expected) = (0u64, 0u64);
    for line in &batch.lines {
        let start = u64::from(line.span.start);
        number(&mut out, start.wrapping_sub(position));
        number(&mut out, u64::from(line.span.len) << 1 | u64::from(line.newline));
        number(&mut out, line.offset.wrapping_sub(expected.wrapping_add(start.wrapping_sub(position))));
        position = line.span.end() as u64;
        expected = line.offset.wrapping_add(u64::from(line.span.len));
    }
    number(&mut out, batch.bytes.len() as u64);
    (out, observed_at)
}

/// The batch of a payload and its origin; `None` if it is none of this version.
pub fn decode(payload: &[u8]) -> Option<(RawBatch, String)> {
    let mut input = Input(payload);
    let version = input.number()?;
    if !VERSIONS.contains(&version) {
        return None;
    }
    let source = std::str::from_utf8(input.bytes()?).ok()?.into();
    let origin = std::str::from_utf8(input.bytes()?).ok()?.to_owned();
    let header = match version {
        1 => None,
        _ => Some(std::str::from_utf8(input.bytes()?).ok()?.into()),
    };
    let observed = input.timestamp()?;
    let (offset, lines) = (input.number()?, input.number()?);
    let state = std::str::from_utf8(input.bytes()?).ok()?.to_owned();
    let gap_count = input.number()?;
    let mut gaps = Vec::new();
    for _ in 0..gap_count {
        let (start, end, observed) = (input.number()?, input.number()?, input.timestamp()?);
        gaps.push(Gap { start, end, observed, reason: *REASONS.get(input.number()? as usize)? });
    }
    let line_count = input.number()?;
    let mut raw_lines = Vec::with_capacity((line_count as usize).min(payload.len()));
    let (mut position, mut expected) = (0u64, 0u64);
    for _ in 0..line_count {
        let skipped = input.number()?;
        let start = position.wrapping_add(skipped);
        let length = input.number()?;
        let offset = input.number()?.wrapping_add(expected.wrapping_add(skipped));
        let end = start.checked_add(length >> 1).filter(|end| *end <= payload.len() as u64)?;
        let span = Span::new(start as usize, end as usize);
        raw_lines.push(RawLine { span, offset, newline: length & 1 == 1, joined: false });
        position = end;
        expected = offset.wrapping_add(length >> 1);
    }
    let bytes = input.bytes()?.to_vec();
    let inside = raw_lines.iter().all(|line| line.span.end() <= bytes.len());
    for line in raw_lines.iter_mut().filter(|_| inside) {
        line.joined = line.span.of(&bytes).contains(&b'\n');
    }
    let checkpoint = Checkpoint { offset, lines, state };
    (inside && input.0.is_empty())
        .then_some((RawBatch { source, observed, bytes, lines: raw_lines, header, gaps, checkpoint }, origin))
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(Timestamp(i64::from_le_bytes(*bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RawBatch {
        let bytes = b"one\ntwo\r\n\nrest".to_vec();
        let line = |start, end, offset, newline| RawLine {
            span: Span::new(start, end),
            offset,
            newline,
            joined: false,
        };
        RawBatch {
            source: "/var/log/a.log".into(),
            observed: Timestamp(-5),
            lines: vec![
                line(0, 3, 100, true),
                line(4, 8, 104, true),
                line(9, 9, 109, true),
                line(10, 14, 5_000, false),
            ],
            bytes,
            header: Some("#Fields: a b".into()),
            gaps: vec![Gap { start: 110, end: 5_000, observed: Timestamp(9), reason: GapReason::Oversize }],
            checkpoint: Checkpoint { offset: 5_004, lines: 4, state: "v1 x".to_owned() },
        }
    }

    fn same(a: &RawBatch, b: &RawBatch) -> bool {
        (&a.source, a.observed, &a.bytes, &a.lines, &a.header, &a.gaps, &a.checkpoint)
            == (&b.source, b.observed, &b.bytes, &b.lines, &b.header, &b.gaps, &b.checkpoint)
    }

    fn encode(batch: &RawBatch, origin: &str) -> Vec<u8> {
        let frame = Frame::new(batch, origin);
        let payload = frame.parts(&batch.bytes).unwrap().concat();
        assert_eq!(payload.len(), frame.bytes());
        payload
    }

    #[test]
    fn decodes_what_it_encoded() {
        for batch in [sample(), RawBatch { header: None, ..sample() }] {
            let (decoded, origin) = decode(&encode(&batch, "note")).unwrap();
            assert!(same(&decoded, &batch));
            assert_eq!(origin, "note");
        }
    }

    #[test]
    fn the_time_of_reading_can_be_set_later() {
        let batch = sample();
        let mut frame = Frame::new(&batch, "note");
        frame.observe(Timestamp(77));
        let (decoded, _) = decode(&frame.parts(&batch.bytes).unwrap().concat()).unwrap();
        assert!(same(&decoded, &RawBatch { observed: Timestamp(77), ..batch }));
    }

    #[test]
    fn any_cut_or_flipped_byte_is_survived() {
        let payload = encode(&sample(), "x");
        for end in 0..payload.len() {
            assert!(decode(&payload[..end]).is_none(), "cut at {end}");
        }
        for at in 0..payload.len() {
            let mut payload = payload.clone();
            payload[at] ^= 0x81;
            if let Some((batch, _)) = decode(&payload) {
                assert!(batch.lines.iter().all(|line| line.span.end() <= batch.bytes.len()));
            }
        }
    }
}
