//! The code that a box shows and a person compares before approving it: a short name of its key.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Returns the comparison code of a key, `ABCD-EFGH`, from its SubjectPublicKeyInfo (DER).
pub fn comparison_code(spki_der: &[u8]) -> String {
    let digest = Sha256::digest(spki_der);
    let first = digest
        .iter()
        .take(5)
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letter = |position: u32| {
        let five = (first >> (35 - 5 * position)) & 31;
        char::from(ALPHABET[usize::try_from(five).expect("five bits")])
    };
    let half = |positions: std::ops::Range<u32>| positions.map(letter).collect::<String>();
    format!("{}-{}", half(0..4), half(4..8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_base32_of_the_digest() {
        // printf '' | sha256sum | xxd -r -p | base32 | cut -c1-8
        assert_eq!(comparison_code(b""), "4OYM-IQUY");
        // printf 'abc' | …
        assert_eq!(comparison_code(b"abc"), "XJ4B-NP4P");
    }
}
