//! What a word is, for the index and for the search: letters, digits, `_` and every byte from 0x80 on, in a
//! row; ASCII case does not count.

use wide::u8x16;

/// Words shorter than this are in no index; a search for one reads everything.
pub const WORD_MIN: usize = 2;

/// Whether a byte is part of words.
pub const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of texts, as hashes. Keeps buffers between calls.
#[derive(Default)]
pub struct Words {
    /// The text with its letters lower-cased, and at least [`CHUNK`] bytes more.
    folded: Vec<u8>,
    /// Which of its bytes are part of words, as one bit a byte.
    inside: Vec<u64>,
}

/// Bytes that are hashed at once.
const CHUNK: usize = 8;
/// Bytes that are folded at once.
const LANES: usize = 16;

impl Words {
    /// Calls `each` with the hash of every indexed word of `text`.
    pub fn hashes(&mut self, text: &[u8], mut each: impl FnMut(u64)) {
        self.fold(text);
        let mut each = |start: usize, end: usize| each(hash_of(&self.folded[start..], end - start));
        // Of a word that goes on in the next block.
        let mut begun = None;
        let mut before = 0;
        for (block, blocks) in self.inside.windows(2).enumerate() {
            let (inside, next) = (blocks[0], blocks[1]);
            // Single bytes are below the minimum.
            const { assert!(WORD_MIN == 2) };
            let inside = inside & ((inside << 1 | before) | (inside >> 1 | next << 63));
            let mut starts = inside & !(inside << 1 | before);
            let mut ends = !inside & (inside << 1 | before);
            before = inside >> 63;
            let at = |bits: u64| block * 64 + bits.trailing_zeros() as usize;
            if let Some(start) = begun
                && ends != 0
            {
                each(start, at(ends));
                ends &= ends - 1;
                begun = None;
            }
            while ends != 0 {
                each(at(starts), at(ends));
                starts &= starts - 1;
                ends &= ends - 1;
            }
            if starts != 0 {
                begun = Some(at(starts));
            }
        }
    }

    /// Lower-cases letters, and notes which bytes are part of words. What follows the end is part of none.
    fn fold(&mut self, text: &[u8]) {
        let splat = u8x16::splat;
        self.folded.clear();
        self.inside.clear();
        let (whole, rest) = text.as_chunks::<LANES>();
        let mut last = [0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (index, bytes) in whole.iter().chain([&last]).enumerate() {
            let bytes = u8x16::new(*bytes);
            let upper = (bytes - splat(b'A')).simd_le(splat(25));
            let folded = bytes | (upper & splat(b'a' - b'A'));
            let letter = (folded - splat(b'a')).simd_le(splat(25));
            let digit = (bytes - splat(b'0')).simd_le(splat(9));
            // The highest bit of each byte counts, which those from 0x80 on have themselves.
            let inside = letter | digit | bytes.simd_eq(splat(b'_')) | bytes;
            let bits = u64::from(inside.to_bitmask());
            match index % 4 {
                0 => self.inside.push(bits),
                part => self.inside[index / 4] |= bits << (part * LANES),
            }
            self.folded.extend_from_slice(folded.as_array());
        }
        // No byte follows those of the last block; and the last chunk of a word can be read.
        self.inside.push(0);
        self.folded.extend_from_slice(&[0; CHUNK]);
    }
}

/// The hash of one whole word, as [`Words::hashes`] gives it.
pub fn hash(word: &[u8]) -> u64 {
    let mut found = 0;
    Words::default().hashes(word, |hash| found = hash);
    found
}

/// The words of `text` with their byte ranges.
pub fn split(text: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].iter().position(|byte| is_word_byte(*byte))?;
        let len = text[start..].iter().position(|byte| !is_word_byte(*byte)).unwrap_or(text.len() - start);
        at = start + len;
        Some(start..at)
    })
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of the first `len` bytes; as many as a chunk has must follow them.
#[inline]
fn hash_of(text: &[u8], len: usize) -> u64 {
    let chunk = |at: usize| text[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let mut hash = MULTIPLIER;
    let mut at = 0;
    while len - at >= CHUNK {
        hash = mix(hash ^ chunk(at));
        at += CHUNK;
    }
    let kept = chunk(at) & ((1 << ((len - at) * 8)) - 1);
    mix(mix(hash ^ kept) ^ len as u64)
}

#[inline]
fn mix(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MULTIPLIER);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_hashes_the_same_words() {
        let text =
            "a GET /img/9.png-x \u{e9}t\u{e9} user_id=needle-5f1c9e77a2 averyverylongwordwithmanyletters";
        let words: Vec<&str> = split(text.as_bytes()).map(|range| &text[range]).collect();
        let want = [
            "a",
            "GET",
            "img",
            "9",
            "png",
            "x",
            "\u{e9}t\u{e9}",
            "user_id",
            "needle",
            "5f1c9e77a2",
            "averyverylongwordwithmanyletters",
        ];
        assert_eq!(words, want);
        let mut hashes = Vec::new();
        Words::default().hashes(text.as_bytes(), |hash| hashes.push(hash));
        let indexed: Vec<u64> =
            words.iter().filter(|word| word.len() >= WORD_MIN).map(|word| hash(word.as_bytes())).collect();
        assert_eq!(hashes, indexed);
        assert_eq!(hash(b"Error"), hash(b"eRROR"));
        assert_ne!(hash(b"error"), hash(b"errors"));
        assert_ne!(hash(b"12345678"), hash(b"1234567812345678"));
    }

    #[test]
    fn a_word_byte_is_the_same_for_both() {
        for byte in 0..=255u8 {
            let mut words = Words::default();
            words.fold(&[byte]);
            assert_eq!(words.inside[0], u64::from(is_word_byte(byte)), "{byte}");
            assert_eq!(words.folded[0], byte.to_ascii_lowercase(), "{byte}");
        }
    }

    #[test]
    fn words_of_any_length_anywhere_are_found() {
        for len in 0..=140 {
            for start in [0, 1, 15, 16, 17, 63, 64, 65] {
                let word: Vec<u8> = (0..len).map(|at| b"aBc9_\xe9"[at % 6]).collect();
                let text = [&vec![b' '; start][..], &word].concat();
                let mut found = Vec::new();
                for text in [text.clone(), [&text, &b"-x y"[..]].concat()] {
                    found.clear();
                    Words::default().hashes(&text, |hash| found.push(hash));
                    let want: Vec<u64> = [hash(&word)].into_iter().filter(|_| len >= WORD_MIN).collect();
                    assert_eq!(found, want, "{len} at {start}");
                }
            }
        }
    }

    /// What is in files: another hash would be another version of the index.
    #[test]
    fn hashes_stay_as_they_are() {
        let texts = ["ab", "error", "12345678", "averyverylongwordwithmanyletters", "user_id"];
        let want = [
            0xc039_6864_3050_e902,
            0x1239_fe15_50aa_7022,
            0x5cac_2a21_2643_ed18,
            0x96b5_1a3c_c3e7_2fcf,
            0xbc2f_b0b5_978c_f6e8,
        ];
        assert_eq!(texts.map(|text| hash(text.as_bytes())), want);
    }
}
