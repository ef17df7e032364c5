//! TFRecord framing: `length u64 | masked crc32c of length u32 | data | masked crc32c of data u32`,
//! little-endian (TensorFlow, `core/lib/io/record_writer.h`).

use std::io::{self, Read};

/// Bytes that a record adds to its data.
const FRAME: u64 = 16;

/// Appends `data` as one record to `out`.
pub(super) fn frame(data: &[u8], out: &mut Vec<u8>) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
}

/// What stands at the reading position.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// A whole record with this data.
    Record(Vec<u8>),
    /// The end of the file.
    End,
    /// Half a record, or one whose checksum is wrong.
    Broken,
}

/// Reads the record at the start of the `left` bytes that `input` still holds.
pub(super) fn next(input: &mut impl Read, left: u64) -> io::Result<Next> {
    if left == 0 {
        return Ok(Next::End);
    }
    if left < FRAME {
        return Ok(Next::Broken);
    }
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let crc = read_u32(input)?;
    let size = u64::from_le_bytes(length);
    // The size is bounded by the file's before it is reserved.
    if crc != masked_crc(&length) || size > left - FRAME {
        return Ok(Next::Broken);
    }
    let mut data = Vec::new();
    input.by_ref().take(size).read_to_end(&mut data)?;
    if read_u32(input)? != masked_crc(&data) {
        return Ok(Next::Broken);
    }
    Ok(Next::Record(data))
}

fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// The checksum as records store it: rotated and shifted, so that the checksum of data that holds
/// checksums stays useful.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected polynomial 0x82F63B78.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !data.iter().fold(!0, step)
}

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vectors of RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    #[test]
    fn crc32c_matches_the_published_vectors() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(&falling), 0x113f_db5c);
    }

    fn read(bytes: &[u8]) -> Next {
        next(&mut &bytes[..], bytes.len() as u64).expect("no I/O error from memory")
    }

    proptest! {
        #[test]
        fn a_record_comes_back(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = Vec::new();
            frame(&data, &mut bytes);
            prop_assert_eq!(bytes.len() as u64, data.len() as u64 + FRAME);
            prop_assert_eq!(read(&bytes), Next::Record(data));
        }

        #[test]
        fn a_cut_or_flipped_record_is_broken(
            data in prop::collection::vec(any::<u8>(), 0..60),
            at in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let mut bytes = Vec::new();
            frame(&data, &mut bytes);
            let at = at.index(bytes.len());
            if at > 0 {
                prop_assert_eq!(read(&bytes[..at]), Next::Broken);
            }
            bytes[at] ^= 1u8 << bit;
            prop_assert_eq!(read(&bytes), Next::Broken);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            read(&bytes);
        }
    }
}
