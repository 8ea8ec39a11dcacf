//! Bytes.

/// Equality, 32 bytes at a time: `memcmp` in wasm goes byte by byte.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let words = |chunk: &[u8; 32]| {
        let (words, _) = chunk.as_chunks::<8>();
        [0, 1, 2, 3].map(|n| words.get(n).map_or(0, |word| u64::from_ne_bytes(*word)))
    };
    let ((a_chunks, a_end), (b_chunks, b_end)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    let differs = |(a, b): (&[u8; 32], &[u8; 32])| {
        words(a).iter().zip(words(b)).fold(0, |all, (a, b)| all | (a ^ b)) != 0
    };
    a.len() == b.len() && a_end == b_end && !a_chunks.iter().zip(b_chunks).any(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let text: Vec<u8> = (0..200).collect();
        for end in [0, 1, 15, 31, 32, 33, 64, 65, 200] {
            let a = text.get(..end).unwrap();
            let mut b = a.to_vec();
            assert!(same(a, &b));
            assert!(!same(a, text.get(..end + 1).unwrap_or(b"")), "{end}: longer or shorter");
            for at in 0..end {
                b[at] ^= 1;
                assert!(!same(a, &b), "{end}: {at}");
                b[at] ^= 1;
            }
        }
    }
}
