//! Numbered lines, whoever writes them, and what became of them: none lost, none twice, none out of order.

use std::fmt;
use std::fmt::Write as _;

/// Before the number of each line.
const MARK: &[u8] = b"line ";
const DIGITS: usize = 10;

/// The line of this number with its newline: 40 to 99 bytes, always the same.
pub fn numbered_line(number: u64) -> String {
    let mut out = String::with_capacity(100);
    let filler = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    write!(out, "line {number:010} says {filler:016x} ").expect("writing to a string cannot fail");
    (0..filler % 60).for_each(|at| out.push(char::from(b'a' + (at % 26) as u8)));
    out.push_str(".\n");
    out
}

/// The lines of these numbers, one after the other.
pub fn numbered_lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.for_each(|number| out.extend_from_slice(numbered_line(number).as_bytes()));
    out
}

/// What became of the numbered lines from 0 on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Lines that are there once, whole, in their place.
    pub whole: u64,
    /// Lines of which something is missing.
    pub lost: u64,
    /// Bytes that are missing of them.
    pub lost_bytes: u64,
    /// Beginnings of these, each a record of its own.
    pub begun: u64,
    /// Lines that are there again, or after a later one.
    pub doubled: u64,
    /// What is there though nobody wrote it so: split or joined lines.
    pub foreign: u64,
    /// The first few troubles, in words.
    pub troubles: Vec<String>,
}

impl Ledger {
    /// Compares `stored`, a source's bytes in order, with the lines `0..written`. The beginning of a line
    /// whose rest was destroyed counts for what it is: a part of that line.
    pub fn of(stored: &[u8], written: u64) -> Self {
        let mut ledger = Self::default();
        let mut next = 0;
        for piece in stored.split_inclusive(|byte| *byte == b'\n') {
            ledger.piece(piece, &mut next, written);
        }
        ledger.miss(&mut next, written, 0);
        ledger
    }

    /// Whether every line is there exactly once, in order.
    pub fn is_whole(&self) -> bool {
        self.lost + self.doubled + self.foreign == 0
    }

    fn piece(&mut self, piece: &[u8], next: &mut u64, written: u64) {
        let Some((fragment, number)) = last_line(piece).filter(|(_, number)| *number < written) else {
            // No whole line: the beginning of the next one, or nothing that anybody wrote.
            let is_beginning = *next < written && numbered_line(*next).as_bytes().starts_with(piece);
            return match is_beginning {
                true => self.miss(next, *next + 1, piece.len() as u64),
                false => self.odd(piece),
            };
        };
        if number < *next {
            self.doubled += 1;
            return self.say(format!("line {number} again, after line {}", *next - 1));
        }
        match fragment {
            [] => self.miss(next, number, 0),
            _ if number > *next && numbered_line(*next).as_bytes().starts_with(fragment) => {
                self.miss(next, number, fragment.len() as u64);
            }
            _ => {
                self.odd(piece);
                self.miss(next, number, 0);
            }
        }
        self.whole += 1;
        *next = number + 1;
    }

    /// The lines from `next` to `end` are missing, but for the first `there` bytes.
    fn miss(&mut self, next: &mut u64, end: u64, there: u64) {
        if *next >= end {
            return;
        }
        self.say(format!("lines {next} to {} are missing, but for {there} bytes", end - 1));
        self.lost += end - *next;
        self.begun += u64::from(there > 0);
        self.lost_bytes += (*next..end).map(|number| numbered_line(number).len() as u64).sum::<u64>() - there;
        *next = end;
    }

    fn odd(&mut self, piece: &[u8]) {
        self.foreign += 1;
        self.say(format!("nobody wrote {:?}", piece[..piece.len().min(150)].escape_ascii().to_string()));
    }

    fn say(&mut self, trouble: String) {
        if self.troubles.len() < 10 {
            self.troubles.push(trouble);
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, lost, lost_bytes, begun, doubled, foreign, troubles } = self;
        write!(f, "{whole} whole, {lost} lost ({lost_bytes} bytes, {begun} begun), ")?;
        write!(f, "{doubled} doubled, {foreign} foreign")?;
        troubles.iter().try_for_each(|trouble| write!(f, "\n  {trouble}"))
    }
}

/// The whole line at the end of `piece`: what stands before it, and its number.
fn last_line(piece: &[u8]) -> Option<(&[u8], u64)> {
    let at = piece.windows(MARK.len()).rposition(|window| window == MARK)?;
    let (fragment, line) = piece.split_at(at);
    let digits = line.get(MARK.len()..MARK.len() + DIGITS)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (numbered_line(number).as_bytes() == line).then_some((fragment, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(parts: &[&[u8]], written: u64) -> [u64; 5] {
        let ledger = Ledger::of(&parts.concat(), written);
        let Ledger { whole, lost, lost_bytes, begun, doubled, foreign, .. } = ledger;
        let half = parts.iter().any(|part| part.len() == 20 && !part.ends_with(b"\n"));
        assert_eq!(begun, u64::from(half && foreign == 0));
        [whole, lost, lost_bytes, doubled, foreign]
    }

    #[test]
    fn tells_what_became_of_lines() {
        let lines = |numbers| numbered_lines(numbers);
        let size = |number| numbered_line(number).len() as u64;
        let (first, half) = (lines(0..10), &numbered_line(10)[..20]);
        for (parts, written, expected) in [
            (&[&first[..]][..], 10, [10, 0, 0, 0, 0]),
            (&[], 0, [0, 0, 0, 0, 0]),
            (&[&first], 11, [10, 1, size(10), 0, 0]),
            (&[&first, &lines(11..13)], 13, [12, 1, size(10), 0, 0]),
            (&[&first, &lines(9..12)], 12, [12, 0, 0, 1, 0]),
            (&[&first, half.as_bytes(), &lines(12..13)], 13, [11, 2, size(10) + size(11) - 20, 0, 0]),
            (&[&first, half.as_bytes()], 11, [10, 1, size(10) - 20, 0, 0]),
            (&[&first, b"junk\n", &lines(10..11)], 11, [11, 0, 0, 0, 1]),
            (&[&first, half.as_bytes(), b"\n", &lines(11..12)], 12, [11, 1, size(10), 0, 1]),
            (&[&first, &lines(10..11)], 10, [10, 0, 0, 0, 1]),
        ] {
            assert_eq!(ledger(parts, written), expected, "{}", parts.concat().escape_ascii());
        }
    }

    #[test]
    fn lines_differ_in_length_and_never_change() {
        assert_eq!(numbered_line(0), "line 0000000000 says 0000000000000000 .\n");
        let sizes: std::collections::BTreeSet<usize> = (0..1000).map(|n| numbered_line(n).len()).collect();
        assert_eq!((sizes.first(), sizes.last(), sizes.len()), (Some(&40), Some(&99), 60));
    }
}
