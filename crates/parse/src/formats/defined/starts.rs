//! Which patterns a line can match, by its first byte and by what follows the time that it begins with: as bits, so that
//! hundreds of patterns cost a line no more than a few.

use super::Format;
use crate::byte_mask::Bits;
use crate::clock::Shape;

/// Keys of what follows a time: each byte, each byte after blanks, and the end of the line.
const KEYS: usize = 513;
const AFTER_BLANKS: usize = 256;
const END: usize = 512;

/// The patterns that do not begin with a text that says what a line is.
#[derive(Debug)]
pub(super) struct Starts {
    /// In the order in which they are tried.
    patterns: Vec<Numbered>,
    /// Words of 64 patterns.
    words: usize,
    /// By first byte.
    first: Vec<u64>,
    /// By what follows a time; patterns that begin with none of any shape are in all.
    after_time: Vec<u64>,
    /// Patterns that begin with no time of any shape.
    untimed: Vec<u64>,
}

#[derive(Debug)]
struct Numbered {
    format: usize,
    pattern: usize,
    /// How many steps it and the pattern before begin with alike.
    alike: usize,
    /// The bit of the shape of the time that it begins with; 0 if it begins with none, or with one that no bit is left for.
    shape: u64,
}

/// A pattern that a line can match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// Its format.
    pub(super) format: usize,
    /// Its place there.
    pub(super) pattern: usize,
    /// How many steps it and the one that was given before begin with alike.
    pub(super) alike: usize,
    /// A bit that all patterns have that begin with a time of the same shape.
    pub(super) shape: u64,
}

impl Starts {
    /// Of all formats but the first `own`.
    pub(super) fn new(formats: &[Format], own: usize) -> Self {
        let mut patterns: Vec<Numbered> = Vec::new();
        let mut shapes: Vec<&Shape> = Vec::new();
        for (format, Format { patterns: of_format, .. }) in formats.iter().enumerate().skip(own) {
            for (index, pattern) in of_format.iter().enumerate().filter(|(_, one)| !one.begins_with_text()) {
                let alike = patterns.last().map_or(0, |before| {
                    formats[before.format].patterns[before.pattern].alike(pattern, before.format == format)
                });
                let shape = pattern.shape().map_or(0, |shape| {
                    let known = shapes.iter().position(|known| *known == shape);
                    let number = known.unwrap_or_else(|| {
                        shapes.push(shape);
                        shapes.len() - 1
                    });
                    1u64.checked_shl(number as u32).unwrap_or(0)
                });
                patterns.push(Numbered { format, pattern: index, alike, shape });
            }
        }
        let words = patterns.len().div_ceil(64);
        let mut first = vec![0; 256 * words];
        let mut after_time = vec![0; KEYS * words];
        let mut untimed = vec![0; words];
        for (number, one) in patterns.iter().enumerate() {
            let pattern = &formats[one.format].patterns[one.pattern];
            let (word, bit) = (number / 64, 1 << (number % 64));
            for byte in (0..=u8::MAX).filter(|byte| pattern.may_start_with(*byte)) {
                first[usize::from(byte) * words + word] |= bit;
            }
            for key in 0..KEYS {
                let byte = (key % AFTER_BLANKS) as u8;
                if key == END || pattern.may_follow_time(key >= AFTER_BLANKS, byte) {
                    after_time[key * words + word] |= bit;
                }
            }
            if !pattern.is_timed() {
                untimed[word] |= bit;
            }
        }
        Self { patterns, words, first, after_time, untimed }
    }

    /// Whether it matters what follows the time of a line with this first byte.
    pub(super) fn ask_for_time(&self, first: u8) -> bool {
        let start = usize::from(first) * self.words;
        self.first[start..start + self.words]
            .iter()
            .zip(&self.untimed)
            .any(|(bits, untimed)| bits & !untimed != 0)
    }

    /// The patterns that a line can match. `rest` is what follows the time that it begins with.
    pub(super) fn of(&self, first: u8, rest: Option<&[u8]>) -> impl Iterator<Item = Match> + '_ {
        let after = match rest {
            Some(rest) => &self.after_time[key(rest) * self.words..],
            None => &self.untimed[..],
        };
        let start = usize::from(first) * self.words;
        let mut before = usize::MAX;
        (0..self.words)
            .flat_map(move |word| {
                Bits(self.first[start + word] & after[word]).map(move |bit| word * 64 + bit)
            })
            .map(move |number| {
                let Numbered { format, pattern, alike, shape } = self.patterns[number];
                let is_next = before.wrapping_add(1) == number;
                before = number;
                Match { format, pattern, alike: if is_next { alike } else { 0 }, shape }
            })
    }
}

fn key(rest: &[u8]) -> usize {
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest.get(blanks) {
        None => END,
        Some(byte) if blanks > 0 => AFTER_BLANKS + usize::from(*byte),
        Some(byte) => usize::from(*byte),
    }
}
