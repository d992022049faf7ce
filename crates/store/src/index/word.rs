//! What a word is, for the index and for the search: letters, digits, `_` and every byte from 0x80 on, in a
//! row; ASCII case does not count.

/// Words shorter than this are in no index; a search for one reads everything.
pub const WORD_MIN: usize = 2;

/// Whether a byte is part of words.
pub const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of texts, as hashes. Keeps a buffer between calls.
#[derive(Default)]
pub struct Words {
    lowered: Vec<u8>,
}

impl Words {
    /// Calls `each` with the hash of every indexed word of `text`.
    pub fn hashes(&mut self, text: &[u8], mut each: impl FnMut(u64)) {
        self.lower(text);
        let lowered = self.lowered.as_slice();
        let mut at = 0;
        while at < text.len() {
            let (hash, len) = hash_run(&lowered[at..]);
            if len >= WORD_MIN {
                each(hash);
            }
            at += len + 1;
        }
    }

    /// Lower-cases word bytes and zeroes the others, with eight zeroes after the end. The loop is free of
    /// branches so that it runs on whole vectors.
    fn lower(&mut self, text: &[u8]) {
        self.lowered.clear();
        self.lowered.extend(text.iter().map(|&byte| {
            let upper = byte.wrapping_sub(b'A') < 26;
            let folded = byte | (u8::from(upper) << 5);
            let letter = folded.wrapping_sub(b'a') < 26;
            let word = letter | (byte.wrapping_sub(b'0') < 10) | (byte == b'_') | (byte >= 0x80);
            folded & 0u8.wrapping_sub(u8::from(word))
        }));
        self.lowered.extend_from_slice(&[0; 8]);
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
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Hash and length of the run of non-zero bytes at the start; eight zero bytes must follow the text.
#[inline]
fn hash_run(lowered: &[u8]) -> (u64, usize) {
    let mut hash = MULTIPLIER;
    let mut len = 0;
    while let Some(chunk) = lowered.get(len..len + 8) {
        let chunk = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let zeroes = chunk.wrapping_sub(ONES) & !chunk & HIGHS;
        let bytes = if zeroes == 0 { 8 } else { (zeroes.trailing_zeros() / 8) as usize };
        let kept = if bytes == 8 { chunk } else { chunk & ((1u64 << (bytes * 8)) - 1) };
        hash = mix(hash ^ kept);
        len += bytes;
        if bytes < 8 {
            break;
        }
    }
    (mix(hash ^ len as u64), len)
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
            words.lower(&[byte]);
            assert_eq!(words.lowered[0] != 0, is_word_byte(byte), "{byte}");
        }
    }
}
