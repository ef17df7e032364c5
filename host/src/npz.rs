//! Arrays for NumPy: `.npz`, a ZIP of `.npy` files
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::{self, Write};
use std::path::Path;

use fer_models::write_atomic;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Entries above this need ZIP's 64-bit sizes.
const LARGE: usize = u32::MAX as usize / 2;

/// The numbers or texts of one array, in row-major order.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// `float32`.
    F32(&'a [f32]),
    /// `int64`.
    I64(&'a [i64]),
    /// Unicode strings of one width.
    Text(&'a [String]),
}

/// One array of the file.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Key in the file: `arr_0` is what `numpy.savez` calls the first array without a name.
    pub name: &'a str,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Values<'a>,
}

/// Writes a compressed `.npz`; the file appears whole or not at all.
///
/// # Errors
/// The file could not be written; the error names it.
///
/// # Panics
/// When an entry does not hold what its shape says.
pub fn write(path: &Path, entries: &[Entry<'_>]) -> io::Result<()> {
    write_atomic(path, |out| {
        let mut zip = ZipWriter::new_stream(out);
        for entry in entries {
            let bytes = entry.npy();
            let options = SimpleFileOptions::default().large_file(bytes.len() > LARGE);
            zip.start_file(format!("{}.npy", entry.name), options)?;
            zip.write_all(&bytes)?;
        }
        zip.finish()?;
        Ok(())
    })
}

impl Entry<'_> {
    /// A version 1.0 `.npy` file, little-endian.
    fn npy(&self) -> Vec<u8> {
        let (len, kind) = match self.values {
            Values::F32(v) => (v.len(), "<f4".to_owned()),
            Values::I64(v) => (v.len(), "<i8".to_owned()),
            Values::Text(v) => (v.len(), format!("<U{}", width(v))),
        };
        let expected: usize = self.shape.iter().product();
        assert_eq!(
            len, expected,
            "{} does not fill {:?}",
            self.name, self.shape
        );
        let sizes: String = self.shape.iter().map(|d| format!("{d},")).collect();
        let mut header =
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // magic, version, length and header end on a multiple of 64 with a line break
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        match self.values {
            Values::F32(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
            Values::I64(v) => bytes.extend(v.iter().flat_map(|v| v.to_le_bytes())),
            Values::Text(texts) => {
                let width = width(texts);
                for text in texts {
                    let filled = text.chars().chain(std::iter::repeat('\0')).take(width);
                    bytes.extend(filled.flat_map(|c| u32::from(c).to_le_bytes()));
                }
            }
        }
        bytes
    }
}

/// Characters of the longest text; NumPy knows no width of 0.
fn width(texts: &[String]) -> usize {
    let longest = texts.iter().map(|t| t.chars().count()).max();
    longest.unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_entry_is_an_npy_file() {
        let entry = Entry {
            name: "arr_0",
            shape: vec![1, 2],
            values: Values::F32(&[1.0, -2.0]),
        };
        let bytes = entry.npy();
        assert_eq!(bytes.len(), 128 + 8);
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (1,2,), }"));
        assert!(header.ends_with(" \n"));
        assert_eq!(bytes[8..10], [118, 0]);
        assert_eq!(bytes[132..], (-2.0f32).to_le_bytes());
    }

    #[test]
    fn texts_are_as_wide_as_the_longest() {
        let texts = ["é".to_owned(), "日本語".to_owned(), String::new()];
        let entry = Entry {
            name: "paths",
            shape: vec![3],
            values: Values::Text(&texts),
        };
        let bytes = entry.npy();
        assert!(String::from_utf8_lossy(&bytes).contains("'<U3'"));
        assert_eq!(bytes.len(), 128 + 3 * 3 * 4);
        assert_eq!(bytes[128..132], [0xe9, 0, 0, 0]);
    }

    #[test]
    fn the_file_is_a_zip_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let entry = |name, values| Entry {
            name,
            shape: vec![2],
            values,
        };
        let entries = [
            entry("arr_0", Values::F32(&[0.5, 1.5])),
            entry("labels", Values::I64(&[3, -1])),
        ];
        write(&path, &entries).unwrap();
        let mut zip = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut bytes = Vec::new();
        zip.by_name("labels.npy")
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, entries[1].npy());
        assert_eq!(zip.len(), 2);
    }
}
