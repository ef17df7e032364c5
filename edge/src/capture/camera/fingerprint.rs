//! Tells a new picture from the last one again.

use super::super::Frame;

/// A number that two different pictures hardly ever share: multiply and fold over eight bytes at a
/// time, as wyhash does, because every live frame passes through here.
///
/// Not for adversaries: a camera that wants to look alive simply sends noise.
#[must_use]
pub(super) fn fingerprint(frame: &Frame) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let wide = u128::from(hash ^ word) * u128::from(PRIME);
        (wide as u64) ^ ((wide >> 64) as u64)
    };
    let size = (frame.width as u64) << 32 | frame.height as u64;
    let (words, rest) = frame.pixels.as_chunks::<8>();
    let hash = words.iter().fold(fold(PRIME, size), |hash, word| {
        fold(hash, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(hash, |hash, &byte| fold(hash, u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: usize, pixels: Vec<u8>) -> Frame {
        Frame {
            width,
            height: pixels.len() / width,
            pixels,
            ..Frame::default()
        }
    }

    #[test]
    fn one_changed_pixel_anywhere_changes_the_number() {
        let black = frame(7, vec![0; 35]);
        let number = fingerprint(&black);
        assert_eq!(number, fingerprint(&black.clone()));
        for at in 0..35 {
            let mut other = black.clone();
            other.pixels[at] = 1;
            assert_ne!(fingerprint(&other), number, "pixel {at}");
        }
    }

    #[test]
    fn the_shape_counts() {
        assert_ne!(
            fingerprint(&frame(4, vec![9; 16])),
            fingerprint(&frame(8, vec![9; 16]))
        );
    }
}
