//! The oracle: every byte that was ever written to a followed path, and what must be stored of it.

/// What was written to one path, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Stream {
    parts: Vec<Part>,
    /// Bytes at the end that are no whole line yet.
    half: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// Must be stored, all of it.
    Kept(Vec<u8>),
    /// Was destroyed when its size was known: what is not stored of its end must be told in `gaps`.
    Torn(Vec<u8>),
}

impl Stream {
    /// Notes what was written.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::Kept(kept)) => kept.extend_from_slice(bytes),
            _ => self.parts.push(Part::Kept(bytes.to_vec())),
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        self.half = end.map_or(self.half + bytes.len() as u64, |at| (bytes.len() - at - 1) as u64);
    }

    /// Notes what was written and then destroyed, perhaps before it was read.
    pub(super) fn tore(&mut self, bytes: &[u8]) {
        self.parts.push(Part::Torn(bytes.to_vec()));
    }

    /// Where a follower stands that has read every whole line.
    pub(super) fn end(&self) -> u64 {
        let bytes = |part: &Part| match part {
            Part::Kept(bytes) | Part::Torn(bytes) => bytes.len() as u64,
        };
        self.parts.iter().map(bytes).sum::<u64>() - self.half
    }

    /// Where the last whole line starts.
    pub(super) fn last_line(&self) -> u64 {
        let Some(Part::Kept(kept)) = self.parts.last() else { return 0 };
        let whole = &kept[..kept.len() - self.half as usize];
        let start =
            whole[..whole.len().max(1) - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.end() - (whole.len() - start) as u64
    }

    /// Whether `stored`, the path's lines in order, and the bytes told in `gaps` are what was written. Where the
    /// disk was full, the oldest lines may be gone.
    pub(super) fn check(&self, stored: &[u8], gap_bytes: u64, front_may_be_gone: bool) -> Result<(), String> {
        let mut rest = stored;
        let mut torn_bytes = 0;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Kept(kept) if index == 0 && front_may_be_gone => {
                    rest = skip_to_end_of(kept, rest)?;
                }
                Part::Kept(kept) => {
                    let same = common(kept, rest);
                    if same < kept.len() {
                        return Err(differs(kept, rest, same, stored.len() - rest.len() + same));
                    }
                    rest = &rest[same..];
                }
                Part::Torn(torn) => {
                    let same = common(torn, rest);
                    torn_bytes += (torn.len() - same) as u64;
                    rest = &rest[same..];
                }
            }
        }
        match (rest.is_empty(), torn_bytes == gap_bytes) {
            (false, _) => Err(format!("{} bytes too many are stored, from {}", rest.len(), show(rest))),
            (true, false) => {
                Err(format!("{torn_bytes} bytes were destroyed unread, `gaps` tells {gap_bytes}"))
            }
            (true, true) => Ok(()),
        }
    }
}

/// `stored` is the end of `kept`, from some line on.
fn skip_to_end_of<'a>(kept: &[u8], stored: &'a [u8]) -> Result<&'a [u8], String> {
    let gone = kept.len().checked_sub(stored.len()).ok_or("more is stored than was written")?;
    let at_line = gone == 0 || kept[gone - 1] == b'\n';
    match at_line && kept[gone..] == *stored {
        true => Ok(&[]),
        false => Err(format!("{} bytes are stored that are not the end of what was written", stored.len())),
    }
}

fn common(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

fn differs(kept: &[u8], rest: &[u8], same: usize, at: usize) -> String {
    let line = kept[..same].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (written, stored) = (show(&kept[line..]), show(&rest[line.min(rest.len())..]));
    format!("byte {at} of what is stored differs\n  written: {written}\n  stored:  {stored}")
}

fn show(bytes: &[u8]) -> String {
    format!("{}...", bytes[..bytes.len().min(120)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        let mut stream = Stream::default();
        stream.wrote(b"a1\n");
        stream.tore(b"t1\nt2\n");
        stream.wrote(b"b1\nb2");
        stream
    }

    #[test]
    fn knows_what_must_be_there() {
        for (stored, gap_bytes, right) in [
            ("a1\nt1\nt2\nb1\nb2", 0, true),
            ("a1\nt1\nb1\nb2", 3, true),
            ("a1\nt1\ntb1\nb2", 2, true),
            ("a1\nb1\nb2", 6, true),
            ("a1\nb1\nb2", 5, false),
            ("a1\nt2\nb1\nb2", 3, false),
            ("a1\na1\nb1\nb2", 6, false),
            ("a1\nt1\nt2\nb1\nb2\nb2", 0, false),
            ("t1\nt2\nb1\nb2", 0, false),
        ] {
            assert_eq!(
                stream().check(stored.as_bytes(), gap_bytes, false).is_ok(),
                right,
                "{stored:?} {gap_bytes}"
            );
        }
        assert_eq!((stream().end(), stream().last_line()), (12, 9), "the half line is not whole");
    }

    #[test]
    fn a_full_disk_may_cost_the_oldest_lines() {
        let mut stream = Stream::default();
        stream.wrote(b"a1\na2\na3\n");
        for (stored, right) in
            [("a1\na2\na3\n", true), ("a3\n", true), ("", true), ("2\na3\n", false), ("a1\na3\n", false)]
        {
            assert_eq!(stream.check(stored.as_bytes(), 0, true).is_ok(), right, "{stored:?}");
        }
    }
}
