//! Where bytes of some classes stand in a block of text, as one bit a byte.

use wide::u8x16;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;
/// Bytes that are looked at together.
pub(crate) type Bytes = u8x16;

/// For each of the classes, the bytes of the block that `classes` marks with ones.
#[inline]
pub(crate) fn masks<const N: usize>(block: &[u8; BLOCK], classes: impl Fn(Bytes) -> [Bytes; N]) -> [u64; N] {
    let mut masks = [0; N];
    for (index, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        for (mask, marked) in masks.iter_mut().zip(classes(Bytes::new(*bytes))) {
            *mask |= u64::from(marked.to_bitmask()) << (index * 16);
        }
    }
    masks
}

/// The numbers of the bits that are set, lowest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits(pub(crate) u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_what_a_loop_would_find() {
        for seed in 0..16u8 {
            let block: [u8; BLOCK] = std::array::from_fn(|index| {
                (index as u8).wrapping_mul(37).wrapping_add(seed.wrapping_mul(16))
            });
            let class = |bytes: Bytes| {
                let letter = (bytes - Bytes::splat(b'A')).simd_le(Bytes::splat(b'Z' - b'A'));
                [letter, bytes.simd_eq(Bytes::splat(b'[')), Bytes::splat(u8::MAX)]
            };
            let bits = |test: fn(u8) -> bool| {
                block.iter().enumerate().fold(0u64, |bits, (at, byte)| bits | u64::from(test(*byte)) << at)
            };
            let want = [bits(|byte| byte.is_ascii_uppercase()), bits(|byte| byte == b'['), u64::MAX];
            assert_eq!(masks(&block, class), want);
            let places: Vec<usize> = Bits(want[0]).collect();
            assert!(places.iter().all(|at| block[*at].is_ascii_uppercase()), "{places:?}");
            assert_eq!(places.len(), want[0].count_ones() as usize);
        }
    }
}
