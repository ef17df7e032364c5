//! NumPy's `.npy` files of 32-bit floats, as the judges read and write them
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io;

/// The first bytes of a version 1.0 file.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The bytes of an array in row-major order.
pub fn encode(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|d| format!("{d},")).collect();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}").into_bytes();
    // magic, length and header end on a multiple of 64 with a line break
    let padded = (MAGIC.len() + 2 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 2;
    header.resize(padded - 1, b' ');
    header.push(b'\n');

    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header);
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// The numbers in a file, in the order they lie there.
///
/// # Errors
/// When it is no version 1.0 file of little-endian 32-bit floats in row-major order.
pub fn decode(bytes: &[u8]) -> io::Result<Vec<f32>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("npy: {what}"));
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| wrong("not version 1.0"))?;
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| wrong("cut off"))?;
    let (header, data) = rest
        .split_at_checked(usize::from(u16::from_le_bytes(*length)))
        .ok_or_else(|| wrong("cut off"))?;
    let header = String::from_utf8_lossy(header);
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return Err(wrong(&header));
    }
    let (values, rest) = data.as_chunks();
    if !rest.is_empty() {
        return Err(wrong("cut off"));
    }
    Ok(values.iter().map(|v| f32::from_le_bytes(*v)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_start_on_a_multiple_of_64() {
        let bytes = encode(&[2, 3], &[1.0, -2.0, 3.5, 0.0, f32::MAX, 6.0]);
        assert_eq!(bytes.len() % 64, 6 * 4);
        assert_eq!(decode(&bytes).unwrap()[..3], [1.0, -2.0, 3.5]);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode(b"").is_err());
    }
}
