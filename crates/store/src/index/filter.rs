//! Split-block Bloom filters (Apache Parquet's `SBBF` construction), one a granule, stored bucket-major.
//!
//! Bucket b of every granule of a row group lies side by side: the answer for one word is one read of
//! `granules * 32` bytes at `bucket * granules * 32`, whatever the size of the filters.

/// Bits a distinct word; 11 let about one granule in a hundred through by mistake.
const BITS_PER_WORD: usize = 11;
/// Bytes of a bucket: eight words of 32 bits, one bit set in each for a word.
pub const BUCKET_BYTES: usize = 32;
const LANES: usize = BUCKET_BYTES / 4;
/// Odd multipliers that pick the bit in each lane.
const SALTS: [u32; LANES] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The filters of one row group under construction.
pub struct Builder {
    buckets: usize,
    granules: usize,
    lanes: Vec<u32>,
}

impl Builder {
    /// For `granules` filters, each for about `words` distinct words.
    pub fn new(granules: usize, words: usize) -> Self {
        let buckets = (words * BITS_PER_WORD).div_ceil(BUCKET_BYTES * 8).max(1);
        Self { buckets, granules, lanes: vec![0; buckets * granules * LANES] }
    }

    /// Adds a word's hash to a granule's filter.
    #[inline]
    pub fn insert(&mut self, granule: usize, hash: u64) {
        let start = (bucket(hash, self.buckets) * self.granules + granule) * LANES;
        let lanes = &mut self.lanes[start..start + LANES];
        for (lane, bit) in lanes.iter_mut().zip(bits(hash)) {
            *lane |= bit;
        }
    }

    /// Buckets of each filter.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// The bytes to store.
    pub fn finish(self) -> Vec<u8> {
        self.lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }
}

/// The bucket of a hash.
#[inline]
pub fn bucket(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

/// Whether the stored bucket of a granule has all bits of `hash`.
pub fn may_contain(stored: &[u8], hash: u64) -> bool {
    stored.chunks_exact(4).zip(bits(hash)).all(|(lane, bit)| {
        let lane = u32::from_le_bytes(lane.try_into().unwrap_or_default());
        lane & bit != 0
    })
}

#[inline]
fn bits(hash: u64) -> [u32; LANES] {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// How many of the hashes are distinct, by linear counting; within a few percent, never 0.
pub fn distinct(hashes: &[u64]) -> usize {
    const SLOTS: usize = 1 << 18;
    let mut seen = vec![0u64; SLOTS / 64];
    for hash in hashes {
        let slot = (hash >> 46) as usize;
        seen[slot / 64] |= 1 << (slot % 64);
    }
    let empty: u32 = seen.iter().map(|word| word.count_zeros()).sum();
    let slots = SLOTS as f64;
    (slots * (slots / f64::from(empty.max(1))).ln()).ceil().max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::super::word;
    use super::*;

    fn words(from: usize, to: usize) -> Vec<String> {
        (from..to).map(|number| format!("word{number}")).collect()
    }

    #[test]
    fn finds_every_word_and_few_others() {
        let (granules, count) = (8, 5_000);
        let mut builder = Builder::new(granules, count);
        for granule in 0..granules {
            for text in words(granule * count, (granule + 1) * count) {
                builder.insert(granule, word::hash(text.as_bytes()));
            }
        }
        let buckets = builder.buckets();
        let stored = builder.finish();
        let ask = |granule: usize, text: &str| {
            let hash = word::hash(text.as_bytes());
            let start = (bucket(hash, buckets) * granules + granule) * BUCKET_BYTES;
            may_contain(&stored[start..start + BUCKET_BYTES], hash)
        };
        assert!(words(2 * count, 3 * count).iter().all(|text| ask(2, text)));
        let mistaken = words(3 * count, 8 * count).iter().filter(|text| ask(2, text)).count();
        assert!(mistaken < 5 * count / 40, "{mistaken} of {}", 5 * count);
    }

    #[test]
    fn counts_distinct_words() {
        for count in [1, 100, 20_000, 200_000] {
            let hashes: Vec<u64> = words(0, count).iter().map(|text| word::hash(text.as_bytes())).collect();
            let counted = distinct(&[hashes.clone(), hashes].concat());
            assert!(counted.abs_diff(count) <= count / 20 + 1, "{counted} for {count}");
        }
    }
}
